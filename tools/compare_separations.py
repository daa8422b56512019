"""Compares two separators song by song, by the reports that tools.evaluate_separation and tools.record_provenance write.

    python -m tools.compare_separations new.json models/provenance/separator-5-1.2.0.json

Per stem and measure: both medians, the median difference and the p of a Wilcoxon signed-rank test. Both must have heard the same audio:
songs of one seed differ where soundfonts or the recipe do, so reports whose mixes measure differently are refused.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from tools.evaluate_separation import MEASURES, compare


def read_report(path: Path) -> tuple[dict, dict]:
    """Rows by stem of the model, and the summary."""
    report = json.loads(path.read_text())
    if "evaluation" in report:
        return report["evaluation"]["rows"], report["evaluation"]["summary"]
    return report["rows"][report["model"]], report["summary"]


def same_audio(first: dict, second: dict) -> bool:
    """Whether the mixes of two summaries measure the same on the stems both have, to the digits that a record keeps."""
    stems = first["mix"].keys() & second["mix"].keys()
    pairs = [(first["mix"][stem]["usdr"], second["mix"][stem]["usdr"]) for stem in stems if "usdr" in first["mix"][stem]]
    return bool(pairs) and all(np.isclose(a["median"], b["median"], atol=1e-3) and a["count"] == b["count"] for a, b in pairs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    options = parser.parse_args()
    (first, its_summary), (second, other_summary) = read_report(options.first), read_report(options.second)
    if not same_audio(its_summary, other_summary):
        print("the two reports are of other songs: their mixes measure differently; evaluate both on one folder", file=sys.stderr)
        return 1
    print("| stem | measure | first | second | median difference | p | songs |\n|---|---|---|---|---|---|---|")
    for measure in MEASURES:
        for stem, found in compare(first, second, measure).items():
            print(
                f"| {stem} | {measure} | {found['first']:.2f} | {found['second']:.2f} | {found['median_difference']:+.2f} "
                f"| {found['p']:.1e} | {found['songs']} |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
