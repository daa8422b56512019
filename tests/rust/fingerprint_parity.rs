//! Clips, the same samples on every machine, and the keys that the native build finds in them, for both builds to agree with.

#![allow(dead_code)] // each build compares a part of it

use std::collections::BTreeMap;

use otolith::fingerprint::{Algorithm, Extraction, Mix, Print, Profile, Recipe, Scheme};
use otolith::{Audio, Limits};

/// The rate that an algorithm works at, which it reads without resampling.
pub fn own_rate(algorithm: Algorithm) -> u32 {
    match algorithm {
        Algorithm::Wang | Algorithm::Neural => 8_000,
        Algorithm::Panako => 16_000,
        Algorithm::Haitsma => 11_025,
    }
}

/// 32 000 samples of six decaying sawtooth voices: quotients of small integers by a power of two, with no function that a machine could
/// round in its own way.
pub fn clip(seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let mut below = |count: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % count) as usize
    };
    let voices: Vec<(usize, usize)> = (0..6).map(|_| (7 + below(70), 1_500 + below(4_000))).collect();
    let value = |n: usize| {
        let of_voice = |(voice, &(period, length)): (usize, &(usize, usize))| {
            let decay = 8 - (n % length * 8 / length) as i32;
            let is_on = !(n / length + voice).is_multiple_of(3);
            if is_on { ((n % period) as i32 * 64 / period as i32 - 32) * decay } else { 0 }
        };
        voices.iter().enumerate().map(of_voice).sum::<i32>() as f32 / 2_048.0
    };
    (0..32_000).map(value).collect()
}

/// The print of a clip taken to be sound at `rate` hertz.
pub fn print(algorithm: Algorithm, seed: u64, rate: u32) -> Print {
    let audio = Audio::new(vec![clip(seed)], rate, &Limits::default()).unwrap();
    let scheme = Scheme::new(algorithm, Profile::Default).unwrap();
    Extraction::whole(Recipe { scheme, mix: Mix::Mean, silence: None }, &audio).unwrap()
}

/// CRC-32 of the prints of clips 0 to 7, by algorithm, and keys with their ticks of clip 0, by algorithm and rate.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Native {
    pub checksums: BTreeMap<String, Vec<u32>>,
    pub keys: BTreeMap<String, Vec<(u32, u32)>>,
}

impl Native {
    /// What this build finds.
    pub fn found() -> Self {
        let (mut checksums, mut keys) = (BTreeMap::new(), BTreeMap::new());
        for algorithm in Algorithm::WITHOUT_NETWORK {
            let rate = own_rate(algorithm);
            let of_clips = (0..8).map(|seed| crc32fast::hash(&print(algorithm, seed, rate).to_bytes())).collect();
            checksums.insert(algorithm.name().to_owned(), of_clips);
            for rate in [rate, 44_100, 48_000] {
                // A clip is 0.7 s long at 44.1 kHz, less than Panako reads.
                if algorithm == Algorithm::Panako && rate > 16_000 {
                    continue;
                }
                let references = print(algorithm, 0, rate).references(0);
                keys.insert(
                    format!("{} {rate}", algorithm.name()),
                    references.iter().map(|reference| (reference.key, reference.tick)).collect(),
                );
            }
        }
        Self { checksums, keys }
    }

    /// What the native build found when the algorithms' versions were set.
    pub fn stored() -> Self {
        serde_json::from_str(include_str!("../data/fingerprint_parity.json")).unwrap()
    }
}
