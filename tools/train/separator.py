"""Trains the separator on rendered songs.

    python -m tools.train.separator --songs tools/.work/train --checkpoint tools/.work/lite.pt --minutes 60
    python -m tools.train.separator --songs tools/.work/train --checkpoint tools/.work/lite.pt --resume

`--minutes` times 20 steps, plans as many as fit, lets the plan's end follow the measured pace, and ends in time with usable averaged
weights in any case; `--steps` repeats a run exactly.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from tools.corpus.mix import load_recipe
from tools.train.augment import Examples, open_songs, whole_hops
from tools.train.loop import Plan, Training, carry_out, parsed, run_options
from tools.train.losses import separation_loss
from tools.train.network import LITE, LITE_FIVE, STANDARD, STANDARD_FIVE, BandSplitLocoformer, NetworkSize
from tools.train.spectrum import forward_stft
from tools.train.warm_start import PAIR, shared_out, weights_of_onnx, widened

SIZES = {"lite": LITE, "standard": STANDARD, "lite-5": LITE_FIVE, "standard-5": STANDARD_FIVE}


class LossOf:
    """Loss of stems [batch, stems, 2, samples] whose mix is of about unit deviation.

    `mixed` runs convolutions and matrices in bfloat16, sums of the residual path, softmax and the loss in float32. With `compiled`,
    batches of crops run through the inductor (twice as fast on a CPU with bfloat16 units, minutes to build); single long examples
    run as written.
    """

    def __init__(self, mixed: bool = False, compiled: bool = False):
        self.mixed = mixed
        self.compiled = torch.compile(self._of_spectra, dynamic=False) if compiled else self._of_spectra

    def _of_spectra(self, network: nn.Module, mix: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        batch, stems, *_, frames, bins = targets.shape
        with torch.autocast(mix.device.type, torch.bfloat16, enabled=self.mixed):
            masks = network(mix.reshape(batch, 4, frames, bins))
        return separation_loss(masks.reshape(batch, stems, 2, 2, frames, bins), targets, mix)

    def __call__(self, network: nn.Module, targets: torch.Tensor) -> torch.Tensor:
        spectra = torch.view_as_real(forward_stft(targets)).movedim(-1, 3).contiguous()
        return (self.compiled if len(targets) > 1 else self._of_spectra)(network, spectra.sum(dim=1), spectra)


def build(
    size: NetworkSize, plan: Plan, songs: Path, mixed: bool = False, compiled: bool = False, device: str = "cpu",
) -> Training:
    """A run at its beginning. On a graphics processor batches are made by the CPU and moved."""
    torch.manual_seed(plan.seed)
    examples = Examples(open_songs(songs), size.stems, plan.seed)
    recipe = load_recipe()["name"]
    seeds = [song.seed for song in examples.songs]
    description = {"size": size.to_dict(), "recipe": recipe, "songs": len(seeds), "song_seeds": ranges(seeds)}

    def batch_of(step: int, count: int, seconds: float) -> torch.Tensor:
        return examples.batch(step, count, whole_hops(seconds)).to(device)

    return Training(BandSplitLocoformer(size).to(device), plan, batch_of, LossOf(mixed, compiled), description)


def ranges(seeds: list[int]) -> list[list[int]]:
    """Increasing seeds as ranges, the last of each included."""
    found: list[list[int]] = []
    for seed in seeds:
        if found and seed == found[-1][1] + 1:
            found[-1][1] = seed
        else:
            found.append([seed, seed])
    return found


def starting_weights(model: Path, its_size: NetworkSize, size: NetworkSize) -> dict[str, torch.Tensor]:
    """Those of a model of `its_size`, its instrumental shared out where `size` has more stems, for a network of `size`."""
    weights = weights_of_onnx(model, its_size)
    if its_size.stems == PAIR and len(size.stems) > 2:
        weights = shared_out(weights, len(size.stems))
    same_stems = replace(its_size, stems=size.stems)
    return weights if same_stems == size else widened(weights, same_stems, size)


def main() -> int:
    parser = run_options(__doc__.splitlines()[0], batch=4, rate=2e-3)
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="lite")
    parser.add_argument("--crop", type=float, default=4.0, help="seconds")
    parser.add_argument("--start", type=Path, help="ONNX model whose weights the run begins with, of the same stems or two")
    parser.add_argument("--start-size", choices=SIZES, help="its size, where that is not the run's own: it is made wider")
    parser.add_argument("--clip", type=float, default=1.0, help="largest norm of the gradient")
    parser.add_argument("--muon", action="store_true", help="orthogonalised momentum inside the blocks")
    parser.add_argument("--long-from", type=float, default=0.9, help="share of the steps after which crops are long")
    parser.add_argument("--long", type=float, default=18.0, help="seconds of those crops")
    parser.add_argument("--mixed", action="store_true", help="bfloat16 arithmetic: faster where the CPU has units for it")
    parser.add_argument("--compiled", action="store_true", help="build the network with the inductor; needs a C++ compiler")
    parser.add_argument("--device", default="cpu", help="cuda where there is one; batches and --loaders then had better be larger")
    options, deadline = parsed(parser)
    size = SIZES[options.size]
    plan = Plan(
        seed=options.seed, steps=options.steps or 1, batch=options.batch, crop_seconds=options.crop, learning_rate=options.rate,
        long_from=options.long_from, long_seconds=options.long, clip=options.clip, muon=options.muon,
    )
    training = build(size, plan, options.songs, options.mixed, options.compiled, options.device)
    if options.start and not options.resume:
        training.begin_with(starting_weights(options.start, SIZES[options.start_size or options.size], size), options.start.name)
    carry_out(training, options, deadline)
    return 0


if __name__ == "__main__":
    sys.exit(main())
