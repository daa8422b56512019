//! Analysis windows.

use std::f64::consts::TAU;

/// The periodic Hann window of `length` samples, `w[n] = (1 - cos(2 pi n / length)) / 2`, computed in f64 and rounded once.
///
/// Periodic, not symmetric: shifted copies at any hop that divides `length / 2` sum to a constant, which overlap-add needs.
/// Length 1 gives `[0]`, length 0 nothing. Source: F. J. Harris, "On the use of windows for harmonic analysis with the discrete
/// Fourier transform", 1978, eq. 27b.
#[must_use]
pub fn hann(length: usize) -> Vec<f32> {
    (0..length).map(|n| (0.5 - 0.5 * (TAU * n as f64 / length as f64).cos()) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::hann;

    #[test]
    fn squared_hann_windows_at_a_quarter_hop_sum_to_one_and_a_half() {
        let window = hann(4096);
        for offset in 0..1024 {
            let sum: f64 = (0..4).map(|k| f64::from(window[offset + 1024 * k]).powi(2)).sum();
            assert!((sum - 1.5).abs() < 1e-6, "offset {offset}: {sum}");
        }
    }

    #[test]
    fn the_window_is_periodic_starts_at_zero_and_peaks_in_the_middle() {
        let window = hann(8);
        assert_eq!((window[0], window[4]), (0.0, 1.0));
        assert_eq!(window[1], window[7]);
        assert!(hann(0).is_empty());
    }
}
