//! One short piece and the beats that the native build finds in it, for both builds to agree with.

use otolith::beat::BeatTrack;

/// Twelve seconds at 126 beats per minute: decaying tones of two pitches with weaker ones between, and their sample rate.
pub fn piece() -> (Vec<f32>, u32) {
    const RATE: u32 = 22_050;
    let mut samples = vec![0.0_f32; 12 * RATE as usize];
    for half_beat in 0..49 {
        let start = (f64::from(half_beat) * 30.0 / 126.0 + 0.2) * f64::from(RATE);
        let (pitch, gain) = match half_beat % 4 {
            0 => (180.0, 0.8),
            2 => (700.0, 0.6),
            _ => (3_000.0, 0.2),
        };
        for (index, sample) in samples.iter_mut().skip(start as usize).take(3_000).enumerate() {
            let time = index as f64 / f64::from(RATE);
            *sample += (gain * (-40.0 * time).exp() * (std::f64::consts::TAU * pitch * time).sin()) as f32;
        }
    }
    (samples, RATE)
}

/// Fails unless `found` is what the native build found: tempo and number of beats, each beat within 1 ms.
pub fn assert_native(found: &BeatTrack) {
    let native: Vec<f64> = serde_json::from_str(include_str!("../data/beat_parity.json")).unwrap();
    assert!((found.tempo.bpm.unwrap() - 126.0).abs() < 0.1, "{:?}", found.tempo);
    assert_eq!(found.beats.len(), native.len(), "{:?}", found.beats);
    for (ours, native) in found.beats.iter().zip(&native) {
        assert!((ours - native).abs() < 0.001, "{ours} against {native}");
    }
}

/// Fails unless `found` is what the native build found by the same network: as many beats, each within 1 ms.
#[cfg(feature = "neural")]
pub fn assert_stored(found: &BeatTrack) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/beat_parity_tcn.json");
    let stored: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let model = found.model.as_ref().unwrap();
    assert_eq!(
        (stored["model"]["name"].as_str(), stored["model"]["version"].as_str()),
        (Some(model.name.as_str()), Some(model.version.as_str())),
        "stored for another network: cargo nextest run --features neural --test beat --run-ignored only store_the_beats"
    );
    let native: Vec<f64> = serde_json::from_value(stored["beats"].clone()).unwrap();
    assert_eq!(found.beats.len(), native.len(), "{:?}", found.beats);
    for (ours, native) in found.beats.iter().zip(&native) {
        assert!((ours - native).abs() < 0.001, "{ours} against {native}");
    }
}
