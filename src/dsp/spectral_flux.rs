//! Logarithmic band energies and their positive change from frame to frame.
//!
//! [`LogBands`] gathers the magnitudes of a spectrum into bands of constant pitch width; [`spectral_flux`] sums how much each band
//! rose since the frame before. Both are bare: reference levels, local means and peak picking belong to who uses them.

use std::ops::Range;

/// Triangular bands on a logarithmic frequency scale, over the magnitudes of a real spectrum.
///
/// Knots are the pitches 440·2^(i/n) Hz between `lowest` and `highest`, each moved to its nearest FFT bin, equal bins once; band m is
/// the triangle over knots m, m + 1, m + 2 with its weights summing to 1, so that a flat spectrum gives equal bands. With
/// 2048 samples at 44.1 kHz and 30..17 000 Hz, 12 knots an octave give 81 bands and 24 give 140.
///
/// Source: Böck, Krebs, Schedl, "Evaluating the online capabilities of onset detection methods", ISMIR 2012, section 2.
#[derive(Debug, Clone)]
pub struct LogBands {
    knots: Vec<usize>,
    weights: Vec<f32>,
    bands: Vec<Band>,
}

/// One triangle: the bins it covers and where its weights lie.
#[derive(Debug, Clone)]
struct Band {
    bins: Range<usize>,
    weights: Range<usize>,
}

impl LogBands {
    /// Bands for spectra of `fft_length` samples at `sample_rate` hertz, `knots_per_octave` knots an octave within `frequencies`
    /// (hertz). Frequencies above half the sample rate give no band.
    #[must_use]
    pub fn new(sample_rate: f64, fft_length: usize, knots_per_octave: u32, frequencies: Range<f64>) -> Self {
        let per_octave = f64::from(knots_per_octave);
        let position = |frequency: f64| per_octave * (frequency / 440.0).log2();
        let (first, last) = (position(frequencies.start).ceil(), position(frequencies.end.min(sample_rate / 2.0)).floor());
        let mut knots: Vec<usize> = (first as i64..=last as i64)
            .map(|i| (440.0 * (i as f64 / per_octave).exp2() * fft_length as f64 / sample_rate).round() as usize)
            .filter(|&bin| bin <= fft_length / 2)
            .collect();
        knots.dedup();
        let (mut weights, mut bands) = (Vec::new(), Vec::new());
        for (&low, (&centre, &high)) in knots.iter().zip(knots.iter().skip(1).zip(knots.iter().skip(2))) {
            let triangle: Vec<f64> =
                (low + 1..high)
                    .map(|bin| {
                        if bin <= centre {
                            (bin - low) as f64 / (centre - low) as f64
                        } else {
                            (high - bin) as f64 / (high - centre) as f64
                        }
                    })
                    .collect();
            let area: f64 = triangle.iter().sum();
            let start = weights.len();
            weights.extend(triangle.iter().map(|weight| (weight / area) as f32));
            bands.push(Band { bins: low + 1..high, weights: start..weights.len() });
        }
        Self { knots, weights, bands }
    }

    /// Number of bands.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bands.len()
    }

    /// Whether no band fits below half the sample rate.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bands.is_empty()
    }

    /// FFT bin of band `band`'s peak.
    #[must_use]
    pub fn centre_bin(&self, band: usize) -> Option<usize> {
        self.bands.get(band).and_then(|_| self.knots.get(band + 1)).copied()
    }

    /// One past the highest FFT bin that any band reads: [`LogBands::apply`] needs no magnitudes from there on.
    #[must_use]
    pub fn bin_count(&self) -> usize {
        self.bands.last().map_or(0, |band| band.bins.end)
    }

    /// Weighted sum of `magnitudes` (`[bins]`) in each band, into `energies` (`[bands]`). Bins or bands that are not given count as 0
    /// and are left as they are.
    pub fn apply(&self, magnitudes: &[f32], energies: &mut [f32]) {
        for (band, energy) in self.bands.iter().zip(energies) {
            let bins = magnitudes.get(band.bins.clone()).unwrap_or(&[]);
            let weights = self.weights.get(band.weights.clone()).unwrap_or(&[]);
            *energy = bins.iter().zip(weights).map(|(magnitude, weight)| magnitude * weight).sum();
        }
    }
}

/// Sum over bands of the rise from `previous` to `current` (both `[bands]`, a logarithmic measure), each band compared with the
/// largest of its neighbours within one band in the frame before: a partial that slides by a band is no onset.
///
/// Source: Böck, Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013, with one frame of distance.
#[must_use]
pub fn spectral_flux(previous: &[f32], current: &[f32]) -> f32 {
    let mut flux = 0.0;
    let mut below = f32::NEG_INFINITY;
    for (band, (&now, &before)) in current.iter().zip(previous).enumerate() {
        let above = previous.get(band + 1).copied().unwrap_or(f32::NEG_INFINITY);
        flux += (now - below.max(before).max(above)).max(0.0);
        below = before;
    }
    flux
}

#[cfg(test)]
mod tests {
    use super::{LogBands, spectral_flux};

    #[test]
    fn the_two_band_layouts_have_81_and_140_bands() {
        for (per_octave, bands) in [(12, 81), (24, 140)] {
            let layout = LogBands::new(44_100.0, 2048, per_octave, 30.0..17_000.0);
            assert_eq!(layout.len(), bands);
            assert_eq!(layout.knots.len(), bands + 2);
            assert!(layout.knots.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn a_flat_spectrum_gives_equal_bands() {
        let layout = LogBands::new(44_100.0, 2048, 24, 30.0..17_000.0);
        let mut energies = vec![0.0; layout.len()];
        layout.apply(&[0.5; 1025], &mut energies);
        for (band, energy) in energies.iter().enumerate() {
            assert!((energy - 0.5).abs() < 1e-6, "band {band}: {energy}");
        }
    }

    #[test]
    fn a_triangle_weighs_its_centre_most_and_ends_at_its_neighbours() {
        let layout = LogBands::new(44_100.0, 2048, 12, 30.0..17_000.0);
        let band = layout.len() - 1;
        let centre = layout.centre_bin(band).unwrap();
        let mut magnitudes = vec![0.0; 1025];
        let mut energies = vec![0.0; layout.len()];
        magnitudes[centre] = 1.0;
        layout.apply(&magnitudes, &mut energies);
        let peak = energies[band];
        assert_eq!(energies[band - 1], 0.0);
        magnitudes[centre] = 0.0;
        magnitudes[centre + 3] = 1.0;
        layout.apply(&magnitudes, &mut energies);
        assert!(energies[band] < peak && energies[band] > 0.0);
    }

    #[test]
    fn a_partial_that_moves_by_one_band_is_no_onset_and_one_that_jumps_two_is() {
        let (mut before, mut near, mut far) = ([0.0; 9], [0.0; 9], [0.0; 9]);
        (before[4], near[5], far[6]) = (1.0, 1.0, 1.0);
        assert_eq!(spectral_flux(&before, &near), 0.0);
        assert_eq!(spectral_flux(&before, &far), 1.0);
        assert_eq!(spectral_flux(&before, &[0.0; 9]), 0.0);
        assert_eq!(spectral_flux(&[0.0; 9], &[1.0; 9]), 9.0);
    }
}
