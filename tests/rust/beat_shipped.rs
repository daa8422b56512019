//! The shipped beat networks on generated music: the same bits each time, streams beside whole files, and the beats that wasm must agree with.

use std::sync::Arc;

use otolith::beat::activation::BeatNetwork;
use otolith::beat::{BeatConfig, BeatEvent, BeatMethod, BeatStream, BeatTrack, BeatTracker, CausalNetwork};
use otolith::{Audio, Limits};

use crate::beat_material::{Piece, RATE, Recipe, play};
use crate::beat_models::{SHIPPED, causal_network, network};
use crate::beat_stream::{self, Following};
use crate::{beat_metrics, beat_parity};

/// Beats of `samples` by the network.
pub fn track(samples: &[f32], rate: u32, network: Arc<BeatNetwork>) -> BeatTrack {
    let audio = Audio::new(vec![samples.to_vec()], rate, &Limits::default()).unwrap();
    let tcn = BeatConfig { method: BeatMethod::Tcn, ..BeatConfig::default() };
    BeatTracker::new(tcn).unwrap().with_network(network).track(&audio).unwrap()
}

fn band(bpm: f64, seed: u64) -> Piece {
    play("band", Recipe { chords: true, bpm: (bpm, bpm), ..Recipe::default() }, seed)
}

#[test]
fn repeats_and_another_instance_of_the_network_give_the_same_bits() {
    let piece = band(124.0, 5);
    let (network, another) = (network(SHIPPED), network(SHIPPED));
    let once = track(&piece.samples, RATE, Arc::clone(&network));
    assert!(once.beats.len() > 40);
    for network in [Arc::clone(&network), network, another] {
        let again = track(&piece.samples, RATE, network);
        assert_eq!(once, again);
        assert!(once.beats.iter().zip(&again.beats).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}

fn events(samples: &[f32], network: &Arc<CausalNetwork>, piece: usize) -> (Vec<BeatEvent>, f64) {
    let mut stream =
        BeatStream::new(BeatConfig { method: BeatMethod::Tcn, ..BeatConfig::default() }, RATE, Ok(Arc::clone(network))).unwrap();
    let mut events = Vec::new();
    samples.chunks(piece).for_each(|samples| events.extend(stream.push(samples).unwrap()));
    let latency = stream.latency() as f64 / f64::from(RATE);
    events.extend(stream.flush().unwrap());
    (events, latency)
}

#[test]
fn a_stream_by_the_causal_network_gives_the_same_bits_for_every_cut() {
    let network = causal_network(SHIPPED);
    let piece = band(112.0, 6);
    let samples = &piece.samples[..10 * RATE as usize];
    let (whole, _) = events(samples, &network, usize::MAX);
    assert!(whole.len() > 8, "{whole:?}");
    for piece in [127, 128, 1_000, 44_100] {
        assert_eq!(events(samples, &network, piece).0, whole, "cut into {piece}");
    }
    assert_eq!(events(samples, &causal_network(SHIPPED), 4_096).0, whole, "another instance");
}

#[test]
fn a_stream_by_the_causal_network_keeps_up_with_the_whole_file() {
    let (network, causal) = (network(SHIPPED), causal_network(SHIPPED));
    let (mut live, mut offline, mut agreement, mut late) = (0.0, 0.0, 0.0, f64::NEG_INFINITY);
    let tempos = [100.0, 112.0, 128.0, 140.0];
    for (seed, bpm) in tempos.into_iter().enumerate() {
        let piece = band(bpm, 40 + seed as u64);
        let whole = track(&piece.samples, RATE, Arc::clone(&network));
        let (heard, latency) = events(&piece.samples, &causal, 4_096);
        let times: Vec<f64> = heard.iter().map(|event| event.time).collect();
        for event in &heard {
            late = late.max(event.emitted_at - event.time);
            assert!(event.emitted_at - event.time <= latency, "{event:?} against {latency}");
        }
        let scores = [(&piece.beats, &times), (&piece.beats, &whole.beats), (&whole.beats, &times)];
        let [f, f_whole, f_both] = scores.map(|(reference, found)| beat_metrics::evaluate(reference, found).f);
        println!("{bpm} bpm: stream F {f:.3}, whole file {f_whole:.3}, one against the other {f_both:.3}");
        live += f;
        offline += f_whole;
        agreement += f_both;
    }
    let [live, offline, agreement] = [live, offline, agreement].map(|sum| sum / tempos.len() as f64);
    println!("mean F of the stream {live:.4}, of whole files {offline:.4}, between them {agreement:.4}; latest event {late:.4} s");
    assert!(live >= 0.93, "mean F {live}");
}

/// The share that locks in time is printed and falls short of the 95 % that the flux reaches: slow pieces are followed at double tempo.
#[test]
#[ignore = "two minutes for figures of docs/algorithms/beats.md: run it when the causal network or the filter changes"]
fn generated_music_is_followed_by_the_causal_network() {
    let causal = causal_network(SHIPPED);
    let hear = |samples: &[f32]| events(samples, &causal, 4_096).0;
    let Following { f, .. } = beat_stream::follow(hear);
    let locks = beat_stream::locks_after_steps(hear);
    assert!(f >= 0.93, "mean F {f}");
    assert!(locks.iter().all(|(_, lock)| *lock <= 6.0), "{locks:?}");
}

/// `tests/js/beat-parity.test.ts` tracks the same piece in wasm; the beats are stored from this build. They lie on the generated half beats:
/// which of them are the beats is left open, for a network may hear these bare tones either way.
#[test]
fn the_beats_that_wasm_must_agree_with_are_those_found_by_the_network_here() {
    let (samples, rate) = beat_parity::piece();
    let found = track(&samples, rate, network(SHIPPED));
    for beat in &found.beats {
        let number = (beat - 0.2) * 2.0 * 126.0 / 60.0;
        assert!((number - number.round()).abs() < 0.1, "{:?}", found.beats);
    }
    beat_parity::assert_stored(&found);
}

/// Stores them anew, for a new network.
#[test]
#[ignore = "writes tests/data/beat_parity_tcn.json: run it when the network of the manifest changes"]
fn store_the_beats_that_wasm_must_agree_with() {
    let (samples, rate) = beat_parity::piece();
    let found = track(&samples, rate, network(SHIPPED));
    let model = found.model.unwrap();
    let stored = serde_json::json!({ "model": { "name": model.name, "version": model.version }, "beats": found.beats });
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/beat_parity_tcn.json");
    std::fs::write(path, format!("{stored}\n")).unwrap();
}
