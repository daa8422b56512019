//! Bad input: cut off, damaged, mislabelled, too long, hostile.

use otolith::audio::decode::{Decoded, Decoder, Output, decode};
use otolith::audio::source::ByteSource;
use otolith::{Limits, Result};

use crate::signal::Random;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/audio");

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FIXTURES}/{name}")).unwrap()
}

fn decode_default(bytes: Vec<u8>) -> Result<Decoded> {
    decode(bytes, "", Limits::default())
}

/// A WAV file of 16-bit mono whose header announces `data_size` bytes.
fn wav(sample_rate: u32, data_size: u32, samples: &[i16]) -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend_from_slice(&data_size.saturating_add(36).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend_from_slice(&sample_rate.to_le_bytes());
    bytes.extend_from_slice(&(sample_rate * 2).to_le_bytes());
    bytes.extend_from_slice(b"\x02\0\x10\0data");
    bytes.extend_from_slice(&data_size.to_le_bytes());
    samples.iter().for_each(|sample| bytes.extend_from_slice(&sample.to_le_bytes()));
    bytes
}

#[test]
fn an_empty_file_is_invalid_input_and_other_files_are_an_unsupported_format() {
    assert_eq!(decode_default(Vec::new()).unwrap_err().kind(), "invalid-input");
    for bytes in
        [b"<html><body>404</body></html>".to_vec(), b"just some words\n".repeat(900), vec![0; 5_000], b"RIFF".to_vec(), vec![0xff; 3]]
    {
        let error = decode_default(bytes).unwrap_err();
        assert_eq!(error.kind(), "unsupported-format", "{error}");
    }
}

#[test]
fn random_bytes_are_no_sound() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let bytes = (0..20_000).map(|_| random.bits() as u8).collect();
        let error = decode_default(bytes).unwrap_err();
        assert_eq!(error.kind(), "unsupported-format", "seed {seed}: {error}");
    }
}

