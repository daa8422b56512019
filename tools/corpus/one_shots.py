"""A bank of single notes and drum hits, played once from a soundfont and then mixed by numpy: far faster than playing every song.

    python -m tools.corpus.one_shots --soundfont /usr/share/sounds/sf2/FluidR3_GM.sf2 --out tools/.work/bank-fluid.npz
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from tools.corpus.composer import Note, Part
from tools.corpus.midi import midi_file
from tools.corpus.sampler import MissingSource

SAMPLE_RATE = 44100
PROGRAMS = tuple(range(96)) + tuple(range(104, 119))
"""General MIDI without the sound effects."""
PITCHES = (31, 39, 47, 55, 63, 71, 79, 87)
NOTE_SLOT, NOTE_HELD = 2.4, 1.8
DRUM_SLOT = 1.2
DRUM_NOTES = tuple(range(35, 82))
DRUM_KITS = (0, 8, 16, 24, 25, 32, 40, 48)
ONSET_SHARE = 0.02
"""A sound begins where it first exceeds this share of its peak."""


def _play(soundfont: Path, parts: list[tuple[int, Part]]) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "bank.mid"), Path(folder, "bank.wav")
        source.write_bytes(midi_file(parts))
        command = [
            "fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.5", "-r", str(SAMPLE_RATE), "-O", "float", "-T", "wav",
            "-o", "synth.dynamic-sample-loading=1", "-F", str(target), str(soundfont), str(source),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except FileNotFoundError as error:
            raise MissingSource("fluidsynth is missing: install the Debian package fluidsynth") from error
        return soundfile.read(target, dtype="float32", always_2d=True)[0].mean(axis=1)


def _cut(audio: np.ndarray, count: int, slot: float) -> np.ndarray:
    """int16 [count, frames], each sound's onset at 0 and its peak at half of full scale; one that is silent stays zero."""
    step = int(slot * SAMPLE_RATE)
    audio = np.pad(audio, (0, max(0, count * step - len(audio))))[: count * step].reshape(count, step)
    out = np.zeros((count, step - step // 8), np.int16)
    for row, sound in zip(out, audio, strict=True):
        peak = np.abs(sound).max()
        if peak > 1e-4:
            begin = int(np.argmax(np.abs(sound) > ONSET_SHARE * peak))
            heard = sound[max(0, begin - 8) :][: len(row)] * (16384 / peak)
            row[: len(heard)] = heard
    return out


def render_bank(soundfont: Path) -> dict[str, np.ndarray]:
    """`notes` int16 [program, pitch, frames] and `drums` int16 [kit, note, frames]."""
    notes, drums = [], []
    for program in PROGRAMS:
        part = Part("instruments", "gm", program, [Note(i * NOTE_SLOT + 0.01, NOTE_HELD, pitch, 0.8) for i, pitch in enumerate(PITCHES)])
        notes.append(_cut(_play(soundfont, [(0, part)]), len(PITCHES), NOTE_SLOT))
    for kit in DRUM_KITS:
        part = Part("drums", "gm", kit, [Note(i * DRUM_SLOT + 0.01, 0.6, note, 0.85) for i, note in enumerate(DRUM_NOTES)])
        drums.append(_cut(_play(soundfont, [(9, part)]), len(DRUM_NOTES), DRUM_SLOT))
    return {"notes": np.stack(notes), "drums": np.stack(drums)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--soundfont", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, array in render_bank(options.soundfont).items():
        np.save(options.out / f"{name}.npy", array)
        print(name, array.shape, f"{(array.any(axis=2)).mean():.2f} sound")


if __name__ == "__main__":
    main()
