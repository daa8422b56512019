"""Own synthesisers: subtractive, frequency modulation, additive, plucked string; modal and noise drums.

Every renderer takes notes and a seed that draws its timbre, and gives float32 [2, frames] at 44.1 kHz.
"""

import numpy as np
from scipy import signal

from tools.corpus.composer import CLAP, CLOSED_HAT, CRASH, KICK, OPEN_HAT, RIDE, SNARE, TOM_HIGH, TOM_LOW, Note

SAMPLE_RATE = 44100


def frequency(pitch: float) -> float:
    return 440.0 * 2 ** ((pitch - 69) / 12)


def _amplitude(frames: int, held: int, attack: float, decay: float, sustain: float, release: float) -> np.ndarray:
    time = np.arange(frames) / SAMPLE_RATE
    shape = np.minimum(1.0, time / attack) * (sustain + (1 - sustain) * np.exp(-time / decay))
    end = held / SAMPLE_RATE
    return shape * np.where(time > end, np.exp(-(time - end) / release), 1.0)


class Synth:
    """One pitched timbre, drawn from a seed."""

    KINDS = ("subtractive", "fm", "additive", "pluck")

    def __init__(self, seed: int, low: bool = False):
        rng = np.random.default_rng([0x5717, seed])
        self.kind = str(rng.choice(self.KINDS))
        self.attack = float(np.exp(rng.uniform(np.log(0.002), np.log(0.12 if not low else 0.02))))
        self.decay = float(np.exp(rng.uniform(np.log(0.08), np.log(1.5))))
        self.sustain = float(rng.choice([0.0, rng.uniform(0.2, 1.0)], p=[0.35, 0.65]))
        self.release = float(np.exp(rng.uniform(np.log(0.02), np.log(0.4))))
        self.square = float(rng.random())
        self.cutoff = float(np.exp(rng.uniform(np.log(1.5), np.log(14))))
        self.detune = float(rng.uniform(0.0, 0.012))
        self.ratio = float(rng.choice([0.5, 1, 1, 1.41, 2, 3, 3.5, 4, 7]))
        self.index = float(rng.uniform(0.5, 6))
        self.index_decay = float(np.exp(rng.uniform(np.log(0.05), np.log(1.0))))
        self.partials = rng.uniform(0, 1, 24) / np.arange(1, 25) ** rng.uniform(0.5, 2.2)
        self.stretch = float(rng.choice([0.0, rng.uniform(0, 0.0008)]))
        self.brightness = float(rng.uniform(0.2, 0.75))
        self.string_decay = float(rng.uniform(0.985, 0.9985))
        self.vibrato = float(rng.choice([0.0, rng.uniform(0, 0.004)], p=[0.7, 0.3]))
        self.noise_seed = int(rng.integers(1 << 30))

    def _harmonics(self, hertz: float, phase: np.ndarray, weights: np.ndarray) -> np.ndarray:
        count = min(len(weights), int(18000 / hertz))
        out = np.zeros_like(phase)
        for number in range(1, count + 1):
            bent = number * np.sqrt(1 + self.stretch * number * number)
            out += weights[number - 1] * np.sin(bent * phase)
        return out

    def tone(self, hertz: float, held: int) -> np.ndarray:
        """One note of unit velocity, mono."""
        frames = held + int(min(5 * self.release, 1.5) * SAMPLE_RATE)
        time = np.arange(frames) / SAMPLE_RATE
        if self.kind == "pluck":
            return self._pluck(hertz, frames) * _amplitude(frames, held, 0.001, 10.0, 1.0, self.release)
        phase = 2 * np.pi * hertz * time + self.vibrato * hertz / 5.5 * np.sin(2 * np.pi * 5.5 * time)
        if self.kind == "fm":
            index = self.index * np.exp(-time / self.index_decay)
            wave = np.sin(phase + index * np.sin(self.ratio * phase))
        elif self.kind == "additive":
            wave = self._harmonics(hertz, phase, self.partials)
        else:
            numbers = np.arange(1, 41)
            saw = 1 / numbers
            weights = (1 - self.square) * saw + self.square * saw * (numbers % 2)
            weights = weights / np.sqrt(1 + (numbers / self.cutoff) ** 4)
            wave = self._harmonics(hertz, phase, weights)
            wave += self._harmonics(hertz, phase * (1 + self.detune), weights) if self.detune > 0.003 else 0
        return wave * _amplitude(frames, held, self.attack, self.decay, self.sustain, self.release)

    def _pluck(self, hertz: float, frames: int) -> np.ndarray:
        """Karplus and Strong, "Digital synthesis of plucked-string and drum timbres" (1983), with a damping filter."""
        period = max(2, int(round(SAMPLE_RATE / hertz - 0.5)))
        excitation = np.zeros(frames)
        noise = np.random.default_rng([self.noise_seed, period]).uniform(-1, 1, period)
        noise = signal.lfilter([self.brightness], [1, self.brightness - 1], noise)
        excitation[:period] = noise[:frames]
        feedback = np.zeros(period + 2)
        feedback[0], feedback[period], feedback[period + 1] = 1.0, -0.5 * self.string_decay, -0.5 * self.string_decay
        return 3 * signal.lfilter([1.0], feedback, excitation)