#[test]
fn files_cut_off_give_what_is_there_with_a_warning() {
    for name in ["stereo-44k-s16.wav", "stereo-44k-f32.wav", "stereo-44k.aiff", "stereo-44k.flac", "mono-44k-128k.mp3", "mono-44k.ogg"] {
        let whole = decode_default(fixture(name)).unwrap().audio;
        let mut bytes = fixture(name);
        bytes.truncate(bytes.len() * 17 / 20);
        let cut = decode_default(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (got, all) = (cut.audio.frames(), whole.frames());
        assert!(got < all && got > all / 3, "{name}: {got} of {all}");
        assert_eq!(cut.warnings.len(), 1, "{name}: {:?}", cut.warnings);
        // Another last block in Vorbis and MP3 overlaps with one that is missing.
        let same = got.saturating_sub(2_048);
        assert_eq!(cut.audio.channels()[0][..same], whole.channels()[0][..same], "{name}");
    }
}

#[test]
fn a_cut_off_wav_keeps_its_last_whole_frame() {
    let cut = decode_default(wav(8_000, 8_000, &[1, 2, 3])).unwrap();
    assert_eq!(cut.audio.frames(), 3);
    assert!(cut.warnings[0].contains("8000 bytes") && cut.warnings[0].contains("6 are there"), "{:?}", cut.warnings);
}

#[test]
fn a_wav_written_to_a_pipe_decodes_to_its_end_without_complaint() {
    for unknown in [u32::MAX, 0] {
        let mut bytes = wav(8_000, unknown, &[1, 2, 3]);
        if unknown == 0 {
            bytes[4..8].copy_from_slice(&[0; 4]);
        }
        let decoded = decode_default(bytes).unwrap();
        assert_eq!((decoded.audio.frames(), decoded.warnings.len()), (3, 0));
    }
}

#[test]
fn a_long_wav_in_the_64_bit_form_decodes() {
    let mut bytes = wav(8_000, u32::MAX, &[1, 2, 3, 4]);
    bytes[..8].copy_from_slice(b"RF64\xff\xff\xff\xff");
    let mut sizes = b"ds64\x1c\0\0\0".to_vec();
    for size in [0_u64, 6, 3] {
        sizes.extend_from_slice(&size.to_le_bytes());
    }
    sizes.extend_from_slice(&[0; 4]);
    bytes.splice(12..12, sizes);
    let decoded = decode_default(bytes).unwrap();
    // Six bytes are samples; what follows is another chunk.
    assert_eq!((decoded.audio.frames(), decoded.warnings.len()), (3, 0));
}

#[test]
fn rates_that_are_not_read_are_refused_with_advice() {
    for rate in [4_000, 384_000] {
        let error = decode_default(wav(rate, 2_000, &[1; 1_000])).unwrap_err();
        assert_eq!(error.kind(), "invalid-input");
        assert!(error.to_string().contains(&format!("got {rate}: resample first")), "{error}");
    }
}

#[test]
fn a_header_without_its_sound_is_an_unsupported_format() {
    assert_eq!(decode_default(wav(8_000, 8_000, &[])).unwrap_err().kind(), "unsupported-format");
    for (name, header) in [("stereo-44k.flac", 60), ("mono-44k.ogg", 100), ("mono-44k.m4a", 400)] {
        let mut bytes = fixture(name);
        bytes.truncate(header);
        assert_eq!(decode_default(bytes).unwrap_err().kind(), "unsupported-format", "{name}");
    }
}

#[test]
fn a_sound_of_no_frames_and_of_one_decode() {
    for count in [0, 1] {
        let decoded = decode_default(wav(8_000, 2 * count, &[5][..count as usize])).unwrap();
        assert_eq!((decoded.audio.frames() as u32, decoded.warnings.len()), (count, 0));
    }
}

#[test]
fn samples_that_are_no_numbers_are_refused_naming_channel_and_frame() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut bytes = fixture("stereo-44k-f32.wav");
        let frame = 1_500;
        let data = bytes.len() - 2_205 * 8;
        bytes[data + frame * 8 + 4..data + frame * 8 + 8].copy_from_slice(&bad.to_le_bytes());
        let error = decode_default(bytes).unwrap_err();
        assert_eq!(error.kind(), "invalid-input");
        assert!(error.to_string().contains("channel 1, frame 1500"), "{error}");
    }
}

#[test]
fn a_declared_length_past_the_limit_is_refused_before_anything_is_decoded() {
    // 24 hours of 8 kHz, announced by a file of 100 bytes.
    let error = Decoder::new(wav(8_000, 24 * 3_600 * 16_000, &[0; 28]), "", Limits::default()).err().unwrap();
    assert_eq!(error.kind(), "limit");
    assert!(error.to_string().contains("86400") && error.to_string().contains("durationSeconds"), "{error}");
}

#[test]
fn every_limit_holds_and_can_be_raised() {
    let bytes = fixture("stereo-44k.flac");
    let default = Limits::default();
    let cases = [
        ("durationSeconds", Limits { duration_seconds: 0.1, ..default.clone() }),
        ("inputBytes", Limits { input_bytes: 17_000.0, ..default.clone() }),
        ("decodedBytes", Limits { decoded_bytes: 40_000.0, ..default.clone() }),
    ];
    for (name, limits) in cases {
        let error = decode(bytes.clone(), "", limits).unwrap_err();
        assert_eq!(error.kind(), "limit");
        assert!(error.to_string().contains(name), "{error}");
    }
    // 5001 frames of two channels are 40 008 bytes.
    assert!(decode(bytes, "", Limits { decoded_bytes: 40_008.0, ..default }).is_ok());
}

#[test]
fn the_actual_length_is_limited_where_none_is_declared() {
    let limits = Limits { duration_seconds: 0.1, ..Limits::default() };
    let error = decode(fixture("mono-44k.aac"), "", limits).unwrap_err();
    assert_eq!(error.kind(), "limit");
}

