"""Writes a trained band-split network as an ONNX graph, node by node.

The graph is built here and not traced, so that it holds no operator outside `ALLOWED_OPERATORS`, keeps the number of frames free
in one file, stores weights as fp16, and unrolls the attention over time in groups of bands (all 60 score matrices of 777 x 777
frames at once would be 145 MB; a group of 3 bands is 14.5 MB).
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tools.train.network import (
    BANDS, BINS, FREQUENCY_KERNEL, GROUPS, HEADS, NORM_EPSILON, TIME_KERNEL, BandSplitLocoformer, quarter_turn, rotary_tables,
)

OPSET = 17
FEATURES_TENSOR = "features"
ALLOWED_OPERATORS = frozenset(
    "Slice Split Concat Reshape Transpose Pad Conv MatMul Add Sub Mul Div Sqrt ReduceMean Sigmoid Softmax Cast Constant"
    " DequantizeLinear".split()
)
TIME_ATTENTION_BANDS = 3
"""Bands per group of the attention over time; 30 bands are 10 groups."""
HALF_PRECISION_FROM = 64
"""Tensors with at least this many values are stored as fp16; smaller ones (norm constants) stay f32."""


class GraphWriter:
    """Collects nodes and initialisers, and names tensors after what made them."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._count = 0
        self._shared: dict[bytes, str] = {}

    def _name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"

    def node(self, operator: str, inputs: list[str], name: str | None = None, **attributes) -> str:
        output = name or self._name(operator.lower())
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output + ".node", **attributes))
        return output

    def split(self, tensor: str, sizes: list[int], axis: int) -> list[str]:
        outputs = [self._name("part") for _ in sizes]
        lengths = self.integers(sizes)
        self.nodes.append(helper.make_node("Split", [tensor, lengths], outputs, name=outputs[0] + ".node", axis=axis))
        return outputs

    def integers(self, values: list[int]) -> str:
        array = np.asarray(values, dtype=np.int64)
        key = b"i" + array.tobytes()
        if key not in self._shared:
            self._shared[key] = self._name("shape")
            self.initializers.append(numpy_helper.from_array(array, self._shared[key]))
        return self._shared[key]

    def weight(self, values, name: str) -> str:
        """A learned or constant tensor: fp16 with a Cast to f32 where it is large, else f32."""
        array = np.ascontiguousarray(np.asarray(values, dtype=np.float32))
        if not np.isfinite(array).all():
            raise ValueError(f"weight {name} holds a value that is not finite: train again or take an earlier checkpoint")
        if array.size < HALF_PRECISION_FROM:
            self.initializers.append(numpy_helper.from_array(array, name))
            return name
        half = array.astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"weight {name} exceeds the range of fp16 ({np.abs(array).max()} > 65504)")
        self.initializers.append(numpy_helper.from_array(half, name + ".half"))
        return self.node("Cast", [name + ".half"], name=name, to=TensorProto.FLOAT)

    def reshape(self, tensor: str, shape: list[int]) -> str:
        return self.node("Reshape", [tensor, self.integers(shape)])

    def transpose(self, tensor: str, order: list[int]) -> str:
        return self.node("Transpose", [tensor], perm=order)

    def silu(self, tensor: str) -> str:
        return self.node("Mul", [tensor, self.node("Sigmoid", [tensor])])

    def normalise(self, tensor: str, axis: int) -> str:
        """x / sqrt(mean(x^2) + 1e-5) over one axis."""
        epsilon = self._scalar(NORM_EPSILON)
        square = self.node("Mul", [tensor, tensor])
        mean = self.node("ReduceMean", [square], axes=[axis], keepdims=1)
        root = self.node("Sqrt", [self.node("Add", [mean, epsilon])])
        return self.node("Div", [tensor, root])

    def _scalar(self, value: float) -> str:
        key = b"f" + np.float32(value).tobytes()
        if key not in self._shared:
            self._shared[key] = self._name("scalar")
            self.initializers.append(numpy_helper.from_array(np.asarray([value], np.float32), self._shared[key]))
        return self._shared[key]


