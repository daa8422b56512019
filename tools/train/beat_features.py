"""What the beat networks hear: 81 logarithmic bands, 100 frames a second (docs/algorithms/beats.md)."""

import numpy as np

SAMPLE_RATE = 44100
FRAME = 2048
HOP = 441
FPS = SAMPLE_RATE // HOP
FLOOR = 1e-6
LOWEST, HIGHEST = 30.0, 17000.0


def knots() -> np.ndarray:
    """FFT bins of the semitones of A = 440 Hz between 30 and 17 000 Hz, equal ones once: 83."""
    semitones = 440.0 * 2.0 ** (np.arange(-60, 80) / 12.0)
    inside = semitones[(semitones >= LOWEST) & (semitones <= HIGHEST)]
    return np.unique(np.round(inside * FRAME / SAMPLE_RATE).astype(int))


def filterbank() -> np.ndarray:
    """Triangles over three neighbouring knots with area 1, f64 [1025, 81]."""
    places = knots()
    weights = np.zeros((FRAME // 2 + 1, len(places) - 2))
    for band, (low, centre, high) in enumerate(zip(places, places[1:], places[2:], strict=False)):
        for index in range(low, high + 1):
            rising = index <= centre
            weights[index, band] = (index - low) / (centre - low) if rising else (high - index) / (high - centre)
        weights[:, band] /= weights[:, band].sum()
    return weights


BANDS = len(knots()) - 2
_FILTERS = filterbank().astype(np.float32)
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)


def frame_count(samples: int) -> int:
    return -(-samples // HOP)


def band_magnitudes(audio: np.ndarray, block: int = 1000) -> np.ndarray:
    """Mono [samples] or planar [channels, samples] at 44.1 kHz to f32 magnitudes [frames, 81]; a full-scale sine reads 1 in its bin."""
    import scipy.fft

    planes = np.atleast_2d(audio).astype(np.float32, copy=False)
    count = frame_count(planes.shape[1])
    out = np.empty((count, BANDS), np.float32)
    padded = np.pad(planes, ((0, 0), (FRAME // 2, FRAME + HOP)))
    for first in range(0, count, block):
        last = min(count, first + block)
        power = np.zeros((last - first, FRAME // 2 + 1), np.float32)
        for plane in padded:
            frames = np.lib.stride_tricks.sliding_window_view(plane, FRAME)[first * HOP : (last - 1) * HOP + 1 : HOP]
            spectrum = scipy.fft.rfft(frames * _WINDOW, axis=1)
            power += spectrum.real**2 + spectrum.imag**2
        out[first:last] = (np.sqrt(power / len(planes)) * np.float32(2.0 / FRAME * 2.0)) @ _FILTERS
    return out


def log_bands(magnitudes: np.ndarray) -> np.ndarray:
    """The networks' input."""
    return np.log(magnitudes + np.float32(FLOOR))
