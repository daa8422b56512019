//! A band-split head as one step: from features to the masks of every band, written where they belong. Nothing between exists for more
//! than one band, and the masks exist once.

use super::feed_forward::silu;
use super::tile::{Shape, normalise};
use crate::dsp::products::{COLUMNS, ROWS, Shifted, multiply, pack};

/// Masks that are computed before they are written to their planes: few enough to stay near, many enough to be worth the way.
const TOGETHER: usize = 256;

/// The weights of one band.
pub struct Band<'a> {
    /// `[features]`.
    pub gain: &'a [f32],
    /// `[features][hidden]` and `[hidden]`, a multiple of four.
    pub hidden: (&'a [f32], &'a [f32]),
    /// `[hidden][planes * width]` and `[planes * width]`, a width of eight or more.
    pub output: (&'a [f32], &'a [f32]),
}

/// `planes` masks, two or more, of every band: root mean square norm over the features, linear layer, SiLU, linear layer.
pub struct BandHead<'a> {
    pub epsilon: f32,
    pub planes: usize,
    pub bands: Vec<Band<'a>>,
}

impl BandHead<'_> {
    /// From `x`, `[features][frames][bands]`, to `out`, `[planes][frames][sum of the bands' widths]`.
    pub fn run(&self, x: &[f32], shape: Shape, out: &mut [f32]) {
        let row = shape.frames.next_multiple_of(COLUMNS);
        let mut normed = vec![0.0; shape.features * row];
        let mut hidden = Vec::new();
        let mut place = 0;
        let bins: usize = self.bands.iter().map(|band| band.output.1.len() / self.planes).sum();
        for (index, band) in self.bands.iter().enumerate() {
            for (to, plane) in normed.chunks_exact_mut(row).zip(x.chunks_exact(shape.plane())) {
                to.iter_mut().zip(plane[index..].iter().step_by(shape.bands)).for_each(|(to, from)| *to = *from);
            }
            normalise(&mut normed, row, 0..row, band.gain, 1, self.epsilon);
            hidden.resize(band.hidden.1.len() * row, 0.0);
            band.hide(&normed, row, &mut hidden);
            let width = band.output.1.len() / self.planes;
            band.mask(&hidden, row, width, |frame, plane, masks| {
                if frame < shape.frames {
                    let to = (plane * shape.frames + frame) * bins + place;
                    out[to..to + width].copy_from_slice(masks);
                }
            });
            place += width;
        }
    }
}

