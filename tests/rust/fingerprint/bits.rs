//! Haitsma and Kalker: bits against their definition in f64, and excerpts found by bit error rate.

use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::haitsma::SubFingerprint;
use otolith::fingerprint::{Algorithm, Catalog, Extract, Haitsma, Layer, MatchOptions, Print, Profile, Scheme};
use otolith::{Audio, Limits};

use super::music::{Random, music, with_white_noise};

const RATE: u32 = 11_025;

fn print(samples: &[f32]) -> Print {
    Haitsma::default().extract(&Audio::new(vec![samples.to_vec()], RATE, &Limits::default()).unwrap()).unwrap()
}

fn bits(samples: &[f32]) -> Vec<SubFingerprint> {
    let print = print(samples);
    let Layer::Bits(frames) = &print.layers()[0] else { panic!("no sub-fingerprints") };
    frames.clone()
}

/// Band energies of the frame that begins at sample `start`, by the sum of the discrete Fourier transform at the full rate: frames twice as
/// long every 128 samples have the same bins, and no filter is needed.
fn energies(samples: &[f32], start: usize) -> Vec<f64> {
    let length = 4_096;
    let frame: Vec<f64> = (0..length)
        .map(|n| {
            let window = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / length as f64).cos();
            window * f64::from(samples.get(start + n).copied().unwrap_or(0.0))
        })
        .collect();
    let edge = |band: usize| 300.0 * (2_000.0f64 / 300.0).powf(band as f64 / 33.0);
    let hertz = f64::from(RATE) / length as f64;
    let power = |bin: usize| {
        let step = std::f64::consts::TAU * bin as f64 / length as f64;
        let (mut re, mut im) = (0.0, 0.0);
        for (n, value) in frame.iter().enumerate() {
            re += value * (step * n as f64).cos();
            im -= value * (step * n as f64).sin();
        }
        re * re + im * im
    };
    (0..33)
        .map(|band| {
            let bins = (edge(band) / hertz).ceil() as usize..(edge(band + 1) / hertz).ceil() as usize;
            bins.map(power).sum()
        })
        .collect()
}

#[test]
fn bits_equal_the_definition_in_f64_where_the_margin_exceeds_a_thousandth() {
    let samples = music(3, 1.5, RATE);
    let found = bits(&samples);
    let mut compared = 0;
    for tick in [1usize, 20, 41, 60, 77] {
        let (before, now) = (energies(&samples, 128 * (tick - 1)), energies(&samples, 128 * tick));
        let total: f64 = now.iter().sum();
        for bit in 0..32 {
            let difference = (now[bit] - now[bit + 1]) - (before[bit] - before[bit + 1]);
            // The half-band filter is flat to 3e-4, in power 6e-4.
            if difference.abs() > 1e-3 * total {
                compared += 1;
                assert_eq!(found[tick].bits >> bit & 1 == 1, difference > 0.0, "tick {tick}, bit {bit}");
            }
        }
    }
    assert!(compared > 40, "{compared}");
}

#[test]
fn excerpts_of_any_phase_are_found_in_noise_and_strangers_are_not() {
    let mut catalog = Catalog::new(Scheme::new(Algorithm::Haitsma, Profile::Default).unwrap());
    let tracks: Vec<Vec<f32>> = (0..6).map(|seed| music(seed, 20.0, RATE)).collect();
    for (seed, track) in tracks.iter().enumerate() {
        catalog.enrol(&seed.to_string(), "null", &print(track), Replace::No).unwrap();
    }
    for (seed, track) in tracks.iter().enumerate() {
        let first = 30_011 + 7_919 * seed;
        let clip = with_white_noise(&track[first..first + 5 * RATE as usize], 12.0, seed as u64);
        let hits = catalog.find(&print(&clip), &MatchOptions::default()).unwrap();
        let best = hits.first().unwrap_or_else(|| panic!("track {seed} is not found"));
        let start = first as f64 / f64::from(RATE);
        assert!(best.id == seed.to_string() && (best.offset - start).abs() < 0.012, "{best:?} instead of {start}");
    }
    for seed in 0..6 {
        assert_eq!(catalog.find(&print(&music(4_000 + seed, 5.0, RATE)), &MatchOptions::default()).unwrap(), []);
    }
}

#[test]
fn unrelated_noise_disagrees_in_half_of_the_bits() {
    let noise = |seed| {
        let mut random = Random::new(seed);
        let samples: Vec<f32> = (0..20 * RATE).map(|_| (random.next() - 0.5) as f32).collect();
        bits(&samples)
    };
    let (a, b) = (noise(1), noise(2));
    let unequal: u32 = a.iter().zip(&b).map(|(a, b)| (a.bits ^ b.bits).count_ones()).sum();
    let rate = f64::from(unequal) / (32.0 * a.len() as f64);
    assert!((rate - 0.5).abs() < 0.02, "{rate}");
}

#[test]
fn silence_sets_no_bit_and_matches_nothing() {
    let mut catalog = Catalog::new(Scheme::new(Algorithm::Haitsma, Profile::Default).unwrap());
    let silence = print(&vec![0.0; 3 * RATE as usize]);
    assert_eq!(silence.hash_count(), 0);
    catalog.enrol("silence", "null", &silence, Replace::No).unwrap();
    catalog.enrol("music", "null", &print(&music(1, 10.0, RATE)), Replace::No).unwrap();
    assert_eq!(catalog.find(&silence, &MatchOptions::default()).unwrap(), []);
}
