"""Weights to begin a run with: those of an exported model, made wider and deeper, its head shared out over other stems, and back to two.

The masks of a model are linear in its heads' last layers, so a model of many stems turns into one of two exactly by summing rows,
and one of two into one of many by sharing them out. A wider and deeper network that computes the same is made after Chen et al.,
"Net2Net: accelerating learning via knowledge transfer" (ICLR 2016).
"""

from dataclasses import replace
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


SPLIT = 0.5
"""Spread, in deviations of the weights, by which the two copies of a channel are told apart."""


def _inputs_doubled(weight: torch.Tensor, times: int) -> torch.Tensor:
    """[out, in, ...] that reads each input from `times` copies: parts that differ but sum to the weight."""
    if times == 1:
        return weight
    copies = (weight / times).repeat_interleave(times, dim=1)
    spread = SPLIT * float(weight.std()) * torch.randn_like(copies)
    mean = spread.unflatten(1, (-1, times)).mean(dim=2).repeat_interleave(times, dim=1)
    return copies + spread - mean


def _outputs_added(weight: torch.Tensor, grown: torch.Tensor) -> torch.Tensor:
    """`weight` in the first rows of `grown`."""
    return torch.cat([weight, grown[len(weight) :]])


def _inputs_unread(weight: torch.Tensor, grown: torch.Tensor) -> torch.Tensor:
    """`weight`, and zeros for the inputs that only the larger network has."""
    added = grown.shape[1] - weight.shape[1]
    return torch.cat([weight, weight.new_zeros(weight.shape[0], added, *weight.shape[2:])], dim=1)


def _grown(name: str, weight: torch.Tensor | None, grown: torch.Tensor, times: int) -> torch.Tensor:
    """One parameter of the larger network: `weight` is the smaller one's, `grown` what the larger one begins with."""
    part = name.split(".")[-2]
    reads_features = part in ("widen", "project") or name.startswith("head.hidden")
    if weight is None:
        return torch.zeros_like(grown) if part in ("narrow", "merge") else grown
    if reads_features and name.endswith("weight"):
        weight = _inputs_doubled(weight, times)
    if part == "widen":
        halves = zip(weight.chunk(2), grown.chunk(2), strict=True)
        return torch.cat([_outputs_added(half, added) for half, added in halves])
    if name.startswith("head.hidden"):
        return _outputs_added(weight, grown)
    if part == "narrow" and name.endswith("weight"):
        return _inputs_unread(weight, grown).repeat_interleave(times, dim=0)
    if name.startswith("head.output") and name.endswith("weight"):
        return _inputs_unread(weight, grown)
    gives_features = name.endswith("gain") or name.startswith(("encoder.linears", "head.gains")) or part in ("narrow", "merge")
    return weight.repeat_interleave(times, dim=0) if gives_features else weight


def widened(state: dict[str, torch.Tensor], size: NetworkSize, larger: NetworkSize) -> dict[str, torch.Tensor]:
    """State of a network of `larger` with the masks of the given one of `size`, to rounding.

    Features are copied side by side, so that groups of norms keep their means; hidden units and blocks are added with outputs that
    nothing reads yet. Stems and attention widths must be the same and features a multiple.
    """
    times = larger.features // size.features
    if larger != replace(
        size, features=times * size.features, blocks=max(size.blocks, larger.blocks),
        convolution=max(size.convolution, larger.convolution), head=max(size.head, larger.head),
    ):
        raise ValueError(f"a network of {size} does not widen to one of {larger}")
    out = {}
    for name, grown in BandSplitLocoformer(larger).state_dict().items():
        out[name] = _grown(name, state.get(name), grown, times)
    return out
