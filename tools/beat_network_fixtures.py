"""Writes tests/data/beat_network/: small beat networks with random weights, and what onnxruntime gives for them.

    python -m tools.beat_network_fixtures

Three levels in place of eleven and eight; everything else is the contract of docs/algorithms/beats.md. The sound is six seconds of decaying
noise bursts at 120 beats per minute that tests/rust/beat_network.rs makes too. Features by numpy and scipy, networks by onnxruntime: neither
shares a line with src/.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from tools.beat_onnx import BLOCK, graphs
from tools.train.beat_features import band_magnitudes, log_bands
from tools.train.beat_network import FRONT_CONTEXT, BeatNetwork, BeatSize

FOLDER = Path(__file__).parent.parent / "tests/data/beat_network"
VERSION = "0.0.1"
LICENCE = "MIT OR Apache-2.0"
LEVELS = 3


def bursts() -> np.ndarray:
    n = np.arange(264_600, dtype=np.uint64)
    noise = ((n * np.uint64(2_654_435_761)) % np.uint64(2**32)).astype(np.float64) / 2**31 - 1
    return (noise / 10 * np.exp(-((n % np.uint64(22_050)).astype(np.float64)) / 2_000)).astype(np.float32)


def padded(bands: np.ndarray, before: int, after: int) -> np.ndarray:
    return np.concatenate([np.repeat(bands[:1], before, 0), bands, np.repeat(bands[-1:], after, 0)])[None, None]


def offline(run, bands: np.ndarray) -> dict:
    front = run("front", bands=padded(bands, FRONT_CONTEXT // 2, FRONT_CONTEXT // 2))[0]
    out = run("trunk", front=front)[0][0]
    tempo = run("tempo", skips=out[2:].mean(axis=1, keepdims=True).T)[0][0]
    return {"beat": out[0].tolist(), "downbeat": out[1].tolist(), "tempo": tempo.tolist()}


def streaming(run, bands: np.ndarray) -> dict:
    rows = padded(bands, FRONT_CONTEXT, 0)
    state = np.zeros((1, 20, 8 * (2**LEVELS - 1)), np.float32)
    blocks = []
    for start in range(0, len(bands), BLOCK):
        out, state = run("block", bands=rows[:, :, start : start + FRONT_CONTEXT + BLOCK], state=state)
        blocks.append(out[0])
    out = np.concatenate(blocks, axis=1)
    return {"beat": out[0].tolist(), "downbeat": out[1].tolist(), "tempo": []}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    bands = log_bands(band_magnitudes(bursts())).astype(np.float32)
    entries = []
    kinds = [("beat-tcn", "beat-activations", False, offline), ("beat-causal", "beat-activations-causal", True, streaming)]
    for name, contract, causal, reference in kinds:
        torch.manual_seed(7)
        network = BeatNetwork(BeatSize(levels=LEVELS, causal=causal)).eval()
        files, sessions = [], {}
        for role, graph in graphs(network, {"name": name, "model_version": VERSION, "licence": LICENCE}).items():
            content = graph.SerializeToString()
            file = f"{name}-{role}-{VERSION}.onnx"
            (FOLDER / file).write_bytes(content)
            files.append({"role": role, "file": file, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
            sessions[role] = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

        def run(role, sessions=sessions, **inputs):
            return sessions[role].run(None, inputs)

        given = {key: [round(value, 7) for value in values] for key, values in reference(run, bands).items()}
        given["tool"] = f"onnxruntime {onnxruntime.__version__}"
        (FOLDER / f"{name}-{VERSION}.json").write_text(json.dumps(given) + "\n")
        entries.append({
            "name": name, "kind": "beat", "model_version": VERSION, "files": files, "opset": 17, "min_package_version": "0.1.0",
            "licence": LICENCE, "contract": contract, "sample_rate": 44100,
        })
    (FOLDER / "manifest.json").write_text(json.dumps({"schema": 1, "models": entries}, indent=2) + "\n")


if __name__ == "__main__":
    main()
