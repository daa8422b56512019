"""Fits the weights of the tempo comb in src/beat/tempogram.rs and prints them.

Needs numpy, scipy and soundfile, and folders of WAV files with their truth beside them ({"beats": [seconds]}, same name, .json):
    OTOLITH_BEAT_SET=/some/folder cargo test --test beat write_the_pieces -- --ignored      writes training_*.wav
    python tools/beat_comb.py "/some/folder/training_*.wav" "/folder/of/composed/songs/*.wav"
The first pattern's pieces keep their tempos' even spread, the others' are drawn half even, half round 110 beats per minute, by
scaling lags. The curves are those of src/beat/onset.rs for 44.1 kHz. Evaluate on pieces that no pattern here names.
"""

import glob
import json
import sys

import numpy as np
import scipy.optimize
import soundfile

RATIOS = np.array([1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2, 2, 3, 4])
TEMPOS = 30 * 2 ** (np.arange(319) / 96)
TEMPOS = TEMPOS[(TEMPOS >= 55) & (TEMPOS <= 215)]
OCTAVES = np.log2(TEMPOS / 110)
PRIOR = np.stack([OCTAVES, OCTAVES**2], -1)
LENGTH, HOP, LEAD = 2048, 441, 6
PENALTY = 1e-4


def bands():
    steps = np.arange(np.ceil(24 * np.log2(30 / 440)), np.floor(24 * np.log2(17000 / 440)) + 1)
    knots = np.unique(np.round(440 * 2 ** (steps / 24) * LENGTH / 44100).astype(int))
    weights = np.zeros((len(knots) - 2, LENGTH // 2 + 1))
    for row, low, centre, high in zip(weights, knots, knots[1:], knots[2:]):
        bins = np.arange(low + 1, high)
        row[bins] = np.where(bins <= centre, (bins - low) / (centre - low), (high - bins) / (high - centre))
        row /= row.sum()
    return weights.astype(np.float32), int((knots[1:-1] * 44100 / LENGTH < 150).sum())


WEIGHTS, LOW = bands()
WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(LENGTH) / LENGTH)).astype(np.float32)


def flux(samples):
    """Flux of all bands and of the low ones, [frames] each; samples [frames][channels] at 44.1 kHz."""
    count = -(-len(samples) // HOP) + LEAD
    padded = np.pad(samples, ((LENGTH // 2 + LEAD * HOP, LENGTH), (0, 0)))
    energies = np.empty((count, len(WEIGHTS)), np.float32)
    for first in range(0, count, 1000):
        frames = [padded[k * HOP : k * HOP + LENGTH].T * WINDOW for k in range(first, min(first + 1000, count))]
        power = (np.abs(np.fft.rfft(np.array(frames))) ** 2).mean(1)
        energies[first : first + len(frames)] = np.sqrt(power) * (4 / LENGTH) @ WEIGHTS.T
    all_flux, low_flux, reference = np.zeros(count), np.zeros(count), 1e-4
    before = np.zeros_like(energies[0])
    for k, now in enumerate(energies):
        reference = max(1e-4, now.max(), 0.9993 * reference)
        old, new = (np.log1p(1000 * x / reference) for x in (before, now))

        def rise(old, new):
            edged = np.pad(old, 1, constant_values=-np.inf)
            return np.maximum(new - np.maximum(np.maximum(edged[:-2], edged[2:]), old), 0).sum()

        all_flux[k], low_flux[k] = rise(old, new), rise(old[:LOW], new[:LOW])
        before = now
    return all_flux, low_flux


def running_mean(values, reach):
    sums = np.concatenate([[0], np.cumsum(values)])
    index = np.arange(len(values))
    first, last = np.maximum(0, index - reach), np.minimum(len(values), index + reach + 1)
    return (sums[last] - sums[first]) / (last - first)


def strength(curve):
    onset = np.maximum(0, curve - running_mean(curve, 100) - 0.5)
    return np.sqrt(onset / (np.sqrt(running_mean(onset**2, 400)) + 0.5))


def autocorrelation(values):
    return np.fft.irfft(np.abs(np.fft.rfft(values, LENGTH)) ** 2, LENGTH)[: len(values)]


def features(curve, scale):
    """Autocorrelation at the ratios to every tempo's period, [windows][tempos][ratios], lags scaled; and the windows' middles."""
    length = min(len(curve), 800)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    bias = autocorrelation(window)
    bias /= bias[0]
    starts = np.arange(0, len(curve) - length + 1, 400)
    rows = []
    for start in starts:
        cut = curve[start : start + length]
        found = autocorrelation(window * (cut - (window * cut).sum() / window.sum()))
        found = found / found[0] * 1.05 / (bias + 0.05) if found[0] > 1e-6 else np.zeros(length)
        lags = RATIOS * (6000 / TEMPOS)[:, None] * scale
        rows.append(np.interp(lags, np.arange(length), found) * (lags < 700))
    return np.array(rows), (starts + length / 2 - LEAD) / 100


def examples(pattern, is_even, random):
    inputs, targets = [], []
    for path in sorted(glob.glob(pattern)):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        assert rate == 44100, path
        with open(path[:-3] + "json") as file:
            beats = np.array(json.load(file)["beats"])
        curves = [strength(curve) for curve in flux(samples)]
        usual = 60 / np.median(np.diff(beats))
        for _ in range(2):
            even = 58 * (205 / 58) ** random.uniform()
            wanted = even if is_even or random.uniform() < 0.5 else np.clip(110 * 2 ** random.normal(0, 0.6), 58, 205)
            scale = wanted / usual
            (whole, middles), (low, _) = (features(curve, scale) for curve in curves)
            for row, middle in zip(np.concatenate([whole, low], -1), middles):
                beat = np.searchsorted(beats, middle)
                if 3 <= beat <= len(beats) - 4:
                    tempo = 240 / (beats[beat + 2] - beats[beat - 2]) * scale
                    if 56 < tempo < 213:
                        target = np.exp(-0.5 * (96 * np.log2(TEMPOS / tempo) / 2) ** 2)
                        inputs.append(row)
                        targets.append(target / target.sum())
    return np.array(inputs), np.array(targets)


def fit(inputs, targets):
    count = inputs.shape[2]

    def loss(weights):
        scores = inputs @ weights[:count] + PRIOR @ weights[count:]
        scores -= scores.max(1, keepdims=True)
        sums = np.exp(scores).sum(1, keepdims=True)
        slope = (np.exp(scores) / sums - targets) / len(inputs)
        value = -(targets * (scores - np.log(sums))).sum() / len(inputs) + PENALTY * (weights[:count] ** 2).sum()
        gradient = np.einsum("wc,wcq->q", slope, inputs) + 2 * PENALTY * weights[:count]
        return value, np.concatenate([gradient, slope.sum(0) @ PRIOR])

    return scipy.optimize.minimize(loss, np.zeros(count + 2), jac=True, method="L-BFGS-B", options=dict(maxiter=300))


def main():
    random = np.random.default_rng(1)
    sets = [examples(pattern, number == 0, random) for number, pattern in enumerate(sys.argv[1:])]
    found = fit(np.concatenate([inputs for inputs, _ in sets]), np.concatenate([targets for _, targets in sets]))
    weights = np.round(found.x, 2).tolist()
    print("windows", [len(inputs) for inputs, _ in sets], "cross-entropy", round(found.fun, 3))
    print("all bands", weights[:11], "low bands", weights[11:22], "prior", weights[22:])


if __name__ == "__main__":
    main()
