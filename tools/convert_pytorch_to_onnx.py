"""Turns a checkpoint of the separator into the ONNX file and manifest entry that otolith ships.

    python -m tools.convert_pytorch_to_onnx CHECKPOINT --name separator-5 --version 1.0.0 --models models
    python -m tools.convert_pytorch_to_onnx CHECKPOINT --name separator-2-lite --version 1.1.0 --pair

Writes `<name>-<version>.onnx` under a temporary name, checks it (operators, finite weights, outputs of PyTorch and onnxruntime at
65, 129 and 777 frames), then renames it and updates `manifest.json`; the entry before goes to `previous`. When a check fails the
folder is left as it was. `--pair` makes a model of vocals and instrumental of one of five stems, by summing the rows of the others.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from tools.onnx_graph import FEATURES_TENSOR, HALF_PRECISION_FROM, OPSET, build_onnx
from tools.reference_signal import reference_signal
from tools.train.network import BINS, LITE, BandSplitLocoformer, NetworkSize
from tools.train.warm_start import PAIR, summed_to_pair

CHECKED_FRAMES = (65, 129, 777)
TOLERANCE = 1e-4
"""Largest |PyTorch - onnxruntime| over the largest |PyTorch|, both with weights rounded to fp16: f32 sums in another order."""
RESIDUAL = "instruments"
"""Of five stems the widest, which least minds what the others leave."""
LICENCE = "MIT OR Apache-2.0"


def load_network(checkpoint: dict) -> BandSplitLocoformer:
    """The network of a checkpoint with its averaged (EMA) weights rounded as they are stored, in evaluation mode."""
    network = BandSplitLocoformer(NetworkSize.from_dict(checkpoint["size"]))
    network.load_state_dict(checkpoint["ema"], strict=True)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.numel() >= HALF_PRECISION_FROM:
                parameter.copy_(parameter.half().float())
    return network.eval()


def untrained_checkpoint(seed: int) -> dict:
    """A checkpoint of LITE with random weights, for work on the runtime before a model is trained."""
    torch.manual_seed(seed)
    network = BandSplitLocoformer(LITE)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() < 2:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return {"size": LITE.to_dict(), "ema": network.state_dict(), "step": 0, "seed": seed, "recipe": "none", "audio_hours": 0.0}


def as_pair(checkpoint: dict) -> dict:
    """The checkpoint of a model of many stems as one of vocals and instrumental, with the same vocals mask."""
    stems = len(checkpoint["size"]["stems"])
    return checkpoint | {
        "size": checkpoint["size"] | {"stems": list(PAIR)}, "ema": summed_to_pair(checkpoint["ema"], stems),
    }


def network_input(frames: int) -> np.ndarray:
    """The reference signal as a tensor [1, 4, frames, 2049], in row-major order."""
    return reference_signal(4 * frames * BINS).reshape(1, 4, frames, BINS)


def largest_difference(network: BandSplitLocoformer, model_bytes: bytes) -> float:
    """Largest difference between PyTorch and onnxruntime over the checked lengths, relative to the largest value."""
    session = onnxruntime.InferenceSession(model_bytes, providers=["CPUExecutionProvider"])
    worst = 0.0
    for frames in CHECKED_FRAMES:
        tensor = network_input(frames)
        with torch.no_grad():
            expected = network(torch.from_numpy(tensor)).numpy()
        found = session.run(None, {"spectrum": tensor})[0]
        if found.shape != expected.shape or not np.isfinite(found).all():
            raise ValueError(f"at {frames} frames onnxruntime gives {found.shape}, PyTorch {expected.shape}, or values not finite")
        worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
    return worst


def source_commit() -> str:
    """The last commit that changed the tools, or "unknown" outside a repository."""
    answer = subprocess.run(["git", "log", "-1", "--format=%H", "--", str(Path(__file__).parent)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


def manifest_entry(name: str, version: str, checkpoint: dict, model_bytes: bytes, minimum: str, commit: str) -> dict:
    """One entry of `manifest.json`, all keys of schema 1."""
    stems = list(checkpoint["size"]["stems"])
    return {
        "name": name, "kind": "separator", "model_version": version, "file": f"{name}-{version}.onnx",
        "bytes": len(model_bytes), "sha256": hashlib.sha256(model_bytes).hexdigest(), "opset": OPSET,
        "min_package_version": minimum, "licence": LICENCE, "contract": "complex-mask", "sample_rate": 44100,
        "stems": stems, "residual": RESIDUAL if RESIDUAL in stems else stems[-1],
        "parameters": {"n_fft": 4096, "hop": 1024, "gain": "std", "consistency": "energy", "features": FEATURES_TENSOR},
        "provenance": {
            "recipe": checkpoint["recipe"], "seed": checkpoint["seed"], "commit": commit, "steps": checkpoint["step"],
            "audio_hours": round(checkpoint["audio_hours"], 2), "metrics": f"provenance/{name}-{version}.json",
        },
        "previous": [],
    }


def update_manifest(path: Path, entry: dict) -> None:
    """Puts the entry into the manifest; an older version of the same name moves to `previous` while its file exists."""
    manifest = json.loads(path.read_text()) if path.exists() else {"schema": 1, "models": []}
    kept = []
    for other in manifest["models"]:
        if other["name"] != entry["name"]:
            kept.append(other)
            continue
        released = [dict(other, previous=None), *other["previous"]]
        keys = ("model_version", "file", "bytes", "sha256", "files", "min_package_version")
        entry["previous"] = [
            {key: old[key] for key in keys if key in old} for old in released
            if old["model_version"] != entry["model_version"]
            and all((path.parent / graph["file"]).exists() for graph in old.get("files", [old]))
        ]
    manifest["models"] = sorted([*kept, entry], key=lambda item: item["name"])
    temporary = path.with_suffix(".json.part")
    temporary.write_text(json.dumps(manifest, indent=2) + "\n")
    os.replace(temporary, path)


def release(models: Path, entry: dict, graphs: dict[str, bytes]) -> None:
    """Writes files by their names into `models` and their entry into its manifest, each under a temporary name first."""
    models.mkdir(parents=True, exist_ok=True)
    for file, data in graphs.items():
        temporary = models / (file + ".part")
        temporary.write_bytes(data)
        os.replace(temporary, models / file)
    update_manifest(models / "manifest.json", entry)


def convert(checkpoint: dict, name: str, version: str, models: Path, minimum: str) -> dict:
    """Writes the model and its manifest entry; gives the entry. Raises `ValueError` when a check fails."""
    network = load_network(checkpoint)
    commit = source_commit()
    metadata = {
        "model_version": version, "name": name, "recipe": checkpoint["recipe"], "commit": commit, "licence": LICENCE,
    }
    model_bytes = build_onnx(network, metadata).SerializeToString(deterministic=True)
    difference = largest_difference(network, model_bytes)
    if difference > TOLERANCE:
        raise ValueError(f"onnxruntime and PyTorch differ by {difference:.2e} of the largest value, allowed {TOLERANCE}")
    entry = manifest_entry(name, version, checkpoint, model_bytes, minimum, commit)
    release(models, entry, {entry["file"]: model_bytes})
    print(f"{entry['file']}: {len(model_bytes)} bytes, sha256 {entry['sha256']}, PyTorch against onnxruntime {difference:.1e}")
    return entry


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="file written by tools.train.separator, or 'untrained'")
    parser.add_argument("--name", default="separator-2-lite")
    parser.add_argument("--version", required=True, help="semantic version of the model")
    parser.add_argument("--pair", action="store_true", help="sum all stems but the vocals into an instrumental")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--min-package-version", default="0.1.0")
    options = parser.parse_args()
    if options.checkpoint == "untrained":
        checkpoint = untrained_checkpoint(seed=1)
    else:
        checkpoint = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
    if options.pair:
        checkpoint = as_pair(checkpoint)
    try:
        convert(checkpoint, options.name, options.version, options.models, options.min_package_version)
    except ValueError as error:
        print(f"not written: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
