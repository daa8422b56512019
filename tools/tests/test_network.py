"""The network's size, a restatement of one block in numpy from its formulas, and the exported graph."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tools.convert_pytorch_to_onnx import convert, largest_difference, load_network, network_input, untrained_checkpoint
from tools.make_fixture_models import write as write_fixtures
from tools.onnx_graph import ALLOWED_OPERATORS, build_onnx
from tools.reference_signal import reference_signal
from tools.train.network import BANDS, BINS, LITE, STANDARD, BandSplitLocoformer, LocoformerPath, NetworkSize
from tools.validate_onnx import Invalid, validate

TINY = NetworkSize(features=16, blocks=1, convolution=16, attention=32, head=16)


def parameters_of(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_bands_cover_the_spectrum_once():
    assert len(BANDS) == 30 and sum(BANDS) == BINS == 2049


def test_sizes_are_those_of_the_design():
    assert abs(parameters_of(BandSplitLocoformer(LITE)) - 1.07e6) < 0.01e6
    assert abs(parameters_of(BandSplitLocoformer(STANDARD)) - 2.49e6) < 0.01e6


def rms_norm(x, gain, groups):
    frames, bands, width = x.shape
    grouped = x.reshape(frames, bands, groups, width // groups)
    return (grouped / np.sqrt((grouped**2).mean(axis=3, keepdims=True) + 1e-5)).reshape(x.shape) * gain


def swiglu(x, weights, prefix, axis):
    """x [frames, bands, D]; convolution over x[t-K+1..t], gate, convolution over h[t..t+K-1], along `axis`."""
    wide, wide_bias = weights[prefix + "widen.weight"], weights[prefix + "widen.bias"]
    narrow, narrow_bias = weights[prefix + "narrow.weight"], weights[prefix + "narrow.bias"]
    wide, narrow = (w.reshape(w.shape[0], w.shape[1], -1) for w in (wide, narrow))
    kernel, length = wide.shape[2], x.shape[axis]

    def shifted(values, steps):
        out = np.zeros_like(values)
        for place in range(length):
            if 0 <= place + steps < length:
                index, source = [slice(None)] * 3, [slice(None)] * 3
                index[axis], source[axis] = place, place + steps
                out[tuple(index)] = values[tuple(source)]
        return out

    x = rms_norm(x, weights[prefix + "norm.gain"], 4)
    hidden = wide_bias + sum(shifted(x, tap - kernel + 1) @ wide[:, :, tap].T for tap in range(kernel))
    value, gate = np.split(hidden, 2, axis=2)
    gated = value * gate / (1 + np.exp(-gate))
    return narrow_bias + sum(shifted(gated, tap) @ narrow[:, :, tap].T for tap in range(kernel))


def attention(x, weights, prefix, over_time):
    """Two heads of 16; rotary angles pos * 10000^(-2i/16) on adjacent pairs along frequency, none along time."""
    normed = rms_norm(x, weights[prefix + "norm.gain"], 4)
    projected = normed @ weights[prefix + "project.weight"][:, :, 0, 0].T
    query, key, value = np.split(projected, 3, axis=2)
    merged = np.zeros(query.shape)
    lines = query.shape[1] if over_time else query.shape[0]
    for line in range(lines):
        for head in range(2):
            pick = (slice(None), line) if over_time else (line, slice(None))
            q, k, v = (part[pick][:, 16 * head : 16 * head + 16] for part in (query, key, value))
            if not over_time:
                position = np.arange(len(q))[:, None] * 10000.0 ** (-2 * np.arange(8) / 16)
                turn = np.exp(1j * position)
                q, k = (np.stack([(t := (p[:, ::2] + 1j * p[:, 1::2]) * turn).real, t.imag], 2).reshape(len(p), 16) for p in (q, k))
            scores = q @ k.T / 4
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            result = scores / scores.sum(axis=1, keepdims=True) @ v
            merged[pick][:, 16 * head : 16 * head + 16] = result
    return merged @ weights[prefix + "merge.weight"][:, :, 0, 0].T


@pytest.mark.parametrize("over_time", [False, True])
def test_a_path_agrees_with_its_formulas_in_numpy(over_time):
    torch.manual_seed(2)
    path = LocoformerPath(LITE, over_time).double()
    with torch.no_grad():
        for parameter in path.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    weights = {name: value.detach().numpy() for name, value in path.state_dict().items()}
    x = np.random.default_rng(3).standard_normal((11, 30, 32))
    axis = 0 if over_time else 1
    expected = x + swiglu(x, weights, "first.", axis)
    expected = expected + attention(expected, weights, "attention.", over_time)
    expected = expected + swiglu(expected, weights, "second.", axis)
    with torch.no_grad():
        found = path(torch.from_numpy(x.transpose(2, 0, 1)[None]))[0].numpy().transpose(1, 2, 0)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_exported_graph_has_the_parameters_and_only_allowed_operators():
    torch.manual_seed(0)
    network = BandSplitLocoformer(LITE)
    model = build_onnx(network, {"name": "x"})
    assert {node.op_type for node in model.graph.node} <= ALLOWED_OPERATORS
    learned = sum(
        int(np.prod(tensor.dims)) for tensor in model.graph.initializer if tensor.data_type != onnx.TensorProto.INT64
        and not tensor.name.startswith(("rotary", "scalar"))
    )
    assert learned == parameters_of(network)


@pytest.mark.parametrize("size", [LITE, TINY])
def test_onnxruntime_agrees_with_pytorch(size):
    torch.manual_seed(1)
    checkpoint = {"size": size.to_dict(), "ema": BandSplitLocoformer(size).state_dict()}
    network = load_network(checkpoint)
    assert largest_difference(network, build_onnx(network, {}).SerializeToString()) <= 1e-4


def test_a_weight_that_is_not_finite_leaves_the_folder_untouched(tmp_path):
    checkpoint = untrained_checkpoint(1)
    checkpoint["ema"]["head.gains.0"][0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        convert(checkpoint, "separator-2-lite", "1.0.0", tmp_path, "0.1.0")
    assert list(tmp_path.iterdir()) == []


def test_export_writes_file_and_manifest_and_keeps_the_version_before(tmp_path):
    convert(untrained_checkpoint(1), "separator-2-lite", "1.0.0", tmp_path, "0.1.0")
    convert(untrained_checkpoint(2), "separator-2-lite", "1.1.0", tmp_path, "0.1.0")
    entry = json.loads((tmp_path / "manifest.json").read_text())["models"][0]
    assert entry["model_version"] == "1.1.0" and [old["model_version"] for old in entry["previous"]] == ["1.0.0"]
    assert (tmp_path / entry["file"]).stat().st_size == entry["bytes"] <= 2_300_000


def test_validation_passes_an_export_and_stores_its_reference(tmp_path):
    convert(untrained_checkpoint(1), "separator-2-lite", "1.0.0", tmp_path, "0.1.0")
    reference = validate(tmp_path / "manifest.json", "separator-2-lite", tmp_path / "data", None)
    assert [case["output_shape"] for case in reference["cases"]] == [[1, 8, 65, 2049], [1, 8, 777, 2049]]
    assert all(len(case["values"]) == 4096 and len(case["channel_energy"]) == 8 for case in reference["cases"])
    assert (tmp_path / "data" / "separator-2-lite-1.0.0.json").exists()


def test_validation_refuses_a_changed_byte(tmp_path):
    entry = convert(untrained_checkpoint(1), "separator-2-lite", "1.0.0", tmp_path, "0.1.0")
    data = bytearray((tmp_path / entry["file"]).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / entry["file"]).write_bytes(data)
    with pytest.raises(Invalid, match="digest"):
        validate(tmp_path / "manifest.json", "separator-2-lite", None, None)


def test_fixture_models_are_the_committed_bytes(tmp_path):
    write_fixtures(tmp_path)
    committed = Path(__file__).parents[2] / "tests/data/models"
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (committed / path.name).read_bytes()


def test_the_reference_signal_is_the_one_of_the_other_languages():
    values = reference_signal(4)
    assert np.allclose(values, [-0.1, 0.0236068, -0.0527864, 0.0708204], atol=1e-6)
    assert network_input(65).shape == (1, 4, 65, BINS)
