//! From 10 kHz to the 5 kHz that audiofp's Haitsma works at: otolith resamples to 8 kHz and above alone.

/// Every second sample behind a low-pass filter of 81 taps, a sinc at 0.45 of the new rate under a Hamming window.
pub fn halved(ten: &[f32]) -> Vec<f32> {
    let taps: Vec<f64> = (-40i32..=40)
        .map(|n| {
            let x = f64::from(n) * 0.45;
            let sinc = if n == 0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
            0.45 * sinc * (0.54 + 0.46 * (std::f64::consts::PI * f64::from(n) / 40.0).cos())
        })
        .collect();
    let sample = |index: usize, n: usize| f64::from(ten.get((2 * index + n).wrapping_sub(40)).copied().unwrap_or(0.0));
    (0..ten.len() / 2).map(|index| taps.iter().enumerate().map(|(n, tap)| tap * sample(index, n)).sum::<f64>() as f32).collect()
}
