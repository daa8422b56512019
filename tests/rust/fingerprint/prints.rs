//! Prints of every algorithm: bytes, damage, odd sounds, gain, and the bits as they have always been.

use otolith::fingerprint::inspect::InspectOptions;
use otolith::fingerprint::{Algorithm, Catalog, Extraction, Layer, MatchOptions, Mix, Print, Profile, Recipe, Scheme};
use otolith::{Audio, Error, Limits};
use proptest::prelude::*;

use super::music::music;
use super::parity::Native;

fn schemes() -> Vec<Scheme> {
    Scheme::all().filter(|scheme| scheme.algorithm() != Algorithm::Neural).collect()
}

fn extract(scheme: Scheme, channels: Vec<Vec<f32>>, rate: u32) -> otolith::Result<Print> {
    let audio = Audio::new(channels, rate, &Limits::default()).unwrap();
    Extraction::whole(Recipe { scheme, mix: Mix::Mean, silence: None }, &audio)
}

fn print(scheme: Scheme, samples: Vec<f32>, rate: u32) -> Print {
    extract(scheme, vec![samples], rate).unwrap()
}

#[test]
fn a_print_reads_back_from_its_bytes_and_from_its_full_json() {
    for scheme in schemes() {
        let print = print(scheme, music(11, 5.0, 16_000), 16_000);
        assert!(print.hash_count() > 100);
        assert_eq!(Print::from_bytes(&print.to_bytes()).unwrap(), print);
        let json = print.to_json(InspectOptions { hashes: 3, peaks: usize::MAX }).unwrap();
        assert_eq!(Print::from_json(&json).unwrap().to_bytes(), print.to_bytes(), "{scheme:?}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (value["hashCount"].as_u64().unwrap() as usize, value["layers"][0]["hashes"].as_array().unwrap().len()),
            (print.hash_count(), 3)
        );
        let shortened = print.to_json(InspectOptions { hashes: 0, peaks: 5 }).unwrap();
        assert_eq!(Print::from_json(&shortened).unwrap_err().kind(), "invalid-input");
    }
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused_naming_the_byte() {
    for scheme in schemes().into_iter().skip(3) {
        let bytes = print(scheme, music(12, 1.2, 16_000), 16_000).to_bytes();
        let is_refused = |bytes: &[u8]| {
            let error = Print::from_bytes(bytes).unwrap_err();
            assert!(error.kind() == "invalid-input" && error.to_string().contains("byte"), "{error}");
        };
        (0..bytes.len()).for_each(|length| is_refused(&bytes[..length]));
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << (place % 8);
            is_refused(&changed);
        }
    }
}

/// A print of this payload behind a header that fits it.
fn with_payload(scheme: Scheme, payload: &[u8]) -> Vec<u8> {
    let mut bytes = print(scheme, vec![0.0; 16_000], 16_000).to_bytes()[..32].to_vec();
    bytes[16..24].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes[24..28].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..28]);
    bytes[28..32].copy_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The start of a payload: one layer of `count` entries.
fn one_layer(count: u32) -> Vec<u8> {
    [&1.0f64.to_le_bytes()[..], &0u32.to_le_bytes(), &1u32.to_le_bytes(), &count.to_le_bytes()].concat()
}

proptest! {
    #[test]
    fn random_entries_behind_a_good_header_are_refused_or_can_be_asked_for(entries in prop::collection::vec(any::<u64>(), 0..60)) {
        for scheme in schemes().into_iter().skip(3) {
            let mut payload = one_layer(entries.len() as u32);
            entries.iter().for_each(|entry| payload.extend_from_slice(&entry.to_le_bytes()));
            if let Ok(print) = Print::from_bytes(&with_payload(scheme, &payload)) {
                prop_assert_eq!(Catalog::new(scheme).find(&print, &MatchOptions::default()).unwrap(), []);
            }
        }
    }
}

#[test]
fn entries_that_no_extractor_gives_are_refused() {
    let peak = |t: u32, f: u16, level: u16| [&t.to_le_bytes()[..], &f.to_le_bytes(), &level.to_le_bytes()].concat();
    let panako = Scheme::new(Algorithm::Panako, Profile::Default).unwrap();
    let haitsma = Scheme::new(Algorithm::Haitsma, Profile::Default).unwrap();
    let refused = |scheme, entries: &[Vec<u8>], word: &str| {
        let payload = [one_layer(entries.len() as u32), entries.concat()].concat();
        let error = Print::from_bytes(&with_payload(scheme, &payload)).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    };
    refused(panako, &[peak(0, 8 * 512 + 4, 20_000)], "bin");
    refused(panako, &[peak(0, 100, u16::MAX)], "level");
    refused(panako, &[peak(9, 100, 20_000), peak(8, 100, 20_000)], "earlier");
    refused(panako, &(0..22).map(|n| peak(n, 100, 20_000)).collect::<Vec<_>>(), "among more than 21");
    refused(haitsma, &[[&7u32.to_le_bytes()[..], &u32::MAX.to_le_bytes()].concat()], "32 weak bits");
    refused(haitsma, &[[&0u32.to_le_bytes()[..], &255u32.to_le_bytes()].concat()], "8 weak bits");
    for scheme in [panako, haitsma] {
        let error = Print::from_bytes(&with_payload(scheme, &one_layer(u32::MAX))).unwrap_err();
        assert!(error.to_string().contains("4294967295 entries"), "{error}");
    }
}

