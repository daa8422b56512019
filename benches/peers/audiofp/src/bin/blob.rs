//! Writes `tests/data/audiofp/wang.bin` and `haitsma.bin`: what audiofp's own serialiser makes of 20 s of generated music, for the tests
//! that enrol it.
//!
//! `cargo run --release --bin blob` in this folder.

#[path = "../../../../../tests/rust/fingerprint/music.rs"]
#[allow(dead_code)] // one clip is all that is needed
mod music;

#[path = "../five_kilohertz.rs"]
mod five_kilohertz;

use audiofp::classical::{Haitsma, Wang};
use audiofp::{Fingerprinter, SampleRate};

fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/data/audiofp/");
    let clip = |rate| music::music(2_000_000, 20.0, rate);
    let wang = Wang::default().extract(&clip(8_000), SampleRate::HZ_8000).unwrap();
    std::fs::write(format!("{folder}wang.bin"), wang.to_bytes()).unwrap();
    let haitsma = Haitsma::default().extract(&five_kilohertz::halved(&clip(10_000)), SampleRate::HZ_5000).unwrap();
    std::fs::write(format!("{folder}haitsma.bin"), haitsma.to_bytes()).unwrap();
}
