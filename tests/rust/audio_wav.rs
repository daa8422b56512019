//! WAV files out: against files that ffmpeg wrote from the same samples, and read back.

use otolith::audio::decode::decode;
use otolith::audio::wav::{SampleFormat, encode_wav};
use otolith::{Audio, Limits};

use crate::signal::noise;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/audio");

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FIXTURES}/{name}")).unwrap()
}

fn decoded(bytes: Vec<u8>) -> Audio {
    let decoded = decode(bytes, "", Limits::default()).unwrap();
    assert_eq!(decoded.warnings, Vec::<String>::new());
    decoded.audio
}

/// The content of a WAV file's data chunk.
fn data(wav: &[u8]) -> &[u8] {
    let start = wav.windows(4).position(|window| window == b"data").unwrap() + 8;
    let size = u32::from_le_bytes(wav[start - 4..start].try_into().unwrap()) as usize;
    &wav[start..start + size]
}

#[test]
fn samples_are_stored_as_ffmpeg_stores_them() {
    let sound = decoded(fixture("stereo-44k-f32.wav"));
    for (format, peer) in [(SampleFormat::Int16, "stereo-44k-s16.wav"), (SampleFormat::Float32, "stereo-44k-f32.wav")] {
        let file = encode_wav(sound.channels(), sound.sample_rate(), format).unwrap();
        assert_eq!(file.clipped, 0);
        assert!(data(&file.bytes) == data(&fixture(peer)), "{peer}");
    }
    // ffmpeg cuts to 24 bits where this rounds: at most one step apart.
    let short: Vec<&[f32]> = sound.channels().iter().map(|channel| &channel[..1_001]).collect();
    let ours = encode_wav(&short, 44_100, SampleFormat::Int24).unwrap();
    let peer = fixture("stereo-44k-s24.wav");
    let value = |bytes: &[u8]| i32::from_le_bytes([0, bytes[0], bytes[1], bytes[2]]) >> 8;
    // The shorter fixture has its own sound for the same seed: its envelope does not depend on the length.
    for (ours, peer) in data(&ours.bytes).chunks(3).zip(data(&peer).chunks(3)) {
        assert!((value(ours) - value(peer)).abs() <= 1);
    }
}

#[test]
fn every_format_and_channel_count_reads_back() {
    for channels in 1..=8 {
        let sound: Vec<Vec<f32>> = (0..channels).map(|channel| noise(channel, 0.9, 333)).collect();
        for (format, step) in
            [(SampleFormat::Int16, 1.0 / 32_768.0), (SampleFormat::Int24, 1.0 / 8_388_608.0), (SampleFormat::Float32, 0.0)]
        {
            let file = encode_wav(&sound, 48_000, format).unwrap();
            let back = decoded(file.bytes);
            assert_eq!((back.channels().len(), back.frames(), back.sample_rate()), (channels as usize, 333, 48_000));
            for (channel, original) in back.channels().iter().zip(&sound) {
                // Half a step of rounding.
                assert!(channel.iter().zip(original).all(|(a, b)| (a - b).abs() <= 0.500_001 * step));
            }
        }
    }
}

#[test]
fn what_is_louder_than_full_scale_is_clipped_counted_and_kept_in_float() {
    let sound = [[1.5_f32, -1.5, 0.25, 1.0]];
    let file = encode_wav(&sound, 8_000, SampleFormat::Int24).unwrap();
    assert_eq!(file.clipped, 3);
    let back = decoded(file.bytes);
    assert_eq!(back.channels()[0], [1.0 - 1.0 / 8_388_608.0, -1.0, 0.25, 1.0 - 1.0 / 8_388_608.0]);
    let file = encode_wav(&sound, 8_000, SampleFormat::Float32).unwrap();
    assert_eq!(file.clipped, 0);
    assert_eq!(decoded(file.bytes).channels()[0], sound[0]);
}

#[test]
fn no_frames_and_one_frame_read_back() {
    for frames in [0, 1] {
        let file = encode_wav(&[vec![0.5_f32; frames]], 8_000, SampleFormat::Int16).unwrap();
        assert_eq!(decoded(file.bytes).frames(), frames);
    }
}

#[test]
fn a_format_that_is_not_known_names_those_that_are() {
    let error = "flac".parse::<SampleFormat>().unwrap_err();
    assert_eq!(error.kind(), "invalid-input");
    assert!(error.to_string().contains("wav16"), "{error}");
}

#[test]
fn shapes_that_no_wav_file_can_have_are_refused() {
    assert_eq!(encode_wav::<Vec<f32>>(&[], 8_000, SampleFormat::Int16).unwrap_err().kind(), "invalid-input");
    assert_eq!(encode_wav(&[[0.0]; 9], 8_000, SampleFormat::Int16).unwrap_err().kind(), "invalid-input");
    assert_eq!(encode_wav(&[vec![0.0], vec![]], 8_000, SampleFormat::Int16).unwrap_err().kind(), "invalid-input");
    assert_eq!(encode_wav(&[[0.0]], 4_000, SampleFormat::Int16).unwrap_err().kind(), "invalid-input");
}
