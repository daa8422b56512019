//! Neural fingerprints: the front end against numpy in f64, the network against onnxruntime, streams, bytes, and the catalogue.

use std::sync::Arc;

use otolith::error::Error;
use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::catalog::io::Machine;
use otolith::fingerprint::cells::{Cells, Pace};
use otolith::fingerprint::inspect::InspectOptions;
use otolith::fingerprint::neural::{MelFrontEnd, NeuralStream, STEP_SECONDS};
use otolith::fingerprint::{Algorithm, Catalog, Embedder, Extract, ExtractStream, Extraction, Layer, MatchOptions, Mix, Neural, Print};
use otolith::fingerprint::{Profile, Recipe, Scheme};
use otolith::model::{Entry, Manifest, NamedGraph};
use otolith::{Audio, Limits};

use super::music::{Random, music, with_white_noise};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/embedder/");
const RATE: u32 = 8_000;
const WINDOW: usize = 8_000;
const HOP: usize = 4_000;
/// Windows of a print for each of the reference, which lie `HOP` apart.
const PER_REFERENCE: usize = 2;

#[derive(serde::Deserialize)]
struct Reference {
    mels_of_window_1: Vec<Vec<f64>>,
    embeddings: Vec<Vec<f64>>,
}

fn reference() -> Reference {
    serde_json::from_str(&std::fs::read_to_string(format!("{FOLDER}reference.json")).unwrap()).unwrap()
}

fn entry() -> Entry {
    let json = std::fs::read_to_string(format!("{FOLDER}manifest.json")).unwrap();
    Manifest::parse(&json, "0.1.0").unwrap().models.remove(0)
}

fn load(entry: &Entry) -> otolith::Result<Embedder> {
    let bytes = std::fs::read(format!("{FOLDER}{}", entry.file.as_ref().unwrap())).unwrap();
    let graph = NamedGraph::load(entry, None, &bytes)?;
    let digest = graph.weight_hash().to_owned();
    Embedder::new(entry, &digest, Box::new(graph))
}

fn embedder() -> Arc<Embedder> {
    Arc::new(load(&entry()).unwrap())
}

/// The closed form of `reference_clip` in tools/embedder_export.py.
pub fn reference_clip() -> Vec<f32> {
    let turn = std::f64::consts::TAU;
    let value = |n: f64| {
        let swing = (n / 3_000.0).sin();
        let tones: f64 = [330.0, 495.0, 660.0, 1_234.0].iter().map(|f| 0.2 * (turn * f * n / 8_000.0 + swing).sin()).sum();
        tones + 0.1 * (n / 24_000.0) * (turn * 2_750.0 * n / 8_000.0).sin()
    };
    (0..3 * RATE).map(|n| value(f64::from(n)) as f32).collect()
}

pub fn audio(samples: &[f32], rate: u32) -> Audio {
    Audio::new(vec![samples.to_vec()], rate, &Limits::default()).unwrap()
}

pub fn scheme() -> Scheme {
    Scheme::new(Algorithm::Neural, Profile::Default).unwrap()
}

pub fn print(embedder: &Arc<Embedder>, samples: &[f32], rate: u32) -> Print {
    Neural::new(Arc::clone(embedder), Mix::Mean).extract(&audio(samples, rate)).unwrap()
}

pub fn values(print: &Print) -> &[i8] {
    let Layer::Embeddings(values) = &print.layers()[0] else { panic!("no embeddings") };
    values
}

/// The scheme whose catalogues keep every window.
fn dense() -> Scheme {
    Scheme::new(Algorithm::Neural, Profile::Dense).unwrap()
}

