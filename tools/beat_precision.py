"""What a beat network loses with its weights in half precision or in 8 bits: largest change of an activation, and scores of its beats.

    python -m tools.beat_precision tools/.work/beat-tcn.pt tools/.work/beat-test

8 bits: one scale for each output of a convolution, symmetric; biases stay. Decoded by `tools.beat_decoder`, scored by mir_eval.
"""

import argparse
import json
from pathlib import Path

import mir_eval
import numpy as np
import soundfile
import torch

from tools.beat_activations import activations, load_network
from tools.beat_decoder import decode_beats
from tools.train.beat_features import band_magnitudes, log_bands


def eight_bits(weight: torch.Tensor) -> torch.Tensor:
    if weight.dim() < 2:
        return weight
    scale = weight.abs().flatten(1).amax(1).clamp_min(1e-12) / 127
    scale = scale.view(-1, *[1] * (weight.dim() - 1))
    return (weight / scale).round().clamp(-127, 127) * scale


FORMATS = {"f32": lambda weight: weight, "fp16": lambda weight: weight.half().float(), "int8": eight_bits}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path, help="WAV files with their truth beside them, as `tools.beat_test_set` writes")
    options = parser.parse_args()
    network, _ = load_network(options.checkpoint)
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    scores: dict[str, list] = {name: [] for name in FORMATS}
    changes = dict.fromkeys(FORMATS, 0.0)
    for path in sorted(options.folder.glob("*.wav")):
        samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
        bands = log_bands(band_magnitudes(samples.T))
        truth = mir_eval.beat.trim_beats(np.asarray(json.loads(path.with_suffix(".json").read_text())["beats"]))
        whole = None
        for name, rounded in FORMATS.items():
            network.load_state_dict({key: rounded(value) for key, value in weights.items()})
            found, _ = activations(network, bands)
            whole = found if whole is None else whole
            changes[name] = max(changes[name], float(np.abs(found[:2] - whole[:2]).max()))
            beats = mir_eval.beat.trim_beats(decode_beats(found[0]))
            _, cml_t, _, aml_t = mir_eval.beat.continuity(truth, beats)
            scores[name].append((mir_eval.beat.f_measure(truth, beats), cml_t, aml_t))
    print("| weights | mean F | CMLt | AMLt | largest change of an activation |\n|" + "---|" * 5)
    for name, table in scores.items():
        f, cml_t, aml_t = np.mean(table, axis=0)
        print(f"| {name} | {f:.4f} | {cml_t:.4f} | {aml_t:.4f} | {changes[name]:.4f} |")


if __name__ == "__main__":
    main()
