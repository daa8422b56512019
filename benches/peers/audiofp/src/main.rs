//! Extraction speed of otolith's fingerprints beside audiofp's, on the same generated clip in the same run, native, one thread. Both at
//! their own defaults and at the rate that each works at, so that neither resamples. Hit rates: `src/bin/evaluate.rs`.
//!
//! `cargo run --release --bin peer-audiofp` in this folder.

#[path = "../../../../tests/rust/fingerprint/music.rs"]
#[allow(dead_code)] // the noises are for the other program
mod music;

use std::time::Instant;

use audiofp::classical::{Haitsma as PeerHaitsma, Panako as PeerPanako, Wang as PeerWang};
use audiofp::{Fingerprinter, SampleRate};
use otolith::fingerprint::{Algorithm, Extraction, Mix, Profile, Recipe, Scheme};
use otolith::{Audio, Limits};

const SECONDS: f64 = 60.0;
const ROUNDS: usize = 25;

/// Times real time of each side, and of otolith over audiofp, with quartiles: alternating rounds on the same clip.
fn compare(algorithm: Algorithm, rate: u32, mut peer: impl FnMut(), peer_rate: u32) {
    let audio = Audio::new(vec![music::music(2_000_000, SECONDS, rate)], rate, &Limits::default()).unwrap();
    let recipe = Recipe { scheme: Scheme::new(algorithm, Profile::Default).unwrap(), mix: Mix::Mean, silence: None };
    let (mut own_times, mut peer_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        std::hint::black_box(Extraction::whole(recipe, &audio).unwrap());
        let own_time = started.elapsed().as_secs_f64();
        let started = Instant::now();
        peer();
        let peer_time = started.elapsed().as_secs_f64();
        own_times.push(SECONDS / own_time);
        peer_times.push(SECONDS / peer_time);
        ratios.push(peer_time / own_time);
    }
    let quartiles = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        format!("{:.2} ({:.2}..{:.2})", values[values.len() / 2], values[values.len() / 4], values[3 * values.len() / 4])
    };
    println!(
        "{}: otolith {} at {rate} Hz, audiofp {} at {peer_rate} Hz, ratio {}",
        algorithm.name(),
        quartiles(own_times),
        quartiles(peer_times),
        quartiles(ratios)
    );
}

fn main() {
    let eight = music::music(2_000_000, SECONDS, 8_000);
    let five = music::music(2_000_000, SECONDS, 5_000);
    let wang = || drop(std::hint::black_box(PeerWang::default().extract(&eight, SampleRate::HZ_8000).unwrap()));
    compare(Algorithm::Wang, 8_000, wang, 8_000);
    let panako = || drop(std::hint::black_box(PeerPanako::default().extract(&eight, SampleRate::HZ_8000).unwrap()));
    compare(Algorithm::Panako, 16_000, panako, 8_000);
    let haitsma = || drop(std::hint::black_box(PeerHaitsma::default().extract(&five, SampleRate::HZ_5000).unwrap()));
    compare(Algorithm::Haitsma, 11_025, haitsma, 5_000);
}
