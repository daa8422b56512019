"""Composes a song as notes: a pure function of the recipe, the seed and the grammar.

The result also holds what the beat tracker is trained against: the times of beats and downbeats.
"""

from dataclasses import dataclass, field

import numpy as np

from tools.corpus.grammar import EVALUATION, SCALES, TRAINING, Grammar

EVALUATION_SEEDS_FROM = 2**31
"""Seeds from here on are composed with the evaluation grammar and never trained on."""
STEMS = ("vocals", "drums", "bass", "instruments", "fx")
KICK, SNARE, CLAP, CLOSED_HAT, OPEN_HAT, CRASH, RIDE, TOM_LOW, TOM_HIGH = 36, 38, 39, 42, 46, 49, 51, 45, 50


@dataclass(frozen=True)
class Note:
    """One note: start and duration in seconds, pitch as a MIDI number, velocity 0..1."""

    start: float
    duration: float
    pitch: float
    velocity: float


@dataclass
class Part:
    """The notes of one player and how they are rendered."""

    stem: str
    engine: str
    """Which renderer: "gm", "synth", "drums", "sampled_drums", "singer", "speech_singer", "speech" or "noise"."""
    timbre: int
    """GM program, or a seed for the renderer's own draw."""
    notes: list[Note]
    level_db: float = 0.0
    pan: float = 0.0


@dataclass
class Score:
    """A composed song. Times in seconds."""

    seed: int
    tempo: float
    beats_per_bar: int
    key: int
    scale: str
    beats: np.ndarray
    downbeats: np.ndarray
    duration: float
    parts: list[Part] = field(default_factory=list)


def song_generator(seed: int, stream: int = 0) -> np.random.Generator:
    """Random numbers of one song; `stream` separates composing from rendering so that one cannot disturb the other."""
    return np.random.default_rng([0x0701, seed & 0xFFFFFFFF, seed >> 32, stream])


def grammar_of(seed: int) -> Grammar:
    return EVALUATION if seed >= EVALUATION_SEEDS_FROM else TRAINING


