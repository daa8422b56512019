"""Writes the beat networks as ONNX graphs, node by node: `front`, `trunk` and `tempo`, or `block` and `tempo` of the causal one.

Tensor names and shapes are the contract that src/beat/ reads; docs/algorithms/beats.md states it.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tools.onnx_graph import GraphWriter
from tools.train.beat_features import BANDS
from tools.train.beat_network import CHANNELS, FRONT_CONTEXT, KERNEL, MEAN, SCALE, TEMPO_BINS, BeatNetwork, Level

OPSET = 17
BLOCK = 2
"""Frames that the causal network takes at a time."""


class SinglePrecision(GraphWriter):
    """Keeps every weight in f32."""

    def weight(self, values, name: str) -> str:
        array = np.ascontiguousarray(np.asarray(values, dtype=np.float32))
        if not np.isfinite(array).all():
            raise ValueError(f"weight {name} holds a value that is not finite: train again or take an earlier checkpoint")
        self.initializers.append(numpy_helper.from_array(array, name))
        return name


def _array(parameter) -> np.ndarray:
    return parameter.detach().double().numpy()


def _convolution(writer: GraphWriter, module, tensor: str, name: str, **attributes) -> str:
    inputs = [tensor, writer.weight(_array(module.weight), name + ".weight"), writer.weight(_array(module.bias), name + ".bias")]
    return writer.node("Conv", inputs, **attributes)


def _front(writer: GraphWriter, network: BeatNetwork, bands: str, output: str) -> str:
    """Input offset and scale are folded into the first convolution, which has no padding that they would change."""
    front = network.front
    weight = _array(front.first.weight) / SCALE
    bias = _array(front.first.bias) - MEAN * weight.sum(axis=(1, 2, 3))
    values = writer.node("Conv", [bands, writer.weight(weight, "front.first.weight"), writer.weight(bias, "front.first.bias")])
    for name, convolution in (("first", None), ("second", front.second), ("third", front.third)):
        if convolution is not None:
            values = _convolution(writer, convolution, values, f"front.{name}")
        values = writer.node("Elu", [writer.node("MaxPool", [values], kernel_shape=[1, 3], strides=[1, 3])], alpha=1.0)
    return writer.node("Squeeze", [values, writer.integers([3])], name=output)


def _level(writer: GraphWriter, level: Level, values: str, padded: str, index: int, pads: int) -> tuple[str, str]:
    """`pads` zeros at both ends for the near convolution, twice as many for the far one; 0 for the causal network."""
    near_input, name = padded, f"level{index}"
    if level.causal:
        near_input = writer.node(
            "Slice", [padded, writer.integers([level.history // 2]), writer.integers([2**31]), writer.integers([2])]
        )
    near = _convolution(writer, level.near, near_input, name + ".near", dilations=[level.dilation], pads=[pads, pads])
    far = _convolution(writer, level.far, padded, name + ".far", dilations=[2 * level.dilation], pads=[2 * pads, 2 * pads])
    joined = writer.node("Elu", [writer.node("Concat", [near, far], axis=1)], alpha=1.0)
    skip = _convolution(writer, level.skip, joined, name + ".skip")
    return writer.node("Add", [skip, _convolution(writer, level.straight, values, name + ".straight")]), skip


def _heads(writer: GraphWriter, network: BeatNetwork, values: str, skips: list[str]) -> None:
    total = skips[0]
    for skip in skips[1:]:
        total = writer.node("Add", [total, skip])
    beat = writer.node("Sigmoid", [_convolution(writer, network.beat, values, "beat")])
    downbeat = writer.node("Sigmoid", [_convolution(writer, network.downbeat, values, "downbeat")])
    writer.node("Concat", [beat, downbeat, total], name="activations", axis=1)


def _model(writer: GraphWriter, inputs: dict, outputs: dict, metadata: dict[str, str]) -> onnx.ModelProto:
    def declared(shapes: dict) -> list:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

    graph = helper.make_graph(writer.nodes, "beats", declared(inputs), declared(outputs), writer.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="otolith")
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def front_graph(network: BeatNetwork, metadata: dict[str, str]) -> onnx.ModelProto:
    writer = SinglePrecision()
    _front(writer, network, "bands", "front")
    return _model(writer, {"bands": [1, 1, "frames", BANDS]}, {"front": [1, CHANNELS, None]}, metadata)


def trunk_graph(network: BeatNetwork, metadata: dict[str, str]) -> onnx.ModelProto:
    writer, values, skips = SinglePrecision(), "front", []
    for index, level in enumerate(network.levels):
        values, skip = _level(writer, level, values, values, index, level.history // 4)
        skips.append(skip)
    _heads(writer, network, values, skips)
    return _model(writer, {"front": [1, CHANNELS, "frames"]}, {"activations": [1, CHANNELS + 2, "frames"]}, metadata)


def tempo_graph(network: BeatNetwork, metadata: dict[str, str]) -> onnx.ModelProto:
    writer = SinglePrecision()
    weight = writer.weight(_array(network.tempo.weight).T, "tempo.weight")
    product = writer.node("MatMul", ["skips", weight])
    logits = writer.node("Add", [product, writer.weight(_array(network.tempo.bias)[None], "tempo.bias")])
    writer.node("Softmax", [logits], name="tempo", axis=1)
    return _model(writer, {"skips": [1, CHANNELS]}, {"tempo": [1, TEMPO_BINS]}, metadata)


def block_graph(network: BeatNetwork, metadata: dict[str, str]) -> onnx.ModelProto:
    """Two frames of the causal network; the state holds each level's input history, oldest frame first."""
    writer, skips, kept = SinglePrecision(), [], []
    histories = [level.history for level in network.levels]
    values = _front(writer, network, "bands", "front")
    for index, (level, history) in enumerate(zip(network.levels, writer.split("state", histories, axis=2), strict=True)):
        padded = writer.node("Concat", [history, values], axis=2)
        kept.append(writer.node("Slice", [padded, writer.integers([BLOCK]), writer.integers([2**31]), writer.integers([2])]))
        values, skip = _level(writer, level, values, padded, index, 0)
        skips.append(skip)
    writer.node("Concat", kept, name="next_state", axis=2)
    _heads(writer, network, values, skips)
    state = [1, CHANNELS, sum(histories)]
    return _model(
        writer, {"bands": [1, 1, BLOCK + FRONT_CONTEXT, BANDS], "state": state},
        {"activations": [1, CHANNELS + 2, BLOCK], "next_state": state}, metadata,
    )


def graphs(network: BeatNetwork, metadata: dict[str, str]) -> dict[str, onnx.ModelProto]:
    """The files of a model by role."""
    if network.size.causal:
        return {"block": block_graph(network, metadata), "tempo": tempo_graph(network, metadata)}
    return {"front": front_graph(network, metadata), "trunk": trunk_graph(network, metadata), "tempo": tempo_graph(network, metadata)}
