"""Band-split TF-Locoformer that estimates one complex mask per stem.

After Saijo et al., "TF-Locoformer: Transformer with Local Modeling by Convolution for Speech Separation and Enhancement"
(arXiv 2408.03440) and Saijo et al., "Task-Aware Unified Source Separation" (arXiv 2410.23987) for the band-split form. Differs in
three points: 30 bands of our own, attention over time without a position code (crops of 4 s carry over to chunks of 18 s), and
causal-then-anticausal plain convolutions in place of transposed ones, so that the exported graph has ordinary `Conv` only.
"""

from dataclasses import asdict, dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

BANDS = tuple([12] * 8 + [20] * 5 + [40] * 5 + [80] * 5 + [160] * 5 + [226, 227])
"""Widths in bins of the 30 bands of a 4096-point spectrum at 44.1 kHz (10.77 Hz per bin)."""
BINS = sum(BANDS)
HEADS = 2
GROUPS = 4
FREQUENCY_KERNEL = 4
TIME_KERNEL = 3
NORM_EPSILON = 1e-5
ROTARY_BASE = 10000.0


@dataclass(frozen=True)
class NetworkSize:
    """Widths of the network: features D, blocks B, convolution C, attention A, head H, and the stems in output order."""

    features: int = 32
    blocks: int = 3
    convolution: int = 48
    attention: int = 32
    head: int = 32
    stems: tuple[str, ...] = ("vocals", "instrumental")

    def to_dict(self) -> dict:
        return asdict(self) | {"stems": list(self.stems)}

    @staticmethod
    def from_dict(values: dict) -> "NetworkSize":
        return NetworkSize(**(values | {"stems": tuple(values["stems"])}))


LITE = NetworkSize()
STANDARD = NetworkSize(features=64, blocks=4, convolution=64, attention=32, head=64)
FIVE_STEMS = ("vocals", "drums", "bass", "instruments", "fx")
LITE_FIVE = replace(LITE, stems=FIVE_STEMS)
STANDARD_FIVE = replace(STANDARD, stems=FIVE_STEMS)


