"""Trains a beat network on rendered features.

    python -m tools.train.beat --pieces tools/.work/beats --checkpoint tools/.work/beat-tcn.pt --minutes 40
    python -m tools.train.beat --pieces tools/.work/beats --checkpoint tools/.work/beat-causal.pt --causal --minutes 20
    python -m tools.train.beat --pieces tools/.work/beats --checkpoint tools/.work/beat-tcn.pt --resume

Pieces that appear in the folder while it runs are taken in, so rendering and training may overlap.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as functional

from tools.train.beat_examples import Batch, Examples
from tools.train.beat_features import FPS
from tools.train.beat_network import CAUSAL, OFFLINE, BeatNetwork, stream_weights
from tools.train.loop import Plan, Training, keep_memory, time_steps

RECIPE = "beats-1"
FEWEST_STEPS = 20
REFRESH_STEPS = 50
EXTENSION_STEPS = 120
"""Steps that a run which gets more time is at first given; then the measured pace decides."""
TEMPO_WEIGHT = 0.03
"""Brings the tempo's cross-entropy, which begins at ln 300, to the size of the other two."""


def beat_loss(network: BeatNetwork, batch: Batch) -> torch.Tensor:
    """Binary cross-entropies of beats and known downbeats, cross-entropy of known tempos."""
    weights = stream_weights(batch.beats.shape[1]).to(torch.bfloat16) if network.size.causal else None
    with torch.autocast("cpu", torch.bfloat16):
        beat, downbeat, tempo = network(batch.bands, weights)
    loss = functional.binary_cross_entropy_with_logits(beat.float(), batch.beats)
    bars = functional.binary_cross_entropy_with_logits(downbeat.float(), batch.downbeats, reduction="none").mean(dim=1)
    loss = loss + (bars * batch.bars).sum() / batch.bars.sum().clamp(min=1)
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pieces", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--causal", action="store_true")
    parser.add_argument("--minutes", type=float, help="time box; with --resume the time left for it")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", type=float, default=16.0, help="seconds")
    parser.add_argument("--long", type=float, default=36.0, help="seconds of the crops of the last tenth, one at a time")
    parser.add_argument("--rate", type=float, default=4e-3, help="highest learning rate")
    parser.add_argument("--front-from", type=Path, help="checkpoint whose front to begin with")
    parser.add_argument("--start", type=Path, help="checkpoint of a finished run whose averaged weights to begin with")
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
        seed=options.seed, steps=options.steps or 1, batch=options.batch, crop_seconds=options.crop, learning_rate=options.rate,
        long_seconds=options.long,
    )
    training = build(plan, options.pieces, options.causal, options.most, options.front_from, options.start)
    training.stop_on_termination()
    if options.resume:
        state = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
        training.restore(state)
        training.description |= {key: state[key] for key in ("front_from_step",) if key in state}
        if deadline is not None:
            training.plan.steps = max(training.plan.steps, training.progress.step + EXTENSION_STEPS)
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
