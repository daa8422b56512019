"""Numbers of fewer bits: their error, the graph around them, and the bounds that a file must keep."""

import json

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, helper, numpy_helper

from tools import quantize_onnx
from tools.quantize_onnx import breaches, main, matrices, output_snr, quantise_fp16, quantise_int8, stored_values, to_int8
from tools.separation_pipeline import f32_session


def network(half: bool = False) -> onnx.ModelProto:
    """A convolution of 96 channels to 64 and a product to 80, each above 4096 values, a small bias and a small product."""
    random = np.random.default_rng(5)
    weights = {
        "conv": random.standard_normal((64, 96, 1, 1)) * np.geomspace(0.01, 10, 64)[:, None, None, None],
        "product": random.standard_normal((64, 80)), "small": random.standard_normal((80, 8)), "bias": random.standard_normal(64),
    }
    tensors, nodes = [], []
    for name, values in weights.items():
        if half and name != "bias":
            tensors.append(numpy_helper.from_array(values.astype(np.float16), name + ".half"))
            nodes.append(helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT))
        else:
            tensors.append(numpy_helper.from_array(values.astype(np.float32), name))
    nodes += [
        helper.make_node("Conv", ["x", "conv", "bias"], ["y"]),
        helper.make_node("Transpose", ["y"], ["rows"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["rows", "product"], ["z"]),
        helper.make_node("MatMul", ["z", "small"], ["out"]),
    ]
    shapes = {"x": [1, 96, "frames", 3], "out": [1, "frames", 3, 8]}
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(nodes, "small", infos[:1], infos[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_each_channel_has_a_scale_of_its_own_and_no_value_is_off_by_more_than_half_a_step():
    values = matrices(network())[0].values
    numbers, scale = to_int8(values, 0)
    assert numbers.dtype == np.int8 and scale.shape == (64,) and np.abs(numbers).max() == 127
    error = np.abs(numbers * scale[:, None, None, None] - values)
    assert (error <= scale[:, None, None, None] * (0.5 + 1e-5)).all()
    zeros, ones = to_int8(np.zeros((2, 3), np.float32), 1)
    assert not zeros.any() and (ones == 1).all()


@pytest.mark.parametrize("half", [False, True])
def test_int8_takes_the_large_matrices_alone_and_onnxruntime_reads_it(half):
    model = network(half)
    quantised = quantise_int8(model)
    kinds = {tensor.name: tensor.data_type for tensor in quantised.graph.initializer}
    assert {name for name, kind in kinds.items() if kind == TensorProto.INT8 and name.endswith(".int8")} == {"conv.int8", "product.int8"}
    assert "bias" in kinds and ("small.half" if half else "small") in kinds
    assert "conv" not in kinds and "conv.half" not in kinds
    restored, original = stored_values(quantised), stored_values(model)
    for name in ("conv", "product"):
        assert np.abs(restored[name] - original[name]).max() <= np.abs(original[name]).max() / 127
    # 254 steps over the range of each channel: noise of 1/12 of a squared step.
    assert 35 < output_snr(model, quantised) < 60
    assert len(quantised.SerializeToString()) < (0.75 if half else 0.5) * len(model.SerializeToString())


def test_fp16_halves_what_is_large_and_stays_60_db_away():
    model = network()
    quantised = quantise_fp16(model)
    assert output_snr(model, quantised) > 60
    assert len(quantised.SerializeToString()) < 0.6 * len(model.SerializeToString())
    # What is fp16 already stays as it is; the bias is left.
    stored = {tensor.name: tensor for tensor in quantise_fp16(network(True)).graph.initializer}
    assert all(stored[tensor.name] == tensor for tensor in network(True).graph.initializer if tensor.name.endswith(".half"))
    assert "bias.half" in stored and "bias" not in stored
    large = network()
    large.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((64, 96, 1, 1), 1e6, np.float32), "conv"))
    with pytest.raises(ValueError, match="conv exceeds the range of fp16"):
        quantise_fp16(large)


def test_onnxruntime_runs_both_as_numpy_does():
    model = quantise_int8(network())
    values = stored_values(model)
    x = np.random.default_rng(1).standard_normal((1, 96, 4, 3)).astype(np.float32)
    y = np.einsum("oc,bcft->bfto", values["conv"][:, :, 0, 0], x) + values["bias"]
    expected = y @ values["product"] @ values["small"]
    found = f32_session(model.SerializeToString()).run(None, {"x": x})[0]
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def quartiles(**medians):
    return {name: {"median": value} for name, value in medians.items()}


def test_bounds_at_both_sides():
    before = {"vocals": quartiles(usdr=2.0, leakage=-30.0), "drums": quartiles(usdr=1.0)}
    kept = {"vocals": quartiles(usdr=1.86, leakage=-29.6), "drums": quartiles(usdr=3.0)}
    assert breaches("int8", before, kept, 20.0) == []
    lost = {"vocals": quartiles(usdr=1.84, leakage=-29.4), "drums": quartiles(usdr=0.8)}
    assert len(breaches("int8", before, lost, 20.0)) == 3
    assert len(breaches("fp16", before, kept, 70.0)) == 1
    assert breaches("fp16", before, before, 59.0) == ["the output is 59.0 dB from the difference, 60 are needed"]


def test_a_file_outside_its_bounds_is_not_written(tmp_path, monkeypatch, capsys):
    random = np.random.default_rng(3)
    song = tmp_path / "stems" / "song"
    song.mkdir(parents=True)
    for stem in ("vocals", "instrumental"):
        soundfile.write(song / f"{stem}.wav", 0.1 * random.standard_normal((44_100, 2)), 44_100, subtype="FLOAT")
    out, report = tmp_path / "model.onnx", tmp_path / "report.json"
    arguments = ["separator-2-lite", "--to", "int8", "--stems", str(tmp_path / "stems"), "--out", str(out), "--json", str(report)]
    monkeypatch.setitem(quantize_onnx.BOUNDS, "int8", {"usdr_drop": -1000.0, "leakage_rise": None, "output_snr": None})
    assert main(arguments) == 1 and not out.exists()
    assert "dB are allowed" in capsys.readouterr().err
    monkeypatch.setitem(quantize_onnx.BOUNDS, "int8", {"usdr_drop": 1000.0, "leakage_rise": None, "output_snr": None})
    assert main(arguments) == 0 and onnx.load(out).graph.node
    found = json.loads(report.read_text())
    assert found["bytes"][1] < 0.7 * found["bytes"][0] and found["songs"] == 1
