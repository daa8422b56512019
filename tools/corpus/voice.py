"""Voices: a formant singer of our own, and speech engines whose syllables are sung through the melody.

Both are a source and a filter: a band-limited glottal pulse at the melody's pitch plus noise, multiplied frame by frame with a
spectral envelope. The singer's envelope is a cascade of five formants (Klatt, "Software for a cascade/parallel formant
synthesizer", 1980); the speech singer's is the cepstral envelope of a spoken syllable, its vowel held for the note.
"""

from dataclasses import dataclass

import numpy as np
from scipy import signal

from tools.corpus.composer import Note
from tools.corpus.speech import Syllable

SAMPLE_RATE = 44100
FRAME = 1024
HOP = 256
CONTROL_RATE = SAMPLE_RATE / HOP
BINS = FRAME // 2 + 1

VOWELS = {
    "a": (730, 1090, 2440, 3400, 4500), "e": (530, 1840, 2480, 3500, 4500), "i": (270, 2290, 3010, 3700, 4600),
    "o": (500, 870, 2410, 3350, 4400), "u": (310, 870, 2240, 3300, 4400), "ae": (660, 1720, 2410, 3450, 4500),
    "uh": (640, 1190, 2390, 3400, 4450), "er": (490, 1350, 1690, 3300, 4400),
}
"""Formant frequencies in hertz; the first three after Peterson and Barney, "Control methods used in a study of the vowels" (1952)."""
BANDWIDTHS = (70, 90, 130, 200, 280)
CONSONANTS = {
    "s": (6800, 1800, 0.10), "sh": (3800, 1500, 0.10), "f": (7500, 4500, 0.07), "t": (4800, 2500, 0.03), "k": (2400, 1200, 0.035),
    "h": (1500, 1500, 0.06), "m": (0, 0, 0.07), "n": (0, 0, 0.06), "l": (0, 0, 0.05), "": (0, 0, 0.0),
}
"""Centre and width of the noise in hertz (0: voiced, a nasal or a glide) and length in seconds."""


@dataclass
class VoiceControl:
    """Slowly varying controls at `CONTROL_RATE`, one value or row per frame of 256 samples."""

    pitch: np.ndarray
    loudness: np.ndarray
    breath: np.ndarray


@dataclass
class Manner:
    """How one singer sings, drawn from a seed."""

    tract: float
    vibrato_rate: float
    vibrato_cents: float
    portamento: float
    jitter: float
    shimmer: float
    breath: float
    tilt: float
    brilliance_db: float
    vibrato_delay: float

    @staticmethod
    def draw(rng: np.random.Generator, centre: float) -> "Manner":
        high = (centre - 45) / 30
        return Manner(
            tract=float(np.clip(rng.normal(0.9 + 0.25 * high, 0.07), 0.8, 1.25)), vibrato_rate=float(rng.uniform(4.5, 6.5)),
            vibrato_cents=float(rng.choice([0.0, rng.uniform(10, 70)], p=[0.25, 0.75])), portamento=float(rng.uniform(0.015, 0.08)),
            jitter=float(rng.uniform(0.001, 0.006)), shimmer=float(rng.uniform(0.01, 0.08)),
            breath=float(np.exp(rng.uniform(np.log(0.004), np.log(0.12)))), tilt=float(np.exp(rng.uniform(np.log(1200), np.log(12000)))),
            brilliance_db=float(rng.uniform(-4, 14)), vibrato_delay=float(rng.uniform(0.1, 0.4)),
        )


def _smooth(track: np.ndarray, seconds: float) -> np.ndarray:
    keep = np.exp(-1 / max(1e-3, seconds * CONTROL_RATE))
    forward = signal.lfilter([1 - keep], [1, -keep], track, zi=[keep * track[0]])[0]
    return forward


def melody_control(notes: list[Note], frames: int, manner: Manner, rng: np.random.Generator) -> VoiceControl:
    """Pitch with portamento, delayed vibrato and jitter; loudness with attack, release and shimmer."""
    count = frames // HOP + 1
    pitch = np.full(count, notes[0].pitch, float)
    loudness, held = np.zeros(count), np.zeros(count)
    for note in notes:
        first, last = int(note.start * CONTROL_RATE), int((note.start + note.duration) * CONTROL_RATE)
        pitch[first:] = note.pitch
        loudness[first:last] = note.velocity
        held[first:last] = np.arange(max(0, min(last, count) - first)) / CONTROL_RATE
    wander = _smooth(rng.standard_normal(count), 0.08) * np.sqrt(2 * 0.08 * CONTROL_RATE) * manner.jitter * 17
    depth = manner.vibrato_cents / 100 * np.clip((held - manner.vibrato_delay) / 0.3, 0, 1)
    rate = manner.vibrato_rate * (1 + 0.05 * _smooth(rng.standard_normal(count), 0.5))
    vibrato = depth * np.sin(2 * np.pi * np.cumsum(rate) / CONTROL_RATE)
    pitch = _smooth(pitch, manner.portamento) + vibrato + wander
    shimmer = 1 + manner.shimmer * _smooth(rng.standard_normal(count), 0.02) * 3
    loudness = np.minimum(_smooth(loudness, 0.018), loudness + _smooth(loudness, 0.04)) * shimmer
    breath = manner.breath * (0.6 + 0.8 * rng.random()) * np.ones(count)
    return VoiceControl(pitch, np.maximum(loudness, 0), breath)


