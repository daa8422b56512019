"""Checks a separator's ONNX file and stores what onnxruntime makes of the reference signal.

    python -m tools.validate_onnx models/manifest.json separator-2-lite --references tests/data/models

Checked: digest and length against the manifest, onnx.checker, opset, the operators used, input and output against the contract, finite
outputs at 65, 129 and 777 frames, the cut at `features` against the whole graph, and, with `--checkpoint`, PyTorch. Exit status 1
when something fails. The reference file holds, for 65 and 777 frames, the output's shape, the energy of each channel and 4096 values
at places floor(k * size / 4096), so that another runtime can be compared without onnxruntime at hand.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnx.utils
import onnxruntime
import torch

from tools.convert_pytorch_to_onnx import TOLERANCE, largest_difference, load_network, network_input
from tools.onnx_graph import ALLOWED_OPERATORS

RUN_FRAMES = (65, 129, 777)
STORED_FRAMES = (65, 777)
STORED_VALUES = 4096
CUT_TOLERANCE = 1e-5


class Invalid(ValueError):
    """The model fails a check; the message says which, with what was found and wanted."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise Invalid(message)


def fixed(dimension) -> int | None:
    return dimension.dim_value if dimension.HasField("dim_value") else None


def check_graph(model: onnx.ModelProto, entry: dict) -> None:
    """Opset, operators, and the shapes of the one input and one output."""
    onnx.checker.check_model(model, full_check=True)
    opset = model.opset_import[0].version
    require(opset == entry["opset"], f"opset {opset}, manifest {entry['opset']}")
    outside = {node.op_type for node in model.graph.node} - ALLOWED_OPERATORS
    require(not outside, f"operators outside the list: {sorted(outside)}")
    require(len(model.graph.input) == 1 and len(model.graph.output) == 1, "one input and one output are wanted")
    bins = entry["parameters"]["n_fft"] // 2 + 1
    for value, channels in ((model.graph.input[0], 4), (model.graph.output[0], 4 * len(entry["stems"]))):
        shape = [fixed(dimension) for dimension in value.type.tensor_type.shape.dim]
        require(shape == [1, channels, None, bins], f"{value.name} has shape {shape}, wanted [1, {channels}, free, {bins}]")
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    for key, wanted in (("name", entry["name"]), ("model_version", entry["model_version"]), ("licence", entry["licence"])):
        require(metadata.get(key) == wanted, f"metadata {key} is {metadata.get(key)!r}, manifest {wanted!r}")


def run_whole(model_bytes: bytes, input_name: str, frames: int) -> np.ndarray:
    session = onnxruntime.InferenceSession(model_bytes, providers=["CPUExecutionProvider"])
    return session.run(None, {input_name: network_input(frames)})[0]


def check_cut(path: Path, model: onnx.ModelProto, features: str, whole: np.ndarray, frames: int) -> float:
    """Body and head run one after the other, the head in two slices, against the whole graph; gives the largest difference."""
    source, target = model.graph.input[0].name, model.graph.output[0].name
    with tempfile.TemporaryDirectory() as folder:
        body, head = Path(folder, "body.onnx"), Path(folder, "head.onnx")
        onnx.utils.extract_model(str(path), str(body), [source], [features], check_model=False)
        onnx.utils.extract_model(str(path), str(head), [features], [target], check_model=False)
        tensor = onnxruntime.InferenceSession(str(body)).run(None, {source: network_input(frames)})[0]
        session = onnxruntime.InferenceSession(str(head))
        middle = frames // 2
        slices = [session.run(None, {features: np.ascontiguousarray(part)})[0] for part in (tensor[:, :, :middle], tensor[:, :, middle:])]
    difference = float(np.abs(np.concatenate(slices, axis=2) - whole).max() / np.abs(whole).max())
    require(difference <= CUT_TOLERANCE, f"cut at {features}: differs by {difference:.1e}, allowed {CUT_TOLERANCE}")
    return difference


def reference_case(frames: int, output: np.ndarray) -> dict:
    flat = output.reshape(-1)
    places = np.arange(STORED_VALUES, dtype=np.int64) * flat.size // STORED_VALUES
    energy = (output[0].astype(np.float64) ** 2).sum(axis=(1, 2))
    return {
        "frames": frames, "output_shape": list(output.shape), "largest": float(np.abs(flat).max()),
        "channel_energy": [float(f"{value:.9g}") for value in energy],
        "values": [float(f"{value:.9g}") for value in flat[places]],
    }


def validate(manifest: Path, name: str, references: Path | None, checkpoint: Path | None) -> dict:
    """Runs every check; gives the reference. Raises `Invalid` at the first failure."""
    entries = {entry["name"]: entry for entry in json.loads(manifest.read_text())["models"]}
    require(name in entries, f"{manifest} has no model {name!r}: it has {sorted(entries)}")
    entry = entries[name]
    path = manifest.parent / entry["file"]
    model_bytes = path.read_bytes()
    digest = hashlib.sha256(model_bytes).hexdigest()
    require(len(model_bytes) == entry["bytes"], f"{path} has {len(model_bytes)} bytes, manifest {entry['bytes']}")
    require(digest == entry["sha256"], f"{path} has digest {digest}, manifest {entry['sha256']}")
    model = onnx.load_from_string(model_bytes)
    check_graph(model, entry)
    outputs = {frames: run_whole(model_bytes, model.graph.input[0].name, frames) for frames in RUN_FRAMES}
    for frames, output in outputs.items():
        require(bool(np.isfinite(output).all()), f"the output at {frames} frames is not finite")
    print(f"{path.name}: contract and finite outputs at {RUN_FRAMES} frames")
    if features := entry["parameters"].get("features"):
        print(f"cut at {features!r}: {check_cut(path, model, features, outputs[129], 129):.1e} of the largest value")
    if checkpoint:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        difference = largest_difference(load_network(state), model_bytes)
        require(difference <= TOLERANCE, f"PyTorch differs by {difference:.1e}, allowed {TOLERANCE}")
        print(f"PyTorch against onnxruntime: {difference:.1e} of the largest value")
    reference = {
        "name": name, "model_version": entry["model_version"], "sha256": digest,
        "reference": f"onnxruntime {onnxruntime.__version__}",
        "input": "x[n] = ((n * 2654435761 mod 2^32) / 2^31 - 1) / 10, row-major over [1, 4, frames, 2049]",
        "places": f"floor(k * size / {STORED_VALUES}), k = 0..{STORED_VALUES - 1}, of the row-major output",
        "tolerance": {"largest": 1e-3, "relative_rms": 1e-4, "energy": 1e-4},
        "cases": [reference_case(frames, outputs[frames]) for frames in STORED_FRAMES],
    }
    if references:
        references.mkdir(parents=True, exist_ok=True)
        target = references / f"{name}-{entry['model_version']}.json"
        target.write_text(json.dumps(reference) + "\n")
        print(f"wrote {target}")
    return reference


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("name")
    parser.add_argument("--references", type=Path, help="folder for the reference file")
    parser.add_argument("--checkpoint", type=Path, help="compare with PyTorch too")
    options = parser.parse_args()
    try:
        validate(options.manifest, options.name, options.references, options.checkpoint)
    except (Invalid, onnx.checker.ValidationError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
