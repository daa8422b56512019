//! Second-order filter sections: the cookbook forms and Butterworth cascades.

use std::f64::consts::{FRAC_1_SQRT_2, PI, TAU};

use crate::error::{Error, Result};

/// One second-order section, `y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2]`, in transposed direct form II with
/// state in f64: at 30 Hz and 192 kHz the poles lie too near 1 for f32.
///
/// Source of the designs: R. Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter coefficients".
#[derive(Debug, Clone, PartialEq)]
pub struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
    state: [f64; 2],
}

/// Quality factor of a second-order Butterworth section.
pub const BUTTERWORTH_Q: f64 = FRAC_1_SQRT_2;

impl Biquad {
    /// Low-pass at `frequency` hertz with quality factor `q`.
    ///
    /// # Errors
    /// Of all designs: [`Error::InvalidInput`] unless 0 < frequency < sample rate / 2 and q > 0.
    pub fn low_pass(sample_rate: f64, frequency: f64, q: f64) -> Result<Self> {
        let (cosine, alpha) = design(sample_rate, frequency, q)?;
        let edge = (1.0 - cosine) / 2.0;
        Ok(Self::normalised([edge, 1.0 - cosine, edge], [1.0 + alpha, -2.0 * cosine, 1.0 - alpha]))
    }

    /// High-pass at `frequency` hertz with quality factor `q`.
    ///
    /// # Errors
    /// As [`Biquad::low_pass`].
    pub fn high_pass(sample_rate: f64, frequency: f64, q: f64) -> Result<Self> {
        let (cosine, alpha) = design(sample_rate, frequency, q)?;
        let edge = (1.0 + cosine) / 2.0;
        Ok(Self::normalised([edge, -1.0 - cosine, edge], [1.0 + alpha, -2.0 * cosine, 1.0 - alpha]))
    }

    /// Band-pass around `frequency` hertz with gain 1 at its peak.
    ///
    /// # Errors
    /// As [`Biquad::low_pass`].
    pub fn band_pass(sample_rate: f64, frequency: f64, q: f64) -> Result<Self> {
        let (cosine, alpha) = design(sample_rate, frequency, q)?;
        Ok(Self::normalised([alpha, 0.0, -alpha], [1.0 + alpha, -2.0 * cosine, 1.0 - alpha]))
    }

    /// Notch at `frequency` hertz.
    ///
    /// # Errors
    /// As [`Biquad::low_pass`].
    pub fn notch(sample_rate: f64, frequency: f64, q: f64) -> Result<Self> {
        let (cosine, alpha) = design(sample_rate, frequency, q)?;
        Ok(Self::normalised([1.0, -2.0 * cosine, 1.0], [1.0 + alpha, -2.0 * cosine, 1.0 - alpha]))
    }

    fn normalised(b: [f64; 3], [a0, a1, a2]: [f64; 3]) -> Self {
        Self { b: b.map(|value| value / a0), a: [a1 / a0, a2 / a0], state: [0.0; 2] }
    }

    /// b0, b1, b2, a1, a2, with a0 = 1.
    #[must_use]
    pub fn coefficients(&self) -> [f64; 5] {
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        [b0, b1, b2, a1, a2]
    }

    /// Filters `samples` in place and keeps the state for what follows.
    pub fn process(&mut self, samples: &mut [f32]) {
        let ([b0, b1, b2], [a1, a2], [mut s1, mut s2]) = (self.b, self.a, self.state);
        for sample in samples {
            let input = f64::from(*sample);
            let output = b0 * input + s1;
            s1 = b1 * input - a1 * output + s2;
            s2 = b2 * input - a2 * output;
            *sample = output as f32;
        }
        self.state = [s1, s2];
    }
}

/// Butterworth low-pass of even `order` (2 or more) at `frequency` hertz, -3.01 dB there, as sections to run one after another.
///
/// # Errors
/// As [`Biquad::low_pass`], and for an odd or zero order.
pub fn butterworth_low_pass(sample_rate: f64, frequency: f64, order: usize) -> Result<Vec<Biquad>> {
    butterworth_qs(order)?.into_iter().map(|q| Biquad::low_pass(sample_rate, frequency, q)).collect()
}

/// Butterworth high-pass of even `order`, otherwise as [`butterworth_low_pass`].
///
/// # Errors
/// As [`butterworth_low_pass`].
pub fn butterworth_high_pass(sample_rate: f64, frequency: f64, order: usize) -> Result<Vec<Biquad>> {
    butterworth_qs(order)?.into_iter().map(|q| Biquad::high_pass(sample_rate, frequency, q)).collect()
}

