"""Scores otolith's beats and those of its peers on a folder of WAV files with their truth beside them, all in one run.

    python -m tools.beat_test_set --bank tools/.work/bank-timgm --out tools/.work/beat-test
    python -m tools.evaluate_beats tools/.work/beat-test --methods flux tcn --peers librosa essentia aubio music-tempo --json out.json

    OTOLITH_BEAT_SET=DIR cargo test --test beat write_the_pieces -- --ignored
    python -m tools.evaluate_beats DIR --files "evaluation_*.wav" --peers librosa music-tempo

Methods run through the command line (`--otolith`, default `node dist/cli.js`), so what is measured is what users get. mir_eval computes
the scores. A peer that is not installed is named and left out; so is a file that a tracker fails on, which then counts as no beats.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import mir_eval
import numpy as np
import soundfile

OCTAVES = (2.0, 0.5, 3.0, 1 / 3, 1.5, 2 / 3)
EXACT, NEAR = 0.002, 0.04
"""Tempo counts as right within 0.2 %, and as an octave error within 4 % of a multiple."""
warnings.filterwarnings("ignore", module="mir_eval")


def otolith(command: list[str], method: str):
    """A tracker through the command line."""

    def track(path: Path) -> dict:
        began = time.perf_counter()
        done = subprocess.run([*command, "beats", str(path), "--method", method, "--json"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"exit status {done.returncode}")
        found = json.loads(done.stdout.splitlines()[-1])
        if found["method"] != method:
            raise RuntimeError(f"asked for {method}, got {found['method']} ({found.get('notice')})")
        return {
            "beats": found["beats"], "downbeats": found["downbeats"], "bpm": found["tempo"]["bpm"],
            "confidence": found["tempo"]["confidence"], "seconds": found.get("seconds", time.perf_counter() - began),
        }

    return track


def network(checkpoint: Path):
    """A checkpoint with the plain decoder of `tools.beat_decoder`: what a network is worth before, and without, the product."""
    from tools.beat_activations import activations, load_network
    from tools.beat_decoder import decode_beats, decode_downbeats, tempo_of
    from tools.train.beat_features import band_magnitudes, log_bands

    model, _ = load_network(checkpoint)

    def track(path: Path) -> dict:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        if rate != 44100:
            raise ValueError(f"{path} has {rate} Hz, needed are 44100")
        began = time.perf_counter()
        found, _ = activations(model, log_bands(band_magnitudes(samples.T)))
        beats = decode_beats(found[0])
        downbeats = decode_downbeats(beats, found[1])
        return {"beats": beats, "downbeats": downbeats, "bpm": tempo_of(beats), "seconds": time.perf_counter() - began}

    return track


def librosa_tracker():
    import librosa

    def track(path: Path) -> dict:
        samples, rate = librosa.load(path, sr=22050)
        began = time.perf_counter()
        bpm, beats = librosa.beat.beat_track(y=samples, sr=rate, units="time")
        return {"beats": beats, "bpm": float(np.atleast_1d(bpm)[0]), "seconds": time.perf_counter() - began}

    return track


def essentia_tracker(name: str):
    import essentia.standard as standard

    kind = {"essentia": "multifeature", "essentia-degara": "degara"}[name]

    def track(path: Path) -> dict:
        samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
        began = time.perf_counter()
        bpm, beats, *_ = standard.RhythmExtractor2013(method=kind)(samples.mean(axis=1))
        return {"beats": beats, "bpm": float(bpm), "seconds": time.perf_counter() - began}

    return track


def music_tempo_tracker(folder: Path):
    if not (folder / "node_modules" / "music-tempo").exists():
        raise ImportError(f"no music-tempo under {folder}/node_modules: npm install music-tempo@1.0.3 there")

    def track(path: Path) -> dict:
        samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
        with tempfile.NamedTemporaryFile(suffix=".f32") as file:
            file.write(samples.mean(axis=1).astype("<f4").tobytes())
            file.flush()
            script = Path(__file__).with_name("music_tempo.mjs")
            done = subprocess.run(["node", str(script), str(folder.resolve()), file.name], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError((done.stderr.strip().splitlines() or ["failed"])[-1])
        return json.loads(done.stdout)

    return track


def aubio_tracker():
    import aubio

    def track(path: Path) -> dict:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        mono = samples.mean(axis=1)
        began = time.perf_counter()
        tracker, beats = aubio.tempo("default", 1024, 512, rate), []
        for first in range(0, len(mono) - 511, 512):
            if tracker(mono[first : first + 512])[0]:
                beats.append(tracker.get_last_s())
        return {"beats": beats, "bpm": tracker.get_bpm(), "seconds": time.perf_counter() - began}

    return track


def scores(truth: dict, found: dict, seconds: float) -> dict:
    """All figures of one piece; those that do not apply are None."""
    reference = mir_eval.beat.trim_beats(np.asarray(truth["beats"]))
    estimate = mir_eval.beat.trim_beats(np.sort(np.asarray(found["beats"], dtype=float)))
    _, cml_t, _, aml_t = mir_eval.beat.continuity(reference, estimate)
    row = {"f": mir_eval.beat.f_measure(reference, estimate), "cml_t": cml_t, "aml_t": aml_t, "downbeat_f": None}
    if truth.get("downbeats") is not None and found.get("downbeats") is not None:
        row["downbeat_f"] = mir_eval.beat.f_measure(
            mir_eval.beat.trim_beats(np.asarray(truth["downbeats"])), mir_eval.beat.trim_beats(np.asarray(found["downbeats"], dtype=float))
        )
    ratio = (found.get("bpm") or 0.0) / truth["bpm"]
    row["tempo"] = float(abs(ratio - 1) <= EXACT)
    row["tempo_near"] = float(abs(ratio - 1) <= NEAR)
    row["octave_error"] = float(any(abs(ratio / octave - 1) <= NEAR for octave in OCTAVES))
    row["speed"] = seconds / max(1e-9, found["seconds"])
    row["confidence"] = found.get("confidence")
    return {key: None if value is None else float(value) for key, value in row.items()}


def mean(rows: list[dict], key: str) -> float | None:
    values = [row[key] for row in rows if row[key] is not None]
    return float(np.mean(values)) if values else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", default="*.wav", help="pattern of the files to take")
    parser.add_argument("--otolith", default="node dist/cli.js", help="command that begins otolith's command line")
    parser.add_argument("--methods", nargs="*", default=["flux", "tcn"])
    parser.add_argument("--networks", nargs="*", type=Path, default=[], help="checkpoints, decoded in Python")
    parser.add_argument("--peers", nargs="*", default=["librosa"], choices=["librosa", "essentia", "essentia-degara", "aubio", "music-tempo"])
    parser.add_argument("--music-tempo", type=Path, default=Path("benches/peers"), help="folder whose node_modules has music-tempo")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    trackers = {f"otolith {method}": otolith(shlex.split(options.otolith), method) for method in options.methods}
    trackers |= {f"{path.stem} (Python decoder)": network(path) for path in options.networks}
    makers = {"librosa": librosa_tracker, "aubio": aubio_tracker, "music-tempo": lambda: music_tempo_tracker(options.music_tempo)}
    for peer in options.peers:
        try:
            trackers[peer] = makers[peer]() if peer in makers else essentia_tracker(peer)
        except ImportError as error:
            print(f"{peer} is left out: {error}", file=sys.stderr)
    rows: dict[str, list[dict]] = {name: [] for name in trackers}
    groups, failures = [], []
    files = sorted(options.folder.glob(options.files))
    for path in files:
        truth = json.loads(path.with_suffix(".json").read_text())
        groups.append(truth.get("group", "all"))
        seconds = soundfile.info(path).duration
        for name, track in trackers.items():
            try:
                found = track(path)
            except (RuntimeError, ValueError, KeyError) as error:
                failures.append(f"{name}, {path.name}: {error}")
                found = {"beats": [], "downbeats": [], "bpm": None, "seconds": float("inf")}
            rows[name].append(scores(truth, found, seconds))
    keys = ("f", "cml_t", "aml_t", "tempo", "tempo_near", "octave_error", "downbeat_f", "speed")
    summary = {
        name: {
            group: {key: mean([row for row, g in zip(table, groups, strict=True) if group in ("all", g)], key) for key in keys}
            for group in ["all", *dict.fromkeys(groups)]
        }
        for name, table in rows.items()
    }

    def show(value: float | None, digits: int = 3) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    print("| tracker | mean F | CMLt | AMLt | tempo ±0.2 % | ±4 % | octave errors | downbeat F | x real time |\n|" + "---|" * 9)
    for name, table in summary.items():
        print(f"| {name} | " + " | ".join(show(table["all"][key], 0 if key == "speed" else 3) for key in keys) + " |")
    names = list(dict.fromkeys(groups))
    print("\nmean F by group\n| tracker | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    for name, table in summary.items():
        print(f"| {name} | " + " | ".join(show(table[group]["f"]) for group in names) + " |")
    for line in failures:
        print(f"failed: {line}", file=sys.stderr)
    if options.json:
        named = {name: [{"file": path.name, **row} for path, row in zip(files, table, strict=True)] for name, table in rows.items()}
        versions = {name: version(name) for name in ("mir_eval", *options.peers) if name in ("mir_eval", "librosa", "aubio")}
        document = {"versions": versions, "files": len(files), "summary": summary, "rows": named, "failures": failures}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
