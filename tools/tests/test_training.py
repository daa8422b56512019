"""The loop on a toy: repeats, resumes as if unbroken, stops when asked, and skips what is not finite."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from tools.train.augment import Examples, Song, stem_groups
from tools.train.loop import Plan, Training, learning_rate
from tools.train.separator import ranges


def toy(seed: int = 1, steps: int = 40, spoil: tuple[int, ...] = ()) -> Training:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 8))

    def batch_of(step: int, count: int, seconds: float) -> torch.Tensor:
        values = np.random.default_rng([seed, step]).standard_normal((count, 8)).astype(np.float32)
        return torch.from_numpy(values * (np.nan if step in spoil else 1))

    def loss_of(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        return (network(batch) - batch.flip(1)).abs().mean()

    return Training(network, Plan(seed, steps, 4, 1.0), batch_of, loss_of, {"size": {}})


def ignore(_line: str) -> None:
    pass


def test_the_same_seed_gives_the_same_weights():
    first, second = toy(), toy()
    first.run(40, None, None, ignore)
    second.run(40, None, None, ignore)
    for name, value in first.ema.items():
        assert torch.equal(value, second.ema[name])


def test_a_resumed_run_equals_an_unbroken_one(tmp_path):
    whole = toy()
    whole.run(40, None, None, ignore)
    half = toy()
    half.run(20, tmp_path / "half.pt", None, ignore)
    resumed = toy(seed=1)
    resumed.restore(torch.load(tmp_path / "half.pt", weights_only=True))
    assert resumed.progress.step == 20
    resumed.run(40, None, None, ignore)
    for name, value in whole.ema.items():
        assert torch.equal(value, resumed.ema[name])
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name])


def test_a_resumed_run_keeps_its_plan_its_optimisers_and_where_it_began(tmp_path):
    first = toy()
    first.begin_with(toy(seed=2).network.state_dict(), "other.onnx")
    first.plan.learning_rate = 1e-4
    first.run(3, tmp_path / "begun.pt", None, ignore)
    resumed = toy()
    resumed.restore(torch.load(tmp_path / "begun.pt", weights_only=True))
    resumed.run(4, tmp_path / "begun.pt", None, ignore)
    state = torch.load(tmp_path / "begun.pt", weights_only=True)
    assert (state["started_from"], state["plan"]["learning_rate"], state["step"]) == ("other.onnx", 1e-4, 4)


def test_a_loss_that_is_not_finite_is_skipped_and_three_in_a_row_stop_the_run():
    training = toy(spoil=(3, 4, 9))
    training.run(12, None, None, ignore)
    assert training.progress.skipped == 3
    assert all(torch.isfinite(value).all() for value in training.ema.values())
    with pytest.raises(FloatingPointError, match="three times"):
        toy(spoil=(3, 4, 5)).run(12, None, None, ignore)


def test_a_time_box_ends_with_a_checkpoint_and_its_schedule_fits_the_pace(tmp_path):
    training = toy(steps=10**6)
    reason = training.run(None, tmp_path / "box.pt", time.time() + 0.5, ignore)
    assert reason == "deadline" or training.progress.step >= training.plan.steps
    assert training.plan.steps < 10**6
    assert (tmp_path / "box.pt").exists()


def test_a_request_to_stop_writes_a_checkpoint(tmp_path):
    training = toy()
    training.stop_requested = True
    assert training.run(40, tmp_path / "asked.pt", None, ignore) == "asked"
    assert torch.load(tmp_path / "asked.pt", weights_only=True)["step"] == 1


def test_the_rate_warms_up_and_falls_to_a_hundredth():
    plan = Plan(1, 2000, 4, 4.0)
    rates = [learning_rate(plan, step) for step in range(2000)]
    assert np.argmax(rates) in (199, 200) and abs(max(rates) - 2e-3) < 1e-5
    assert abs(rates[-1] - 2e-5) < 1e-6


def song(seed: int) -> Song:
    audio = (np.random.default_rng(seed).standard_normal((5, 2, 44100)) * 3000).astype(np.int16)
    return Song(None, 1e-4, audio)


def test_an_example_depends_on_seed_and_index_alone():
    songs = [song(i) for i in range(3)]
    stems = ("vocals", "instrumental")
    first, second = Examples(songs, stems, 7), Examples(songs, stems, 7)
    second.item(0, 16384)
    assert np.array_equal(first.item(5, 16384), second.item(5, 16384))
    assert not np.array_equal(first.item(5, 16384), Examples(songs, stems, 8).item(5, 16384))


def test_what_a_model_does_not_name_is_its_instrumental():
    assert stem_groups(("vocals", "instrumental")) == [[0], [1, 2, 3, 4]]
    assert stem_groups(("vocals", "drums", "bass", "instruments", "fx")) == [[0], [1], [2], [3], [4]]


def test_several_loaders_change_nothing():
    alone, together = toy(), toy()
    together.loaders = 3
    alone.run(40, None, None, ignore)
    together.run(40, None, None, ignore)
    for name, value in alone.ema.items():
        assert torch.equal(value, together.ema[name])


def test_a_record_names_the_songs_by_ranges_of_seeds():
    assert ranges([3, 4, 5, 9, 11, 12]) == [[3, 5], [9, 9], [11, 12]]
    assert ranges([]) == []
