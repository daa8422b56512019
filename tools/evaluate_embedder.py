"""How often a clip finds its track by the embedder, with noise, on held-out generated music.

    python -m tools.evaluate_embedder models/embedder-1.0.0.onnx --held-out tools/.work/beats-held-out --distractors tools/.work/beats \\
        --json out.json

References are windows every half second of the held-out pieces and of the distractors. A query of 1, 2 or 3 s begins anywhere; its
vectors are aligned with each track on the half-second grid, and the best mean cosine wins. It runs onnxruntime, not the product.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime

from tools.train.embedder_examples import coloured_noise
from tools.train.embedder_features import HOP, SAMPLE_RATE, WINDOW, mel_windows

CONDITIONS = (("clean", None), ("noise 10 dB", 10.0), ("noise 5 dB", 5.0), ("noise 0 dB", 0.0))
SECONDS = (1, 2, 3)
BATCH = 64


def load_low(path: Path) -> np.ndarray:
    with np.load(path) as data:
        return data["low"].astype(np.float32) / 32768


def embed(session: onnxruntime.InferenceSession, audio: np.ndarray) -> np.ndarray:
    """Unit vectors of the windows of one sound, every half second."""
    windows = np.lib.stride_tricks.sliding_window_view(audio, WINDOW)[::HOP]
    parts = [session.run(None, {"mels": mel_windows(windows[i : i + BATCH])})[0] for i in range(0, len(windows), BATCH)]
    vectors = np.concatenate(parts)
    return vectors / np.maximum(1e-6, np.linalg.norm(vectors, axis=1, keepdims=True))


def best(query: np.ndarray, references: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[int, int]:
    """(track, window) of the best mean cosine along a diagonal that stays inside a track."""
    likeness = references @ query.T
    total = np.full(len(references), -np.inf, np.float32)
    reach = len(references) - len(query) + 1
    total[:reach] = sum(likeness[i : i + reach, i] for i in range(len(query)))
    for start, length in zip(starts, lengths, strict=True):
        total[start + max(0, length - len(query) + 1) : start + length] = -np.inf
    place = int(np.argmax(total))
    track = int(np.searchsorted(starts, place, side="right") - 1)
    return track, place - int(starts[track])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--held-out", type=Path, required=True, help="folder written by tools.corpus.beat_render --held-out")
    parser.add_argument("--distractors", type=Path, help="another such folder")
    parser.add_argument("--most-distractors", type=int, default=100)
    parser.add_argument("--queries", type=int, default=200, help="per cell")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(options.model), settings, providers=["CPUExecutionProvider"])
    held = [load_low(path) for path in sorted(options.held_out.glob("*.npz"))]
    others = sorted(options.distractors.glob("*.npz"))[: options.most_distractors] if options.distractors else []
    tracks = [embed(session, audio) for audio in held] + [embed(session, load_low(path)) for path in others]
    lengths = np.array([len(track) for track in tracks])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    references = np.concatenate(tracks)
    rng = np.random.default_rng(0xE7A1)
    cells = []
    for seconds in SECONDS:
        for condition, decibels in CONDITIONS:
            hits, offsets, asked = 0, [], 0
            while asked < options.queries:
                number = int(rng.integers(len(held)))
                begin = int(rng.integers(0, len(held[number]) - seconds * SAMPLE_RATE))
                clip = held[number][begin : begin + seconds * SAMPLE_RATE]
                if clip.std() < 0.003:
                    continue
                asked += 1
                if decibels is not None:
                    clip = clip + coloured_noise(rng, len(clip)).astype(np.float32) * clip.std() * 10 ** (-decibels / 20)
                track, window = best(embed(session, clip.astype(np.float32)), references, starts, lengths)
                hits += track == number
                if track == number:
                    offsets.append(abs(window * HOP - begin) / SAMPLE_RATE)
            cells.append({
                "seconds": seconds, "condition": condition, "queries": asked, "hit_rate": hits / asked,
                "within_half_second": float(np.mean(np.array(offsets) <= 0.5)) if offsets else None,
            })
    print(f"{len(held)} held-out tracks, {len(others)} distractors, {len(references)} windows; {options.queries} queries a cell")
    print("| | " + " | ".join(name for name, _ in CONDITIONS) + " |\n|---|" + "---|" * len(CONDITIONS))
    for seconds in SECONDS:
        print(f"| {seconds} s | " + " | ".join(f"{100 * c['hit_rate']:.1f} %" for c in cells if c["seconds"] == seconds) + " |")
    if options.json:
        document = {"model": options.model.name, "held_out": len(held), "distractors": len(others), "windows": len(references), "cells": cells}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
