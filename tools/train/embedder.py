"""Trains the embedder by NT-Xent on pairs of clean and spoilt seconds.

    python -m tools.train.embedder --pieces tools/.work/beats --checkpoint tools/.work/embedder.pt --minutes 25
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as functional

from tools.train.embedder_examples import PairExamples, Pairs
from tools.train.embedder_network import Embedder
from tools.train.loop import Plan, Training, carry_out, parsed, run_options

RECIPE = "embedder-1"
TEMPERATURE = 0.05
REFRESH_STEPS = 25


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
    parser = run_options(__doc__.splitlines()[0], batch=64, rate=2e-3)
    parser.add_argument("--pieces", type=Path, required=True)
    parser.add_argument("--most", type=int, help="pieces to use; all that are there if absent")
    options, deadline = parsed(parser)
    plan = Plan(
        seed=options.seed, steps=options.steps or 1, batch=options.batch, crop_seconds=1.0, learning_rate=options.rate, long_seconds=1.0
    )
    carry_out(build(plan, options.pieces, options.most), options, deadline)
    return 0


if __name__ == "__main__":
    sys.exit(main())
