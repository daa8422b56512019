"""Figures of librosa's short-time Fourier transform for tests/rust/stft.rs.

    python -m tools.stft_fixtures tests/data/stft.json

Input: x[n] = ((n * 2654435761 mod 2^32) / 2^31 - 1) / 10. librosa's transform is not normalised, otolith's is divided by
sqrt(sum w^2); the stored values are librosa's, divided so.
"""

import json
import sys
from pathlib import Path

import librosa
import numpy as np

N_FFT, HOP, SAMPLES, PLACES = 4096, 1024, 196_608, 400


def hashed(n: np.ndarray) -> np.ndarray:
    """n * 2654435761 modulo 2^32, exact in 64 bits."""
    return n.astype(np.uint64) * np.uint64(2654435761) % np.uint64(2**32)


def main(path: Path) -> None:
    n = np.arange(SAMPLES)
    x = ((hashed(n) / 2**31 - 1) / 10).astype(np.float32)
    window = librosa.filters.get_window("hann", N_FFT, fftbins=True)
    spectrum = librosa.stft(x.astype(np.float64), n_fft=N_FFT, hop_length=HOP, window="hann", center=True, pad_mode="reflect")
    spectrum = spectrum / np.sqrt(np.sum(window**2))
    places = hashed(np.arange(1, PLACES + 1))
    frames, bins = places % spectrum.shape[1], places // 65_536 % spectrum.shape[0]
    frames[:20], frames[20:40] = 0, spectrum.shape[1] - 1
    values = spectrum[bins.astype(int), frames.astype(int)]
    path.write_text(json.dumps({
        "tool": f"librosa {librosa.__version__}", "input": "((n * 2654435761 mod 2^32) / 2^31 - 1) / 10", "samples": SAMPLES,
        "n_fft": N_FFT, "hop": HOP, "shape": list(spectrum.shape),
        "values": [[int(f), int(b), float(v.real), float(v.imag)] for f, b, v in zip(frames, bins, values)],
    }) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
