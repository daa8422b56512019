//! Networks in files: the right ones separate, each wrong one is refused for its own reason.

use otolith::model::{Entry, Model};
use otolith::separate::{Conditioning, SeparationOptions, Separator, SeparatorModel};
use otolith::{Audio, Error, Limits, Result};

use crate::signal::{melody, sine};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/models/");

/// Entry and bytes of a fixture network.
pub fn fixture(name: &str) -> (Entry, Vec<u8>) {
    let json = std::fs::read_to_string(format!("{FOLDER}manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&json).unwrap();
    let entry = manifest["models"].as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap();
    let entry = Entry::parse(&entry.to_string(), env!("CARGO_PKG_VERSION")).unwrap();
    let bytes = std::fs::read(format!("{FOLDER}{}", entry.file.as_ref().unwrap())).unwrap();
    (entry, bytes)
}

pub fn load(entry: Entry, bytes: &[u8]) -> Result<SeparatorModel<Model>> {
    let network = Model::load(&entry, bytes)?;
    SeparatorModel::new(entry, network)
}

pub fn refusal(name: &str) -> String {
    let (entry, bytes) = fixture(name);
    match load(entry, &bytes) {
        Err(error @ Error::ModelLoad { .. }) => error.to_string(),
        Err(error) => panic!("{name}: {error}"),
        Ok(_) => panic!("{name} was loaded"),
    }
}

#[test]
fn constant_masks_in_a_file_give_the_scaled_mix() {
    let (entry, bytes) = fixture("mask-quarters");
    let mix = melody(1, 0.5, 44_100, 8 * 44_100);
    let audio = Audio::new(vec![mix.clone()], 44_100, &Limits::default()).unwrap();
    let options = SeparationOptions { chunk: Some(6.0), ..SeparationOptions::default() };
    let stems = Separator::new(load(entry, &bytes).unwrap(), options, Conditioning::Off).separate(audio, &mut |_| {}).unwrap();
    for (stem, share) in stems.stems.iter().zip([0.25_f32, 0.75]) {
        let peak = stem.channels[0].iter().zip(&mix).map(|(stem, mix)| (stem - share * mix).abs()).fold(0.0, f32::max);
        assert!(20.0 * peak.log10() <= -110.0, "{}: {peak}", stem.name);
    }
}

#[test]
fn a_network_of_the_wrong_shape_is_refused_naming_found_and_wanted() {
    let told = refusal("wrong-bins");
    assert!(told.contains("2049") && told.contains("input"), "{told}");
    let told = refusal("wrong-rank");
    assert!(told.contains("input") && told.contains("dynamic, 2049]"), "{told}");
    let told = refusal("wrong-stems");
    assert!(told.contains("output") && told.contains("[1, 8, 65, 2049]"), "{told}");
}

#[test]
fn an_operator_set_that_is_not_read_is_refused_naming_it() {
    let told = refusal("wrong-opset");
    assert!(told.contains("99") && told.contains("18"), "{told}");
}

#[test]
fn a_cut_at_a_tensor_that_is_not_there_is_refused_naming_it() {
    assert!(refusal("wrong-features").contains("absent"));
}

#[test]
fn two_outputs_are_refused_naming_them() {
    let told = refusal("wrong-outputs");
    assert!(told.contains("masks") && told.contains("more"), "{told}");
}

#[test]
fn an_output_that_is_not_finite_is_refused_naming_the_stem() {
    assert!(refusal("wrong-infinite").contains("stem vocals"));
}

#[test]
fn a_network_that_fails_later_is_a_fault_naming_chunk_and_stem() {
    let (entry, bytes) = fixture("wrong-on-tones");
    let mut mix = melody(2, 0.01, 44_100, 20 * 44_100);
    let tone = sine(1_000.0, 0.5, 0.0, 44_100, 44_100);
    mix.iter_mut().skip(12 * 44_100).zip(tone).for_each(|(sample, tone)| *sample += tone);
    let audio = Audio::new(vec![mix], 44_100, &Limits::default()).unwrap();
    let options = SeparationOptions { chunk: Some(6.0), ..SeparationOptions::default() };
    let mut separator = Separator::new(load(entry, &bytes).unwrap(), options, Conditioning::On);
    let error = separator.separate(audio, &mut |_| {}).err().unwrap();
    assert_eq!(error.kind(), "internal");
    assert!(error.to_string().contains("model wrong-on-tones") && error.to_string().contains("stem vocals"), "{error}");
}

#[test]
fn every_altered_bit_is_found_before_the_file_is_parsed() {
    let (entry, bytes) = fixture("mask-quarters");
    let mut random = crate::signal::Random::new(64);
    for _ in 0..64 {
        let mut altered = bytes.clone();
        let place = random.below(altered.len());
        altered[place] ^= 1 << random.below(8);
        assert_eq!(load(entry.clone(), &altered).err().unwrap().kind(), "model-integrity");
    }
}

#[test]
fn files_cut_short_or_too_long_are_refused() {
    let (entry, bytes) = fixture("mask-quarters");
    for length in [0, 1, bytes.len() - 1] {
        assert_eq!(load(entry.clone(), &bytes[..length]).err().unwrap().kind(), "model-load");
    }
    let longer = [bytes, vec![0]].concat();
    assert_eq!(load(entry, &longer).err().unwrap().kind(), "model-load");
}

#[test]
fn damaged_bytes_that_nobody_vouches_for_are_refused_or_read_but_never_panic() {
    let (mut entry, bytes) = fixture("mask-quarters");
    (entry.bytes, entry.sha256) = (None, None);
    let mut random = crate::signal::Random::new(65);
    for _ in 0..200 {
        let mut altered = bytes.clone();
        for _ in 0..=random.below(4) {
            let place = random.below(altered.len());
            altered[place] = random.bits() as u8;
        }
        altered.truncate(bytes.len() - random.below(3) * random.below(bytes.len()) / 3);
        if let Err(error) = load(entry.clone(), &altered) {
            assert_eq!(error.kind(), "model-load", "{error}");
        }
    }
}

#[test]
fn a_file_that_contradicts_its_manifest_is_refused_with_both() {
    let (mut entry, bytes) = fixture("mask-quarters");
    entry.opset = 16;
    let told = load(entry, &bytes).err().unwrap().to_string();
    assert!(told.contains("17") && told.contains("16"), "{told}");
}
