"""Composes and renders music with known beats, fast: every trap of beat tracking is a knob drawn per piece.

A piece is a function of (seed, side, bank). The held-out side has other grooves, other rhythms and another bank of sounds.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import signal

from tools.corpus.grammar import EVALUATION, SCALES, TRAINING
from tools.corpus.quick_timbres import SAMPLE_RATE, Bank, BankDrums, Strings, SynthDrums, WaveTable

KICK, STICK, SNARE, CLAP, HAT, OPEN, CRASH, RIDE, TOM = 36, 37, 38, 39, 42, 46, 49, 51, 45
PERCUSSION = (54, 56, 60, 61, 62, 63, 64, 69, 70, 75, 76, 77)
LOW_PROGRAMS = tuple(range(32, 40)) + (43, 58)
CHORD_PROGRAMS = tuple(range(0, 9)) + tuple(range(16, 32))
PAD_PROGRAMS = tuple(range(48, 55)) + tuple(range(88, 96)) + (19, 20, 21)
LEAD_PROGRAMS = tuple(range(40, 48)) + tuple(range(56, 88)) + (8, 9, 10, 11, 12, 13, 14, 104, 105, 106, 107)
MELODY_CELLS = {
    False: ((0,), (0, 0.5), (0, 0.5, 0.75), (0, 0.25, 0.5), (0.5,), (0, 0.25, 0.5, 0.75), (), (0, 0.75), (0, 0.5)),
    True: ((0,), (0, 0.75), (0.25, 0.5), (0.5, 0.75), (0, 0.25, 0.75), (), (0, 0.5)),
}
TRESILLO = {False: ((0, 3, 6, 8, 11, 14), (0, 6, 8, 14)), True: ((0, 3, 6, 10, 12), (0, 3, 7, 10, 13), (0, 4, 6, 10, 12))}


@dataclass
class Knobs:
    """What makes a piece hard; None is drawn."""

    kind: str | None = None
    """click, drums, percussion, band, quiet (no drums)."""
    tempo: float | None = None
    course: str | None = None
    """steady, drift, ramp, step, rubato."""
    meter: int | None = None
    swing: float | None = None


@dataclass
class BeatPiece:
    """Rendered stems, mono at 44.1 kHz, and the truth in seconds."""

    seed: int
    drums: np.ndarray
    pitched: np.ndarray
    beats: np.ndarray
    downbeats: np.ndarray | None
    facts: dict = field(default_factory=dict)


class Clock:
    """Beat times; musical positions to seconds with swing."""

    def __init__(self, rng: np.random.Generator, seconds: float, tempo: float, course: str, swing: float, swing_unit: float):
        self.swing, self.unit = swing, swing_unit
        time, times, factor = float(rng.uniform(0.03, 1.5)), [], 1.0
        ramp = float(np.exp(rng.uniform(-0.34, 0.34)))
        step_at = rng.uniform(0.3, 0.7) * seconds
        waves = rng.uniform(0, 2 * np.pi, 3)
        while time < seconds + 8:
            times.append(time)
            if course == "drift":
                factor = float(np.clip(factor * np.exp(rng.normal(0, 0.006)), 0.92, 1.08))
            elif course == "ramp":
                factor = ramp ** min(1.0, time / seconds)
            elif course == "step":
                factor = ramp if time > step_at else 1.0
            elif course == "rubato":
                factor = 1 + 0.09 * np.sin(2 * np.pi * time / 7.3 + waves[0]) + 0.05 * np.sin(2 * np.pi * time / 3.1 + waves[1])
            time += 60.0 / (tempo * factor)
        self.times = np.asarray(times)

    def at(self, position: float) -> float:
        beat = int(np.floor(position))
        inside = (position - beat) / self.unit
        cell = np.floor(inside)
        part = inside - cell
        if self.swing > 0.5:
            part = part / 0.5 * self.swing if part < 0.5 else self.swing + (part - 0.5) / 0.5 * (1 - self.swing)
        beat = min(beat, len(self.times) - 2)
        return float(self.times[beat] + (cell + part) * self.unit * (self.times[beat + 1] - self.times[beat]))

    def length(self, position: float, beats: float) -> float:
        return self.at(position + beats) - self.at(position)


class Player:
    """Composes one piece into two stems."""

    def __init__(self, seed: int, seconds: float, banks: list[Bank], held_out: bool, knobs: Knobs):
        self.rng = rng = np.random.default_rng([0xBEA7, int(held_out), seed])
        self.held_out, self.seconds, self.banks = held_out, seconds, banks
        self.kind = knobs.kind or str(rng.choice(["click", "drums", "percussion", "band", "quiet"], p=[0.06, 0.17, 0.07, 0.5, 0.2]))
        wide = float(np.exp(rng.uniform(np.log(40), np.log(250))))
        usual = float(np.clip(115 * np.exp(rng.normal(0, 0.28)), 50, 220))
        self.tempo = knobs.tempo or (wide if rng.random() < 0.5 else usual)
        course = knobs.course or str(rng.choice(["steady", "drift", "ramp", "step", "rubato"], p=[0.55, 0.2, 0.13, 0.07, 0.05]))
        self.meter = knobs.meter or int(rng.choice([4, 3, 2, 6], p=[0.55, 0.2, 0.12, 0.13]))
        self.ternary = bool(rng.random() < 0.12)
        swing = knobs.swing or (float(rng.uniform(0.54, 0.75)) if rng.random() < 0.25 and not self.ternary else 0.5)
        self.clock = Clock(rng, seconds, self.tempo, course, swing, 0.5 if rng.random() < 0.2 and self.tempo < 110 else 1.0)
        self.jitter = float(rng.uniform(0, 0.015)) * (rng.random() < 0.7)
        self.accent = float(rng.uniform(0.0, 0.5))
        self.tuning = float(rng.uniform(-0.5, 0.5))
        self.key, self.scale = int(rng.integers(12)), SCALES[str(rng.choice(list(SCALES)))]
        self.finest = 4 if self.tempo < 140 else 2 if self.tempo < 190 else 1 if rng.random() < 0.5 else 2
        grammar = EVALUATION if held_out else TRAINING
        self.grooves = grammar.grooves
        self.progression = self._progression(grammar)
        count = int((seconds + 8) * SAMPLE_RATE)
        self.stems = {"drums": np.zeros(count, np.float32), "pitched": np.zeros(count, np.float32)}
        self.facts = {"kind": self.kind, "tempo": self.tempo, "course": course, "meter": self.meter, "swing": swing}
        self._layout()

    def _progression(self, grammar) -> tuple[int, ...]:
        rng = self.rng
        rows = grammar.progressions[str(rng.choice(["bright", "dark"]))]
        return rows[int(rng.integers(len(rows)))]

    def _layout(self) -> None:
        """Bars with their meters, and sections of them with the layers that play."""
        rng, beat, self.bars = self.rng, 0, []
        changes = rng.random() < 0.06
        meter, last = self.meter, int(np.searchsorted(self.clock.times, self.seconds + 2))
        while beat < last:
            if changes and len(self.bars) % 8 == 7:
                meter = int(rng.choice([2, 3, 4, 6]))
            self.bars.append((beat, meter))
            beat += meter
        self.section = int(rng.choice([4, 8]))
        layers = ["bass", "chords", "pads", "arpeggio", "lead"]
        chances = [0.8, 0.6, 0.45, 0.4, 0.55]
        self.layers = []
        for _ in range(len(self.bars) // self.section + 1):
            on = {name for name, chance in zip(layers, chances, strict=True) if rng.random() < chance}
            if not on & {"bass", "chords", "arpeggio"}:
                on.add(str(rng.choice(["bass", "chords", "arpeggio"])))
            if rng.random() > 0.12:
                on.add("drums")
            self.layers.append(on)

    def _plays(self, bar: int, layer: str) -> bool:
        return layer in self.layers[bar // self.section]

    def _add(self, stem: str, wave: np.ndarray, time: float, gain: float) -> None:
        start = int(round(time * SAMPLE_RATE))
        if start < 0:
            wave, start = wave[-start:], 0
        place = self.stems[stem][start : start + len(wave)]
        place += wave[: len(place)] * np.float32(gain)

    def _late(self) -> float:
        return float(self.rng.normal(0, self.jitter)) if self.jitter else 0.0

    def _velocity(self, inside: float, meter: int) -> float:
        """Metrical accent: position in beats inside the bar."""
        strong = 1.0 if inside == 0 else 0.6 if inside == meter / 2 and meter in (4, 6) else 0.35 if inside % 1 == 0 else 0.0
        return float((1 - self.accent + self.accent * strong) * np.exp(self.rng.normal(0, 0.1)))

    def _chord(self, bar: int) -> list[float]:
        degree = self.progression[bar % len(self.progression)]
        steps = [degree, degree + 2, degree + 4] + ([degree + 6] if self.seventh else [])
        return [48 + self.key + self.tuning + 12 * (s // 7) + self.scale[s % 7] for s in steps]

    def _timbre(self, programs: tuple[int, ...], slow: bool = False, low: bool = False):
        draw = self.rng.random()
        if self.banks and draw < 0.6:
            return self.banks[int(self.rng.integers(len(self.banks)))].program(self.rng, programs)
        if draw < 0.68 and not slow:
            return Strings(self.rng)
        return WaveTable(self.rng, slow, low)

    def _drums(self):
        if self.banks and self.rng.random() < 0.6:
            return BankDrums(self.banks[int(self.rng.integers(len(self.banks)))], self.rng)
        return SynthDrums(self.rng)

    # --- layers

    def clicks(self) -> bool:
        """A metronome; gives whether its bars can be heard."""
        rng = self.rng
        accented, gain = rng.random() < 0.5, rng.uniform(0.2, 0.8)
        kit = self._drums() if rng.random() < 0.5 else None
        drum = int(rng.choice((STICK, HAT, SNARE) + PERCUSSION))
        hertz, decay = np.exp(rng.uniform(np.log(400), np.log(4000))), rng.uniform(60, 400)
        time = np.arange(int(0.12 * SAMPLE_RATE)) / SAMPLE_RATE
        waves = [np.sin(2 * np.pi * hertz * f * time).astype(np.float32) * np.exp(-decay * time).astype(np.float32) for f in (1, 1.5)]
        divided = int(rng.choice([1, 1, 1, 2, 3])) if self.tempo < 120 else 1
        for beat, meter in self.bars:
            for inside in range(meter):
                strong = accented and inside == 0
                wave = kit.hit(drum) if kit else waves[int(strong)]
                self._add("drums", wave, self.clock.at(beat + inside) + self._late(), gain * (1.6 if strong and kit else 1.0))
                for part in range(1, divided):
                    self._add("drums", wave, self.clock.at(beat + inside + part / divided), 0.35 * gain)
        return accented

    def _groove(self, meter: int) -> dict[int, list[tuple[float, float]]]:
        """Drum to (beat inside the bar, velocity) of one bar."""
        rng, out = self.rng, {}
        table = self.grooves.get(meter)
        if table and not self.ternary and rng.random() < (0.75 if self.held_out else 0.35):
            row = table[int(rng.integers(len(table)))]
            for drum, pattern in ((KICK, row.kick), (SNARE, row.snare), (HAT, row.hat)):
                step = meter / len(pattern)
                out[drum] = [(i * step, int(c) / 9) for i, c in enumerate(pattern) if c != "." and (i * step * self.finest) % 1 == 0]
            return out
        parts = 3 if self.ternary and self.tempo < 150 else self.finest
        grid = [round(i / parts, 6) for i in range(meter * parts)]
        middle = meter / 2 if meter in (4, 6) else 0
        kicks, snares = [], []
        four = rng.random() < 0.2
        half_time = meter == 4 and rng.random() < 0.1
        backbeats = {4: {2.0} if half_time else {1.0, 3.0}, 3: {1.0, 2.0} if rng.random() < 0.6 else {2.0}, 2: {1.0}, 6: {3.0}}[meter]
        weak = 10 ** (-rng.uniform(0, 12) / 20)
        if self.held_out or (meter == 4 and rng.random() < 0.15):
            rows = TRESILLO[self.held_out]
            chosen = {p / 4 for p in rows[int(rng.integers(len(rows)))]}
        else:
            chosen = None
        for place in grid:
            whole = place % 1 == 0
            chance = 0.96 if place == 0 else 0.9 if four and whole else 0.65 if place == middle else 0.2 if whole else 0.04
            if place % 1 == 0.5:
                chance = 0.14
            if chosen is not None and meter == 4 and parts == 4:
                chance = 0.9 if place in chosen else 0.03
            if place in backbeats:
                snares.append((place, 0.85 * weak))
                chance *= 0.9 if four else 0.15
            elif rng.random() < (0.03 if whole else 0.06):
                snares.append((place, float(rng.uniform(0.1, 0.35))))
            if rng.random() < chance:
                kicks.append((place, 1.0 if place == 0 else float(rng.uniform(0.6, 1.0))))
        out[KICK] = kicks
        out[int(rng.choice([SNARE, SNARE, SNARE, CLAP, STICK]))] = snares
        cymbal = int(rng.choice([HAT, HAT, HAT, RIDE, OPEN, 70, 54]))
        density = str(rng.choice(["beats", "halves", "all", "offbeats", "some", "none"], p=[0.15, 0.32, 0.23, 0.1, 0.12, 0.08]))
        off = float(rng.uniform(0.25, 1.05))
        hats = []
        for place in grid:
            part = place % 1
            plays = {
                "beats": part == 0, "halves": part in (0, 0.5) or (parts == 3 and part > 0.5) or part == 0, "all": True,
                "offbeats": part == 0.5 or (parts != 2 and part > 0.6), "some": rng.random() < 0.4, "none": False,
            }[density]
            if plays:
                hats.append((place, 0.7 * (1.0 if part == 0 else off)))
        out[cymbal] = hats
        return out

    def drums(self) -> None:
        rng, kit = self.rng, self._drums()
        levels = {KICK: rng.uniform(0.6, 1.2), SNARE: rng.uniform(0.5, 1.1), HAT: rng.uniform(0.15, 0.6)}
        fills, loose = rng.random() < 0.7, rng.uniform(0, 0.08)
        late_kick = rng.random() < 0.2
        grooves = {}
        only = self.kind in ("drums", "percussion")
        for bar, (beat, meter) in enumerate(self.bars):
            if not only and not self._plays(bar, "drums"):
                continue
            key = (meter, bar // self.section % 2 if rng.random() < 0.9 else 2)
            groove = grooves.get(key) or grooves.setdefault(key, self._groove(meter))
            is_fill = fills and bar % self.section == self.section - 1 and rng.random() < 0.7
            fill_from = meter - (1 if meter < 4 else int(rng.choice([1, 2])))
            for drum, hits in groove.items():
                for place, velocity in hits:
                    if is_fill and place >= fill_from and drum != KICK:
                        continue
                    if drum == KICK and place == 0 and late_kick and rng.random() < 0.35:
                        continue
                    if rng.random() < loose:
                        continue
                    level = levels.get(drum, levels[SNARE] if drum in (CLAP, STICK) else levels[HAT])
                    gain = velocity * level * np.exp(rng.normal(0, 0.12))
                    self._add("drums", kit.hit(drum), self.clock.at(beat + place) + self._late(), gain)
            if is_fill:
                step = 1 / max(2, self.finest) if not self.ternary else 1 / 3
                for place in np.arange(fill_from, meter, step):
                    if rng.random() < 0.8:
                        wave = kit.hit(int(rng.choice([SNARE, TOM, 47, 50, SNARE])))
                        self._add("drums", wave, self.clock.at(beat + float(place)) + self._late(), rng.uniform(0.4, 1.0))
            elif fills and bar % self.section == 0 and bar and rng.random() < 0.6:
                self._add("drums", kit.hit(CRASH), self.clock.at(beat) + self._late(), 0.6)

    def percussion(self) -> None:
        """Two to four percussion ostinatos."""
        rng = self.rng
        for _ in range(int(rng.integers(2, 5))):
            kit, drum = self._drums(), int(rng.choice(PERCUSSION + (HAT, KICK, SNARE)))
            parts = 3 if self.ternary and self.tempo < 150 else self.finest
            meter = self.meter
            steps = meter * parts
            pattern = (rng.random(steps) < rng.uniform(0.2, 0.7)) * rng.uniform(0.3, 1.0, steps)
            pattern[0] = 1.0 if rng.random() < 0.85 else 0.0
            pattern[::parts] = np.maximum(pattern[::parts], (rng.random(meter) < 0.6) * 0.8)
            for beat, bar_meter in self.bars:
                for step in range(min(steps, bar_meter * parts)):
                    if pattern[step] > 0 and rng.random() > 0.04:
                        self._add("drums", kit.hit(drum), self.clock.at(beat + step / parts) + self._late(), 0.5 * pattern[step])

    def _phrase(self, timbre, pitch: float, position: float, beats: float, gain: float, known: dict) -> None:
        seconds = min(6.0, self.clock.length(position, beats) * 0.95)
        key = (round(pitch, 2), round(seconds * 20))
        if key not in known:
            known[key] = timbre.note(pitch, max(0.04, key[1] / 20))
        self._add("pitched", known[key], self.clock.at(position) + self._late() + self.lag, gain)

    def bass(self) -> None:
        rng, timbre, known = self.rng, self._timbre(LOW_PROGRAMS, low=True), {}
        style = str(rng.choice(["root", "beats", "eighths", "random", "offbeat"], p=[0.2, 0.25, 0.25, 0.22, 0.08]))
        gain, self.lag = rng.uniform(0.3, 0.9), float(rng.normal(0, 0.004))
        if self.finest == 1 and style in ("eighths", "offbeat"):
            style = "beats"
        pattern = [round(i / 2, 1) for i in range(24) if rng.random() < 0.45]
        for bar, (beat, meter) in enumerate(self.bars):
            if not self._plays(bar, "bass"):
                continue
            root = self._chord(bar)[0] - 12 * (2 if self._chord(bar)[0] > 52 else 1)
            places = {
                "root": [0.0] + ([meter / 2] if meter in (4, 6) and rng.random() < 0.5 else []), "beats": list(range(meter)),
                "eighths": [i / 2 for i in range(2 * meter)], "offbeat": [i + 0.5 for i in range(meter)],
                "random": sorted({0.0, *(p for p in pattern if p < meter)}),
            }[style]
            for index, place in enumerate(places):
                following = places[index + 1] if index + 1 < len(places) else meter
                pitch = root + (float(rng.choice([0, 0, 0, 7, 12, 5])) if place else 0)
                self._phrase(timbre, pitch, beat + place, following - place, gain * self._velocity(place, meter), known)

    def chords(self) -> None:
        rng, timbre, known = self.rng, self._timbre(CHORD_PROGRAMS), {}
        style = str(rng.choice(["bar", "beats", "eighths", "backbeat", "offbeat", "comp"], p=[0.22, 0.2, 0.15, 0.12, 0.1, 0.21]))
        if self.finest == 1 and style in ("eighths", "offbeat"):
            style = "beats"
        gain, self.lag = rng.uniform(0.1, 0.4), float(rng.normal(0, 0.004))
        cell = [i / 2 for i in range(24) if rng.random() < (0.5 if i % 2 == 0 else 0.3)]
        for bar, (beat, meter) in enumerate(self.bars):
            if not self._plays(bar, "chords"):
                continue
            places = {
                "bar": [0.0], "beats": list(range(meter)), "eighths": [i / 2 for i in range(2 * meter)],
                "backbeat": list(range(1, meter, 1 if meter == 3 else 2)), "offbeat": [i + 0.5 for i in range(meter)],
                "comp": [p for p in cell if p < meter] or [0.0],
            }[style]
            for index, place in enumerate(places):
                following = places[index + 1] if index + 1 < len(places) else meter
                velocity, strum = self._velocity(place, meter), float(rng.uniform(0, 0.012))
                for number, pitch in enumerate(self._chord(bar)):
                    seconds = min(4.0, self.clock.length(beat + place, following - place) * self.chord_share)
                    key = (pitch, round(seconds * 20))
                    if key not in known:
                        known[key] = timbre.note(pitch + 12, max(0.05, key[1] / 20))
                    self._add("pitched", known[key], self.clock.at(beat + place) + number * strum + self._late(), gain * velocity)

    def pads(self) -> None:
        rng, timbre, known = self.rng, self._timbre(PAD_PROGRAMS, slow=True), {}
        gain, self.lag, span = rng.uniform(0.08, 0.35), 0.0, int(rng.choice([1, 1, 2]))
        for bar, (beat, meter) in enumerate(self.bars):
            if self._plays(bar, "pads") and bar % span == 0:
                for pitch in self._chord(bar):
                    self._phrase(timbre, pitch + 12, float(beat), float(meter * span), gain, known)

    def arpeggio(self) -> None:
        rng, timbre, known = self.rng, self._timbre(CHORD_PROGRAMS + LEAD_PROGRAMS[-11:]), {}
        parts = 3 if self.ternary and self.tempo < 150 else max(1, int(rng.choice([self.finest, min(2, self.finest)])))
        gain, self.lag = rng.uniform(0.1, 0.4), float(rng.normal(0, 0.004))
        order = [int(rng.integers(0, 6)) for _ in range(int(rng.choice([3, 4, 6, 8])))]
        restart = rng.random() < 0.6
        step = 0
        for bar, (beat, meter) in enumerate(self.bars):
            if not self._plays(bar, "arpeggio"):
                continue
            tones = self._chord(bar)
            step = 0 if restart else step
            for index in range(meter * parts):
                number = order[step % len(order)]
                pitch = tones[number % len(tones)] + 12 * (1 + number // len(tones))
                place = index / parts
                self._phrase(timbre, pitch, beat + place, 1 / parts, gain * self._velocity(place, meter), known)
                step += 1

    def lead(self) -> None:
        rng, timbre, known = self.rng, self._timbre(LEAD_PROGRAMS), {}
        gain, self.lag, level = rng.uniform(0.15, 0.5), float(rng.normal(0, 0.008)), 7
        cells = MELODY_CELLS[self.held_out]
        theme = [cells[int(rng.integers(len(cells)))] for _ in range(8)]
        for bar, (beat, meter) in enumerate(self.bars):
            if not self._plays(bar, "lead"):
                continue
            onsets = [i + p for i in range(meter) for p in theme[(i + bar % 2 * 4) % 8] if (p * self.finest) % 1 == 0]
            for index, place in enumerate(onsets):
                following = onsets[index + 1] if index + 1 < len(onsets) else meter
                level = int(np.clip(level + rng.integers(-2, 3), 3, 16))
                pitch = 60 + self.key + self.tuning + 12 * (level // 7 - 1) + self.scale[level % 7]
                self._phrase(timbre, pitch, beat + place, min(2.0, following - place), gain * self._velocity(place, meter), known)

    def _finish(self, audio: np.ndarray) -> np.ndarray:
        """Echo, reverberation and saturation of some stems."""
        rng = self.rng
        if rng.random() < 0.4 and audio.any():
            seconds = float(np.exp(rng.uniform(np.log(0.2), np.log(2.0))))
            length = int(seconds * SAMPLE_RATE)
            tail = rng.standard_normal(length).astype(np.float32) * np.exp(-6.9 * np.arange(length) / length).astype(np.float32)
            tail /= np.sqrt((tail**2).sum())
            audio = audio + np.float32(rng.uniform(0.1, 0.7)) * signal.oaconvolve(audio, tail)[: len(audio)].astype(np.float32)
        if rng.random() < 0.2:
            drive = np.float32(rng.uniform(1, 6) / max(1e-6, float(np.abs(audio).max())))
            audio = np.tanh(audio * drive) / drive
        return audio

    def play(self) -> BeatPiece:
        rng = self.rng
        self.seventh, self.chord_share = rng.random() < 0.3, float(rng.uniform(0.3, 1.0))
        has_bars = True
        if self.kind == "click":
            has_bars = self.clicks()
        elif self.kind == "percussion":
            self.percussion()
        elif self.kind in ("drums", "band"):
            self.drums()
        if self.kind == "band" and rng.random() < 0.15:
            self.percussion()
        if self.kind in ("band", "quiet"):
            for layer in (self.bass, self.chords, self.pads, self.arpeggio, self.lead):
                layer()
        count = int(self.seconds * SAMPLE_RATE)
        stems = {name: self._finish(audio[:count]) for name, audio in self.stems.items()}
        inside = lambda times: times[times < self.seconds - 0.05]  # noqa: E731
        times = self.clock.times
        starts = np.asarray([beat for beat, _ in self.bars])
        downbeats = inside(times[starts[starts < len(times)]]) if has_bars else None
        return BeatPiece(0, stems["drums"], stems["pitched"], inside(times), downbeats, self.facts)


def make_piece(seed: int, seconds: float, banks: list[Bank], held_out: bool = False, knobs: Knobs | None = None) -> BeatPiece:
    """One piece; `banks` may be empty, then every sound is synthetic."""
    piece = Player(seed, seconds, banks, held_out, knobs or Knobs()).play()
    piece.seed = seed
    return piece
