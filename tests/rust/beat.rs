//! Beats of generated music against its truth, of bad input, and of a recording where one is found.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's failure, in its helpers too

mod beat_input;
mod beat_material;
mod beat_metrics;
#[cfg(feature = "neural")]
mod beat_models;
#[cfg(feature = "neural")]
mod beat_network;
#[cfg(feature = "neural")]
mod beat_network_bars;
mod beat_parity;
#[cfg(feature = "neural")]
mod beat_shipped;
mod beat_stream;

use beat_material::{Piece, RATE, Recipe, evaluation_set, play};
use otolith::beat::{BeatConfig, BeatTrack, BeatTracker};
use otolith::{Audio, Limits};

/// Folder of recordings beside the project; tests on them are skipped where it is absent.
const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/audio");

fn track(samples: &[f32]) -> BeatTrack {
    let audio = Audio::new(vec![samples.to_vec()], RATE, &Limits::default()).unwrap();
    BeatTracker::new(BeatConfig::default()).unwrap().track(&audio).unwrap()
}

fn report(piece: &Piece, found: &BeatTrack) -> String {
    let scores = beat_metrics::evaluate(&piece.beats, &found.beats);
    let bars = beat_metrics::evaluate(&piece.downbeats, &found.downbeats);
    format!(
        "{:30} F {:.3} CMLt {:.3} AMLt {:.3} | {:6.2} -> {:6.2} bpm, confidence {:.2} | meter {} -> {}, F {:.2}",
        piece.name,
        scores.f,
        scores.cml_t,
        scores.aml_t,
        piece.bpm,
        found.tempo.bpm.unwrap_or(0.0),
        found.tempo.confidence,
        piece.beats_per_bar,
        found.meter.map_or(0, |meter| meter.beats_per_bar),
        bars.f,
    )
}

#[test]
fn generated_music_reaches_the_bars() {
    let pieces = evaluation_set();
    let (mut f, mut cml_t) = (0.0, 0.0);
    let (mut barred, mut bars_f) = (0, 0.0);
    for piece in &pieces {
        let found = track(&piece.samples);
        println!("{}", report(piece, &found));
        let scores = beat_metrics::evaluate(&piece.beats, &found.beats);
        f += scores.f;
        cml_t += scores.cml_t;
        if scores.cml_t > 0.9 {
            let tempo = found.tempo.bpm.unwrap();
            assert!((tempo / piece.bpm - 1.0).abs() < 0.002, "{}: {tempo} beats per minute, not {}", piece.name, piece.bpm);
            assert_eq!(found.tempo.steady, !piece.is_ramp, "{}: steady", piece.name);
        }
        if found.meter.is_some() {
            barred += 1;
            bars_f += beat_metrics::evaluate(&piece.downbeats, &found.downbeats).f;
        }
    }
    let count = pieces.len() as f64;
    let (f, cml_t, bars_f) = (f / count, cml_t / count, bars_f / f64::from(barred));
    println!("{count} pieces: mean F {f:.4}, mean CMLt {cml_t:.4}; {barred} with bars, mean downbeat F {bars_f:.4}");
    assert!(f >= 0.97 && cml_t >= 0.90, "mean F {f:.4}, mean CMLt {cml_t:.4}");
    assert!(barred >= 10 && bars_f >= 0.90, "{barred} pieces with bars, mean downbeat F {bars_f:.4}");
}

#[test]
fn a_tempo_that_sways_by_a_tenth_is_followed() {
    let pieces = beat_material::rubato_set();
    let (mut f, mut aml_t) = (0.0, 0.0);
    for piece in &pieces {
        let found = track(&piece.samples);
        println!("{}", report(piece, &found));
        let scores = beat_metrics::evaluate(&piece.beats, &found.beats);
        f += scores.f / pieces.len() as f64;
        aml_t += scores.aml_t / pieces.len() as f64;
    }
    println!("mean F {f:.4}, mean AMLt {aml_t:.4}");
    assert!(f >= 0.90, "mean F {f:.4}");
}

/// Writes the evaluation set as WAV and JSON for `tools/evaluate_beats.py`, and pieces from other seeds for `tools/beat_comb.py`.
#[test]
#[ignore = "writes files into the folder that OTOLITH_BEAT_SET names"]
fn write_the_pieces_for_other_tools() {
    let folder = std::path::PathBuf::from(std::env::var("OTOLITH_BEAT_SET").expect("OTOLITH_BEAT_SET names the folder to write into"));
    let write = |prefix: &str, piece: &Piece| {
        let name = format!("{prefix}_{}", piece.name.replace(' ', "_"));
        let bytes = otolith::audio::wav::encode_wav(std::slice::from_ref(&piece.samples), RATE, otolith::audio::wav::SampleFormat::Float32);
        std::fs::write(folder.join(format!("{name}.wav")), bytes.unwrap().bytes).unwrap();
        let downbeats = (!piece.downbeats.is_empty()).then_some(&piece.downbeats);
        let group = piece.name.trim_end_matches(|end: char| end.is_ascii_digit() || end == '.').trim_end();
        let truth = serde_json::json!({ "beats": piece.beats, "downbeats": downbeats, "bpm": piece.bpm, "group": group });
        std::fs::write(folder.join(format!("{name}.json")), truth.to_string()).unwrap();
    };
    evaluation_set().iter().chain(&beat_material::rubato_set()).for_each(|piece| write("evaluation", piece));
    beat_material::training_set().iter().for_each(|piece| write("training", piece));
}

