"""Writes the test set of beat tracking: 30 s pieces of the held-out side as WAV, their truth beside them as JSON.

    python -m tools.beat_test_set --bank tools/.work/bank-timgm --out tools/.work/beat-test
"""

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile

from tools.corpus.beat_music import Knobs, make_piece
from tools.corpus.beat_render import normalised
from tools.corpus.quick_timbres import SAMPLE_RATE, Bank

SECONDS = 30.0
FIRST_SEED = 2**31
GROUPS = (
    ("clicks", 8, {"kind": "click", "course": "steady", "swing": 0.5, "meter": 4}),
    ("drums", 10, {"kind": "drums", "course": "steady", "swing": 0.5, "meter": 4}),
    ("full mixes", 10, {"kind": "band", "course": "steady", "swing": 0.5, "meter": 4}),
    ("swing", 6, {"kind": "band", "course": "steady", "swing": 0.66, "meter": 4}),
    ("ramps", 6, {"kind": "band", "course": "ramp", "swing": 0.5, "meter": 4}),
    ("meters", 9, {"kind": "band", "course": "steady", "swing": 0.5}),
    ("no drums", 8, {"kind": "quiet", "course": "steady", "swing": 0.5, "meter": 4}),
    ("rubato", 4, {"kind": "band", "course": "rubato", "swing": 0.5, "meter": 4}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    banks, number = [Bank(folder) for folder in options.bank], 0
    for group, count, knobs in GROUPS:
        for index in range(count):
            rng = np.random.default_rng([0x7E57, number])
            tempo = float(np.exp(rng.uniform(np.log(60), np.log(200))))
            meter = {"meter": (2, 3, 6)[index % 3]} if group == "meters" else {}
            piece = make_piece(FIRST_SEED + number, SECONDS, banks, True, Knobs(tempo=tempo, **knobs, **meter))
            name = f"{number:02d}-{group.replace(' ', '-')}"
            soundfile.write(options.out / f"{name}.wav", sum(normalised(piece)), SAMPLE_RATE, subtype="PCM_16")
            truth = {
                "group": group, "beats": piece.beats.tolist(), "downbeats": None if piece.downbeats is None else piece.downbeats.tolist(),
                "bpm": 60 * (len(piece.beats) - 1) / float(piece.beats[-1] - piece.beats[0]), **piece.facts,
            }
            (options.out / f"{name}.json").write_text(json.dumps(truth) + "\n")
            number += 1
    print(f"{number} pieces in {options.out}")


if __name__ == "__main__":
    main()
