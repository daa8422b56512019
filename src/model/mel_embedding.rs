//! The contract `mel-embedding`: what a network that embeds sound for fingerprints is given, and what of it may differ.
//!
//! A second of sound at 8 kHz, 480 zeros on either side, becomes 32 frames of 256 mel bands. The network turns `mels`
//! `[batch, 1, 256, 32]` into `embedding` `[batch, dimensions]`; only the number of dimensions is its own.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// Name of the contract.
pub const CONTRACT: &str = "mel-embedding";
/// Hertz that the network works at.
pub const SAMPLE_RATE: u32 = 8_000;
/// Samples of a window.
pub const WINDOW: usize = 8_000;
/// Samples from one window that a catalogue keeps to the next.
pub const HOP: usize = 4_000;
/// Zeros before and behind a window.
pub const PAD: usize = 480;
/// Samples of a frame, under a periodic Hann window.
pub const FRAME: usize = 1_024;
/// Samples of the transform, zeros behind the frame.
pub const N_FFT: usize = 2_048;
/// Samples from frame to frame.
pub const FRAME_HOP: usize = 256;
/// Frames of a window.
pub const FRAMES: usize = 32;
/// Mel bands of a frame.
pub const MELS: usize = 256;
/// Lowest and highest frequency of the bands, in hertz.
pub const FREQUENCIES: (f64, f64) = (300.0, 4_000.0);
/// Decibels below a window's loudest value that are told apart.
pub const RANGE_DB: f64 = 80.0;
/// Numbers of an embedding.
pub const DIMENSIONS: RangeInclusive<usize> = 16..=2_048;

/// Keys of an entry's parameters with the only value that is read here.
const FIXED: [(&str, f64); 11] = [
    ("window", WINDOW as f64),
    ("hop", HOP as f64),
    ("pad", PAD as f64),
    ("frame", FRAME as f64),
    ("n_fft", N_FFT as f64),
    ("frame_hop", FRAME_HOP as f64),
    ("frames", FRAMES as f64),
    ("mels", MELS as f64),
    ("low", FREQUENCIES.0),
    ("high", FREQUENCIES.1),
    ("range_db", RANGE_DB),
];

/// Checks the parameters of an entry of this contract.
pub(super) fn check(parameters: &Map<String, Value>) -> Result<(), String> {
    for (key, wanted) in FIXED {
        if let Some(found) = parameters.get(key).filter(|found| found.as_f64() != Some(wanted)) {
            return Err(format!("parameters.{key} must be {wanted} for contract {CONTRACT}, got {found}"));
        }
    }
    let dimensions = parameters.get("dimensions");
    let is_fit = dimensions.and_then(Value::as_u64).is_some_and(|found| DIMENSIONS.contains(&(found as usize)));
    if is_fit {
        return Ok(());
    }
    let (low, high) = (DIMENSIONS.start(), DIMENSIONS.end());
    let found = dimensions.map_or("none".to_owned(), Value::to_string);
    Err(format!("parameters.dimensions must be a whole number in {low}..{high} for contract {CONTRACT}, got {found}"))
}
