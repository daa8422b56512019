"""Packs rendered training songs into a folder that is small enough to carry to another machine, and unpacks them there.

    python -m tools.corpus.pack tools/.work/train tools/.work/packed
    python -m tools.corpus.pack --unpack tools/.work/packed tools/.work/train

A song of five stems takes some 44 MB as it is rendered and some 3 MB packed: Ogg Vorbis per stem that sounds. The coding costs a model nothing
to learn from: a training mix is the sum of its stems, and they are what is left of them.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile

from tools.corpus.composer import STEMS
from tools.corpus.mix import SAMPLE_RATE

COMPRESSION = 0.5
"""Of libsndfile's 0 (best) to 1 (smallest): about 160 kbit/s of a stereo stem."""


def pack(song: Path, out: Path) -> None:
    """Writes the song described by `song` (a `<seed>.json` beside its `<seed>.npy`) as `<seed>.json` and `<seed>.<stem>.ogg` into `out`."""
    known = json.loads(song.read_text())
    audio = np.load(song.with_suffix(".npy"), mmap_mode="r")
    scale = known["scale_of_integers"]
    # What rings over when a stem is decoded must not clip: the loudest stem is told apart and put back.
    peak = max(1.0, float(np.abs(audio).max()) * scale / 0.7)
    for name, stem in zip(STEMS, audio, strict=True):
        if stem.any():
            with soundfile.SoundFile(
                out / f"{song.stem}.{name}.ogg", "w", SAMPLE_RATE, 2, format="OGG", subtype="VORBIS", compression_level=COMPRESSION,
            ) as file:
                # libvorbis overflows its stack when it is given all at once.
                for start in range(0, stem.shape[1], SAMPLE_RATE):
                    file.write((stem[:, start : start + SAMPLE_RATE].T * (scale / peak)).astype(np.float32))
    (out / song.name).write_text(json.dumps(known | {"packed_frames": int(audio.shape[2]), "packed_peak": peak}) + "\n")


def unpack(song: Path, out: Path) -> None:
    """Writes the packed song described by `song` as the renderer does."""
    known = json.loads(song.read_text())
    frames, peak = known.pop("packed_frames"), known.pop("packed_peak")
    audio = np.zeros((len(STEMS), 2, frames), np.float32)
    for stem, name in enumerate(STEMS):
        coded = song.with_name(f"{song.stem}.{name}.ogg")
        if coded.exists():
            samples = soundfile.read(coded, dtype="float32", always_2d=True)[0].T[:, :frames]
            audio[stem, :, : samples.shape[1]] = samples * peak
    known["scale_of_integers"] = float(np.abs(audio).max()) / 32767 or 1.0
    np.save(out / f"{song.stem}.npy", np.round(audio / known["scale_of_integers"]).astype(np.int16))
    (out / song.name).write_text(json.dumps(known) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--unpack", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for song in sorted(options.source.glob("*.json")):
        (unpack if options.unpack else pack)(song, options.out)


if __name__ == "__main__":
    main()
