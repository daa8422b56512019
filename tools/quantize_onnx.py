"""Stores a separator's weights in fewer bits, and keeps the file only if its stems stay as good.

    python -m tools.quantize_onnx separator-2-lite --to int8 --stems DIR --out separator-2-lite-int8.onnx --json report.json

Arithmetic stays f32: `fp16` stores weights as half-precision numbers behind a Cast; `int8` stores matrices of more than 4096 values as
whole numbers of -127..127 with one scale for each output channel behind a DequantizeLinear, and the rest as they were. Both models
separate the songs of `DIR/<song>/<stem>.wav` (as `tools.evaluate_separation` reads them) by the same pipeline. Bounds:

* fp16: the median uSDR of every stem drops by 0.02 dB at most, and the network's output is 60 dB from its difference to f32 weights;
* int8: the median uSDR of every stem drops by 0.15 dB at most, and the median leakage into silent stems rises by 0.5 dB at most.

Outside its bounds nothing is written and the exit status is 1.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tools.evaluate_separation import SHIPPED_MANIFEST, evaluate, summarise
from tools.reference_signal import reference_signal
from tools.separation_pipeline import Pipeline, f32_session

HALF_FROM = 64
"""Smaller tensors (norm constants) stay f32."""
INT8_ABOVE = 4096
LARGEST = 127
"""-128 is left out, so that the scale is the same on both sides of zero."""
CHECKED_FRAMES = 65
BOUNDS = {
    "fp16": {"usdr_drop": 0.02, "leakage_rise": None, "output_snr": 60.0},
    "int8": {"usdr_drop": 0.15, "leakage_rise": 0.5, "output_snr": None},
}


class Weight:
    """A learned matrix of a graph: its values, the axis of its output channels, and where it is read."""

    def __init__(self, name: str, values: np.ndarray, axis: int):
        self.name, self.values, self.axis = name, values, axis


def stored_values(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Every constant tensor as f32 numbers by the name under which nodes read it: initialisers, also through Cast or DequantizeLinear."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in values and node.attribute[0].i == TensorProto.FLOAT:
            values[node.output[0]] = values[node.input[0]].astype(np.float32)
        if node.op_type == "DequantizeLinear" and all(name in values for name in node.input):
            quantised, scale, *zero = (values[name].astype(np.float32) for name in node.input)
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
            shape = [-1 if place == axis % quantised.ndim else 1 for place in range(quantised.ndim)]
            offset = zero[0].reshape(shape) if zero else 0
            values[node.output[0]] = (quantised - offset) * (scale.reshape(shape) if scale.size > 1 else scale)
    return {name: value for name, value in values.items() if value.dtype == np.float32}


def matrices(model: onnx.ModelProto) -> list[Weight]:
    """The weights of convolutions (output channels first) and matrix products (last)."""
    values, found = stored_values(model), {}
    for node in model.graph.node:
        axis = {"Conv": 0, "MatMul": -1}.get(node.op_type)
        if axis is not None and len(node.input) > 1 and node.input[1] in values and values[node.input[1]].ndim >= 2:
            name = node.input[1]
            axis %= values[name].ndim
            if name in found and found[name].axis != axis:
                raise ValueError(f"weight {name} has output channels on two axes")
            found[name] = Weight(name, values[name], axis)
    return list(found.values())


def to_int8(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers in -127..127, and the scale of each channel along `axis`: the largest magnitude there is 127."""
    others = tuple(place for place in range(values.ndim) if place != axis)
    largest = np.abs(values).max(axis=others).astype(np.float32)
    scale = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    shape = [-1 if place == axis else 1 for place in range(values.ndim)]
    return np.clip(np.rint(values / scale.reshape(shape)), -LARGEST, LARGEST).astype(np.int8), scale


def without(model: onnx.ModelProto, names: set[str]) -> onnx.ModelProto:
    """A copy in which nothing gives the tensors `names`, and no stored tensor is left that nobody reads."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    nodes = [node for node in graph.node if not names.intersection(node.output)]
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read and tensor.name not in names]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return copy


def put_in_front(model: onnx.ModelProto, nodes: list[onnx.NodeProto], tensors: list[onnx.TensorProto]) -> onnx.ModelProto:
    """Adds nodes before all others, and what they read."""
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    model.graph.initializer.extend(tensors)
    onnx.checker.check_model(model, full_check=True)
    return model


def quantise_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large matrices as int8, a scale for each output channel."""
    large = [weight for weight in matrices(model) if weight.values.size > INT8_ABOVE]
    nodes, tensors = [], []
    for weight in large:
        numbers, scale = to_int8(weight.values, weight.axis)
        parts = {".int8": numbers, ".scale": scale, ".zero": np.zeros(scale.shape, np.int8)}
        tensors += [numpy_helper.from_array(array, weight.name + suffix) for suffix, array in parts.items()]
        inputs = [weight.name + suffix for suffix in parts]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [weight.name], name=weight.name + ".int8.node", axis=weight.axis))
    return put_in_front(without(model, {weight.name for weight in large}), nodes, tensors)


