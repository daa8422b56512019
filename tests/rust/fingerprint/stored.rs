//! Prints and catalogues as bytes and JSON: round trips, damage, other versions.

use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::inspect::{InspectOptions, inspect_bytes};
use otolith::fingerprint::landmark::Fields;
use otolith::fingerprint::wire::{equal_constant_time, hamming_constant_time};
use otolith::fingerprint::{Catalog, Extract, Mix, Print, Profile, Wang};
use otolith::{Audio, Limits};
use proptest::prelude::*;

use super::music::music;

fn print(seed: u64, seconds: f64, profile: Profile) -> Print {
    let channels = vec![music(seed, seconds, 8_000), music(seed + 1, seconds, 8_000)];
    Wang::new(profile, Mix::Each).extract(&Audio::new(channels, 8_000, &Limits::default()).unwrap()).unwrap()
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::new(Profile::Default);
    for seed in 0..3 {
        catalog.enrol(&format!("song {seed}"), &format!("{{\"seed\": {seed}}}"), &print(seed, 3.0, Profile::Default), Replace::No).unwrap();
    }
    catalog
}

/// Sets a byte of the header and makes its checksum agree again.
fn with_header_byte(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] = value;
    let checksum = crc32fast::hash(&changed[..28]);
    changed[28..32].copy_from_slice(&checksum.to_le_bytes());
    changed
}

/// Asserts that the call fails with a typed error that names a byte.
fn is_refused<T>(result: otolith::Result<T>, what: &str) {
    let Err(error) = result else { panic!("{what} is accepted") };
    assert!(error.kind() == "invalid-input" && error.to_string().contains("byte"), "{what}: {error}");
}

#[test]
fn a_print_reads_back_from_its_bytes_and_from_its_full_json() {
    for profile in [Profile::Default, Profile::Dense, Profile::Large] {
        let print = print(11, 5.0, profile);
        assert_eq!(Print::from_bytes(&print.to_bytes()).unwrap(), print);
        let json = print.to_json(InspectOptions { hashes: 3, peaks: usize::MAX }).unwrap();
        assert_eq!(Print::from_json(&json).unwrap().to_bytes(), print.to_bytes());
        let shortened = print.to_json(InspectOptions { hashes: 0, peaks: 5 }).unwrap();
        assert_eq!(Print::from_json(&shortened).unwrap_err().kind(), "invalid-input");
    }
}

#[test]
fn a_catalogue_reads_back_to_the_same_bytes_and_shows_its_figures() {
    let catalog = catalog();
    let bytes = catalog.export().unwrap();
    let read = Catalog::import(&bytes).unwrap();
    assert_eq!(read.export().unwrap(), bytes);
    assert!(read.ids().eq(["song 0", "song 1", "song 2"]));
    let stats: serde_json::Value = serde_json::from_str(&inspect_bytes(&bytes, InspectOptions::default()).unwrap()).unwrap();
    assert_eq!((stats["tracks"].as_u64(), stats["seconds"].as_f64()), (Some(3), Some(9.0)));
    let empty = Catalog::new(Profile::Large);
    assert!(Catalog::import(&empty.export().unwrap()).unwrap().is_empty());
}

#[test]
fn every_cut_of_a_print_and_of_a_catalogue_is_refused_naming_the_byte() {
    let print = print(12, 1.0, Profile::Default).to_bytes();
    for end in 0..print.len() {
        is_refused(Print::from_bytes(&print[..end]), &format!("a print cut at {end}"));
    }
    let catalog = catalog().export().unwrap();
    for end in 0..catalog.len() {
        is_refused(Catalog::import(&catalog[..end]), &format!("a catalogue cut at {end}"));
    }
}

#[test]
fn every_flipped_bit_of_a_print_and_of_a_catalogue_is_refused_naming_the_byte() {
    let print = print(13, 1.0, Profile::Default).to_bytes();
    for bit in 0..print.len() * 8 {
        let mut flipped = print.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        is_refused(Print::from_bytes(&flipped), &format!("a print with bit {bit} flipped"));
    }
    let catalog = catalog().export().unwrap();
    for bit in (0..catalog.len() * 8).step_by(7) {
        let mut flipped = catalog.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        is_refused(Catalog::import(&flipped), &format!("a catalogue with bit {bit} flipped"));
    }
}

#[test]
fn other_kinds_algorithms_versions_and_profiles_are_refused_by_name() {
    let bytes = print(14, 1.0, Profile::Default).to_bytes();
    for (at, value, named) in [(4, 9, "9"), (6, 5, "catalogue"), (7, 9, "9"), (8, 77, "77"), (10, 200, "200"), (12, 1, "parameters")] {
        let error = Print::from_bytes(&with_header_byte(&bytes, at, value)).unwrap_err();
        assert!(error.kind() == "invalid-input" && error.to_string().contains(named), "byte {at}: {error}");
    }
    is_refused(Catalog::import(&bytes), "a print as a catalogue");
    is_refused(Print::from_bytes(&catalog().export().unwrap()), "a catalogue as a print");
}

