"""Writes the small networks that the tests run in place of trained ones, with their manifest.

    python -m tools.make_fixture_models tests/data/models

One right network per contract, whose stems are known in closed form (a quarter and three quarters of the mix), and wrong ones,
each broken in one way. The files are a function of this script alone: same bytes on every run.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BINS = 2049
STEMS = ["vocals", "instrumental"]
SHARES = (0.25, 0.75)
"""What each stem keeps of the mix."""
TONE_LIMIT = 20.0
"""Spectral value that unit noise (about 1) does not reach and a steady tone of the same power (about 37) does."""


def scalar(value: float, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray([value], np.float32), name)


def real_mask(value: float, name: str) -> onnx.TensorProto:
    """[1,4,1,1]: the complex number `value` for left and right."""
    return numpy_helper.from_array(np.asarray([value, 0, value, 0], np.float32).reshape(1, 4, 1, 1), name)


def model(nodes, inputs, outputs, constants, opset: int = 17) -> onnx.ModelProto:
    def tensors(shapes):
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

    graph = helper.make_graph(nodes, "fixture", tensors(inputs), tensors(outputs), constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, producer_name="otolith")


def constant_masks(opset: int = 17, bins: int = BINS, stems: int = 2, frames: int | str = "frames", shares=SHARES) -> onnx.ModelProto:
    """Masks that do not look at the input's values; `features` is the input times zero, so the graph can be cut there."""
    nodes = [helper.make_node("Mul", ["spectrum", "zero"], ["features"])]
    constants = [scalar(0.0, "zero")]
    parts = []
    for stem in range(stems):
        constants.append(real_mask(shares[stem], f"share_{stem}"))
        nodes.append(helper.make_node("Add", ["features", f"share_{stem}"], [f"mask_{stem}"]))
        parts.append(f"mask_{stem}")
    nodes.append(helper.make_node("Concat", parts, ["masks"], axis=1))
    return model(nodes, {"spectrum": [1, 4, frames, bins]}, {"masks": [1, 4 * stems, frames, bins]}, constants, opset)


def int8_copies(contract_input: list, contract_output: list) -> onnx.ModelProto:
    """The input times each share by a convolution whose weights are whole numbers, 127 on the diagonals, with a scale for each output."""
    matrix = np.concatenate([127 * np.eye(4)] * len(SHARES)).astype(np.int8).reshape(-1, 4, 1, 1)
    scale = np.repeat(np.asarray(SHARES, np.float32) / np.float32(127), 4)
    parts = {"weight.int8": matrix, "weight.scale": scale, "weight.zero": np.zeros(len(scale), np.int8)}
    nodes = [
        helper.make_node("DequantizeLinear", list(parts), ["weight"], axis=0),
        helper.make_node("Conv", ["mix", "weight"], ["stems"], kernel_shape=[1, 1]),
    ]
    constants = [numpy_helper.from_array(array, name) for name, array in parts.items()]
    return model(nodes, {"mix": contract_input}, {"stems": contract_output}, constants)


def scaled_copies(contract_input: list, contract_output: list, axis: int, new_axis: bool) -> onnx.ModelProto:
    """The input times each share, joined along `axis`."""
    nodes, constants, parts = [], [], []
    for stem, share in enumerate(SHARES):
        constants.append(scalar(share, f"share_{stem}"))
        nodes.append(helper.make_node("Mul", ["mix", f"share_{stem}"], [f"scaled_{stem}"]))
        parts.append(f"scaled_{stem}")
    if new_axis:
        constants.append(numpy_helper.from_array(np.asarray([1, 1, 2, -1], np.int64), "stem_shape"))
        for stem, part in enumerate(parts):
            nodes.append(helper.make_node("Reshape", [part, "stem_shape"], [f"stem_{stem}"]))
        parts = [f"stem_{stem}" for stem in range(len(parts))]
    nodes.append(helper.make_node("Concat", parts, ["stems"], axis=axis))
    return model(nodes, {"mix": contract_input}, {"stems": contract_output}, constants)


def mdx_quarter(batch: int | str = 1, bins: int = 3072, frames: int | str = 256) -> onnx.ModelProto:
    nodes = [helper.make_node("Mul", ["mix", "share"], ["target"])]
    shape = [batch, 4, bins, frames]
    return model(nodes, {"mix": shape}, {"target": shape}, [scalar(SHARES[0], "share")])


