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
    let sound = rendition(seed, 30.0, RATE, tempo, pitch);
    let first = (start / tempo * f64::from(RATE)) as usize;
    sound[first..(first + 10 * RATE as usize).min(sound.len())].to_vec()
}

#[test]
fn changed_music_is_found_with_its_factors_and_strangers_are_not() {
    let catalog = catalog(12);
    let started = std::time::Instant::now();
    let changes = [
        (1.0, 1.0),
        (1.05, 1.0),
        (0.95, 1.0),
        (1.1, 1.0),
        (0.9, 1.0),
        (1.0, 1.05),
        (1.0, 0.95),
        (1.0, 1.1),
        (1.05, 1.05),
        (0.95, 0.95),
        (1.1, 1.1),
        (0.9, 0.9),
    ];
    let mut misses = Vec::new();
    for (number, (tempo, pitch)) in changes.into_iter().enumerate() {
        for seed in [number as u64, (number as u64 + 5) % 12] {
            let hits = catalog
                .find(&print(excerpt(seed, 6.0, tempo, pitch)), &MatchOptions { min_confidence: Some(0.0), ..Default::default() })
                .unwrap();
            let Some(best) = hits.first() else {
                misses.push((tempo, pitch, seed, None));
                continue;
            };
            println!(
                "{tempo} {pitch} {seed}: {} votes {} evidence {:.1} offset {:.3} scales {:.4} {:.4}",
                best.id, best.votes, best.evidence, best.offset, best.time_scale, best.pitch_scale
            );
            if best.id != seed.to_string() || (best.time_scale / tempo - 1.0).abs() > 0.005 || (best.pitch_scale / pitch - 1.0).abs() > 0.01
            {
                misses.push((tempo, pitch, seed, Some(best.evidence)));
            }
        }
    }
    println!("{:?}", started.elapsed());
    for seed in 0..8 {
        let hits = catalog
            .find(&print(music(4_000 + seed, 10.0, RATE)), &MatchOptions { min_confidence: Some(0.0), ..Default::default() })
            .unwrap();
        println!("stranger {seed}: {:?}", hits.first().map(|hit| (hit.votes, hit.evidence)));
    }
    assert!(misses.len() <= 1, "{misses:?}");
}
