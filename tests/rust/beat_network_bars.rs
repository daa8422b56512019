//! What beats by the shipped network must reach on the evaluation set.

use std::sync::Arc;

use crate::beat_material::{RATE, evaluation_set};
use crate::{beat_metrics, beat_models, beat_shipped, report};

#[test]
fn generated_music_reaches_the_bars_by_the_network() {
    let network = beat_models::network(beat_models::SHIPPED);
    let pieces = evaluation_set();
    let (mut f, mut cml_t, mut bars_f, mut metered, mut wrong_tempo) = (0.0, 0.0, 0.0, 0, Vec::new());
    for piece in &pieces {
        let found = beat_shipped::track(&piece.samples, RATE, Arc::clone(&network));
        println!("{}", report(piece, &found));
        let scores = beat_metrics::evaluate(&piece.beats, &found.beats);
        f += scores.f;
        cml_t += scores.cml_t;
        if !found.tempo.bpm.is_some_and(|bpm| (bpm / piece.bpm - 1.0).abs() < 0.002) {
            wrong_tempo.push(&piece.name);
            assert!(scores.cml_t < 0.5, "{}: {:?} where the beats are right", piece.name, found.tempo.bpm);
        }
        if !piece.downbeats.is_empty() {
            metered += 1;
            bars_f += beat_metrics::evaluate(&piece.downbeats, &found.downbeats).f;
        }
    }
    let count = pieces.len() as f64;
    let (f, cml_t, bars_f) = (f / count, cml_t / count, bars_f / f64::from(metered));
    println!(
        "{count} pieces: mean F {f:.4}, mean CMLt {cml_t:.4}; {metered} with bars, mean downbeat F {bars_f:.4}; wrong tempo: {wrong_tempo:?}"
    );
    assert!(f >= 0.97 && cml_t >= 0.90 && bars_f >= 0.90, "mean F {f:.4}, mean CMLt {cml_t:.4}, mean downbeat F {bars_f:.4}");
    // Even eighths on drums at 60 and 72 BPM are read double.
    assert!(wrong_tempo.len() <= 2, "{wrong_tempo:?}");
}
