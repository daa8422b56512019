"""Runs a beat network over features, and scores activations by plain peak picking: a quick look while it trains.

    python -m tools.beat_activations tools/.work/beat-tcn.pt "tools/.work/beats-held-out/*.npz"
"""

import argparse
import glob
from pathlib import Path

import numpy as np
import torch

from tools.train.beat_examples import load_piece
from tools.train.beat_features import FLOOR, FPS
from tools.train.beat_network import FRONT_CONTEXT, BeatNetwork, BeatSize, stream_weights


def load_network(path: Path) -> tuple[BeatNetwork, dict]:
    """The network of a checkpoint with its averaged weights, in evaluation mode, and the checkpoint."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    network = BeatNetwork(BeatSize(**checkpoint["size"]))
    network.load_state_dict(checkpoint["ema"], strict=True)
    return network.eval(), checkpoint


def activations(network: BeatNetwork, bands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bands [frames, 81] of a whole sound to activations [22, frames] and tempo [300]."""
    before = FRONT_CONTEXT if network.size.causal else FRONT_CONTEXT // 2
    after = FRONT_CONTEXT - before
    padded = np.concatenate([np.repeat(bands[:1], before, 0), bands, np.repeat(bands[-1:], after, 0)]).astype(np.float32)
    with torch.no_grad():
        out = network.activations(network.front(torch.from_numpy(padded[None, None])))
        weights = stream_weights(len(bands)) if network.size.causal else torch.full((len(bands),), 1 / len(bands))
        tempo = torch.softmax(network.tempo(out[:, 2:] @ weights), dim=1)
    return out[0].numpy(), tempo[0].numpy()


def peaks(activation: np.ndarray, threshold: float) -> np.ndarray:
    """Seconds of local maxima above the threshold, at least 0.2 s apart."""
    inner = activation[1:-1]
    places = np.flatnonzero((inner > threshold) & (inner >= activation[:-2]) & (inner > activation[2:])) + 1
    kept: list[int] = []
    for place in places:
        if not kept or place - kept[-1] >= 20:
            kept.append(int(place))
    return np.asarray(kept) / FPS


def mixed(bands: np.ndarray) -> np.ndarray:
    """Stems [stems, frames, 81] of logarithmic bands to those of their mix."""
    power = (np.maximum(0, np.exp(bands.astype(np.float32)) - FLOOR) ** 2).sum(axis=0)
    return np.log(np.sqrt(power) + FLOOR)


def main() -> None:
    import mir_eval

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("pieces", help="pattern of files written by tools.corpus.beat_render")
    parser.add_argument("--threshold", type=float, default=0.3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    network, checkpoint = load_network(options.checkpoint)
    rows: dict[str, list] = {}
    for path in sorted(glob.glob(options.pieces)):
        piece = load_piece(Path(path))
        out, tempo = activations(network, mixed(piece.bands))
        f = mir_eval.beat.f_measure(piece.beats[piece.beats > 5], (lambda t: t[t > 5])(peaks(out[0], options.threshold)))
        down = np.nan
        if piece.bars:
            down = mir_eval.beat.f_measure(piece.downbeats[piece.downbeats > 5], (lambda t: t[t > 5])(peaks(out[1], 0.2)))
        truth = 60 * (len(piece.beats) - 1) / (piece.beats[-1] - piece.beats[0])
        rows.setdefault(piece.facts["kind"], []).append((f, down, float(abs(np.argmax(tempo) / truth - 1) < 0.04)))
    print(f"step {checkpoint['step']}, {checkpoint['audio_hours']:.1f} h")
    for kind, scores in [*rows.items(), ("all", [row for group in rows.values() for row in group])]:
        f, down, tempo = np.nanmean(np.asarray(scores), axis=0)
        print(f"{kind:10} {len(scores):4} beat F {f:.3f}  downbeat F {down:.3f}  tempo within 4 % {tempo:.2f}")


if __name__ == "__main__":
    main()
