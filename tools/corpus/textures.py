"""The fx stem: risers, falls, impacts, sweeps, bursts, beds of noise, foley-like grains and recorded hits.

The border to the other stems is fixed by the composer: what is pitched and placed in the rhythm is an instrument; a transition or
a texture is fx.
"""

import numpy as np
from scipy import signal

from tools.corpus.composer import Note
from tools.corpus.samples import EFFECTS, at_speed, names_of, recording
from tools.corpus.synth import frequency

SAMPLE_RATE = 44100
KINDS = ("riser", "fall", "impact", "burst", "reversed", "tone", "alarm", "laser", "recorded", "recorded", "recorded")
BED_FROM = 3.0
"""Seconds from which on a note is a bed, not an event."""


def band(noise: np.ndarray, low: float, high: float) -> np.ndarray:
    sections = signal.butter(2, [low, min(high, 20000.0)], "bandpass", fs=SAMPLE_RATE, output="sos")
    return signal.sosfilt(sections, noise, axis=-1)


def _impact(rng: np.random.Generator) -> np.ndarray:
    span = int(1.5 * SAMPLE_RATE)
    time = np.arange(span) / SAMPLE_RATE
    low, decay = rng.uniform(32, 70), rng.uniform(0.2, 0.6)
    boom = np.sin(2 * np.pi * low * time + rng.uniform(4, 14) * np.exp(-time * 20)) * np.exp(-time / decay)
    crack = rng.standard_normal((2, span)) * np.exp(-time / rng.uniform(0.03, 0.4))
    return boom + rng.uniform(0.1, 0.6) * crack


def _swept_noise(rng: np.random.Generator, length: int, kind: str) -> np.ndarray:
    """Noise under a shape; half of the risers and falls move their band as well."""
    time = np.linspace(0, 1, length)
    noise = rng.standard_normal((2, length))
    low = np.exp(rng.uniform(np.log(200), np.log(4000)))
    shape = {"riser": time**2, "reversed": np.exp(5 * (time - 1)), "fall": (1 - time) ** 2, "burst": np.exp(-6 * time)}[kind]
    dull = band(noise, low, low * rng.uniform(2, 4.5))
    if kind in ("riser", "fall") and rng.random() < 0.5:
        bright = band(noise, min(9000.0, low * 3), 18000.0)
        part = time if kind == "riser" else 1 - time
        return (dull * (1 - part) + bright * part) * shape
    return dull * shape


def _tone(rng: np.random.Generator, note: Note, length: int, kind: str) -> np.ndarray:
    time = np.linspace(0, 1, length)
    seconds = length / SAMPLE_RATE
    if kind == "tone":
        octaves = rng.uniform(1, 3) * time * rng.choice([-1, 1])
    elif kind == "alarm":
        octaves = rng.uniform(0.1, 0.6) * np.sign(np.sin(2 * np.pi * rng.uniform(2, 9) * time * seconds))
    else:
        octaves = 4 * np.exp(-time * rng.uniform(4, 15)) - 1
    phase = 2 * np.pi * np.cumsum(frequency(note.pitch) * 2**octaves) / SAMPLE_RATE
    wave = np.sin(phase + rng.uniform(0, 2) * np.sin(phase * rng.choice([0.5, 1, 2, 3.01]))) * np.sin(np.pi * time) ** 0.5
    return np.stack([wave, np.roll(wave, int(rng.integers(1, 400)))]) * 0.5


def _recorded(rng: np.random.Generator, evaluation: bool) -> np.ndarray:
    audio = at_speed(recording(str(rng.choice(names_of(EFFECTS, evaluation)))), float(2 ** rng.uniform(-0.8, 0.8)))
    audio = audio[:, : 5 * SAMPLE_RATE]
    return audio[:, ::-1] if rng.random() < 0.2 else audio


def _bed(rng: np.random.Generator, length: int) -> np.ndarray:
    """A long texture: filtered noise that swells, crackle, rain-like grains, or a beating drone of inharmonic tones."""
    kind = str(rng.choice(["noise", "crackle", "grains", "drone"]))
    time = np.arange(length) / SAMPLE_RATE
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.05, 0.5) * time + rng.uniform(0, 6.28))
    if kind == "noise":
        low = float(np.exp(rng.uniform(np.log(80), np.log(3000))))
        return band(rng.standard_normal((2, length)), low, low * rng.uniform(3, 12)) * swell
    if kind == "crackle":
        clicks = rng.standard_normal((2, length)) * (rng.random((2, length)) < rng.uniform(10, 80) / SAMPLE_RATE)
        return 6 * band(clicks, rng.uniform(500, 2000), rng.uniform(4000, 14000)) + 0.02 * rng.standard_normal((2, length))
    if kind == "grains":
        out = np.zeros((2, length))
        grain = np.exp(-np.arange(int(rng.uniform(0.005, 0.06) * SAMPLE_RATE)) / SAMPLE_RATE / rng.uniform(0.002, 0.02))
        for _ in range(int(rng.uniform(4, 40) * length / SAMPLE_RATE)):
            start = int(rng.integers(max(1, length - len(grain))))
            wave = grain * np.sin(2 * np.pi * rng.uniform(300, 6000) * np.arange(len(grain)) / SAMPLE_RATE)
            out[int(rng.integers(2)), start : start + len(grain)] += rng.uniform(0.2, 1.0) * wave[: length - start]
        return out
    tones = [rng.uniform(0.3, 1) * np.sin(2 * np.pi * hertz * time + rng.uniform(0, 6.28)) for hertz in rng.uniform(60, 900, 5)]
    drone = sum(tones) * swell / 3
    return np.stack([drone, np.roll(drone, int(rng.integers(200, 3000)))])


def render_effects(notes: list[Note], frames: int, seed: int, evaluation: bool) -> np.ndarray:
    """Events that end or begin at their note's border, and beds for long notes; float32 [2, frames]."""
    rng = np.random.default_rng([0xF0, seed])
    out = np.zeros((2, frames))
    for note in notes:
        start, length = int(note.start * SAMPLE_RATE), max(441, int(note.duration * SAMPLE_RATE))
        if note.duration >= BED_FROM:
            sound = 0.5 * _bed(rng, length)
            ends = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.3 * SAMPLE_RATE))
            sound = sound * ends
        else:
            kind = str(rng.choice(KINDS))
            if kind == "impact":
                start, sound = start + length, _impact(rng)
            elif kind in ("tone", "alarm", "laser"):
                sound = _tone(rng, note, length, kind)
            elif kind == "recorded":
                sound = _recorded(rng, evaluation)
            else:
                sound = _swept_noise(rng, length, kind)
        sound = sound[:, : max(0, frames - start)]
        out[:, start : start + sound.shape[1]] += note.velocity * sound
    return 0.25 * out.astype(np.float32)
