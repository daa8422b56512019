//! The shipped embedder: its numbers against onnxruntime's, clips that it finds, strangers that it turns away, and the lines that its
//! confidence is fitted on.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;

use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::{Algorithm, Catalog, Embedder, MatchOptions, Print, Profile, Scheme};
use otolith::model::{Manifest, NamedGraph};

use super::music::{music, with_pink_noise};
use super::neural::{print, reference_clip, scheme, synthetic, values};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const RATE: u32 = 8_000;
const DIMENSIONS: usize = 128;
/// Tracks of the small catalogue that the confidence is fitted on, beside one of all: strangers pass more easily where there are few rivals.
const FEW_TRACKS: usize = 15;

fn embedder() -> Arc<Embedder> {
    let json = std::fs::read_to_string(format!("{ROOT}/models/manifest.json")).unwrap();
    let models = Manifest::parse(&json, env!("CARGO_PKG_VERSION")).unwrap().models;
    let entry = models.into_iter().find(|entry| entry.name == "embedder").unwrap();
    let bytes = std::fs::read(format!("{ROOT}/models/{}", entry.file.as_ref().unwrap())).unwrap();
    let graph = NamedGraph::load(&entry, None, &bytes).unwrap();
    let digest = graph.weight_hash().to_owned();
    Arc::new(Embedder::new(&entry, &digest, Box::new(graph)).unwrap())
}

#[derive(serde::Deserialize)]
struct Reference {
    embeddings: Vec<Vec<f64>>,
}

#[test]
fn the_shipped_embedder_gives_what_onnxruntime_gives() {
    let json = std::fs::read_to_string(format!("{ROOT}/tests/data/models/embedder-1.0.0.json")).unwrap();
    let Reference { embeddings } = serde_json::from_str(&json).unwrap();
    let stored = print(&embedder(), &reference_clip(), RATE);
    assert_eq!((embeddings.len(), values(&stored).len()), (5, 9 * DIMENSIONS));
    // A print has a window between each two of the reference.
    for (expected, found) in embeddings.iter().zip(values(&stored).chunks(DIMENSIONS).step_by(2)) {
        let norm = expected.iter().map(|value| value * value).sum::<f64>().sqrt();
        for (expected, found) in expected.iter().zip(found) {
            assert!((127.0 * expected / norm - f64::from(*found)).abs() < 0.6, "{found} stored, {} expected", 127.0 * expected / norm);
        }
    }
}

#[test]
fn short_clips_are_found_and_strangers_are_not() {
    const TRACKS: u64 = 24;
    let embedder = embedder();
    let tracks: Vec<Vec<f32>> = (0..TRACKS).map(|seed| music(7_000_000 + seed, 16.0, RATE)).collect();
    let mut catalog = Catalog::new(scheme());
    for (number, track) in tracks.iter().enumerate() {
        catalog.enrol(&number.to_string(), "null", &print(&embedder, track, RATE), Replace::No).unwrap();
    }
    let ask = |clip: &[f32]| {
        let hits = catalog.find(&print(&embedder, clip, RATE), &MatchOptions::default()).unwrap();
        hits.into_iter().next().map(|hit| hit.id)
    };
    let (mut found, mut wrong, mut strangers) = ([0; 4], 0, 0);
    for (number, track) in tracks.iter().enumerate() {
        let mut count = |clip: &[f32], condition: usize| match ask(clip) {
            Some(id) if id == number.to_string() => found[condition] += 1,
            Some(_) => wrong += 1,
            None => {}
        };
        for seconds in 1..=3 {
            // Off the windows' grid by 0.15 s.
            let first = 8_000 * (2 + number % 7) + 1_234;
            count(&track[first..first + 8_000 * seconds], seconds - 1);
        }
        count(&with_pink_noise(&track[40_000..64_000], 5.0, number as u64), 3);
        let stranger = music(8_000_000 + number as u64, 3.0, RATE);
        strangers += [1, 2, 3].into_iter().filter(|seconds| ask(&stranger[..8_000 * seconds]).is_some()).count();
    }
    println!("found at 1, 2, 3 s and 3 s in noise: {found:?} of {TRACKS}; strangers taken for tracks: {strangers} of {}", 3 * TRACKS);
    // All tracks have the same four voices and drums: a second of one is not told from a second of another.
    assert!(found[1] >= 6 && found[2] >= 14 && found[3] >= 22, "{found:?}");
    assert_eq!((wrong, strangers), (0, 0));
}

#[derive(serde::Deserialize)]
struct Line {
    split: String,
    role: String,
    track: i64,
    condition: String,
    kind: String,
    embeddings: Vec<String>,
}

impl Line {
    fn print(&self, profile: Profile) -> Print {
        let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap().cast_signed();
        let rows: Vec<Vec<i8>> = self.embeddings.iter().map(|row| row.as_bytes().chunks(2).map(byte).collect()).collect();
        synthetic(("embedder", 'e'), profile, &rows)
    }
}

#[test]
#[ignore = "reads what tools/embedder_queries.py writes: asked for when the confidence is fitted"]
fn confidence_of_the_shipped_embedder() {
    let source = std::env::var_os("OTOLITH_EMBEDDINGS").expect("OTOLITH_EMBEDDINGS must name the file");
    let mut out = std::fs::File::create(std::env::var_os("OTOLITH_EVALUATION").expect("OTOLITH_EVALUATION must name a file")).unwrap();
    let lines = std::io::BufReader::new(std::fs::File::open(source).unwrap()).lines();
    let lines: Vec<Line> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let options = MatchOptions { top: 1, min_confidence: Some(0.0), ..MatchOptions::default() };
    let splits = ["development", "held-out"].into_iter();
    for (split, profile) in splits.flat_map(|split| [(split, Profile::Default), (split, Profile::Dense)]) {
        let own = || lines.iter().filter(|line| line.split == split);
        let scheme = Scheme::new(Algorithm::Neural, profile).unwrap();
        let mut catalogs = [Catalog::new(scheme), Catalog::new(scheme)];
        for line in own().filter(|line| line.role == "track") {
            let number = line.track as usize;
            for catalog in catalogs.iter_mut().take(if number < FEW_TRACKS { 2 } else { 1 }) {
                catalog.enrol(&number.to_string(), "null", &line.print(profile), Replace::No).unwrap();
            }
        }
        for line in own().filter(|line| line.role != "track") {
            let query = line.print(profile);
            // What has no pitch sounds alike, piece by piece: the same clicks and drums. It is told apart, and no table is fitted on it.
            let kind = if line.kind == "band" || line.kind == "quiet" { "" } else { ", clicks and drums" };
            let scheme = format!("neural {}{kind}", profile.name());
            for (catalog, tracks) in catalogs.iter().zip(["120 tracks", "15 tracks"]) {
                if line.role == "excerpt" && !catalog.has(&line.track.to_string()) {
                    continue;
                }
                let hit = catalog.find(&query, &options).unwrap().into_iter().next();
                let written = serde_json::json!({
                    "split": split, "scheme": scheme, "condition": format!("{}, {tracks}", line.condition), "stranger": line.role == "stranger",
                    "right": hit.as_ref().is_some_and(|hit| hit.id == line.track.to_string()), "evidence": hit.map(|hit| hit.evidence),
                });
                writeln!(out, "{written}").unwrap();
            }
        }
    }
}
