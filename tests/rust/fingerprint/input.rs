//! Odd and bad input.

use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::{Catalog, Extract, ExtractStream, MatchOptions, Mix, Profile, Wang, Warning};
use otolith::{Audio, Error, Limits};

use super::music::music;

fn audio(channels: Vec<Vec<f32>>, rate: u32) -> Audio {
    Audio::new(channels, rate, &Limits::default()).unwrap()
}

#[test]
fn sound_shorter_than_half_a_second_is_too_short_naming_the_minimum() {
    for frames in [0, 1, 127, 1_023, 1_024, 3_999] {
        let error = Wang::default().extract(&audio(vec![vec![0.1; frames]], 8_000)).unwrap_err();
        assert!(matches!(error, Error::TooShort { needed: 0.5, .. }), "{frames} frames: {error}");
    }
    assert!(Wang::default().extract(&audio(vec![vec![0.1; 4_000]], 8_000)).is_ok());
    assert!(Wang::default().extract(&audio(vec![vec![0.1; 22_050]], 44_100)).is_ok());
}

#[test]
fn silence_has_an_empty_print_that_matches_nothing() {
    let mut catalog = Catalog::new(Profile::Default);
    catalog.enrol("music", "null", &Wang::default().extract(&audio(vec![music(1, 20.0, 8_000)], 8_000)).unwrap(), Replace::No).unwrap();
    for level in [0.0, 1e-6] {
        let print = Wang::default().extract(&audio(vec![vec![level; 80_000]], 8_000)).unwrap();
        assert_eq!((print.layers()[0].is_empty(), print.hash_count()), (true, 0));
        assert_eq!(catalog.find(&print, &MatchOptions::default()).unwrap(), []);
        catalog.enrol("silence", "null", &print, Replace::Yes).unwrap();
    }
    assert_eq!(catalog.len(), 2);
}

#[test]
fn steady_tones_square_waves_and_impulses_match_no_music() {
    let mut catalog = Catalog::new(Profile::Default);
    for seed in 0..4 {
        let print = Wang::default().extract(&audio(vec![music(seed, 20.0, 8_000)], 8_000)).unwrap();
        catalog.enrol(&seed.to_string(), "null", &print, Replace::No).unwrap();
    }
    let frames = 40_000;
    let tone =
        |frequency: f64| (0..frames).map(move |n| (std::f64::consts::TAU * frequency * f64::from(n) / 8_000.0).sin() as f32).collect();
    let square = (0..frames).map(|n| if n / 20 % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let impulses = (0..frames).map(|n| if n % 4_000 == 0 { 1.0 } else { 0.0 }).collect();
    let largest = (0..frames).map(|n| if n % 7 == 0 { f32::MAX } else { -f32::MAX }).collect();
    let smallest = vec![f32::from_bits(1); frames as usize];
    let sounds: [Vec<f32>; 6] = [tone(1_000.0), tone(997.3), square, impulses, largest, smallest];
    for (number, sound) in sounds.into_iter().enumerate() {
        let print = Wang::default().extract(&audio(vec![sound], 8_000)).unwrap();
        assert_eq!(catalog.find(&print, &MatchOptions::default()).unwrap(), [], "sound {number}");
    }
}

#[test]
fn every_rate_and_channel_count_gives_a_print_that_is_found() {
    let mut catalog = Catalog::new(Profile::Default);
    let sound = music(2, 8.0, 44_100);
    catalog.enrol("music", "null", &Wang::default().extract(&audio(vec![sound.clone()], 44_100)).unwrap(), Replace::No).unwrap();
    for (channels, rate) in [(1, 8_000), (2, 11_025), (3, 16_000), (4, 22_050), (5, 32_000), (6, 48_000), (7, 96_000), (8, 192_000)] {
        let sound = otolith::audio::resample::resample(&sound, 44_100, rate).unwrap();
        let from = 2 * rate as usize;
        let clip = audio(vec![sound[from..from + 4 * rate as usize].to_vec(); channels], rate);
        let hits = catalog.find(&Wang::default().extract(&clip).unwrap(), &MatchOptions::default()).unwrap();
        assert!(hits.first().is_some_and(|hit| (hit.offset - 2.0).abs() <= 0.02), "{channels} channels at {rate} Hz: {hits:?}");
    }
}

#[test]
fn cancelling_channels_are_told_and_found_by_the_other_mixes() {
    let sound = music(3, 8.0, 8_000);
    let inverted: Vec<f32> = sound.iter().map(|sample| -0.97 * sample).collect();
    let stereo = audio(vec![sound.clone(), inverted], 8_000);
    let extract = |mix| Wang::new(Profile::Default, mix).extract(&stereo).unwrap();
    assert_eq!(extract(Mix::Mean).warnings(), [Warning::ChannelsCancel]);
    assert_eq!(extract(Mix::Each).warnings(), []);
    let mut catalog = Catalog::new(Profile::Default);
    catalog.enrol("music", "null", &Wang::default().extract(&audio(vec![sound], 8_000)).unwrap(), Replace::No).unwrap();
    for mix in [Mix::Each, Mix::MidSide] {
        let print = extract(mix);
        assert_eq!(print.layers().len(), 2);
        assert_eq!(catalog.find(&print, &MatchOptions::default()).unwrap()[0].id, "music", "{mix:?}");
    }
    let in_phase = audio(vec![music(3, 2.0, 8_000); 2], 8_000);
    assert_eq!(Wang::default().extract(&in_phase).unwrap().warnings(), []);
}

#[test]
fn mid_side_of_anything_but_stereo_is_refused() {
    for channels in [1, 3, 8] {
        let sound = audio(vec![vec![0.0; 8_000]; channels], 8_000);
        let error = Wang::new(Profile::Default, Mix::MidSide).extract(&sound).unwrap_err();
        assert!(error.kind() == "invalid-input" && error.to_string().contains(&format!("got {channels}")), "{error}");
    }
}

#[test]
fn a_stream_of_a_rate_out_of_range_is_refused() {
    for rate in [0, 7_999, 192_001] {
        assert_eq!(Wang::default().stream(rate).err().unwrap().kind(), "invalid-input");
    }
    assert!(Wang::default().stream(192_000).unwrap().push(&[]).is_ok());
}

#[test]
fn a_gain_of_a_power_of_two_changes_no_hash() {
    let sound = music(4, 6.0, 8_000);
    let hashes = |gain: f32| {
        let scaled = sound.iter().map(|sample| sample * gain).collect();
        let print = Wang::default().extract(&audio(vec![scaled], 8_000)).unwrap();
        otolith::fingerprint::landmark::reference_landmarks(print.layers()[0].peaks(), Profile::Default)
    };
    let loud = hashes(1.0);
    for gain in [0.5, 2.0, 8.0] {
        let kept = hashes(gain).iter().filter(|landmark| loud.contains(landmark)).count();
        // Peaks near the floor come and go with the level; what is strong enough to be stored does not.
        assert!(kept * 1_000 >= loud.len() * 995, "gain {gain}: {kept} of {}", loud.len());
    }
}
