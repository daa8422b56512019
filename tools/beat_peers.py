"""Scores librosa's beat tracker on a folder of WAV files with their truth beside them.

Needs librosa and mir_eval 0.8.2:
    OTOLITH_BEAT_SET=/some/folder cargo test --test beat write_the_pieces -- --ignored
    python tools/beat_peers.py "/some/folder/evaluation_*.wav"
"""

import glob
import json
import sys
import time

import librosa
import mir_eval
import numpy as np


def main():
    scores, seconds, elapsed = [], 0.0, 0.0
    for path in sorted(glob.glob(sys.argv[1])):
        samples, rate = librosa.load(path, sr=22050)
        started = time.perf_counter()
        _, found = librosa.beat.beat_track(y=samples, sr=rate, units="time")
        elapsed += time.perf_counter() - started
        seconds += len(samples) / rate
        with open(path[:-3] + "json") as file:
            truth = mir_eval.beat.trim_beats(np.array(json.load(file)["beats"]))
        found = mir_eval.beat.trim_beats(found)
        _, cml_t, _, aml_t = mir_eval.beat.continuity(truth, found)
        scores.append((mir_eval.beat.f_measure(truth, found), cml_t, aml_t))
    f, cml_t, aml_t = np.mean(scores, 0)
    print(f"librosa {librosa.__version__}, {len(scores)} pieces: F {f:.3f}, CMLt {cml_t:.3f}, AMLt {aml_t:.3f}, {seconds / elapsed:.0f} x real time")


if __name__ == "__main__":
    main()
