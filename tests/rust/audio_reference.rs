//! Decoding against ffmpeg: stored figures of short files in every format, and of real recordings where a folder of them is found.

use std::path::Path;

use otolith::Limits;
use otolith::audio::decode::{Decoded, decode};
use serde_json::Value;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/audio");
const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/audio");

fn reference(name: &str) -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(format!("{FIXTURES}/{name}")).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["files"].as_object_mut().map(std::mem::take).unwrap()
}

fn decode_file(path: impl AsRef<Path>) -> otolith::Result<Decoded> {
    let name = path.as_ref().file_name().unwrap().to_string_lossy().into_owned();
    decode(std::fs::read(path).unwrap(), &name, Limits::default())
}

/// Signal to error in dB over the stored samples, and the number of frames that the reference has in excess.
fn compare(name: &str, decoded: &Decoded, expected: &Value) -> (f64, i64) {
    let audio = &decoded.audio;
    assert_eq!(decoded.warnings, Vec::<String>::new(), "{name}");
    assert_eq!(audio.channels().len() as u64, expected["channels"].as_u64().unwrap(), "{name}");
    assert_eq!(u64::from(audio.sample_rate()), expected["sampleRate"].as_u64().unwrap(), "{name}");
    let sparse = expected["sparse"].as_u64().unwrap() as usize;
    let (mut signal, mut error) = (0.0, 1e-30);
    for (channel, stored) in audio.channels().iter().zip(expected["samples"].as_array().unwrap()) {
        for (sample, stored) in channel.iter().step_by(sparse).zip(stored.as_array().unwrap()) {
            let stored = stored.as_f64().unwrap();
            signal += stored * stored;
            error += (f64::from(*sample) - stored).powi(2);
        }
    }
    let excess = expected["frames"].as_i64().unwrap() - audio.frames() as i64;
    (10.0 * (signal / error).log10(), excess)
}

fn is_refused(name: &str) -> bool {
    name.starts_with("nine-") || name.contains("opus") || name == "surround-48k.ogg"
}

#[test]
fn every_format_decodes_to_what_ffmpeg_decodes() {
    let mut formats = 0;
    for (name, expected) in reference("reference.json").iter().filter(|(name, _)| !is_refused(name)) {
        let decoded = decode_file(format!("{FIXTURES}/{name}")).unwrap();
        let (ratio, excess) = compare(name, &decoded, expected);
        println!("{name}: {ratio:.1} dB, {excess} frames less than ffmpeg");
        // Stored samples have 7 decimals, which alone is 120 dB below these sounds; decoders round differently by about as much.
        assert!(ratio > 100.0, "{name}: {ratio} dB");
        if name.ends_with(".m4a") || name.ends_with(".ogg") {
            // ffmpeg 5.1 leaves the filling of the last AAC packet in, where the sample table says that the sound ends earlier; and of
            // a Vorbis stream of one page it drops the last 128 frames (libsndfile with libvorbis keeps them).
            assert_eq!(decoded.audio.frames() as u64, expected["sourceFrames"].as_u64().unwrap(), "{name}");
        } else {
            assert_eq!(excess, 0, "{name}");
        }
        if let Some(crc) = expected.get("crc32") {
            assert_eq!(u64::from(crc32_interleaved(&decoded)), crc.as_u64().unwrap(), "{name}: lossless, but other bits");
        }
        formats += 1;
    }
    assert_eq!(formats, 21);
}

/// CRC-32 of the interleaved little-endian samples.
fn crc32_interleaved(decoded: &Decoded) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for frame in 0..decoded.audio.frames() {
        for channel in decoded.audio.channels() {
            hasher.update(&channel[frame].to_le_bytes());
        }
    }
    hasher.finalize()
}

