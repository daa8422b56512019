"""Fits the coefficients of src/dsp/activity_classifier.rs: speech against music.

    python -m tools.activity_fit make W/activity --songs W/train
    OTOLITH_ACTIVITY=W/activity cargo test --release --test fingerprint activity_features -- --ignored
    python -m tools.activity_fit fit W/activity
    python -m tools.activity_fit fixtures tests/data/activity

`make` writes clips of 8 kHz: songs of the corpus (whole mixes, and without their vocals), and sentences of common words read by espeak-ng and
flite in several voices and languages, dry and in rooms, with noise. The test writes the features of every window, as Rust computes them, of
these and of sounds that it generates itself. `fit` is logistic regression with a ridge, both kinds weighing the same. Held out are voices
of each engine, a language, and every fifth song. slt of flite is unlike the other voices: left out of the fit, it is called music.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.signal import fftconvolve, resample_poly

RATE = 8_000
RIDGE = 1e-3
ESPEAK = ["en-us", "en-gb+f3", "en-us+m3", "de", "de+f2", "fr", "fr+f4", "es", "es+m2", "it+f2", "pt", "sv", "pl", "nl+f3", "en-gb-scotland", "fi+f1"]
ESPEAK_HELD_OUT = {"de+f2", "fi+f1"}
FLITE = ["kal16", "awb", "rms", "slt"]
FLITE_HELD_OUT = {"awb"}
WORDS = (
    "the of and to in that it is was for on are as with they at be this from have or by one had not but what all were when we there can an "
    "your which their said if do will each about how up out them then she many some so these would other into has more her two like him see "
    "time could no make than first been its who now people my made over did down only way find use may water long little very after words "
    "called just where most know get through back much before go good new write our used me man too any day same right look think also "
    "around another came come work three word must because does part even place well such here take why things help put years different "
    "away again off went old number great tell men say small every found still between name should home big give air line set own under"
).split()


def sentences(random, count):
    """Sentences of four to twelve common words."""
    made = []
    for _ in range(count):
        words = random.choice(WORDS, random.integers(4, 13))
        made.append(" ".join(words).capitalize() + random.choice([".", ".", "?", ","]))
    return " ".join(made)


def spoken(command, text, folder):
    """What a speech engine makes of a text, in mono at 8 kHz."""
    path = Path(folder) / "speech.wav"
    subprocess.run([*command, str(path)] if command[0] == "flite" else command, input=text if command[0] != "flite" else None, text=True, check=True)
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"], check=True, capture_output=True
    ).stdout
    return np.frombuffer(raw, dtype="<f4").copy()


def placed(random, sound):
    """The sound at a level, half of the time in a room, with a little noise."""
    sound = sound / max(1e-9, np.sqrt(np.mean(sound**2)))
    if random.random() < 0.5:
        length = int(RATE * random.uniform(0.15, 0.6))
        tail = random.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
        # The room 3 to 15 dB below the direct sound: somebody speaks into a microphone.
        tail *= 10 ** (-random.uniform(3, 15) / 20) / np.sqrt(np.sum(tail**2))
        tail[0] += 1.0
        sound = fftconvolve(sound, tail)[: len(sound)]
    noise = 10 ** (-random.uniform(20, 60) / 20)
    sound = sound + noise * random.standard_normal(len(sound))
    return (10 ** (-random.uniform(14, 40) / 20) * sound).astype("<f4")


def write(folder, name, kind, held_out, sound, index):
    sound.tofile(folder / f"{name}.f32")
    index.append({"name": name, "kind": kind, "heldOut": bool(held_out)})


def make(folder, songs):
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20)
    index = []
    with tempfile.TemporaryDirectory() as scratch:
        wav = str(Path(scratch) / "speech.wav")
        for voice in ESPEAK:
            for take in range(2):
                speed = str(random.integers(130, 210))
                sound = spoken(["espeak-ng", "-v", voice, "-s", speed, "-w", wav, "--stdin"], sentences(random, 7), scratch)
                write(folder, f"espeak-{voice}-{take}", "speech", voice in ESPEAK_HELD_OUT, placed(random, sound), index)
        for voice in FLITE:
            for take in range(5):
                sound = spoken(["flite", "-voice", voice, "-t", sentences(random, 7), "-o"], "", scratch)
                write(folder, f"flite-{voice}-{take}", "speech", voice in FLITE_HELD_OUT, placed(random, sound), index)
    for number, path in enumerate(sorted(songs.glob("*.npy"))):
        stems = np.load(path, mmap_mode="r")
        names = json.loads(path.with_suffix(".json").read_text()).get("stems") or ["vocals", "drums", "bass", "instruments", "fx"]
        whole = np.asarray(stems[:, :, : 25 * 44_100], dtype=np.float64).mean(axis=1) / 32_768
        for name, mix in (("mix", whole.sum(axis=0)), ("instrumental", whole[[n != "vocals" for n in names[: len(whole)]]].sum(axis=0))):
            sound = resample_poly(mix, 80, 441)
            write(folder, f"song-{path.stem}-{name}", "music", number % 5 == 4, placed(random, sound), index)
    (folder / "index.json").write_text(json.dumps(index))


def fixtures(folder):
    """Six seconds each of a sentence, words and voices of which are in no clip, as FLAC of 8 kHz."""
    folder.mkdir(parents=True, exist_ok=True)
    text = (
        "Yesterday morning the harbour was quiet, but towards noon a dozen fishing boats returned with silver herring. Children ran along "
        "the pier, counting baskets, while gulls circled above the lighthouse."
    )
    with tempfile.TemporaryDirectory() as scratch:
        wav = str(Path(scratch) / "speech.wav")
        for name, command in (("espeak", ["espeak-ng", "-v", "en-gb-x-gbcwmd", "-w", wav, "--stdin"]), ("flite", ["flite", "-voice", "kal", "-t", text, "-o"])):
            sound = spoken(command, text, scratch)[: 6 * RATE]
            raw = (0.3 * sound / np.abs(sound).max()).astype("<f4").tobytes()
            arguments = ["-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", "-", "-sample_fmt", "s16", str(folder / f"{name}.flac")]
            subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], input=raw, check=True)


def fit(folder):
    rows = [json.loads(line) for line in (folder / "features.jsonl").read_text().splitlines()]
    train = [row for row in rows if not row["heldOut"]]
    x, y, weight = columns(train)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    design = np.column_stack([np.ones(len(x)), (x - mean) / spread])

    def loss(coefficients):
        odds = design @ coefficients
        probability = 1 / (1 + np.exp(-odds))
        value = np.sum(weight * (np.logaddexp(0, odds) - y * odds)) + RIDGE * np.sum(coefficients[1:] ** 2)
        slope = design.T @ (weight * (probability - y))
        slope[1:] += 2 * RIDGE * coefficients[1:]
        return value, slope

    coefficients = minimize(loss, np.zeros(design.shape[1]), jac=True, method="BFGS").x
    weights = coefficients[1:] / spread
    bias = coefficients[0] - weights @ mean
    print(f"const BIAS: f64 = {bias:.4f};")
    print("const WEIGHTS: [f64; FEATURES] = [" + ", ".join(f"{value:.4f}" for value in weights) + "];")
    print("standardised", np.round(coefficients, 2))
    for held_out in (False, True):
        for kind, origin in sorted({(row["kind"], row["origin"]) for row in rows}):
            chosen = [row for row in rows if (row["heldOut"], row["kind"], row["origin"]) == (held_out, kind, origin)]
            if chosen:
                right = np.concatenate([(smooth(np.array(row["features"]) @ weights + bias) > 0) == (kind == "speech") for row in chosen])
                print("held out" if held_out else "fitted", kind, origin, f"{right.mean():.4f} of {len(right)} windows right")


def smooth(odds):
    """Means of five, as src/fingerprint/activity.rs takes them."""
    return np.array([odds[max(0, place - 2) : place + 3].mean() for place in range(len(odds))])


def columns(rows):
    """Features, whether speech, and weights: each kind one half of all, within it each origin the same."""
    x = np.concatenate([np.array(row["features"]) for row in rows])
    y = np.concatenate([np.full(len(row["features"]), row["kind"] == "speech") for row in rows]).astype(float)
    origin = np.concatenate([np.full(len(row["features"]), row["kind"] + row["origin"], dtype=object) for row in rows])
    weight = np.zeros(len(y))
    for kind in ("music", "speech"):
        origins = {name for name in origin if name.startswith(kind)}
        for name in origins:
            weight[origin == name] = 0.5 / len(origins) / np.sum(origin == name)
    return x, y, weight


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["make", "fit", "fixtures"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--songs", type=Path, help="rendered songs of the corpus, for make")
    given = parser.parse_args()
    if given.step == "fit":
        fit(given.folder)
    elif given.step == "fixtures":
        fixtures(given.folder)
    elif given.songs is None:
        parser.error("make needs --songs: a folder that tools.corpus.render wrote")
    else:
        make(given.folder, given.songs)


if __name__ == "__main__":
    main()
