//! The transform against librosa, against the definition, and against its own inverse.

use std::f64::consts::TAU;

use otolith::dsp::stft::{FrameSpectrum, Stft, Synthesis};
use otolith::dsp::window::hann;

use crate::signal::noise;

fn peak_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn round_trip(stft: &mut Stft, samples: &[f32]) -> Vec<f32> {
    let size = stft.frames(samples.len()) * stft.bins();
    let (mut real, mut imaginary, mut back) = (vec![0.0; size], vec![0.0; size], vec![9.0; samples.len()]);
    stft.forward(samples, &mut real, &mut imaginary).unwrap();
    stft.inverse(&real, &imaginary, &mut back).unwrap();
    back
}

/// -120 dBFS: the noise has a peak of 1.
const ROUND_TRIP: f32 = 1e-6;

#[test]
fn every_short_length_comes_back_to_120_db() {
    let mut stft = Stft::new(4096, 1024).unwrap();
    let samples = noise(1, 1.0, 5000);
    for length in (1..=5000).step_by(if cfg!(debug_assertions) { 7 } else { 1 }) {
        let error = peak_difference(&samples[..length], &round_trip(&mut stft, &samples[..length]));
        assert!(error <= ROUND_TRIP, "{length} samples: {error}");
    }
}

#[test]
fn a_full_chunk_and_padded_short_files_come_back_to_120_db() {
    let mut stft = Stft::new(4096, 1024).unwrap();
    for length in [65_536, 131_072, 793_800] {
        let samples = noise(2, 1.0, length);
        assert!(peak_difference(&samples, &round_trip(&mut stft, &samples)) <= ROUND_TRIP, "{length} samples");
    }
    let mut padded = noise(3, 1.0, 1);
    padded.resize(65_536, 0.0);
    assert!(peak_difference(&padded, &round_trip(&mut stft, &padded)) <= ROUND_TRIP);
}

#[test]
fn other_sizes_invert_too() {
    let samples = noise(4, 1.0, 20_000);
    for (n_fft, hop) in [(6144, 1024), (7680, 1024), (2048, 512), (512, 256), (4, 2), (4096, 1000), (4096, 64), (1000, 499)] {
        let mut stft = Stft::new(n_fft, hop).unwrap();
        assert!(peak_difference(&samples, &round_trip(&mut stft, &samples)) <= 2.0 * ROUND_TRIP, "n_fft {n_fft}, hop {hop}");
    }
}

#[test]
fn a_hop_that_leaves_gaps_is_refused() {
    for (n_fft, hop) in [(4096, 4096), (4096, 2049), (4096, 0), (0, 0), (4095, 1365), (2, 1)] {
        assert_eq!(Stft::new(n_fft, hop).err().map(|error| error.kind()), Some("invalid-input"), "{n_fft}, {hop}");
    }
}

#[test]
fn spectra_are_those_of_librosa() {
    let stored: serde_json::Value = serde_json::from_str(include_str!("../data/stft.json")).unwrap();
    let length = stored["samples"].as_u64().unwrap() as u32;
    let samples: Vec<f32> =
        (0..length).map(|n| ((f64::from(n.wrapping_mul(2_654_435_761)) / 2_147_483_648.0 - 1.0) / 10.0) as f32).collect();
    let mut stft = Stft::new(4096, 1024).unwrap();
    let (frames, bins) = (stft.frames(samples.len()), stft.bins());
    assert_eq!(stored["shape"], serde_json::json!([bins, frames]));
    let (mut real, mut imaginary) = (vec![0.0; frames * bins], vec![0.0; frames * bins]);
    stft.forward(&samples, &mut real, &mut imaginary).unwrap();
    for value in stored["values"].as_array().unwrap() {
        let number = |index: usize| value[index].as_f64().unwrap();
        let place = number(0) as usize * bins + number(1) as usize;
        // Tolerance: librosa in f64, ours in f32; |X| is about 0.06 here.
        assert!((f64::from(real[place]) - number(2)).abs() < 1e-6, "real {value}: {}", real[place]);
        assert!((f64::from(imaginary[place]) - number(3)).abs() < 1e-6, "imaginary {value}: {}", imaginary[place]);
    }
}

