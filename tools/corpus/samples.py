"""Recorded one-shots of sonic-pi-samples (all CC0): sampled drum kits and hits for the effects.

The held-out names are heard by evaluation songs only, all others by training songs only.
"""

from functools import lru_cache
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from tools.corpus.composer import CLAP, CLOSED_HAT, CRASH, KICK, OPEN_HAT, RIDE, SNARE, TOM_HIGH, TOM_LOW, Note
from tools.corpus.sampler import MissingSource

SAMPLE_RATE = 44100
FOLDER = Path("/usr/share/sonic-pi/samples")
PACKAGE = "sonic-pi-samples"
KIT = {
    KICK: "bd_808 bd_ada bd_boom bd_fat bd_gas bd_haus bd_klub bd_mehackit bd_pure bd_sone bd_tek bd_zome bd_zum drum_heavy_kick "
    "drum_bass_hard drum_bass_soft elec_hollow_kick elec_soft_kick",
    SNARE: "drum_snare_hard drum_snare_soft sn_dolf sn_dub sn_generic sn_zome elec_snare elec_filt_snare elec_hi_snare elec_lo_snare "
    "elec_mid_snare",
    CLAP: "perc_snap perc_snap2 elec_wood elec_snare tabla_na drum_snare_soft",
    CLOSED_HAT: "drum_cymbal_closed drum_cymbal_pedal elec_tick elec_cymbal tabla_te1 elec_triangle",
    OPEN_HAT: "drum_cymbal_open elec_cymbal drum_cymbal_soft",
    CRASH: "drum_splash_hard drum_cymbal_hard drum_splash_soft",
    RIDE: "drum_cymbal_soft drum_cowbell drum_cymbal_closed elec_cymbal",
    TOM_LOW: "drum_tom_lo_hard drum_tom_lo_soft drum_tom_mid_soft elec_fuzz_tom tabla_ghe1 tabla_ghe3",
    TOM_HIGH: "drum_tom_hi_hard drum_tom_hi_soft drum_tom_mid_hard tabla_tun1 tabla_na_o",
}
EFFECTS = (
    "ambi_dark_woosh ambi_drone ambi_glass_hum ambi_glass_rub ambi_haunted_hum ambi_lunar_land ambi_sauna ambi_soft_buzz ambi_swoosh "
    "elec_beep elec_blip elec_blip2 elec_blup elec_chime elec_flip elec_ping elec_plip elec_pop elec_twang elec_twip glitch_perc1 "
    "glitch_perc2 glitch_perc3 glitch_perc4 glitch_perc5 glitch_robot1 glitch_robot2 mehackit_phone1 mehackit_phone2 mehackit_phone3 "
    "mehackit_phone4 mehackit_robot1 mehackit_robot2 mehackit_robot3 mehackit_robot4 mehackit_robot5 mehackit_robot6 mehackit_robot7 "
    "misc_burp misc_cineboom misc_crow perc_bell perc_bell2 perc_door perc_impact1 perc_impact2 perc_swash perc_swoosh perc_till "
    "vinyl_backspin vinyl_hiss vinyl_rewind vinyl_scratch"
).split()
HELD_OUT = frozenset(
    "bd_klub bd_zome drum_bass_soft drum_snare_soft sn_zome elec_mid_snare perc_snap2 tabla_te1 elec_triangle drum_cymbal_soft "
    "drum_splash_soft drum_tom_mid_soft drum_tom_mid_hard tabla_ghe3 ambi_glass_rub ambi_swoosh elec_blip2 elec_chime glitch_perc4 "
    "mehackit_phone3 mehackit_robot6 perc_bell2 perc_impact2 perc_swoosh vinyl_rewind".split()
)


def names_of(names: list[str], evaluation: bool) -> list[str]:
    """Those of one side."""
    return [name for name in names if (name in HELD_OUT) == evaluation]


@lru_cache(maxsize=256)
def recording(name: str) -> np.ndarray:
    """One sample, float32 [2, frames] at 44.1 kHz, peak 1."""
    path = FOLDER / f"{name}.flac"
    if not path.exists():
        raise MissingSource(f"{path} is missing: install the Debian package {PACKAGE}")
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio = np.repeat(audio, 2, axis=1).T if audio.shape[1] == 1 else audio[:, :2].T
    if rate != SAMPLE_RATE:
        common = gcd(rate, SAMPLE_RATE)
        audio = signal.resample_poly(audio, SAMPLE_RATE // common, rate // common, axis=1).astype(np.float32)
    return audio / max(1e-6, float(np.abs(audio).max()))


def at_speed(audio: np.ndarray, speed: float) -> np.ndarray:
    """Read `speed` times as fast, pitch going along, by linear interpolation."""
    places = np.arange(0, audio.shape[1] - 1, speed)
    frames = np.arange(audio.shape[1])
    return np.stack([np.interp(places, frames, channel) for channel in audio]).astype(np.float32)


def render_sampled_drums(notes: list[Note], frames: int, seed: int, evaluation: bool) -> np.ndarray:
    """A drum part on a kit put together from recorded hits, each tuned by up to a third of an octave."""
    rng, out = np.random.default_rng([0x5A3D, seed]), np.zeros((2, frames), np.float32)
    kit = {}
    for drum, names in KIT.items():
        name = str(rng.choice(names_of(names.split(), evaluation)))
        kit[drum] = at_speed(recording(name), float(2 ** rng.uniform(-0.33, 0.33))) * float(rng.uniform(0.6, 1.0))
    for note in notes:
        start, wave = int(note.start * SAMPLE_RATE), kit[int(note.pitch)]
        wave = wave[:, : max(0, frames - start)]
        out[:, start : start + wave.shape[1]] += note.velocity * wave
    return 0.4 * out
