"""Training pairs of the embedder: a second of music and the same second played back badly."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import signal

from tools.corpus.beat_render import through_codec
from tools.train.embedder_features import SAMPLE_RATE, WINDOW, mel_windows

OFFSET = 0.2
"""Most seconds by which the second playing begins early or late."""
SPEED = 0.02
NOISE_DB = (-5.0, 15.0)
CODECS = (("libmp3lame", "mp3", (8, 16, 24, 32)), ("aac", "adts", (8, 16, 24)), ("libopus", "ogg", (8, 12, 16, 24)))
CODED_SHARE, MOST_CODED = 0.3, 24
PER_PIECE = 4
"""Windows of one piece in a batch: neighbours are the hardest negatives."""
SPACING = 1.5
"""Least seconds between two windows of one piece in a batch."""


@dataclass
class Pairs:
    """Mel pictures [pairs, 1, 256, 32] of the clean and of the spoilt windows."""

    clean: torch.Tensor
    spoilt: torch.Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Pairs and samples at 44.1 kHz, as the training loop counts exposure (one second a pair)."""
        return self.clean.shape[0], 44100


def coloured_noise(rng: np.random.Generator, count: int) -> np.ndarray:
    """Noise with a power slope between white and brown, unit deviation."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum[1:] *= (np.arange(1, len(spectrum)) / 100.0) ** -rng.uniform(0.0, 1.0)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, count)
    return noise / noise.std()


def reverberated(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    seconds = float(np.exp(rng.uniform(np.log(0.1), np.log(1.0))))
    length = int(seconds * SAMPLE_RATE)
    tail = rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    tail *= rng.uniform(0.2, 1.2) / np.sqrt((tail**2).sum())
    tail[0] += 1.0
    return signal.fftconvolve(audio, tail)[: len(audio)]


def coloured(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A band-pass as of a telephone or a small loudspeaker, or gentle bells."""
    frequencies = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    octaves = np.log2(np.maximum(frequencies, 20.0) / 1000.0)
    if rng.random() < 0.4:
        low, high = rng.uniform(150, 500), rng.uniform(2200, 3700)
        below = np.maximum(0, np.log2(low / np.maximum(frequencies, 20.0)))
        above = np.maximum(0, np.log2(np.maximum(frequencies, 1.0) / high))
        decibels = -24 * below - 40 * above
    else:
        decibels = rng.uniform(-4, 4) * octaves
        for _ in range(2):
            decibels = decibels + rng.uniform(-9, 9) * np.exp(-(((octaves - rng.uniform(-2, 2)) / rng.uniform(0.2, 1.0)) ** 2))
    return np.fft.irfft(np.fft.rfft(audio) * 10 ** (decibels / 20), len(audio))


def spoil(audio: np.ndarray, rng: np.random.Generator, noise_db: float | None = None) -> np.ndarray:
    """Reverberation, band-pass or bells, noise at a drawn or given level, saturation."""
    if rng.random() < 0.5:
        audio = reverberated(audio, rng)
    if rng.random() < 0.5:
        audio = coloured(audio, rng)
    level = rng.uniform(*NOISE_DB) if noise_db is None else noise_db
    if rng.random() < 0.85:
        audio = audio + coloured_noise(rng, len(audio)) * max(1e-5, float(audio.std())) * 10 ** (-level / 20)
    if rng.random() < 0.1:
        audio = np.tanh(audio * rng.uniform(1, 5) / max(1e-6, float(np.abs(audio).max())))
    return audio


class PairExamples:
    """Item i of the stream is a function of (seed, i) and of the pieces that are there."""

    def __init__(self, folder: Path, seed: int, most: int | None = None):
        self.folder, self.seed, self.most = folder, seed, most
        self.clean: list[np.ndarray] = []
        self.coded: dict[int, np.ndarray] = {}
        self._known: set[str] = set()
        self.refresh()
        if not self.clean:
            raise ValueError(f"{folder} holds no rendered pieces: run tools.corpus.beat_render")
        rng = np.random.default_rng([seed, 0xC0DE])
        jobs = []
        for index in range(min(MOST_CODED, int(CODED_SHARE * len(self.clean)))):
            codec, container, rates = CODECS[int(rng.integers(len(CODECS)))]
            jobs.append((index, codec, container, int(rng.choice(rates))))
        with ThreadPoolExecutor(2) as pool:
            for index, coded in pool.map(lambda job: (job[0], self._coded(*job)), jobs):
                self.coded[index] = coded

    def refresh(self) -> None:
        """Takes in pieces that have been rendered since; they are not coded."""
        for path in sorted(self.folder.glob("*.npz"))[: self.most]:
            if path.name not in self._known:
                self._known.add(path.name)
                with np.load(path) as data:
                    self.clean.append(data["low"])

    def _coded(self, index: int, codec: str, container: str, kilobits: int) -> np.ndarray:
        audio = self.clean[index].astype(np.float32) / 32768
        return np.clip(through_codec(audio, codec, container, kilobits, SAMPLE_RATE) * 32767, -32768, 32767).astype(np.int16)

    def _windows(self, rng: np.random.Generator, index: int, begin: int) -> tuple[np.ndarray, np.ndarray]:
        audio = self.clean[index]
        clean = audio[begin : begin + WINDOW].astype(np.float32) / 32768
        coded = self.coded.get(index) if rng.random() < 0.5 else None
        speed = float(rng.uniform(1 - SPEED, 1 + SPEED)) if rng.random() < 0.6 else 1.0
        start = begin + rng.uniform(-OFFSET, OFFSET) * SAMPLE_RATE
        # More than the window, so that the reverberation has a past.
        before = 2000
        places = start + (np.arange(before + WINDOW) - before) * speed
        source = (audio if coded is None else coded).astype(np.float32) / 32768
        other = np.interp(places, np.arange(len(source)), source)
        return clean, spoil(other, rng)[before:]

    def batch(self, step: int, count: int) -> Pairs:
        rng = np.random.default_rng([self.seed, 0x9A12, step])
        clean, spoilt = [], []
        while len(clean) < count:
            index = int(rng.integers(len(self.clean)))
            length = len(self.clean[index])
            begins: list[int] = []
            for _ in range(4 * PER_PIECE):
                begin = int(rng.integers(3000, length - WINDOW - 3000))
                if len(begins) < PER_PIECE and all(abs(begin - other) > SPACING * SAMPLE_RATE for other in begins):
                    if self.clean[index][begin : begin + WINDOW].std() > 100:
                        begins.append(begin)
            for begin in begins[: count - len(clean)]:
                pair = self._windows(rng, index, begin)
                clean.append(pair[0])
                spoilt.append(pair[1])
        pictures = mel_windows(np.stack([*clean, *spoilt]).astype(np.float32))
        # Bands fall out of the spoilt half, as SpecAugment does (Park et al., 2019).
        for picture in pictures[count:]:
            if rng.random() < 0.3:
                first = int(rng.integers(0, 216))
                picture[0, first : first + int(rng.integers(5, 40))] = -1.0
        return Pairs(torch.from_numpy(pictures[:count]), torch.from_numpy(pictures[count:]))
