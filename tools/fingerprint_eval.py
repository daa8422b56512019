"""Hit rates of fingerprints on the grid of conditions, as a table for docs/algorithms/fingerprints.md.

    (cd benches/peers/audiofp && cargo run --release --bin evaluate -- 60 40 600 /tmp/clips > queries.jsonl)
    python tools/fingerprint_eval.py queries.jsonl

With `NAME=E` behind the file, answers of engine NAME are accepted from evidence E on: the evidence of the default confidence, where the
file is older than the confidence table.

Each line of the file is one query to one engine. A hit is the right track above the engine's own default threshold; of strangers, a hit
is a false accept. Intervals are Wilson's at 95 %. Offset and scale errors are those of hits. Standard library only.
"""

import json
import math
import sys
from collections import defaultdict

Z = 1.959963984540054


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


def main():
    with open(sys.argv[1]) as lines:
        rows = [json.loads(line) for line in lines]
    least = {name: float(value) for name, _, value in (argument.partition("=") for argument in sys.argv[2:])}
    for row in rows:
        if row["engine"] in least:
            row["accepted"] = row["evidence"] is not None and row["evidence"] >= least[row["engine"]]
    cells = defaultdict(list)
    for row in rows:
        cells[row["condition"], row["engine"]].append(row)
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    print("| condition | n | " + " | ".join(engines) + " |")
    print("|---" * (len(engines) + 2) + "|")
    for condition in conditions:
        columns = []
        for engine in engines:
            found, count = len(hits(cells[condition, engine])), len(cells[condition, engine])
            low, high = wilson(found, count)
            columns.append(f"{found} ({low:.0f}..{high:.0f})" if not condition.startswith("stranger") else f"{found} (< {high:.2f} %)")
        print(f"| {condition} | {len(cells[condition, engines[0]])} | " + " | ".join(columns) + " |")
    print()
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
        time = quantile([row["milliseconds"] for row in own], 0.5)
        print(f"| {engine} | " + " | ".join(columns) + f" | {wrong} | {time:.1f} |")


if __name__ == "__main__":
    main()