class LocoformerGraph:
    """The graph of one `BandSplitLocoformer`; tensors inside the blocks are [1, D, frames, 30]."""

    def __init__(self, network: BandSplitLocoformer):
        self.size = network.size
        self.state = {name: value.detach().cpu().float().numpy() for name, value in network.state_dict().items()}
        self.graph = GraphWriter()
        width = self.size.attention // HEADS
        cosines, sines = rotary_tables(len(BANDS), width)
        self.turn = self.graph.weight(quarter_turn(width), "rotary.turn")
        self.cosines = self.graph.weight(cosines, "rotary.cosines")
        self.sines = self.graph.weight(sines, "rotary.sines")
        self.scale = 1.0 / np.sqrt(width)

    def _weight(self, name: str, transform=lambda array: array) -> str:
        return self.graph.weight(transform(self.state[name]), name)

    def _group_norm(self, x: str, prefix: str) -> str:
        features, graph = self.size.features, self.graph
        grouped = graph.reshape(x, [GROUPS, features // GROUPS, -1, len(BANDS)])
        flat = graph.reshape(graph.normalise(grouped, axis=1), [1, features, -1, len(BANDS)])
        return graph.node("Mul", [flat, self._weight(prefix + ".gain", lambda gain: gain.reshape(1, -1, 1, 1))])

    def _feed_forward(self, x: str, prefix: str, over_time: bool) -> str:
        graph, width = self.graph, self.size.convolution
        reach = (TIME_KERNEL if over_time else FREQUENCY_KERNEL) - 1
        before, after = ([reach, 0, 0, 0], [0, 0, reach, 0]) if over_time else ([0, reach, 0, 0], [0, 0, 0, reach])
        inputs = [self._group_norm(x, prefix + ".norm"), self._weight(prefix + ".widen.weight"), self._weight(prefix + ".widen.bias")]
        value, gate = graph.split(graph.node("Conv", inputs, pads=before), [width, width], axis=1)
        gated = graph.node("Mul", [value, graph.silu(gate)])
        inputs = [gated, self._weight(prefix + ".narrow.weight"), self._weight(prefix + ".narrow.bias")]
        return graph.node("Add", [x, graph.node("Conv", inputs, pads=after)])

    def _attend(self, query: str, key_transposed: str, value: str) -> str:
        scores = self.graph.node("Softmax", [self.graph.node("MatMul", [query, key_transposed])], axis=-1)
        return self.graph.node("MatMul", [scores, value])

    def _rotate(self, x: str) -> str:
        graph = self.graph
        turned = graph.node("Mul", [graph.node("MatMul", [x, self.turn]), self.sines])
        return graph.node("Add", [graph.node("Mul", [x, self.cosines]), turned])

    def _attention(self, x: str, prefix: str, over_time: bool) -> str:
        graph, attention, bands = self.graph, self.size.attention, len(BANDS)
        width = attention // HEADS

        def scaled(weight: np.ndarray) -> np.ndarray:
            weight = weight.copy()
            weight[:attention] *= self.scale
            return weight

        inputs = [self._group_norm(x, prefix + ".norm"), self._weight(prefix + ".project.weight", scaled)]
        parts = graph.split(graph.node("Conv", inputs), [attention] * 3, axis=1)
        query, key, value = [graph.reshape(part, [HEADS, width, -1, bands]) for part in parts]
        if over_time:
            groups = [TIME_ATTENTION_BANDS] * (bands // TIME_ATTENTION_BANDS)
            queries = graph.split(graph.transpose(query, [3, 0, 2, 1]), groups, axis=0)
            keys = graph.split(graph.transpose(key, [3, 0, 1, 2]), groups, axis=0)
            values = graph.split(graph.transpose(value, [3, 0, 2, 1]), groups, axis=0)
            attended = [self._attend(*group) for group in zip(queries, keys, values)]
            joined = graph.transpose(graph.node("Concat", attended, axis=0), [1, 3, 2, 0])
        else:
            query = self._rotate(graph.transpose(query, [2, 0, 3, 1]))
            key = graph.transpose(self._rotate(graph.transpose(key, [2, 0, 3, 1])), [0, 1, 3, 2])
            attended = self._attend(query, key, graph.transpose(value, [2, 0, 3, 1]))
            joined = graph.transpose(attended, [1, 3, 0, 2])
        flat = graph.reshape(joined, [1, attention, -1, bands])
        return graph.node("Add", [x, graph.node("Conv", [flat, self._weight(prefix + ".merge.weight")])])

    def _encoder(self, spectrum: str) -> str:
        graph, encoded = self.graph, []
        for index, (band, width) in enumerate(zip(graph.split(spectrum, list(BANDS), axis=3), BANDS)):
            values = graph.reshape(graph.transpose(band, [0, 2, 1, 3]), [1, -1, 4 * width])
            gained = graph.node("Mul", [graph.normalise(values, axis=2), self._weight(f"encoder.gains.{index}")])
            weight = self._weight(f"encoder.linears.{index}.weight", np.transpose)
            linear = graph.node("Add", [graph.node("MatMul", [gained, weight]), self._weight(f"encoder.linears.{index}.bias")])
            encoded.append(graph.reshape(linear, [1, -1, self.size.features, 1]))
        return graph.transpose(graph.node("Concat", encoded, axis=3), [0, 2, 1, 3])

    def _head(self, features: str) -> str:
        graph, masks, outputs = self.graph, [], 4 * len(self.size.stems)
        by_frame = graph.transpose(features, [0, 2, 3, 1])
        for index, (band, width) in enumerate(zip(graph.split(by_frame, [1] * len(BANDS), axis=2), BANDS)):
            values = graph.reshape(band, [1, -1, self.size.features])
            gained = graph.node("Mul", [graph.normalise(values, axis=2), self._weight(f"head.gains.{index}")])
            hidden = self._linear(gained, f"head.hidden.{index}")
            mask = self._linear(graph.silu(hidden), f"head.output.{index}")
            masks.append(graph.reshape(mask, [1, -1, outputs, width]))
        return graph.transpose(graph.node("Concat", masks, axis=3), [0, 2, 1, 3])

    def _linear(self, x: str, prefix: str) -> str:
        product = self.graph.node("MatMul", [x, self._weight(prefix + ".weight", np.transpose)])
        return self.graph.node("Add", [product, self._weight(prefix + ".bias")])

    def build(self) -> onnx.ModelProto:
        """The model: input `spectrum` [1,4,frames,2049], output `masks` [1,stems*4,frames,2049], cut point `features`."""
        x = self._encoder("spectrum")
        for index in range(self.size.blocks):
            for path, over_time in enumerate((False, True)):
                prefix = f"blocks.{index}.{path}"
                x = self._feed_forward(x, prefix + ".first", over_time)
                x = self._attention(x, prefix + ".attention", over_time)
                x = self._feed_forward(x, prefix + ".second", over_time)
        self.graph.nodes[-1].output[0] = FEATURES_TENSOR
        self._head(FEATURES_TENSOR)
        self.graph.nodes[-1].output[0] = "masks"
        channels = 4 * len(self.size.stems)
        proto = helper.make_graph(
            self.graph.nodes, "band_split_locoformer",
            [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, [1, 4, "frames", BINS])],
            [helper.make_tensor_value_info("masks", TensorProto.FLOAT, [1, channels, "frames", BINS])],
            self.graph.initializers,
        )
        return helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="otolith")


def build_onnx(network: BandSplitLocoformer, metadata: dict[str, str]) -> onnx.ModelProto:
    """The ONNX model of a network, checked by `onnx.checker` and against the list of operators, with its metadata."""
    model = LocoformerGraph(network).build()
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model, full_check=True)
    outside = {node.op_type for node in model.graph.node} - ALLOWED_OPERATORS
    if outside:
        raise ValueError(f"operators outside the list that the runtimes are tested with: {sorted(outside)}")
    return model