def glottal_pulse(pitch: np.ndarray, frames: int) -> np.ndarray:
    """Band-limited sawtooth (two-sample polynomial correction) at a pitch given per control frame: -6 dB per octave."""
    hertz = 440.0 * 2 ** ((np.interp(np.arange(frames) / HOP, np.arange(len(pitch)), pitch) - 69) / 12)
    step = hertz / SAMPLE_RATE
    phase = np.cumsum(step) % 1.0
    wave = 2 * phase - 1
    early, late = phase < step, phase > 1 - step
    x = phase[early] / step[early]
    wave[early] -= x + x - x * x - 1
    x = (phase[late] - 1) / step[late]
    wave[late] -= x * x + x + x + 1
    return wave


def filter_frames(source: np.ndarray, envelopes: np.ndarray) -> np.ndarray:
    """Multiplies the short-time spectrum of `source` with one envelope [frames, 513] per 256 samples."""
    window = np.hanning(FRAME + 1)[:-1]
    padded = np.pad(source, (FRAME // 2, FRAME))
    count = min(len(envelopes), (len(padded) - FRAME) // HOP + 1)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:count] * window
    shaped = np.fft.irfft(np.fft.rfft(pieces, axis=1) * envelopes[:count], axis=1) * window
    out = np.zeros(len(padded))
    for offset in range(FRAME // HOP):
        rows = shaped[:, offset * HOP : (offset + 1) * HOP].reshape(-1)
        out[offset * HOP : offset * HOP + len(rows)] += rows
    return out[FRAME // 2 : FRAME // 2 + len(source)] / 1.5


def formant_envelope(formants: np.ndarray, manner: Manner) -> np.ndarray:
    """Response [frames, 513] of five moving resonators ([frames, 5] hertz) in cascade, beside a fixed high branch.

    A cascade alone loses 130 dB by 10 kHz, where a recorded voice has lost 30 to 40; the branch stands for the formants above the
    fifth: a rise above 4 kHz with a ripple of one resonance per kilohertz.
    """
    z = np.exp(-2j * np.pi * np.arange(BINS) / FRAME)
    response = np.ones((len(formants), BINS), complex)
    for index, bandwidth in enumerate(BANDWIDTHS):
        radius = np.exp(-np.pi * bandwidth * 1.3 / SAMPLE_RATE)
        cosine = np.cos(2 * np.pi * np.minimum(formants[:, index], 0.45 * SAMPLE_RATE) / SAMPLE_RATE)[:, None]
        response *= (1 - 2 * radius * cosine + radius**2) / (1 - 2 * radius * cosine * z + radius**2 * z**2)
    kilohertz = np.arange(BINS) * SAMPLE_RATE / FRAME / 1000.0
    rise = (kilohertz / 4) ** 4 / (1 + (kilohertz / 4) ** 4) / np.maximum(1, kilohertz / 4)
    ripple = 1 - 0.5 * np.cos(2 * np.pi * kilohertz / manner.tract)
    branch = 10 ** (manner.brilliance_db / 20) * rise * ripple
    pole = np.exp(-2 * np.pi * manner.tilt / SAMPLE_RATE)
    return response * ((1 - pole) / (1 - pole * z)) + branch


def sing_formants(notes: list[Note], frames: int, seed: int) -> np.ndarray:
    """The formant singer: mono float of `frames` samples."""
    rng = np.random.default_rng([0x51, seed])
    if not notes:
        return np.zeros(frames)
    manner = Manner.draw(rng, float(np.mean([n.pitch for n in notes])))
    control = melody_control(notes, frames, manner, rng)
    count = len(control.pitch)
    vowels = list(VOWELS)
    formants = np.tile(np.array(VOWELS["a"], float), (count, 1))
    noise_gain, noise_envelope = np.zeros(count), np.zeros((count, BINS), np.float32)
    hertz = np.arange(BINS) * SAMPLE_RATE / FRAME
    voiced = control.loudness.copy()
    wordless = rng.random() < 0.2
    for note in notes:
        first, last = int(note.start * CONTROL_RATE), min(count, int((note.start + note.duration) * CONTROL_RATE))
        consonant = "" if wordless else str(rng.choice(list(CONSONANTS)))
        centre, width, length = CONSONANTS[consonant]
        formants[first:] = VOWELS[vowels[rng.integers(len(vowels))]]
        if note.duration > 0.4 and rng.random() < 0.3:
            formants[(first + last) // 2 :] = VOWELS[vowels[rng.integers(len(vowels))]]
        onset = min(last, first + max(1, int(length * CONTROL_RATE)))
        if centre:
            noise_gain[first:onset] = note.velocity * rng.uniform(0.03, 0.12)
            noise_envelope[first:onset] = np.exp(-0.5 * ((hertz - centre) / width) ** 2)
            voiced[first:onset] *= 0.1
        elif length:
            formants[first:onset, 0] = 280
            voiced[first:onset] *= 0.5
    formants = np.stack([_smooth(formants[:, i], 0.035) for i in range(5)], axis=1) * manner.tract
    voiced = _smooth(voiced, 0.006)
    envelope = formant_envelope(formants, manner)
    noise = rng.standard_normal(frames)
    pulse = glottal_pulse(control.pitch, frames)
    amplitude = np.interp(np.arange(frames) / HOP, np.arange(count), voiced)
    breath = np.interp(np.arange(frames) / HOP, np.arange(count), control.breath)
    out = filter_frames((pulse + breath * noise) * amplitude, envelope)
    gain = np.interp(np.arange(frames) / HOP, np.arange(count), _smooth(noise_gain, 0.006))
    return out + filter_frames(noise * gain, noise_envelope)


def syllable_places(syllable: Syllable, count: int, rng: np.random.Generator) -> np.ndarray:
    """Which frame of the syllable each of `count` frames of the note takes: onset as spoken, vowel held, end as spoken."""
    total, vowel = len(syllable.envelopes), syllable.vowel
    end = min(total - 1, vowel + 6)
    onset = np.arange(min(vowel, max(1, count // 2)))
    onset = np.round(np.linspace(0, vowel, len(onset), endpoint=False)).astype(int) if vowel else onset[:0]
    tail = np.arange(end, total)[: max(0, min(total - end, (count - len(onset)) // 3))]
    sustained = max(0, count - len(onset) - len(tail))
    glide = np.linspace(vowel, end, sustained) + rng.normal(0, 0.4, sustained)
    return np.concatenate([onset, np.clip(np.round(glide), 0, total - 1).astype(int), tail])[:count]


def sing_syllables(notes: list[Note], frames: int, seed: int, syllables: list[Syllable]) -> np.ndarray:
    """Spoken syllables of one voice sung through the melody: mono float of `frames` samples."""
    rng = np.random.default_rng([0x52, seed])
    if not notes:
        return np.zeros(frames)
    manner = Manner.draw(rng, float(np.mean([n.pitch for n in notes])))
    control = melody_control(notes, frames, manner, rng)
    count = len(control.pitch)
    envelopes, voicing = np.zeros((count, BINS), np.float32), np.zeros(count)
    for note in notes:
        first, last = int(note.start * CONTROL_RATE), min(count, int((note.start + note.duration) * CONTROL_RATE))
        if last <= first:
            continue
        syllable = syllables[rng.integers(len(syllables))]
        places = syllable_places(syllable, last - first, rng)
        envelopes[first : first + len(places)] = syllable.envelopes[places] * note.velocity
        voicing[first : first + len(places)] = syllable.voicing[places]
    shift = manner.tract
    if abs(shift - 1) > 0.03:
        bins = np.clip(np.arange(BINS) / (0.5 + 0.5 * shift), 0, BINS - 1)
        low = np.floor(bins).astype(int)
        part = (bins - low).astype(np.float32)
        envelopes = envelopes[:, low] * (1 - part) + envelopes[:, np.minimum(low + 1, BINS - 1)] * part
    pulse = glottal_pulse(control.pitch, frames)
    pulse = np.append(0.0, np.diff(pulse)) * 2 + 0.1 * pulse
    noise = rng.standard_normal(frames) * 0.25
    mix = np.interp(np.arange(frames) / HOP, np.arange(count), _smooth(voicing, 0.005))
    breath = manner.breath * 2
    return filter_frames(pulse * mix + noise * (1 - mix + breath), envelopes)


def speak(notes: list[Note], frames: int, seed: int, syllables: list[Syllable]) -> np.ndarray:
    """Spoken words at the rhythm of the notes, with the speaker's own pitch: mono float of `frames` samples."""
    rng, out = np.random.default_rng([0x53, seed]), np.zeros(frames)
    for note in notes:
        wave = syllables[rng.integers(len(syllables))].wave
        start = int(note.start * SAMPLE_RATE)
        wave = wave[: max(0, min(frames - start, int((note.duration + 0.15) * SAMPLE_RATE)))].copy()
        fade = min(len(wave), 600)
        if fade:
            wave[-fade:] *= np.linspace(1, 0, fade)
        out[start : start + len(wave)] += note.velocity * wave
    return out