/// A print of embeddings as given, by a model of that name and digest digit.
pub fn synthetic(model: (&str, char), profile: Profile, embeddings: &[Vec<i8>]) -> Print {
    let json = serde_json::json!({
        "algorithm": "neural", "version": 1, "profile": profile.name(), "duration": 0.25 * (embeddings.len() as f64 + 3.0), "hashCount": 0,
        "peakCount": embeddings.len(), "warnings": [], "density": 0.0,
        "model": {
            "name": model.0, "version": "1.0.0", "sha256": model.1.to_string().repeat(64), "dimensions": embeddings.first().map_or(16, Vec::len),
        },
        "layers": [{ "peakCount": embeddings.len(), "embeddings": embeddings }],
    });
    Print::from_json(&json.to_string()).unwrap()
}

/// Stored embeddings that wander as those of music do: each near the one before.
fn wander(seed: u64, count: usize, dimensions: usize) -> Vec<Vec<i8>> {
    let mut random = Random::new(seed);
    let mut place: Vec<f64> = (0..dimensions).map(|_| random.next() - 0.5).collect();
    (0..count)
        .map(|_| {
            place.iter_mut().for_each(|value| *value = 0.8 * *value + 0.45 * (random.next() - 0.5));
            quantised(&place)
        })
        .collect()
}

fn quantised(values: &[f64]) -> Vec<i8> {
    let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    values.iter().map(|value| (127.0 * value / norm).round() as i8).collect()
}

/// The same with noise, at a cosine of about 0.8.
fn disturbed(embeddings: &[Vec<i8>], seed: u64) -> Vec<Vec<i8>> {
    let mut random = Random::new(seed);
    let mut one = |embedding: &Vec<i8>| {
        let spread = 127.0 * 2.6 / (embedding.len() as f64).sqrt();
        quantised(&embedding.iter().map(|&value| f64::from(value) + spread * (random.next() - 0.5)).collect::<Vec<_>>())
    };
    embeddings.iter().map(&mut one).collect()
}

#[test]
fn pictures_equal_the_reference_in_f64_to_a_ten_thousandth() {
    let clip = reference_clip();
    let mut mels = vec![0.0; 256 * 32];
    assert!(MelFrontEnd::new().unwrap().apply(&clip[HOP..HOP + WINDOW], &mut mels).unwrap());
    let mut worst = 0.0f64;
    for (row, band) in reference().mels_of_window_1.iter().zip((0..).step_by(8)) {
        for (expected, frame) in row.iter().zip((0..).step_by(4)) {
            worst = worst.max((f64::from(mels[band * 32 + frame]) - expected).abs());
        }
    }
    assert!(worst < 1e-4, "{worst}");
    assert!(mels.iter().copied().fold(f32::NEG_INFINITY, f32::max) == 1.0 && mels.iter().all(|value| (-1.0..=1.0).contains(value)));
}

#[test]
fn embeddings_equal_those_of_onnxruntime() {
    let (clip, embedder) = (reference_clip(), embedder());
    let plan = embedder.plan(5).unwrap();
    let mut front_end = MelFrontEnd::new().unwrap();
    let mut mels = vec![0.0; 5 * 256 * 32];
    for (window, mels) in mels.chunks_mut(256 * 32).enumerate() {
        front_end.apply(&clip[window * HOP..window * HOP + WINDOW], mels).unwrap();
    }
    let found = plan.run(&[&mels]).unwrap().remove(0);
    let stored = print(&embedder, &clip, RATE);
    let stored = values(&stored).chunks(16).step_by(PER_REFERENCE);
    for ((window, expected), stored) in reference().embeddings.iter().enumerate().zip(stored) {
        let found = &found[window * 16..(window + 1) * 16];
        let norm = expected.iter().map(|value| value * value).sum::<f64>().sqrt();
        for ((found, expected), stored) in found.iter().zip(expected).zip(stored) {
            assert!((f64::from(*found) - expected).abs() < 1e-3 * norm, "window {window}: {found} instead of {expected}");
            assert!((127.0 * expected / norm - f64::from(*stored)).abs() < 0.7, "window {window}: {stored} stored");
        }
    }
}