def one_copy() -> onnx.ModelProto:
    """A waveform network that gives a single stem without an axis for it, whatever its manifest says."""
    nodes = [helper.make_node("Mul", ["mix", "share"], ["stem"])]
    return model(nodes, {"mix": [1, 2, "samples"]}, {"stem": [1, 2, "samples"]}, [scalar(SHARES[0], "share")])


def endless_copies() -> onnx.ModelProto:
    """A waveform network that divides by zero."""
    nodes = [helper.make_node("Div", ["mix", "zero"], ["endless"]), helper.make_node("Reshape", ["endless", "shape"], ["stem"]),
             helper.make_node("Concat", ["stem", "stem"], ["stems"], axis=1)]
    constants = [scalar(0.0, "zero"), numpy_helper.from_array(np.asarray([1, 1, 2, -1], np.int64), "shape")]
    return model(nodes, {"mix": [1, 2, "samples"]}, {"stems": [1, 2, 2, "samples"]}, constants)


def infinite_masks() -> onnx.ModelProto:
    """Divides by zero whatever the input is."""
    nodes = [
        helper.make_node("Mul", ["spectrum", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "one"], ["ones"]),
        helper.make_node("Div", ["ones", "zero"], ["endless"]),
        helper.make_node("Concat", ["endless", "endless"], ["masks"], axis=1),
    ]
    shapes = {"spectrum": [1, 4, "frames", BINS]}, {"masks": [1, 8, "frames", BINS]}
    return model(nodes, *shapes, [scalar(0.0, "zero"), scalar(1.0, "one")])


def masks_broken_by_tones() -> onnx.ModelProto:
    """Constant masks, except NaN where a spectral value exceeds `TONE_LIMIT`: passes a trial on noise, fails on a tone."""
    nodes = [
        helper.make_node("Sub", ["limit", "spectrum"], ["room"]),
        helper.make_node("Sqrt", ["room"], ["root"]),
        # Not a product with zero: a runtime may fold that to zeros without looking.
        helper.make_node("Sub", ["root", "root"], ["features"]),
        helper.make_node("Add", ["features", "share_0"], ["mask_0"]),
        helper.make_node("Add", ["features", "share_1"], ["mask_1"]),
        helper.make_node("Concat", ["mask_0", "mask_1"], ["masks"], axis=1),
    ]
    constants = [scalar(TONE_LIMIT, "limit")]
    constants += [real_mask(share, f"share_{stem}") for stem, share in enumerate(SHARES)]
    return model(nodes, {"spectrum": [1, 4, "frames", BINS]}, {"masks": [1, 8, "frames", BINS]}, constants)


def two_outputs() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Concat", ["spectrum", "spectrum"], ["masks"], axis=1),
        helper.make_node("Mul", ["masks", "half"], ["more"]),
    ]
    shape = [1, 8, "frames", BINS]
    return model(nodes, {"spectrum": [1, 4, "frames", BINS]}, {"masks": shape, "more": shape}, [scalar(0.5, "half")])


def three_axes() -> onnx.ModelProto:
    """A rank-3 input where the contract wants rank 4."""
    nodes = [helper.make_node("Concat", ["spectrum", "spectrum"], ["masks"], axis=0)]
    return model(nodes, {"spectrum": [4, "frames", BINS]}, {"masks": [8, "frames", BINS]}, [])


COMPLEX = {"n_fft": 4096, "hop": 1024, "gain": "std", "consistency": "energy"}
CUT = COMPLEX | {"features": "features"}
SPECTRA = [1, 4, "frames", BINS], [1, 8, "frames", BINS]
WAVES = {"gain": "none", "consistency": "residual"}
MDX = {"n_fft": 6144, "hop": 1024, "bins": 3072, "frames": 256, "compensate": 1.0, "gain": "none", "consistency": "residual"}
FIXED_FRAMES = 301
FIXED_SAMPLES = 262_144
FIVE = ["vocals", "drums", "bass", "instruments", "fx"]
FIVE_SHARES = (0.125, 0.25, 0.0625, 0.5, 0.0625)