#[test]
fn a_catalogue_whose_checksums_agree_but_whose_content_does_not_is_refused() {
    let bytes = catalog().export().unwrap();
    // The first record holds the counts of tracks, parts and postings.
    for (field, value) in [(0, u32::MAX), (0, 2), (4, u32::MAX), (4, 5), (8, u32::MAX), (8, 1), (12, 1), (12, u32::MAX)] {
        let mut changed = bytes.clone();
        changed[40 + field..44 + field].copy_from_slice(&value.to_le_bytes());
        let checksum = crc32fast::hash(&changed[40..56]);
        changed[36..40].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Catalog::import(&changed).unwrap_err().kind(), "invalid-input", "field {field} = {value}");
    }
}

#[test]
fn a_print_that_announces_more_than_it_holds_takes_no_memory_for_it() {
    let mut payload = 1.0f64.to_le_bytes().to_vec();
    payload.extend_from_slice(&0u32.to_le_bytes());
    payload.extend_from_slice(&1u32.to_le_bytes());
    payload.extend_from_slice(&u32::MAX.to_le_bytes());
    is_refused(Print::from_bytes(&print_with(&payload)), "a print of 2^32 - 1 peaks");
}

#[test]
fn peaks_that_no_picker_gives_are_refused() {
    let layer = |peaks: &[(u32, u16, u16)]| {
        let mut payload = 1.0f64.to_le_bytes().to_vec();
        payload.extend_from_slice(&0u32.to_le_bytes());
        payload.extend_from_slice(&1u32.to_le_bytes());
        payload.extend_from_slice(&(peaks.len() as u32).to_le_bytes());
        for (t, f, level) in peaks {
            payload.extend_from_slice(&t.to_le_bytes());
            payload.extend_from_slice(&f.to_le_bytes());
            payload.extend_from_slice(&level.to_le_bytes());
        }
        Print::from_bytes(&print_with(&payload))
    };
    assert!(layer(&[(8, 800, 30_000), (16, 900, 30_000)]).is_ok());
    is_refused(layer(&[(16, 800, 30_000), (8, 900, 30_000)]), "peaks out of order");
    is_refused(layer(&[(8, 8, 30_000)]), "a peak below the lowest bin");
    is_refused(layer(&[(8, 65_535, 30_000)]), "a peak above the highest bin");
    is_refused(layer(&[(8, 800, u16::MAX)]), "a level that is no number");
    is_refused(layer(&[(8, 800, 30_000); 25]), "25 peaks at once");
}

/// A print with a header that fits `payload`.
fn print_with(payload: &[u8]) -> Vec<u8> {
    static HEADER: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| print(15, 1.0, Profile::Default).to_bytes()[..32].to_vec());
    let mut bytes = HEADER.clone();
    bytes[16..24].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes[24..28].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    let mut bytes = with_header_byte(&bytes, 0, b'O');
    bytes.extend_from_slice(payload);
    bytes
}

proptest! {
    #[test]
    fn random_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Print::from_bytes(&bytes).is_err());
        prop_assert!(Catalog::import(&bytes).is_err());
    }

    #[test]
    fn random_content_behind_a_good_header_is_refused_without_a_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        // Zero layers and unknown warnings make all but 2^-60 of these invalid.
        prop_assert!(Print::from_bytes(&print_with(&payload)).is_err());
    }

    #[test]
    fn fields_in_range_survive_packing_and_others_are_refused(
        anchor_bin in 0u16..700, bin_step in -100i16..100, frame_step in 0u16..100, context in 0u16..1500
    ) {
        let fields = Fields { anchor_bin, bin_step, frame_step, context };
        let fits = anchor_bin < 512 && (-64..=63).contains(&bin_step) && frame_step < 64 && context < 1024;
        match fields.pack() {
            Some(hash) => prop_assert_eq!((true, Fields::unpack(hash)), (fits, fields)),
            None => prop_assert!(!fits),
        }
    }

    #[test]
    fn every_hash_packs_back_to_itself(hash in any::<u32>()) {
        prop_assert_eq!(Fields::unpack(hash).pack(), Some(hash));
    }

    #[test]
    fn constant_time_comparisons_equal_the_plain_ones(a in prop::collection::vec(any::<u8>(), 0..40), b in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(equal_constant_time(&a, &b), a == b);
        prop_assert!(equal_constant_time(&a, &a.clone()));
        let bits = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| u64::from((a ^ b).count_ones())).sum::<u64>();
        prop_assert_eq!(hamming_constant_time(&a, &b), (a.len() == b.len()).then(|| bits(&a, &b)));
    }
}
