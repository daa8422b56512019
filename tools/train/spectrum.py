"""Short-time Fourier transform in the layout of the `complex-mask` contract.

Periodic Hann window both ways, real FFT, frames centred by mirroring half a window at both ends, scaled by 1/sqrt(sum of the
squared window) so that unit white noise has E|X|^2 = 1. The Rust twin is `src/separate/spectrum.rs`.
"""

import torch

N_FFT = 4096
HOP_LENGTH = 1024


def window_and_scale(n_fft: int, device=None) -> tuple[torch.Tensor, float]:
    """Periodic Hann window [n_fft] and the square root of its energy (sqrt(1536) for 4096)."""
    window = torch.hann_window(n_fft, periodic=True, dtype=torch.float32, device=device)
    return window, (0.375 * n_fft) ** 0.5


def forward_stft(audio: torch.Tensor, n_fft: int = N_FFT, hop_length: int = HOP_LENGTH) -> torch.Tensor:
    """[..., samples] real to [..., frames, bins] complex; samples must be a multiple of the hop."""
    window, scale = window_and_scale(n_fft, audio.device)
    flat = audio.reshape(-1, 1, audio.shape[-1])
    pieces = torch.nn.functional.pad(flat, (n_fft // 2, n_fft // 2), mode="reflect").unfold(-1, n_fft, hop_length)
    return torch.fft.rfft(pieces * (window / scale)).reshape(*audio.shape[:-1], pieces.shape[2], n_fft // 2 + 1)


def inverse_stft(spectrum: torch.Tensor, samples: int, n_fft: int = N_FFT, hop_length: int = HOP_LENGTH) -> torch.Tensor:
    """[..., frames, bins] complex to [..., samples] real; undoes `forward_stft`."""
    window, scale = window_and_scale(n_fft, spectrum.device)
    flat = spectrum.reshape(-1, *spectrum.shape[-2:]).transpose(1, 2) * scale
    audio = torch.istft(flat, n_fft, hop_length, window=window, center=True, length=samples)
    return audio.reshape(*spectrum.shape[:-2], samples)


def to_contract(spectrum: torch.Tensor) -> torch.Tensor:
    """[batch, 2, frames, bins] complex to [batch, 4, frames, bins] real: L.re L.im R.re R.im."""
    pairs = torch.view_as_real(spectrum).permute(0, 1, 4, 2, 3)
    return pairs.reshape(spectrum.shape[0], 4, *spectrum.shape[2:])


def from_contract(tensor: torch.Tensor, stems: int) -> torch.Tensor:
    """[batch, stems*4, frames, bins] real to [batch, stems, 2, frames, bins] complex."""
    batch, _, frames, bins = tensor.shape
    parts = tensor.reshape(batch, stems, 2, 2, frames, bins)
    return torch.complex(parts[:, :, :, 0], parts[:, :, :, 1])


def mixture_consistency(stems: torch.Tensor, mix: torch.Tensor, floor: float = 1e-8) -> torch.Tensor:
    """Shares out what is missing from the mix, per bin and channel, by the energy of each stem.

    stems [batch, stems, 2, frames, bins] and mix [batch, 2, frames, bins], both complex. S_k += a_k (X - sum of S), with
    a_k = (|S_k|^2 + e) / sum(|S_j|^2 + e) held constant under differentiation. After Wisdom et al., "Differentiable
    consistency constraints for improved deep speech enhancement" (ICASSP 2019), section 2.2, with energy weights.
    """
    energy = stems.detach().abs().square() + floor
    weights = energy / energy.sum(dim=1, keepdim=True)
    return stems + weights * (mix.unsqueeze(1) - stems.sum(dim=1, keepdim=True))