#[test]
fn streams_give_what_the_whole_gives_however_they_are_cut() {
    let embedder = embedder();
    for (rate, silence) in [(8_000, None), (44_100, None), (48_000, Some(-50.0))] {
        let mut samples = music(5, 9.3, rate);
        let quiet = 3 * rate as usize..6 * rate as usize;
        samples[quiet].iter_mut().for_each(|sample| *sample *= 1e-3);
        let recipe = Recipe { scheme: scheme(), mix: Mix::Mean, silence };
        let whole = Extraction::whole_with_embedder(recipe, &audio(&samples, rate), Arc::clone(&embedder)).unwrap();
        let rows: Vec<&[i8]> = values(&whole).chunks(16).collect();
        assert_eq!(rows.len(), 34, "windows of 9.3 s");
        let dropped = rows.iter().filter(|row| row.iter().all(|&value| value == 0)).count();
        assert_eq!(dropped > 0, silence.is_some(), "{dropped} windows of quiet");
        let mut random = Random::new(u64::from(rate));
        for round in 0..12 {
            let mut stream = NeuralStream::new(rate, silence, 16, &embedder).unwrap();
            let longest = [700.0, 5_000.0, 60_000.0][round % 3];
            let (mut rest, mut found) = (&samples[..], Vec::new());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(((random.next() * longest) as usize).min(rest.len()));
                found.extend(stream.push(piece).unwrap().to_vec());
                rest = behind;
            }
            found.extend(stream.flush().unwrap().to_vec());
            assert!(found.iter().zip(0..).all(|(timed, window)| timed.window == window), "rate {rate}, round {round}");
            assert!(found.iter().map(|timed| &timed.embedding[..]).eq(rows.iter().copied()), "rate {rate}, round {round}");
        }
    }
}

#[test]
fn batches_of_any_size_agree_within_rounding() {
    let (embedder, samples) = (embedder(), music(6, 4.0, RATE));
    let whole = print(&embedder, &samples, RATE);
    for batch in [1, 2, 5, 64] {
        let mut stream = Neural::new(Arc::clone(&embedder), Mix::Mean).with_batch(batch).stream(RATE).unwrap();
        let mut found = stream.push(&samples).unwrap().to_vec();
        found.extend(stream.flush().unwrap().to_vec());
        let found: Vec<i8> = found.into_iter().flat_map(|timed| timed.embedding).collect();
        assert_eq!(found.len(), values(&whole).len());
        assert!(found.iter().zip(values(&whole)).all(|(a, b)| (i32::from(*a) - i32::from(*b)).abs() <= 1), "batch {batch}");
    }
    for batch in [0, 65] {
        let refused = NeuralStream::new(RATE, None, batch, &embedder).map(|_| ()).unwrap_err();
        assert!(refused.kind() == "invalid-input" && refused.to_string().contains("1..64"), "{refused}");
    }
}

#[test]
fn a_stream_keeps_its_latency_its_place_behind_gaps_and_its_memory() {
    let embedder = embedder();
    for (rate, batch) in [(8_000u32, 1), (44_100, 3)] {
        let samples = music(8, 4.0, rate);
        let mut stream = NeuralStream::new(rate, None, batch, &embedder).unwrap();
        let latency = stream.latency() as f64 / f64::from(rate);
        // The window, those of the batch before it, and the resampler.
        let own = 1.0 + STEP_SECONDS * (batch as f64 - 1.0);
        assert!((own..own + if rate == RATE { 1e-9 } else { 0.25 }).contains(&latency), "{latency}");
        let mut given = 0;
        for (count, piece) in samples.chunks(512).enumerate() {
            given += stream.push(piece).unwrap().len();
            let now = (count * 512 + piece.len()) as f64 / f64::from(rate);
            // A window whose start lies further back than the latency has been given.
            let due = ((now - latency) / STEP_SECONDS).floor().max(-1.0) as i64 + 1;
            assert!(given as i64 > due - batch as i64, "{given} of {due} at {now} s");
        }
        let hole = u64::from(rate) * 100 + 37;
        let resumed = samples.len() as f64 / f64::from(rate) + hole as f64 / f64::from(rate);
        stream.gap(hole).unwrap();
        let mut after = stream.push(&samples).unwrap().to_vec();
        after.extend(stream.flush().unwrap().to_vec());
        let first = after[0].window as f64 * STEP_SECONDS;
        assert!((resumed - 1e-6..resumed + STEP_SECONDS).contains(&first), "{first} instead of {resumed}");
        assert!(after.windows(2).all(|pair| pair[1].window == pair[0].window + 1) && after.len() >= 6);
        let before = stream.state_bytes();
        for _ in 0..5 {
            stream.push(&samples).unwrap();
        }
        assert!(stream.state_bytes() <= before + before / 10, "{} after {before}", stream.state_bytes());
    }
}

