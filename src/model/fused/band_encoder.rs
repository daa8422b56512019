//! A band-split encoder as one step: from a spectrum to the features of every band, without copies of the spectrum on the way.

use crate::dsp::lanes::{F32x4, LANES};
use crate::dsp::products::{ROWS, Shifted, multiply};

/// The weights of one band of `planes * width` values.
pub struct Band<'a> {
    /// `[planes * width]`, plane by plane.
    pub gain: &'a [f32],
    /// `[planes * width][features]` and `[features]`, a multiple of eight.
    pub linear: (&'a [f32], &'a [f32]),
}

/// Root mean square norm over a band's values in a frame, then a linear layer.
pub struct BandEncoder<'a> {
    pub epsilon: f32,
    pub bands: Vec<Band<'a>>,
}

impl BandEncoder<'_> {
    /// From `x`, `[planes][frames][sum of the bands' widths]`, to `out`, `[features][frames][bands]`.
    pub fn run(&self, x: &[f32], [planes, frames, bins]: [usize; 3], out: &mut [f32]) {
        let mut place = 0;
        for (index, band) in self.bands.iter().enumerate() {
            let width = band.gain.len() / planes;
            let features = band.linear.1.len();
            let shape = Shifted { depth: band.gain.len(), row: features, taps: 1, stride: 0 };
            // Value after value, four frames of each.
            let mut values = vec![0.0; band.gain.len() * ROWS];
            let mut encoded = vec![0.0; ROWS * features];
            for frame in (0..frames).step_by(ROWS) {
                let count = ROWS.min(frames - frame);
                if count < ROWS {
                    values.fill(0.0);
                }
                for (plane, values) in values.chunks_exact_mut(width * ROWS).enumerate() {
                    for r in 0..count {
                        let from = &x[(plane * frames + frame + r) * bins + place..][..width];
                        values.iter_mut().skip(r).step_by(ROWS).zip(from).for_each(|(to, from)| *to = *from);
                    }
                }
                self.normalise(band, &mut values);
                multiply(&values, [0.0; ROWS], band.linear.0, shape, features, &mut encoded, features);
                for (r, encoded) in encoded.chunks_exact(features).take(count).enumerate() {
                    let to = out[(frame + r) * self.bands.len() + index..].iter_mut().step_by(frames * self.bands.len());
                    to.zip(encoded.iter().zip(band.linear.1)).for_each(|(to, (value, bias))| *to = value + bias);
                }
            }
            place += width;
        }
    }

    fn normalise(&self, band: &Band<'_>, values: &mut [f32]) {
        let squares = values.chunks_exact(LANES).map(F32x4::load).fold(F32x4::splat(0.0), |sum, value| sum + value * value);
        let mean = squares * F32x4::splat(1.0 / band.gain.len() as f32);
        let inverse = F32x4::splat(1.0) / (mean + F32x4::splat(self.epsilon)).sqrt();
        for (value, gain) in values.chunks_exact_mut(LANES).zip(band.gain) {
            (F32x4::load(value) * inverse * F32x4::splat(*gain)).store(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::whole::tests::convolution;
    use super::{Band, BandEncoder};

    #[test]
    fn every_band_is_normed_and_multiplied_whatever_the_widths_and_the_number_of_frames() {
        const FEATURES: usize = 8;
        for (planes, frames, widths) in [(4, 1, [3, 9]), (1, 2, [8, 1]), (2, 5, [1, 12]), (4, 7, [10, 2])] {
            let mut seed = 0;
            let mut weights = |count: usize| {
                seed += 1;
                convolution(&[count], seed).weights
            };
            let bins: usize = widths.iter().sum();
            let x = weights(planes * frames * bins);
            let parts: Vec<_> = widths
                .iter()
                .map(|width| {
                    let depth = planes * width;
                    (weights(depth), weights(depth * FEATURES), weights(FEATURES))
                })
                .collect();
            let bands = parts.iter().map(|(gain, linear, bias)| Band { gain, linear: (linear, bias) }).collect();
            let mut out = vec![f32::NAN; FEATURES * frames * widths.len()];
            BandEncoder { epsilon: 1e-5, bands }.run(&x, [planes, frames, bins], &mut out);
            for (place, found) in out.iter().enumerate() {
                let (feature, frame, band) = (place / widths.len() / frames, place / widths.len() % frames, place % widths.len());
                let first: usize = widths[..band].iter().sum();
                let (gain, linear, bias) = &parts[band];
                let value = |k: usize| f64::from(x[(k / widths[band] * frames + frame) * bins + first + k % widths[band]]);
                let depth = planes * widths[band];
                let root = ((0..depth).map(|k| value(k).powi(2)).sum::<f64>() / depth as f64 + 1e-5).sqrt();
                let term = |k: usize| value(k) / root * f64::from(gain[k]) * f64::from(linear[k * FEATURES + feature]);
                let wanted = (0..depth).map(term).sum::<f64>() + f64::from(bias[feature]);
                assert!((f64::from(*found) - wanted).abs() < 2e-6, "{frames} frames, value {place}: {found}, not {wanted}");
            }
        }
    }
}
