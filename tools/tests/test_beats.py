"""The beat corpus, features, networks and their graphs."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from tools.beat_activations import activations
from tools.beat_export import run_files
from tools.beat_onnx import graphs
from tools.corpus.beat_music import MELODY_CELLS, TRESILLO, Knobs, make_piece
from tools.corpus.beat_render import through_codec, write_piece
from tools.corpus.grammar import EVALUATION, TRAINING
from tools.train.beat import build
from tools.train.beat_examples import tempo_target, widened
from tools.train.beat_features import BANDS, band_magnitudes, filterbank, knots, log_bands
from tools.train.beat_network import CAUSAL, OFFLINE, BeatNetwork, stream_weights
from tools.train.loop import Plan


def test_features_are_those_of_a_direct_transform_in_f64():
    sound = 0.3 * np.random.default_rng(1).standard_normal(44100).astype(np.float32)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    padded = np.pad(sound.astype(float), (1024, 2048))
    found = log_bands(band_magnitudes(sound))
    assert found.shape == (100, 81)
    for frame in (0, 1, 50, 99):
        magnitude = np.abs(np.fft.rfft(padded[441 * frame : 441 * frame + 2048] * window)) / 512
        assert np.abs(np.log(magnitude @ filterbank() + 1e-6) - found[frame]).max() < 1e-4


def test_a_full_scale_sine_on_a_bin_reads_one_and_bands_have_area_one():
    sine = np.sin(2 * np.pi * 100 * np.arange(44100) / 2048)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    assert np.abs(np.fft.rfft(sine[:2048] * window)).max() / 512 == pytest.approx(1.0, abs=1e-9)
    assert (len(knots()), BANDS) == (83, 81)
    assert np.allclose(filterbank().sum(axis=0), 1.0)


def test_opposite_channels_are_heard_as_one_of_them():
    sound = np.random.default_rng(2).standard_normal(22050).astype(np.float32)
    assert np.allclose(band_magnitudes(np.stack([sound, -sound])), band_magnitudes(sound), rtol=1e-5)


@pytest.mark.parametrize(("size", "parameters"), [(OFFLINE, 73_062), (CAUSAL, 57_222)])
def test_onnxruntime_gives_what_pytorch_gives(size, parameters):
    torch.manual_seed(3)
    network = BeatNetwork(size).eval()
    assert sum(p.numel() for p in network.parameters()) == parameters
    bands = np.random.default_rng(4).uniform(-13, -1, (301, 81)).astype(np.float32)
    files = {role: model.SerializeToString() for role, model in graphs(network, {"name": "test"}).items()}
    expected, tempo = activations(network, bands)
    found, found_tempo = run_files(network, files, bands)
    assert np.abs(found[:2] - expected[:2]).max() < 1e-5
    assert np.abs(found_tempo - tempo).max() < 1e-5


def test_the_causal_network_does_not_look_ahead():
    torch.manual_seed(5)
    network = BeatNetwork(CAUSAL).eval()
    bands = np.random.default_rng(6).uniform(-13, -1, (400, 81)).astype(np.float32)
    other = bands.copy()
    other[200:] = -13.8
    assert np.array_equal(activations(network, bands)[0][:, :200], activations(network, other)[0][:, :200])


def test_stream_weights_are_those_of_the_running_mean():
    values, mean = np.random.default_rng(7).standard_normal(2500), 0.0
    for number, value in enumerate(values, 1):
        mean += (value - mean) * max(1 / number, 1 / 1000)
    assert float((stream_weights(2500).numpy() * values).sum()) == pytest.approx(mean, abs=1e-5)


def test_taps_that_training_never_reaches_are_zero():
    network = BeatNetwork(OFFLINE, crop=1600)
    last = network.levels[-1]
    assert float(last.far.weight[:, :, [0, 1, 3, 4]].abs().max()) == 0.0
    assert float(last.near.weight[:, :, 2].abs().max()) > 0.0
    assert float(network.levels[0].far.weight.abs().min()) > 0.0


def test_targets():
    assert widened(np.array([2.4, 7.0]), 8).tolist() == [0, 0.5, 1, 0.5, 0, 0, 0.5, 1]
    target = tempo_target(np.arange(10) * 0.5)
    assert int(np.argmax(target)) == 120 and target.sum() == pytest.approx(1.0)
    assert not tempo_target(np.array([0.0, 1.0])).any()


def test_a_piece_is_a_function_of_its_seed_and_its_beats_are_where_its_clicks_are():
    knobs = Knobs(kind="click", tempo=100.0, course="steady", swing=0.5, meter=4)
    piece, again = make_piece(11, 10.0, [], knobs=knobs), make_piece(11, 10.0, [], knobs=knobs)
    assert np.array_equal(piece.drums, again.drums)
    assert np.allclose(np.diff(piece.beats), 0.6)
    strength = np.array([np.abs(piece.drums[max(0, int(t * 44100) - 1500) : int(t * 44100) + 1500]).max() for t in piece.beats])
    assert strength.min() > 0.05


def test_courses_bend_the_tempo():
    ramp = make_piece(12, 30.0, [], knobs=Knobs(kind="drums", tempo=100.0, course="ramp"))
    steps = np.diff(ramp.beats)
    assert abs(steps[-1] / steps[0] - 1) > 0.02 and np.all(steps > 0.3)


def test_sides_share_no_rhythms():
    assert not {g for t in TRAINING.grooves.values() for g in t} & {g for t in EVALUATION.grooves.values() for g in t}
    assert not set(TRESILLO[False]) & set(TRESILLO[True])
    assert MELODY_CELLS[False] != MELODY_CELLS[True]


def test_a_codec_moves_nothing(tmp_path: Path):
    sound = np.zeros(44100, np.float32)
    sound[10_000:10_400] = np.hanning(400)
    sound[30_000:30_400] = np.hanning(400)
    for codec, container in (("libmp3lame", "mp3"), ("aac", "adts"), ("libopus", "ogg")):
        decoded = through_codec(sound, codec, container, 96)
        assert abs(int(np.argmax(decoded[5_000:15_000])) + 5_000 - 10_200) < 60


def test_graphs_have_no_operator_that_the_contract_does_not_name():
    named = {"Conv", "Elu", "MaxPool", "Concat", "Slice", "Split", "Squeeze", "Add", "Sigmoid", "MatMul", "Softmax"}
    for size in (OFFLINE, CAUSAL):
        for model in graphs(BeatNetwork(size), {}).values():
            assert {node.op_type for node in model.graph.node} <= named
            onnxruntime.InferenceSession(model.SerializeToString())


def test_a_resumed_training_equals_an_unbroken_one(tmp_path: Path):
    for seed in range(2):
        write_piece(make_piece(seed, 12.0, []), tmp_path / f"{seed:06d}.npz")
    plan = {"seed": 1, "steps": 6, "batch": 2, "crop_seconds": 3.0, "long_seconds": 3.0}

    def weights(stops: tuple[int, ...]) -> torch.Tensor:
        checkpoint = tmp_path / f"{len(stops)}.pt"
        training = build(Plan(**plan), tmp_path, False, None)
        for number, stop in enumerate(stops):
            if number:
                training = build(Plan(**plan), tmp_path, False, None)
                training.restore(torch.load(checkpoint, map_location="cpu", weights_only=True))
            training.run(stop, checkpoint, None, lambda line: None)
        return torch.cat([value.flatten() for value in training.network.state_dict().values()])

    assert torch.equal(weights((4,)), weights((2, 4)))
