"""The corpus is a function of its seeds, its stems sum, and evaluation shares nothing with training."""

import json

import numpy as np
import pytest

from tools.corpus import mix as corpus_mix
from tools.corpus.composer import EVALUATION_SEEDS_FROM, KICK, STEMS, Note, compose, grammar_of
from tools.corpus.grammar import EVALUATION, TRAINING
from tools.corpus.midi import midi_file
from tools.corpus.mix import SAMPLE_RATE, LicenceRefused, Renderer, load_recipe, render_song, soundfonts_of
from tools.corpus.pack import pack, unpack
from tools.corpus.sampler import MissingSource, render_sampled
from tools.corpus.samples import EFFECTS, KIT, names_of, render_sampled_drums
from tools.corpus.speech import EVALUATION_VOICES, TRAINING_VOICES
from tools.corpus.textures import BED_FROM, render_effects

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
    assert not set(soundfonts_of(recipe, True)) & set(soundfonts_of(recipe, False))
    for names in [*(kit.split() for kit in KIT.values()), EFFECTS]:
        assert names_of(names, True) and not set(names_of(names, True)) & set(names_of(names, False))
    assert {voice.split(":")[1].split("+")[0] for voice in EVALUATION_VOICES}.isdisjoint(
        voice.split(":")[1].split("+")[0] for voice in TRAINING_VOICES
    )
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
        soundfonts_of(recipe, evaluation=False)


def test_a_missing_soundfont_names_its_package(tmp_path):
    part = next(p for seed in range(50) for p in compose(seed, SHORT).parts if p.engine == "gm")
    with pytest.raises(MissingSource, match="fluid-soundfont-gm"):
        render_sampled(part, 44100, tmp_path / "absent.sf2", "fluid-soundfont-gm")


def test_a_midi_file_has_a_header_a_track_and_a_pair_of_events_per_note():
    part = next(p for seed in range(50) for p in compose(seed, SHORT).parts if p.stem == "bass")
    data = midi_file([(0, part)])
    assert data[:4] == b"MThd" and data[14:18] == b"MTrk"
    assert int.from_bytes(data[18:22], "big") == len(data) - 22


def test_effects_sound_in_more_than_half_of_the_songs_and_some_are_beds():
    scores = [compose(seed, (20.0, 30.0)) for seed in range(80)]
    effects = [part.notes for score in scores for part in score.parts if part.stem == "fx" and part.notes]
    assert len(effects) > 40
    assert sum(any(note.duration >= BED_FROM for note in notes) for notes in effects) > 10


def test_every_kind_of_effect_is_finite_and_ends_with_the_song():
    notes = [Note(0.2 * i, 0.15, 60, 1.0) for i in range(60)] + [Note(1.0, 8.0, 60, 1.0)]
    for seed in range(3):
        audio = render_effects(notes, 6 * 44100, seed, evaluation=False)
        assert audio.shape == (2, 6 * 44100) and np.isfinite(audio).all() and np.abs(audio).max() > 0.01


def test_a_sampled_kit_sounds_where_its_notes_are():
    audio = render_sampled_drums([Note(0.5, 0.2, KICK, 1.0)], 44100, 1, evaluation=True)
    assert not audio[:, :22050].any() and np.abs(audio[:, 22050:]).max() > 0.05


def test_silence_is_left_silent():
    assert corpus_mix.sounding_rms(np.zeros((2, 44100), np.float32)) == 0.0


def test_a_packed_song_comes_back_as_it_was_but_for_the_coding(tmp_path):
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    audio = np.zeros((len(STEMS), 2, len(time)), np.int16)
    for stem, frequency in ((0, 330.0), (2, 82.0)):
        tone = np.sin(2 * np.pi * frequency * time) * np.exp(-time)
        audio[stem] = np.round(30_000 * np.stack([tone, 0.5 * tone]))
    for folder in ("rendered", "packed", "unpacked"):
        (tmp_path / folder).mkdir()
    np.save(tmp_path / "rendered/7.npy", audio)
    (tmp_path / "rendered/7.json").write_text(json.dumps({"seed": 7, "beats": [0.5], "scale_of_integers": 4e-5}))
    pack(tmp_path / "rendered/7.json", tmp_path / "packed")
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == ["7.bass.ogg", "7.json", "7.vocals.ogg"]
    unpack(tmp_path / "packed/7.json", tmp_path / "unpacked")
    known = json.loads((tmp_path / "unpacked/7.json").read_text())
    assert (known["seed"], known["beats"], sorted(known)) == (7, [0.5], ["beats", "scale_of_integers", "seed"])
    back = np.load(tmp_path / "unpacked/7.npy")
    assert back.shape == audio.shape and not back[[1, 3, 4]].any()
    error = back * known["scale_of_integers"] - audio * 4e-5
    assert np.square(error).sum() < 1e-2 * np.square(audio * 4e-5).sum()
