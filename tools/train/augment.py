"""Training examples: item i of the stream is a function of (seed, i) and the songs, whatever the number of loader processes."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import signal

from tools.corpus.composer import STEMS
from tools.corpus.effects import gain_curve

SAMPLE_RATE = 44100
HOP_LENGTH = 1024


@dataclass
class Song:
    """Stems of a rendered song, int16 [5, 2, frames] on disk."""

    path: Path
    scale: float
    audio: np.ndarray

    @property
    def seed(self) -> int:
        return int(self.path.stem)

    @staticmethod
    def open(description: Path) -> "Song":
        scale = json.loads(description.read_text())["scale_of_integers"]
        path = description.with_suffix(".npy")
        return Song(path, scale, np.load(path, mmap_mode="r"))


def open_songs(folder: Path) -> list[Song]:
    """Every finished song of a folder, in the order of its seeds."""
    songs = [Song.open(path) for path in sorted(folder.glob("*.json"), key=lambda p: int(p.stem))]
    if not songs:
        raise FileNotFoundError(f"no songs in {folder}: render some with tools.corpus.render")
    return songs


def stem_groups(stems: tuple[str, ...]) -> list[list[int]]:
    """Which of the corpus' five stems make each of the model's; what it does not name goes to "instrumental"."""
    named = {name for name in stems if name in STEMS}
    return [
        [index for index, name in enumerate(STEMS) if (name == stem if stem in STEMS else name not in named)] for stem in stems
    ]


class Examples:
    """Random crops with augmentation; `item(i)` gives targets [stems, 2, samples] float32, their sum being the mix."""

    def __init__(self, songs: list[Song], stems: tuple[str, ...], seed: int):
        self.songs, self.seed, self.groups = songs, seed, stem_groups(stems)

    def _crop(self, song: Song, start: int, samples: int, stem: slice | int = slice(None)) -> np.ndarray:
        available = song.audio[stem, :, start : start + samples]
        piece = np.zeros((*available.shape[:-1], samples), np.float32)
        piece[..., : available.shape[-1]] = available
        return piece * song.scale

    def _other(self, rng: np.random.Generator, stem: int, samples: int) -> np.ndarray:
        """A crop of one stem of any song; silent draws are given up twice, since effects and voices often pause."""
        piece = np.zeros((2, samples), np.float32)
        for _ in range(3):
            song = self.songs[rng.integers(len(self.songs))]
            begin = int(rng.integers(max(1, song.audio.shape[2] - samples)))
            piece = self._crop(song, begin, samples, stem)
            if piece[:, ::16].any():
                break
        return piece

    def item(self, index: int, samples: int) -> np.ndarray:
        rng = np.random.default_rng([0xA06, self.seed, index])
        speed = float(rng.uniform(0.9, 1.1)) if rng.random() < 0.25 else 1.0
        source = int(round(samples * speed))
        first = self.songs[rng.integers(len(self.songs))]
        start = int(rng.integers(max(1, first.audio.shape[2] - source)))
        stems = self._crop(first, start, source)
        if rng.random() < 0.5:
            for index_of_stem in range(len(STEMS)):
                stems[index_of_stem] = self._other(rng, index_of_stem, source)
        for index_of_stem in (0, 3):
            if rng.random() < 0.1:
                stems[index_of_stem] += 10 ** (float(rng.uniform(-9, 0)) / 20) * self._other(rng, index_of_stem, source)
        if speed != 1.0:
            stems = signal.resample(stems, samples, axis=2).astype(np.float32)
        for stem in stems:
            self._vary(rng, stem)
        targets = np.stack([stems[group].sum(axis=0) for group in self.groups])
        mix = targets.sum(axis=0)
        peak = float(np.abs(mix).max())
        if peak > 1e-4 and rng.random() < 0.3:
            targets = targets * gain_curve(mix, peak * float(rng.uniform(0.35, 0.8)), 20.0, 0.1)
        deviation = float(targets.sum(axis=0).std())
        if deviation < 1e-5:
            return targets.astype(np.float32)
        gain = 10 ** (float(rng.uniform(-6, 6)) / 20) / deviation
        return (targets * gain).astype(np.float32)

    def _vary(self, rng: np.random.Generator, stem: np.ndarray) -> None:
        """Gain, drop-out, channel swap, polarity and low-pass of one stem, in place."""
        stem *= 10 ** (float(rng.uniform(-12, 6)) / 20)
        if rng.random() < 0.15:
            stem[:] = 0
        if rng.random() < 0.5:
            stem[:] = stem[::-1].copy()
        if rng.random() < 0.5:
            stem *= -1
        if rng.random() < 0.05:
            sections = signal.butter(4, float(rng.uniform(8000, 18000)), fs=SAMPLE_RATE, output="sos")
            stem[:] = signal.sosfilt(sections, stem, axis=1)

    def batch(self, step: int, size: int, samples: int) -> torch.Tensor:
        """[size, stems, 2, samples] of one training step."""
        return torch.from_numpy(np.stack([self.item(step * size + i, samples) for i in range(size)]))


def whole_hops(seconds: float) -> int:
    """Samples of the crop nearest to `seconds` that is a multiple of the hop."""
    return int(round(seconds * SAMPLE_RATE / HOP_LENGTH)) * HOP_LENGTH
