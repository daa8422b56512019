//! Resampling against closed forms: sines of both rates, images, lengths, chunking.

use crate::signal::{Random, error_db, noise, sine};
use otolith::audio::resample::{Resampler, resample};

const RATES: [u32; 13] = [8_000, 8_001, 11_025, 16_000, 22_050, 32_000, 44_099, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000];

fn pairs() -> impl Iterator<Item = (u32, u32)> {
    RATES.into_iter().flat_map(|from| RATES.into_iter().map(move |to| (from, to)))
}

/// The documented length.
fn length(frames: usize, from: u32, to: u32) -> usize {
    let (from, to) = (from as usize, to as usize);
    if frames == 0 { 0 } else { ((frames * to + from / 2) / from).max(1) }
}

/// Four times as long as the filter, with slack: a sine begins and ends abruptly, which shows for half a filter at both ends.
fn tested_frames(from: u32, to: u32) -> usize {
    4 * Resampler::new(from, to, 1).unwrap().latency() + 1_000
}

/// The sum of sines at these shares of the lower Nyquist frequency, at one of the rates.
fn sines(shares: &[f64], lower: u32, sample_rate: u32, frames: usize) -> Vec<f32> {
    let mut sum = vec![0.0; frames];
    for (index, share) in shares.iter().enumerate() {
        let voice = sine(share * f64::from(lower) / 2.0, 0.15, 0.3 + index as f64, sample_rate, frames);
        sum.iter_mut().zip(voice).for_each(|(sum, sample)| *sum += sample);
    }
    sum
}

#[test]
fn sines_in_the_pass_band_come_out_as_the_closed_form_within_100_db() {
    let mut worst = (f64::NEG_INFINITY, 0, 0);
    for (from, to) in pairs() {
        let shares = [0.01, 0.37, 0.8, 0.94];
        let lower = from.min(to);
        let output = resample(&sines(&shares, lower, from, tested_frames(from, to)), from, to).unwrap();
        let expected = sines(&shares, lower, to, output.len());
        let edge = output.len() / 4;
        let error = error_db(&output[edge..output.len() - edge], &expected[edge..output.len() - edge]);
        if error > worst.0 {
            worst = (error, from, to);
        }
    }
    println!("worst pass-band error: {:.1} dB at {} -> {} Hz", worst.0, worst.1, worst.2);
    assert!(worst.0 <= -100.0, "{worst:?}");
}

#[test]
fn what_the_lower_rate_cannot_hold_is_100_db_down() {
    let mut worst = (f64::NEG_INFINITY, 0, 0);
    for (from, to) in pairs().filter(|(from, to)| to < from) {
        let highest = 0.999 * f64::from(from) / f64::from(to);
        let shares: Vec<f64> = [1.0, 1.01, 1.3, 1.9].into_iter().filter(|&share| share < highest).collect();
        if shares.is_empty() {
            continue;
        }
        let input = sines(&shares, to, from, tested_frames(from, to));
        let output = resample(&input, from, to).unwrap();
        let edge = output.len() / 4;
        let power = |samples: &[f32]| samples.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / samples.len() as f64;
        let level = 10.0 * (power(&output[edge..output.len() - edge]) / power(&input)).log10();
        if level > worst.0 {
            worst = (level, from, to);
        }
    }
    println!("worst alias: {:.1} dB at {} -> {} Hz", worst.0, worst.1, worst.2);
    assert!(worst.0 <= -100.0, "{worst:?}");
}

#[test]
fn lengths_are_exact_for_all_pairs_and_edge_lengths() {
    for (from, to) in pairs() {
        for frames in [0, 1, 2, 3, 127, 1_023, 1_024, 1_025, 5_000] {
            let output = resample(&noise(1, 0.5, frames), from, to).unwrap();
            assert_eq!(output.len(), length(frames, from, to), "{frames} frames, {from} -> {to}");
        }
    }
}

#[test]
fn any_chunking_gives_the_same_bits() {
    let input = [noise(2, 0.5, 30_000), noise(3, 0.5, 30_000)];
    for (from, to) in [(44_100, 8_000), (8_000, 44_100), (48_000, 44_100), (44_100, 44_100), (44_099, 44_100)] {
        let whole: Vec<Vec<f32>> = input.iter().map(|channel| resample(channel, from, to).unwrap()).collect();
        let mut random = Random::new(u64::from(from + to));
        for chunk in [1, 127, 128, 1_000, 0] {
            let mut resampler = Resampler::new(from, to, 2).unwrap();
            let mut output = vec![Vec::new(); 2];
            let mut append = |part: &[Vec<f32>]| output.iter_mut().zip(part).for_each(|(all, part)| all.extend_from_slice(part));
            let mut start = 0;
            while start < 30_000 {
                let end = (start + if chunk == 0 { random.below(4_000) } else { chunk }).min(30_000);
                append(resampler.push(&[&input[0][start..end], &input[1][start..end]]).unwrap());
                start = end;
            }
            append(resampler.flush().unwrap());
            assert!(output == whole, "chunks of {chunk}, {from} -> {to}");
        }
    }
}

#[test]
fn a_flushed_resampler_is_as_new() {
    let input = noise(4, 0.5, 10_000);
    let mut resampler = Resampler::new(48_000, 44_100, 1).unwrap();
    let mut run = || {
        let mut output = resampler.push(&[&input]).unwrap()[0].clone();
        output.extend_from_slice(&resampler.flush().unwrap()[0]);
        output
    };
    let first = run();
    assert!(run() == first);
}

#[test]
fn output_comes_within_the_stated_latency() {
    let mut resampler = Resampler::new(44_100, 8_000, 1).unwrap();
    let (mut given, mut got) = (0, 0);
    for _ in 0..3_000 {
        got += resampler.push(&[[0.0; 100]]).unwrap()[0].len();
        given += 100;
        assert!(got + 1 >= length(given.max(resampler.latency()) - resampler.latency(), 44_100, 8_000), "{given} {got}");
    }
}

#[test]
fn rates_outside_the_range_and_a_wrong_number_of_channels_are_refused() {
    assert_eq!(Resampler::new(7_999, 44_100, 1).err().unwrap().kind(), "invalid-input");
    assert_eq!(Resampler::new(44_100, 192_001, 1).err().unwrap().kind(), "invalid-input");
    assert_eq!(Resampler::new(44_100, 8_000, 0).err().unwrap().kind(), "invalid-input");
    let mut resampler = Resampler::new(44_100, 8_000, 2).unwrap();
    assert_eq!(resampler.push(&[[0.0; 4]]).unwrap_err().kind(), "invalid-input");
}