#[test]
fn a_second_is_enough_less_is_too_short_and_silence_is_empty() {
    let embedder = embedder();
    let extractor = Neural::new(Arc::clone(&embedder), Mix::Mean);
    for rate in [8_000u32, 11_025, 44_100, 48_000, 96_000] {
        let second = print(&embedder, &music(1, 1.0, rate), rate);
        assert_eq!((values(&second).len(), second.hash_count()), (16, 1), "{rate} Hz");
        let short = extractor.extract(&audio(&vec![0.1; rate as usize - 1], rate)).unwrap_err();
        assert!(matches!(short, Error::TooShort { needed: 1.0, .. }), "{short}");
    }
    let silence = print(&embedder, &vec![0.0; 3 * RATE as usize], RATE);
    assert!(silence.hash_count() == 0 && silence.layers()[0].is_empty());
    let mut catalog = Catalog::new(scheme());
    catalog.enrol("silence", "null", &silence, Replace::No).unwrap();
    assert_eq!(catalog.find(&silence, &MatchOptions::default()).unwrap(), []);
    let without = Extraction::whole(Recipe { scheme: scheme(), mix: Mix::Mean, silence: None }, &audio(&music(1, 2.0, RATE), RATE));
    assert!(matches!(without.unwrap_err(), Error::ModelLoad { .. }));
}

