"""Effects on float32 [2, frames] at 44.1 kHz: equaliser, compressor, saturation, reverb, delay, chorus, pan, limiter."""

import numpy as np
from scipy import signal

SAMPLE_RATE = 44100


def equalise(audio: np.ndarray, tilt_db: float, bells: list[tuple[float, float, float]]) -> np.ndarray:
    """Zero-phase tilt about 1 kHz (dB from 100 Hz to 10 kHz) and bells (hertz, dB, width in octaves)."""
    padded = int(2 ** np.ceil(np.log2(audio.shape[1] + 1)))
    frequencies = np.fft.rfftfreq(padded, 1 / SAMPLE_RATE)
    octaves = np.log2(np.maximum(frequencies, 20.0) / 1000.0)
    decibels = tilt_db * np.clip(octaves / np.log2(100.0), -0.6, 0.6)
    for centre, gain, width in bells:
        decibels += gain * np.exp(-0.5 * ((octaves - np.log2(centre / 1000.0)) / width) ** 2)
    spectrum = np.fft.rfft(audio, padded) * 10 ** (decibels / 20)
    return np.fft.irfft(spectrum, padded)[:, : audio.shape[1]].astype(np.float32)


def envelope(audio: np.ndarray, block: int = 64) -> np.ndarray:
    """Peak of both channels per block."""
    blocks = -(-audio.shape[1] // block)
    padded = np.zeros((2, blocks * block), np.float32)
    padded[:, : audio.shape[1]] = audio
    return np.abs(padded).reshape(2, blocks, block).max(axis=(0, 2))


def _smooth(level: np.ndarray, release: float, block: int = 64) -> np.ndarray:
    """Instant attack, exponential release in seconds."""
    keep = float(np.exp(-block / (release * SAMPLE_RATE)))
    out = np.empty_like(level)
    held = 0.0
    for index, value in enumerate(level):
        held = value if value > held else value + (held - value) * keep
        out[index] = held
    return out


def gain_curve(audio: np.ndarray, threshold: float, ratio: float, release: float, block: int = 64) -> np.ndarray:
    """Gain per frame that compresses what exceeds `threshold` (linear) by `ratio`."""
    level = np.maximum(_smooth(envelope(audio, block), release, block), 1e-9)
    gain = np.minimum(1.0, (threshold / level) ** (1.0 - 1.0 / ratio))
    ahead = np.minimum(gain, np.append(gain[1:], gain[-1]))
    places = np.arange(len(ahead)) * block
    return np.interp(np.arange(audio.shape[1]), places, ahead).astype(np.float32)


def compress(audio: np.ndarray, threshold: float, ratio: float, release: float) -> np.ndarray:
    return audio * gain_curve(audio, threshold, ratio, release)


def saturate(audio: np.ndarray, drive: float) -> np.ndarray:
    """Hyperbolic tangent with unit slope at 0; `drive` 1..20."""
    return np.tanh(audio * drive).astype(np.float32) / drive ** 0.6


def reverberate(audio: np.ndarray, rng: np.random.Generator, seconds: float, amount: float, predelay: float = 0.012) -> np.ndarray:
    """Adds a tail of exponentially decaying stereo noise, duller with time, of the given -60 dB time."""
    length = int(min(seconds * 1.2, 3.5) * SAMPLE_RATE)
    time = np.arange(length) / SAMPLE_RATE
    noise = rng.standard_normal((2, length)).astype(np.float32)
    dull = signal.lfilter([0.25], [1, -0.75], noise, axis=1)
    mix = np.exp(-time / (0.25 * seconds))
    impulse = (mix * noise * 0.35 + (1 - mix) * dull) * np.exp(-6.91 * time / seconds)
    impulse /= np.sqrt((impulse**2).sum(axis=1, keepdims=True))
    impulse = np.pad(impulse, ((0, 0), (int(predelay * SAMPLE_RATE), 0)))
    wet = signal.oaconvolve(audio, impulse.astype(np.float32), axes=1)[:, : audio.shape[1]]
    return (audio + amount * wet).astype(np.float32)


def echo(audio: np.ndarray, seconds: float, feedback: float, amount: float) -> np.ndarray:
    """Repeats at `seconds`, alternating sides, until they fall below -40 dB."""
    out, step, level, side = audio.copy(), int(seconds * SAMPLE_RATE), amount, 0
    shift = step
    while level > 0.01 and shift < audio.shape[1]:
        out[side, shift:] += level * audio[:, :-shift].mean(axis=0)
        level, shift, side = level * feedback, shift + step, 1 - side
    return out


def chorus(audio: np.ndarray, rate: float, depth: float, amount: float) -> np.ndarray:
    """Adds a copy read at a delay that swings by `depth` seconds, in quadrature between the channels."""
    frames = np.arange(audio.shape[1])
    out = audio.copy()
    for channel in range(2):
        delay = (0.012 + depth * np.sin(2 * np.pi * rate * frames / SAMPLE_RATE + channel * np.pi / 2)) * SAMPLE_RATE
        out[channel] += amount * np.interp(frames - delay, frames, audio[channel], left=0.0).astype(np.float32)
    return out


def pan(audio: np.ndarray, position: float) -> np.ndarray:
    """Equal-power balance, -1 left to 1 right."""
    angle = (position + 1) * np.pi / 4
    return audio * (np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]], np.float32))
