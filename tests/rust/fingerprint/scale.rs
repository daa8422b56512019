//! Panako: music is found again at another tempo, pitch or speed, with the factors.

use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::{Algorithm, Catalog, Extract, MatchOptions, Mix, Panako, Print, Profile, Scheme};
use otolith::{Audio, Limits};

use super::music::{music, rendition};

const RATE: u32 = 16_000;

fn print(samples: Vec<f32>) -> Print {
    Panako::new(Mix::Mean).extract(&Audio::new(vec![samples], RATE, &Limits::default()).unwrap()).unwrap()
}

fn catalog(tracks: u64) -> Catalog {
    let mut catalog = Catalog::new(Scheme::new(Algorithm::Panako, Profile::Default).unwrap());
    for seed in 0..tracks {
        catalog.enrol(&seed.to_string(), "null", &print(music(seed, 30.0, RATE)), Replace::No).unwrap();
    }
    catalog
}

/// Ten seconds from `start` of the score.
fn excerpt(seed: u64, start: f64, tempo: f64, pitch: f64) -> Vec<f32> {
    rendition(seed, start..start + 10.0 * tempo, RATE, tempo, pitch)
}

#[test]
fn changed_music_is_found_with_its_factors_and_strangers_are_not() {
    let catalog = catalog(12);
    let changes = [(1.0, 1.0), (1.05, 1.0), (0.9, 1.0), (1.0, 1.1), (1.0, 0.95), (1.05, 1.05), (0.95, 0.95), (1.1, 1.1), (0.86, 0.86)];
    for (number, (tempo, pitch)) in changes.into_iter().enumerate() {
        for seed in [number as u64, (number as u64 + 5) % 12] {
            let hits = catalog.find(&print(excerpt(seed, 6.0, tempo, pitch)), &MatchOptions::default()).unwrap();
            let best = hits.first().unwrap_or_else(|| panic!("track {seed} at tempo {tempo}, pitch {pitch} is not found"));
            assert_eq!(best.id, seed.to_string(), "tempo {tempo}, pitch {pitch}");
            assert!((best.offset - 6.0).abs() < 0.05, "{} at tempo {tempo}, pitch {pitch}", best.offset);
            assert!((best.time_scale / tempo - 1.0).abs() < 0.005, "{} instead of {tempo}", best.time_scale);
            assert!((best.pitch_scale / pitch - 1.0).abs() < 0.01, "{} instead of {pitch}", best.pitch_scale);
        }
    }
    for seed in 0..4 {
        assert_eq!(catalog.find(&print(music(4_000 + seed, 10.0, RATE)), &MatchOptions::default()).unwrap(), []);
    }
}

#[test]
fn an_unchanged_excerpt_has_the_factors_1_within_two_thousandths() {
    let catalog = catalog(3);
    for seed in 0..3 {
        let hits = catalog.find(&print(excerpt(seed, 11.3, 1.0, 1.0)), &MatchOptions::default()).unwrap();
        assert!((hits[0].time_scale - 1.0).abs() <= 0.002 && (hits[0].pitch_scale - 1.0).abs() <= 0.002, "{:?}", hits[0]);
        assert!((hits[0].offset - 11.3).abs() <= 0.02, "{}", hits[0].offset);
    }
}

#[test]
fn what_lies_beyond_the_largest_change_is_not_looked_for() {
    let catalog = catalog(3);
    let changed = print(excerpt(1, 6.0, 1.1, 1.0));
    let within = |max_change| catalog.find(&changed, &MatchOptions { max_change, ..Default::default() }).unwrap();
    assert_eq!((within(0.16).len(), within(0.05).len()), (1, 0));
    for max_change in [-0.01, 0.26, f64::NAN] {
        let error = catalog.find(&changed, &MatchOptions { max_change, ..Default::default() }).unwrap_err();
        assert!(error.to_string().contains("maxChange"), "{error}");
    }
}

#[test]
fn options_have_the_names_of_the_package() {
    let options: MatchOptions =
        serde_json::from_str(r#"{ "maxChange": 0.2, "neighbours": "all", "minConfidence": 0.4, "perTrack": 2 }"#).unwrap();
    assert_eq!((options.max_change, options.min_confidence, options.per_track, options.top), (0.2, Some(0.4), 2, 5));
    assert_eq!(options.neighbours, otolith::fingerprint::matching::Neighbours::All);
}