#[test]
fn a_print_reads_back_and_damage_is_refused() {
    let print = print(&embedder(), &[vec![0.0; 2 * WINDOW], music(11, 2.0, RATE)].concat(), RATE);
    let bytes = print.to_bytes();
    assert_eq!(Print::from_bytes(&bytes).unwrap(), print);
    let json = print.to_json(InspectOptions { hashes: 3, peaks: usize::MAX }).unwrap();
    assert_eq!(Print::from_json(&json).unwrap().to_bytes(), bytes);
    let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((shown["model"]["name"].as_str(), shown["model"]["dimensions"].as_u64()), (Some("embedder-tiny"), Some(16)));
    assert_eq!(shown["layers"][0]["embeddings"][0].as_array().map(Vec::len), Some(0));
    for end in 0..bytes.len() {
        assert_eq!(Print::from_bytes(&bytes[..end]).unwrap_err().kind(), "invalid-input", "cut at {end}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Print::from_bytes(&flipped).unwrap_err().kind(), "invalid-input", "bit {bit}");
    }
    // With checksums that agree: any byte of the payload may be anything, and what is read must be a print.
    for at in 0..bytes.len() - 32 {
        for value in [0u8, 1, 127, 128, 255] {
            let mut payload = bytes[32..].to_vec();
            payload[at] = value;
            let header = otolith::header::Header::read(&bytes, *b"OTFP").unwrap().0.for_payload(&payload);
            let changed = [header.to_bytes().to_vec(), payload].concat();
            if let Ok(read) = Print::from_bytes(&changed) {
                assert_eq!(read.to_bytes(), changed, "byte {at} = {value}");
            }
        }
    }
}

#[test]
fn clips_are_found_in_noise_at_their_place_and_other_models_are_refused_by_name() {
    let embedder = embedder();
    let mut catalog = Catalog::new(scheme());
    let tracks: Vec<Vec<f32>> = (0..8).map(|seed| music(seed, 20.0, RATE)).collect();
    for (seed, track) in tracks.iter().enumerate() {
        catalog.enrol(&seed.to_string(), "null", &print(&embedder, track, RATE), Replace::No).unwrap();
    }
    let options = MatchOptions { min_confidence: Some(0.0), ..MatchOptions::default() };
    let mut found_in_noise = 0;
    for (seed, track) in tracks.iter().enumerate() {
        let first = HOP * (7 + seed);
        let clip = &track[first..first + 6 * RATE as usize];
        let hits = catalog.find(&print(&embedder, clip, RATE), &options).unwrap();
        let best = hits.first().unwrap_or_else(|| panic!("track {seed} is not found"));
        let start = first as f64 / f64::from(RATE);
        assert!(best.id == seed.to_string() && (best.offset - start).abs() < 1e-9, "{best:?} instead of {seed} from {start}");
        assert_eq!((best.votes, best.query_end, best.histogram.step), (11, 5.0, 2.0));
        // Between two windows that are kept: every second window of the query meets one.
        let between = first + HOP / 2;
        let hits = catalog.find(&print(&embedder, &track[between..between + 6 * RATE as usize], RATE), &options).unwrap();
        let start = between as f64 / f64::from(RATE);
        assert!(hits[0].id == seed.to_string() && (hits[0].offset - start).abs() < 1e-9, "{:?} instead of {seed} from {start}", hits[0]);
        assert_eq!((hits[0].votes, hits[0].query_start, hits[0].query_end), (10, 0.25, 4.75));
        let noisy = with_white_noise(&track[first + 300..first + 300 + 6 * RATE as usize], 15.0, seed as u64);
        let hits = catalog.find(&print(&embedder, &noisy, RATE), &options).unwrap();
        found_in_noise += usize::from(hits.first().is_some_and(|best| best.id == seed.to_string()));
    }
    // The network's weights are noise: much of what it hears, noise drowns.
    assert!(found_in_noise >= 6, "{found_in_noise} of 8");
    let other = synthetic(("stranger", 'b'), Profile::Default, &wander(1, 40, 16));
    let exported = Catalog::import(&catalog.export().unwrap()).unwrap();
    for catalog in [&mut catalog, &mut exported.clone()] {
        let told = catalog.enrol("other", "null", &other, Replace::No).unwrap_err().to_string();
        assert!(told.contains("stranger 1.0.0") && told.contains("embedder-tiny 1.0.0"), "{told}");
        assert_eq!(catalog.find(&other, &options).unwrap_err().kind(), "invalid-input");
    }
    assert_eq!(exported.find(&print(&embedder, &tracks[3], RATE), &options).unwrap()[0].id, "3");
    // An empty one takes the first model that comes.
    let mut empty = Catalog::new(scheme());
    empty.enrol("other", "null", &other, Replace::No).unwrap();
    assert!(empty.enrol("own", "null", &print(&embedder, &tracks[0], RATE), Replace::No).is_err());
    empty.compact().unwrap();
    assert_eq!(empty.find(&other, &options).unwrap()[0].id, "other");
    assert_eq!((empty.stats().postings, empty.stats().algorithm), (20, "neural"));
}

#[test]
fn wrong_models_are_refused_by_what_is_wrong() {
    let with = |key: &str, value: serde_json::Value| {
        let mut json = serde_json::to_value(entry()).unwrap();
        json["parameters"][key] = value;
        Entry::parse(&json.to_string(), "0.1.0").and_then(|entry| load(&entry).map(|_| ()))
    };
    for (key, value, told) in [
        ("dimensions", serde_json::json!(32), "[[1, 16]]"),
        ("dimensions", serde_json::json!(15), "16..2048"),
        ("dimensions", serde_json::json!(null), "16..2048"),
        ("n_fft", serde_json::json!(1024), "parameters.n_fft must be 2048"),
        ("hop", serde_json::json!(8000), "parameters.hop must be 4000"),
    ] {
        let error = with(key, value).unwrap_err();
        assert!(error.kind() == "model-load" && error.to_string().contains(told), "{key}: {error}");
    }
    let again = Entry::parse(&serde_json::to_string(&entry()).unwrap(), "0.1.0").unwrap();
    assert_eq!(again, entry());
}

#[test]
fn the_nearest_cells_hold_the_nearest_embedding() {
    let all: Vec<Vec<i8>> = (0..60).flat_map(|seed| wander(seed, 400, 64)).collect();
    let (mut steps, mut learnt) = (0, None);
    let mut machine = Machine::new(|io| async {
        let mut pace = Pace::new(async move || io.pause().await);
        let embeddings = || all.iter().map(Vec::as_slice);
        let cells = Cells::learn(all.len(), 64, embeddings(), &mut pace).await;
        let sorted = cells.sorted(embeddings(), &mut pace).await;
        (cells, sorted)
    });
    while learnt.is_none() {
        learnt = machine.step().unwrap().1;
        steps += 1;
    }
    drop(machine);
    let (cells, cells_of) = learnt.unwrap();
    assert!((300..=4_096).contains(&cells.count()), "{}", cells.count());
    // 24 000 embeddings, compared with half of some 600 centres and with those of the groups: 0.5 G products, in steps of 0.13 G.
    assert!(steps >= 4, "{steps} steps");
    let likeness = |a: &[i8], b: &[i8]| a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
    let queries: Vec<usize> = (0..all.len()).step_by(97).collect();
    let mut found = 0;
    for &number in &queries {
        let query = &disturbed(&all[number..number + 1], number as u64)[0];
        let nearest = (0..all.len()).max_by_key(|&other| likeness(query, &all[other])).unwrap();
        let probed = cells.probed(query);
        found += usize::from(cells_of[nearest].iter().any(|&cell| probed.contains(&usize::from(cell))));
    }
    let recall = found as f64 / queries.len() as f64;
    println!("recall@1 of 16 among {} cells: {recall:.4} of {} queries", cells.count(), queries.len());
    assert!(recall >= 0.98, "{recall}");
}

#[test]
fn a_catalogue_of_many_embeddings_finds_as_one_of_few_does() {
    let tracks: Vec<Vec<Vec<i8>>> = (0..56).map(|seed| wander(seed, 400, 32)).collect();
    let mut catalog = Catalog::new(dense());
    for (seed, track) in tracks.iter().enumerate() {
        catalog.enrol(&seed.to_string(), "null", &synthetic(("wander", 'a'), Profile::Dense, track), Replace::No).unwrap();
    }
    catalog.remove("3").unwrap();
    assert!(catalog.stats().postings - catalog.stats().dead_postings > 20_000);
    let options = MatchOptions { min_confidence: Some(0.0), ..MatchOptions::default() };
    for (seed, track) in tracks.iter().enumerate().step_by(5) {
        let clip = synthetic(("wander", 'a'), Profile::Dense, &disturbed(&track[40 + seed..50 + seed], seed as u64));
        let best = &catalog.find(&clip, &options).unwrap()[0];
        assert!(best.id == seed.to_string() && (best.offset - 0.25 * (40.0 + seed as f64)).abs() < 1e-9, "{best:?}");
    }
    let imported = Catalog::import(&catalog.export().unwrap()).unwrap();
    let clip = synthetic(("wander", 'a'), Profile::Dense, &tracks[9][100..104]);
    assert_eq!(imported.find(&clip, &options).unwrap()[0].id, "9");
    let removed = synthetic(("wander", 'a'), Profile::Dense, &tracks[3][100..120]);
    assert!(catalog.find(&removed, &options).unwrap().iter().all(|hit| hit.id != "3"));
}