#[test]
fn off_beats_as_loud_as_beats_leave_the_octave_open() {
    let even = Recipe { bpm: (80.0, 80.0), off_beats: 2.0, ..Recipe::default() };
    let found = track(&play("80 with loud off-beats", even, 31).samples);
    let tempo = found.tempo;
    let (bpm, other) = (tempo.bpm.unwrap(), tempo.alternatives[0].bpm);
    assert!((bpm - 80.0).abs() < 0.2 && (other - 160.0).abs() < 0.4, "{tempo:?}");
    assert!(tempo.confidence <= 0.6, "{tempo:?}");
}

#[test]
fn a_tempo_step_is_unsteady_and_its_range_names_both_tempos() {
    let slow = beat_material::clicks(90.0, 1);
    let fast = beat_material::clicks(130.0, 2);
    let found = track(&[slow.samples, fast.samples].concat()).tempo;
    let (low, high) = found.range.unwrap();
    assert!(!found.steady);
    assert!((low / 90.0 - 1.0).abs() < 0.02 && (high / 130.0 - 1.0).abs() < 0.02, "{low}..{high}");
}

#[test]
fn the_phase_and_the_tempo_give_the_beats_back() {
    let piece = beat_material::clicks(104.0, 3);
    let tempo = track(&piece.samples).tempo;
    let period = 60.0 / tempo.bpm.unwrap();
    for beat in piece.beats {
        let offset = (beat - tempo.phase) / period;
        assert!((offset - offset.round()).abs() * period < 0.006, "beat at {beat} s is {offset} periods from the phase");
    }
}

#[test]
fn clicks_on_the_beats_found_give_the_beats_back_within_5_ms() {
    use otolith::beat::click_track::{Mix, click_track};
    let piece = play("band", Recipe { chords: true, bpm: (112.0, 112.0), ..Recipe::default() }, 5);
    let audio = Audio::new(vec![piece.samples.clone(); 2], RATE, &Limits::default()).unwrap();
    let tracker = BeatTracker::new(BeatConfig::default()).unwrap();
    let found = tracker.track(&audio).unwrap();
    let clicks = click_track(&found.beats, &found.downbeats, &audio, -6.0, Mix::Alone).unwrap();
    assert_eq!((clicks.channels().len(), clicks.frames()), (1, audio.frames()));
    let again = tracker.track(&clicks).unwrap();
    assert_eq!(again.beats.len(), found.beats.len());
    // Not the first: out of digital silence there is no level yet to compare with, and the edge of its window already counts.
    for (before, after) in found.beats.iter().zip(&again.beats).skip(1) {
        assert!((before - after).abs() < 0.005, "{before} became {after}");
    }
    let over = click_track(&found.beats, &found.downbeats, &audio, -6.0, Mix::Over).unwrap();
    assert_eq!(over.channels().len(), 2);
    assert_eq!(click_track(&found.beats, &[], &audio, 1.0, Mix::Over).unwrap_err().kind(), "invalid-input");
}

#[test]
fn outfoxing_the_fox_is_at_160_beats_per_minute() {
    let Ok(bytes) = std::fs::read(format!("{RECORDINGS}/outfoxing.mp3")) else {
        println!("skipped: there is no folder of recordings beside the project (../shared/audio)");
        return;
    };
    let decoded = otolith::audio::decode::decode(bytes, "outfoxing.mp3", Limits::default()).unwrap();
    let tempo = BeatTracker::new(BeatConfig::default()).unwrap().track(&decoded.audio).unwrap().tempo;
    let bpm = tempo.bpm.unwrap();
    let near = |bpm: f64, wanted: f64| (bpm / wanted - 1.0).abs() <= 0.005;
    let halved = near(bpm, 80.0) && near(tempo.alternatives[0].bpm, 160.0) && tempo.confidence <= 0.6;
    assert!(near(bpm, 160.0) || halved, "{tempo:?}");
}

/// The same piece is tracked in `tests/wasm/beat.rs`; the beats are stored from this build and lie on the generated ones.
#[test]
fn the_beats_that_wasm_must_agree_with_are_those_found_here() {
    let (samples, rate) = beat_parity::piece();
    let audio = Audio::new(vec![samples], rate, &Limits::default()).unwrap();
    let found = BeatTracker::new(BeatConfig::default()).unwrap().track(&audio).unwrap();
    for beat in &found.beats {
        let number = (beat - 0.2) * 126.0 / 60.0;
        assert!((number - number.round()).abs() < 0.03, "{:?}", found.beats);
    }
    beat_parity::assert_native(&found);
}
