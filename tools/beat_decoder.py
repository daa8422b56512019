"""Beats out of activations in numpy: the bar pointer model of Krebs, Böck and Widmer (ISMIR 2015), for looking at networks in Python.

It repeats what src/beat/ does in the plainest way, with the same constants; the product's own tracker is the one in Rust.
"""

import numpy as np

from tools.train.beat_features import FPS

SHORTEST, LONGEST = 28, 109
"""Frames of a beat at 215 and 55 BPM."""
TRANSITION_LAMBDA, OBSERVATION_LAMBDA = 100.0, 16
METER_PRIORS = {4: 0.5, 3: 0.25, 2: 0.15, 6: 0.1}
METER_CHANGE = 1e-3


def decode_beats(activation: np.ndarray, threshold: float = 0.05) -> np.ndarray:
    """Seconds of the beats on the best path, between the first and the last frame whose activation reaches the threshold."""
    heard = np.flatnonzero(activation >= threshold)
    if len(heard) == 0:
        return np.empty(0)
    intervals = np.arange(SHORTEST, LONGEST + 1)
    firsts = np.concatenate([[0], np.cumsum(intervals)[:-1]])
    lasts = firsts + intervals - 1
    position = np.concatenate([np.arange(i) / i for i in intervals])
    in_beat = position < 1 / OBSERVATION_LAMBDA
    change = np.exp(-TRANSITION_LAMBDA * np.abs(intervals[None] / intervals[:, None] - 1))
    change[change < 2.2e-16] = 0
    with np.errstate(divide="ignore"):
        change = np.log(change / change.sum(axis=1, keepdims=True))
    a = np.clip(activation, 1e-6, 1 - 1e-6).astype(float)
    on, off = np.log(a), np.log((1 - a) / (OBSERVATION_LAMBDA - 1))
    score, back = np.zeros(len(position)), np.empty((len(a), len(intervals)), np.int16)
    for frame in range(len(a)):
        arriving = score[lasts][:, None] + change
        back[frame] = arriving.argmax(axis=0)
        moved = np.empty_like(score)
        moved[1:] = score[:-1]
        moved[firsts] = arriving.max(axis=0)
        score = moved + np.where(in_beat, on[frame], off[frame])
    place, crossings = int(score.argmax()), []
    starts = {int(first): index for index, first in enumerate(firsts)}
    for frame in range(len(a) - 1, -1, -1):
        if place in starts:
            index = starts[place]
            crossings.append((frame, int(intervals[index])))
            place = int(lasts[back[frame, index]])
        else:
            place -= 1
    times = []
    for frame, interval in reversed(crossings):
        region = a[frame : frame + max(1, -(-interval // OBSERVATION_LAMBDA))]
        peak = frame + int(region.argmax())
        shift = 0.0
        if 0 < peak < len(a) - 1:
            left, middle, right = np.log(a[peak - 1 : peak + 2])
            bend = left - 2 * middle + right
            shift = float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0
        if heard[0] <= peak <= heard[-1]:
            times.append((peak + shift) / FPS)
    return np.asarray(times)


def decode_downbeats(beats: np.ndarray, activation: np.ndarray) -> np.ndarray:
    """The downbeats among the beats: hidden Markov model over (meter, beat of the bar)."""
    if len(beats) < 8:
        return np.empty(0)
    places = np.round(beats * FPS).astype(int)
    observed = np.array([activation[max(0, p - 2) : p + 3].max(initial=0.0) for p in places])
    d = np.clip(observed, 1e-6, 1 - 1e-6)
    states = [(meter, beat) for meter in METER_PRIORS for beat in range(meter)]
    transition = np.full((len(states), len(states)), -np.inf)
    for i, (meter, beat) in enumerate(states):
        for j, (other, following) in enumerate(states):
            if beat + 1 < meter and other == meter and following == beat + 1:
                transition[i, j] = 0.0
            elif beat + 1 == meter and following == 0:
                transition[i, j] = np.log(1 - METER_CHANGE) if other == meter else np.log(METER_CHANGE / 3)
    first = np.array([beat == 0 for _, beat in states])
    score = np.array([np.log(METER_PRIORS[meter] / meter) for meter, _ in states])
    back = np.zeros((len(d), len(states)), int)
    for step, value in enumerate(d):
        if step:
            arriving = score[:, None] + transition
            back[step], score = arriving.argmax(axis=0), arriving.max(axis=0)
        score = score + np.where(first, np.log(value), np.log(1 - value))
    place, chosen = int(score.argmax()), []
    for step in range(len(d) - 1, -1, -1):
        if first[place]:
            chosen.append(step)
        place = back[step, place]
    return beats[np.array(chosen[::-1], int)]


def tempo_of(beats: np.ndarray) -> float | None:
    """Slope of a least-squares line through the beats, once outliers from the median interval are gone."""
    if len(beats) < 4:
        return None
    steps = np.diff(beats)
    usual = np.median(steps)
    inner = np.abs(steps - usual) < 0.1 * usual
    if inner.mean() < 0.9:
        return 60.0 * (len(beats) - 1) / float(beats[-1] - beats[0])
    return 60.0 / float(np.polyfit(np.arange(len(beats)), beats, 1)[0])
