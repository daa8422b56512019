"""Renders a score to stems: parts, their effects, levels, and a bus limiter whose gain is applied to the stems alike."""

import json
from pathlib import Path

import numpy as np

from tools.corpus import effects, synth, voice
from tools.corpus.composer import EVALUATION_SEEDS_FROM, STEMS, Part, Score, compose, song_generator
from tools.corpus.sampler import render_sampled
from tools.corpus.samples import render_sampled_drums
from tools.corpus.speech import VoiceBank
from tools.corpus.textures import render_effects

SAMPLE_RATE = 44100
REFERENCE_RMS = 0.1
"""RMS of a part, over the blocks in which it sounds, before its drawn level."""


class LicenceRefused(RuntimeError):
    """A source may not shape shipped weights and the song is not for evaluation."""


def load_recipe() -> dict:
    return json.loads(Path(__file__).with_name("recipe.json").read_text())


def soundfonts_of(recipe: dict, evaluation: bool) -> list[tuple[Path, str]]:
    """Path and package of each soundfont of one side; refuses a training soundfont outside the licence rule."""
    use = "evaluation" if evaluation else "training"
    sources = [source for source in recipe["sources"] if source["use"] == use and "soundfont" in source]
    for source in sources:
        if not evaluation and source["licence"] not in recipe["training_licences"]:
            raise LicenceRefused(f"{source['name']} is {source['licence']}: it may be used for evaluation only")
    return [(Path(source["soundfont"]), source["package"]) for source in sources]


def sounding_rms(audio: np.ndarray) -> float:
    """RMS over the 50 ms blocks within 30 dB of the loudest; 0 for silence."""
    blocks = audio.shape[1] // 2205
    power = (audio[:, : blocks * 2205] ** 2).reshape(2, blocks, 2205).mean(axis=(0, 2))
    loudest = power.max(initial=0.0)
    return float(np.sqrt(power[power > loudest / 1000].mean())) if loudest > 0 else 0.0


class Renderer:
    """Renders scores of one side (training or evaluation); keeps the spoken syllables between songs."""

    def __init__(self, evaluation: bool, recipe: dict | None = None):
        self.evaluation = evaluation
        self.recipe = recipe or load_recipe()
        self.soundfonts = soundfonts_of(self.recipe, evaluation)
        self.voices = VoiceBank(evaluation)

    def _raw(self, part: Part, frames: int, rng: np.random.Generator) -> np.ndarray:
        if part.engine == "gm":
            soundfont, package = self.soundfonts[rng.integers(len(self.soundfonts))]
            return render_sampled(part, frames, soundfont, package)
        if part.engine == "synth":
            return synth.render_synth(part.notes, frames, part.timbre, low=part.stem == "bass")
        if part.engine == "drums":
            return synth.render_drums(part.notes, frames, part.timbre)
        if part.engine == "sampled_drums":
            return render_sampled_drums(part.notes, frames, part.timbre, self.evaluation)
        if part.engine == "noise":
            return render_effects(part.notes, frames, part.timbre, self.evaluation)
        if part.engine == "singer":
            mono = voice.sing_formants(part.notes, frames, part.timbre)
        elif part.engine == "speech_singer":
            mono = voice.sing_syllables(part.notes, frames, part.timbre, self.voices.syllables(part.timbre))
        elif part.engine == "speech":
            mono = voice.speak(part.notes, frames, part.timbre, self.voices.syllables(part.timbre))
        else:
            raise ValueError(f"unknown engine {part.engine!r}")
        return np.stack([mono, mono]).astype(np.float32)

    def part(self, part: Part, frames: int, rng: np.random.Generator, score: Score) -> np.ndarray:
        """One part with its effects at its level."""
        audio = self._raw(part, frames, rng)
        level = sounding_rms(audio)
        if level < 1e-6:
            return np.zeros_like(audio)
        audio = audio * (REFERENCE_RMS / level)
        bells = [
            (float(np.exp(rng.uniform(np.log(80), np.log(9000)))), float(rng.normal(0, 3)), float(rng.uniform(0.3, 1.2)))
            for _ in range(3)
        ]
        spread = 9.0 if part.stem in ("instruments", "fx") else 5.0
        audio = effects.equalise(audio, float(rng.uniform(-spread, spread)), bells)
        if rng.random() < 0.4:
            audio = effects.compress(audio, 0.12, float(rng.uniform(1.5, 6)), float(rng.uniform(0.05, 0.3)))
        if rng.random() < (0.25 if part.stem in ("instruments", "bass") else 0.1):
            audio = effects.saturate(audio, float(np.exp(rng.uniform(0, np.log(12)))))
        if part.stem == "instruments" and rng.random() < 0.3:
            audio = effects.chorus(audio, float(rng.uniform(0.2, 1.5)), float(rng.uniform(0.0005, 0.003)), float(rng.uniform(0.3, 0.8)))
        if part.stem in ("vocals", "instruments") and rng.random() < 0.2:
            beat = 60.0 / score.tempo
            audio = effects.echo(audio, beat * float(rng.choice([0.5, 0.75, 1.0])), 0.4, float(rng.uniform(0.1, 0.35)))
        if part.pan and part.engine != "gm":
            audio = effects.pan(audio, part.pan)
        reverberant = {"vocals": 0.8, "instruments": 0.6, "drums": 0.4, "bass": 0.08, "fx": 0.5}[part.stem]
        if rng.random() < reverberant:
            audio = effects.reverberate(audio, rng, float(rng.uniform(0.3, 2.8)), float(np.exp(rng.uniform(np.log(0.04), np.log(0.5)))))
        level = sounding_rms(audio)
        return audio * (REFERENCE_RMS / level * 10 ** (part.level_db / 20))

    def stems(self, score: Score) -> dict[str, np.ndarray]:
        """All five stems, float32 [2, frames]; they sum to the mix, whose peak is at most about 1."""
        frames = int(score.duration * SAMPLE_RATE)
        rng = song_generator(score.seed, stream=1)
        stems = {name: np.zeros((2, frames), np.float32) for name in STEMS}
        for part in score.parts:
            if part.notes:
                stems[part.stem] += self.part(part, frames, rng, score)
        mix = sum(stems.values())
        peak = float(np.abs(mix).max())
        if peak < 1e-4:
            return stems
        limited = rng.random() < 0.5
        aim = float(rng.uniform(0.5, 0.98))
        if limited:
            curve = effects.gain_curve(mix, peak * float(rng.uniform(0.4, 0.8)), 20.0, 0.1)
            stems = {name: audio * curve for name, audio in stems.items()}
            peak = float(np.abs(sum(stems.values())).max())
        return {name: audio * (aim / peak) for name, audio in stems.items()}


def render_song(seed: int, renderer: Renderer, seconds: tuple[float, float]) -> tuple[Score, dict[str, np.ndarray]]:
    """The song of a seed; its side must agree with the renderer's."""
    if (seed >= EVALUATION_SEEDS_FROM) != renderer.evaluation:
        raise ValueError(f"seed {seed} belongs to the other side: evaluation seeds begin at {EVALUATION_SEEDS_FROM}")
    score = compose(seed, seconds)
    return score, renderer.stems(score)
