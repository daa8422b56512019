"""Turns a checkpoint of the embedder into the ONNX file and the manifest entry that otolith ships, and stores a reference.

    python -m tools.embedder_export tools/.work/embedder.pt --version 1.0.0 --reference tests/data/models
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from tools.convert_pytorch_to_onnx import LICENCE, release, source_commit
from tools.embedder_onnx import OPSET, embedder_graph
from tools.train import embedder_features as features
from tools.train.embedder_network import DIMENSIONS, Embedder

NAME = "embedder"
LARGEST = 2_000_000
LEAST_COSINE = 0.9999
"""Between PyTorch in f32 and onnxruntime with weights in fp16."""


def load_embedder(path: Path) -> tuple[Embedder, dict]:
    """The embedder of a checkpoint with its averaged weights, in evaluation mode, and the checkpoint."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    network = Embedder()
    network.load_state_dict(checkpoint["ema"], strict=True)
    return network.eval(), checkpoint


def reference_clip() -> np.ndarray:
    """Three seconds at 8 kHz, f32, from a closed form: four sines of slowly swinging phase over one that fades in.

    Rust computes the same: sample n is sum over f = 330, 495, 660, 1234 of 0.2 sin(2 pi f n/8000 + sin(n/3000)), plus
    0.1 (n/24000) sin(2 pi 2750 n/8000).
    """
    n = np.arange(3 * features.SAMPLE_RATE)
    clip = sum(0.2 * np.sin(2 * np.pi * f * n / 8000 + np.sin(n / 3000)) for f in (330, 495, 660, 1234))
    return (clip + 0.1 * (n / 24000) * np.sin(2 * np.pi * 2750 * n / 8000)).astype(np.float32)


def export(path: Path, version: str, models: Path, reference: Path | None) -> dict:
    """Writes file, manifest entry and reference; gives the entry. Raises `ValueError` when a check fails."""
    network, checkpoint = load_embedder(path)
    commit = source_commit()
    metadata = {"name": NAME, "model_version": version, "licence": LICENCE, "recipe": checkpoint["recipe"], "commit": commit}
    data = embedder_graph(network, metadata).SerializeToString(deterministic=True)
    if len(data) > LARGEST:
        raise ValueError(f"the file has {len(data)} bytes, allowed are {LARGEST}")
    clip = reference_clip()
    windows = np.stack([clip[i * features.HOP : i * features.HOP + features.WINDOW] for i in range(5)])
    mels = features.mel_windows(windows, precise=True)
    with torch.no_grad():
        expected = network(torch.from_numpy(mels.astype(np.float32))).numpy()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    found = session.run(None, {"mels": mels.astype(np.float32)})[0]
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    if not cosines.min() >= LEAST_COSINE:
        raise ValueError(f"onnxruntime (fp16 weights) and PyTorch agree to a cosine of {cosines.min():.6f}, needed {LEAST_COSINE}")
    entry = {
        "name": NAME, "kind": "embedder", "model_version": version, "file": f"{NAME}-{version}.onnx", "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(), "opset": OPSET, "min_package_version": "0.1.0", "licence": LICENCE,
        "contract": "mel-embedding", "sample_rate": features.SAMPLE_RATE,
        "parameters": {
            "window": features.WINDOW, "hop": features.HOP, "pad": features.PAD, "frame": features.FRAME, "n_fft": features.TRANSFORM,
            "frame_hop": features.FRAME_HOP, "frames": features.FRAMES, "mels": features.MELS, "low": int(features.LOW),
            "high": int(features.HIGH), "range_db": int(features.RANGE_DB), "dimensions": DIMENSIONS,
        },
        "provenance": {
            "recipe": checkpoint["recipe"], "seed": checkpoint["seed"], "commit": commit, "steps": checkpoint["step"],
            "audio_hours": round(checkpoint["audio_hours"], 2), "metrics": f"provenance/{NAME}-{version}.json",
        },
        "previous": [],
    }
    release(models, entry, {entry["file"]: data})
    if reference is not None:
        stored = {
            "tool": f"onnxruntime {onnxruntime.__version__}, mels by numpy in f64", "clip": "tools/embedder_export.py, reference_clip",
            "windows": len(windows), "mels_of_window_1": [[float(f"{v:.7g}") for v in row[::4]] for row in mels[1, 0, ::8]],
            "mels_places": "every 8th band from 0, every 4th frame from 0",
            "embeddings": [[float(f"{v:.7g}") for v in row] for row in found],
        }
        (reference / f"{NAME}-{version}.json").write_text(json.dumps(stored, separators=(",", ":")) + "\n")
    print(f"{entry['file']}: {len(data)} bytes, cosine of fp16 to f32 at least {cosines.min():.7f}")
    return entry


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--version", required=True, help="semantic version of the model")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--reference", type=Path, help="folder for onnxruntime's output on the reference clip")
    options = parser.parse_args()
    try:
        export(options.checkpoint, options.version, options.models, options.reference)
    except ValueError as error:
        print(f"not written: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
