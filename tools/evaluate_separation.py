"""Measures a separator on a folder of songs whose stems are known.

    python -m tools.evaluate_separation --model separator-2-lite --stems DIR --json out.json
    python -m tools.evaluate_separation --model separator-2-lite --stems DIR --command "node dist/cli.js"

`DIR/<song>/<stem>.wav`. Stems that the model does not name are summed into its residual; missing ones are silent; `mix.wav`, if it
is there, must equal the sum. With `--command` the product's own command line separates each mix, else its restatement in numpy
does. Three bounds are measured on the same songs: the mix as estimate, the ideal ratio mask, and a centre-channel mask. A song
whose files differ in length or rate is listed and skipped, and the exit status is 1.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from scipy import stats

from tools.separation_metrics import measure, quartiles
from tools.separation_pipeline import SAMPLE_RATE, Pipeline, istft, stft

MEASURES = ("usdr", "si_sdr", "si_sdri", "leakage", "solo_usdr")
MIX_TOLERANCE = 1e-4
SHIPPED_MANIFEST = Path("models/manifest.json")


class BadSong(ValueError):
    """A song that cannot be measured, with the reason."""


def read_song(folder: Path, stems: list[str], residual: str) -> dict[str, np.ndarray]:
    """The model's stems of a song, float64 [2, frames] at 44.1 kHz."""
    targets: dict[str, np.ndarray] = {}
    shape = None
    for path in sorted(folder.glob("*.wav")):
        audio, rate = soundfile.read(path, dtype="float64", always_2d=True)
        audio = np.repeat(audio, 2, axis=1).T if audio.shape[1] == 1 else audio.T
        if shape not in (None, (audio.shape, rate)):
            raise BadSong(f"{path.name} has {audio.shape[1]} frames at {rate} Hz, others {shape}")
        shape = (audio.shape, rate)
        name = path.stem
        if name != "mix" and name not in stems:
            name = residual
        targets[name] = targets[name] + audio if name in targets else audio
    if shape is None:
        raise BadSong("no WAV file")
    if shape[1] != SAMPLE_RATE:
        raise BadSong(f"{shape[1]} Hz: resample to {SAMPLE_RATE} Hz first")
    mix = targets.pop("mix", None)
    targets = {name: targets.get(name, np.zeros(shape[0])) for name in stems}
    total = sum(targets.values())
    if mix is not None and np.abs(mix - total).max() > MIX_TOLERANCE:
        raise BadSong("mix.wav differs from the sum of the stems")
    return targets


def separate_by_command(command: str, model: str, mix: np.ndarray, stems: list[str]) -> np.ndarray:
    """Stems [stems, 2, frames] from the command line: `COMMAND separate mix.wav --model MODEL --out DIR --format wav32f`, where MODEL
    is the name of a shipped model or the path of a manifest."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "mix.wav"), Path(folder, "out")
        soundfile.write(source, mix.T, SAMPLE_RATE, subtype="FLOAT")
        line = [*shlex.split(command), "separate", str(source), "--model", model, "--out", str(out), "--format", "wav32f"]
        subprocess.run(line, check=True, capture_output=True)
        read = [soundfile.read(out / "mix" / f"{name}.wav", dtype="float64", always_2d=True)[0] for name in stems]
        return np.stack([audio.T for audio in read])


def ideal_ratio_mask(targets: dict[str, np.ndarray], mix: np.ndarray) -> dict[str, np.ndarray]:
    """Wiener-like masks from the true stems' energies: what real masks on this transform can reach."""
    spectra = {name: stft(audio) for name, audio in targets.items()}
    total = sum(np.abs(spectrum) ** 2 for spectrum in spectra.values()) + 1e-12
    mixed = stft(mix)
    return {name: istft(np.abs(s) ** 2 / total * mixed, mix.shape[1]) for name, s in spectra.items()}


def centre_mask(mix: np.ndarray, stems: list[str]) -> dict[str, np.ndarray]:
    """Vocals are what is alike on both sides, bin by bin; the rest is shared by the other stems."""
    left, right = stft(mix)
    alike = np.clip(1 - np.abs(left - right) / (np.abs(left) + np.abs(right) + 1e-12), 0, 1)
    vocals = istft(alike * np.stack([left, right]), mix.shape[1])
    rest = (mix - vocals) / max(1, len(stems) - 1)
    return {name: vocals if name == "vocals" else rest for name in stems}


