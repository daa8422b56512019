"""Turns a checkpoint of a beat network into the ONNX files and the manifest entry that otolith ships, and stores a reference.

    python -m tools.beat_export tools/.work/beat-tcn.pt --version 1.0.0 --reference tests/data/models

Files are written under temporary names, checked (finite weights, PyTorch against onnxruntime at most 1e-5 apart in every activation,
at most 400 kB together), then renamed; when a check fails the folder is left as it was.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from tools.beat_activations import activations, load_network
from tools.beat_decoder import decode_beats
from tools.beat_onnx import BLOCK, OPSET, graphs
from tools.convert_pytorch_to_onnx import LICENCE, release, source_commit
from tools.train.beat_features import BANDS, FPS, FRAME, HOP, SAMPLE_RATE, band_magnitudes, log_bands
from tools.train.beat_network import CHANNELS, FRONT_CONTEXT, TEMPO_BINS, BeatNetwork

TOLERANCE = 1e-5
LARGEST = 400_000
REFERENCE_SECONDS = 6
FRONT_BLOCK, WINDOW, MARGIN = 512, 32_768, 8_188
SKIP_DECAY = 1000


def reference_clip() -> np.ndarray:
    """Six seconds, f32 at 44.1 kHz, that Rust makes too: the reference signal of `tools.reference_signal` in bursts at 120 BPM."""
    count = REFERENCE_SECONDS * SAMPLE_RATE
    hashed = (np.arange(count, dtype=np.uint64) * np.uint64(2654435761)) % np.uint64(1 << 32)
    noise = (hashed.astype(np.float64) / 2.0**31 - 1.0) / 10.0
    return (noise * np.exp(-(np.arange(count) % 22050) / 2000.0)).astype(np.float32)


def run_files(network: BeatNetwork, files: dict[str, bytes], bands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What onnxruntime gives for bands [frames, 81]: activations [22, frames] and tempo [300]."""
    sessions = {role: onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]) for role, data in files.items()}
    before = FRONT_CONTEXT if network.size.causal else FRONT_CONTEXT // 2
    frames = len(bands)
    after = FRONT_CONTEXT - before + (frames % BLOCK if network.size.causal else 0)
    rows = np.concatenate([np.repeat(bands[:1], before, 0), bands, np.repeat(bands[-1:], after, 0)]).astype(np.float32)[None, None]
    if not network.size.causal:
        front = sessions["front"].run(None, {"bands": rows})[0]
        found = sessions["trunk"].run(None, {"front": front})[0]
        mean = found[:, 2:].mean(axis=2)
    else:
        state = np.zeros((1, CHANNELS, sum(level.history for level in network.levels)), np.float32)
        blocks, mean = [], np.zeros((1, CHANNELS))
        for first in range(0, frames, BLOCK):
            inputs = {"bands": rows[:, :, first : first + BLOCK + FRONT_CONTEXT], "state": state}
            block, state = sessions["block"].run(None, inputs)
            blocks.append(block)
        found = np.concatenate(blocks, axis=2)[:, :, :frames]
        for place in range(frames):
            mean += (found[:, 2:, place] - mean) * max(1 / (place + 1), 1 / SKIP_DECAY)
    tempo = sessions["tempo"].run(None, {"skips": mean.astype(np.float32)})[0]
    return found[0], tempo[0]


def manifest_entry(name: str, version: str, files: dict[str, bytes], causal: bool, checkpoint: dict, commit: str) -> dict:
    """One entry of `manifest.json`."""
    parameters = {"frame": FRAME, "hop": HOP, "bands": BANDS, "tempo_bins": TEMPO_BINS}
    if causal:
        parameters |= {"context": FRONT_CONTEXT, "block": BLOCK, "state": 2040, "skip_decay": SKIP_DECAY}
    else:
        parameters |= {"context": FRONT_CONTEXT // 2, "front_block": FRONT_BLOCK, "window": WINDOW, "margin": MARGIN}
    return {
        "name": name, "kind": "beat", "model_version": version,
        "files": [
            {"role": role, "file": f"{name}-{role}-{version}.onnx", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for role, data in files.items()
        ],
        "opset": OPSET, "min_package_version": "0.1.0", "licence": LICENCE,
        "contract": "beat-activations-causal" if causal else "beat-activations", "sample_rate": SAMPLE_RATE, "parameters": parameters,
        "provenance": {
            "recipe": checkpoint["recipe"], "seed": checkpoint["seed"], "commit": commit, "steps": checkpoint["step"],
            "audio_hours": round(checkpoint["audio_hours"], 2), "metrics": f"provenance/{name}-{version}.json",
        },
        "previous": [],
    }


def export(path: Path, name: str, version: str, models: Path, reference: Path | None) -> dict:
    """Writes files, manifest entry and reference; gives the entry. Raises `ValueError` when a check fails."""
    network, checkpoint = load_network(path)
    commit = source_commit()
    metadata = {"name": name, "model_version": version, "licence": LICENCE, "recipe": checkpoint["recipe"], "commit": commit}
    files = {role: model.SerializeToString(deterministic=True) for role, model in graphs(network, metadata).items()}
    size = sum(map(len, files.values()))
    if size > LARGEST:
        raise ValueError(f"the files have {size} bytes together, allowed are {LARGEST}")
    bands = log_bands(band_magnitudes(reference_clip()))
    expected, expected_tempo = activations(network, bands)
    found, tempo = run_files(network, files, bands)
    difference = max(float(np.abs(found[:2] - expected[:2]).max()), float(np.abs(tempo - expected_tempo).max()))
    if not difference <= TOLERANCE:
        raise ValueError(f"onnxruntime and PyTorch differ by {difference:.2e} in an activation, allowed {TOLERANCE}")
    entry = manifest_entry(name, version, files, network.size.causal, checkpoint, commit)
    release(models, entry, {graph["file"]: data for graph, data in zip(entry["files"], files.values(), strict=True)})
    if reference is not None:
        stored = {
            "tool": f"onnxruntime {onnxruntime.__version__}", "clip": "tools/beat_export.py, reference_clip", "fps": FPS,
            "bands_of_frame": {str(k): [float(f"{v:.8g}") for v in bands[k]] for k in (0, 137, 599)},
            "beat": [float(f"{v:.8g}") for v in found[0]], "downbeat": [float(f"{v:.8g}") for v in found[1]],
            "tempo": [float(f"{v:.8g}") for v in tempo],
        }
        if not network.size.causal:
            stored["beats"] = [round(float(time), 6) for time in decode_beats(found[0])]
        (reference / f"{name}-{version}.json").write_text(json.dumps(stored, separators=(",", ":")) + "\n")
    print(f"{name} {version}: {size} bytes in {len(files)} files, PyTorch against onnxruntime {difference:.1e}")
    return entry


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--name", help="default: beat-tcn, or beat-causal by the checkpoint's network")
    parser.add_argument("--version", required=True, help="semantic version of the model")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--reference", type=Path, help="folder for onnxruntime's output on the reference clip")
    options = parser.parse_args()
    causal = torch.load(options.checkpoint, map_location="cpu", weights_only=True)["size"]["causal"]
    try:
        export(options.checkpoint, options.name or ("beat-causal" if causal else "beat-tcn"), options.version, options.models, options.reference)
    except ValueError as error:
        print(f"not written: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
