"""Measures of separation for stereo stems float64 [2, frames]; both channels count as one signal."""

import numpy as np

SILENT_DBFS = -60.0
FLOOR = 1e-20


def is_silent(target: np.ndarray) -> bool:
    """Whether a true stem is silent (RMS under -60 dBFS), so that ratios to it mean nothing."""
    return float(np.sqrt(np.mean(np.square(target)))) < 10 ** (SILENT_DBFS / 20)


def usdr(estimate: np.ndarray, target: np.ndarray) -> float:
    """10 log10(sum s^2 / sum (s - e)^2) in dB: the whole error counts, a wrong gain too (Mitsufuji et al., MDX 2021)."""
    error = np.square(target - estimate).sum()
    return float(10 * np.log10((np.square(target).sum() + FLOOR) / (error + FLOOR)))


def si_sdr(estimate: np.ndarray, target: np.ndarray) -> float:
    """Scale-invariant ratio in dB: 10 log10(|a s|^2 / |e - a s|^2), a = <e,s>/<s,s> (Le Roux et al., "SDR - half-baked or well done?")."""
    scale = (estimate * target).sum() / (np.square(target).sum() + FLOOR)
    scaled = scale * target
    return float(10 * np.log10((np.square(scaled).sum() + FLOOR) / (np.square(estimate - scaled).sum() + FLOOR)))


def leakage(estimate: np.ndarray, mix: np.ndarray) -> float:
    """10 log10(sum e^2 / sum x^2) in dB: how much of the mix comes out of a stem that is silent in truth."""
    return float(10 * np.log10((np.square(estimate).sum() + FLOOR) / (np.square(mix).sum() + FLOOR)))


def measure(estimate: np.ndarray, target: np.ndarray, mix: np.ndarray) -> dict[str, float]:
    """The measures of one stem: `leakage` alone for a silent target, `solo_usdr` alone where nothing else sounds (an improvement
    over a mix that is the target itself means nothing), else `usdr`, `si_sdr` and `si_sdri`."""
    if is_silent(target):
        return {"leakage": leakage(estimate, mix)}
    if is_silent(mix - target):
        return {"solo_usdr": usdr(estimate, target)}
    own = si_sdr(estimate, target)
    return {"usdr": usdr(estimate, target), "si_sdr": own, "si_sdri": own - si_sdr(mix, target)}


def quartiles(values: list[float]) -> dict[str, float | int]:
    """Median, quartiles and count."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return {"median": round(float(middle), 3), "lower": round(float(low), 3), "upper": round(float(high), 3), "count": len(values)}
