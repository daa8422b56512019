//! Hit rates and false accepts on generated music. Takes minutes, so it only runs when asked for:
//! `cargo test --test fingerprint evaluation -- --ignored --nocapture`. Each query becomes a line of JSON in the file that
//! `OTOLITH_EVALUATION` names, from which `tools/fingerprint_calibrate.py` fits the confidence table.

use std::io::Write as _;

use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::{Algorithm, Catalog, Extraction, MatchOptions, Mix, Print, Recipe, Scheme};
use otolith::{Audio, Limits};

use super::music::{Random, music, rendition, with_pink_noise, with_white_noise};

const RATE: u32 = 16_000;
const TRACKS: u64 = 60;
const TRACK_SECONDS: f64 = 60.0;
const STRANGERS: u64 = 800;
/// Excerpts of each track per condition.
const EXCERPTS: usize = 1;
/// Tracks that are also asked for at another tempo or pitch.
const CHANGED_TRACKS: u64 = 40;
/// Tempo and pitch, both over those of the track.
const CHANGES: [(f64, f64); 8] = [(0.84, 1.0), (0.95, 1.0), (1.1, 1.0), (1.0, 0.9), (1.0, 1.05), (0.9, 0.9), (1.05, 1.05), (1.16, 1.16)];

fn print(samples: &[f32], scheme: Scheme) -> Print {
    let audio = Audio::new(vec![samples.to_vec()], RATE, &Limits::default()).unwrap();
    Extraction::whole(Recipe { scheme, mix: Mix::Mean, silence: None }, &audio).unwrap()
}

/// The schemes that `OTOLITH_ALGORITHM` names, all that need no network by default.
fn schemes() -> Vec<Scheme> {
    let wanted = std::env::var("OTOLITH_ALGORITHM").ok();
    let without_network = Scheme::all().filter(|scheme| scheme.algorithm() != Algorithm::Neural);
    without_network.filter(|scheme| wanted.as_ref().is_none_or(|wanted| name(*scheme) == *wanted)).collect()
}

fn name(scheme: Scheme) -> String {
    format!("{} {}", scheme.algorithm().name(), scheme.profile().name())
}

/// The 95 % Wilson interval of a share, in percent.
fn wilson(hits: usize, of: usize) -> (f64, f64) {
    let (n, p, z) = (of as f64, hits as f64 / of as f64, 1.959_964);
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    (100.0 * (middle - half), 100.0 * (middle + half))
}

