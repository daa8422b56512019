//! Frames of a `[features][frames][bands]` tensor, a few at a time, with the bands in rows of eight frames.

use crate::dsp::products::COLUMNS;

/// Shape of the tensors between the blocks of a network.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub features: usize,
    pub frames: usize,
    pub bands: usize,
}

impl Shape {
    pub fn plane(self) -> usize {
        self.frames * self.bands
    }
}

/// Frames of a tile.
pub const TILE: usize = COLUMNS;

/// Copies frames from `start` on to `tile`, `[features][row]`, where a row holds band after band from value `offset` on, eight frames
/// each: zeros past the last frame.
pub fn gather(x: &[f32], shape: Shape, start: usize, tile: &mut [f32], row: usize, offset: usize) {
    let (count, bands) = (TILE.min(shape.frames - start), shape.bands);
    for (plane, to) in x.chunks_exact(shape.plane()).zip(tile.chunks_exact_mut(row)) {
        let to = &mut to[offset..offset + bands * TILE];
        let frames = &plane[start * bands..(start + count) * bands];
        if count < TILE {
            to.fill(0.0);
        }
        for (band, to) in to.chunks_exact_mut(TILE).enumerate() {
            to.iter_mut().zip(frames[band..].iter().step_by(bands)).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Adds a tile, laid out as [`gather`] does with offset 0, to the same frames of `x` and writes the sum to `out`.
pub fn scatter_sum(x: &[f32], tile: &[f32], row: usize, shape: Shape, start: usize, out: &mut [f32]) {
    let (count, bands) = (TILE.min(shape.frames - start), shape.bands);
    let planes = x.chunks_exact(shape.plane()).zip(out.chunks_exact_mut(shape.plane()));
    for ((x, out), from) in planes.zip(tile.chunks_exact(row)) {
        let here = start * bands..(start + count) * bands;
        let frames = x[here.clone()].chunks_exact(bands).zip(out[here].chunks_exact_mut(bands));
        for (frame, (x, out)) in frames.enumerate() {
            let change = from[frame..].iter().step_by(TILE);
            out.iter_mut().zip(x).zip(change).for_each(|((out, x), change)| *out = x + change);
        }
    }
}

/// Divides the columns `columns` of `[features][row]` by the root of their groups' mean squares, and multiplies each row by its gain
/// (B. Zhang, R. Sennrich, "Root mean square layer normalization", 2019, with groups of features).
pub fn normalise(tile: &mut [f32], row: usize, columns: std::ops::Range<usize>, gain: &[f32], groups: usize, epsilon: f32) {
    let features = gain.len() / groups;
    let mean = 1.0 / features as f32;
    let mut inverse = vec![0.0; columns.len()];
    for (group, gains) in tile.chunks_exact_mut(row * features).zip(gain.chunks_exact(features)) {
        inverse.fill(0.0);
        for values in group.chunks_exact(row) {
            inverse.iter_mut().zip(&values[columns.clone()]).for_each(|(sum, value)| *sum += value * value);
        }
        inverse.iter_mut().for_each(|sum| *sum = 1.0 / (*sum * mean + epsilon).sqrt());
        for (values, gain) in group.chunks_exact_mut(row).zip(gains) {
            values[columns.clone()].iter_mut().zip(&inverse).for_each(|(value, inverse)| *value = *value * inverse * gain);
        }
    }
}
