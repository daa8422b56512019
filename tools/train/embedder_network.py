"""The embedder: depthwise-separable convolutions (Howard et al., "MobileNets", 2017) from a one-second mel picture to 128 numbers.

Contrastive fingerprinting follows Chang et al., "Neural audio fingerprint for high-specific audio retrieval" (ICASSP 2021).
"""

import torch
from torch import nn

DIMENSIONS = 128
STEM = 24
BLOCKS = (
    (32, (2, 1)), (48, (2, 2)), (64, (1, 1)), (96, (2, 2)), (128, (1, 1)), (192, (2, 2)), (256, (1, 1)), (320, (2, 2)),
)
"""Channels and strides (mel, time) of the blocks; the stem halves the mel axis before them."""
LAST_CELLS = 4 * 2


def convolution(inputs: int, outputs: int, kernel: int, stride: tuple[int, int], groups: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    norm = nn.BatchNorm2d(outputs)
    norm.num_batches_tracked = norm.num_batches_tracked.float()  # the loop averages all of a network's state
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), norm, nn.ReLU())


class Embedder(nn.Module):
    """Mel pictures [batch, 1, 256, 32] to embeddings [batch, 128], not normalised."""

    def __init__(self):
        super().__init__()
        layers, width = [convolution(1, STEM, 3, (2, 1))], STEM
        for channels, stride in BLOCKS:
            layers += [convolution(width, width, 3, stride, groups=width), convolution(width, channels, 1, (1, 1))]
            width = channels
        self.layers = nn.Sequential(*layers)
        self.projection = nn.Linear(width * LAST_CELLS, DIMENSIONS, bias=False)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        return self.projection(self.layers(mels).flatten(1))
