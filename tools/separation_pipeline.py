"""The chunked pipeline of the product, restated in numpy around onnxruntime, for `complex-mask` models at 44.1 kHz.

Gain by the file's deviation, chunks of 18 s joined over 1.75 s by raised cosines, masks, mixture consistency by energy, vocals
freed of what lies under 30 Hz, bass made mono under 120 Hz, and a residual stem that closes the sum.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from scipy import signal

SAMPLE_RATE = 44100
N_FFT = 4096
HOP_LENGTH = 1024
CHUNK = 18 * SAMPLE_RATE
OVERLAP = 77_175
SHORT_STEP = 65_536
CONSISTENCY_FLOOR = 1e-8
SILENT_SHARE = 1e-3
VOCALS_HIGH_PASS = 30.0
BASS_MONO = 120.0


def stft(audio: np.ndarray) -> np.ndarray:
    """[2, samples] to [2, frames, 2049], scaled so that unit noise has unit energy."""
    window = signal.get_window("hann", N_FFT)
    padded = np.pad(audio, ((0, 0), (0, -audio.shape[1] % HOP_LENGTH)))
    padded = np.pad(padded, ((0, 0), (N_FFT // 2, N_FFT // 2)), mode="reflect")
    pieces = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=1)[:, ::HOP_LENGTH]
    return np.fft.rfft(pieces * window, axis=2) / np.sqrt(0.375 * N_FFT)


def istft(spectrum: np.ndarray, samples: int) -> np.ndarray:
    """[..., frames, 2049] to [..., samples]."""
    window = signal.get_window("hann", N_FFT)
    pieces = np.fft.irfft(spectrum, axis=-1) * np.sqrt(0.375 * N_FFT) * window
    frames = spectrum.shape[-2]
    length = (frames - 1) * HOP_LENGTH + N_FFT
    out, weight = np.zeros((*spectrum.shape[:-2], length)), np.zeros(length)
    for index in range(frames):
        place = slice(index * HOP_LENGTH, index * HOP_LENGTH + N_FFT)
        out[..., place] += pieces[..., index, :]
        weight[place] += window**2
    inner = slice(N_FFT // 2, N_FFT // 2 + samples)
    return out[..., inner] / weight[inner]


def low_band(audio: np.ndarray, hertz: float) -> np.ndarray:
    """Second-order Butterworth low-pass forward and backward: zero phase."""
    sections = signal.butter(2, hertz, fs=SAMPLE_RATE, output="sos")
    return signal.sosfilt(sections, signal.sosfilt(sections, audio, axis=-1)[..., ::-1], axis=-1)[..., ::-1]


def f32_session(model: str | bytes) -> onnxruntime.InferenceSession:
    """A session on one thread that computes in f32. Left alone, onnxruntime makes products of int8 weights in whole numbers, 1 % off."""
    options = onnxruntime.SessionOptions()
    # One thread: a second one that waits by spinning took as much of a busy machine as the work itself.
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Pipeline:
    """A separator of a manifest; `separate` gives all stems."""

    def __init__(self, manifest: Path, name: str):
        entries = {entry["name"]: entry for entry in json.loads(manifest.read_text())["models"]}
        self.entry = entries[name]
        self.stems: list[str] = self.entry["stems"]
        self.residual = self.stems.index(self.entry["residual"])
        self.session = f32_session(str(manifest.parent / self.entry["file"]))
        self.input_name = self.session.get_inputs()[0].name

    def _chunk(self, audio: np.ndarray, gain: float) -> np.ndarray:
        """[2, samples] of the mix to [stems, 2, samples]."""
        samples = audio.shape[1]
        if np.sqrt(np.mean(audio**2)) < gain * SILENT_SHARE:
            out = np.zeros((len(self.stems), 2, samples))
            out[self.residual] = audio
            return out
        spectrum = stft(audio / gain)
        parts = np.stack([spectrum[0].real, spectrum[0].imag, spectrum[1].real, spectrum[1].imag]).astype(np.float32)
        masks = self.session.run(None, {self.input_name: parts[None]})[0][0]
        masks = masks.reshape(len(self.stems), 2, 2, *masks.shape[1:])
        estimates = (masks[:, :, 0] + 1j * masks[:, :, 1]) * spectrum
        energy = np.abs(estimates) ** 2 + CONSISTENCY_FLOOR
        estimates += energy / energy.sum(axis=0) * (spectrum - estimates.sum(axis=0))
        out = istft(estimates, samples) * gain
        if "vocals" in self.stems:
            index = self.stems.index("vocals")
            out[index] -= low_band(out[index], VOCALS_HIGH_PASS)
        if "bass" in self.stems:
            index = self.stems.index("bass")
            side = low_band((out[index, 0] - out[index, 1]) / 2, BASS_MONO)
            out[index] -= np.stack([side, -side])
        return out

    def separate(self, mix: np.ndarray) -> np.ndarray:
        """Mix [2, frames] at 44.1 kHz to stems [stems, 2, frames] that sum to it."""
        frames = mix.shape[1]
        gain = float(mix.std())
        if gain < 1e-7:
            out = np.zeros((len(self.stems), 2, frames))
            out[self.residual] = mix
            return out
        if frames <= CHUNK:
            padded = min(CHUNK, -(-frames // SHORT_STEP) * SHORT_STEP)
            out = self._chunk(np.pad(mix, ((0, 0), (0, padded - frames))), gain)[:, :, :frames]
        else:
            out = np.zeros((len(self.stems), 2, frames))
            fade = (1 - np.cos(np.pi * np.arange(OVERLAP) / OVERLAP)) / 2
            step = CHUNK - OVERLAP
            starts = [min(i * step, frames - CHUNK) for i in range(1 + -(-(frames - CHUNK) // step))]
            for index, start in enumerate(starts):
                piece = self._chunk(mix[:, start : start + CHUNK], gain)
                if index == 0:
                    out[:, :, :CHUNK] = piece
                    continue
                join = starts[index - 1] + CHUNK - OVERLAP
                piece = piece[:, :, join - start :]
                old = out[:, :, join : join + OVERLAP]
                out[:, :, join : join + OVERLAP] = old + fade * (piece[:, :, :OVERLAP] - old)
                out[:, :, join + OVERLAP : start + CHUNK] = piece[:, :, OVERLAP:]
        others = out.sum(axis=0) - out[self.residual]
        out[self.residual] = mix - others
        return out
