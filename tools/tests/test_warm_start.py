"""Heads that are shared out or summed give the same masks, and a written model is read back."""

from dataclasses import replace

import pytest
import torch

from tools.onnx_graph import build_onnx
from tools.train.network import BINS, FIVE_STEMS, BandSplitLocoformer, NetworkSize
from tools.train.warm_start import PAIR, shared_out, summed_to_pair, weights_of_onnx, widened

SMALL = {"features": 16, "blocks": 1, "convolution": 16, "attention": 16, "head": 16}


def network_of(stems: tuple[str, ...], state: dict | None = None) -> BandSplitLocoformer:
    torch.manual_seed(4)
    network = BandSplitLocoformer(NetworkSize(**SMALL, stems=stems)).eval()
    if state:
        network.load_state_dict(state)
    return network


def masks_of(network: BandSplitLocoformer, stems: int) -> torch.Tensor:
    torch.manual_seed(5)
    with torch.no_grad():
        return network(torch.randn(1, 4, 9, BINS)).reshape(stems, 4, 9, BINS)


def test_five_stems_summed_to_a_pair_give_the_summed_masks():
    five = network_of(FIVE_STEMS)
    found = masks_of(network_of(PAIR, summed_to_pair(five.state_dict(), 5)), 2)
    expected = masks_of(five, 5)
    assert torch.allclose(found[0], expected[0], atol=1e-6)
    assert torch.allclose(found[1], expected[1:].sum(dim=0), atol=1e-5)


def test_a_pair_shared_out_keeps_its_vocals_and_sums_to_its_instrumental():
    pair = network_of(PAIR)
    found = masks_of(network_of(FIVE_STEMS, shared_out(pair.state_dict(), 5)), 5)
    expected = masks_of(pair, 2)
    assert torch.allclose(found[0], expected[0], atol=1e-6)
    assert torch.allclose(found[1:].sum(dim=0), expected[1], atol=1e-5)


def test_weights_are_read_back_from_a_written_model(tmp_path):
    pair = network_of(PAIR)
    path = tmp_path / "model.onnx"
    path.write_bytes(build_onnx(pair, {}).SerializeToString())
    state = weights_of_onnx(path, pair.size)
    for name, value in pair.state_dict().items():
        assert torch.allclose(state[name], value, atol=2e-3, rtol=2e-3), name


LARGER = NetworkSize(features=32, blocks=3, convolution=32, attention=16, head=32, stems=FIVE_STEMS)


def test_a_widened_network_has_the_same_masks_and_copies_that_differ():
    small = network_of(FIVE_STEMS)
    torch.manual_seed(6)
    state = widened(small.state_dict(), small.size, LARGER)
    large = BandSplitLocoformer(LARGER).eval()
    large.load_state_dict(state)
    expected = masks_of(small, 5)
    assert torch.abs(masks_of(large, 5) - expected).max() < 1e-5 * torch.abs(expected).max()
    reading = state["blocks.0.0.first.widen.weight"]
    assert torch.abs(reading[:, 0::2] - reading[:, 1::2]).min() > 0


def test_what_cannot_be_widened_is_named():
    small = network_of(FIVE_STEMS)
    for larger in (replace(LARGER, features=24), replace(LARGER, attention=32), replace(LARGER, stems=PAIR)):
        with pytest.raises(ValueError, match="does not widen"):
            widened(small.state_dict(), small.size, larger)
