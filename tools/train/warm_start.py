"""Weights to begin a run with: those of an exported model, its head shared out over other stems, and back to two.

The masks of a model are linear in its heads' last layers, so a model of many stems turns into one of two exactly by summing rows,
and one of two into one of many by sharing them out.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from tools.train.network import BANDS, HEADS, BandSplitLocoformer, NetworkSize

PAIR = ("vocals", "instrumental")


def weights_of_onnx(path: Path, size: NetworkSize) -> dict[str, torch.Tensor]:
    """State of the network of `size` that `onnx_graph` wrote to `path`, as far as fp16 kept it."""
    stored = {}
    for tensor in onnx.load(path).graph.initializer:
        stored[tensor.name.removesuffix(".half")] = numpy_helper.to_array(tensor).astype(np.float32)
    state = {}
    for name, parameter in BandSplitLocoformer(size).state_dict().items():
        values = stored[name]
        if name.endswith("weight") and values.ndim == 2:
            values = values.T
        if name.endswith("project.weight"):
            values = values.copy()
            values[: size.attention] *= np.sqrt(size.attention // HEADS)
        state[name] = torch.from_numpy(values.reshape(parameter.shape).copy())
    return state


def _heads(state: dict[str, torch.Tensor]) -> list[str]:
    return [f"head.output.{band}.{kind}" for band in range(len(BANDS)) for kind in ("weight", "bias")]


def shared_out(state: dict[str, torch.Tensor], stems: int) -> dict[str, torch.Tensor]:
    """Vocals and instrumental to `stems` stems: vocals stay, every other one gets an equal part of the instrumental."""
    out = dict(state)
    for name in _heads(state):
        vocals, rest = state[name].chunk(2)
        out[name] = torch.cat([vocals, *[rest / (stems - 1)] * (stems - 1)])
    return out


def summed_to_pair(state: dict[str, torch.Tensor], stems: int) -> dict[str, torch.Tensor]:
    """The first of `stems` stems beside the sum of all others, exactly."""
    out = dict(state)
    for name in _heads(state):
        rows = state[name].chunk(stems)
        out[name] = torch.cat([rows[0], torch.stack(rows[1:]).sum(dim=0)])
    return out