def evaluate(songs: list[Path], pipeline: Pipeline, command: str | None, model: str) -> tuple[dict, list[str]]:
    """Measures per method, stem and song, and the songs that were skipped with their reasons. `model` is what `command` is given."""
    rows: dict[str, dict[str, dict[str, dict]]] = {}
    skipped = []
    for folder in songs:
        try:
            targets = read_song(folder, pipeline.stems, pipeline.stems[pipeline.residual])
        except BadSong as problem:
            skipped.append(f"{folder.name}: {problem}")
            continue
        mix = sum(targets.values())
        separated = (
            separate_by_command(command, model, mix, pipeline.stems) if command else pipeline.separate(mix)
        )
        methods = {
            pipeline.entry["name"]: dict(zip(pipeline.stems, separated)),
            "mix": {name: mix for name in pipeline.stems},
            "centre mask": centre_mask(mix, pipeline.stems),
            "ideal ratio mask": ideal_ratio_mask(targets, mix),
        }
        for method, estimates in methods.items():
            for stem in pipeline.stems:
                values = measure(estimates[stem], targets[stem], mix)
                rows.setdefault(method, {}).setdefault(stem, {})[folder.name] = values
    return rows, skipped


def summarise(rows: dict) -> dict:
    """Quartiles per method, stem and measure."""
    summary: dict = {}
    for method, by_stem in rows.items():
        for stem, by_song in by_stem.items():
            for name in MEASURES:
                values = [values[name] for values in by_song.values() if name in values]
                if values:
                    summary.setdefault(method, {}).setdefault(stem, {})[name] = quartiles(values)
    return summary


def compare(first: dict, second: dict, measure: str = "usdr") -> dict[str, dict[str, float]]:
    """Wilcoxon signed-rank test of a measure between two methods' rows by stem, over the songs both have it for."""
    answer = {}
    for stem in (stem for stem in first if stem in second):
        both = [song for song, values in first[stem].items() if measure in values and measure in second[stem].get(song, {})]
        pairs = np.array([(first[stem][song][measure], second[stem][song][measure]) for song in both]).reshape(-1, 2)
        difference = pairs[:, 0] - pairs[:, 1]
        if len(difference) >= 6 and np.any(difference):
            medians = [round(float(value), 3) for value in (*np.median(pairs, axis=0), np.median(difference))]
            answer[stem] = dict(zip(("first", "second", "median_difference"), medians))
            answer[stem] |= {"p": float(stats.wilcoxon(difference).pvalue), "songs": len(both)}
    return answer


def table(summary: dict) -> str:
    """The medians as a Markdown table, quartiles in brackets."""
    lines = [
        "| method | stem | uSDR | SI-SDR | SI-SDRi | leakage (silent target) | uSDR (target alone) | songs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method, by_stem in summary.items():
        for stem, values in by_stem.items():
            cells = []
            for name in MEASURES:
                value = values.get(name)
                cells.append(f"{value['median']:.2f} ({value['lower']:.2f}..{value['upper']:.2f})" if value else "-")
            counts = " + ".join(str(values.get(name, {}).get("count", 0)) for name in ("usdr", "leakage", "solo_usdr"))
            lines.append(f"| {method} | {stem} | " + " | ".join(cells) + f" | {counts} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="name in the manifest")
    parser.add_argument("--manifest", type=Path, default=SHIPPED_MANIFEST)
    parser.add_argument("--stems", type=Path, required=True, help="folder with one folder per song")
    parser.add_argument("--command", help="the product's command line; without it the numpy restatement runs")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pipeline = Pipeline(options.manifest, options.model)
    songs = sorted(path for path in options.stems.iterdir() if path.is_dir())[: options.limit]
    shipped = options.manifest.resolve() == SHIPPED_MANIFEST.resolve()
    rows, skipped = evaluate(songs, pipeline, options.command, options.model if shipped else str(options.manifest))
    summary = summarise(rows)
    print(table(summary))
    report = {
        "model": options.model, "model_version": pipeline.entry["model_version"], "songs": len(songs) - len(skipped),
        "pipeline": "command line" if options.command else "numpy restatement", "summary": summary,
        "against_mix": compare(rows[options.model], rows["mix"]), "against_centre_mask": compare(rows[options.model], rows["centre mask"]),
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    for line in skipped:
        print(f"skipped {line}", file=sys.stderr)
    return 1 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
