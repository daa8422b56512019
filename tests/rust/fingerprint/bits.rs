//! Haitsma and Kalker: bits against their definition in f64, and excerpts found by bit error rate.

use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::haitsma::SubFingerprint;
use otolith::fingerprint::{Algorithm, Catalog, Extract, Haitsma, Layer, MatchOptions, Print, Profile, Scheme};
use otolith::{Audio, Limits};

use super::music::{Random, music, with_white_noise};

const RATE: u32 = 11_025;

fn print(samples: &[f32]) -> Print {
    print_of(samples, RATE, Profile::Default)
}

fn print_of(samples: &[f32], rate: u32, profile: Profile) -> Print {
    let audio = Audio::new(vec![samples.to_vec()], rate, &Limits::default()).unwrap();
    Haitsma::default().with_profile(profile).extract(&audio).unwrap()
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

#[test]
fn the_profile_of_the_paper_has_every_frame_as_a_key_and_needs_256_of_them() {
    let track = music(1, 20.0, RATE);
    let reference = print_of(&track, RATE, Profile::Paper);
    assert!(reference.hash_count() > 19 * print(&track).hash_count() / 10);
    let mut catalog = Catalog::new(Profile::Paper);
    catalog.enrol("1", "null", &reference, Replace::No).unwrap();
    catalog.enrol("2", "null", &print_of(&music(2, 20.0, RATE), RATE, Profile::Paper), Replace::No).unwrap();
    let ask = |seconds: f64| {
        let first = 50_003;
        let clip = with_white_noise(&track[first..first + (seconds * f64::from(RATE)) as usize], 15.0, 1);
        catalog.find(&print_of(&clip, RATE, Profile::Paper), &MatchOptions::default()).unwrap()
    };
    // The 256th frame begins 255 * 64 samples at 5 512.5 Hz, 2.96 s, behind the start; silence follows the sound.
    assert_eq!(ask(2.9), []);
    let [only] = &ask(4.0)[..] else { panic!("not found") };
    assert!(only.id == "1" && (only.offset - 50_003.0 / f64::from(RATE)).abs() < 0.012, "{only:?}");
}

#[test]
fn an_excerpt_is_found_among_the_bits_that_audiofp_wrote() {
    // 20 s of `music(2_000_000, ..)` by audiofp 0.4.5 itself: benches/peers/audiofp/src/bin/blob.rs.
    let blob = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/audiofp/haitsma.bin")).unwrap();
    let rate = 10_000;
    let mut catalog = Catalog::new(Profile::FiveKilohertz);
    catalog.enrol("ours", "{}", &print_of(&music(2_000_001, 20.0, rate), rate, Profile::FiveKilohertz), Replace::No).unwrap();
    catalog.enrol_audiofp("theirs", "{}", &blob, Replace::No).unwrap();
    let track = music(2_000_000, 20.0, rate);
    let clip = &track[6 * rate as usize..11 * rate as usize];
    let hits = catalog.find(&print_of(clip, rate, Profile::FiveKilohertz), &MatchOptions::default()).unwrap();
    let [only] = &hits[..] else { panic!("{hits:?}") };
    assert!(only.id == "theirs" && (only.offset - 6.0).abs() <= 0.0128, "{only:?}");
    // The same frames of the same sound: what differs are rounding and the filters before the halving of the rate.
    let own = print_of(&track, rate, Profile::FiveKilohertz);
    let Layer::Bits(frames) = &own.layers()[0] else { panic!("no bits") };
    let theirs = blob[18..].chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()).reverse_bits());
    let (mut unequal, mut all) = (0, 0);
    for (frame, theirs) in frames[1..].iter().zip(theirs) {
        unequal += (frame.bits ^ theirs).count_ones();
        all += 32;
    }
    assert!(f64::from(unequal) < 0.02 * f64::from(all), "{unequal} of {all}");
}

#[test]
fn a_profile_of_another_algorithm_is_refused_naming_its_own() {
    for (algorithm, profile, owner) in [
        (Algorithm::Wang, Profile::Paper, "haitsma"),
        (Algorithm::Haitsma, Profile::Dense, "wang"),
        (Algorithm::Panako, Profile::FiveKilohertz, "haitsma"),
    ] {
        let error = Scheme::new(algorithm, profile).unwrap_err();
        assert!(error.kind() == "invalid-input" && error.to_string().contains(owner), "{error}");
    }
}