/// Quality factors of the pole pairs on the Butterworth circle.
fn butterworth_qs(order: usize) -> Result<Vec<f64>> {
    if order == 0 || !order.is_multiple_of(2) {
        return Err(Error::invalid(format!("order must be even and at least 2, got {order}: choose for example 4")));
    }
    Ok((0..order / 2).map(|pair| 0.5 / (PI * (2 * pair + 1) as f64 / (2 * order) as f64).sin()).collect())
}

/// cos and alpha of the cookbook.
fn design(sample_rate: f64, frequency: f64, q: f64) -> Result<(f64, f64)> {
    if !(frequency > 0.0 && frequency < sample_rate / 2.0 && q > 0.0) {
        return Err(Error::invalid(format!(
            "a filter needs 0 < frequency < {} Hz and q > 0, got {frequency} Hz and {q}: stay below half the sample rate",
            sample_rate / 2.0
        )));
    }
    let (sine, cosine) = (TAU * frequency / sample_rate).sin_cos();
    Ok((cosine, sine / (2.0 * q)))
}

#[cfg(test)]
mod tests {
    use super::{BUTTERWORTH_Q, Biquad, butterworth_high_pass, butterworth_low_pass};

    #[derive(serde::Deserialize)]
    struct Fixtures {
        butterworth: Vec<Butterworth>,
        peaks: Vec<Peak>,
    }

    /// Impulse response by scipy.signal.butter and sosfilt.
    #[derive(serde::Deserialize)]
    struct Butterworth {
        high: bool,
        order: usize,
        rate: f64,
        frequency: f64,
        impulse: Vec<f64>,
    }

    /// Coefficients by scipy.signal.iirpeak and iirnotch.
    #[derive(serde::Deserialize)]
    struct Peak {
        notch: bool,
        rate: f64,
        frequency: f64,
        q: f64,
        b: Vec<f64>,
        a: Vec<f64>,
    }

    fn fixtures() -> Fixtures {
        serde_json::from_str(&std::fs::read_to_string("tests/data/beat_filters.json").unwrap()).unwrap()
    }

    #[test]
    fn butterworth_cascades_have_scipys_impulse_response() {
        for case in fixtures().butterworth {
            let design = if case.high { butterworth_high_pass } else { butterworth_low_pass };
            let mut samples = vec![0.0; case.impulse.len()];
            samples[0] = 1.0;
            for mut section in design(case.rate, case.frequency, case.order).unwrap() {
                section.process(&mut samples);
            }
            // Each section rounds its output to f32.
            for (ours, theirs) in samples.iter().zip(&case.impulse) {
                assert!((f64::from(*ours) - theirs).abs() < 1e-6, "{} Hz, order {}: {ours} against {theirs}", case.frequency, case.order);
            }
        }
    }

    #[test]
    fn band_pass_and_notch_agree_with_scipy_where_its_bandwidth_warp_vanishes() {
        for case in fixtures().peaks {
            let design = if case.notch { Biquad::notch } else { Biquad::band_pass };
            let ours = design(case.rate, case.frequency, case.q).unwrap().coefficients();
            // scipy sets alpha = tan(w / 2q), the cookbook sin(w) / 2q: equal to third order in w.
            for (ours, theirs) in ours.iter().zip(case.b.iter().chain(case.a.iter().skip(1))) {
                assert!((ours - theirs).abs() < 1e-6, "{} Hz: {ours} against {theirs}", case.frequency);
            }
        }
    }

    #[test]
    fn pieces_of_a_signal_are_filtered_as_the_whole() {
        let signal: Vec<f32> = (0..1000).map(|n| ((n * n) as f32 * 0.01).sin()).collect();
        let mut whole = signal.clone();
        Biquad::low_pass(44_100.0, 500.0, BUTTERWORTH_Q).unwrap().process(&mut whole);
        let mut pieces = signal;
        let mut filter = Biquad::low_pass(44_100.0, 500.0, BUTTERWORTH_Q).unwrap();
        pieces.chunks_mut(37).for_each(|piece| filter.process(piece));
        assert_eq!(whole, pieces);
    }

    #[test]
    fn designs_out_of_range_are_refused() {
        for (frequency, q) in [(0.0, 1.0), (22_050.0, 1.0), (f64::NAN, 1.0), (100.0, 0.0)] {
            assert_eq!(Biquad::notch(44_100.0, frequency, q).unwrap_err().kind(), "invalid-input");
        }
        assert_eq!(butterworth_low_pass(44_100.0, 100.0, 3).unwrap_err().kind(), "invalid-input");
    }
}