def rotary_tables(length: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines [length, width] of rotary position embedding for adjacent pairs: angle pos * base^(-2i/width)."""
    rates = ROTARY_BASE ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * rates[None, :]
    angles = angles.repeat_interleave(2, dim=1)
    return angles.cos().float(), angles.sin().float()


def quarter_turn(width: int) -> torch.Tensor:
    """[width, width] matrix P with (x P) = (-x1, x0, -x3, x2, ...): the second term of a rotation of adjacent pairs."""
    turn = torch.zeros(width, width)
    for pair in range(0, width, 2):
        turn[pair + 1, pair] = -1.0
        turn[pair, pair + 1] = 1.0
    return turn


class GroupRmsNorm(nn.Module):
    """Root-mean-square norm over 4 groups of channels of [batch, D, frames, bands], without bias.

    The learned gains are not applied here but to the weights of the layer that reads the result (`gained`): the same function, and
    no sum over every position for the gains' gradient, which took as long as the convolutions.
    """

    def __init__(self, features: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(features))

    def gained(self, layer: nn.Conv2d) -> torch.Tensor:
        """Weights of the layer that follows, with the gains of its inputs."""
        return layer.weight * self.gain[:, None, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, features, frames, bands = x.shape
        grouped = x.reshape(batch, GROUPS, features // GROUPS, frames, bands)
        scale = torch.rsqrt(grouped.square().mean(dim=2, keepdim=True) + NORM_EPSILON)
        return (grouped * scale).reshape(x.shape)


class ConvolutionalSwiGlu(nn.Module):
    """Feed-forward path: convolution over past frames or bands, gate a * SiLU(g), convolution over following ones."""

    def __init__(self, size: NetworkSize, over_time: bool):
        super().__init__()
        kernel = TIME_KERNEL if over_time else FREQUENCY_KERNEL
        shape = (kernel, 1) if over_time else (1, kernel)
        reach = kernel - 1
        self.before = (0, 0, reach, 0) if over_time else (reach, 0, 0, 0)
        self.after = (0, 0, 0, reach) if over_time else (0, reach, 0, 0)
        self.norm = GroupRmsNorm(size.features)
        self.widen = nn.Conv2d(size.features, 2 * size.convolution, shape)
        self.narrow = nn.Conv2d(size.convolution, size.features, shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = F.pad(self.norm(x), self.before)
        value, gate = F.conv2d(padded, self.norm.gained(self.widen), self.widen.bias).chunk(2, dim=1)
        return self.narrow(F.pad(value * F.silu(gate), self.after))


class SelfAttention(nn.Module):
    """Two-head self-attention over the bands of a frame (rotary positions) or the frames of a band (no positions)."""

    def __init__(self, size: NetworkSize, over_time: bool):
        super().__init__()
        self.over_time = over_time
        self.width = size.attention // HEADS
        self.norm = GroupRmsNorm(size.features)
        self.project = nn.Conv2d(size.features, 3 * size.attention, 1, bias=False)
        self.merge = nn.Conv2d(size.attention, size.features, 1, bias=False)
        if not over_time:
            cosines, sines = rotary_tables(len(BANDS), self.width)
            self.register_buffer("cosines", cosines, persistent=False)
            self.register_buffer("sines", sines, persistent=False)

    def _rotate(self, x: torch.Tensor) -> torch.Tensor:
        pairs = x.unflatten(-1, (-1, 2))
        turned = torch.stack((-pairs[..., 1], pairs[..., 0]), dim=-1).flatten(-2)
        return x * self.cosines + turned * self.sines

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, _, frames, bands = x.shape
        projected = F.conv2d(self.norm(x), self.norm.gained(self.project)).reshape(batch, 3, HEADS, self.width, frames, bands)
        if self.over_time:
            query, key, value = projected.permute(1, 0, 5, 2, 4, 3).reshape(3, batch * bands, HEADS, frames, self.width)
        else:
            query, key, value = projected.permute(1, 0, 4, 2, 5, 3).reshape(3, batch * frames, HEADS, bands, self.width)
            query, key = self._rotate(query), self._rotate(key)
        scores = torch.matmul(query * self.width**-0.5, key.transpose(-1, -2))
        attended = torch.matmul(torch.softmax(scores, dim=-1), value)
        if self.over_time:
            attended = attended.reshape(batch, bands, HEADS, frames, self.width).permute(0, 2, 4, 3, 1)
        else:
            attended = attended.reshape(batch, frames, HEADS, bands, self.width).permute(0, 2, 4, 1, 3)
        return self.merge(attended.reshape(batch, HEADS * self.width, frames, bands))


class LocoformerPath(nn.Module):
    """x += FFN1(x); x += attention(x); x += FFN2(x), along frequency or along time."""

    def __init__(self, size: NetworkSize, over_time: bool):
        super().__init__()
        self.first = ConvolutionalSwiGlu(size, over_time)
        self.attention = SelfAttention(size, over_time)
        self.second = ConvolutionalSwiGlu(size, over_time)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.first(x)
        x = x + self.attention(x)
        return x + self.second(x)


class BandEncoder(nn.Module):
    """[batch, 4, frames, 2049] to [batch, D, frames, 30]: per band RMS norm of the frame's 4n values, then a linear layer."""

    def __init__(self, size: NetworkSize):
        super().__init__()
        self.gains = nn.ParameterList([nn.Parameter(torch.ones(4 * width)) for width in BANDS])
        self.linears = nn.ModuleList([nn.Linear(4 * width, size.features) for width in BANDS])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        encoded = []
        for band, gain, linear in zip(x.split(BANDS, dim=3), self.gains, self.linears):
            values = band.transpose(1, 2).flatten(2)
            scale = torch.rsqrt(values.square().mean(dim=2, keepdim=True) + NORM_EPSILON)
            encoded.append(F.linear(values * scale, linear.weight * gain, linear.bias))
        # Features lie side by side in memory from here on: the blocks' kernels are faster that way.
        return torch.stack(encoded, dim=2).permute(0, 3, 1, 2)


class BandHead(nn.Module):
    """[batch, D, frames, 30] to masks [batch, stems*4, frames, 2049]: per band norm, linear, SiLU, linear."""

    def __init__(self, size: NetworkSize):
        super().__init__()
        self.stems = len(size.stems)
        self.gains = nn.ParameterList([nn.Parameter(torch.ones(size.features)) for _ in BANDS])
        self.hidden = nn.ModuleList([nn.Linear(size.features, size.head) for _ in BANDS])
        self.output = nn.ModuleList([nn.Linear(size.head, 4 * width * self.stems) for width in BANDS])

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        masks = []
        for index, features in enumerate(z.permute(3, 0, 2, 1).contiguous()):
            scale = torch.rsqrt(features.square().mean(dim=2, keepdim=True) + NORM_EPSILON)
            weight = self.hidden[index].weight * self.gains[index]
            hidden = F.silu(F.linear(features * scale, weight, self.hidden[index].bias))
            mask = self.output[index](hidden)
            masks.append(mask.unflatten(2, (4 * self.stems, BANDS[index])).transpose(1, 2))
        return torch.cat(masks, dim=3)


class BandSplitLocoformer(nn.Module):
    """Spectrum in contract layout [batch, 4, frames, 2049] to complex masks [batch, stems*4, frames, 2049]."""

    def __init__(self, size: NetworkSize = LITE):
        super().__init__()
        self.size = size
        self.encoder = BandEncoder(size)
        self.blocks = nn.ModuleList(
            [nn.ModuleList([LocoformerPath(size, False), LocoformerPath(size, True)]) for _ in range(size.blocks)]
        )
        self.head = BandHead(size)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform matrices and zero biases, except that the masks start as an equal share for every stem."""
        for name, parameter in self.named_parameters():
            if parameter.dim() >= 2:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        stems = self.head.stems
        for width, layer in zip(BANDS, self.head.output):
            with torch.no_grad():
                layer.weight.mul_(0.1)
                bias = layer.bias.reshape(stems, 2, 2, width)
                bias[:, :, 0] = 1.0 / stems

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Encoder and blocks: [batch, D, frames, 30], where the exported graph can be cut."""
        z = self.encoder(x).float()
        for over_frequency, over_time in self.blocks:
            z = over_time(over_frequency(z))
        return z

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))
