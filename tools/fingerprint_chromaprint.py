"""Chromaprint asked about the clips that `evaluate --clips CLIPS` writes; needs its program fpcalc.

    python tools/fingerprint_chromaprint.py CLIPS > chromaprint.jsonl
    python tools/fingerprint_eval.py queries.jsonl chromaprint.jsonl

fpcalc runs at its defaults and gives 32 bits every 0.124 s, the first after 2.8 s of sound: shorter clips have no fingerprint and count as
not found. A clip is laid on all references at all places where it lies within them, so that none is missed by an index; the place at
which the fewest bits differ is the answer (as Haitsma and Kalker compare, ISMIR 2002). Chromaprint has no threshold of its own. Here
it is, for each length of clip, the share of bits that lets 1 in 1 000 strangers pass, of fewer strangers none; the strangers of 10 s are
also cut to the lengths that have none of their own.

Writes the lines that `evaluate` does, with the share of equal bits as evidence. Standard library and numpy.
"""

import json
import re
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np

SECONDS_PER_VALUE = 1365 / 11025
SHORTEST = 2.8
LONGEST = 10
PASSING = 1e-3


def fingerprint(file):
    """The values that fpcalc gives of a file; none where it is too short."""
    if duration(file) < SHORTEST:
        return np.zeros(0, dtype=np.uint32)
    # With some versions of FFmpeg it takes the end of a file for an error of the decoder, so that its exit code says nothing.
    run = subprocess.run(["fpcalc", "-raw", "-json", str(file)], capture_output=True, text=True)
    return np.array(json.loads(run.stdout)["fingerprint"], dtype=np.uint32)


def duration(file):
    with wave.open(str(file)) as sound:
        return sound.getnframes() / sound.getframerate()


class References:
    """References one behind the other."""

    def __init__(self, prints):
        self.lengths = [len(values) for values in prints]
        self.values = np.concatenate(prints)
        self.firsts = np.cumsum([0, *self.lengths])

    def best(self, query):
        """Track, place in values and share of differing bits where the fewest differ."""
        best = (None, None, 1.0)
        if not 0 < len(query) <= len(self.values):
            return best
        places = len(self.values) - len(query) + 1
        differing = np.zeros(places, dtype=np.uint32)
        for index, value in enumerate(query):
            differing += np.bitwise_count(self.values[index : index + places] ^ value)
        for track, (first, length) in enumerate(zip(self.firsts, self.lengths)):
            if length >= len(query):
                own = differing[first : first + length - len(query) + 1]
                place = int(own.argmin())
                share = float(own[place]) / (32 * len(query))
                if share < best[2]:
                    best = (track, place, share)
        return best


def threshold(shares):
    """The share of differing bits below which 1 in 1 000 of these of strangers lie."""
    return sorted(shares)[int(PASSING * len(shares))]


def seconds_of(condition):
    return float(re.search(r"([\d.]+) s$", condition)[1])


def main():
    folder = Path(sys.argv[1])
    references = References([fingerprint(file) for file in sorted(folder.glob("reference-*.wav"))])
    clips = [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]
    prints = [fingerprint(folder / clip["file"]) for clip in clips]
    answers = [references.best(values) for values in prints]
    lengths, strangers, longest = {}, {}, []
    for clip, values, (_, _, share) in zip(clips, prints, answers):
        seconds = seconds_of(clip["condition"])
        lengths[seconds] = max(len(values), lengths.get(seconds, 0))
        if clip["track"] is None:
            strangers.setdefault(seconds, []).append(share)
            longest += [values] if seconds == LONGEST else []
    for seconds in set(lengths) - set(strangers):
        strangers[seconds] = [references.best(values[: lengths[seconds]])[2] for values in longest]
    most = {seconds: threshold(shares) for seconds, shares in strangers.items()}
    for seconds, share in sorted(most.items()):
        print(f"{seconds:g} s: fewer than {100 * share:.1f} % of the bits, of {len(strangers[seconds])} strangers", file=sys.stderr)
    for clip, (track, place, share) in zip(clips, answers):
        right = track is not None and track == clip["track"]
        line = {
            "condition": clip["condition"],
            "engine": "chromaprint",
            "stranger": clip["track"] is None,
            "right": right,
            "accepted": share < most[seconds_of(clip["condition"])],
            "evidence": None if track is None else 1 - share,
            "offsetError": place * SECONDS_PER_VALUE - clip["start"] if right else None,
            "confidence": None,
            "tempoError": 1 / clip["tempo"] - 1 if right else None,
            "pitchError": 1 / clip["pitch"] - 1 if right else None,
            "milliseconds": None,
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
