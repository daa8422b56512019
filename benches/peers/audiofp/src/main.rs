//! Extraction speed and hit rate of otolith's Wang landmarks beside audiofp's, on the same generated clips in the same run. Both at their
//! own defaults, at 8 kHz mono so that neither resamples.
//!
//! `cargo run --release` in this folder.

#[path = "../../../../tests/rust/fingerprint/music.rs"]
mod music;

use std::time::Instant;

use audiofp::classical::{Wang as Peer, WangFingerprint};
use audiofp::matching::{Matcher, WangMatchConfig, WangMatcher};
use audiofp::{Fingerprinter, SampleRate};
use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::{Catalog, Extract, MatchOptions, Print, Profile, Wang};
use otolith::{Audio, Limits};

const TRACKS: u64 = 60;
const RATE: usize = 8_000;

fn own(samples: &[f32]) -> Print {
    Wang::default().extract(&Audio::new(vec![samples.to_vec()], RATE as u32, &Limits::default()).unwrap()).unwrap()
}

fn peer(samples: &[f32]) -> Option<WangFingerprint> {
    Peer::default().extract(samples, SampleRate::HZ_8000).ok()
}

fn main() {
    let tracks: Vec<Vec<f32>> = (0..TRACKS).map(|seed| music::music(2_000_000 + seed, 60.0, RATE as u32)).collect();
    // Alternating rounds, the same clip; the median of each and of their ratio.
    let clip = &tracks[0];
    let audio = Audio::new(vec![clip.clone()], RATE as u32, &Limits::default()).unwrap();
    let (mut own_times, mut peer_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..25 {
        let started = Instant::now();
        std::hint::black_box(Wang::default().extract(&audio).unwrap());
        let own_time = started.elapsed().as_secs_f64();
        let started = Instant::now();
        std::hint::black_box(peer(clip));
        let peer_time = started.elapsed().as_secs_f64();
        own_times.push(60.0 / own_time);
        peer_times.push(60.0 / peer_time);
        ratios.push(peer_time / own_time);
    }
    let quartiles = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        format!("{:.2} ({:.2}..{:.2})", values[values.len() / 2], values[values.len() / 4], values[3 * values.len() / 4])
    };
    println!(
        "extraction, times real time: otolith {}, audiofp {}, ratio {}",
        quartiles(own_times),
        quartiles(peer_times),
        quartiles(ratios)
    );

    let mut catalog = Catalog::new(Profile::Default);
    for (number, track) in tracks.iter().enumerate() {
        catalog.enrol(&number.to_string(), "null", &own(track), Replace::No).unwrap();
    }
    let references: Vec<WangFingerprint> = tracks.iter().map(|track| peer(track).unwrap()).collect();
    let matcher = WangMatcher::new(WangMatchConfig::default());
    let peer_finds = |clip: &[f32]| {
        let query = peer(clip)?;
        let scored = references.iter().enumerate().map(|(number, reference)| (number, matcher.match_one(&query, reference)));
        let best = scored.filter(|(_, found)| found.is_match).max_by(|a, b| a.1.score.total_cmp(&b.1.score))?;
        Some(best.0)
    };
    let own_finds =
        |clip: &[f32]| catalog.find(&own(clip), &MatchOptions::default()).unwrap().first().map(|hit| hit.id.parse::<usize>().unwrap());
    let conditions = [
        ("clean", 1.0, None),
        ("clean", 2.0, None),
        ("clean", 3.0, None),
        ("clean", 5.0, None),
        ("white noise", 5.0, Some(10.0)),
        ("white noise", 5.0, Some(5.0)),
        ("white noise", 5.0, Some(0.0)),
    ];
    for (name, seconds, snr) in conditions {
        let mut random = music::Random::new(5);
        let (mut own_hits, mut peer_hits) = (0, 0);
        for (number, track) in tracks.iter().enumerate() {
            let from = (random.next() * (60.0 - seconds) * RATE as f64) as usize;
            let clip = &track[from..from + (seconds * RATE as f64) as usize];
            let clip = snr.map_or_else(|| clip.to_vec(), |snr| music::with_white_noise(clip, snr, from as u64));
            own_hits += usize::from(own_finds(&clip) == Some(number));
            peer_hits += usize::from(peer_finds(&clip) == Some(number));
        }
        println!(
            "{name} {} {seconds} s: otolith {own_hits}/{TRACKS}, audiofp {peer_hits}/{TRACKS}",
            snr.map_or(String::new(), |snr| format!("{snr} dB"))
        );
    }
    let strangers: Vec<Vec<f32>> = (0..TRACKS).map(|seed| music::music(3_000_000 + seed, 10.0, RATE as u32)).collect();
    for seconds in [5, 10] {
        let own_hits = strangers.iter().filter(|stranger| own_finds(&stranger[..seconds * RATE]).is_some()).count();
        let peer_hits = strangers.iter().filter(|stranger| peer_finds(&stranger[..seconds * RATE]).is_some()).count();
        println!("strangers {seconds} s: otolith {own_hits}/{TRACKS} accepted, audiofp {peer_hits}/{TRACKS}");
    }
}
