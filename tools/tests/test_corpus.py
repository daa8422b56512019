"""The corpus is a function of its seeds, its stems sum, and evaluation shares nothing with training."""

import json

import numpy as np
import pytest

from tools.corpus import mix as corpus_mix
from tools.corpus.composer import EVALUATION_SEEDS_FROM, STEMS, compose, grammar_of
from tools.corpus.grammar import EVALUATION, TRAINING
from tools.corpus.midi import midi_file
from tools.corpus.mix import LicenceRefused, Renderer, load_recipe, render_song, soundfont_of
from tools.corpus.sampler import MissingSource, render_sampled
from tools.corpus.speech import EVALUATION_VOICES, TRAINING_VOICES

SHORT = (8.0, 10.0)


def test_a_seed_gives_the_same_song_twice():
    first, second = compose(12, SHORT), compose(12, SHORT)
    assert first.parts == second.parts
    assert np.array_equal(first.beats, second.beats)
    assert compose(13, SHORT).parts != first.parts


def test_a_seed_gives_the_same_samples_twice():
    _, first = render_song(3, Renderer(evaluation=False), SHORT)
    _, second = render_song(3, Renderer(evaluation=False), SHORT)
    for name in STEMS:
        assert np.array_equal(first[name], second[name])


def test_stems_are_finite_and_their_mix_does_not_clip():
    renderer = Renderer(evaluation=False)
    for seed in range(4):
        _, stems = render_song(seed, renderer, SHORT)
        total = sum(stems.values())
        assert np.isfinite(total).all()
        assert 0.3 < np.abs(total).max() <= 1.0


def test_beats_follow_the_tempo_and_downbeats_the_bar():
    score = compose(5, (20.0, 30.0), tempo=120.0)
    assert np.allclose(np.diff(score.beats), 0.5)
    assert np.allclose(np.diff(score.downbeats), 0.5 * score.beats_per_bar)


def test_every_song_shape_appears():
    engines = [{part.stem for part in compose(seed, SHORT).parts} for seed in range(120)]
    assert sum("vocals" not in stems for stems in engines) >= 8
    assert sum("drums" not in stems for stems in engines) >= 8
    assert sum(stems == {"vocals"} for stems in engines) >= 4
    assert sum(stems == {"fx"} for stems in engines) >= 2


def test_evaluation_shares_no_voice_soundfont_progression_or_groove_with_training():
    assert not set(TRAINING_VOICES) & set(EVALUATION_VOICES)
    for family in ("bright", "dark"):
        assert not set(TRAINING.progressions[family]) & set(EVALUATION.progressions[family])
    for beats in (3, 4, 6):
        assert not set(TRAINING.grooves[beats]) & set(EVALUATION.grooves[beats])
    assert not set(TRAINING.melody_rhythms) & set(EVALUATION.melody_rhythms)
    recipe = load_recipe()
    assert soundfont_of(recipe, True)[0] != soundfont_of(recipe, False)[0]
    assert grammar_of(EVALUATION_SEEDS_FROM) is EVALUATION and grammar_of(EVALUATION_SEEDS_FROM - 1) is TRAINING


def test_a_renderer_refuses_the_seed_of_the_other_side():
    with pytest.raises(ValueError, match="other side"):
        render_song(EVALUATION_SEEDS_FROM, Renderer(evaluation=False), SHORT)


def test_a_soundfont_outside_the_licence_rule_is_refused_for_training():
    recipe = json.loads(json.dumps(load_recipe()))
    for source in recipe["sources"]:
        if "soundfont" in source and source["use"] == "training":
            source["licence"] = "GPL-2"
    with pytest.raises(LicenceRefused, match="evaluation only"):
        soundfont_of(recipe, evaluation=False)


def test_a_missing_soundfont_names_its_package(tmp_path):
    part = next(p for seed in range(50) for p in compose(seed, SHORT).parts if p.engine == "gm")
    with pytest.raises(MissingSource, match="fluid-soundfont-gm"):
        render_sampled(part, 44100, tmp_path / "absent.sf2", "fluid-soundfont-gm")


def test_a_midi_file_has_a_header_a_track_and_a_pair_of_events_per_note():
    part = next(p for seed in range(50) for p in compose(seed, SHORT).parts if p.stem == "bass")
    data = midi_file([(0, part)])
    assert data[:4] == b"MThd" and data[14:18] == b"MTrk"
    assert int.from_bytes(data[18:22], "big") == len(data) - 22


def test_silence_is_left_silent():
    assert corpus_mix.sounding_rms(np.zeros((2, 44100), np.float32)) == 0.0
