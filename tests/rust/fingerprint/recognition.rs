//! Excerpts are found again, strangers are not.

use otolith::fingerprint::MatchOptions;
use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::{Catalog, Extract, Mix, Print, Profile, Wang};
use otolith::{Audio, Limits};

use super::music::{music, with_white_noise};

const RATE: u32 = 8_000;

fn print(samples: &[f32], rate: u32, profile: Profile) -> Print {
    let audio = Audio::new(vec![samples.to_vec()], rate, &Limits::default()).unwrap();
    Wang::new(profile, Mix::Mean).extract(&audio).unwrap()
}

#[test]
fn an_excerpt_is_found_with_its_offset_and_a_stranger_is_not() {
    for profile in [Profile::Default, Profile::Dense, Profile::Large] {
        let mut catalog = Catalog::new(profile);
        let tracks: Vec<Vec<f32>> = (0..6).map(|seed| music(seed, 20.0, RATE)).collect();
        for (seed, track) in tracks.iter().enumerate() {
            catalog.enrol(&format!("song-{seed}"), &format!("{{\"seed\":{seed}}}"), &print(track, RATE, profile), Replace::No).unwrap();
        }
        for (seed, track) in tracks.iter().enumerate() {
            let start = 4.0 + seed as f64 * 0.731;
            let first = (start * f64::from(RATE)) as usize;
            let clip = with_white_noise(&track[first..first + 5 * RATE as usize], 10.0, 99 + seed as u64);
            let hits = catalog.find(&print(&clip, RATE, profile), &MatchOptions::default()).unwrap();
            let best = hits.first().unwrap_or_else(|| panic!("{profile:?}: song {seed} is not found"));
            assert_eq!(best.id, format!("song-{seed}"));
            assert!((best.offset - start).abs() <= 0.020, "{} instead of {start}", best.offset);
        }
        let stranger = print(&music(4_000, 5.0, RATE), RATE, profile);
        assert_eq!(catalog.find(&stranger, &MatchOptions::default()).unwrap(), []);
    }
}

#[test]
fn an_excerpt_is_found_among_the_landmarks_that_audiofp_wrote() {
    // 20 s of `music(2_000_000, ..)` by audiofp 0.4.5 itself: benches/peers/audiofp/src/bin/blob.rs.
    let blob = include_bytes!("../../data/audiofp/wang.bin");
    let mut catalog = Catalog::new(Profile::Default);
    catalog.enrol("ours", "{}", &print(&music(2_000_001, 20.0, RATE), RATE, Profile::Default), Replace::No).unwrap();
    catalog.enrol_audiofp("theirs", "{}", blob, Replace::No).unwrap();
    let track = music(2_000_000, 20.0, RATE);
    let clip = &track[6 * RATE as usize..11 * RATE as usize];
    let hits = catalog.find(&print(clip, RATE, Profile::Default), &MatchOptions::default()).unwrap();
    let [only] = hits.as_slice() else { panic!("{hits:?}") };
    assert_eq!(only.id, "theirs");
    // audiofp counts a frame from its first sample, as is done here; peaks are its own, to a frame of 16 ms.
    assert!((only.offset - 6.0).abs() <= 0.032, "{}", only.offset);
}