fn evaluate(split: &str, first_seed: u64) {
    let mut lines =
        std::env::var_os("OTOLITH_EVALUATION").map(|path| std::fs::File::options().create(true).append(true).open(path).unwrap());
    let tracks: Vec<Vec<f32>> = (0..TRACKS).map(|track| music(first_seed + track, TRACK_SECONDS, RATE)).collect();
    let strangers: Vec<Vec<f32>> = (0..STRANGERS).map(|track| music(first_seed + 100_000 + track, 10.0, RATE)).collect();
    type Degrade = fn(&[f32], u64) -> Vec<f32>;
    let conditions: [(&str, f64, Degrade); 9] = [
        ("clean 1 s", 1.0, |clip, _| clip.to_vec()),
        ("clean 2 s", 2.0, |clip, _| clip.to_vec()),
        ("clean 5 s", 5.0, |clip, _| clip.to_vec()),
        ("white 5 dB 5 s", 5.0, |clip, seed| with_white_noise(clip, 5.0, seed)),
        ("white 0 dB 5 s", 5.0, |clip, seed| with_white_noise(clip, 0.0, seed)),
        ("white -5 dB 5 s", 5.0, |clip, seed| with_white_noise(clip, -5.0, seed)),
        ("pink 5 dB 5 s", 5.0, |clip, seed| with_pink_noise(clip, 5.0, seed)),
        ("pink 0 dB 5 s", 5.0, |clip, seed| with_pink_noise(clip, 0.0, seed)),
        ("white 0 dB 2 s", 2.0, |clip, seed| with_white_noise(clip, 0.0, seed)),
    ];
    let options = MatchOptions { top: 1, min_confidence: Some(0.0), ..MatchOptions::default() };
    let changed: Vec<(usize, String, f64, Vec<f32>)> = (0..CHANGED_TRACKS)
        .flat_map(|track| CHANGES.map(|(tempo, pitch)| (track, tempo, pitch)))
        .map(|(track, tempo, pitch)| {
            let start = 20.0 + track as f64 / 2.0;
            let clip = rendition(first_seed + track, start..start + 10.0 * tempo, RATE, tempo, pitch);
            (track as usize, format!("tempo {tempo} pitch {pitch} 10 s"), start, clip)
        })
        .collect();
    for scheme in schemes() {
        let default_minimum = otolith::fingerprint::confidence::default_minimum(scheme);
        let name = name(scheme);
        let mut catalog = Catalog::new(scheme);
        for (number, track) in tracks.iter().enumerate() {
            catalog.enrol(&number.to_string(), "null", &print(track, scheme), Replace::No).unwrap();
        }
        let mut ask = |condition: &str, clip: &[f32], truth: Option<(usize, f64)>| {
            let started = std::time::Instant::now();
            let query = print(clip, scheme);
            let extracted = started.elapsed();
            let hit = catalog.find(&query, &options).unwrap().into_iter().next();
            let found = started.elapsed() - extracted;
            let error = hit.as_ref().zip(truth).map(|(hit, (_, start))| hit.offset - start);
            let is_right = hit
                .as_ref()
                .zip(truth)
                .is_some_and(|(hit, (track, start))| hit.id == track.to_string() && (hit.offset - start).abs() <= 0.1);
            let (evidence, confidence, votes) = hit.map_or((f64::NEG_INFINITY, 0.0, 0), |hit| (hit.evidence, hit.confidence, hit.votes));
            if let Some(lines) = &mut lines {
                let line = serde_json::json!({
                    "split": split,
                    "scheme": name,
                    "condition": condition,
                    "stranger": truth.is_none(),
                    "right": is_right,
                    "evidence": evidence.is_finite().then_some(evidence),
                    "votes": votes,
                    "milliseconds": found.as_secs_f64() * 1e3,
                });
                lines.write_all(format!("{line}\n").as_bytes()).unwrap();
            }
            (is_right, confidence >= default_minimum, error)
        };
        for (condition, seconds, degrade) in conditions {
            let mut random = Random::new(first_seed + 17);
            let mut hits = 0;
            let mut errors = Vec::new();
            for (number, track) in tracks.iter().enumerate() {
                for _ in 0..EXCERPTS {
                    let start = random.next() * (TRACK_SECONDS - seconds);
                    let first = (start * f64::from(RATE)) as usize;
                    let start = first as f64 / f64::from(RATE);
                    let clip = degrade(&track[first..first + (seconds * f64::from(RATE)) as usize], first as u64);
                    let (is_right, is_accepted, error) = ask(condition, &clip, Some((number, start)));
                    if is_right && is_accepted {
                        hits += 1;
                        errors.extend(error.map(f64::abs));
                    }
                }
            }
            errors.sort_by(f64::total_cmp);
            let of = EXCERPTS * tracks.len();
            let (low, high) = wilson(hits, of);
            let at = |share: f64| errors.get((share * errors.len() as f64) as usize).map_or(f64::NAN, |error| error * 1e3);
            println!(
                "{split} {name} {condition}: {hits}/{of} = {:.1} % ({low:.1}..{high:.1}), offset error median {:.1} ms, 95 % {:.1} ms",
                100.0 * hits as f64 / of as f64,
                at(0.5),
                at(0.95)
            );
        }
        if scheme.algorithm() == Algorithm::Panako {
            for (tempo, pitch) in CHANGES {
                let name = format!("tempo {tempo} pitch {pitch} 10 s");
                let of_change = changed.iter().filter(|(_, condition, ..)| *condition == name);
                let right = of_change.filter(|(track, condition, start, clip)| {
                    let (is_right, is_accepted, _) = ask(condition, clip, Some((*track, *start)));
                    is_right && is_accepted
                });
                println!("{split} {name}: {}/{CHANGED_TRACKS}", right.count());
            }
        }
        for seconds in [1.0, 5.0, 10.0] {
            let frames = (seconds * f64::from(RATE)) as usize;
            let accepted = strangers.iter().filter(|stranger| ask(&format!("stranger {seconds} s"), &stranger[..frames], None).1).count();
            let (low, high) = wilson(accepted, strangers.len());
            println!("{split} {name} strangers {seconds} s: {accepted}/{} accepted ({low:.2}..{high:.2} %)", strangers.len());
        }
        println!("{split} {name} {:?}", catalog.stats().bytes as f64 / catalog.stats().postings as f64);
    }
}

#[test]
#[ignore = "minutes of generated music: asked for when figures are wanted"]
fn evaluation_on_the_development_split() {
    evaluate("development", 0);
}

#[test]
#[ignore = "minutes of generated music: asked for when figures are wanted"]
fn evaluation_on_the_held_out_split() {
    evaluate("held-out", 1_000_000);
}
