"""Hit rates of fingerprints on the grid of conditions, as tables for docs/algorithms/fingerprints.md.

    (cd benches/peers/audiofp && cargo run --release --bin evaluate -- 60 40 600 /tmp/clips > queries.jsonl)
    python tools/fingerprint_eval.py queries.jsonl [chromaprint.jsonl ...]

With `NAME=E` behind the files, answers of engine NAME are accepted from evidence E on: the evidence of the default confidence, where the
file is older than the confidence table.

Each line of a file is one query to one engine; a last line that is cut short, as of a run that was stopped, is left out. A hit is the
right track above the engine's own default threshold; of strangers, a hit is a false accept. Intervals are Wilson's at 95 %. Offset and
scale errors are those of hits. Then the hit rates at thresholds of the evidence (audiofp: of its score) that let so many of the
strangers pass, and how far confidence and share of right answers lie apart, excerpts and strangers weighing the same. Standard library
only.
"""

import json
import math
import sys
from collections import defaultdict

Z = 1.959963984540054
# What a condition's name begins with.
GROUPS = {
    "clean": ("clean",),
    "noise": ("white noise", "pink noise"),
    "codecs": ("MP3", "AAC", "Opus"),
    "rooms, filters": ("reverberation", "band-pass", "echo"),
    "tempo, pitch, speed": ("tempo", "pitch", "speed"),
}
PASSING = (0.1, 0.01, 0.001)


def wilson(hits, count):
    """The 95 % interval of a share (Wilson 1927), in percent."""
    share = hits / count
    middle = (share + Z * Z / (2 * count)) / (1 + Z * Z / count)
    half = Z / (1 + Z * Z / count) * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)


def quantile(values, share):
    """The value below which this share of them lies."""
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else math.nan


def hits(rows):
    """Rows that found the right track, or of strangers any, above the threshold."""
    return [row for row in rows if row["accepted"] and (row["right"] or row["stranger"])]


def group_of(condition):
    """The group of conditions that one belongs to; none for strangers."""
    return next((group for group, beginnings in GROUPS.items() if condition.startswith(beginnings)), None)


def evidence_of(row):
    return -math.inf if row["evidence"] is None else row["evidence"]


def threshold(strangers, share):
    """The least evidence above which at most this share of the strangers lies."""
    falling = sorted(map(evidence_of, strangers), reverse=True)
    # Rounded first: 0.001 of 9 000 is a hair less than 9 in floating point.
    return falling[min(len(falling) - 1, int(round(share * len(falling), 6)))]


def operating_point(rows, share):
    """Threshold of one engine's evidence that lets this share of strangers pass, how many do, and hits and queries by group."""
    strangers = [row for row in rows if row["stranger"]]
    least = threshold(strangers, share)
    groups = {group: [0, 0] for group in GROUPS}
    for row in rows:
        group = group_of(row["condition"])
        if group and not row["stranger"]:
            groups[group][0] += row["right"] and evidence_of(row) > least
            groups[group][1] += 1
    return least, sum(evidence_of(row) > least for row in strangers), groups


def calibration(rows, bins=10):
    """Bins of confidence that hold any answer: count, mean confidence and share right; and the expected calibration error.

    As in tools/fingerprint_calibrate.py: queries with an answer, weighted so that all excerpts weigh what all strangers do.
    """
    strangers = sum(row["stranger"] for row in rows)
    weight = {True: 0.5 / max(strangers, 1), False: 0.5 / max(len(rows) - strangers, 1)}
    content = [[] for _ in range(bins)]
    for row in rows:
        if row["confidence"] is not None:
            content[min(int(row["confidence"] * bins), bins - 1)].append((weight[row["stranger"]], row["confidence"], row["right"]))
    whole = sum(mass for own in content for mass, _, _ in own)
    table, error = [], 0.0
    for number, own in enumerate(content):
        if own:
            mass = sum(mass for mass, _, _ in own)
            mean = sum(mass * confidence for mass, confidence, _ in own) / mass
            right = sum(mass * is_right for mass, _, is_right in own) / mass
            table.append((number, len(own), mean, right))
            error += mass / whole * abs(mean - right)
    return table, error


