"""The plain decoder on activations that leave no doubt."""

import numpy as np
import pytest

from tools.beat_decoder import decode_beats, decode_downbeats, tempo_of


def activation_of(times: np.ndarray, frames: int) -> np.ndarray:
    out = np.full(frames, 0.01)
    for time in times:
        place = int(round(100 * time))
        if place < frames:
            out[place] = 0.9
            out[[max(0, place - 1), min(frames - 1, place + 1)]] = 0.4
    return out


def test_beats_at_a_steady_tempo_are_found_even_where_one_is_silent():
    beats = 0.25 + 0.5 * np.arange(40)
    heard = np.delete(beats, 17)
    found = decode_beats(activation_of(heard, 2050))
    assert len(found) == 40 and np.abs(found - beats).max() < 0.03
    assert tempo_of(found) == pytest.approx(120, rel=0.002)


def test_silence_has_no_beats():
    assert len(decode_beats(np.full(500, 0.01))) == 0


def test_bars_of_three_and_of_four():
    beats = 0.3 + 0.45 * np.arange(48)
    for meter in (3, 4):
        found = decode_downbeats(beats, activation_of(beats[::meter], 2300))
        assert np.allclose(found, beats[::meter])
