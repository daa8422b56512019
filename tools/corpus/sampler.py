"""Plays parts through FluidSynth with a General MIDI soundfont."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from tools.corpus.composer import Part
from tools.corpus.midi import DRUM_CHANNEL, midi_file

SAMPLE_RATE = 44100


class MissingSource(RuntimeError):
    """A program or soundfont is not installed; the message names the Debian package."""


def render_sampled(part: Part, frames: int, soundfont: Path, package: str, gain: float = 0.6) -> np.ndarray:
    """One part as float32 [2, frames], without the player's own reverb and chorus."""
    if not soundfont.exists():
        raise MissingSource(f"{soundfont} is missing: install the Debian package {package}")
    channel = DRUM_CHANNEL if part.stem == "drums" else 0
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "part.mid"), Path(folder, "part.wav")
        source.write_bytes(midi_file([(channel, part)]))
        command = [
            "fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", str(gain), "-r", str(SAMPLE_RATE), "-O", "float", "-T", "wav",
            "-o", "synth.dynamic-sample-loading=1", "-F", str(target), str(soundfont), str(source),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except FileNotFoundError as error:
            raise MissingSource("fluidsynth is missing: install the Debian package fluidsynth") from error
        audio, _ = soundfile.read(target, dtype="float32", always_2d=True)
    out = np.zeros((2, frames), np.float32)
    length = min(frames, len(audio))
    out[:, :length] = audio[:length].T
    return out
