"""Trains a beat network on rendered features.

    python -m tools.train.beat --pieces tools/.work/beats --checkpoint tools/.work/beat-tcn.pt --minutes 40
    python -m tools.train.beat --pieces tools/.work/beats --checkpoint tools/.work/beat-causal.pt --causal --minutes 20
    python -m tools.train.beat --pieces tools/.work/beats --checkpoint tools/.work/beat-tcn.pt --resume

Pieces that appear in the folder while it runs are taken in, so rendering and training may overlap.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as functional

from tools.train.beat_examples import Batch, Examples
from tools.train.beat_features import FPS
from tools.train.beat_network import CAUSAL, OFFLINE, BeatNetwork, stream_weights
from tools.train.loop import Plan, Training, carry_out, parsed, run_options

RECIPE = "beats-2"
REFRESH_STEPS = 50
AT_BEATS = 12.0
"""Extra weight of the downbeats' frames at beats, where alone they are read: without it the head learned no more than that one beat
in four begins a bar."""
DOWNBEAT_WEIGHT = 3.0
"""Downbeats are four times as rare as beats, and so is what drives them."""
TEMPO_WEIGHT = 0.03
"""Brings the tempo's cross-entropy, which begins at ln 300, to the size of the other two."""


def beat_loss(network: BeatNetwork, batch: Batch) -> torch.Tensor:
    """Binary cross-entropies of beats and known downbeats, cross-entropy of known tempos."""
    weights = stream_weights(batch.beats.shape[1]).to(torch.bfloat16) if network.size.causal else None
    with torch.autocast("cpu", torch.bfloat16):
        beat, downbeat, tempo = network(batch.bands, weights)
    loss = functional.binary_cross_entropy_with_logits(beat.float(), batch.beats)
    surprises = functional.binary_cross_entropy_with_logits(downbeat.float(), batch.downbeats, reduction="none")
    bars = ((1 + AT_BEATS * batch.beats) * surprises).mean(dim=1)
    loss = loss + DOWNBEAT_WEIGHT * (bars * batch.bars).sum() / batch.bars.sum().clamp(min=1)
    surprise = -(batch.tempo * functional.log_softmax(tempo.float(), dim=1)).sum(dim=1)
    return loss + TEMPO_WEIGHT * surprise.mean()


def build(plan: Plan, pieces: Path, causal: bool, most: int | None, front_from: Path | None = None, start: Path | None = None) -> Training:
    """A run at its beginning; `front_from` gives the front's first weights (the two networks have the same, two frames apart), `start`
    those of the whole network, the averaged ones of a finished run."""
    torch.manual_seed(plan.seed)
    examples = Examples(pieces, plan.seed, causal, most)
    size = CAUSAL if causal else OFFLINE
    description = {"size": size.to_dict(), "recipe": RECIPE, "songs": len(examples.names)}

    def batch_of(step: int, count: int, seconds: float) -> Batch:
        if step % REFRESH_STEPS == 0:
            examples.refresh()
            description["songs"] = len(examples.names)
        return examples.batch(step, count, int(round(seconds * FPS)))

    network = BeatNetwork(size, crop=int(plan.crop_seconds * FPS))
    if front_from is not None:
        other = torch.load(front_from, map_location="cpu", weights_only=True)
        front = {name.removeprefix("front."): value for name, value in other["ema"].items() if name.startswith("front.")}
        network.front.load_state_dict(front)
        description["front_from_step"] = other["step"]
    training = Training(network, plan, batch_of, beat_loss, description)
    if start is not None:
        other = torch.load(start, map_location="cpu", weights_only=True)
        training.begin_with(other["ema"], f"{start.stem} of step {other['step']}, {other['audio_hours']:.1f} h")
    return training


def main() -> int:
    parser = run_options(__doc__.splitlines()[0], batch=4, rate=4e-3)
    parser.add_argument("--pieces", type=Path, required=True)
    parser.add_argument("--causal", action="store_true")
    parser.add_argument("--crop", type=float, default=16.0, help="seconds")
    parser.add_argument("--long", type=float, default=36.0, help="seconds of the crops of the last tenth, one at a time")
    parser.add_argument("--front-from", type=Path, help="checkpoint whose front to begin with")
    parser.add_argument("--start", type=Path, help="checkpoint of a finished run whose averaged weights to begin with")
    parser.add_argument("--most", type=int, help="pieces to use; all that are there if absent")
    options, deadline = parsed(parser)
    plan = Plan(
        seed=options.seed, steps=options.steps or 1, batch=options.batch, crop_seconds=options.crop, learning_rate=options.rate,
        long_seconds=options.long,
    )
    training = build(plan, options.pieces, options.causal, options.most, options.front_from, options.start)
    carry_out(training, options, deadline)
    return 0


if __name__ == "__main__":
    sys.exit(main())
