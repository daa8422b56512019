//! Band-limited resampling in fixed blocks.
