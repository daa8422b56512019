"""Training loop shared by the models: time box, cosine schedule, averaged weights, checkpoints that resume exactly."""

import argparse
import collections
import ctypes
import json
import os
import platform
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tools.train.muon import Muon

EMA_WINDOW = 1000
"""Most steps that the averaged weights look back over; a short run looks back over a thirtieth of its steps, since an average that
reaches into the time of high rates is worse than the last weights."""
WARM_UP_STEPS = 300
FINAL_RATE = 0.01
"""Last learning rate over the first."""
CHECKPOINT_SECONDS = 120.0
TIMED_STEPS = 5
FEWEST_STEPS = 20
EXTENSION_STEPS = 120
"""Steps that a run which gets more time is at first given; then the measured pace decides."""
REPORTED_STEPS = 20
SPARED_SECONDS = 20.0
"""Kept at the end of a time box for the last checkpoint."""
KEPT_MEMORY = 2**31 - 1
ORIGINS = ("started_from", "front_from_step")
"""What a checkpoint tells of the weights that its run began with."""


@dataclass
class Plan:
    """What a run does; written into its checkpoint, so that a resumed run goes on along the same schedule."""

    seed: int
    steps: int
    batch: int
    crop_seconds: float
    learning_rate: float = 2e-3
    long_from: float = 0.9
    """Share of the steps after which crops are long and batches 1."""
    long_seconds: float = 18.0
    clip: float = 1.0
    """Largest norm of the gradient; a longer one is scaled down."""
    muon: bool = False
    """Orthogonalised momentum for the matrices inside the network's blocks, AdamW for all others."""


@dataclass
class Progress:
    """Where a run stands."""

    step: int = 0
    audio_seconds: float = 0.0
    skipped: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)


def keep_memory() -> None:
    """Lets glibc keep freed memory: giving every large tensor back to the system made a step ten times slower."""
    if platform.libc_ver()[0] == "glibc":
        allocator = ctypes.CDLL("libc.so.6")
        m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
        allocator.mallopt(m_mmap_max, 0)
        allocator.mallopt(m_trim_threshold, KEPT_MEMORY)
        allocator.mallopt(m_top_pad, 1 << 28)


