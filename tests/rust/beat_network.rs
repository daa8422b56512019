//! Beat networks against what onnxruntime gave for the same sound, and beats by network.

use std::sync::Arc;

use otolith::beat::activation::{ActivationAnalysis, BeatNetwork};
use otolith::beat::{BeatConfig, BeatMethod, BeatNotice, BeatStream, BeatTracker, CausalNetwork, ModelName};
use otolith::model::NamedGraph;
use otolith::{Audio, Limits};

use crate::beat_models::{self, FIXTURES, SHIPPED};

/// Six seconds of decaying noise bursts at 120 beats per minute, as `tools/` makes them too.
fn bursts() -> Audio {
    let sample = |n: u64| {
        let noise = (n.wrapping_mul(2_654_435_761) % (1 << 32)) as f64 / f64::from(1_u32 << 31) - 1.0;
        (noise / 10.0 * (-((n % 22_050) as f64) / 2_000.0).exp()) as f32
    };
    Audio::new(vec![(0..264_600).map(sample).collect()], 44_100, &Limits::default()).unwrap()
}

#[derive(serde::Deserialize)]
struct Reference {
    beat: Vec<f64>,
    downbeat: Vec<f64>,
    tempo: Vec<f64>,
    /// Seconds; only of the shipped network.
    #[serde(default)]
    beats: Vec<f64>,
}

fn reference(model: &ModelName) -> Reference {
    let path = format!("{FIXTURES}/{}-{}.json", model.name, model.version);
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}

/// Float32 sums of some thousand products in another order.
const TOLERANCE: f64 = 1e-4;

fn assert_near(what: &str, found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= TOLERANCE, "{what} at {index}: {found}, onnxruntime gives {wanted}");
    }
}

