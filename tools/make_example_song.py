"""Makes the songs that the playground offers, from otolith's own composer, synthesisers and singer.

    python -m tools.make_example_song www/public

`example.flac` (30 s) and `example-2.flac` (15 s) each have a JSON beside them: tempo, beats, downbeats, levels of the true stems and
provenance. Nothing sampled and no speech engine is in them; they are given away under CC0.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from tools.corpus import effects
from tools.corpus.composer import Composer, Note, Score
from tools.corpus.mix import SAMPLE_RATE, sounding_rms
from tools.corpus.synth import render_drums, render_synth
from tools.corpus.voice import sing_formants

FADE_SECONDS = 0.8
PEAK = 0.35
FLAC_RATE = 22050
FLAC_BITS = 12
"""Rate and significant bits that keep half a minute under a megabyte; the noise of rounding is at -74 dBFS."""


@dataclass(frozen=True)
class Song:
    """What is fixed of one example; the rest follows from the seed."""

    file: str
    seconds: float
    seed: int
    tempo: float
    key: int
    scale: str
    chords: tuple[int, ...]
    sections: tuple[str, ...]
    voice: int
    voice_centre: int
    bass: int
    pad: int
    pluck: int
    kit: int


EXAMPLES = (
    Song(
        "example", 30.0, 41, 112.0, 7, "major", (0, 4, 5, 3), ("intro",) * 2 + ("verse",) * 4 + ("chorus",) * 4 + ("verse",) * 5,
        voice=360, voice_centre=64, bass=5, pad=23, pluck=8, kit=3,
    ),
    Song(
        "example-2", 15.0, 97, 92.0, 2, "dorian", (0, 3, 6, 0), ("verse",) * 3 + ("chorus",) * 4,
        voice=227, voice_centre=67, bass=14, pad=31, pluck=19, kit=12,
    ),
)


def compose_example(song: Song) -> tuple[Composer, Score]:
    """Composer and empty score with everything that must not be left to chance set by hand."""
    composer = Composer(song.seed, (song.seconds, song.seconds), tempo=song.tempo, shape="song")
    composer.beats_per_bar, composer.key, composer.scale, composer.swing = 4, song.key, song.scale, 0.0
    composer.looseness = 0.003
    composer.bars, composer.sections = len(song.sections), list(song.sections)
    composer.verse_chords = composer.chorus_chords = song.chords
    composer.beat_times = 0.25 + np.arange((composer.bars + 1) * 4 + 1) * 60.0 / song.tempo
    return composer, composer.score()


def sung_line(composer: Composer, song: Song) -> list[Note]:
    return sorted(composer.melody(song.voice_centre, ("verse", "chorus")), key=lambda note: note.start)


def drum_line(composer: Composer) -> list[Note]:
    """Kick on 1 and 3, snare on 2 and 4, eighths on the hat, a crash at the chorus."""
    notes = []
    for bar, section in enumerate(composer.sections):
        for step in range(8):
            start = composer.time_of(bar, step / 2)
            notes.append(Note(start, 0.1, 42, 0.65 if step % 2 == 0 else 0.45))
            if step in (0, 4) or (step == 5 and section == "chorus"):
                notes.append(Note(start, 0.1, 36, 1.0))
            if step in (2, 6):
                notes.append(Note(start, 0.1, 38, 0.9))
        if section == "chorus" and composer.sections[bar - 1] != "chorus":
            notes.append(Note(composer.time_of(bar, 0), 1.0, 49, 0.6))
    return sorted(notes, key=lambda note: note.start)


def level(audio: np.ndarray, decibels: float) -> np.ndarray:
    return audio * (0.1 * 10 ** (decibels / 20) / sounding_rms(audio))


def render_example(song: Song) -> tuple[Score, dict[str, np.ndarray]]:
    """Score and stems float32 [2, frames] at 44.1 kHz."""
    composer, score = compose_example(song)
    frames = int(song.seconds * SAMPLE_RATE)
    rng = np.random.default_rng([0xE7, song.seed])
    mono = sing_formants(sung_line(composer, song), frames, song.voice)
    vocals = effects.equalise(np.stack([mono, mono]).astype(np.float32), -3.0, [(2800.0, 3.0, 0.6)])
    vocals = level(effects.reverberate(effects.compress(vocals, 0.1, 3.0, 0.15), rng, 1.1, 0.08), 3.0)
    bass = level(render_synth(composer.bass(), frames, song.bass, low=True), -1.0)
    pad = render_synth(composer.harmony("pad", 55), frames, song.pad)
    pad = level(effects.equalise(effects.chorus(pad, 0.4, 0.002, 0.5), -4.0, []), -9.0)
    pluck = effects.pan(render_synth(composer.harmony("arpeggio", 67), frames, song.pluck), 0.3)
    pluck = level(effects.reverberate(pluck, rng, 0.8, 0.06), -8.0)
    drums = level(effects.equalise(render_drums(drum_line(composer), frames, song.kit), -4.0, []), 0.0)
    stems = {"vocals": vocals, "drums": drums, "bass": bass, "instruments": pad + pluck, "fx": np.zeros((2, frames), np.float32)}
    fade = np.ones(frames, np.float32)
    fade[-int(FADE_SECONDS * SAMPLE_RATE) :] = np.cos(np.linspace(0, np.pi / 2, int(FADE_SECONDS * SAMPLE_RATE))) ** 2
    gain = PEAK / float(np.abs(sum(stems.values()) * fade).max())
    return score, {name: audio * fade * gain for name, audio in stems.items()}


def decibels(value: float) -> float | None:
    return round(20 * float(np.log10(value)), 2) if value > 1e-6 else None


def describe(song: Song, score: Score, stems: dict[str, np.ndarray]) -> dict:
    """The truth about a song: what a listener should find in it."""
    beats = [round(float(t), 6) for t in score.beats if t < song.seconds]
    names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
    return {
        "file": f"{song.file}.flac", "seconds": song.seconds, "sampleRate": FLAC_RATE, "channels": 2, "licence": "CC0-1.0",
        "tempo": song.tempo, "beatsPerBar": 4, "key": f"{names[song.key]} {song.scale}",
        "beats": beats, "downbeats": beats[::4],
        "stems": {
            name: {"rmsDbfs": decibels(float(np.sqrt(np.mean(audio**2)))), "peakDbfs": decibels(float(np.abs(audio).max()))}
            for name, audio in stems.items() if np.abs(audio).max() > 0
        },
        "provenance": {
            "made_by": "tools/make_example_song.py", "seed": song.seed,
            "sources": "otolith's own composer, synthesisers, drum kit and formant singer; no samples, no speech engine",
        },
    }


def write_example(song: Song, folder: Path) -> None:
    score, stems = render_example(song)
    mix = sum(stems.values())
    resampled = signal.resample_poly(mix, 1, SAMPLE_RATE // FLAC_RATE, axis=1)
    rounded = np.round(resampled * 2 ** (FLAC_BITS - 1)) / 2 ** (FLAC_BITS - 1)
    soundfile.write(folder / f"{song.file}.flac", rounded.T, FLAC_RATE, subtype="PCM_16", compression_level=1.0)
    (folder / f"{song.file}.json").write_text(json.dumps(describe(song, score, stems), indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("www/public"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for song in EXAMPLES:
        write_example(song, folder)
        print(f"{song.file}.flac: {(folder / (song.file + '.flac')).stat().st_size} bytes")


if __name__ == "__main__":
    main()
