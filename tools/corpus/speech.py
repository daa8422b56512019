"""Syllables spoken by espeak-ng and flite, with the spectral envelopes that the speech singer needs."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from tools.corpus.sampler import MissingSource

SAMPLE_RATE = 44100
FRAME = 1024
HOP = 256
WORDS = (
    "la", "love", "day", "sky", "more", "time", "you", "see", "run", "home", "blue", "night", "fire", "go", "free", "low", "star", "mind",
    "way", "light", "now", "dream", "high", "soul", "heart", "river", "shine", "maybe", "never", "alone", "every", "wonder", "summer", "tell",
    "stay", "moon", "chance", "world", "feel", "gold", "yes", "away",
)
TRAINING_VOICES = (
    "espeak-ng:en-us", "espeak-ng:en-us+f2", "espeak-ng:en-gb+m3", "espeak-ng:de+f3", "espeak-ng:es+m2", "espeak-ng:fr+f1",
    "espeak-ng:it+m5", "espeak-ng:sv+f5", "espeak-ng:pt+m7", "flite:slt", "flite:rms", "flite:kal16", "espeak-ng:nl+m1",
    "espeak-ng:ro+f2", "espeak-ng:tr+m4", "espeak-ng:hu+anika", "espeak-ng:fi+Annie", "espeak-ng:el+m6", "espeak-ng:hr+Andy",
    "espeak-ng:ca+f1", "espeak-ng:en-us+Steph", "espeak-ng:en-gb+Linda", "espeak-ng:es+klatt3", "espeak-ng:de+Michael",
)
EVALUATION_VOICES = ("espeak-ng:pl+f4", "flite:awb")
LIFTER = 55
"""Cepstral coefficients kept: formants stay, pitch (period of 110 samples and more) goes."""


@dataclass
class Syllable:
    """One spoken word: its wave, envelopes [frames, 513] at 256 samples, voicing 0..1 per frame, index of the vowel's frame."""

    wave: np.ndarray
    envelopes: np.ndarray
    voicing: np.ndarray
    vowel: int


def _run(engine: str, voice: str, word: str, target: Path) -> None:
    if engine == "espeak-ng":
        command = ["espeak-ng", "-v", voice, "-s", "140", "-w", str(target), word]
    else:
        command = ["flite", "-voice", voice, "-t", word, "-o", str(target)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError as error:
        raise MissingSource(f"{engine} is missing: install the Debian package {engine}") from error


def _analyse(wave: np.ndarray) -> Syllable:
    window = np.hanning(FRAME)
    padded = np.pad(wave, (FRAME // 2, FRAME))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * window
    magnitude = np.abs(np.fft.rfft(pieces, axis=1)) / np.sqrt((window**2).sum()) + 1e-6
    cepstrum = np.fft.irfft(np.log(magnitude), axis=1)
    cepstrum[:, LIFTER : FRAME - LIFTER + 1] = 0
    envelopes = np.exp(np.fft.rfft(cepstrum, axis=1).real).astype(np.float32)
    power = magnitude**2
    low, high = power[:, 2:24].sum(axis=1), power[:, 70:].sum(axis=1) + 1e-9
    voicing = 1 / (1 + (2 * high / (low + 1e-9)) ** 2)
    voicing[low < 1e-4 * low.max()] = 0
    vowel = int(np.argmax(np.convolve(low, np.ones(5), "same")))
    return Syllable(wave, envelopes, voicing, vowel)


def spoken_word(voice: str, word: str) -> Syllable:
    """Runs the engine named before the colon in `voice` for one word."""
    engine, name = voice.split(":")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "word.wav")
        _run(engine, name, word, target)
        wave, rate = soundfile.read(target, dtype="float64")
    loud = np.nonzero(np.abs(wave) > 0.02 * np.abs(wave).max())[0]
    wave = wave[max(0, loud[0] - rate // 100) : loud[-1] + rate // 50]
    wave = signal.resample_poly(wave, SAMPLE_RATE, rate)
    wave = wave * (0.1 / np.sqrt(np.mean(wave**2)))
    return _analyse(wave)


class VoiceBank:
    """Syllables of every voice of one side (training or evaluation), spoken when first asked for."""

    def __init__(self, evaluation: bool):
        self.voices = EVALUATION_VOICES if evaluation else TRAINING_VOICES
        self._known: dict[str, list[Syllable]] = {}

    def syllables(self, seed: int) -> list[Syllable]:
        """The syllables of the voice that `seed` draws."""
        voice = self.voices[seed % len(self.voices)]
        if voice not in self._known:
            self._known[voice] = [spoken_word(voice, word) for word in WORDS]
        return self._known[voice]
