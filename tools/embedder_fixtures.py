"""Makes the small embedder that tests run, and what numpy and onnxruntime make of the reference clip.

    python -m tools.embedder_fixtures

Writes tests/data/embedder: a network of contract mel-embedding with 16 dimensions, its manifest, and a reference. The weights are seeded
noise; the projection takes the mean of generated tones and noise out and evens the rest out, so that different sounds do differ.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from tools import embedder_onnx
from tools.convert_pytorch_to_onnx import LICENCE
from tools.embedder_export import reference_clip
from tools.train import embedder_features as features
from tools.train.embedder_network import Embedder, convolution

FOLDER = Path("tests/data/embedder")
DIMENSIONS = 16
BLOCKS = ((8, (2, 2)), (12, (2, 2)), (16, (2, 2)), (24, (2, 2)))
LAST_CELLS = 8 * 2
NAME, VERSION = "embedder-tiny", "1.0.0"


class TinyEmbedder(torch.nn.Module):
    """The shipped form with fewer channels."""

    def __init__(self):
        super().__init__()
        layers, width = [convolution(1, 6, 3, (2, 1))], 6
        for channels, stride in BLOCKS:
            layers += [convolution(width, width, 3, stride, groups=width), convolution(width, channels, 1, (1, 1))]
            width = channels
        self.layers = torch.nn.Sequential(*layers)
        self.projection = torch.nn.Linear(width * LAST_CELLS, DIMENSIONS, bias=False)

    forward = Embedder.forward


def sounds(count: int) -> np.ndarray:
    """Seconds of a few tones each in noise, f32 [count, 8000]."""
    rng = np.random.default_rng(5)
    n = np.arange(features.WINDOW)
    windows = []
    for _ in range(count):
        tones = [np.sin(2 * np.pi * f * n / 8000) * (n > s) for f, s in zip(rng.uniform(300, 3500, 5), rng.integers(0, 6000, 5), strict=True)]
        windows.append(sum(tones) * 0.1 + rng.normal(size=len(n)) * rng.uniform(0.0005, 0.02))
    return np.stack(windows).astype(np.float32)


def build() -> TinyEmbedder:
    torch.manual_seed(7)
    network = TinyEmbedder().eval()
    with torch.no_grad():
        hidden = network.layers(torch.from_numpy(features.mel_windows(sounds(400)))).flatten(1).double().numpy()
        mean = hidden.mean(0) / np.linalg.norm(hidden.mean(0))
        rest = hidden - np.outer(hidden @ mean, mean)
        _, spread, directions = np.linalg.svd(rest, full_matrices=False)
        weight = directions[:DIMENSIONS] / spread[:DIMENSIONS, None] * np.sqrt(len(hidden))
        network.projection.weight.copy_(torch.from_numpy(weight - np.outer(weight @ mean, mean)))
    return network


def main() -> None:
    embedder_onnx.DIMENSIONS = DIMENSIONS
    metadata = {"name": NAME, "model_version": VERSION, "licence": LICENCE}
    data = embedder_onnx.embedder_graph(build(), metadata).SerializeToString(deterministic=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = f"{NAME}-{VERSION}.onnx"
    (FOLDER / file).write_bytes(data)
    entry = {
        "name": NAME, "kind": "embedder", "model_version": VERSION, "file": file, "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(), "opset": embedder_onnx.OPSET, "min_package_version": "0.1.0", "licence": LICENCE,
        "contract": "mel-embedding", "sample_rate": features.SAMPLE_RATE,
        "parameters": {
            "window": features.WINDOW, "hop": features.HOP, "pad": features.PAD, "frame": features.FRAME, "n_fft": features.TRANSFORM,
            "frame_hop": features.FRAME_HOP, "frames": features.FRAMES, "mels": features.MELS, "low": int(features.LOW),
            "high": int(features.HIGH), "range_db": int(features.RANGE_DB), "dimensions": DIMENSIONS,
        },
    }
    (FOLDER / "manifest.json").write_text(json.dumps({"schema": 1, "models": [entry]}, indent=2) + "\n")
    clip = reference_clip()
    windows = np.stack([clip[i * features.HOP : i * features.HOP + features.WINDOW] for i in range(5)])
    mels = features.mel_windows(windows, precise=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    embeddings = session.run(None, {"mels": mels.astype(np.float32)})[0]
    reference = {
        "tool": f"onnxruntime {onnxruntime.__version__}, mels by numpy in f64", "clip": "tools/embedder_export.py, reference_clip",
        "mels_of_window_1": [[float(f"{v:.7g}") for v in row[::4]] for row in mels[1, 0, ::8]],
        "mels_places": "every 8th band from 0, every 4th frame from 0",
        "embeddings": [[float(f"{v:.7g}") for v in row] for row in embeddings],
    }
    (FOLDER / "reference.json").write_text(json.dumps(reference, separators=(",", ":")) + "\n")
    print(f"{file}: {len(data)} bytes")


if __name__ == "__main__":
    main()
