"""Writes tests/data/beat_filters.json: mel banks by librosa, filters by scipy, for the tests of src/dsp/mel.rs and biquad.rs.

Needs numpy, scipy and librosa. Run from the repository root: python tools/beat_filters_fixtures.py
"""

import json

import librosa
import numpy as np
import scipy
import scipy.signal


def mel(htk, area, rate, length, bands, low, high):
    bank = librosa.filters.mel(
        sr=rate, n_fft=length, n_mels=bands, fmin=low, fmax=high, htk=htk, norm="slaney" if area else None, dtype=np.float64
    )
    points = []
    for band in range(0, bands, 9):
        bins = np.flatnonzero(bank[band])
        points += [(band, int(b), float(bank[band, b])) for b in bins[:: max(1, len(bins) // 3)]]
    return dict(
        htk=htk, area=area, sampleRate=rate, fftLength=length, bands=bands, low=low, high=high, sums=bank.sum(1).tolist(), points=points
    )


def butterworth(high, order, rate, frequency):
    sections = scipy.signal.butter(order, frequency, "highpass" if high else "lowpass", fs=rate, output="sos")
    impulse = scipy.signal.sosfilt(sections, np.eye(1, 200)[0])
    return dict(high=high, order=order, rate=rate, frequency=frequency, impulse=impulse.tolist())


def peak(notch, rate, frequency, q):
    b, a = (scipy.signal.iirnotch if notch else scipy.signal.iirpeak)(frequency, q, fs=rate)
    return dict(notch=notch, rate=rate, frequency=frequency, q=q, b=b.tolist(), a=a.tolist())


def main():
    document = dict(
        tools=f"librosa {librosa.__version__}, scipy {scipy.__version__}",
        mel=[
            mel(htk, area, *shape)
            for htk in (False, True)
            for area in (False, True)
            for shape in ((44100, 2048, 128, 0.0, 22050.0), (16000, 512, 40, 20.0, 7600.0))
        ],
        butterworth=[
            butterworth(high, order, rate, frequency)
            for high in (False, True)
            for order, rate, frequency in ((2, 44100, 150.0), (4, 48000, 1000.0), (8, 44100, 5000.0))
        ],
        peaks=[peak(notch, 44100, 100.0, 10.0) for notch in (False, True)],
    )
    with open("tests/data/beat_filters.json", "w") as file:
        json.dump(document, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
