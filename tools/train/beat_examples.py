"""Training examples of the beat networks: crops of rendered features, their stems mixed anew, with equaliser, noise and stretch."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tools.train.beat_features import BANDS, FLOOR, FPS, HOP
from tools.train.beat_network import FRONT_CONTEXT, TEMPO_BINS

STRETCH = 0.05
USUAL_TEMPO = (55.0, 215.0)
UNUSUAL_SHARE = 0.1
"""How often a piece outside of the tracker's default range is drawn, beside one inside: heard often, a piece at 230 BPM teaches that
any piece at 115 may be counted twice as fast."""
SLOW_TEMPO, SLOW_SHARE = 100.0, 2.0
"""How often a slower piece is drawn: its beats are the ones that are counted double."""


@dataclass
class Piece:
    """One rendered piece in memory."""

    bands: np.ndarray
    beats: np.ndarray
    downbeats: np.ndarray
    bars: bool
    facts: dict


@dataclass
class Batch:
    """Inputs [batch, 1, frames + 4, 81]; targets of beat and downbeat [batch, frames]; whether downbeats are known [batch];
    tempo distribution [batch, 300] (all zero: unknown)."""

    bands: torch.Tensor
    beats: torch.Tensor
    downbeats: torch.Tensor
    bars: torch.Tensor
    tempo: torch.Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Pieces and samples, as the training loop counts exposure."""
        return self.beats.shape[0], self.beats.shape[1] * HOP


def load_piece(path: Path) -> Piece:
    with np.load(path) as data:
        return Piece(data["bands"], data["beats"], data["downbeats"], bool(data["bars"]), json.loads(str(data["facts"])))


def widened(times: np.ndarray, frames: int) -> np.ndarray:
    """1 at the frame of each time in frames, one half beside it."""
    target = np.zeros(frames + 2, np.float32)
    places = np.round(times).astype(int)
    for shift, value in ((-1, 0.5), (1, 0.5), (0, 1.0)):
        inside = places[(places + shift >= 0) & (places + shift < frames)] + shift
        target[inside] = np.maximum(target[inside], value)
    return target[:frames]


def tempo_target(beats: np.ndarray) -> np.ndarray:
    """Distribution over 0..299 BPM around the mean tempo of beats in seconds; zero where there are fewer than four."""
    target = np.zeros(TEMPO_BINS, np.float32)
    if len(beats) >= 4:
        place = int(round(60.0 * (len(beats) - 1) / (beats[-1] - beats[0])))
        for shift, value in ((-2, 0.25), (2, 0.25), (-1, 0.5), (1, 0.5), (0, 1.0)):
            if 0 <= place + shift < TEMPO_BINS:
                target[place + shift] = value
        target /= max(1e-9, float(target.sum()))
    return target


def share_of_tempo(tempo: float) -> float:
    """How often a piece is drawn, beside others."""
    low, high = USUAL_TEMPO
    if not low <= tempo <= high:
        return UNUSUAL_SHARE
    return SLOW_SHARE if tempo < SLOW_TEMPO else 1.0