impl Band<'_> {
    /// Hidden values, `[hidden][row]`, of normalised features, `[features][row]`.
    fn hide(&self, normed: &[f32], row: usize, out: &mut [f32]) {
        let (features, (weights, bias)) = (self.gain.len(), self.hidden);
        let transposed: Vec<f32> = (0..bias.len()).flat_map(|unit| weights[unit..].iter().step_by(bias.len()).copied()).collect();
        let packed = pack(&transposed, features, 0..bias.len());
        let shape = Shifted { depth: features, row, taps: 1, stride: 0 };
        let blocks = packed.chunks_exact(features * ROWS).zip(bias.chunks_exact(ROWS));
        for ((weights, bias), rows) in blocks.zip(out.chunks_exact_mut(ROWS * row)) {
            multiply(weights, [bias[0], bias[1], bias[2], bias[3]], normed, shape, row, rows, row);
        }
        silu(out);
    }

    /// Gives `write` the masks of each frame and plane. Four frames are multiplied at once, a few planes after the other for all frames,
    /// so that these planes' weights stay near.
    fn mask(&self, hidden: &[f32], row: usize, width: usize, mut write: impl FnMut(usize, usize, &[f32])) {
        let (weights, bias) = self.output;
        let (outputs, units) = (bias.len(), hidden.len() / row);
        let planes = (TOGETHER / width).clamp(1, outputs / width - 1);
        let room = (planes * width).next_multiple_of(COLUMNS);
        let mut masks = vec![0.0; ROWS * room];
        let mut frames = vec![0.0; units * ROWS];
        let shape = Shifted { depth: units, row: outputs, taps: 1, stride: 0 };
        for first in (0..outputs / width).step_by(planes) {
            let count = planes.min(outputs / width - first) * width;
            // Whole columns may reach past the end: then some before the first are computed again.
            let columns = count.next_multiple_of(COLUMNS);
            let from = (first * width).min(outputs - columns);
            let skipped = first * width - from;
            let bias = &bias[first * width..][..count];
            for frame in (0..row).step_by(ROWS) {
                for (to, hidden) in frames.chunks_exact_mut(ROWS).zip(hidden.chunks_exact(row)) {
                    to.copy_from_slice(&hidden[frame..frame + ROWS]);
                }
                multiply(&frames, [0.0; ROWS], &weights[from..], shape, columns, &mut masks, room);
                for (r, masks) in masks.chunks_exact_mut(room).enumerate() {
                    let masks = &mut masks[skipped..skipped + count];
                    masks.iter_mut().zip(bias).for_each(|(mask, bias)| *mask += bias);
                    masks.chunks_exact(width).enumerate().for_each(|(plane, masks)| write(frame + r, first + plane, masks));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::whole::tests::convolution;
    use super::{Band, BandHead, Shape};

    #[test]
    fn every_mask_lies_in_its_plane_whatever_the_widths_and_the_number_of_frames() {
        // Widths at which masks of one turn fill no whole columns, and at which one plane is a turn.
        for (planes, frames, widths, units) in [(8, 1, [8, 9], 4), (3, 2, [9, 31], 8), (2, 5, [227, 8], 4), (20, 7, [13, 40], 12)] {
            const FEATURES: usize = 6;
            let mut seed = 0;
            let mut weights = |count: usize| {
                seed += 1;
                convolution(&[count], seed).weights
            };
            let x = weights(FEATURES * frames * widths.len());
            let parts: Vec<_> = widths
                .iter()
                .map(|width| {
                    let outputs = planes * width;
                    let hidden = (weights(FEATURES * units), weights(units));
                    (weights(FEATURES), hidden, (weights(units * outputs), weights(outputs)))
                })
                .collect();
            let bands =
                parts.iter().map(|(gain, hidden, output)| Band { gain, hidden: (&hidden.0, &hidden.1), output: (&output.0, &output.1) });
            let bins: usize = widths.iter().sum();
            let mut out = vec![f32::NAN; planes * frames * bins];
            let shape = Shape { features: FEATURES, frames, bands: widths.len() };
            BandHead { epsilon: 1e-5, planes, bands: bands.collect() }.run(&x, shape, &mut out);
            for (place, found) in out.iter().enumerate() {
                let (plane, frame, bin) = (place / bins / frames, place / bins % frames, place % bins);
                let (band, bin) = if bin < widths[0] { (0, bin) } else { (1, bin - widths[0]) };
                let (gain, hidden, output) = &parts[band];
                let value = |feature: usize| f64::from(x[(feature * frames + frame) * widths.len() + band]);
                let root = ((0..FEATURES).map(|k| value(k).powi(2)).sum::<f64>() / FEATURES as f64 + 1e-5).sqrt();
                let unit = |unit: usize| {
                    let term = |k: usize| value(k) / root * f64::from(gain[k]) * f64::from(hidden.0[k * units + unit]);
                    let sum = (0..FEATURES).map(term).sum::<f64>() + f64::from(hidden.1[unit]);
                    sum / (1.0 + (-sum).exp())
                };
                let column = plane * widths[band] + bin;
                let term = |k: usize| unit(k) * f64::from(output.0[k * planes * widths[band] + column]);
                let wanted = (0..units).map(term).sum::<f64>() + f64::from(output.1[column]);
                assert!((f64::from(*found) - wanted).abs() < 2e-6, "{frames} frames, value {place}: {found}, not {wanted}");
            }
        }
    }
}