def quantise_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every f32 initialiser of 64 values or more as fp16."""
    large = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= HALF_FROM
    }
    nodes, tensors = [], []
    for name, values in large.items():
        half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"weight {name} exceeds the range of fp16 ({np.abs(values).max()} > 65504)")
        tensors.append(numpy_helper.from_array(half, name + ".half"))
        nodes.append(helper.make_node("Cast", [name + ".half"], [name], name=name + ".node", to=TensorProto.FLOAT))
    return put_in_front(without(model, set(large)), nodes, tensors)


QUANTISERS = {"fp16": quantise_fp16, "int8": quantise_int8}


def output_snr(model: onnx.ModelProto, other: onnx.ModelProto) -> float:
    """Decibels of the first model's output over its difference from the other's, for the reference signal."""
    def run(which: onnx.ModelProto) -> np.ndarray:
        session = f32_session(which.SerializeToString())
        entry = session.get_inputs()[0]
        shape = [size if isinstance(size, int) else CHECKED_FRAMES for size in entry.shape]
        tensor = 10 * reference_signal(int(np.prod(shape))).reshape(shape)
        return session.run(None, {entry.name: tensor})[0].astype(np.float64)

    expected, found = run(model), run(other)
    error = np.square(expected - found).sum()
    return float("inf") if error == 0 else float(10 * np.log10(np.square(expected).sum() / error))


def breaches(kind: str, before: dict, after: dict, snr: float) -> list[str]:
    """What is outside the bounds of `kind`, a sentence each. `before` and `after`: stem -> measure -> quartiles."""
    bounds, found = BOUNDS[kind], []
    if bounds["output_snr"] is not None and snr < bounds["output_snr"]:
        found.append(f"the output is {snr:.1f} dB from the difference, {bounds['output_snr']:.0f} are needed")
    for stem, measures in before.items():
        for name, change, allowed in (("usdr", -1, bounds["usdr_drop"]), ("leakage", 1, bounds["leakage_rise"])):
            if allowed is None or name not in measures:
                continue
            worse = change * (after[stem][name]["median"] - measures[name]["median"])
            if worse > allowed:
                found.append(f"{stem}: median {name} is {worse:.3f} dB worse, {allowed} dB are allowed")
    return found


def candidate_pipeline(manifest: Path, name: str, model_bytes: bytes, folder: Path) -> Pipeline:
    """The pipeline of a manifest's model with another file in place of its own."""
    entry = next(entry for entry in json.loads(manifest.read_text())["models"] if entry["name"] == name)
    (folder / entry["file"]).write_bytes(model_bytes)
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "models": [entry]}))
    return Pipeline(folder / "manifest.json", name)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name in the manifest")
    parser.add_argument("--to", choices=sorted(BOUNDS), required=True)
    parser.add_argument("--manifest", type=Path, default=SHIPPED_MANIFEST)
    parser.add_argument("--stems", type=Path, required=True, help="folder with one folder per song")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    pipeline = Pipeline(options.manifest, options.model)
    before_bytes = (options.manifest.parent / pipeline.entry["file"]).read_bytes()
    original = onnx.load_from_string(before_bytes)
    quantised = QUANTISERS[options.to](original)
    after_bytes = quantised.SerializeToString(deterministic=True)
    songs = sorted(path for path in options.stems.iterdir() if path.is_dir())[: options.limit]
    with tempfile.TemporaryDirectory() as folder:
        candidate = candidate_pipeline(options.manifest, options.model, after_bytes, Path(folder))
        (before, skipped), (after, _) = (evaluate(songs, which, None, options.model) for which in (pipeline, candidate))
    if not before:
        print(f"not written: no song in {options.stems} could be measured: {skipped}", file=sys.stderr)
        return 1
    name = pipeline.entry["name"]
    summaries = [summarise({name: rows[name]})[name] for rows in (before, after)]
    snr = output_snr(original, quantised)
    found = breaches(options.to, *summaries, snr)
    report = {
        "model": name, "to": options.to, "songs": len(songs) - len(skipped), "bytes": [len(before_bytes), len(after_bytes)],
        "output_snr": round(snr, 2), "before": summaries[0], "after": summaries[1], "breaches": found,
    }
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    for line in [*skipped, *found]:
        print(line, file=sys.stderr)
    if found:
        return 1
    temporary = options.out.with_name(options.out.name + ".part")
    temporary.write_bytes(after_bytes)
    os.replace(temporary, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
