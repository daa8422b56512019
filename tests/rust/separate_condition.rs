//! Filters at the low end, gain and silence, against their formulas.

use otolith::separate::condition::{StandardDeviation, high_pass_vocals, is_silent, low_part, narrow_bass, peak_gain};

use crate::signal::{noise, sine};

const RATE: u32 = 44_100;
const FRAMES: usize = 4 * RATE as usize;

/// RMS of the middle half, in dB, away from where the filters start up.
fn level(samples: &[f32]) -> f64 {
    let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
    10.0 * (middle.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / middle.len() as f64).log10()
}

/// Gain of the low-pass at `frequency`: f^4 / (f^4 + v^4).
fn low_gain(corner: f64, frequency: f64) -> f64 {
    corner.powi(4) / (corner.powi(4) + frequency.powi(4))
}

#[test]
fn the_low_pass_follows_its_formula_within_a_tenth_of_a_decibel() {
    for corner in [30.0, 120.0] {
        for ratio in [0.25, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0] {
            let tone = sine(corner * ratio, 0.5, 0.3, RATE, FRAMES);
            let low: Vec<f32> = low_part(&tone, corner, RATE).iter().map(|sample| *sample as f32).collect();
            let gain = level(&low) - level(&tone);
            let expected = 20.0 * low_gain(corner, corner * ratio).log10();
            assert!((gain - expected).abs() < 0.1, "corner {corner} Hz, {} Hz: {gain} dB, expected {expected}", corner * ratio);
        }
    }
}

#[test]
fn vocals_lose_what_lies_below_30_hertz_and_nothing_above() {
    for frequency in [10.0, 20.0, 30.0, 60.0, 100.0, 1_000.0] {
        let tone = sine(frequency, 0.5, 0.3, RATE, FRAMES);
        let mut vocals = tone.clone();
        high_pass_vocals(&mut vocals, RATE);
        let expected = 20.0 * (1.0 - low_gain(30.0, frequency)).log10();
        let gain = level(&vocals) - level(&tone);
        assert!((gain - expected).abs() < 0.1, "{frequency} Hz: {gain} dB, expected {expected}");
    }
}

#[test]
fn the_side_of_bass_falls_by_24_decibels_at_60_hertz_and_its_middle_stays() {
    let (mut left, mut right) = (sine(60.0, 0.5, 0.0, RATE, FRAMES), sine(60.0, 0.3, 1.0, RATE, FRAMES));
    let half = |left: &[f32], right: &[f32], sign: f32| -> Vec<f32> { left.iter().zip(right).map(|(l, r)| (l + sign * r) / 2.0).collect() };
    let (side, middle) = (half(&left, &right, -1.0), half(&left, &right, 1.0));
    narrow_bass(&mut left, &mut right, RATE);
    assert!(level(&half(&left, &right, -1.0)) - level(&side) <= -24.0);
    let moved = middle.iter().zip(half(&left, &right, 1.0)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(moved <= 1e-7, "{moved}");
}

#[test]
fn a_peak_goes_to_minus_one_decibel_by_24_at_most_and_silence_stays() {
    let decibels = |value: f32| 20.0 * f64::from(value).log10();
    for peak in [1.5_f32, 1.0, 0.891, 0.2, 0.06] {
        assert!((decibels(peak * peak_gain(peak)) + 1.0).abs() < 0.01, "{peak}");
    }
    for peak in [0.05_f32, 0.0011] {
        assert!((decibels(peak_gain(peak)) - 24.0).abs() < 1e-4, "{peak}");
    }
    for peak in [0.000_999, 0.0] {
        assert_eq!(peak_gain(peak), 1.0);
    }
}

/// The deviation of channels, each given in blocks of `block` samples.
fn deviation(channels: &[Vec<f32>], block: usize) -> f32 {
    let parts: Vec<StandardDeviation> = channels
        .iter()
        .map(|channel| {
            let mut deviation = StandardDeviation::default();
            channel.chunks(block).for_each(|block| deviation.add(block));
            deviation
        })
        .collect();
    StandardDeviation::over(&parts)
}

#[test]
fn the_deviation_is_the_populations_over_all_channels() {
    // 1, 3, 5, 7: mean 4, variance 5.
    assert!((deviation(&[vec![1.0, 3.0], vec![5.0, 7.0]], 1) - 5f32.sqrt()).abs() < 1e-6);
    assert!((deviation(&[vec![1.0, 3.0, 5.0, 7.0]], 3) - 5f32.sqrt()).abs() < 1e-6);
    assert_eq!(StandardDeviation::over(&[]), 0.0);
    assert_eq!(deviation(&[vec![], vec![]], 1), 0.0);
    // Channels in antiphase are no silence, a constant is.
    let sound = noise(2, 0.5, 50_000);
    let opposite = sound.iter().map(|sample| -sample).collect();
    assert!((deviation(&[sound.clone(), opposite], 999) / deviation(&[sound], 999) - 1.0).abs() < 0.01);
    assert_eq!(deviation(&[vec![0.9; 50_001]], 7_777), 0.0);
}

#[test]
fn the_deviation_keeps_its_precision_beside_a_large_mean_and_does_not_depend_on_the_cut() {
    // A ramp of n steps of size d has the variance d^2 (n^2 - 1) / 12, whatever it is added to. The steps are powers of two, so that the
    // samples are exact.
    let (count, step) = (1 << 16, 2f32.powi(-18));
    let ramp = |offset: f32| -> Vec<f32> { (0..count).map(|n| offset + n as f32 * step).collect() };
    let expected = f64::from(step) * ((f64::from(count) * f64::from(count) - 1.0) / 12.0).sqrt();
    for offset in [0.0, 32.0] {
        let whole = deviation(&[ramp(offset)], count as usize);
        assert!((f64::from(whole) / expected - 1.0).abs() < 1e-7, "{offset}: {whole} for {expected}");
        for block in [1, 4_095, 4_096, 10_001] {
            assert_eq!(deviation(&[ramp(offset)], block), whole, "blocks of {block}");
        }
    }
}

#[test]
fn a_chunk_is_silent_60_decibels_below_the_file_and_a_silent_file_is_silent_throughout() {
    let samples = noise(1, 3f64.sqrt() * 1e-3, 10_000);
    assert!(is_silent([&samples, &samples], 1.05));
    assert!(!is_silent([&samples, &samples], 0.95));
    assert!(is_silent([&samples, &samples], 0.9e-7));
}
