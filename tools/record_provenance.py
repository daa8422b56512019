"""Writes what a released separator was made from and how it measures: `models/provenance/<name>-<version>.json`.

    python -m tools.record_provenance CHECKPOINT --manifest models/manifest.json --model separator-2-lite --evaluation out.json
"""

import argparse
import json
from pathlib import Path

import torch

from tools.corpus.mix import load_recipe


def provenance(checkpoint: dict, entry: dict, evaluation: dict, notes: list[str]) -> dict:
    """Recipe, seeds, versions, exposure and loss curve of the checkpoint, with the evaluation's summary and the model's rows."""
    recipe = load_recipe()
    return {
        "name": entry["name"], "model_version": entry["model_version"], "sha256": entry["sha256"], "licence": entry["licence"],
        "architecture": {"family": "band-split TF-Locoformer", "size": checkpoint["size"]},
        "training": {
            "recipe": checkpoint["recipe"], "songs": checkpoint["songs"],
            "song_seeds": checkpoint["song_seeds"], "started_from": checkpoint.get("started_from"), "seed": checkpoint["seed"],
            "steps": checkpoint["step"],
            "audio_hours": round(checkpoint["audio_hours"], 3), "skipped_steps": checkpoint["progress"]["skipped"],
            "plan": checkpoint["plan"], "versions": checkpoint["versions"], "device": "cpu",
            "notes": notes, "loss_curve": [list(row) for row in checkpoint["progress"]["losses"]],
        },
        "sources": [{key: s[key] for key in ("name", "licence", "use")} for s in recipe["sources"]],
        "evaluation": {
            "set": "held-out songs of the same composer: other soundfont, voices, progressions, grooves and seeds",
            "songs": evaluation["songs"], "pipeline": evaluation["pipeline"], "summary": evaluation["summary"],
            "against_mix": evaluation["against_mix"], "against_centre_mask": evaluation["against_centre_mask"],
            "rows": evaluation["rows"][entry["name"]],
        },
    }


def rounded(value):
    """Floats to six digits, all the way down."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--manifest", type=Path, default=Path("models/manifest.json"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--evaluation", type=Path, required=True, help="JSON of tools.evaluate_separation")
    parser.add_argument("--note", action="append", default=[], help="what the numbers do not tell; may be repeated")
    options = parser.parse_args()
    entry = next(e for e in json.loads(options.manifest.read_text())["models"] if e["name"] == options.model)
    checkpoint = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
    record = provenance(checkpoint, entry, json.loads(options.evaluation.read_text()), options.note)
    target = options.manifest.parent / entry["provenance"]["metrics"]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(rounded(record), indent=1) + "\n")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