def learning_rate(plan: Plan, step: int) -> float:
    """Linear warm-up, then a cosine to a hundredth."""
    warm_up = min(WARM_UP_STEPS, max(1, plan.steps // 10))
    if step < warm_up:
        return plan.learning_rate * (step + 1) / warm_up
    part = min(1.0, (step - warm_up) / max(1, plan.steps - warm_up))
    return plan.learning_rate * float(FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + np.cos(np.pi * part)))


def optimizers_of(network: nn.Module, plan: Plan) -> list[torch.optim.Optimizer]:
    """AdamW, and where the plan wants it Muon for what is in `network.blocks` and has rows and columns."""
    inside, others = [], []
    for name, parameter in network.named_parameters():
        (inside if plan.muon and name.startswith("blocks.") and parameter.dim() >= 2 else others).append(parameter)
    adam = torch.optim.AdamW(others, lr=plan.learning_rate, betas=(0.9, 0.999), weight_decay=0.01, fused=True)
    return [adam, Muon(inside, lr=plan.learning_rate)] if inside else [adam]


class Training:
    """One run over a network. `loss_of(network, batch)` gives the scalar; `batch_of(step, size, seconds)` the examples."""

    def __init__(
        self, network: nn.Module, plan: Plan, batch_of: Callable[[int, int, float], torch.Tensor],
        loss_of: Callable[[nn.Module, torch.Tensor], torch.Tensor], description: dict,
    ):
        self.network, self.plan, self.batch_of, self.loss_of, self.description = network, plan, batch_of, loss_of, description
        self.ema = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.optimizers = optimizers_of(network, plan)
        self.progress = Progress()
        self.loaders = 1
        self.stop_requested = False
        self._in_a_row = 0

    def begin_with(self, state: dict[str, torch.Tensor], origin: str) -> None:
        """Takes over weights before the first step; `origin` is told in the checkpoint."""
        self.network.load_state_dict(state)
        self.ema = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.description = self.description | {"started_from": origin}

    def size_at(self, step: int) -> tuple[int, float]:
        """Batch size and crop length in seconds of a step."""
        if self.plan.long_seconds > self.plan.crop_seconds and step >= self.plan.long_from * self.plan.steps:
            return 1, self.plan.long_seconds
        return self.plan.batch, self.plan.crop_seconds

    def step(self, batch: torch.Tensor) -> float:
        """One optimiser step; a loss that is not finite is skipped, three in a row raise `FloatingPointError`."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(self.plan, self.progress.step)
            optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(self.network, batch)
        value = float(loss.detach())
        if np.isfinite(value):
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.clip)
            value = value if torch.isfinite(norm) else float("nan")
        if np.isfinite(value):
            self._in_a_row = 0
            for optimizer in self.optimizers:
                optimizer.step()
            self._average()
        else:
            self.progress.skipped += 1
            self._in_a_row += 1
            if self._in_a_row == 3:
                raise FloatingPointError(f"the loss was not finite three times in a row at step {self.progress.step}")
        self.progress.step += 1
        self.progress.audio_seconds += batch.shape[0] * batch.shape[-1] / 44100
        return value

    def _average(self) -> None:
        window = min(EMA_WINDOW, max(10, self.plan.steps // 30))
        decay = min(1 - 1 / window, (1 + self.progress.step) / (10 + self.progress.step))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.ema[name].lerp_(value, 1 - decay)

    def _fit_to(self, deadline: float, seconds_per_step: float) -> None:
        """Moves the end of the schedule to where the measured pace reaches the deadline, so that the rate has fallen by then."""
        remaining = max(0.0, deadline - time.time() - SPARED_SECONDS)
        self.plan.steps = self.progress.step + max(1, int(remaining / seconds_per_step))

    def run(self, until: int | None, checkpoint: Path | None, deadline: float | None, log: Callable[[str], None]) -> str:
        """Steps to `until`, or (None) along the plan, whose end then follows the measured pace to the deadline.

        Gives why it stopped: "finished", "deadline" or "asked". The last state is written in each case.
        """
        begun = saved = reported = time.monotonic()
        first, recent = self.progress.step, []
        reason = "finished"
        with ThreadPoolExecutor(self.loaders) as loader:
            following = collections.deque()
            while self.progress.step < (self.plan.steps if until is None else until):
                # One batch more than is made at a time, so that no loader waits while a step is taken.
                while len(following) <= self.loaders:
                    ahead = self.progress.step + len(following)
                    following.append(loader.submit(self.batch_of, ahead, *self.size_at(ahead)))
                recent.append(self.step(following.popleft().result()))
                now = time.monotonic()
                if len(recent) == REPORTED_STEPS or self.progress.step == until:
                    mean = float(np.nanmean(recent))
                    self.progress.losses.append((self.progress.step, round(mean, 5)))
                    log(
                        f"step {self.progress.step}/{self.plan.steps} loss {mean:.4f} lr {learning_rate(self.plan, self.progress.step):.1e}"
                        f" {len(recent) / (now - reported):.2f} steps/s {self.progress.audio_seconds / 3600:.2f} h"
                    )
                    if until is None and deadline is not None:
                        overall = (now - begun) / (self.progress.step - first)
                        self._fit_to(deadline, 0.5 * overall + 0.5 * (now - reported) / len(recent))
                    recent, reported = [], now
                if checkpoint and now - saved > CHECKPOINT_SECONDS:
                    self.save(checkpoint)
                    saved = now
                if deadline is not None and time.time() >= deadline:
                    reason = "deadline"
                    break
                if self.stop_requested:
                    reason = "asked"
                    break
            for batch in following:
                batch.cancel()
        if checkpoint:
            self.save(checkpoint)
        return reason

    def save(self, path: Path) -> None:
        """Writes everything a resumed run needs, under a temporary name, then renames."""
        state = self.description | {
            "network": self.network.state_dict(), "ema": self.ema, "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "plan": asdict(self.plan), "progress": asdict(self.progress), "random": torch.get_rng_state(),
            "step": self.progress.step, "audio_hours": self.progress.audio_seconds / 3600, "seed": self.plan.seed,
            "versions": {"torch": str(torch.__version__), "numpy": np.__version__, "python": platform.python_version()},
        }
        temporary = path.with_suffix(".part")
        torch.save(state, temporary)
        os.replace(temporary, path)
        curve = {"plan": asdict(self.plan), "step": self.progress.step, "losses": self.progress.losses}
        path.with_suffix(".json").write_text(json.dumps(curve) + "\n")

    def restore(self, state: dict) -> None:
        """Takes up a saved run."""
        self.network.load_state_dict(state["network"])
        self.ema = {name: value.to(self.ema[name].device) for name, value in state["ema"].items()}
        self.description = self.description | {key: state[key] for key in ORIGINS if key in state}
        self.plan = Plan(**state["plan"])
        self.optimizers = optimizers_of(self.network, self.plan)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        progress = dict(state["progress"])
        progress["losses"] = [tuple(row) for row in progress["losses"]]
        self.progress = Progress(**progress)
        torch.set_rng_state(state["random"])

    def stop_on_termination(self) -> None:
        """SIGTERM and SIGINT end the run after the current step, with a checkpoint."""

        def ask(_number, _frame):
            self.stop_requested = True

        signal.signal(signal.SIGTERM, ask)
        signal.signal(signal.SIGINT, ask)


def time_steps(training: Training, trial_batch: torch.Tensor) -> float:
    """Seconds of one step on a throw-away copy of the state, median of 5."""
    state = {name: value.clone() for name, value in training.network.state_dict().items()}
    seconds = []
    for _ in range(TIMED_STEPS):
        begun = time.monotonic()
        loss = training.loss_of(training.network, trial_batch)
        loss.backward()
        seconds.append(time.monotonic() - begun)
    training.network.zero_grad(set_to_none=True)
    training.network.load_state_dict(state)
    return float(np.median(seconds))


def run_options(description: str, batch: int, rate: float) -> argparse.ArgumentParser:
    """A parser of the options that every training has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="time box; with --resume the time left for it")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rate", type=float, default=rate, help="highest learning rate")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--loaders", type=int, default=1, help="threads that make batches")
    parser.add_argument("--resume", action="store_true", help="go on where the checkpoint stands")
    return parser


def parsed(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, float | None]:
    """The options, and when the time box ends; the threads and the memory of the process are set."""
    options = parser.parse_args()
    if options.minutes is None and options.steps is None and not options.resume:
        parser.error("give --minutes, --steps or --resume")
    keep_memory()
    torch.set_num_threads(options.threads)
    return options, time.time() + 60 * options.minutes if options.minutes else None


def carry_out(training: Training, options: argparse.Namespace, deadline: float | None) -> None:
    """Runs as the options say, from the beginning or from the checkpoint, and says how it ended."""
    training.stop_on_termination()
    training.loaders = options.loaders
    if options.resume:
        training.restore(torch.load(options.checkpoint, map_location="cpu", weights_only=True))
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