/// What onnxruntime gave for the shipped network, and the beats that the decoder in Python made of it.
fn reference_of_the_shipped_network() -> Reference {
    let entry = beat_models::entry(SHIPPED, "beat-activations");
    let path = format!("{}/tests/data/models/{}-{}.json", env!("CARGO_MANIFEST_DIR"), entry.name, entry.model_version);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn activations_of_the_shipped_network_are_those_of_onnxruntime() {
    assert_activations(beat_models::network(SHIPPED), &reference_of_the_shipped_network());
}

/// `tools/beat_decoder.py` restates the tracker in numpy, in the plainest way.
#[test]
fn beats_of_the_shipped_network_are_those_of_the_decoder_in_python() {
    let tcn = BeatConfig { method: BeatMethod::Tcn, ..BeatConfig::default() };
    let found = BeatTracker::new(tcn).unwrap().with_network(beat_models::network(SHIPPED)).track(&bursts()).unwrap().beats;
    let wanted = reference_of_the_shipped_network().beats;
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    let farthest = found.iter().zip(&wanted).map(|(found, wanted)| (found - wanted).abs()).fold(0.0, f64::max);
    println!("{} beats, at most {farthest:.1e} s from those of the decoder in Python", found.len());
    // Activations are equal to 1e-4: a parabola through their logarithms moves by far less than a frame's hundredth.
    assert!(farthest < 1e-4, "{farthest} s");
}

#[test]
fn activations_are_those_of_onnxruntime() {
    let network = beat_models::network(FIXTURES);
    let wanted = reference(network.model());
    assert_activations(network, &wanted);
}

fn assert_activations(network: Arc<BeatNetwork>, wanted: &Reference) {
    let audio = bursts();
    let mut analysis = ActivationAnalysis::new(&audio, network).unwrap();
    while analysis.step(&audio).unwrap() {}
    let found = analysis.finish();
    assert_near("beat", &found.beat, &wanted.beat);
    assert_near("downbeat", &found.downbeat, &wanted.downbeat);
    assert_near("tempo", &found.tempo, &wanted.tempo);
}

#[test]
fn a_result_by_network_names_it_and_repeats_bit_for_bit() {
    let network = beat_models::network(FIXTURES);
    let audio = bursts();
    let tracker = BeatTracker::new(BeatConfig::default()).unwrap().with_network(Arc::clone(&network));
    let once = tracker.track(&audio).unwrap();
    assert_eq!((once.method, once.notice, once.model.as_ref()), (BeatMethod::Tcn, None, Some(network.model())));
    let again = tracker.track(&audio).unwrap();
    assert_eq!(once, again);
    assert!(once.beats.iter().zip(&again.beats).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn opposite_phase_gives_the_beats_of_one_channel() {
    let network = beat_models::network(FIXTURES);
    let samples = bursts().channels()[0].clone();
    let opposite: Vec<f32> = samples.iter().map(|sample| -sample).collect();
    let tracker = BeatTracker::new(BeatConfig::default()).unwrap().with_network(network);
    let beats = |channels: Vec<Vec<f32>>| tracker.track(&Audio::new(channels, 44_100, &Limits::default()).unwrap()).unwrap().beats;
    let mono = beats(vec![samples.clone()]);
    let both = beats(vec![samples, opposite]);
    assert_eq!(both.len(), mono.len());
    // Two channels share a transform: another rounding.
    assert!(both.iter().zip(&mono).all(|(a, b)| (a - b).abs() < 1e-4), "{both:?} against {mono:?}");
}

#[test]
fn a_stream_by_network_names_it_and_does_not_depend_on_the_cut() {
    let network = beat_models::causal_network(FIXTURES);
    let samples = bursts().channels()[0].clone();
    for rate in [44_100, 48_000] {
        let events = |piece: usize| {
            let mut stream = BeatStream::new(BeatConfig::default(), rate, Ok(Arc::clone(&network))).unwrap();
            assert_eq!((stream.method(), stream.model()), (BeatMethod::Tcn, Some(network.model())));
            let mut events = Vec::new();
            samples.chunks(piece).for_each(|samples| events.extend(stream.push(samples).unwrap()));
            let latency = stream.latency() as f64 / f64::from(rate);
            events.extend(stream.flush().unwrap());
            assert!(events.iter().all(|event| event.emitted_at - event.time <= latency), "{events:?} against {latency}");
            events
        };
        let whole = events(usize::MAX);
        for piece in [128, 1_000, 44_100] {
            assert_eq!(events(piece), whole);
        }
    }
}

#[test]
fn method_tcn_without_a_network_is_an_error_that_says_what_to_do() {
    let tcn = BeatConfig { method: BeatMethod::Tcn, ..BeatConfig::default() };
    let error = BeatTracker::new(tcn).unwrap().track(&bursts()).unwrap_err();
    assert_eq!(error.kind(), "model-load");
    assert!(error.to_string().contains("flux"), "{error}");
    for notice in [BeatNotice::ModelMissing, BeatNotice::ModelRefused, BeatNotice::ModelIntegrity] {
        let found = BeatTracker::new(BeatConfig::default()).unwrap().without_network(notice).track(&bursts()).unwrap();
        assert_eq!((found.method, found.notice, found.model), (BeatMethod::Flux, Some(notice), None));
    }
}

#[test]
fn a_graph_of_another_contract_or_an_altered_file_is_refused_by_name() {
    let entry = beat_models::entry(FIXTURES, "beat-activations");
    let [front, trunk, tempo] = beat_models::graphs(FIXTURES, &entry);
    let error = BeatNetwork::new(&trunk, Box::new(front), &tempo, beat_models::name(&entry)).unwrap_err();
    assert_eq!(error.kind(), "model-load");
    assert!(error.to_string().contains("input front"), "{error}");
    let error = CausalNetwork::new(&trunk, beat_models::name(&entry)).unwrap_err();
    assert!(error.to_string().contains("state"), "{error}");
    let mut bytes = std::fs::read(format!("{FIXTURES}/{}", entry.graph(Some("front")).unwrap().file)).unwrap();
    bytes[1_000] ^= 4;
    assert_eq!(NamedGraph::load(&entry, Some("front"), &bytes).err().unwrap().kind(), "model-integrity");
}