#[test]
fn real_recordings_decode_to_what_ffmpeg_decodes() {
    if !Path::new(RECORDINGS).is_dir() {
        println!("skipped: there is no folder of recordings beside the project (../shared/audio)");
        return;
    }
    for (name, expected) in reference("recordings.json") {
        let decoded = decode_file(format!("{RECORDINGS}/{name}")).unwrap();
        let (ratio, excess) = compare(&name, &decoded, &expected);
        println!("{name}: {ratio:.1} dB, {excess} frames less than ffmpeg");
        // AAC files may use perceptual noise substitution, where no two decoders agree.
        assert!(ratio > if name.ends_with(".m4a") { 20.0 } else { 90.0 }, "{name}: {ratio} dB");
        let filling = if name.ends_with(".m4a") { 0..1_024 } else { 0..1 };
        assert!(filling.contains(&excess), "{name}: {excess}");
    }
}

#[test]
fn more_than_eight_channels_are_refused_with_advice() {
    let error = decode_file(format!("{FIXTURES}/nine-32k-s16.wav")).unwrap_err();
    assert_eq!(error.kind(), "invalid-input");
    assert!(error.to_string().contains("got 9"), "{error}");
}

#[test]
fn opus_is_refused_naming_the_browsers_decoder() {
    let error = decode_file(format!("{FIXTURES}/mono-48k-opus.ogg")).unwrap_err();
    assert_eq!(error.kind(), "unsupported-format");
    assert!(error.to_string().contains("Opus") && error.to_string().contains("decodeAudioData"), "{error}");
}

#[test]
fn vorbis_in_surround_is_refused_rather_than_decoded_wrongly() {
    let error = decode_file(format!("{FIXTURES}/surround-48k.ogg")).unwrap_err();
    assert_eq!(error.kind(), "unsupported-format");
    assert!(error.to_string().contains("Vorbis with more than 2 channels"), "{error}");
}

#[test]
fn a_wrong_extension_does_no_harm() {
    let flac = std::fs::read(format!("{FIXTURES}/stereo-44k.flac")).unwrap();
    let right = decode(flac.clone(), "stereo-44k.flac", Limits::default()).unwrap();
    for hint in ["song.mp3", "audio/ogg", "", "x.html"] {
        assert_eq!(decode(flac.clone(), hint, Limits::default()).unwrap(), right);
    }
}

#[test]
fn an_mp4_that_says_stereo_of_mono_aac_is_mono() {
    let bytes = std::fs::read(format!("{FIXTURES}/mono-44k.m4a")).unwrap();
    // The channel count of an audio sample entry, 20 bytes after its type (ISO/IEC 14496-12, 12.2.3).
    let entry = bytes.windows(4).rposition(|window| window == b"mp4a").unwrap();
    assert_eq!(bytes[entry + 20..entry + 22], [0, 2]);
    assert_eq!(decode(bytes, "", Limits::default()).unwrap().audio.channels().len(), 1);
}

#[test]
fn a_chained_ogg_file_is_one_sound() {
    let first = std::fs::read(format!("{FIXTURES}/mono-44k.ogg")).unwrap();
    // A chain's links have different serial numbers: rewritten in each page, with the page's checksum (RFC 3533).
    let mut chain = first.clone();
    chain.extend_from_slice(&with_serial(&first, 99));
    let single = decode(first, "", Limits::default()).unwrap();
    let double = decode(chain, "", Limits::default()).unwrap();
    assert_eq!(double.audio.frames(), 2 * single.audio.frames());
    assert_eq!(double.audio.channels()[0][single.audio.frames()..], single.audio.channels()[0][..]);
}

fn with_serial(ogg: &[u8], serial: u32) -> Vec<u8> {
    let mut bytes = ogg.to_vec();
    let mut page = 0;
    while page < bytes.len() {
        let segments = usize::from(bytes[page + 26]);
        let body: usize = bytes[page + 27..page + 27 + segments].iter().map(|&length| usize::from(length)).sum();
        let end = page + 27 + segments + body;
        bytes[page + 14..page + 18].copy_from_slice(&serial.to_le_bytes());
        bytes[page + 22..page + 26].fill(0);
        // Polynomial 0x04C11DB7, not reflected, from 0.
        let crc = bytes[page..end].iter().fold(0_u32, |crc, &byte| {
            (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| if crc >> 31 == 1 { (crc << 1) ^ 0x04c1_1db7 } else { crc << 1 })
        });
        bytes[page + 22..page + 26].copy_from_slice(&crc.to_le_bytes());
        page = end;
    }
    bytes
}
