//! The corpus: seeds of every format, altered in thousands of fixed ways, and every input that once made a parser fail.
//!
//! Oracles: no panic; memory within the limits given; what decodes is finite and has a shape that is allowed; what does not decode
//! is an error of a kind that says what to do. Inputs that once failed lie in `tests/fuzz/crashes/`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's failure, in its helpers too

mod counting_allocator;
mod signal;

use counting_allocator::{CountingAllocator, allocations, peak_bytes};
use otolith::audio::decode::{Decoded, Decoder, decode};
use otolith::audio::resample::{Resampler, resample};
use otolith::header::Header;
use otolith::{Error, Limits, Result};
use proptest::prelude::*;
use signal::{Random, noise};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/audio");
const CRASHES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/crashes");
/// Alterations tried on each seed.
const ALTERATIONS: u64 = 400;
/// Decoded bytes allowed here. Large enough for every seed, small enough that a bomb shows.
const DECODED_BYTES: usize = 4 << 20;
/// What decoding may hold besides the sound (twice: its planes double as they
/// grow): codec tables and metadata. Measured over the corpus: 4.4 MB at the peak, sound and all.
const OVERHEAD_BYTES: usize = 4 << 20;

fn limits() -> Limits {
    Limits { duration_seconds: 60.0, decoded_bytes: DECODED_BYTES as f64, ..Limits::default() }
}

fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.extension().is_none_or(|extension| extension != "json" && extension != "md"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Decodes and checks the oracles; gives the bytes held at the peak.
fn replay(name: &str, bytes: Vec<u8>) -> (Result<Decoded>, usize) {
    let length = bytes.len();
    let (result, peak) = peak_bytes(|| decode(bytes, name, limits()));
    assert!(peak <= 2 * DECODED_BYTES + OVERHEAD_BYTES, "{name}: {peak} bytes held for a file of {length}");
    match &result {
        Ok(decoded) => {
            let audio = &decoded.audio;
            assert!((1..=8).contains(&audio.channels().len()) && (8_000..=192_000).contains(&audio.sample_rate()), "{name}");
            assert!(audio.channels().iter().all(|channel| channel.len() == audio.frames()), "{name}");
            assert!(audio.channels().iter().flatten().all(|sample| sample.is_finite()), "{name}");
        }
        Err(Error::InvalidInput { .. } | Error::UnsupportedFormat { .. } | Error::Limit { .. }) => {}
        Err(error) => panic!("{name}: {error:?}"),
    }
    (result, peak)
}

/// One of: a few flipped bits, an end cut off, a run of one byte, a piece moved, a length field blown up.
fn alter(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut altered = bytes.to_vec();
    // Headers are where the decisions are: half of the alterations fall into the first 600 bytes.
    let reach = if random.below(2) == 0 { altered.len().min(600) } else { altered.len() };
    let at = random.below(reach);
    match random.below(5) {
        0 => (0..=random.below(8)).for_each(|_| {
            let bit = random.below(reach * 8);
            altered[bit / 8] ^= 1 << (bit % 8);
        }),
        1 => altered.truncate(at),
        2 => {
            let end = (at + 1 + random.below(64)).min(altered.len());
            let value = [0x00, 0xff, 0x7f, 0x80][random.below(4)];
            altered[at..end].fill(value);
        }
        3 => {
            let end = (at + 1 + random.below(2_000)).min(altered.len());
            let piece: Vec<u8> = altered.drain(at..end).collect();
            let to = random.below(altered.len() + 1);
            altered.splice(to..to, piece);
        }
        _ => {
            let value = [u32::MAX, i32::MAX as u32, 0, 1, 0x1000_0000][random.below(5)];
            let end = (at + 4).min(altered.len());
            let stored = if random.below(2) == 0 { value.to_le_bytes() } else { value.to_be_bytes() };
            altered[at..end].copy_from_slice(&stored[..end - at]);
        }
    }
    altered
}

#[test]
fn altered_files_of_every_format_neither_panic_nor_take_more_memory_than_allowed() {
    let (mut cases, mut decoded, mut most) = (0, 0, 0);
    for (index, (name, bytes)) in files(SEEDS).into_iter().enumerate() {
        for alteration in 0..ALTERATIONS {
            let mut random = Random::new((index as u64) << 32 | alteration);
            let (result, peak) = replay(&format!("{name}, alteration {alteration}"), alter(&bytes, &mut random));
            cases += 1;
            decoded += usize::from(result.is_ok());
            most = most.max(peak);
        }
    }
    println!("{cases} altered files, {decoded} decode, {most} bytes at the peak");
    // If nearly all failed at once, the decoders behind the probe would not be tested.
    assert!(cases >= 9_000 && decoded * 3 > cases, "{decoded} of {cases}");
}

#[test]
fn every_length_of_a_cut_off_header_is_an_error_or_a_sound() {
    for (name, bytes) in files(SEEDS) {
        for length in 0..bytes.len().min(300) {
            let _ = replay(&format!("{name} cut to {length}"), bytes[..length].to_vec());
        }
    }
}

#[test]
fn inputs_that_once_failed_are_handled() {
    for (name, bytes) in files(CRASHES) {
        let _ = replay(&name, bytes);
    }
}

#[test]
fn a_file_of_100_bytes_that_declares_a_day_is_refused_before_memory_is_taken() {
    // 8 kHz, 8-bit, mono: 691 MB of data announced.
    let mut bytes = b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data".to_vec();
    bytes.extend_from_slice(&(86_400_u32 * 8_000).to_le_bytes());
    bytes.resize(100, 0x80);
    let (result, peak) = peak_bytes(|| Decoder::new(bytes, "", Limits::default()).err().unwrap());
    assert_eq!(result.kind(), "limit");
    assert!(peak < 500_000, "{peak}");
}

#[test]
fn decoding_holds_the_file_and_the_sound_and_little_else() {
    // 30 s of stereo as 16-bit WAV: 5.3 MB in, 10.6 MB out.
    let sound = [noise(1, 0.5, 1_323_000), noise(2, 0.5, 1_323_000)];
    let file = otolith::audio::wav::encode_wav(&sound, 44_100, otolith::audio::wav::SampleFormat::Int16).unwrap().bytes;
    let sound_bytes = 2 * 4 * 1_323_000;
    let (decoded, peak) = peak_bytes(|| decode(file, "", Limits::default()).unwrap());
    assert_eq!(decoded.audio.frames(), 1_323_000);
    // The file itself was there before and is not copied; a packet, the reader's buffer and the codec come to less than 1 MB.
    assert!(peak <= sound_bytes + 1_000_000, "{peak} for {sound_bytes}");
}

#[test]
fn a_resampler_allocates_nothing_after_its_first_push() {
    let input = noise(3, 0.5, 4_096);
    for (from, to) in [(44_100, 8_000), (8_000, 44_100), (44_100, 44_100)] {
        let mut resampler = Resampler::new(from, to, 1).unwrap();
        // Blocks do not divide the push, so that the first few may differ in what they give by a block.
        for _ in 0..8 {
            resampler.push(&[&input]).unwrap();
        }
        let ((), count) = allocations(|| {
            for _ in 0..50 {
                resampler.push(&[&input]).unwrap();
            }
        });
        assert_eq!(count, 0, "{from} -> {to}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn resampled_lengths_are_exact_around_block_borders(blocks in 0_usize..3, offset in -1_i64..=1, from in 8_000_u32..=192_000, to_index in 0_usize..4) {
        let to = [8_000, 44_100, 48_000, 192_000][to_index];
        // A rate of its own for each case would plan transforms of up to 10^5 points: rates in steps of 100 Hz keep this quick.
        let from = from / 100 * 100;
        let block = Resampler::new(from, to, 1).unwrap().latency() * 2 / 3;
        let frames = ((blocks * block) as i64 + offset).max(0) as usize;
        let output = resample(&vec![0.25; frames], from, to).unwrap();
        let expected = ((frames as u64 * u64::from(to) + u64::from(from) / 2) / u64::from(from)).max(u64::from(frames > 0));
        prop_assert_eq!(output.len() as u64, expected);
    }

    #[test]
    fn header_bytes_of_any_kind_are_refused_or_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok((header, _)) = Header::read(&bytes, *b"OTFP") {
            prop_assert_eq!(&header.to_bytes()[..], &bytes[..32]);
        }
    }
}
