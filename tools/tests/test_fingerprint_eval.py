"""Counting of the fingerprint evaluation on rows small enough to count by hand; chromaprint's alignment on values made for it."""

import json

import numpy as np
import pytest

from tools import fingerprint_chromaprint, fingerprint_eval


def row(condition, evidence, right=False, confidence=None):
    return {
        "condition": condition,
        "engine": "e",
        "stranger": condition.startswith("stranger"),
        "right": right,
        "accepted": False,
        "evidence": evidence,
        "confidence": confidence,
    }


def test_wilson_interval_of_the_textbook_case():
    # 180 of 200: Wilson (1927), as scipy.stats.binomtest(180, 200).proportion_ci(method="wilson") gives it.
    low, high = fingerprint_eval.wilson(180, 200)
    assert low == pytest.approx(85.06, abs=0.01)
    assert high == pytest.approx(93.43, abs=0.01)


def test_a_threshold_lets_exactly_the_asked_share_of_strangers_pass():
    strangers = [row("stranger 1 s", evidence) for evidence in range(1000)]
    rows = strangers + [row("clean 1 s", 998.5, right=True), row("clean 1 s", 989.5, right=True), row("clean 1 s", 999.5)]
    rows += [row("white noise 0 dB 5 s", 900, right=True), row("pink noise 0 dB 5 s", None)]
    for share, passing, clean, noise in ((0.1, 100, 2, 1), (0.01, 10, 2, 0), (0.001, 1, 1, 0)):
        least, passed, groups = fingerprint_eval.operating_point(rows, share)
        assert least == 999 - passing
        assert passed == passing
        # The third clean excerpt found a wrong track: however strong, no hit.
        assert groups["clean"] == [clean, 3]
        assert groups["noise"] == [noise, 2]
        assert groups["codecs"] == [0, 0]


def test_ties_and_unanswered_strangers_do_not_pass():
    strangers = [row("stranger 5 s", evidence) for evidence in [None] * 5 + [7, 7, 7, 3, 1]]
    assert fingerprint_eval.operating_point(strangers, 0.1)[:2] == (7, 0)
    assert fingerprint_eval.operating_point(strangers, 0.3)[:2] == (3, 3)


def test_every_condition_belongs_to_the_group_its_name_says():
    for condition, group in {
        "clean 10 s": "clean",
        "pink noise -5 dB 5 s": "noise",
        "Opus 16 kbit/s 5 s": "codecs",
        "band-pass 300..3400 Hz 5 s": "rooms, filters",
        "pitch -100 cents (WSOLA) 10 s": "tempo, pitch, speed",
        "stranger 5 s": None,
    }.items():
        assert fingerprint_eval.group_of(condition) == group


def test_calibration_weighs_excerpts_as_much_as_strangers():
    rows = [row("clean 1 s", 1, right=True, confidence=0.95), row("clean 1 s", 1, right=False, confidence=0.95)]
    rows += [row("stranger 1 s", 1, confidence=0.15) for _ in range(3)] + [row("stranger 1 s", None)]
    table, error = fingerprint_eval.calibration(rows)
    # Half of the weight at 0.95 with half right; three quarters of the other half at 0.15 with none right.
    assert [(number, count) for number, count, _, _ in table] == [(1, 3), (9, 2)]
    assert [right for *_, right in table] == [0.0, 0.5]
    assert error == pytest.approx((0.375 * 0.15 + 0.5 * 0.45) / 0.875)


def test_a_confidence_of_one_lies_in_the_last_bin():
    table, error = fingerprint_eval.calibration([row("clean 1 s", 1, right=True, confidence=1.0)])
    assert table == [(9, 1, 1.0, 1.0)]
    assert error == 0


def test_a_line_that_a_stop_cut_short_is_left_out(tmp_path):
    path = tmp_path / "queries.jsonl"
    path.write_text(json.dumps({"a": 1}) + "\n" + '{"a": ')
    assert fingerprint_eval.read(path) == [{"a": 1}]


def test_chromaprint_finds_the_place_where_the_fewest_bits_differ():
    generator = np.random.default_rng(3)
    tracks = [generator.integers(0, 2**32, length, dtype=np.uint32) for length in (40, 9, 60)]
    references = fingerprint_chromaprint.References(tracks)
    query = tracks[2][17:29].copy()
    query[4] ^= np.uint32(0b1011)
    assert references.best(query) == (2, 17, 3 / (32 * 12))
    # The end of one track and the beginning of the next are no place.
    across = np.concatenate([tracks[0][-3:], tracks[1][:3]])
    assert references.best(across)[2] > 0.2
    assert references.best(tracks[0][:0]) == (None, None, 1.0)


def test_chromaprint_takes_no_stranger_for_a_track_where_there_are_fewer_than_a_thousand():
    shares = [0.4, 0.25, 0.3]
    assert sum(share < fingerprint_chromaprint.threshold(shares) for share in shares) == 0
    many = list(np.linspace(0.2, 0.5, 2000))
    assert sum(share < fingerprint_chromaprint.threshold(many) for share in many) == 2