#[test]
fn the_number_of_packets_is_limited() {
    let mut limits = Limits { packets_per_byte: 0.0, ..Limits::default() };
    let bytes = fixture("mono-44k.aac").repeat(100);
    let packets = 10_000_usize.div_ceil(1_024) * 100;
    assert!(packets > 999);
    assert_eq!(decode(bytes.clone(), "", limits.clone()).unwrap_err().kind(), "limit");
    limits.packets_per_byte = 1.0;
    assert!(decode(bytes, "", limits).is_ok());
}

/// Longest run of zeros in a channel: silence put in the place of what was lost.
fn longest_silence(channel: &[f32]) -> usize {
    channel.split(|&sample| sample != 0.0).map(<[f32]>::len).max().unwrap_or(0)
}

#[test]
fn damaged_packets_become_silence_of_their_length_and_are_counted() {
    let whole = decode_default(fixture("mono-44k.m4a")).unwrap().audio;
    let mut bytes = fixture("mono-44k.m4a");
    let middle = bytes.len() / 3;
    bytes[middle..middle + 8].fill(0xff);
    let damaged = decode_default(bytes).unwrap();
    assert!(damaged.warnings[0].starts_with("1 of 14 packets are damaged"), "{:?}", damaged.warnings);
    assert_eq!(damaged.audio.frames(), whole.frames());
    let silence = longest_silence(&damaged.audio.channels()[0]);
    assert!((1_000..1_100).contains(&silence), "{silence}");
    let end = whole.frames() - 3_000;
    assert_eq!(damaged.audio.channels()[0][end..], whole.channels()[0][end..]);
}

#[test]
fn lost_packets_become_silence_so_that_what_follows_keeps_its_time() {
    for (name, lost) in [("stereo-44k.flac", 576), ("mono-44k.ogg", 2_000)] {
        let whole = decode_default(fixture(name)).unwrap().audio;
        let mut bytes = fixture(name);
        let at = bytes.len() * 17 / 20;
        bytes[at] ^= 0x55;
        let damaged = decode_default(bytes).unwrap();
        assert!(damaged.warnings[0].contains("missing in 1 places"), "{name}: {:?}", damaged.warnings);
        assert_eq!(damaged.audio.frames(), whole.frames(), "{name}");
        assert!(longest_silence(&damaged.audio.channels()[0]) >= lost, "{name}");
        let end = whole.frames() - 100;
        assert_eq!(damaged.audio.channels()[0][end..], whole.channels()[0][end..], "{name}");
    }
}

#[test]
fn a_flac_whose_checksum_does_not_agree_says_so() {
    let mut bytes = fixture("stereo-44k.flac");
    // The MD5 of the sound is the last 16 bytes of STREAMINFO, the first metadata block.
    bytes[8 + 33] ^= 1;
    let decoded = decode_default(bytes).unwrap();
    assert!(decoded.warnings[0].contains("checksum"), "{:?}", decoded.warnings);
}

#[test]
fn a_change_of_rate_or_channels_within_a_file_is_an_unsupported_format() {
    for (first, second) in
        [("mono-44k-128k.mp3", "mono-22k.mp3"), ("mono-44k-128k.mp3", "stereo-44k-vbr.mp3"), ("mono-44k.ogg", "stereo-48k.ogg")]
    {
        let mut bytes = fixture(first);
        bytes.extend_from_slice(&fixture(second));
        let error = decode_default(bytes).unwrap_err();
        assert_eq!(error.kind(), "unsupported-format");
        assert!(error.to_string().contains("change"), "{first} + {second}: {error}");
    }
}

#[test]
fn steps_are_bounded_and_progress_rises_to_one() {
    let bytes = wav(8_000, 400_000, &[7; 200_000]);
    let mut decoder = Decoder::new(bytes, "", Limits::default()).unwrap();
    assert_eq!(decoder.progress(), 0.0);
    let mut last = 0.0;
    let mut steps = 0;
    while decoder.step().unwrap() {
        assert!(decoder.progress() > last && decoder.progress() < 1.0);
        last = decoder.progress();
        steps += 1;
    }
    assert!(steps >= 3, "{steps}");
    assert_eq!(decoder.progress(), 1.0);
    assert_eq!(decoder.finish().unwrap().audio.frames(), 200_000);
}

