"""Fits the confidence table of fingerprint matches.

For one algorithm and profile after the other, reads the lines of JSON that the evaluation writes (tests/rust/fingerprint/evaluation.rs) and prints the table for
src/fingerprint/confidence.rs: share of right answers by evidence, excerpts and strangers weighted equally, made monotone by
pooling adjacent violators; the least confidence with a false-accept rate of 1 in 2000 on the development split, half of the rate that is
promised, as the held-out split is never quite as kind; and how far the table is off on the held-out split.

    OTOLITH_EVALUATION=queries.jsonl cargo test --test fingerprint evaluation -- --ignored
    python tools/fingerprint_calibrate.py queries.jsonl

Two files are the splits as `evaluate` of benches/peers/audiofp writes them, which asks more tracks: Panako's table is fitted that way.

    evaluate 500 120 1500 FOLDER 2 panako --seed 40000000 > development.jsonl
    evaluate 500 200 3000 FOLDER 2 panako > held-out.jsonl
    python tools/fingerprint_calibrate.py development.jsonl held-out.jsonl
"""

import json
import sys

import numpy as np

KNOTS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 25, 30], dtype=float)
FALSE_ACCEPT_RATE = 5e-4


def load(path):
    with open(path) as lines:
        return [json.loads(line) for line in lines]


def columns(rows):
    """Evidence, whether right, and weight of all queries that got an answer; excerpts and strangers weigh the same in all."""
    strangers = np.array([row["stranger"] for row in rows])
    answered = np.array([row["evidence"] is not None for row in rows])
    evidence = np.array([row["evidence"] if row["evidence"] is not None else -np.inf for row in rows])
    right = np.array([row["right"] for row in rows], dtype=float)
    weight = np.where(strangers, 0.5 / max(strangers.sum(), 1), 0.5 / max((~strangers).sum(), 1))
    return evidence[answered], right[answered], weight[answered]


def isotonic(evidence, right, weight):
    """Monotone least-squares fit: evidence and value of each query, in order."""
    order = np.argsort(evidence, kind="stable")
    blocks = []
    for value, mass in zip(right[order], weight[order]):
        blocks.append([value, mass, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            value, mass, count = blocks.pop()
            blocks[-1][0] = (blocks[-1][0] * blocks[-1][1] + value * mass) / (blocks[-1][1] + mass)
            blocks[-1][1] += mass
            blocks[-1][2] += count
    return evidence[order], np.concatenate([np.full(count, value) for value, _, count in blocks])


def table(evidence, right, weight):
    """Confidence at the knots: the fit's mean over the neighbourhood of each, so that single queries do not show."""
    at, value = isotonic(evidence, right, weight)
    edges = np.concatenate([[-np.inf], (KNOTS[1:] + KNOTS[:-1]) / 2, [np.inf]])
    order = np.argsort(evidence, kind="stable")
    mass = weight[order]
    means = []
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (at >= low) & (at < high)
        means.append(np.average(value[inside], weights=mass[inside]) if inside.any() else np.nan)
    means = np.array(means)
    known = ~np.isnan(means)
    return np.maximum.accumulate(np.interp(KNOTS, KNOTS[known], means[known]))


def calibration_error(confidence, right, weight, bins=10):
    """Expected difference of confidence and share of right answers, over bins of confidence."""
    error = 0.0
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    for number in range(bins):
        inside = place == number
        if inside.any():
            share = weight[inside].sum() / weight.sum()
            error += share * abs(np.average(confidence[inside], weights=weight[inside]) - np.average(right[inside], weights=weight[inside]))
    return error


def main():
    if len(sys.argv) > 2:
        development, held_out = ([row | {"scheme": row["engine"]} for row in load(path)] for path in sys.argv[1:3])
    else:
        rows = load(sys.argv[1])
        development = [row for row in rows if row["split"] == "development"]
        held_out = [row for row in rows if row["split"] == "held-out"]
    for scheme in dict.fromkeys(row["scheme"] for row in development):
        report(scheme, [row for row in development if row["scheme"] == scheme], [row for row in held_out if row["scheme"] == scheme])


def report(scheme, development, held_out):
    """Fits one scheme on the development split and shows how it does on the held-out one."""
    print(scheme)
    values = table(*columns(development))
    print("KNOTS", ", ".join(f"{knot:.1f}" for knot in KNOTS))
    print("CONFIDENCES", ", ".join(f"{value:.3f}" for value in values))
    strangers = [row["evidence"] if row["evidence"] is not None else -np.inf for row in development if row["stranger"]]
    threshold = float(np.sort(strangers)[-(int(FALSE_ACCEPT_RATE * len(strangers)) + 1)])
    minimum = np.interp(threshold, KNOTS, values)
    print(f"evidence above {threshold:.2f}, confidence above {minimum:.4f}: {FALSE_ACCEPT_RATE:g} of {len(strangers)} strangers")
    evidence, right, weight = columns(held_out)
    print("held-out calibration error", round(calibration_error(np.interp(evidence, KNOTS, values), right, weight), 4))
    for condition in sorted({row["condition"] for row in held_out}):
        chosen = [row for row in held_out if row["condition"] == condition]
        accepted = [row["evidence"] is not None and row["evidence"] > threshold for row in chosen]
        right = [row["right"] and is_accepted for row, is_accepted in zip(chosen, accepted)]
        print(f"  {condition:18} n {len(chosen)} accepted {sum(accepted)} right {sum(right)}")


if __name__ == "__main__":
    main()
