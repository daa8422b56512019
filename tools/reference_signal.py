"""The pseudo-random signal that Python, Rust and TypeScript all compute alike, for regression tests of models."""

import numpy as np


def reference_signal(count: int) -> np.ndarray:
    """x[n] = ((n * 2654435761 mod 2^32) / 2^31 - 1) / 10 as f32, n = 0 .. count - 1 (Knuth's multiplicative hash)."""
    hashed = (np.arange(count, dtype=np.uint64) * np.uint64(2654435761)) % np.uint64(1 << 32)
    return ((hashed.astype(np.float64) / 2.0**31 - 1.0) / 10.0).astype(np.float32)
