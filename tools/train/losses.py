"""The separator's loss: waveform L1, multi-resolution complex spectral L1, and what leaks into a silent target."""

import torch

RESOLUTIONS = (4096, 2048, 1024, 512, 256)
HOP_DIVISOR = 4
"""Hop is a quarter of the window: with 147 samples at every resolution the loss cost twice the network on a CPU."""
SILENT_RMS = 1e-3
LEAKAGE_WEIGHT = 0.1


def spectral_l1(error: torch.Tensor) -> torch.Tensor:
    """Mean |STFT| of an error [batch, stems, 2, samples] over the resolutions, scaled to unit noise; gives [batch, stems]."""
    batch, stems, channels, samples = error.shape
    flat = error.reshape(-1, samples)
    total = torch.zeros(batch, stems, device=error.device)
    for n_fft in RESOLUTIONS:
        window = torch.hann_window(n_fft, device=error.device)
        spectrum = torch.stft(flat, n_fft, n_fft // HOP_DIVISOR, window=window, return_complex=True) / (0.375 * n_fft) ** 0.5
        parts = torch.view_as_real(spectrum).abs().mean(dim=(1, 2, 3))
        total = total + parts.reshape(batch, stems, channels).mean(dim=2)
    return total / len(RESOLUTIONS)


def leakage(estimate: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """log10(1 + |e|^2 / (0.001 |x|^2)) / log10(1001): 0 at silence, 1 when the whole mix leaks; [batch, stems]."""
    energy = estimate.square().sum(dim=(2, 3))
    reference = mix.square().sum(dim=(1, 2)).unsqueeze(1) * 1e-3 + 1e-8
    return torch.log10(1 + energy / reference) / 3.000434077


def separation_loss(estimates: torch.Tensor, targets: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """Mean over batch and stems. estimates and targets [batch, stems, 2, samples], mix [batch, 2, samples] of unit deviation.

    With two stems and mixture consistency the second error is the first with its sign changed, so one is measured.
    """
    error = estimates - targets
    measured = error[:, :1] if error.shape[1] == 2 else error
    loss = (measured.abs().mean(dim=(2, 3)) + spectral_l1(measured)).mean()
    silent = targets.square().mean(dim=(2, 3)) < SILENT_RMS**2
    if silent.any():
        loss = loss + LEAKAGE_WEIGHT * (leakage(estimates, mix) * silent).mean()
    return loss
