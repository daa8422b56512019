//! Shipped networks in tract against what onnxruntime gave for the same input.

use otolith::model::network::{Network, Run};
use otolith::model::{Entry, Manifest, Model};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Shipped separators with their bytes; there is at least one.
fn shipped() -> Vec<(Entry, Vec<u8>)> {
    let json = std::fs::read_to_string(format!("{ROOT}/models/manifest.json")).unwrap();
    let manifest = Manifest::parse(&json, env!("CARGO_PKG_VERSION")).unwrap();
    let read = |entry: &Entry| std::fs::read(format!("{ROOT}/models/{}", entry.file.as_ref().unwrap())).unwrap();
    let found: Vec<_> = manifest.models.into_iter().filter(|entry| entry.kind == "separator").collect();
    assert!(!found.is_empty());
    found.into_iter().map(|entry| (entry.clone(), read(&entry))).collect()
}

/// The input of the stored references: a multiplicative hash, the same in every language.
fn reference_input(n: u32) -> f32 {
    ((f64::from(n.wrapping_mul(2_654_435_761)) / 2_147_483_648.0 - 1.0) / 10.0) as f32
}

/// Output for `frames` frames of `input`, put together from the slices: shape and values, row-major.
fn run(model: &mut Model, frames: usize, input: impl Fn(u32) -> f32) -> (Vec<usize>, Vec<f32>) {
    let (mut shape, mut whole) = (Vec::new(), Vec::new());
    model
        .run(
            &[1, 4, frames, 2049],
            Run {
                fill: &mut |values| {
                    values.iter_mut().enumerate().for_each(|(n, value)| *value = input(n as u32));
                    Ok(())
                },
                output: &mut |_, slice| {
                    let (planes, length, bins) = (slice.shape[1], slice.shape[2], slice.shape[3]);
                    shape = vec![1, planes, frames, bins];
                    whole.resize(planes * frames * bins, f32::NAN);
                    for plane in 0..planes {
                        let to = (plane * frames + slice.start) * bins;
                        let from = plane * length * bins;
                        whole[to..to + length * bins].copy_from_slice(&slice.values[from..from + length * bins]);
                    }
                    Ok(())
                },
                progress: &mut |_| {},
            },
        )
        .unwrap();
    (shape, whole)
}

#[test]
fn every_shipped_model_agrees_with_onnxruntime() {
    for (entry, bytes) in shipped() {
        let path = format!("{ROOT}/tests/data/models/{}-{}.json", entry.name, entry.model_version);
        let stored: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut model = Model::load(&entry, &bytes).unwrap();
        for case in stored["cases"].as_array().unwrap() {
            let frames = case["frames"].as_u64().unwrap() as usize;
            let (shape, output) = run(&mut model, frames, reference_input);
            assert_eq!(case["output_shape"], serde_json::json!(shape));
            let values = |key: &str| case[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect::<Vec<_>>();
            let (wanted, largest) = (values("values"), case["largest"].as_f64().unwrap());
            let found: Vec<f64> = (0..wanted.len()).map(|k| f64::from(output[k * output.len() / wanted.len()])).collect();
            let peak = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let energy = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
            let relative = (energy(&mut found.iter().zip(&wanted).map(|(a, b)| a - b)) / energy(&mut wanted.iter().copied())).sqrt();
            println!("{} T {frames}: peak {:.1e} of the largest, relative RMS {relative:.1e}", entry.name, peak / largest);
            assert!(peak <= 1e-3 * largest, "{} T {frames}: peak {peak}, largest {largest}", entry.name);
            assert!(relative <= 1e-4, "{} T {frames}: relative RMS {relative}", entry.name);
            let plane = shape[2] * shape[3];
            for (channel, wanted) in values("channel_energy").iter().enumerate() {
                let found = energy(&mut output[channel * plane..(channel + 1) * plane].iter().map(|value| f64::from(*value)));
                assert!((found - wanted).abs() <= 1e-4 * wanted, "{} T {frames}, channel {channel}: {found}, {wanted}", entry.name);
            }
        }
    }
}

#[test]
fn a_network_cut_at_its_features_gives_what_the_whole_gives() {
    for (entry, bytes) in shipped() {
        let mut whole = entry.clone();
        whole.parameters.features = None;
        let (mut cut, mut whole) = (Model::load(&entry, &bytes).unwrap(), Model::load(&whole, &bytes).unwrap());
        // 300 frames are three slices of the head.
        let (cut, whole) = (run(&mut cut, 300, reference_input).1, run(&mut whole, 300, reference_input).1);
        let largest = whole.iter().map(|value| value.abs()).fold(0.0, f32::max);
        let peak = cut.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(peak <= 1e-5 * largest, "{}: {peak} of {largest}", entry.name);
    }
}

#[test]
fn one_file_runs_at_any_length_and_repeats_its_bits() {
    for (entry, bytes) in shipped() {
        let mut model = Model::load(&entry, &bytes).unwrap();
        let first = run(&mut model, 65, reference_input);
        run(&mut model, 129, reference_input);
        run(&mut model, 66, reference_input);
        assert!(run(&mut model, 65, reference_input) == first);
    }
}

#[test]
fn shipped_models_are_within_their_size_and_name_where_they_come_from() {
    let limits = [("separator-2-lite", 2_300_000), ("separator-2", 5_300_000), ("separator-5", 8_600_000)];
    for (entry, bytes) in shipped() {
        let limit = limits.iter().find(|(name, _)| *name == entry.name).map(|(_, limit)| *limit).unwrap();
        assert!(bytes.len() <= limit, "{}: {} bytes", entry.name, bytes.len());
        assert_eq!(entry.bytes, Some(bytes.len() as u64));
        assert!(entry.sha256.is_some() && entry.provenance.is_some());
        assert_eq!(entry.file, Some(format!("{}-{}.onnx", entry.name, entry.model_version)));
    }
}
