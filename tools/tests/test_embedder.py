"""The embedder's front end, loss, pairs and graph."""

import numpy as np
import onnxruntime
import pytest
import torch

from tools.embedder_onnx import embedder_graph
from tools.evaluate_embedder import best
from tools.train.embedder import nt_xent
from tools.train.embedder_features import mel_filters, mel_windows
from tools.train.embedder_network import Embedder


def test_no_mel_filter_is_empty_and_a_sine_lights_its_own():
    filters = mel_filters()
    assert filters.shape == (1025, 256) and (filters.max(axis=0) > 0).all()
    picture = mel_windows(np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)[None], precise=True)[0, 0]
    mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    expected = (mel(1000) - mel(300)) / (mel(4000) - mel(300)) * 257 - 1
    assert abs(int(np.argmax(picture[:, 16])) - expected) <= 1.0
    assert picture.max() == 1.0 and picture.min() >= -1.0


def test_pictures_do_not_depend_on_gain():
    sound = 0.1 * np.random.default_rng(1).standard_normal((1, 8000))
    assert np.allclose(mel_windows(sound, precise=True), mel_windows(8 * sound, precise=True), atol=1e-9)


def test_loss_is_least_where_partners_agree():
    vectors = torch.eye(8)
    right, wrong = float(nt_xent(vectors, vectors)), float(nt_xent(vectors, vectors.roll(1, 0)))
    assert right < 1e-6 and wrong == pytest.approx(20.0, abs=1e-3)


def test_onnxruntime_gives_what_pytorch_gives():
    torch.manual_seed(2)
    network = Embedder().train()
    pictures = torch.rand(16, 1, 256, 32) * 2 - 1
    network(pictures)
    network.eval()
    session = onnxruntime.InferenceSession(embedder_graph(network, {}).SerializeToString())
    with torch.no_grad():
        expected = network(pictures).numpy()
    found = session.run(None, {"mels": pictures.numpy()})[0]
    cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.9999
    assert sum(p.numel() for p in network.parameters()) <= 1_000_000


def test_alignment_stays_inside_a_track():
    rng = np.random.default_rng(3)
    references = rng.standard_normal((30, 16)).astype(np.float32)
    references /= np.linalg.norm(references, axis=1, keepdims=True)
    starts, lengths = np.array([0, 10, 20]), np.array([10, 10, 10])
    assert best(references[13:16], references, starts, lengths) == (1, 3)
    track, window = best(references[8:12], references, starts, lengths)
    assert window + 4 <= 10
