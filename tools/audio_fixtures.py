#!/usr/bin/env python3
"""Makes tests/data/audio: short sounds in every format that is read, and what ffmpeg decodes them to.

The sounds are sums of sines under an envelope, from fixed seeds. For each file the reference holds frames, channels, rate, the RMS of
each channel, a sparse set of samples, and for lossless files the CRC-32 of all samples as interleaved little-endian float32.
With --recordings DIR it also writes recordings.json: the same figures for a folder of real recordings that is not part of the project.

Needs ffmpeg with libmp3lame and libvorbis, and numpy.
"""

import argparse
import json
import pathlib
import subprocess
import zlib

import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "audio"
SPARSE = 61  # a prime: the samples kept do not line up with any block length

# name, rate, channels, frames, seed, ffmpeg's encoder arguments
FILES = [
    ("mono-8k-u8.wav", 8000, 1, 1501, 1, ["-c:a", "pcm_u8"]),
    ("stereo-44k-s16.wav", 44100, 2, 2205, 2, ["-c:a", "pcm_s16le"]),
    ("stereo-44k-s24.wav", 44100, 2, 1001, 2, ["-c:a", "pcm_s24le"]),
    ("stereo-44k-f32.wav", 44100, 2, 2205, 2, ["-c:a", "pcm_f32le"]),
    ("surround-48k-s16.wav", 48000, 6, 600, 3, ["-c:a", "pcm_s16le"]),
    ("eight-32k-s16.wav", 32000, 8, 400, 4, ["-c:a", "pcm_s16le"]),
    ("nine-32k-s16.wav", 32000, 9, 100, 4, ["-c:a", "pcm_s16le"]),
    ("mono-192k-s16.wav", 192000, 1, 3001, 5, ["-c:a", "pcm_s16le"]),
    ("stereo-44k.aiff", 44100, 2, 1777, 6, []),
    ("mono-22k-s24.aiff", 22050, 1, 1000, 7, ["-c:a", "pcm_s24be"]),
    ("stereo-44k.flac", 44100, 2, 5001, 8, ["-c:a", "flac", "-frame_size", "576"]),
    ("mono-96k-s24.flac", 96000, 1, 3000, 9, ["-c:a", "flac", "-sample_fmt", "s32", "-bits_per_raw_sample", "24"]),
    ("surround-48k.flac", 48000, 6, 3000, 10, ["-c:a", "flac"]),
    ("stereo-44k-alac.m4a", 44100, 2, 5003, 11, ["-c:a", "alac"]),
    ("mono-44k-128k.mp3", 44100, 1, 12345, 12, ["-c:a", "libmp3lame", "-b:a", "128k"]),
    ("stereo-44k-vbr.mp3", 44100, 2, 15000, 13, ["-c:a", "libmp3lame", "-q:a", "4"]),
    ("mono-22k.mp3", 22050, 1, 9001, 14, ["-c:a", "libmp3lame", "-b:a", "48k"]),
    # Perceptual noise substitution is random by design: no two decoders agree on it.
    ("mono-44k.m4a", 44100, 1, 12345, 15, ["-c:a", "aac", "-b:a", "96k", "-aac_pns", "0"]),
    ("stereo-48k.m4a", 48000, 2, 12000, 16, ["-c:a", "aac", "-b:a", "96k", "-aac_pns", "0"]),
    ("mono-44k.aac", 44100, 1, 10000, 17, ["-c:a", "aac", "-b:a", "96k", "-aac_pns", "0"]),
    ("mono-44k.ogg", 44100, 1, 24690, 18, ["-c:a", "libvorbis", "-q:a", "4", "-page_duration", "60000"]),
    ("stereo-48k.ogg", 48000, 2, 11111, 19, ["-c:a", "libvorbis", "-q:a", "2"]),
    ("surround-48k.ogg", 48000, 6, 6000, 20, ["-c:a", "libvorbis", "-q:a", "2"]),
    ("mono-48k-opus.ogg", 48000, 1, 4800, 21, ["-c:a", "libopus", "-b:a", "32k"]),
]
LOSSLESS = ("wav", "aiff", "flac", "alac.m4a")
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1", 9: "0x1ff"}


