"""The loss at closed forms, the transform against librosa, and consistency of the mixture."""

import librosa
import numpy as np
import torch

from tools.train.losses import leakage, separation_loss, spectral_l1
from tools.train.spectrum import forward_stft, from_contract, inverse_stft, mixture_consistency, to_contract


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def test_the_loss_of_the_truth_is_zero():
    targets = noise(2, 2, 2, 65536)
    assert float(separation_loss(targets, targets, targets.sum(dim=1))) == 0.0


def test_the_spectral_loss_scales_with_the_error():
    error = noise(1, 1, 2, 65536)
    assert np.isclose(float(spectral_l1(2 * error)), 2 * float(spectral_l1(error)), rtol=1e-5)


def test_the_spectral_loss_of_unit_noise_is_the_mean_of_a_half_normal():
    value = float(spectral_l1(noise(1, 1, 2, 262144)))
    assert abs(value - np.sqrt(1 / np.pi)) < 0.01


def test_leakage_is_zero_at_silence_and_one_when_the_whole_mix_leaks():
    mix = noise(1, 2, 44100)
    assert float(leakage(torch.zeros(1, 1, 2, 44100), mix)) == 0.0
    assert abs(float(leakage(mix.unsqueeze(1), mix)) - 1.0) < 1e-4


def test_a_silent_target_costs_what_leaks_into_it():
    mix = noise(1, 2, 65536)
    targets = torch.stack([torch.zeros_like(mix), mix], dim=1)
    small = torch.stack([0.1 * mix, 0.9 * mix], dim=1)
    large = torch.stack([0.5 * mix, 0.5 * mix], dim=1)
    assert separation_loss(small, targets, mix) < separation_loss(large, targets, mix)


def test_the_transform_agrees_with_librosa():
    audio = noise(1, 16384)
    expected = librosa.stft(audio[0].numpy(), n_fft=4096, hop_length=1024, center=True, pad_mode="reflect").T / np.sqrt(1536)
    found = forward_stft(audio)[0].numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_transform_is_undone_and_unit_noise_has_unit_energy():
    audio = noise(2, 131072)
    spectrum = forward_stft(audio)
    assert torch.abs(inverse_stft(spectrum, 131072) - audio).max() < 1e-5
    assert abs(float(spectrum.abs().square().mean()) - 1.0) < 0.01


def test_contract_layout_goes_there_and_back():
    spectrum = torch.complex(noise(1, 2, 5, 7), noise(1, 2, 5, 7, seed=1))
    tensor = to_contract(spectrum)
    assert tensor.shape == (1, 4, 5, 7)
    assert torch.equal(tensor[0, 1], spectrum[0, 0].imag) and torch.equal(tensor[0, 2], spectrum[0, 1].real)
    assert torch.equal(from_contract(tensor, 1)[:, 0], spectrum)


def test_consistent_stems_sum_to_the_mix():
    stems = torch.complex(noise(1, 3, 2, 4, 9), noise(1, 3, 2, 4, 9, seed=2))
    mix = torch.complex(noise(1, 2, 4, 9, seed=3), noise(1, 2, 4, 9, seed=4))
    assert torch.abs(mixture_consistency(stems, mix).sum(dim=1) - mix).max() < 1e-5