#[test]
fn white_noise_of_unit_variance_has_unit_power_per_bin() {
    let samples: Vec<f32> = noise(5, 3f64.sqrt(), 400_000);
    let mut stft = Stft::new(4096, 1024).unwrap();
    let size = stft.frames(samples.len()) * stft.bins();
    let (mut real, mut imaginary) = (vec![0.0; size], vec![0.0; size]);
    stft.forward(&samples, &mut real, &mut imaginary).unwrap();
    let power = real.iter().chain(&imaginary).map(|value| f64::from(*value).powi(2)).sum::<f64>() / size as f64;
    assert!((power - 1.0).abs() < 0.01, "{power}");
}

#[test]
fn an_inverse_fed_in_pieces_gives_the_bits_of_the_whole() {
    let samples = noise(6, 1.0, 70_000);
    let mut stft = Stft::new(4096, 1024).unwrap();
    let (frames, bins) = (stft.frames(samples.len()), stft.bins());
    let (mut real, mut imaginary, mut whole) = (vec![0.0; frames * bins], vec![0.0; frames * bins], vec![0.0; samples.len()]);
    stft.forward(&samples, &mut real, &mut imaginary).unwrap();
    stft.inverse(&real, &imaginary, &mut whole).unwrap();
    for piece in [1, 3, 50] {
        let (mut synthesis, mut out, mut written) = (Synthesis::new(&stft, samples.len()), vec![0.0; samples.len()], 0);
        for (real, imaginary) in real.chunks(piece * bins).zip(imaginary.chunks(piece * bins)) {
            let range = synthesis.push(&mut stft, real, imaginary, &mut out).unwrap();
            assert_eq!(range.start, written, "pieces of {piece}");
            written = range.end;
        }
        synthesis.finish().unwrap();
        assert_eq!((written, &out), (samples.len(), &whole), "pieces of {piece}");
    }
}

#[test]
fn missing_or_surplus_frames_are_refused() {
    let mut stft = Stft::new(4096, 1024).unwrap();
    let (bins, mut out) = (stft.bins(), vec![0.0; 2048]);
    let mut synthesis = Synthesis::new(&stft, 2048);
    assert!(synthesis.push(&mut stft, &vec![0.0; 4 * bins], &vec![0.0; 4 * bins], &mut out).is_err());
    synthesis.push(&mut stft, &vec![0.0; 2 * bins], &vec![0.0; 2 * bins], &mut out).unwrap();
    assert!(synthesis.finish().is_err());
}

#[test]
fn a_single_frame_is_the_direct_transform() {
    let samples = noise(7, 1.0, 3000);
    let mut buffer = vec![f32::NAN; 0];
    for (length, start) in [(1024, 0), (1024, 100), (1024, -500), (1024, 2500), (441, 7), (2048, -2000)] {
        let mut spectrum = FrameSpectrum::new(length);
        buffer.resize(spectrum.bins(), f32::NAN);
        spectrum.power(&samples, start, &mut buffer).unwrap();
        let window = hann(length);
        for (bin, found) in buffer.iter().enumerate().step_by(37) {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, window) in window.iter().enumerate() {
                let place = start + n as isize;
                let sample = usize::try_from(place).ok().and_then(|place| samples.get(place)).copied().unwrap_or(0.0);
                let (value, phase) = (f64::from(sample) * f64::from(*window), TAU * ((bin * n) % length) as f64 / length as f64);
                (re, im) = (re + value * phase.cos(), im - value * phase.sin());
            }
            let power = re * re + im * im;
            // f32 transform of up to 2048 samples: 1e-6 of the largest |X|, about 40, times |X|.
            assert!(
                (f64::from(*found) - power).abs() < 4e-5 * (power.sqrt() + 1.0),
                "length {length}, start {start}, bin {bin}: {found} {power}"
            );
        }
        let power = buffer.clone();
        spectrum.magnitude(&samples, start, &mut buffer).unwrap();
        assert!(power.iter().zip(&buffer).all(|(power, magnitude)| power.sqrt() == *magnitude));
    }
}
