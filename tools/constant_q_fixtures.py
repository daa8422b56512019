"""Writes tests/data/constant_q.json: powers of the constant-Q transform by direct evaluation in f64, for tests/rust/constant_q.rs.

    python -m tools.constant_q_fixtures tests/data/constant_q.json

Of a slice of 16 384 samples x[n] = ((n * 2654435761 mod 2^32) / 2^31 - 1) / 10 at 16 kHz: y_k(m) = sum_b X[b] g_k(b) e^(2 pi i b m / 16384), with
X the discrete Fourier transform, g_k the Hann window around f_k = 110 * 2^(k/85) of width max(4 a f_k, 12 Hz), a = 2^(1/85) - 1, m the
sample that a row is centred on; the power is |y / 8192|^2. Rows that the transform interpolates are not stored. Needs numpy.
"""

import json
import sys
from pathlib import Path

import numpy as np

from .reference_signal import reference_signal

RATE, LENGTH, STEP, MARGIN = 16_000, 16_384, 128, 4_096
BANDS = [0, 1, 33, 84, 85, 169, 170, 171, 250, 339, 340, 341, 400, 425, 470, 509, 510]
ROWS = [0, 4, 20, 36, 60]


def main(path):
    spectrum = np.fft.rfft(reference_signal(LENGTH).astype(np.float64))
    frequency = np.arange(LENGTH // 2 + 1) * RATE / LENGTH
    a = 2 ** (1 / 85) - 1
    values = []
    for band in BANDS:
        centre = 110 * 2 ** (band / 85)
        width = max(4 * a * centre, 12.0)
        distance = frequency - centre
        window = np.where(np.abs(distance) < width / 2, 0.5 + 0.5 * np.cos(2 * np.pi * distance / width), 0.0)
        for row in ROWS:
            sample = MARGIN + STEP * row
            phases = np.exp(2j * np.pi * np.arange(LENGTH // 2 + 1) * sample / LENGTH)
            values.append([band, row, float(np.abs((spectrum * window * phases).sum() / (LENGTH / 2)) ** 2)])
    path.write_text(json.dumps({"tool": f"numpy {np.__version__}", "values": values}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