def fixtures() -> list[tuple[str, str, dict, onnx.ModelProto, list[str], str]]:
    """Name, contract, parameters, network, stems and residual of each fixture; the names of wrong ones begin with `wrong-`."""
    def waves(samples):
        return scaled_copies([1, 2, samples], [1, 2, 2, samples], axis=1, new_axis=True)

    of_two = [
        ("mask-quarters", "complex-mask", CUT, constant_masks()),
        ("map-quarters", "complex-map", COMPLEX, scaled_copies(*SPECTRA, axis=1, new_axis=False)),
        # As `quantize_onnx` stores weights.
        ("map-int8", "complex-map", COMPLEX, int8_copies(*SPECTRA)),
        ("waveform-quarters", "waveform", WAVES | {"samples": None}, waves("samples")),
        ("mdx-quarter", "mdx", MDX, mdx_quarter()),
        # What is left out has its contract's default.
        ("mask-fixed", "complex-mask", {"frames": FIXED_FRAMES}, constant_masks(frames=FIXED_FRAMES)),
        ("waveform-fixed", "waveform", {"samples": FIXED_SAMPLES}, waves(FIXED_SAMPLES)),
        ("mdx-open", "mdx", {"n_fft": 2048, "hop": 512, "bins": 1025, "frames": 128, "compensate": 2.0},
         mdx_quarter("batch", 1025, "frames")),
        ("wrong-bins", "complex-mask", CUT, constant_masks(bins=1025)),
        ("wrong-stems", "complex-mask", CUT, constant_masks(stems=1)),
        ("wrong-rank", "complex-mask", COMPLEX, three_axes()),
        ("wrong-outputs", "complex-mask", COMPLEX, two_outputs()),
        ("wrong-opset", "complex-mask", CUT, constant_masks(opset=99)),
        ("wrong-features", "complex-mask", COMPLEX | {"features": "absent"}, constant_masks()),
        ("wrong-infinite", "complex-mask", COMPLEX, infinite_masks()),
        ("wrong-on-tones", "complex-mask", CUT, masks_broken_by_tones()),
        ("wrong-fixed", "complex-mask", COMPLEX, constant_masks(frames=FIXED_FRAMES)),
        ("wrong-map-stems", "complex-map", COMPLEX, constant_masks(stems=1)),
        ("wrong-waveform-stems", "waveform", WAVES, one_copy()),
        ("wrong-waveform-samples", "waveform", WAVES | {"samples": 131_072}, waves(FIXED_SAMPLES)),
        ("wrong-waveform-infinite", "waveform", WAVES, endless_copies()),
        ("wrong-mdx-bins", "mdx", MDX, mdx_quarter(bins=2048)),
        ("wrong-mdx-frames", "mdx", MDX, mdx_quarter(frames=128)),
    ]
    others = [
        ("mask-five", "complex-mask", CUT, constant_masks(stems=5, shares=FIVE_SHARES), FIVE, "instruments"),
        ("mask-one", "complex-mask", CUT, constant_masks(stems=1), ["vocals"], "rest"),
    ]
    return [(*fixture, STEMS, STEMS[-1]) for fixture in of_two] + others


def write(folder: Path) -> dict:
    """Writes every file and `manifest.json`; gives the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, contract, parameters, proto, stems, residual in fixtures():
        model_bytes = proto.SerializeToString(deterministic=True)
        file = f"{name}-1.0.0.onnx"
        (folder / file).write_bytes(model_bytes)
        entries.append({
            "name": name, "kind": "separator", "model_version": "1.0.0", "file": file, "bytes": len(model_bytes),
            "sha256": hashlib.sha256(model_bytes).hexdigest(), "opset": proto.opset_import[0].version,
            "min_package_version": "0.1.0", "licence": "MIT OR Apache-2.0", "contract": contract, "sample_rate": 44100,
            "stems": stems, "residual": residual, "parameters": parameters,
        })
    manifest = {"schema": 1, "models": entries}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("tests/data/models"))
    for entry in write(parser.parse_args().folder)["models"]:
        print(f"{entry['file']:28} {entry['bytes']:6} bytes  {entry['contract']}")


if __name__ == "__main__":
    main()
