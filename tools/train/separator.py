"""Trains the separator on rendered songs.

    python -m tools.train.separator --songs tools/.work/train --checkpoint tools/.work/lite.pt --minutes 60
    python -m tools.train.separator --songs tools/.work/train --checkpoint tools/.work/lite.pt --resume

`--minutes` times 20 steps, plans as many as fit, lets the plan's end follow the measured pace, and ends in time with usable averaged
weights in any case; `--steps` repeats a run exactly.
"""

import argparse
import hashlib
import sys
import time
from pathlib import Path

import torch
from torch import nn

from tools.corpus.mix import load_recipe
from tools.train.augment import Examples, open_songs, whole_hops
from tools.train.loop import Plan, Training, keep_memory, time_steps
from tools.train.losses import separation_loss
from tools.train.network import LITE, STANDARD, BandSplitLocoformer, NetworkSize
from tools.train.spectrum import forward_stft, from_contract, inverse_stft, mixture_consistency, to_contract

SIZES = {"lite": LITE, "standard": STANDARD}
FEWEST_STEPS = 20


def separate(network: nn.Module, mix: torch.Tensor, stems: int) -> torch.Tensor:
    """Mix [batch, 2, samples] of about unit deviation to stems [batch, stems, 2, samples] through masks and consistency."""
    spectrum = forward_stft(mix)
    masks = from_contract(network(to_contract(spectrum)), stems)
    estimates = mixture_consistency(masks * spectrum.unsqueeze(1), spectrum)
    return inverse_stft(estimates, mix.shape[-1])


def loss_of(network: BandSplitLocoformer, targets: torch.Tensor) -> torch.Tensor:
    mix = targets.sum(dim=1)
    return separation_loss(separate(network, mix, targets.shape[1]), targets, mix)


def build(size: NetworkSize, plan: Plan, songs: Path) -> Training:
    """A run at its beginning."""
    torch.manual_seed(plan.seed)
    examples = Examples(open_songs(songs), size.stems, plan.seed)
    recipe = load_recipe()["name"]
    names = "\n".join(song.path.stem for song in examples.songs)
    description = {
        "size": size.to_dict(), "recipe": recipe, "songs": len(examples.songs),
        "song_digest": hashlib.sha256(names.encode()).hexdigest(),
    }

    def batch_of(step: int, count: int, seconds: float) -> torch.Tensor:
        return examples.batch(step, count, whole_hops(seconds))

    return Training(BandSplitLocoformer(size), plan, batch_of, loss_of, description)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="lite")
    parser.add_argument("--minutes", type=float, help="time box; with --resume the time left for it")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", type=float, default=4.0, help="seconds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if options.minutes is None and options.steps is None and not options.resume:
        parser.error("give --minutes, --steps or --resume")
    keep_memory()
    torch.set_num_threads(options.threads)
    begun = time.time()
    deadline = begun + 60 * options.minutes if options.minutes else None
    size = SIZES[options.size]
    plan = Plan(seed=options.seed, steps=options.steps or 1, batch=options.batch, crop_seconds=options.crop)
    training = build(size, plan, options.songs)
    training.stop_on_termination()
    if options.resume:
        state = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
        training.restore(state)
        print(f"resumed at step {training.progress.step} of {training.plan.steps}", flush=True)
    elif options.steps is None:
        seconds = time_steps(training, training.batch_of(0, *training.size_at(0)))
        training.plan.steps = max(FEWEST_STEPS, int((deadline - time.time()) / seconds))
        print(f"a step takes {seconds:.2f} s: {training.plan.steps} steps in {options.minutes} minutes", flush=True)
    options.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    boxed = deadline is not None and options.steps is None
    reason = training.run(None if boxed else training.plan.steps, options.checkpoint, deadline, lambda line: print(line, flush=True))
    print(f"stopped at step {training.progress.step}: {reason}; {training.progress.skipped} steps skipped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