def read(path):
    """The lines of a file; a last one that is cut short is left out."""
    with open(path) as file:
        lines = file.read().split("\n")
    return [json.loads(line) for line in lines[:-1]]


def print_conditions(rows, engines):
    cells = defaultdict(list)
    for row in rows:
        cells[row["condition"], row["engine"]].append(row)
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    print("| condition | n | " + " | ".join(engines) + " |")
    print("|---" * (len(engines) + 2) + "|")
    for condition in conditions:
        columns = []
        for engine in engines:
            found, count = len(hits(cells[condition, engine])), len(cells[condition, engine])
            low, high = wilson(found, count) if count else (math.nan, math.nan)
            columns.append(f"{found} ({low:.0f}..{high:.0f})" if not condition.startswith("stranger") else f"{found} (< {high:.2f} %)")
        print(f"| {condition} | {len(cells[condition, engines[0]])} | " + " | ".join(columns) + " |")


def print_errors(rows, engines):
    print("| engine | offset error, ms: median, 95 % | tempo error, %: median, 95 % | pitch error, %: median, 95 % | wrong track accepted | ms per query |")
    print("|---|---|---|---|---|---|")
    for engine in engines:
        own = [row for row in rows if row["engine"] == engine]
        found = [row for row in hits(own) if not row["stranger"]]
        wrong = sum(row["accepted"] and not row["right"] and not row["stranger"] for row in own)
        columns = []
        for key, unit in (("offsetError", 1e3), ("tempoError", 1e2), ("pitchError", 1e2)):
            errors = [abs(row[key]) * unit for row in found]
            columns.append(f"{quantile(errors, 0.5):.2f}, {quantile(errors, 0.95):.2f}")
        time = quantile([row["milliseconds"] for row in own if row["milliseconds"] is not None], 0.5)
        print(f"| {engine} | " + " | ".join(columns) + f" | {wrong} | {time:.1f} |")


def print_operating_points(rows, engines):
    print("| engine | strangers passing | evidence above | " + " | ".join(f"{group}, %" for group in GROUPS) + " |")
    print("|---" * (len(GROUPS) + 3) + "|")
    for engine in engines:
        own = [row for row in rows if row["engine"] == engine]
        for share in PASSING if any(row["stranger"] for row in own) else ():
            least, passing, groups = operating_point(own, share)
            columns = []
            for found, count in groups.values():
                low, high = wilson(found, count) if count else (math.nan, math.nan)
                columns.append(f"{100 * found / max(count, 1):.1f} ({low:.1f}..{high:.1f})")
            print(f"| {engine} | {passing} ({100 * share:g} %) | {least:.3f} | " + " | ".join(columns) + " |")


def print_calibration(rows, engines):
    print("| engine | confidence, share right and answers in each tenth of the confidence | calibration error |")
    print("|---|---|---|")
    for engine in engines:
        table, error = calibration([row for row in rows if row["engine"] == engine])
        if table:
            print(f"| {engine} | " + "; ".join(f"{mean:.3f}, {right:.3f} ({count})" for _, count, mean, right in table) + f" | {error:.4f} |")


def main():
    files = [argument for argument in sys.argv[1:] if "=" not in argument]
    least = {name: float(value) for name, _, value in (argument.partition("=") for argument in sys.argv[1:] if "=" in argument)}
    rows = [row for path in files for row in read(path)]
    for row in rows:
        if row["engine"] in least:
            row["accepted"] = evidence_of(row) >= least[row["engine"]]
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    for table in (print_conditions, print_errors, print_operating_points, print_calibration):
        table(rows, engines)
        print()


if __name__ == "__main__":
    main()