def render_synth(notes: list[Note], frames: int, seed: int, low: bool = False) -> np.ndarray:
    """A part on one drawn timbre; notes of the same pitch and length share their wave."""
    synth, known = Synth(seed, low), {}
    out = np.zeros(frames)
    for note in notes:
        held = int(round(note.duration * SAMPLE_RATE / 441)) * 441
        key = (round(note.pitch, 2), held)
        if key not in known:
            known[key] = synth.tone(frequency(note.pitch), max(held, 441))
        start = int(note.start * SAMPLE_RATE)
        wave = known[key][: max(0, frames - start)]
        out[start : start + len(wave)] += note.velocity * wave
    return np.stack([out, out]).astype(np.float32) * 0.2


class DrumKit:
    """Drums of decaying modes and filtered noise, drawn from a seed."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng([0xD407, seed])
        rng = self.rng
        self.kick_low, self.kick_fall = rng.uniform(40, 62), rng.uniform(60, 250)
        self.kick_length, self.kick_click = rng.uniform(0.1, 0.4), rng.uniform(0, 0.5)
        self.snare_tone, self.snare_noise = rng.uniform(150, 260), rng.uniform(0.07, 0.22)
        self.snare_mix, self.snare_low = rng.uniform(0.3, 0.8), rng.uniform(500, 2500)
        self.hat_low, self.hat_length = rng.uniform(5000, 9500), rng.uniform(0.02, 0.08)
        self.metal = rng.uniform(2500, 9000, 10)
        self.metal_mix = rng.uniform(0.1, 0.7)
        self.tom = rng.uniform(90, 140)

    def _noise(self, seconds: float, low: float, high: float, decay: float) -> np.ndarray:
        frames = int(seconds * SAMPLE_RATE)
        sections = signal.butter(2, [low, high], "bandpass", fs=SAMPLE_RATE, output="sos")
        return signal.sosfilt(sections, self.rng.standard_normal(frames)) * np.exp(-np.arange(frames) / SAMPLE_RATE / decay)

    def _swept(self, low: float, fall: float, decay: float) -> np.ndarray:
        time = np.arange(int(decay * 5 * SAMPLE_RATE)) / SAMPLE_RATE
        phase = 2 * np.pi * (low * time + fall * 0.03 * (1 - np.exp(-time / 0.03)))
        return np.sin(phase) * np.exp(-time / decay)

    def _metal(self, seconds: float, decay: float) -> np.ndarray:
        time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        tones = sum(np.sin(2 * np.pi * f * time + f) for f in self.metal) / 4
        hiss = self._noise(seconds, self.hat_low * 0.6, 18000, decay)
        return self.metal_mix * tones * np.exp(-time / decay) + hiss

    def hit(self, drum: int) -> np.ndarray:
        """One hit of unit velocity, mono."""
        if drum == KICK:
            wave = self._swept(self.kick_low, self.kick_fall, self.kick_length)
            click = self._noise(0.02, 1000, 8000, 0.004) * self.kick_click
            wave[: len(click)] += click
            return 1.2 * wave
        if drum == SNARE:
            noise = self._noise(0.6, self.snare_low, 14000, self.snare_noise)
            body = self._swept(self.snare_tone, 60, 0.07)
            noise[: len(body)] += self.snare_mix * body[: len(noise)]
            return 0.8 * noise
        if drum == CLAP:
            noise = self._noise(0.4, 800, 6000, 0.09)
            out = np.zeros(len(noise) + 1400)
            for shift in (0, 450, 900, 1400):
                out[shift : shift + len(noise)] += noise * (1.0 if shift == 1400 else 0.5)
            return 0.8 * out
        if drum in (TOM_LOW, TOM_HIGH):
            return self._swept(self.tom * (1.0 if drum == TOM_LOW else 1.5), 50, 0.16)
        if drum == CLOSED_HAT:
            return 0.5 * self._metal(0.3, self.hat_length)
        if drum == OPEN_HAT:
            return 0.5 * self._metal(0.8, 0.25)
        return 0.5 * self._metal(2.5, 0.35 if drum == RIDE else 0.8)


def render_drums(notes: list[Note], frames: int, seed: int) -> np.ndarray:
    """A drum part; each drum has three takes, so that repeats are not identical, and its own place."""
    kit, takes, out = DrumKit(seed), {}, np.zeros((2, frames))
    places = {CLOSED_HAT: 0.3, OPEN_HAT: 0.3, RIDE: -0.35, CRASH: 0.4, TOM_LOW: -0.4, TOM_HIGH: 0.35}
    for index, note in enumerate(notes):
        drum = int(note.pitch)
        if drum not in takes:
            takes[drum] = [kit.hit(drum) for _ in range(3)]
        start = int(note.start * SAMPLE_RATE)
        wave = takes[drum][index % 3][: max(0, frames - start)] * note.velocity
        place = places.get(drum, 0.0)
        out[0, start : start + len(wave)] += wave * (1 - max(0.0, place))
        out[1, start : start + len(wave)] += wave * (1 + min(0.0, place))
    return 0.5 * out.astype(np.float32)
