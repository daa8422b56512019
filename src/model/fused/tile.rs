//! Frames of a `[features][frames][bands]` tensor, a few at a time, with the bands in rows of twelve frames.

use crate::dsp::lanes::{COLUMNS, F32x4, LANES};

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

/// Copies frames from `start` on to `tile`, `[features][row]`, where a row holds band after band from value `offset` on, twelve frames
/// each: zeros past the last frame.
pub fn gather(x: &[f32], shape: Shape, start: usize, tile: &mut [f32], row: usize, offset: usize) {
    let count = TILE.min(shape.frames - start);
    for (plane, to) in x.chunks_exact(shape.plane()).zip(tile.chunks_exact_mut(row)) {
        let to = &mut to[offset..offset + shape.bands * TILE];
        if count < TILE {
            to.fill(0.0);
        }
        let frames = plane[start * shape.bands..(start + count) * shape.bands].chunks_exact(shape.bands);
        for (frame, from) in frames.enumerate() {
            for (band, value) in from.iter().enumerate() {
                to[band * TILE + frame] = *value;
            }
        }
    }
}

/// Adds a tile, laid out as [`gather`] does with offset 0, to the same frames of `x` and writes the sum to `out`.
pub fn scatter_sum(x: &[f32], tile: &[f32], row: usize, shape: Shape, start: usize, out: &mut [f32]) {
    let count = TILE.min(shape.frames - start);
    let planes = x.chunks_exact(shape.plane()).zip(out.chunks_exact_mut(shape.plane()));
    for ((x, out), from) in planes.zip(tile.chunks_exact(row)) {
        let here = start * shape.bands..(start + count) * shape.bands;
        let frames = x[here.clone()].chunks_exact(shape.bands).zip(out[here].chunks_exact_mut(shape.bands));
        for (frame, (x, out)) in frames.enumerate() {
            for (band, (x, out)) in x.iter().zip(out).enumerate() {
                *out = x + from[band * TILE + frame];
            }
        }
    }
}

/// Divides the columns `columns` of `[features][row]` by the root of their groups' mean squares, and multiplies each row by its gain
/// (B. Zhang, R. Sennrich, "Root mean square layer normalization", 2019, with groups of features). Works on whole vectors: up to three
/// columns more.
pub fn normalise(tile: &mut [f32], row: usize, columns: std::ops::Range<usize>, gain: &[f32], groups: usize, epsilon: f32) {
    let features = gain.len() / groups;
    let (mean, epsilon) = (F32x4::splat(1.0 / features as f32), F32x4::splat(epsilon));
    for (group, gains) in tile.chunks_exact_mut(row * features).zip(gain.chunks_exact(features)) {
        for column in columns.clone().step_by(LANES) {
            let mut squares = F32x4::splat(0.0);
            for feature in 0..features {
                let value = F32x4::load(&group[feature * row + column..]);
                squares = squares + value * value;
            }
            let inverse = F32x4::splat(1.0) / (squares * mean + epsilon).sqrt();
            for (feature, gain) in gains.iter().enumerate() {
                let place = &mut group[feature * row + column..];
                (F32x4::load(place) * inverse * F32x4::splat(*gain)).store(place);
            }
        }
    }
}
