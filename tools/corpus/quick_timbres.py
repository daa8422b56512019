"""Timbres that play a note in well under a millisecond of work: wave tables, FM, plucked strings, and one-shots of a bank."""

from pathlib import Path

import numpy as np

from tools.corpus.one_shots import DRUM_NOTES, PITCHES
from tools.corpus.synth import DrumKit, Synth, frequency

SAMPLE_RATE = 44100
TABLE = 2048


class WaveTable:
    """A bright and a dark table, crossfaded along the note, with an envelope; everything drawn from a generator."""

    def __init__(self, rng: np.random.Generator, slow: bool = False, low: bool = False):
        slope = rng.uniform(0.4, 2.2)
        numbers = np.arange(1, 81)
        weights = rng.uniform(0.1, 1.0, 80) / numbers**slope
        if rng.random() < 0.3:
            weights[1::2] *= rng.uniform(0.0, 0.4)
        self.weights, self.phases = weights, rng.uniform(0, 2 * np.pi, 80)
        self.darkness = rng.uniform(1.5, 12.0)
        self.bright_decay = float(np.exp(rng.uniform(np.log(0.03), np.log(1.0))))
        longest = 0.35 if slow else 0.015 if low else 0.06
        self.attack = float(np.exp(rng.uniform(np.log(0.001 if not slow else 0.02), np.log(longest))))
        self.decay = float(np.exp(rng.uniform(np.log(0.06), np.log(1.5)))) if not slow else 3.0
        self.sustain = float(rng.choice([0.0, rng.uniform(0.2, 1.0)])) if not slow else 0.9
        self.release = float(np.exp(rng.uniform(np.log(0.01), np.log(0.4 if slow else 0.15))))
        self.fm = float(rng.choice([0.0, rng.uniform(0.3, 4.0)], p=[0.7, 0.3]))
        self.ratio = float(rng.choice([0.5, 1, 1.41, 2, 3, 3.5, 5, 7]))
        self.detune = float(rng.choice([0.0, rng.uniform(0.001, 0.008)]))
        self.chiff = float(rng.choice([0.0, rng.uniform(0.05, 0.5)], p=[0.6, 0.4]))
        self.rng = rng
        self._tables: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def _pair(self, hertz: float) -> tuple[np.ndarray, np.ndarray]:
        count = max(1, min(80, int(16000 / hertz)))
        if count not in self._tables:
            spectrum = np.zeros(TABLE // 2 + 1, complex)
            spectrum[1 : count + 1] = self.weights[:count] * np.exp(1j * self.phases[:count])
            dark = spectrum * np.exp(-np.arange(TABLE // 2 + 1) / self.darkness)
            tables = [np.fft.irfft(s, TABLE).astype(np.float32) for s in (spectrum, dark)]
            self._tables[count] = tuple(t / max(1e-9, float(np.sqrt((t**2).mean()))) for t in tables)
        return self._tables[count]

    def note(self, pitch: float, seconds: float) -> np.ndarray:
        hertz = frequency(pitch)
        held = int(seconds * SAMPLE_RATE)
        frames = held + int(min(4 * self.release, 1.0) * SAMPLE_RATE)
        time = np.arange(frames, dtype=np.float32) / SAMPLE_RATE
        turns = np.arange(frames) * (hertz / SAMPLE_RATE)
        if self.fm:
            turns = turns + (self.fm / 6.28) * np.exp(-time / self.bright_decay) * np.sin(6.2832 * self.ratio * turns)
        bright, dark = self._pair(hertz)
        mix = np.exp(-time / self.bright_decay)
        place = (turns * TABLE).astype(np.int64) % TABLE
        wave = mix * bright[place] + (1 - mix) * dark[place]
        if self.detune:
            wave = wave + dark[(turns * TABLE * (1 + self.detune)).astype(np.int64) % TABLE]
        if self.chiff:
            short = min(frames, 1500)
            wave[:short] += self.chiff * 3 * self.rng.standard_normal(short).astype(np.float32) * np.exp(-time[:short] / 0.008)
        shape = np.minimum(1.0, time / self.attack) * (self.sustain + (1 - self.sustain) * np.exp(-time / self.decay))
        shape[held:] *= np.exp(-(time[held:] - time[min(held, frames - 1)]) / self.release)
        return (wave * shape).astype(np.float32) * 0.25


class Strings:
    """The plucked string of `tools.corpus.synth`."""

    def __init__(self, rng: np.random.Generator):
        self.synth = Synth(int(rng.integers(1 << 30)))
        self.synth.kind, self.synth.release = "pluck", min(self.synth.release, 0.15)

    def note(self, pitch: float, seconds: float) -> np.ndarray:
        return self.synth.tone(frequency(pitch), int(seconds * SAMPLE_RATE)).astype(np.float32) * 0.5


class OneShot:
    """A program of a bank, the nearest recorded pitch resampled."""

    def __init__(self, bank: "Bank", program: int, rng: np.random.Generator):
        self.sounds = bank.notes[program]
        self.pitches = [(p, i) for i, p in enumerate(PITCHES) if bank.note_heard[program, i]]
        self.release = float(rng.uniform(0.03, 0.2))

    def note(self, pitch: float, seconds: float) -> np.ndarray:
        nearest, index = min(self.pitches, key=lambda pair: abs(pair[0] - pitch))
        ratio = 2 ** ((pitch - nearest) / 12)
        source = self.sounds[index]
        held = int(seconds * SAMPLE_RATE)
        frames = min(held + int(3 * self.release * SAMPLE_RATE), int((len(source) - 2) / ratio))
        if frames < 10:
            return np.zeros(1, np.float32)
        places = np.arange(frames) * ratio
        whole = places.astype(np.int64)
        part = (places - whole).astype(np.float32)
        wave = source[whole] * (1 - part) + source[whole + 1] * part
        if frames > held:
            wave[held:] *= np.exp(-np.arange(frames - held) / (self.release * SAMPLE_RATE))
        return wave * np.float32(1 / 16384)


class Bank:
    """One-shots of one soundfont, as `tools.corpus.one_shots` wrote them."""

    def __init__(self, folder: Path):
        self.notes = np.load(folder / "notes.npy", mmap_mode="r")
        self.drums = np.load(folder / "drums.npy", mmap_mode="r")
        self.note_heard = self.notes[:, :, 64:8000:7].any(axis=2)
        self.drum_heard = self.drums[:, :, 8:2000:5].any(axis=2)

    def program(self, rng: np.random.Generator, choices: tuple[int, ...]) -> OneShot:
        heard = [p for p in choices if self.note_heard[p].sum() >= 3]
        return OneShot(self, int(rng.choice(heard)), rng)


class SynthDrums:
    """`DrumKit` with its hits kept."""

    def __init__(self, rng: np.random.Generator):
        self.kit, self.known = DrumKit(int(rng.integers(1 << 30))), {}
        self.tuning = rng.uniform(0.8, 1.25)

    def hit(self, drum: int) -> np.ndarray:
        if drum not in self.known:
            self.known[drum] = self.kit.hit(min(drum, 51) if drum < 60 else 50).astype(np.float32)[: int(1.2 * SAMPLE_RATE)] * 0.6
            if drum >= 60:
                length = int(len(self.known[drum]) / (1 + (drum - 60) * 0.08))
                self.known[drum] = np.interp(
                    np.linspace(0, len(self.known[drum]) - 1, length), np.arange(len(self.known[drum])), self.known[drum]
                ).astype(np.float32)
        return self.known[drum]


class BankDrums:
    """A kit of a bank."""

    def __init__(self, bank: Bank, rng: np.random.Generator):
        self.bank, self.kit = bank, int(rng.integers(len(bank.drums)))

    def hit(self, drum: int) -> np.ndarray:
        index = DRUM_NOTES.index(drum)
        kit = self.kit if self.bank.drum_heard[self.kit, index] else 0
        return self.bank.drums[kit, index].astype(np.float32) * np.float32(1 / 16384)