class Examples:
    """Item i of the stream is a function of (seed, i) and of the pieces that are there."""

    def __init__(self, folder: Path, seed: int, causal: bool, most: int | None = None):
        self.folder, self.seed, self.causal, self.most = folder, seed, causal, most
        self.pieces: dict[str, Piece] = {}
        self.refresh()

    def refresh(self) -> None:
        """Takes in pieces that have been rendered since."""
        for path in sorted(self.folder.glob("*.npz"))[: self.most]:
            if path.name not in self.pieces:
                try:
                    self.pieces[path.name] = load_piece(path)
                except zipfile.BadZipFile as error:
                    raise ValueError(f"{path} cannot be read ({error}): render it again") from error
        self.names = sorted(self.pieces)
        if not self.names:
            raise ValueError(f"{self.folder} holds no rendered pieces: run tools.corpus.beat_render")
        shares = [share_of_tempo(self.pieces[name].facts["tempo"]) for name in self.names]
        self.shares = np.cumsum(shares)
        self.shares /= self.shares[-1]

    def _equaliser(self, rng: np.random.Generator, strength: float) -> np.ndarray:
        """Gain per band: a tilt, three bells, now and then a low- or high-pass."""
        places = np.linspace(-1, 1, BANDS)
        decibels = rng.uniform(-6, 6) * places * strength
        for _ in range(3):
            width = rng.uniform(0.08, 0.5)
            decibels = decibels + strength * rng.uniform(-9, 9) * np.exp(-(((places - rng.uniform(-1, 1)) / width) ** 2))
        if rng.random() < 0.1 * strength:
            decibels = decibels - 40 * np.clip((places - rng.uniform(0.2, 0.9)) / 0.2, 0, 1)
        if rng.random() < 0.1 * strength:
            decibels = decibels - 40 * np.clip((rng.uniform(-0.9, -0.3) - places) / 0.2, 0, 1)
        return 10 ** (decibels / 20)

    def _mixed(self, stems: np.ndarray, piece: Piece, rng: np.random.Generator) -> np.ndarray:
        """Power sum of stems [stems, rows, 81] (magnitudes) at drawn levels; noise; gain."""
        if len(stems) == 2:
            gains = 10 ** (rng.uniform(-10, 6, 2) / 20)
            if piece.facts["kind"] == "band":
                draw = rng.random()
                gains = gains * ((1, 0) if draw < 0.08 else (0, 1) if draw < 0.2 else (1, 1))
            power = sum((stem * gain * self._equaliser(rng, 0.6)) ** 2 for stem, gain in zip(stems, gains, strict=True))
        else:
            power = stems[0] ** 2
        power = power * self._equaliser(rng, 1.0) ** 2
        if rng.random() < 0.5:
            colour = 10 ** (np.linspace(1, -1, BANDS) * rng.uniform(-8, 14) / 20)
            fluctuation = rng.gamma(6.0, 1 / 6.0, power.shape)
            level = power.mean() / (colour**2).mean() * 10 ** (-rng.uniform(0, 40) / 10)
            power = power + level * colour**2 * fluctuation
        gain = 10 ** (-rng.uniform(0, 40) / 20) if rng.random() < 0.5 else 10 ** (-rng.uniform(0, 8) / 20)
        return np.sqrt(power) * gain

    def example(self, index: int, frames: int) -> tuple:
        rng = np.random.default_rng([self.seed, 0xE4A, index])
        piece = self.pieces[self.names[int(np.searchsorted(self.shares, rng.random(), side="right"))]]
        speed = float(rng.uniform(1 - STRETCH, 1 + STRETCH)) if rng.random() < 0.5 else 1.0
        rows = piece.bands.shape[1]
        needed = frames * speed
        begin = float(rng.uniform(0, max(0.0, rows - needed)))
        if speed == 1.0:
            begin = round(begin)
        before = FRONT_CONTEXT if self.causal else FRONT_CONTEXT // 2
        places = np.clip(begin + (np.arange(frames + FRONT_CONTEXT) - before) * speed, 0, rows - 1)
        whole = np.minimum(places.astype(int), rows - 1)
        after, part = np.minimum(whole + 1, rows - 1), (places - whole)[None, :, None].astype(np.float32)
        values = piece.bands[:, whole].astype(np.float32)
        if speed != 1.0:
            values = values * (1 - part) + piece.bands[:, after].astype(np.float32) * part
        stems = np.maximum(0, np.exp(values) - FLOOR)
        bands = np.log(self._mixed(stems, piece, rng) + FLOOR).astype(np.float32)
        beats, downbeats = ((times * FPS - begin) / speed for times in (piece.beats, piece.downbeats))
        here = beats[(beats >= 0) & (beats < frames)]
        return bands, widened(beats, frames), widened(downbeats, frames), piece.bars, tempo_target(here / FPS)

    def batch(self, step: int, count: int, frames: int) -> Batch:
        rows = [self.example(step * 64 + number, frames) for number in range(count)]
        columns = zip(*((bands[None], beats, downbeats, np.float32(bars), tempo) for bands, beats, downbeats, bars, tempo in rows), strict=True)
        return Batch(*(torch.from_numpy(np.stack(column)) for column in columns))
