//! The audio room on wasm: the same sounds as natively, against the same references.

use otolith::Limits;
use otolith::audio::decode::decode;
use otolith::audio::resample::resample;
use serde_json::Value;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::signal::{error_db, sine};

/// Name and bytes of one file of each format.
macro_rules! fixtures {
    ($($name:literal),+) => { [$(($name, include_bytes!(concat!("../data/audio/", $name)).as_slice())),+] };
}

#[wasm_bindgen_test]
fn every_format_decodes_to_what_ffmpeg_decodes() {
    let reference: Value = serde_json::from_str(include_str!("../data/audio/reference.json")).unwrap();
    for (name, bytes) in fixtures![
        "stereo-44k-s16.wav",
        "stereo-44k.aiff",
        "stereo-44k.flac",
        "stereo-44k-alac.m4a",
        "mono-44k-128k.mp3",
        "mono-44k.m4a",
        "mono-44k.ogg"
    ] {
        let expected = &reference["files"][name];
        let audio = decode(bytes.to_vec(), name, Limits::default()).unwrap().audio;
        let frames = if name == "mono-44k.m4a" { &expected["sourceFrames"] } else { &expected["frames"] };
        assert_eq!(audio.frames() as u64, frames.as_u64().unwrap(), "{name}");
        let step = expected["sparse"].as_u64().unwrap() as usize;
        for (channel, stored) in audio.channels().iter().zip(expected["samples"].as_array().unwrap()) {
            let (decoded, stored): (Vec<f32>, Vec<f32>) = channel
                .iter()
                .step_by(step)
                .zip(stored.as_array().unwrap())
                .map(|(sample, stored)| (*sample, stored.as_f64().unwrap() as f32))
                .unzip();
            let error = error_db(&decoded, &stored);
            // Stored with 7 decimals; natively the worst of these files is at -123 dB.
            assert!(error < -100.0, "{name}: {error} dB");
        }
        if let Some(crc) = expected.get("crc32") {
            let mut hasher = crc32fast::Hasher::new();
            for frame in 0..audio.frames() {
                audio.channels().iter().for_each(|channel| hasher.update(&channel[frame].to_le_bytes()));
            }
            assert_eq!(u64::from(hasher.finalize()), crc.as_u64().unwrap(), "{name}: lossless, but other bits");
        }
    }
}

#[wasm_bindgen_test]
fn resampled_sines_are_the_closed_form_within_100_db() {
    for (from, to) in [(44_100, 8_000), (8_000, 44_100), (48_000, 44_100), (44_100, 48_000), (22_050, 44_100)] {
        let frequency = 0.4 * f64::from(from.min(to));
        let output = resample(&sine(frequency, 0.5, 0.3, from, 60_000), from, to).unwrap();
        let expected = sine(frequency, 0.5, 0.3, to, output.len());
        let edge = output.len() / 4;
        let error = error_db(&output[edge..output.len() - edge], &expected[edge..output.len() - edge]);
        assert!(error < -100.0, "{from} -> {to}: {error} dB");
    }
}

#[wasm_bindgen_test]
fn bad_files_are_the_same_errors_as_natively() {
    for (bytes, kind) in [(&b""[..], "invalid-input"), (b"<html>", "unsupported-format"), (b"RIFF\x24\0\0\0WAVE", "unsupported-format")] {
        assert_eq!(decode(bytes.to_vec(), "", Limits::default()).unwrap_err().kind(), kind);
    }
    let limits = Limits { duration_seconds: 0.01, ..Limits::default() };
    let wav = include_bytes!("../data/audio/stereo-44k-s16.wav");
    assert_eq!(decode(wav.to_vec(), "", limits).unwrap_err().kind(), "limit");
}