#[test]
fn another_profile_than_default_is_refused_but_for_wang() {
    for algorithm in [Algorithm::Panako, Algorithm::Haitsma] {
        let error = Scheme::new(algorithm, Profile::Dense).unwrap_err();
        assert!(error.kind() == "invalid-input" && error.to_string().contains("dense"), "{error}");
    }
}

#[test]
fn prints_of_two_algorithms_do_not_mix() {
    let mut catalog = Catalog::new(Scheme::new(Algorithm::Panako, Profile::Default).unwrap());
    let haitsma = print(Scheme::new(Algorithm::Haitsma, Profile::Default).unwrap(), music(1, 2.0, 8_000), 8_000);
    let error = catalog.enrol("a", "null", &haitsma, Default::default()).unwrap_err();
    assert!(error.to_string().contains("haitsma") && error.to_string().contains("panako"), "{error}");
    assert_eq!(catalog.find(&haitsma, &MatchOptions::default()).unwrap_err().kind(), "invalid-input");
}

#[test]
fn too_short_a_sound_is_refused_naming_the_minimum() {
    for scheme in schemes() {
        let needed = scheme.min_duration();
        let error = extract(scheme, vec![vec![0.1; (needed * 8_000.0) as usize - 1]], 8_000).unwrap_err();
        assert!(matches!(error, Error::TooShort { needed: least, .. } if least == needed), "{error}");
        assert!(extract(scheme, vec![vec![0.1; (needed * 8_000.0).ceil() as usize]], 8_000).is_ok());
        for frames in [0, 1] {
            assert_eq!(extract(scheme, vec![vec![0.1; frames]], 8_000).unwrap_err().kind(), "too-short");
        }
    }
}

#[test]
fn odd_sounds_match_no_music() {
    let frames = 40_000u32;
    let tone = |hertz: f64| (0..frames).map(move |n| (std::f64::consts::TAU * hertz * f64::from(n) / 8_000.0).sin() as f32).collect();
    let sounds: [Vec<f32>; 7] = [
        tone(1_000.0),
        tone(997.3),
        vec![0.7; frames as usize],
        (0..frames).map(|n| if n / 20 % 2 == 0 { 1.0 } else { -1.0 }).collect(),
        (0..frames).map(|n| if n % 4_000 == 0 { 1.0 } else { 0.0 }).collect(),
        (0..frames).map(|n| if n % 7 == 0 { 1e18 } else { -1e18 }).collect(),
        vec![f32::from_bits(1); frames as usize],
    ];
    for scheme in schemes().into_iter().skip(3) {
        let mut catalog = Catalog::new(scheme);
        for seed in 0..4 {
            catalog.enrol(&seed.to_string(), "null", &print(scheme, music(seed, 20.0, 8_000), 8_000), Default::default()).unwrap();
        }
        for (number, sound) in sounds.iter().enumerate() {
            assert_eq!(
                catalog.find(&print(scheme, sound.clone(), 8_000), &MatchOptions::default()).unwrap(),
                [],
                "{scheme:?}, sound {number}"
            );
        }
    }
}

#[test]
fn every_rate_and_channel_count_gives_a_print_that_is_found() {
    let sound = music(2, 9.0, 44_100);
    for scheme in schemes().into_iter().skip(3) {
        let mut catalog = Catalog::new(scheme);
        catalog.enrol("music", "null", &print(scheme, sound.clone(), 44_100), Default::default()).unwrap();
        for (channels, rate) in [(1, 8_000), (2, 16_000), (5, 32_000), (8, 192_000)] {
            let sound = otolith::audio::resample::resample(&sound, 44_100, rate).unwrap();
            let clip = vec![sound[2 * rate as usize..8 * rate as usize].to_vec(); channels];
            let hits = catalog.find(&extract(scheme, clip, rate).unwrap(), &MatchOptions::default()).unwrap();
            assert!(
                hits.first().is_some_and(|hit| (hit.offset - 2.0).abs() <= 0.02),
                "{scheme:?}, {channels} channels at {rate} Hz: {hits:?}"
            );
        }
    }
}

#[test]
fn a_gain_of_a_power_of_two_changes_nothing_above_the_floor() {
    let sound = music(4, 6.0, 16_000);
    for scheme in schemes().into_iter().skip(3) {
        let loud = print(scheme, sound.clone(), 16_000);
        for gain in [0.5, 2.0, 8.0] {
            let changed = print(scheme, sound.iter().map(|sample| sample * gain).collect(), 16_000);
            match (&loud.layers()[0], &changed.layers()[0]) {
                (Layer::Bits(loud), Layer::Bits(changed)) => assert_eq!(loud, changed, "gain {gain}"),
                _ => {
                    let (loud, changed) = (loud.references(0), changed.references(0));
                    let kept = changed.iter().filter(|reference| loud.contains(reference)).count();
                    assert!(kept * 1_000 >= loud.len() * 995, "gain {gain}: {kept} of {}", loud.len());
                }
            }
        }
    }
}

#[test]
fn the_bits_are_those_of_the_version_that_the_name_says() {
    // A change of any bit needs a new version of the algorithm; then `OTOLITH_PARITY` names the file to write the new ones to.
    let found = Native::found();
    if let Some(path) = std::env::var_os("OTOLITH_PARITY") {
        std::fs::write(path, serde_json::to_string(&found).unwrap() + "\n").unwrap();
    }
    let stored = Native::stored();
    assert_eq!(found.checksums, stored.checksums);
    assert_eq!(found.keys, stored.keys);
    assert!(stored.keys.values().map(Vec::len).sum::<usize>() > 300);
}
