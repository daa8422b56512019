"""Renders songs into a folder.

    python -m tools.corpus.render --first 0 --count 100 --out tools/.work/train
    python -m tools.corpus.render --evaluation --count 40 --seconds 20 30 --out tools/.work/evaluation

A training song is one array `<seed>.npy`, int16 [5 stems, 2, frames], with `<seed>.json` (tempo, beats, downbeats, scale of the
integers); an evaluation song is a folder of float WAV files, one per stem.
"""

import argparse
import json
import multiprocessing
import os
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from tools.corpus.composer import EVALUATION_SEEDS_FROM, STEMS, Score
from tools.corpus.mix import SAMPLE_RATE, Renderer, render_song

_renderers: dict[bool, Renderer] = {}


def truth(score: Score) -> dict:
    """What the composer knows of the song, as JSON."""
    return {
        "seed": score.seed, "tempo": score.tempo, "beats_per_bar": score.beats_per_bar, "key": score.key, "scale": score.scale,
        "beats": [round(float(t), 6) for t in score.beats], "downbeats": [round(float(t), 6) for t in score.downbeats],
        "parts": [{"stem": p.stem, "engine": p.engine, "timbre": p.timbre, "notes": len(p.notes)} for p in score.parts],
    }


def write_song(seed: int, out: Path, evaluation: bool, seconds: tuple[float, float]) -> str:
    renderer = _renderers.setdefault(evaluation, Renderer(evaluation))
    if (out / f"{seed}.json").exists():
        return f"{seed}: kept"
    score, stems = render_song(seed, renderer, seconds)
    known = truth(score)
    if evaluation:
        folder = out / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        for name, audio in stems.items():
            soundfile.write(folder / f"{name}.wav", audio.T, SAMPLE_RATE, subtype="FLOAT")
    else:
        audio = np.stack([stems[name] for name in STEMS])
        scale = float(np.abs(audio).max()) / 32767 or 1.0
        temporary = out / f"{seed}.part.npy"
        np.save(temporary, np.round(audio / scale).astype(np.int16))
        os.replace(temporary, out / f"{seed}.npy")
        known["scale_of_integers"] = scale
    (out / f"{seed}.json").write_text(json.dumps(known) + "\n")
    return f"{seed}: {score.duration:.0f} s, {len(score.parts)} parts"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0, help="first seed, counted from the side's own first")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seconds", type=float, nargs=2, default=(40.0, 60.0))
    parser.add_argument("--evaluation", action="store_true", help="held-out sources, grammar and seeds")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    base = EVALUATION_SEEDS_FROM if options.evaluation else 0
    seeds = range(base + options.first, base + options.first + options.count)
    work = partial(write_song, out=options.out, evaluation=options.evaluation, seconds=tuple(options.seconds))
    if options.processes == 1:
        for seed in seeds:
            print(work(seed), flush=True)
        return
    with multiprocessing.get_context("fork").Pool(options.processes) as pool:
        for line in pool.imap(work, seeds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
