"""Writes what a released beat network or embedder was made from and how it measures: `models/provenance/<name>-<version>.json`.

    python -m tools.record_network_provenance tools/.work/beat-tcn.pt --model beat-tcn --evaluation out.json --note "..."
"""

import argparse
import json
from pathlib import Path

import torch

from tools.record_provenance import rounded
from tools.train.loop import ORIGINS

SOURCES = (
    {"name": "otolith synthesisers, drum kits, composer of beat music", "licence": "MIT OR Apache-2.0", "use": "training and evaluation"},
    {"name": "fluid-soundfont-gm, one-shots", "licence": "MIT", "use": "training"},
    {"name": "timgm6mb-soundfont, one-shots", "licence": "GPL-2", "use": "held-out evaluation only"},
)
FAMILIES = {"beat": "multi-task TCN of Böck and Davies (ISMIR 2020)", "embedder": "depthwise-separable convolutions, NT-Xent"}


def provenance(checkpoint: dict, entry: dict, evaluations: dict, notes: list[str]) -> dict:
    graphs = entry.get("files") or [{"role": "model", "file": entry["file"], "bytes": entry["bytes"], "sha256": entry["sha256"]}]
    progress = checkpoint["progress"]
    return {
        "name": entry["name"], "model_version": entry["model_version"], "licence": entry["licence"],
        "files": [{"file": graph["file"], "sha256": graph["sha256"]} for graph in graphs],
        "architecture": {"family": FAMILIES[entry["kind"]], "size": checkpoint["size"]},
        "training": {
            "recipe": checkpoint["recipe"], "pieces": checkpoint["songs"], "piece_seeds": [0, checkpoint["songs"] - 1],
            "seconds_per_piece": 40, "seed": checkpoint["seed"], "steps": checkpoint["step"],
            "audio_hours": checkpoint["audio_hours"], "skipped_steps": progress["skipped"], "plan": checkpoint["plan"],
            **{key: checkpoint[key] for key in ORIGINS if key in checkpoint}, "versions": checkpoint["versions"], "device": "cpu, one thread",
            "notes": notes, "loss_curve": [list(row) for row in progress["losses"]],
        },
        "sources": list(SOURCES),
        "evaluation": {
            "set": "held-out pieces of the same composer: other soundfont, grooves, progressions, melody rhythms and seeds", **evaluations,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--manifest", type=Path, default=Path("models/manifest.json"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--evaluation", type=Path, action="append", default=[], help="JSON of an evaluation; keyed by the file's name")
    parser.add_argument("--note", action="append", default=[], help="what the numbers do not tell; may be repeated")
    options = parser.parse_args()
    entry = next(e for e in json.loads(options.manifest.read_text())["models"] if e["name"] == options.model)
    checkpoint = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
    evaluations = {path.stem: json.loads(path.read_text()) for path in options.evaluation}
    target = options.manifest.parent / entry["provenance"]["metrics"]
    target.parent.mkdir(parents=True, exist_ok=True)
    record = provenance(checkpoint, entry, evaluations, options.note)
    target.write_text(json.dumps(rounded(record), indent=1, ensure_ascii=False) + "\n")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
