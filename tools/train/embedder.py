"""Trains the embedder by NT-Xent on pairs of clean and spoilt seconds.

    python -m tools.train.embedder --pieces tools/.work/beats --checkpoint tools/.work/embedder.pt --minutes 25
"""

import argparse
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as functional

from tools.train.embedder_examples import PairExamples, Pairs
from tools.train.embedder_network import Embedder
from tools.train.loop import Plan, Training, keep_memory

RECIPE = "embedder-1"
TEMPERATURE = 0.05
FEWEST_STEPS = 20
REFRESH_STEPS = 25
EXTENSION_STEPS = 120
"""Steps that a run which gets more time is at first given; then the measured pace decides."""


def nt_xent(clean: torch.Tensor, spoilt: torch.Tensor) -> torch.Tensor:
    """Normalised temperature-scaled cross-entropy over all 2N - 2 others (Chen et al., "SimCLR", 2020)."""
    vectors = functional.normalize(torch.cat([clean, spoilt]).float(), dim=1)
    likeness = vectors @ vectors.T / TEMPERATURE
    likeness = likeness.masked_fill(torch.eye(len(vectors), dtype=torch.bool), float("-inf"))
    count = len(clean)
    partner = torch.cat([torch.arange(count, 2 * count), torch.arange(count)])
    return functional.cross_entropy(likeness, partner)


def pair_loss(network: Embedder, pairs: Pairs) -> torch.Tensor:
    network.train()
    pictures = torch.cat([pairs.clean, pairs.spoilt]).to(memory_format=torch.channels_last)
    # Single precision: going back through depthwise convolutions in bfloat16 takes 1.7 times as long on a CPU.
    return nt_xent(*network(pictures).chunk(2))


def build(plan: Plan, pieces: Path, most: int | None) -> Training:
    """A run at its beginning."""
    torch.manual_seed(plan.seed)
    examples = PairExamples(pieces, plan.seed, most)
    description = {"size": {"parameters": sum(p.numel() for p in Embedder().parameters())}, "recipe": RECIPE, "songs": len(examples.clean)}

    def batch_of(step: int, count: int, _seconds: float) -> Pairs:
        if step % REFRESH_STEPS == 0:
            examples.refresh()
            description["songs"] = len(examples.clean)
        return examples.batch(step, count)

    torch.manual_seed(plan.seed)
    return Training(Embedder().to(memory_format=torch.channels_last), plan, batch_of, pair_loss, description)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pieces", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="time box; with --resume the time left for it")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64, help="pairs")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--most", type=int, help="pieces to use; all that are there if absent")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if options.minutes is None and options.steps is None and not options.resume:
        parser.error("give --minutes, --steps or --resume")
    keep_memory()
    torch.set_num_threads(options.threads)
    deadline = time.time() + 60 * options.minutes if options.minutes else None
    plan = Plan(
        seed=options.seed, steps=options.steps or 1, batch=options.batch, crop_seconds=1.0, learning_rate=options.rate, long_seconds=1.0
    )
    training = build(plan, options.pieces, options.most)
    training.stop_on_termination()
    if options.resume:
        training.restore(torch.load(options.checkpoint, map_location="cpu", weights_only=True))
        if deadline is not None:
            training.plan.steps = max(training.plan.steps, training.progress.step + EXTENSION_STEPS)
        print(f"resumed at step {training.progress.step} of {training.plan.steps}", flush=True)
    elif options.steps is None:
        begun = time.monotonic()
        training.loss_of(training.network, training.batch_of(0, *training.size_at(0))).backward()
        training.plan.steps = max(FEWEST_STEPS, int((deadline - time.time()) / (time.monotonic() - begun)))
        print(f"planned are {training.plan.steps} steps in {options.minutes} minutes", flush=True)
    options.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    boxed = deadline is not None and options.steps is None
    reason = training.run(None if boxed else training.plan.steps, options.checkpoint, deadline, lambda line: print(line, flush=True))
    print(f"stopped at step {training.progress.step}: {reason}; {training.progress.skipped} steps skipped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
