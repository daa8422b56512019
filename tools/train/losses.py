"""The separator's loss: decibels of error per stem, over the whole spectrum and band by band.

A sum of |error| treats a crop by its loudness, so that loud crops and low bands decided everything, and its optimum under doubt is
the median, which for a sparse source is silence: estimates were timid. The logarithm of the error's energy is the measure that
separation is judged by, and weighs a quiet stem like a loud one. A floor stands for "good enough": 30 dB under the mix, and for a
quiet stem 15 dB under the stem itself, since otherwise silence was good enough for effects, which lie some 25 dB under the mix. It
makes silent targets an ordinary case: there the error is what leaks. After the thresholded ratio of Wisdom et al., "Unsupervised
sound separation using mixture invariant training" (2020), section 3.3.
"""

import torch

from tools.train.network import BANDS

FLOOR = 1e-3
"""Of the mix's energy: error below it costs nothing more."""
STEM_FLOOR, LEAST_FLOOR = 0.03, 1e-5
"""Of a sounding stem's energy, where that is less; and never under this share of the mix's."""
ABSOLUTE_FLOOR = 1e-7
"""Per value of a spectrum of unit noise, for bands in which the mix is silent."""
QUIET_BAND = 1e-5
"""Of the mix's energy, shared by the bands: a band far below the others matters as little as it is heard."""
SILENT_SHARE = 1e-5
"""A target under this share of the mix's energy is silent."""
SILENT_WEIGHT = 0.4
"""What leaks into a silent stem counts less than the quality of one that sounds."""
BAND_WEIGHT = 0.5
GROUPED_WEIGHT = 1.0
"""Of vocals against everything else, beside the mean over the stems."""
CONSISTENCY_FLOOR = 1e-8

# All spectra here are real: [batch, stems, channel, part, frames, bins] with part 0 the real and 1 the imaginary one.


def masked(masks: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """Complex product of masks [batch, stems, 2, 2, frames, bins] and a mix [batch, 2, 2, frames, bins]."""
    real, imaginary = masks[:, :, :, 0], masks[:, :, :, 1]
    x, y = mix[:, None, :, 0], mix[:, None, :, 1]
    return torch.stack([real * x - imaginary * y, real * y + imaginary * x], dim=3)


def consistent(stems: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """`spectrum.mixture_consistency` in real arithmetic, which the inductor can fuse."""
    energy = stems.detach().square().sum(dim=3, keepdim=True) + CONSISTENCY_FLOOR
    weights = energy / energy.sum(dim=1, keepdim=True)
    return stems + weights * (mix.unsqueeze(1) - stems.sum(dim=1, keepdim=True))


def energy_by_band(spectrum: torch.Tensor) -> torch.Tensor:
    """Energies [batch, stems, 30] over channels and frames."""
    energy = spectrum.square().sum(dim=(2, 3, 4))
    return torch.stack([part.sum(dim=2) for part in energy.split(BANDS, dim=2)], dim=2)


def decibels_of_error(error: torch.Tensor, mixed: torch.Tensor, floor: torch.Tensor, values: int) -> torch.Tensor:
    """10 log10 of the error over the mix, floored: mean of the whole and of the bands; [batch, stems].

    error [batch, stems, 30] and mixed [batch, 1, 30] are energies of bands, floor [batch, stems] shares of the mix's, `values` the
    number of values per bin.
    """
    silence = ABSOLUTE_FLOOR * values * torch.tensor(BANDS, dtype=mixed.dtype, device=mixed.device)
    total = mixed.sum(dim=2) + silence.sum()
    whole = 10 * torch.log10(error.sum(dim=2) / total + floor)
    quiet = silence + QUIET_BAND / len(BANDS) * total.unsqueeze(2)
    bands = 10 * torch.log10((error + quiet) / (mixed + quiet) + floor.unsqueeze(2))
    return (1 - BAND_WEIGHT) * whole + BAND_WEIGHT * bands.mean(dim=2)


def separation_loss(masks: torch.Tensor, targets: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """Loss in decibels of masks [batch, stems, 2, 2, frames, bins] against targets of that shape; mix [batch, 2, 2, frames, bins].

    The mix is of about unit deviation, stem 0 the vocals. With more than two stems the same masks, those of the other stems summed,
    are judged as a two-stem model as well.
    """
    estimates = masked(masks, mix)
    values = mix.shape[1] * mix.shape[2] * mix.shape[3]
    mixed = energy_by_band(mix.unsqueeze(1))
    shares = energy_by_band(targets).sum(dim=2) / (mixed.sum(dim=2) + ABSOLUTE_FLOOR)
    sounding = shares >= SILENT_SHARE
    weights = torch.where(sounding, 1.0, SILENT_WEIGHT)
    floor = torch.where(sounding, (STEM_FLOOR * shares).clamp(LEAST_FLOOR, FLOOR), FLOOR)
    decibels = decibels_of_error(energy_by_band(consistent(estimates, mix) - targets), mixed, floor, values)
    loss = (weights * decibels).mean()
    if masks.shape[1] > 2:
        pair = torch.stack([estimates[:, 0], estimates[:, 1:].sum(dim=1)], dim=1)
        error = energy_by_band(consistent(pair, mix)[:, :1] - targets[:, :1])
        grouped = (weights[:, :1] * decibels_of_error(error, mixed, floor[:, :1], values)).mean()
        loss = (loss + GROUPED_WEIGHT * grouped) / (1 + GROUPED_WEIGHT)
    return loss