def sound(rate: int, channels: int, frames: int, seed: int) -> np.ndarray:
    """[frames][channels] float32: each channel has its own pitches, so that a swapped channel shows."""
    random = np.random.default_rng(seed)
    time = np.arange(frames) / rate
    columns = []
    for channel in range(channels):
        pitches = 110.0 * (channel + 1) * np.array([1.0, 1.5, 2.7, 5.1]) * random.uniform(0.9, 1.1, 4)
        phases = random.uniform(0, 2 * np.pi, 4)
        waves = np.sin(2 * np.pi * pitches[:, None] * time + phases[:, None]) / np.arange(1, 5)[:, None]
        columns.append(0.25 * waves.sum(0) * (0.6 + 0.4 * np.cos(2 * np.pi * 3 * time)))
    return np.stack(columns, 1).astype("<f4")


def ffmpeg(arguments: list[str], data: bytes | None = None) -> bytes:
    return subprocess.run(["ffmpeg", "-loglevel", "error", "-y", *arguments], input=data, check=True, capture_output=True).stdout


def decoded(path: pathlib.Path) -> tuple[np.ndarray, int]:
    """[frames][channels] float32 and the rate, by ffmpeg."""
    probe = subprocess.run(
        ["ffprobe", "-loglevel", "error", "-select_streams", "a:0", "-show_entries", "stream=channels,sample_rate", "-of", "json", path],
        check=True, capture_output=True)
    stream = json.loads(probe.stdout)["streams"][0]
    raw = ffmpeg(["-i", str(path), "-map", "a:0", "-f", "f32le", "-c:a", "pcm_f32le", "-"])
    return np.frombuffer(raw, "<f4").reshape(-1, stream["channels"]), int(stream["sample_rate"])


def figures(samples: np.ndarray, rate: int, sparse: int) -> dict:
    rms = np.sqrt((samples.astype(np.float64) ** 2).mean(0))
    return {
        "frames": len(samples),
        "channels": samples.shape[1],
        "sampleRate": rate,
        "rms": [round(float(value), 9) for value in rms],
        "sparse": sparse,
        "samples": [[round(float(value), 7) for value in samples[::sparse, channel]] for channel in range(samples.shape[1])],
    }


def version() -> str:
    return subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True).stdout.split()[2]


def write(path: pathlib.Path, files: dict) -> None:
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}" for name, entry in files.items())
    path.write_text(f'{{"tool": "ffmpeg {version()}",\n "files": {{\n{lines}\n}}}}\n')


def make_fixtures() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, rate, channels, frames, seed, arguments in FILES:
        source = sound(rate, channels, frames, seed)
        path = OUT / name
        # Same bytes from every run: no encoder name, no random stream serial.
        same = ["-bitexact", "-map_metadata", "-1"] + (["-serial_offset", "1"] if path.suffix == ".ogg" else [])
        ffmpeg(["-f", "f32le", "-ar", str(rate), "-ac", str(channels), "-channel_layout", LAYOUTS[channels], "-i", "-",
                *arguments, *same, str(path)], source.tobytes())
        samples, decoded_rate = decoded(path)
        entry = figures(samples, decoded_rate, SPARSE) | {"sourceFrames": frames}
        if name.endswith(LOSSLESS):
            entry["crc32"] = zlib.crc32(samples.astype("<f4").tobytes())
        files[name] = entry
    write(OUT / "reference.json", files)


def measure_recordings(folder: pathlib.Path) -> None:
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".mp3", ".m4a", ".ogg", ".flac", ".aiff", ".wav"):
            samples, rate = decoded(path)
            files[str(path.relative_to(folder))] = figures(samples, rate, 9973)
    write(OUT / "recordings.json", files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=pathlib.Path, metavar="DIR", help="also measure the recordings in this folder")
    options = parser.parse_args()
    make_fixtures()
    if options.recordings:
        measure_recordings(options.recordings)
