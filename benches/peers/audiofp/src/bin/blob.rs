//! Writes `tests/data/audiofp/wang.bin`: what audiofp's own serialiser makes of 20 s of generated music, for the test that enrols it.
//!
//! `cargo run --release --bin blob` in this folder.

#[path = "../../../../../tests/rust/fingerprint/music.rs"]
#[allow(dead_code)] // one clip is all that is needed
mod music;

use audiofp::classical::Wang;
use audiofp::{Fingerprinter, SampleRate};

fn main() {
    let clip = music::music(2_000_000, 20.0, 8_000);
    let print = Wang::default().extract(&clip, SampleRate::HZ_8000).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/data/audiofp/wang.bin");
    std::fs::write(path, print.to_bytes()).unwrap();
}
