"""Writes the embedder as an ONNX graph: batch normalisation folded into the convolutions, weights in fp16, arithmetic in f32."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from tools.onnx_graph import GraphWriter
from tools.train.embedder_features import FRAMES, MELS
from tools.train.embedder_network import DIMENSIONS, Embedder

OPSET = 17


def folded(block: torch.nn.Sequential) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a convolution with its batch normalisation."""
    convolution, norm = block[0], block[1]
    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().double()
    weight = convolution.weight.detach().double() * scale[:, None, None, None]
    bias = norm.bias.detach().double() - norm.running_mean.double() * scale
    return weight.numpy(), bias.numpy()


def embedder_graph(network: Embedder, metadata: dict[str, str]) -> onnx.ModelProto:
    writer, values = GraphWriter(), "mels"
    for index, block in enumerate(network.layers):
        weight, bias = folded(block)
        convolution = block[0]
        inputs = [values, writer.weight(weight, f"layer{index}.weight"), writer.weight(bias, f"layer{index}.bias")]
        pad = convolution.kernel_size[0] // 2
        values = writer.node(
            "Conv", inputs, strides=list(convolution.stride), pads=[pad] * 4, group=convolution.groups,
            kernel_shape=list(convolution.kernel_size),
        )
        values = writer.node("Relu", [values])
    flat = writer.node("Flatten", [values], axis=1)
    writer.node("MatMul", [flat, writer.weight(network.projection.weight.detach().numpy().T, "projection")], name="embedding")
    graph = helper.make_graph(
        writer.nodes, "embedder",
        [helper.make_tensor_value_info("mels", TensorProto.FLOAT, ["batch", 1, MELS, FRAMES])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIMENSIONS])], writer.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="otolith")
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model
