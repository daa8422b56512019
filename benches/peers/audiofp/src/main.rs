//! Extraction speed of otolith's fingerprints beside audiofp's, on the same generated clip in the same run, native, one thread. Both at
//! their own defaults and at the rate that each works at, so that neither resamples. Hit rates: `src/bin/evaluate.rs`.
//!
//! `cargo run --release --bin peer-audiofp` in this folder; `node benches/fingerprints.mjs` times the wasm build beside both.

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
    let panako = || drop(std::hint::black_box(PeerPanako::default().extract(&eight, SampleRate::HZ_8000).unwrap()));
    let haitsma = || drop(std::hint::black_box(PeerHaitsma::default().extract(&five, SampleRate::HZ_5000).unwrap()));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, folder] = &arguments[..]
        && flag == "--serve"
    {
        return serve(folder, &[("audiofp wang", &wang), ("audiofp panako", &panako), ("audiofp haitsma", &haitsma)]);
    }
    compare(Algorithm::Wang, 8_000, wang, 8_000);
    compare(Algorithm::Panako, 16_000, panako, 8_000);
    compare(Algorithm::Haitsma, 11_025, haitsma, 5_000);
}

/// For benches/fingerprints.mjs: writes the clips that otolith reads to `folder`, says so, then does what each line of the input names and
/// answers with the processor seconds that it took.
fn serve(folder: &str, peers: &[(&str, &dyn Fn())]) {
    let own = [(Algorithm::Wang, 8_000), (Algorithm::Panako, 16_000), (Algorithm::Haitsma, 11_025)].map(|(algorithm, rate)| {
        let clip = music::music(2_000_000, SECONDS, rate);
        let bytes: Vec<u8> = clip.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        std::fs::write(format!("{folder}/{rate}.f32"), bytes).unwrap();
        (algorithm, Audio::new(vec![clip], rate, &Limits::default()).unwrap())
    });
    println!("ready");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let before = processor_seconds();
        if let Some(name) = line.strip_prefix("otolith ") {
            let (algorithm, audio) = own.iter().find(|(algorithm, _)| algorithm.name() == name).unwrap();
            let recipe = Recipe { scheme: Scheme::new(*algorithm, Profile::Default).unwrap(), mix: Mix::Mean, silence: None };
            drop(std::hint::black_box(Extraction::whole(recipe, audio).unwrap()));
        } else {
            peers.iter().find(|(name, _)| *name == line).unwrap().1();
        }
        println!("{}", processor_seconds() - before);
    }
}

/// Seconds that this thread has run so far (Linux).
fn processor_seconds() -> f64 {
    // Asking yields the processor, which brings the kernel's count up to date.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}
