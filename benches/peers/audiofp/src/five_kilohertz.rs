//! From 10 kHz to the 5 kHz that audiofp's Haitsma works at: otolith resamples to 8 kHz and above alone.

/// Every second sample behind a low-pass filter of 81 taps, a sinc at 0.45 of the new rate under a Hamming window.
pub fn halved(ten: &[f32]) -> Vec<f32> {
    let taps = (-40i32..=40).map(|n| {
        let x = f64::from(n) * 0.45;
        let sinc = if n == 0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        0.45 * sinc * (0.54 + 0.46 * (std::f64::consts::PI * f64::from(n) / 40.0).cos())
    });
    let mut padded = vec![0.0; 40];
    padded.extend(ten.iter().map(|&sample| f64::from(sample)));
    padded.resize(ten.len() + 80, 0.0);
    // A tap after the other over all samples: sums that do not wait for each other.
    let mut sums = vec![0.0; ten.len() / 2];
    for (n, tap) in taps.enumerate() {
        for (sum, pair) in sums.iter_mut().zip(padded[n..].chunks_exact(2)) {
            *sum += tap * pair[0];
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}
