"""Measures against mir_eval, fast_bss_eval and closed forms; the pipeline's exactness; bad songs."""

import warnings

import fast_bss_eval
import numpy as np
import pytest
import soundfile

from tools.compare_separations import same_audio
from tools.evaluate_separation import BadSong, centre_mask, compare, ideal_ratio_mask, read_song, summarise
from tools.make_fixture_models import write as write_fixtures
from tools.separation_metrics import leakage, measure, si_sdr, usdr
from tools.separation_pipeline import SAMPLE_RATE, Pipeline, istft, stft

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from mir_eval.separation import bss_eval_images


def noise(seed: int, frames: int = 30000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, frames))


def test_ratios_at_a_known_signal_to_noise_ratio():
    target, error = noise(1), noise(2)
    error -= (error * target).sum() / (target**2).sum() * target
    error *= np.sqrt((target**2).sum() / (error**2).sum()) * 10 ** (-12 / 20)
    assert abs(usdr(target + error, target) - 12) < 1e-9
    assert abs(si_sdr(0.3 * (target + error), target) - 12) < 1e-9


@pytest.mark.filterwarnings("ignore")
def test_usdr_is_the_image_ratio_of_mir_eval():
    targets = np.stack([noise(1).T, noise(2).T])
    estimates = targets + 0.2 * np.stack([noise(3).T, noise(4).T])
    expected, *_ = bss_eval_images(targets, estimates, compute_permutation=False)
    for target, estimate, value in zip(targets, estimates, expected):
        assert abs(usdr(estimate.T, target.T) - value) < 1e-3


def test_si_sdr_is_that_of_fast_bss_eval():
    target, estimate = noise(1).reshape(1, -1), (noise(1) * 0.7 + 0.3 * noise(5)).reshape(1, -1)
    expected = fast_bss_eval.si_sdr(target, estimate, zero_mean=False)
    assert abs(si_sdr(estimate, target) - float(np.squeeze(expected))) < 1e-3


def test_silent_targets_and_lone_targets_are_measured_apart():
    mix = noise(1)
    assert set(measure(0.1 * mix, np.zeros_like(mix), mix)) == {"leakage"}
    assert abs(leakage(0.1 * mix, mix) + 20) < 1e-9
    assert set(measure(mix, mix, mix)) == {"solo_usdr"}


def test_the_transform_goes_there_and_back():
    audio = noise(3, 65536)
    assert np.abs(istft(stft(audio), 65536) - audio).max() < 1e-12


@pytest.mark.parametrize("seconds", [0.4, 18.0, 31.3])
def test_constant_masks_give_scaled_mixes_at_any_length(tmp_path, seconds):
    write_fixtures(tmp_path)
    mix = noise(4, int(seconds * SAMPLE_RATE)) * 0.1
    stems = Pipeline(tmp_path / "manifest.json", "mask-quarters").separate(mix)
    assert stems.shape == (2, *mix.shape)
    assert np.abs(stems.sum(axis=0) - mix).max() < 1e-12
    spectrum = np.abs(np.fft.rfft(stems[0] - 0.25 * mix))
    audible = np.fft.rfftfreq(mix.shape[1], 1 / SAMPLE_RATE) > 300
    assert spectrum[:, audible].max() < 1e-3 * np.abs(np.fft.rfft(mix)).max()


def test_the_bounds_order_as_they_must():
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    vocals = 0.1 * np.stack([np.sin(2 * np.pi * 440 * time)] * 2)
    other = 0.1 * np.stack([np.sin(2 * np.pi * 3000 * time), np.zeros_like(time)])
    mix = vocals + other
    ideal = ideal_ratio_mask({"vocals": vocals, "instrumental": other}, mix)["vocals"]
    centre = centre_mask(mix, ["vocals", "instrumental"])["vocals"]
    assert usdr(ideal, vocals) > 30 and usdr(centre, vocals) > usdr(mix, vocals) + 10


def test_songs_that_cannot_be_measured_say_why(tmp_path):
    soundfile.write(tmp_path / "vocals.wav", np.zeros((1000, 2)), 44100)
    soundfile.write(tmp_path / "drums.wav", np.zeros((900, 2)), 44100)
    with pytest.raises(BadSong, match="frames"):
        read_song(tmp_path, ["vocals", "instrumental"], "instrumental")
    soundfile.write(tmp_path / "drums.wav", np.full((1000, 2), 0.1), 44100)
    soundfile.write(tmp_path / "mix.wav", np.full((1000, 2), 0.3), 44100)
    with pytest.raises(BadSong, match="mix.wav"):
        read_song(tmp_path, ["vocals", "instrumental"], "instrumental")


def test_unknown_stems_are_summed_into_the_residual(tmp_path):
    for name, level in (("vocals", 0.1), ("drums", 0.2), ("bass", 0.3)):
        soundfile.write(tmp_path / f"{name}.wav", np.full((100, 2), level), 44100, subtype="FLOAT")
    targets = read_song(tmp_path, ["vocals", "instrumental"], "instrumental")
    assert np.allclose(targets["instrumental"], 0.5)


def test_summary_and_comparison():
    rows = {
        name: {"vocals": {f"song {i}": {"usdr": base + 0.1 * i} for i in range(10)}} for name, base in (("a", 3.0), ("b", 1.0))
    }
    assert summarise(rows)["a"]["vocals"]["usdr"]["median"] == pytest.approx(3.45)
    found = compare(rows["a"], rows["b"])["vocals"]
    assert found["p"] < 0.01 and found["songs"] == 10
    assert (found["first"], found["second"], found["median_difference"]) == (3.45, 1.45, 2.0)
    del rows["b"]["vocals"]["song 3"]
    assert compare(rows["a"], rows["b"])["vocals"]["songs"] == 9
    assert compare(rows["a"], rows["b"], "leakage") == {}


def test_reports_of_other_songs_are_not_compared():
    summary = {"mix": {"vocals": {"usdr": {"median": -4.113, "count": 25}}}}
    other = {"mix": {"vocals": {"usdr": {"median": -3.825, "count": 25}}}}
    assert same_audio(summary, summary) and not same_audio(summary, other) and not same_audio(summary, {"mix": {}})