class Composer:
    """Draws one song; `compose` is the way in."""

    def __init__(self, seed: int, seconds: tuple[float, float], tempo: float | None = None, shape: str | None = None):
        self.seed = seed
        self.rng = song_generator(seed)
        self.grammar = grammar_of(seed)
        rng = self.rng
        self.beats_per_bar = int(rng.choice([4, 3, 6], p=[0.84, 0.09, 0.07]))
        self.tempo = float(tempo or np.clip(rng.normal(112, 26), 60, 180))
        if self.beats_per_bar == 6:
            self.tempo = max(self.tempo, 100.0)
        self.key = int(rng.integers(12))
        self.scale = str(rng.choice(list(SCALES), p=[0.4, 0.35, 0.12, 0.13]))
        self.swing = float(rng.choice([0.0, rng.uniform(0.05, 0.33)], p=[0.75, 0.25]))
        self.looseness = float(rng.uniform(0.0, 0.012))
        self.shape = shape or str(rng.choice(["song", "no vocals", "no drums", "a cappella", "fx only"], p=[0.66, 0.10, 0.10, 0.09, 0.05]))
        target = rng.uniform(*seconds)
        self.bars = max(4, round(target / (60.0 / self.tempo * self.beats_per_bar)))
        self.beat_times = self._beat_times(drift=0.0 if tempo else float(rng.choice([0.0, rng.uniform(0.002, 0.015)], p=[0.5, 0.5])))
        family = "bright" if self.scale in ("major", "mixolydian") else "dark"
        rows = self.grammar.progressions[family]
        self.verse_chords = rows[rng.integers(len(rows))]
        self.chorus_chords = rows[rng.integers(len(rows))]
        self.sections = self._sections()

    def _beat_times(self, drift: float) -> np.ndarray:
        """Beat times with a slow sinusoidal drift of the tempo, one extra bar at the end; the first at 0.25 s."""
        count = (self.bars + 1) * self.beats_per_bar + 1
        wave = 1.0 + drift * np.sin(2 * np.pi * np.arange(count) / self.rng.uniform(24, 80) + self.rng.uniform(0, 6.28))
        periods = 60.0 / (self.tempo * wave)
        return 0.25 + np.concatenate([[0.0], np.cumsum(periods[:-1])])

    def _sections(self) -> list[str]:
        """The name of each bar's section."""
        names: list[str] = []
        intro = int(self.rng.choice([0, 1, 2, 4]))
        order = ["intro"] * intro
        cycle = ["verse"] * 4 + ["verse"] * int(self.rng.choice([0, 4])) + ["chorus"] * 4 + ["break"] * int(self.rng.choice([0, 2]))
        while len(order) < self.bars:
            order += cycle
        names = order[: self.bars]
        return names

    def time_of(self, bar: int, beat: float) -> float:
        """Seconds of a position inside a bar, with swung off-beats."""
        whole = int(np.floor(beat))
        part = beat - whole
        if self.swing and abs(part - 0.5) < 1e-6:
            part += self.swing * 0.5
        index = bar * self.beats_per_bar + whole
        index = min(index, len(self.beat_times) - 2)
        return float(self.beat_times[index] + part * (self.beat_times[index + 1] - self.beat_times[index]))

    def beat_length(self, bar: int) -> float:
        return float(self.beat_times[bar * self.beats_per_bar + 1] - self.beat_times[bar * self.beats_per_bar])

    def loose(self) -> float:
        return float(np.clip(self.rng.normal(0, self.looseness), -0.012, 0.012)) if self.looseness else 0.0

    def degree_pitch(self, degree: int, octave: int) -> int:
        scale = SCALES[self.scale]
        return 12 * octave + self.key + scale[degree % 7] + 12 * (degree // 7)

    def chord(self, bar: int) -> int:
        row = self.chorus_chords if self.sections[bar] == "chorus" else self.verse_chords
        return row[bar % len(row)]

    def chord_pitches(self, bar: int, around: int, seventh: bool = False) -> list[int]:
        """Chord tones in the octave from `around` on."""
        degree = self.chord(bar)
        pitches = []
        for step in (0, 2, 4, 6) if seventh else (0, 2, 4):
            pitch = self.degree_pitch(degree + step, 0) % 12
            pitches.append(around + (pitch - around) % 12)
        return sorted(pitches)

    # Drums

    def drums(self) -> list[Note]:
        rng = self.rng
        rows = self.grammar.grooves[self.beats_per_bar]
        verse, chorus = rows[rng.integers(len(rows))], rows[rng.integers(len(rows))]
        hat = int(rng.choice([CLOSED_HAT, CLOSED_HAT, RIDE]))
        snare = int(rng.choice([SNARE, SNARE, CLAP]))
        starts_late = rng.random() < 0.3
        notes: list[Note] = []
        for bar, section in enumerate(self.sections):
            if section == "intro" and starts_late:
                continue
            groove = chorus if section == "chorus" else verse
            steps_per_beat = len(groove.kick) // self.beats_per_bar
            for drum, pattern in ((KICK, groove.kick), (snare, groove.snare), (hat, groove.hat)):
                if section == "break" and drum == KICK:
                    continue
                for step, digit in enumerate(pattern):
                    if digit == ".":
                        continue
                    velocity = int(digit) / 9 * rng.uniform(0.85, 1.0)
                    start = self.time_of(bar, step / steps_per_beat) + self.loose()
                    notes.append(Note(max(0.0, start), 0.2, drum, velocity))
            changes = bar + 1 < self.bars and self.sections[bar + 1] != section
            if changes or rng.random() < 0.08:
                for step in range(int(rng.integers(2, 5))):
                    drum = int(rng.choice([SNARE, TOM_LOW, TOM_HIGH]))
                    start = self.time_of(bar, self.beats_per_bar - 1 + step / 4)
                    notes.append(Note(start + self.loose(), 0.2, drum, rng.uniform(0.6, 1.0)))
            if bar and self.sections[bar - 1] != section and rng.random() < 0.7:
                notes.append(Note(self.time_of(bar, 0), 1.5, CRASH, rng.uniform(0.6, 0.95)))
        return notes

    # Bass and harmony

    def bass(self) -> list[Note]:
        rng, notes = self.rng, []
        style = str(rng.choice(["root", "eighths", "octaves", "walking", "kick"]))
        low = int(rng.choice([28, 28, 33, 36]))
        for bar, section in enumerate(self.sections):
            if section == "intro" and rng.random() < 0.5:
                continue
            root = low + (self.degree_pitch(self.chord(bar), 0) - low) % 12
            beat = self.beat_length(bar)
            if style == "root":
                positions, pitches, length = [0.0], [root], self.beats_per_bar * 0.95
            elif style == "eighths":
                positions = [i / 2 for i in range(2 * self.beats_per_bar)]
                pitches, length = [root] * len(positions), 0.45
            elif style == "octaves":
                positions = [i / 2 for i in range(2 * self.beats_per_bar)]
                pitches, length = [root + 12 * (i % 2) for i in range(len(positions))], 0.4
            elif style == "walking":
                positions = [float(i) for i in range(self.beats_per_bar)]
                steps = [0, 2, 4, 5, 4, 2][: self.beats_per_bar]
                pitches = [low + (self.degree_pitch(self.chord(bar) + s, 0) - low) % 12 for s in steps]
                length = 0.9
            else:
                positions = [0.0, 1.5, 2.0, 3.5] if self.beats_per_bar == 4 else [0.0, self.beats_per_bar / 2]
                pitches, length = [root, root, root, root + int(rng.choice([0, 7, 12]))][: len(positions)], 0.6
            for position, pitch in zip(positions, pitches):
                start = self.time_of(bar, position) + self.loose()
                notes.append(Note(max(0.0, start), length * beat, pitch, rng.uniform(0.7, 1.0)))
        return notes

    def harmony(self, style: str, around: int) -> list[Note]:
        """Chords as a pad, off-beat comping, strums or an arpeggio."""
        rng, notes = self.rng, []
        seventh = rng.random() < 0.3
        pattern = rng.permutation(4)
        for bar in range(self.bars):
            pitches, beat = self.chord_pitches(bar, around, seventh), self.beat_length(bar)
            velocity = rng.uniform(0.5, 0.9)
            if style == "pad":
                notes += [Note(self.time_of(bar, 0), beat * self.beats_per_bar * 1.02, p, velocity) for p in pitches]
            elif style == "comp":
                for position in np.arange(0.5 if rng.random() < 0.4 else 0.0, self.beats_per_bar, 1.0):
                    late = self.loose()
                    notes += [Note(max(0, self.time_of(bar, position) + late), beat * 0.4, p, velocity * rng.uniform(0.8, 1)) for p in pitches]
            elif style == "strum":
                for position in (0.0, 1.0, 1.5, 2.5, 3.0, 3.5):
                    if position < self.beats_per_bar:
                        start = self.time_of(bar, position)
                        notes += [Note(start + 0.012 * i, beat * 0.6, p, velocity) for i, p in enumerate(pitches)]
            else:
                tones = [*pitches, pitches[0] + 12]
                for step in range(2 * self.beats_per_bar):
                    pitch = tones[int(pattern[step % 4]) % len(tones)]
                    notes.append(Note(max(0, self.time_of(bar, step / 2) + self.loose()), beat * 0.5, pitch, velocity))
        return notes

    # Melody

    def melody(self, centre: int, sections: tuple[str, ...], density: float = 1.0) -> list[Note]:
        """A tune of phrases of two bars, chord tones on strong beats, steps of the scale between."""
        rng, notes = self.rng, []
        scale_pitches = np.array([p for p in range(centre - 9, centre + 10) if (p - self.key) % 12 in SCALES[self.scale]])
        rhythms = [self.grammar.melody_rhythms[i] for i in rng.integers(len(self.grammar.melody_rhythms), size=3)]
        place = len(scale_pitches) // 2
        for bar, section in enumerate(self.sections):
            if section not in sections or rng.random() > density or (bar % 4 == 3 and rng.random() < 0.4):
                continue
            rhythm = [p for p in rhythms[bar % 3 if rng.random() < 0.8 else 0] if p < self.beats_per_bar]
            chord_classes = {p % 12 for p in self.chord_pitches(bar, 60)}
            for index, position in enumerate(rhythm):
                place = int(np.clip(place + rng.integers(-2, 3), 0, len(scale_pitches) - 1))
                if position in (0, 2):
                    tones = [i for i, p in enumerate(scale_pitches) if p % 12 in chord_classes]
                    place = min(tones, key=lambda i: abs(i - place) + 0.1 * rng.random())
                following = rhythm[index + 1] if index + 1 < len(rhythm) else self.beats_per_bar - 0.1 * rng.random()
                length = (following - position) * self.beat_length(bar) * rng.uniform(0.82, 1.0)
                start = max(0.0, self.time_of(bar, position) + self.loose())
                notes.append(Note(start, min(length, 3.0), int(scale_pitches[place]), rng.uniform(0.6, 1.0)))
        return notes

    def transitions(self) -> list[Note]:
        """Effects at the borders of sections, some between them, and beds (long notes); the renderer draws what sounds."""
        rng, notes = self.rng, []
        between = float(rng.choice([0.0, 0.2, 0.5])) if self.shape != "fx only" else 0.8
        for bar in range(1, self.bars):
            border = self.sections[bar] != self.sections[bar - 1]
            if border or rng.random() < between:
                length = float(rng.uniform(0.3, 2.5))
                begin = self.time_of(bar, 0) - length if border else self.time_of(bar, float(rng.uniform(0, self.beats_per_bar)))
                notes.append(Note(max(0.0, begin), length, int(rng.integers(40, 90)), rng.uniform(0.4, 1.0)))
        if rng.random() < (0.35 if self.shape != "fx only" else 0.8):
            begin = self.time_of(int(rng.integers(self.bars)), 0)
            notes.append(Note(begin, float(rng.uniform(4.0, 16.0)), 60, float(rng.uniform(0.3, 0.8))))
        return notes

    def score(self) -> Score:
        """The song without parts."""
        beats = self.beat_times[: self.bars * self.beats_per_bar + 1]
        return Score(
            self.seed, self.tempo, self.beats_per_bar, self.key, self.scale, beats, beats[:: self.beats_per_bar], float(beats[-1] + 1.5)
        )


HARMONY_PROGRAMS = (
    *range(0, 8), *range(16, 24), *range(24, 32), *range(40, 52), *range(56, 72), *range(80, 96), *range(104, 112), 11, 12, 13, 46,
)
"""GM programs that may play chords: no choirs (their border to vocals is not clear), no bass, no effects."""
LEAD_PROGRAMS = (*range(40, 44), *range(56, 80), *range(80, 88), 0, 4, 11, 13, 22, 24, 26, 27, 29, 30, 105, 110)
BASS_PROGRAMS = tuple(range(32, 40))
SUNG_SECTIONS = ("verse", "chorus")


def add_vocals(composer: Composer, score: Score) -> None:
    """A lead voice, and sometimes its double and harmony."""
    rng = composer.rng
    engine = str(rng.choice(["singer", "speech_singer", "speech"], p=[0.5, 0.4, 0.1]))
    timbre, centre = int(rng.integers(1 << 30)), int(rng.choice([50, 55, 60, 65, 69]))
    melody = composer.melody(centre, SUNG_SECTIONS, density=float(rng.uniform(0.85, 1.0)))
    if composer.shape == "a cappella":
        melody += composer.melody(centre, ("intro", "break"))
    level = float(rng.uniform(-3, 5))
    pan = float(rng.choice([0.0, rng.uniform(-0.3, 0.3)], p=[0.75, 0.25]))
    score.parts.append(Part("vocals", engine, timbre, sorted(melody, key=lambda n: n.start), level, pan))
    if rng.random() < 0.35:
        second = [Note(max(0, n.start + rng.normal(0, 0.015)), n.duration, n.pitch, n.velocity * 0.8) for n in melody]
        score.parts.append(Part("vocals", engine, timbre, second, level - 6, float(rng.uniform(-0.8, 0.8))))
    if rng.random() < 0.35 and engine != "speech":
        interval = int(rng.choice([3, 4, -5, 7, -12]))
        upper = [Note(n.start, n.duration, n.pitch + interval, n.velocity * 0.8) for n in melody]
        other = "singer" if engine == "speech_singer" and rng.random() < 0.5 else engine
        score.parts.append(Part("vocals", other, int(rng.integers(1 << 30)), upper, level - float(rng.uniform(4, 10)), float(rng.uniform(-0.8, 0.8))))


def add_instruments(composer: Composer, score: Score) -> None:
    """One to four players of chords and tunes, some from a soundfont and the rest synthesised."""
    rng = composer.rng
    for index in range(int(rng.integers(1, 4))):
        style = str(rng.choice(["pad", "comp", "strum", "arpeggio"]))
        notes = composer.harmony(style, int(rng.choice([48, 53, 57, 60])))
        sampled = rng.random() < 0.55
        timbre = int(rng.choice(HARMONY_PROGRAMS)) if sampled else int(rng.integers(1 << 30))
        pan = float(rng.uniform(-0.8, 0.8)) if index or rng.random() < 0.5 else 0.0
        score.parts.append(Part("instruments", "gm" if sampled else "synth", timbre, notes, float(rng.uniform(-9, 0)), pan))
    if rng.random() < 0.5:
        sections = ("intro", "break", "chorus") if rng.random() < 0.7 else ("intro", "verse", "break", "chorus")
        notes = composer.melody(int(rng.choice([60, 67, 72, 76])), sections, density=0.7)
        sampled = rng.random() < 0.55
        timbre = int(rng.choice(LEAD_PROGRAMS)) if sampled else int(rng.integers(1 << 30))
        score.parts.append(Part("instruments", "gm" if sampled else "synth", timbre, notes, float(rng.uniform(-7, 0)), float(rng.uniform(-0.5, 0.5))))


def compose(seed: int, seconds: tuple[float, float] = (40.0, 60.0), tempo: float | None = None, shape: str | None = None) -> Score:
    """The song of a seed. `tempo` and `shape` fix what is otherwise drawn."""
    composer = Composer(seed, seconds, tempo, shape)
    rng, score = composer.rng, composer.score()
    if composer.shape not in ("no vocals", "fx only"):
        add_vocals(composer, score)
    if composer.shape in ("a cappella",):
        return score
    if composer.shape != "fx only":
        add_instruments(composer, score)
        sampled = rng.random() < 0.5
        timbre = int(rng.choice(BASS_PROGRAMS)) if sampled else int(rng.integers(1 << 30))
        if rng.random() < 0.92:
            score.parts.append(Part("bass", "gm" if sampled else "synth", timbre, composer.bass(), float(rng.uniform(-5, 2))))
        if composer.shape != "no drums":
            engine = str(rng.choice(["gm", "drums", "sampled_drums"], p=[0.45, 0.25, 0.3]))
            timbre = int(rng.choice([0, 8, 16, 24, 25, 32, 40])) if engine == "gm" else int(rng.integers(1 << 30))
            score.parts.append(Part("drums", engine, timbre, composer.drums(), float(rng.uniform(-4, 3))))
    if composer.shape == "fx only" or rng.random() < 0.6:
        score.parts.append(Part("fx", "noise", int(rng.integers(1 << 30)), composer.transitions(), float(rng.uniform(-10, 0))))
    return score
