"""What the embedder hears: 256 mel bands by 32 frames of one second at 8 kHz (docs/algorithms/fingerprints.md)."""

import numpy as np

SAMPLE_RATE = 8000
WINDOW, HOP, PAD = 8000, 4000, 480
FRAME, TRANSFORM, FRAME_HOP, FRAMES = 1024, 2048, 256, 32
MELS, LOW, HIGH = 256, 300.0, 4000.0
RANGE_DB = 80.0
POWER_FLOOR = 1e-10


def mel_filters() -> np.ndarray:
    """Triangles of peak 1, linear in hertz, over points equally spaced in mel, f64 [1025, 256]."""
    low, high = (2595.0 * np.log10(1.0 + f / 700.0) for f in (LOW, HIGH))
    points = 700.0 * (10.0 ** (np.linspace(low, high, MELS + 2) / 2595.0) - 1.0)
    hertz = np.arange(TRANSFORM // 2 + 1)[:, None] * SAMPLE_RATE / TRANSFORM
    rising = (hertz - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - hertz) / (points[2:] - points[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling))


_FILTERS = mel_filters()
_FILTERS_SINGLE = _FILTERS.astype(np.float32)
_HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)


def mel_windows(windows: np.ndarray, precise: bool = False) -> np.ndarray:
    """Windows [count, 8000] at 8 kHz to [count, 1, 256, 32] in -1..1; `precise` computes in f64."""
    import scipy.fft

    kind = np.float64 if precise else np.float32
    padded = np.pad(windows.astype(kind), ((0, 0), (PAD, PAD)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME, axis=1)[:, ::FRAME_HOP]
    spectrum = scipy.fft.rfft(frames * _HANN.astype(kind), TRANSFORM, axis=2)
    power = (spectrum.real**2 + spectrum.imag**2) / (FRAME / 4) ** 2
    energy = power @ (_FILTERS if precise else _FILTERS_SINGLE)
    decibels = 10.0 * np.log10(np.maximum(energy, POWER_FLOOR))
    decibels = decibels - decibels.max(axis=(1, 2), keepdims=True)
    scaled = np.maximum(decibels, -RANGE_DB) / (RANGE_DB / 2) + 1.0
    return np.swapaxes(scaled, 1, 2)[:, None].astype(kind)
