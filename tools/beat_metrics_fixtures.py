"""Writes tests/data/beat_metrics.json: beat lists and the scores that mir_eval gives them.

Needs numpy and mir_eval 0.8.2. Run from the repository root: python tools/beat_metrics_fixtures.py
"""

import json
import warnings

import mir_eval
import numpy as np

SEED = 20
warnings.simplefilter("ignore")


def scores(reference, estimate):
    reference, estimate = mir_eval.beat.trim_beats(reference), mir_eval.beat.trim_beats(estimate)
    cemgil, cemgil_best = mir_eval.beat.cemgil(reference, estimate)
    continuity = mir_eval.beat.continuity(reference, estimate)
    result = dict(
        f=mir_eval.beat.f_measure(reference, estimate),
        cemgil=cemgil,
        cemgil_best=cemgil_best,
        p_score=mir_eval.beat.p_score(reference, estimate),
        goto=mir_eval.beat.goto(reference, estimate),
        information_gain=mir_eval.beat.information_gain(reference, estimate),
        **dict(zip(("cml_c", "cml_t", "aml_c", "aml_t"), continuity)),
    )
    return {key: float(value) for key, value in result.items()}


def cases(random):
    for number in range(12):
        period = random.uniform(0.3, 1.0)
        reference = random.uniform(0, 1) + period * np.arange(int(40 / period))
        jitter = random.normal(0, random.choice([0.005, 0.03, 0.08]), reference.size)
        yield f"jitter {number}", reference, np.sort(reference + jitter)
        yield f"random {number}", reference, np.sort(random.uniform(0, 40, random.integers(5, 90)))
        missing = reference[random.uniform(size=reference.size) > 0.2]
        yield f"missing {number}", reference, missing + random.uniform(-0.05, 0.05)
    ramp = np.cumsum(np.linspace(0.7, 0.35, 80))
    for name, estimate in [
        ("same", ramp),
        ("double", np.sort(np.concatenate([ramp, (ramp[1:] + ramp[:-1]) / 2]))),
        ("half", ramp[::2]),
        ("other half", ramp[1::2]),
        ("off-beats", (ramp[1:] + ramp[:-1]) / 2),
        ("late by 100 ms", ramp + 0.1),
        ("triple", np.interp(np.arange(0, 79, 1 / 3), np.arange(80), ramp)),
        ("nothing", np.array([])),
        ("one beat", ramp[40:41]),
        ("begins late", ramp[30:]),
        ("ends early", ramp[:50]),
        ("a shift in the middle", np.where(ramp < 20, ramp, ramp + 0.2)),
    ]:
        yield f"ramp, {name}", ramp, estimate
    yield "no reference", np.array([]), ramp
    yield "three reference beats", ramp[10:13], ramp


def main():
    random = np.random.default_rng(SEED)
    found = []
    for name, reference, estimate in cases(random):
        reference, estimate = np.round(reference, 6), np.round(estimate, 6)
        reference, estimate = reference[reference >= 0], estimate[estimate >= 0]
        found.append(dict(name=name, reference=reference.tolist(), estimate=estimate.tolist(), scores=scores(reference, estimate)))
    document = dict(tool=f"mir_eval {mir_eval.__version__}", seed=SEED, tolerance=1e-9, cases=found)
    with open("tests/data/beat_metrics.json", "w") as file:
        json.dump(document, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
