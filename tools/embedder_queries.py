"""Embeds tracks, excerpts of them and strangers, none of which the network was trained on: what the confidence of `neural` is fitted on.

    for SPLIT in development:10000:20000 held-out:110000:120000; do IFS=: read NAME TRACKS STRANGERS <<< $SPLIT
      python -m tools.corpus.beat_render --held-out --bank W/bank-timgm --first $TRACKS --count 120 --seconds 30 --out W/$NAME
      python -m tools.corpus.beat_render --held-out --bank W/bank-timgm --first $STRANGERS --count 800 --seconds 6 --out W/$NAME-strangers
      python -m tools.embedder_queries models/embedder-1.0.0.onnx --pieces W/$NAME --split $NAME >> W/embeddings.jsonl; done
    OTOLITH_EMBEDDINGS=W/embeddings.jsonl OTOLITH_EVALUATION=W/queries.jsonl \\
      cargo test --features neural --test fingerprint confidence_of_the_shipped_embedder -- --ignored
    python tools/fingerprint_calibrate.py W/queries.jsonl

A line each: `split`, `role` (track, excerpt or stranger), `track`, `condition`, `kind` of piece, `embeddings` as they are stored, bytes in hexadecimal.
Excerpts of 1, 2, 3 and 5 s begin anywhere, clean and in coloured noise; strangers are the first seconds of other pieces. It runs onnxruntime.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

from tools.train.embedder_examples import coloured_noise
from tools.train.embedder_features import HOP, SAMPLE_RATE, WINDOW, mel_windows

SECONDS = (1, 2, 3, 5)
NOISES = (None, 10, 5, 0)
QUIET = 0.003
BATCH = 64
STEP = HOP // 2
"""Samples from window to window of a print."""
SEEDS = {"development": 1, "held-out": 2}


def load(folder: Path) -> list[tuple[np.ndarray, str]]:
    """Sound at 8 kHz and kind of the pieces in a folder."""
    pieces = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as data:
            pieces.append((data["low"].astype(np.float32) / 32768, json.loads(str(data["facts"]))["kind"]))
    return pieces


def windows_of(sound: np.ndarray) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::STEP]


def embed(session: onnxruntime.InferenceSession, windows: np.ndarray) -> np.ndarray:
    """Unit vectors times 127, rounded, as prints keep them."""
    parts = [session.run(None, {"mels": mel_windows(windows[i : i + BATCH])})[0] for i in range(0, len(windows), BATCH)]
    vectors = np.concatenate(parts)
    return np.round(127 * vectors / np.maximum(1e-9, np.linalg.norm(vectors, axis=1, keepdims=True))).astype(np.int8)


def queries(tracks: list, strangers: list, rng: np.random.Generator) -> tuple[list[dict], list[np.ndarray]]:
    """What is asked, and the windows of each."""
    facts, windows = [], []
    for seconds in SECONDS:
        length = SAMPLE_RATE * seconds
        for decibels in NOISES:
            for number, (sound, kind) in enumerate(tracks):
                for _ in range(20):
                    begin = int(rng.integers(0, len(sound) - length))
                    clip = sound[begin : begin + length]
                    if clip.std() > QUIET:
                        break
                else:
                    continue
                if decibels is not None:
                    clip = (clip + coloured_noise(rng, length) * clip.std() * 10 ** (-decibels / 20)).astype(np.float32)
                condition = f"{seconds} s {'clean' if decibels is None else f'noise {decibels} dB'}"
                facts.append({"role": "excerpt", "track": number, "condition": condition, "kind": kind})
                windows.append(windows_of(clip).copy())
    for seconds in SECONDS:
        for sound, kind in strangers:
            clip = sound[: SAMPLE_RATE * seconds]
            if len(clip) == SAMPLE_RATE * seconds and clip.std() >= QUIET:
                facts.append({"role": "stranger", "track": -1, "condition": f"stranger {seconds} s", "kind": kind})
                windows.append(windows_of(clip).copy())
    return facts, windows


def write(split: str, facts: list[dict], embeddings: list[np.ndarray]) -> None:
    for fact, rows in zip(facts, embeddings, strict=True):
        line = {"split": split, **fact, "embeddings": [row.tobytes().hex() for row in rows]}
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--pieces", type=Path, required=True, help="folder of the tracks; strangers are in the one of that name and -strangers")
    parser.add_argument("--split", choices=SEEDS, required=True)
    options = parser.parse_args()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(options.model), settings, providers=["CPUExecutionProvider"])
    tracks = load(options.pieces)
    strangers = load(options.pieces.with_name(f"{options.pieces.name}-strangers"))
    facts, windows = queries(tracks, strangers, np.random.default_rng(SEEDS[options.split]))
    for number, (sound, kind) in enumerate(tracks):
        facts.append({"role": "track", "track": number, "condition": "", "kind": kind})
        windows.append(windows_of(sound))
    all_rows = embed(session, np.concatenate(windows))
    write(options.split, facts, np.split(all_rows, np.cumsum([len(rows) for rows in windows])[:-1]))


if __name__ == "__main__":
    main()
