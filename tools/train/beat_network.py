"""The beat networks: the multi-task TCN of Böck and Davies, "Deconstruct, analyse, reconstruct: how to improve tempo, beat, and
downbeat estimation" (ISMIR 2020), and its causal sibling with left padding and eight levels.

Tensors are [batch, channel, frames, bands] in the front and [batch, channel, frames] in the trunk.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as functional
from torch import nn

CHANNELS = 20
KERNEL = 5
TEMPO_BINS = 300
MEAN, SCALE = -8.0, 3.0
"""Offset and scale of the input; the export folds them into the first convolution."""
FRONT_CONTEXT = 4
"""Rows that the front needs beyond those it gives."""


@dataclass(frozen=True)
class BeatSize:
    """Which of the two networks."""

    levels: int
    causal: bool

    def to_dict(self) -> dict:
        return asdict(self)


OFFLINE = BeatSize(levels=11, causal=False)
CAUSAL = BeatSize(levels=8, causal=True)


class Front(nn.Module):
    """81 bands to 20 channels: three convolutions, each followed by pooling and ELU (which commute, ELU being monotone)."""

    def __init__(self, dropout: float):
        super().__init__()
        self.first = nn.Conv2d(1, CHANNELS, (3, 3))
        self.second = nn.Conv2d(CHANNELS, CHANNELS, (1, 12))
        self.third = nn.Conv2d(CHANNELS, CHANNELS, (3, 3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        """Logarithmic bands [batch, 1, frames + 4, 81] to [batch, 20, frames]."""
        values = ((bands - MEAN) / SCALE).to(memory_format=torch.channels_last)  # pooling is vectorised over channels
        for convolution in (self.first, self.second, self.third):
            values = self.dropout(functional.elu(functional.max_pool2d(convolution(values), (1, 3))))
        return values.squeeze(3).contiguous()


class Level(nn.Module):
    """Two parallel dilated convolutions, d and 2d, joined, ELU, spatial dropout, 1x1 = skip; output = skip + 1x1 of the input."""

    def __init__(self, dilation: int, causal: bool, dropout: float):
        super().__init__()
        self.dilation, self.causal = dilation, causal
        self.near = nn.Conv1d(CHANNELS, CHANNELS, KERNEL, dilation=dilation)
        self.far = nn.Conv1d(CHANNELS, CHANNELS, KERNEL, dilation=2 * dilation)
        self.skip = nn.Conv1d(2 * CHANNELS, CHANNELS, 1)
        self.straight = nn.Conv1d(CHANNELS, CHANNELS, 1)
        self.dropout = nn.Dropout1d(dropout)

    @property
    def history(self) -> int:
        """Frames before the present one that a causal level looks at."""
        return (KERNEL - 1) * 2 * self.dilation

    def convolve(self, values: torch.Tensor, padded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`padded` is `values` with what lies before and after; gives (output, skip)."""
        far = self.far(padded)
        spare = (padded.shape[2] - far.shape[2]) // 2 if self.causal else 0
        inner = padded[:, :, spare:] if self.causal else padded[:, :, 2 * self.dilation : -2 * self.dilation]
        joined = functional.elu(torch.cat([self.near(inner), far], dim=1))
        skip = self.skip(self.dropout(joined))
        return skip + self.straight(values), skip

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        before = self.history if self.causal else self.history // 2
        return self.convolve(values, functional.pad(values, (before, 0 if self.causal else before)))


class BeatNetwork(nn.Module):
    """Front, trunk and heads. Weights of taps that training crops of `crop` frames never reach begin, and so stay, at zero."""

    def __init__(self, size: BeatSize, dropout: float = 0.1, crop: int | None = None):
        super().__init__()
        self.size = size
        self.front = Front(dropout)
        self.levels = nn.ModuleList(Level(2**index, size.causal, dropout) for index in range(size.levels))
        self.beat = nn.Conv1d(CHANNELS, 1, 1)
        self.downbeat = nn.Conv1d(CHANNELS, 1, 1)
        self.tempo = nn.Linear(CHANNELS, TEMPO_BINS)
        with torch.no_grad():
            self.beat.bias.fill_(-3.0)
            self.downbeat.bias.fill_(-4.0)
            for level in self.levels if crop else ():
                for convolution in (level.near, level.far):
                    for tap in range(KERNEL):
                        reach = abs(tap - (KERNEL - 1 if size.causal else KERNEL // 2)) * convolution.dilation[0]
                        if reach >= crop // 2:
                            convolution.weight[:, :, tap] = 0.0

    def trunk(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Front's output to the last level's output and the summed skips, both [batch, 20, frames]."""
        total = torch.zeros_like(values)
        for level in self.levels:
            values, skip = level(values)
            total = total + skip
        return values, total

    def forward(self, bands: torch.Tensor, weights: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Bands [batch, 1, frames + 4, 81] to logits of beat and downbeat [batch, frames] and of tempo [batch, 300].

        `weights` [frames] of sum 1 replace the plain mean of the skips over time.
        """
        values, skips = self.trunk(self.front(bands))
        mean = skips.mean(dim=2) if weights is None else skips @ weights
        return self.beat(values)[:, 0], self.downbeat(values)[:, 0], self.tempo(mean)

    def activations(self, front: torch.Tensor) -> torch.Tensor:
        """The trunk as exported: [batch, 22, frames], beat, downbeat, summed skips."""
        values, skips = self.trunk(front)
        return torch.cat([torch.sigmoid(self.beat(values)), torch.sigmoid(self.downbeat(values)), skips], dim=1)


def stream_weights(frames: int, memory: int = 1000) -> torch.Tensor:
    """Weights [frames] of the mean that a stream keeps: mean += (value - mean) * max(1/n, 1/memory)."""
    steps = torch.maximum(1.0 / torch.arange(1, frames + 1, dtype=torch.float64), torch.tensor(1.0 / memory, dtype=torch.float64))
    kept = torch.flip(torch.cumprod(torch.flip(torch.cat([1 - steps[1:], torch.ones(1, dtype=torch.float64)]), [0]), 0), [0])
    return (steps * kept).float()