#[test]
fn finish_before_the_end_is_refused() {
    let decoder = Decoder::new(fixture("mono-44k.ogg"), "", Limits::default()).unwrap();
    assert_eq!(decoder.finish().unwrap_err().kind(), "invalid-input");
}

/// A file in blocks: what they make together, how many there were and the warnings.
fn in_blocks(bytes: Vec<u8>, limits: Limits) -> Result<(Vec<Vec<f32>>, usize, Vec<String>)> {
    let mut decoder = Decoder::open(Box::new(bytes), "", limits, Output::Blocks)?;
    let mut whole: Vec<Vec<f32>> = Vec::new();
    let mut count = 0;
    let mut add = |audio: otolith::Audio| {
        whole.resize(audio.channels().len(), Vec::new());
        whole.iter_mut().zip(audio.channels()).for_each(|(whole, part)| whole.extend_from_slice(part));
    };
    while decoder.step()? {
        if let Some(block) = decoder.block() {
            count += 1;
            add(block);
        }
    }
    let decoded = decoder.finish()?;
    add(decoded.audio);
    Ok((whole, count, decoded.warnings))
}

#[test]
fn blocks_make_the_whole_of_every_format_damaged_or_not() {
    let long = wav(44_100, 800_000, &[7; 400_000]);
    let mut cut = fixture("stereo-44k.flac");
    cut.truncate(cut.len() * 2 / 3);
    let mut chained = fixture("mono-44k.ogg");
    chained.extend_from_slice(&fixture("mono-44k.ogg"));
    let names = [
        ["eight-32k-s16.wav", "mono-44k.ogg", "mono-44k-128k.mp3", "mono-44k.m4a", "mono-44k.aac", "mono-22k-s24.aiff"],
        ["stereo-44k.flac", "stereo-44k-f32.wav", "stereo-48k.m4a", "stereo-44k-alac.m4a", "stereo-44k-vbr.mp3", "stereo-48k.ogg"],
    ]
    .concat();
    let files = names.into_iter().map(|name| (name, fixture(name)));
    for (name, bytes) in files.chain([("long", long), ("cut", cut), ("chained", chained)]) {
        let whole = decode_default(bytes.clone()).unwrap();
        let (channels, count, warnings) = in_blocks(bytes, Limits::default()).unwrap();
        assert!(channels == whole.audio.channels() && warnings == whole.warnings, "{name}");
        assert!(name != "long" || count >= 3, "{count}");
    }
}

#[test]
fn the_limit_of_decoded_bytes_holds_for_what_waits_and_not_for_blocks_that_were_taken() {
    let limits = Limits { decoded_bytes: 400_000.0, ..Limits::default() };
    let bytes = wav(44_100, 800_000, &[7; 400_000]);
    assert_eq!(decode(bytes.clone(), "", limits.clone()).unwrap_err().kind(), "limit");
    assert_eq!(in_blocks(bytes.clone(), limits).unwrap().0[0].len(), 400_000);
    let short = Limits { duration_seconds: 9.0, ..Limits::default() };
    assert_eq!(in_blocks(bytes, short).unwrap_err().kind(), "limit");
}

/// A file whose bytes cannot be read from a place on.
struct Unreadable(Vec<u8>, u64);

impl ByteSource for Unreadable {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        if at + into.len() as u64 > self.1 {
            return Err(std::io::Error::other("the disk was pulled out"));
        }
        self.0.read_at(at, into)
    }
}

#[test]
fn a_file_that_can_no_longer_be_read_is_an_error_and_no_shorter_sound() {
    for readable in [0, 300_000] {
        let source = Unreadable(wav(44_100, 1_600_000, &[7; 800_000]), readable);
        let error = Decoder::open(Box::new(source), "", Limits::default(), Output::Whole)
            .and_then(|mut decoder| {
                while decoder.step()? {}
                decoder.finish()
            })
            .unwrap_err();
        assert_eq!(error.kind(), "invalid-input");
        assert!(error.to_string().contains("pulled out"), "{readable}: {error}");
    }
}
