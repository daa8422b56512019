"""Renders pieces with known beats as features: what the beat networks train on, and 8 kHz sound for the embedder.

    python -m tools.corpus.beat_render --bank tools/.work/bank-fluid --count 1000 --out tools/.work/beats
    python -m tools.corpus.beat_render --bank tools/.work/bank-timgm --held-out --count 60 --out tools/.work/beats-held-out

Each file holds `bands` float16 [stems, frames, 81] (logarithmic, drums and the rest apart, so that training can mix them anew; one
stem where a codec went over the mix), `beats` and `downbeats` in seconds (`bars` false: they cannot be told), `low` int16 at 8 kHz.
"""

import argparse
import json
import os
import subprocess
from pathlib import Path

import numpy as np
from scipy import signal

from tools.corpus.beat_music import BeatPiece, make_piece
from tools.corpus.quick_timbres import SAMPLE_RATE, Bank
from tools.corpus.sampler import MissingSource
from tools.train.beat_features import band_magnitudes, log_bands

CODECS = (
    ("libmp3lame", "mp3", (48, 64, 96, 128, 192)), ("aac", "adts", (48, 64, 96, 128)), ("libopus", "ogg", (48, 64, 96)),
)
CODEC_SHARE = 0.06
LOW_RATE = 8000


def _ffmpeg(arguments: list[str], data: bytes) -> bytes:
    try:
        return subprocess.run(["ffmpeg", "-v", "error", *arguments], input=data, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise MissingSource("ffmpeg is missing: install the Debian package ffmpeg") from error


def through_codec(audio: np.ndarray, codec: str, container: str, kilobits: int, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Mono sound encoded and decoded; the codec's delay, found by correlation, is taken out."""
    raw = ["-f", "f32le", "-ar", str(rate), "-ac", "1"]
    coded = _ffmpeg([*raw, "-i", "-", "-c:a", codec, "-b:a", f"{kilobits}k", "-f", container, "-"], audio.astype("<f4").tobytes())
    decoded = np.frombuffer(_ffmpeg(["-f", {"adts": "aac"}.get(container, container), "-i", "-", *raw, "-"], coded), "<f4")
    span = min(len(audio), len(decoded), 10 * rate)
    lags = signal.fftconvolve(decoded[:span], audio[:span][::-1])
    middle = span - 1
    delay = int(np.argmax(lags[middle : middle + 4000]))
    out = np.zeros(len(audio), np.float32)
    heard = decoded[delay : delay + len(audio)]
    out[: len(heard)] = heard
    return out


def normalised(piece: BeatPiece) -> tuple[np.ndarray, np.ndarray]:
    """Stems scaled so that their sum peaks at 0.9."""
    peak = max(1e-6, float(np.abs(piece.drums + piece.pitched).max()))
    return piece.drums * np.float32(0.9 / peak), piece.pitched * np.float32(0.9 / peak)


def write_piece(piece: BeatPiece, target: Path) -> None:
    rng = np.random.default_rng([0xC0DEC, piece.seed])
    drums, pitched = normalised(piece)
    mix = drums + pitched
    if rng.random() < CODEC_SHARE:
        codec, container, rates = CODECS[int(rng.integers(len(CODECS)))]
        kilobits = int(rng.choice(rates))
        mix = through_codec(mix, codec, container, kilobits)
        piece.facts["codec"] = f"{codec} {kilobits}"
        stems = [mix]
    else:
        stems = [drums, pitched]
    bands = np.stack([log_bands(band_magnitudes(stem)) for stem in stems]).astype(np.float16)
    low = signal.resample_poly(mix, 80, 441)
    temporary = target.with_suffix(".part")
    with open(temporary, "wb") as file:
        np.savez(
            file, bands=bands, beats=piece.beats, downbeats=piece.beats[:0] if piece.downbeats is None else piece.downbeats,
            bars=np.array(piece.downbeats is not None), low=np.clip(low * 32767, -32768, 32767).astype(np.int16),
            facts=np.array(json.dumps(piece.facts)),
        )
    os.replace(temporary, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", type=Path, action="append", default=[], help="folder written by tools.corpus.one_shots")
    parser.add_argument("--held-out", action="store_true", help="the side that training never sees")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    banks = [Bank(folder) for folder in options.bank]
    for seed in range(options.first, options.first + options.count):
        target = options.out / f"{seed:06d}.npz"
        if not target.exists():
            write_piece(make_piece(seed, options.seconds, banks, options.held_out), target)


if __name__ == "__main__":
    main()
