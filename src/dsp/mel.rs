//! Mel filter banks.

use std::ops::Range;

use crate::error::{Error, Result};

/// Formula of the mel scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MelScale {
    /// Linear below 1 kHz, logarithmic above (Slaney, "Auditory Toolbox", 1998); what librosa takes by default.
    Slaney,
    /// 2595 log10(1 + f/700) (O'Shaughnessy 1987, as in HTK).
    Htk,
}

/// Height of the triangles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MelNorm {
    /// Area 1 over hertz: height 2/width.
    Area,
    /// Height 1.
    Peak,
}

/// A bank of triangular filters evenly spaced in mel, over the bins of a real spectrum. Equal to librosa.filters.mel.
#[derive(Debug, Clone, PartialEq)]
pub struct MelBank {
    bands: Vec<(usize, Vec<f32>)>,
}

impl MelBank {
    /// `bands` filters over `frequencies` (hertz) for spectra of `fft_length` samples at `sample_rate` hertz.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] unless 0 <= low < high <= sample rate / 2 and there is at least one band and one bin.
    pub fn new(sample_rate: f64, fft_length: usize, bands: usize, frequencies: Range<f64>, scale: MelScale, norm: MelNorm) -> Result<Self> {
        let Range { start: low, end: high } = frequencies;
        if !(low >= 0.0 && low < high && high <= sample_rate / 2.0) || bands == 0 || fft_length == 0 {
            return Err(Error::invalid(format!(
                "a mel bank needs bands, samples and 0 <= low < high <= {} Hz, got {bands} bands, {fft_length} samples, {low}..{high} Hz",
                sample_rate / 2.0
            )));
        }
        let (first, last) = (scale.mel(low), scale.mel(high));
        let edge = |index: usize| scale.hertz(first + (last - first) * index as f64 / (bands + 1) as f64);
        let filters = (0..bands).map(|band| {
            let (lower, centre, upper) = (edge(band), edge(band + 1), edge(band + 2));
            let height = match norm {
                MelNorm::Area => 2.0 / (upper - lower),
                MelNorm::Peak => 1.0,
            };
            let weight = |bin: usize| {
                let frequency = bin as f64 * sample_rate / fft_length as f64;
                height * ((frequency - lower) / (centre - lower)).min((upper - frequency) / (upper - centre)).max(0.0)
            };
            let bins = 0..=fft_length / 2;
            let start = bins.clone().find(|&bin| weight(bin) > 0.0).unwrap_or(0);
            (start, bins.skip(start).map(weight).take_while(|&weight| weight > 0.0).map(|weight| weight as f32).collect())
        });
        Ok(Self { bands: filters.collect() })
    }

    /// Number of bands.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bands.len()
    }

    /// Whether there is no band; never so for a bank that was made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bands.is_empty()
    }

    /// Weighted sum of `spectrum` (`[bins]`, power or magnitude) in each band, into `energies` (`[bands]`). Missing bins count as 0.
    pub fn apply(&self, spectrum: &[f32], energies: &mut [f32]) {
        for ((start, weights), energy) in self.bands.iter().zip(energies) {
            *energy = weights.iter().zip(spectrum.iter().skip(*start)).map(|(weight, value)| weight * value).sum();
        }
    }
}

/// Slaney's scale: hertz per mel below the break, break in hertz, logarithmic step per mel above.
const SLANEY_STEP: f64 = 200.0 / 3.0;
const SLANEY_BREAK: f64 = 1000.0;

impl MelScale {
    /// Mel of a frequency in hertz.
    #[must_use]
    pub fn mel(self, hertz: f64) -> f64 {
        match self {
            Self::Htk => 2595.0 * (1.0 + hertz / 700.0).log10(),
            Self::Slaney if hertz < SLANEY_BREAK => hertz / SLANEY_STEP,
            Self::Slaney => SLANEY_BREAK / SLANEY_STEP + (hertz / SLANEY_BREAK).ln() / slaney_logarithm(),
        }
    }

    /// Frequency in hertz of a mel value.
    #[must_use]
    pub fn hertz(self, mel: f64) -> f64 {
        let mel_at_break = SLANEY_BREAK / SLANEY_STEP;
        match self {
            Self::Htk => 700.0 * (10_f64.powf(mel / 2595.0) - 1.0),
            Self::Slaney if mel < mel_at_break => mel * SLANEY_STEP,
            Self::Slaney => SLANEY_BREAK * ((mel - mel_at_break) * slaney_logarithm()).exp(),
        }
    }
}

/// 27 mel for a factor of 6.4.
fn slaney_logarithm() -> f64 {
    6.4_f64.ln() / 27.0
}

#[cfg(test)]
mod tests {
    use super::{MelBank, MelNorm, MelScale};

    /// A bank by librosa.filters.mel: the sum of each band, and some weights as (band, bin, weight).
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Fixture {
        htk: bool,
        area: bool,
        sample_rate: f64,
        fft_length: usize,
        bands: usize,
        low: f64,
        high: f64,
        sums: Vec<f64>,
        points: Vec<(usize, usize, f64)>,
    }

    #[test]
    fn the_banks_equal_librosas() {
        #[derive(serde::Deserialize)]
        struct Fixtures {
            mel: Vec<Fixture>,
        }
        let text = std::fs::read_to_string("tests/data/beat_filters.json").unwrap();
        for case in serde_json::from_str::<Fixtures>(&text).unwrap().mel {
            let scale = if case.htk { MelScale::Htk } else { MelScale::Slaney };
            let norm = if case.area { MelNorm::Area } else { MelNorm::Peak };
            let bank = MelBank::new(case.sample_rate, case.fft_length, case.bands, case.low..case.high, scale, norm).unwrap();
            assert_eq!(bank.len(), case.bands);
            let mut energies = vec![0.0; case.bands];
            bank.apply(&vec![1.0; case.fft_length / 2 + 1], &mut energies);
            for (ours, theirs) in energies.iter().zip(&case.sums) {
                assert!((f64::from(*ours) - theirs).abs() <= 1e-5 * theirs.max(1e-2), "{ours} against {theirs}");
            }
            for (band, bin, weight) in case.points {
                let mut spectrum = vec![0.0; case.fft_length / 2 + 1];
                spectrum[bin] = 1.0;
                bank.apply(&spectrum, &mut energies);
                assert!((f64::from(energies[band]) - weight).abs() <= 1e-6 * weight.max(1e-3), "band {band}, bin {bin}");
            }
        }
    }

    #[test]
    fn mel_and_hertz_undo_each_other() {
        for scale in [MelScale::Slaney, MelScale::Htk] {
            for hertz in [0.0, 1.0, 440.0, 999.9, 1000.0, 1000.1, 22_050.0] {
                assert!((scale.hertz(scale.mel(hertz)) - hertz).abs() < 1e-9 * (1.0 + hertz));
            }
        }
    }

    #[test]
    fn a_range_outside_the_spectrum_is_refused() {
        for (low, high) in [(-1.0, 100.0), (100.0, 100.0), (0.0, 8_000.1), (f64::NAN, 100.0)] {
            let bank = MelBank::new(16_000.0, 512, 40, low..high, MelScale::Htk, MelNorm::Peak);
            assert_eq!(bank.unwrap_err().kind(), "invalid-input");
        }
    }
}
