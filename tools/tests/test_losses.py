"""The loss at closed forms, the transform against librosa, and consistency of the mixture."""

import librosa
import numpy as np
import torch

from tools.train.losses import BANDS, consistent, decibels_of_error, energy_by_band, masked, separation_loss
from tools.train.spectrum import forward_stft, from_contract, inverse_stft, mixture_consistency, to_contract

BINS = sum(BANDS)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def shares(*values: float, frames: int = 6) -> torch.Tensor:
    """Real masks of the same value everywhere, one per stem."""
    masks = torch.zeros(1, len(values), 2, 2, frames, BINS)
    for stem, value in enumerate(values):
        masks[:, stem, :, 0] = value
    return masks


def test_the_truth_reaches_the_floor_of_thirty_decibels():
    mix = torch.ones(1, 2, 2, 6, BINS)
    targets = torch.stack([0.25 * mix, 0.75 * mix], dim=1)
    # By the definition: -30 dB of the whole; of a band of w of 2049 bins its floor of 1e-5 / 30 of the mix comes on top.
    shares_of_bands = np.array(BANDS) / BINS
    bands = 10 * np.log10(1e-5 / 30 / (shares_of_bands + 1e-5 / 30) + 1e-3)
    expected = 0.5 * -30.0 + 0.5 * bands.mean()
    assert abs(float(separation_loss(shares(0.25, 0.75), targets, mix)) - expected) < 1e-3
    assert abs(expected + 30.0) < 0.1


def test_an_error_of_a_tenth_of_the_mix_is_minus_ten_decibels():
    values = torch.tensor(BANDS, dtype=torch.float32).reshape(1, 1, -1)
    found = decibels_of_error(0.1 * values, values, torch.full((1, 1), 1e-3), 24)
    assert abs(float(found) - 10 * np.log10(0.1 + 1e-3)) < 0.01


def test_the_loss_does_not_depend_on_the_level():
    mix = noise(1, 2, 2, 6, BINS)
    targets = torch.stack([0.25 * mix, 0.75 * mix], dim=1)
    masks = shares(0.5, 0.5)
    loud, quiet = separation_loss(masks, targets, mix), separation_loss(masks, 0.1 * targets, 0.1 * mix)
    assert abs(float(loud - quiet)) < 0.01


def test_energies_are_those_of_the_bands():
    spectrum = noise(2, 1, 2, 2, 3, BINS)
    found = energy_by_band(spectrum)
    assert found.shape == (2, 1, len(BANDS))
    assert torch.allclose(found[0, 0, 0], spectrum[0, 0, ..., : BANDS[0]].square().sum(), rtol=1e-4)
    assert torch.allclose(found.sum(dim=2), spectrum.square().sum(dim=(2, 3, 4, 5)), rtol=1e-4)


def test_a_silent_target_costs_what_leaks_into_it():
    mix = noise(1, 2, 2, 6, BINS)
    targets = torch.stack([torch.zeros_like(mix), mix], dim=1)
    losses = [float(separation_loss(shares(leak, 1 - leak), targets, mix)) for leak in (0.0, 0.1, 0.5)]
    assert losses == sorted(losses) and losses[0] < losses[1]


def test_a_quiet_stem_is_not_satisfied_with_silence():
    mix = noise(1, 2, 2, 6, BINS)
    quiet = 0.03  # 30 dB under the mix
    targets = torch.stack([quiet * mix, (1 - quiet) * mix], dim=1)
    silent, right = (float(separation_loss(shares(mask, 1 - mask), targets, mix)) for mask in (0.0, quiet))
    assert silent - right > 6


def test_with_many_stems_vocals_are_judged_against_all_others_together_too():
    mix = noise(1, 2, 2, 6, BINS)
    targets = torch.stack([0.2 * mix] * 5, dim=1)
    # Shares of the others that are wrong among themselves but right in their sum cost less than wrong vocals.
    among = separation_loss(shares(0.2, 0.3, 0.1, 0.3, 0.1), targets, mix)
    vocals = separation_loss(shares(0.3, 0.3, 0.1, 0.2, 0.1), targets, mix)
    assert among < vocals


def test_masks_and_consistency_in_real_arithmetic_agree_with_complex():
    mix = torch.complex(noise(1, 2, 4, BINS), noise(1, 2, 4, BINS, seed=1))
    masks = torch.complex(noise(1, 3, 2, 4, BINS, seed=2), noise(1, 3, 2, 4, BINS, seed=3))

    def real(x: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(x).movedim(-1, -3)

    expected = masks * mix.unsqueeze(1)
    found = masked(real(masks), real(mix))
    assert torch.allclose(found, real(expected), atol=1e-5)
    assert torch.allclose(consistent(found, real(mix)), real(mixture_consistency(expected, mix)), atol=1e-5)


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
