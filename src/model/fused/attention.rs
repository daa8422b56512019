//! `x + merge(softmax(q k) v)` with `[q, k, v] = project(normalise(x))`: the attention of a block as one step. Scores exist for four
//! queries at a time.

use std::f32::consts::LOG2_E;

use super::tile::{Shape, TILE, gather, normalise, scatter_sum};
use crate::dsp::lanes::{F32x4, LANES};
use crate::dsp::products::{ROWS, Shifted, multiply, pack, raise, weigh};

/// The weights of an attention.
pub struct Attention<'a> {
    pub gain: &'a [f32],
    pub groups: usize,
    pub epsilon: f32,
    pub heads: usize,
    /// `[3 * attention][features]`, the queries scaled.
    pub project: &'a [f32],
    /// `[features][attention]`.
    pub merge: &'a [f32],
}

/// Rotary positions: `x * cosines + (x turn) * sines`, tables `[bands][width of a head]`, turn `[width][width]`.
pub struct Rotary<'a> {
    pub turn: &'a [f32],
    pub cosines: &'a [f32],
    pub sines: &'a [f32],
}

impl Attention<'_> {
    fn attention(&self) -> usize {
        self.merge.len() / self.gain.len()
    }

    /// Queries, keys and values of a normalised tile: `[3 * attention][row]` from `[features][row]`.
    fn project(&self, packed: &[f32], tile: &[f32], row: usize, projected: &mut [f32]) {
        let shape = Shifted { depth: self.gain.len(), row, taps: 1, stride: 0 };
        for (weights, rows) in packed.chunks_exact(self.gain.len() * ROWS).zip(projected.chunks_exact_mut(ROWS * row)) {
            multiply(weights, [0.0; ROWS], tile, shape, row, rows, row);
        }
    }

    /// What a tile is changed by, `[features][row]`, from what its queries have found, `[attention][row]`.
    fn merge(&self, packed: &[f32], found: &[f32], row: usize, tile: &mut [f32]) {
        let shape = Shifted { depth: self.attention(), row, taps: 1, stride: 0 };
        for (weights, rows) in packed.chunks_exact(self.attention() * ROWS).zip(tile.chunks_exact_mut(ROWS * row)) {
            multiply(weights, [0.0; ROWS], found, shape, row, rows, row);
        }
    }

    /// Over time, within each band: `x` and `out` are `[features][frames][bands]`.
    pub fn over_time(&self, x: &[f32], shape: Shape, out: &mut [f32]) {
        let (attention, features) = (self.attention(), self.gain.len());
        let tile_row = shape.bands * TILE;
        let row = shape.frames.next_multiple_of(TILE);
        let (project, merge) = (pack(self.project, features, 0..3 * attention), pack(self.merge, attention, 0..features));
        let mut tile = vec![0.0; features * tile_row];
        let mut projected = vec![0.0; 3 * attention * tile_row];
        // [bands][3 * attention][row]; the queries are replaced by what they find.
        let mut by_band = vec![0.0; shape.bands * 3 * attention * row];
        for start in (0..shape.frames).step_by(TILE) {
            gather(x, shape, start, &mut tile, tile_row, 0);
            normalise(&mut tile, tile_row, 0..tile_row, self.gain, self.groups, self.epsilon);
            self.project(&project, &tile, tile_row, &mut projected);
            for (band, rows) in by_band.chunks_exact_mut(3 * attention * row).enumerate() {
                for (to, from) in rows.chunks_exact_mut(row).zip(projected.chunks_exact(tile_row)) {
                    to[start..start + TILE].copy_from_slice(&from[band * TILE..(band + 1) * TILE]);
                }
            }
        }
        let mut scores = vec![0.0; ROWS * row];
        let width = attention / self.heads;
        for rows in by_band.chunks_exact_mut(3 * attention * row) {
            let (queries, others) = rows.split_at_mut(attention * row);
            let (keys, values) = others.split_at(attention * row);
            let heads = queries.chunks_exact_mut(width * row).zip(keys.chunks_exact(width * row)).zip(values.chunks_exact(width * row));
            for ((queries, keys), values) in heads {
                attend(queries, keys, values, row, shape.frames, &mut scores);
            }
        }
        let found = &mut projected[..attention * tile_row];
        for start in (0..shape.frames).step_by(TILE) {
            for (band, rows) in by_band.chunks_exact(3 * attention * row).enumerate() {
                for (from, to) in rows.chunks_exact(row).zip(found.chunks_exact_mut(tile_row)) {
                    to[band * TILE..(band + 1) * TILE].copy_from_slice(&from[start..start + TILE]);
                }
            }
            self.merge(&merge, found, tile_row, &mut tile);
            scatter_sum(x, &tile, tile_row, shape, start, out);
        }
    }

    /// Over bands, within each frame: `x` and `out` are `[features][frames][bands]`.
    pub fn over_bands(&self, rotary: &Rotary<'_>, x: &[f32], shape: Shape, out: &mut [f32]) {
        let (attention, features) = (self.attention(), self.gain.len());
        let row = shape.bands * TILE;
        let (project, merge) = (pack(self.project, features, 0..3 * attention), pack(self.merge, attention, 0..features));
        let mut tile = vec![0.0; features * row];
        let mut projected = vec![0.0; 3 * attention * row];
        let width = attention / self.heads;
        let terms = rotary.terms(width);
        let mut scratch = vec![F32x4::splat(0.0); width.max(shape.bands)];
        for start in (0..shape.frames).step_by(TILE) {
            gather(x, shape, start, &mut tile, row, 0);
            normalise(&mut tile, row, 0..row, self.gain, self.groups, self.epsilon);
            self.project(&project, &tile, row, &mut projected);
            let (queries, others) = projected.split_at_mut(attention * row);
            let (keys, values) = others.split_at_mut(attention * row);
            let heads = queries.chunks_exact_mut(width * row).zip(keys.chunks_exact_mut(width * row)).zip(values.chunks_exact(width * row));
            for ((queries, keys), values) in heads {
                rotary.turn(&terms, queries, row, &mut scratch);
                rotary.turn(&terms, keys, row, &mut scratch);
                attend_frames(queries, keys, values, row, &mut scratch[..shape.bands]);
            }
            self.merge(&merge, &projected, row, &mut tile);
            scatter_sum(x, &tile, row, shape, start, out);
        }
    }
}

/// Replaces queries by what they find. All are `[width of a head][row]`, zero from `count` on.
fn attend(queries: &mut [f32], keys: &[f32], values: &[f32], row: usize, count: usize, scores: &mut [f32]) {
    let width = queries.len() / row;
    let shape = Shifted { depth: width, row, taps: 1, stride: 0 };
    let (mut weights, mut found) = (vec![0.0; width * ROWS], vec![0.0; width * ROWS]);
    for query in (0..count).step_by(ROWS) {
        for (to, from) in weights.chunks_exact_mut(ROWS).zip(queries.chunks_exact(row)) {
            to.iter_mut().zip(&from[query..query + ROWS]).for_each(|(to, from)| *to = from * LOG2_E);
        }
        multiply(&weights, [0.0; ROWS], keys, shape, row, scores, row);
        for scores in scores.chunks_exact_mut(row) {
            scores[count..].fill(f32::MIN);
        }
        let scale = F32x4::splat(1.0) / F32x4::load(&raise(scores, row));
        weigh(scores, values, row, &mut found);
        for (found, queries) in found.chunks_exact(ROWS).zip(queries.chunks_exact_mut(row)) {
            (F32x4::load(found) * scale).store(&mut queries[query..]);
        }
    }
}

/// Bands whose scores are summed side by side.
const TOGETHER: usize = 5;

/// Replaces the queries of eight frames by what they find among the bands of their own frame. All are `[width of a head][row]`, a row
/// holding band after band of eight frames.
#[inline(never)]
fn attend_frames(queries: &mut [f32], keys: &[f32], values: &[f32], row: usize, scores: &mut [F32x4]) {
    for query in (0..row).step_by(LANES) {
        let lane = query % TILE;
        let mut largest = F32x4::splat(f32::MIN);
        for (together, scores) in scores.chunks_mut(TOGETHER).enumerate() {
            let mut sums = [F32x4::splat(0.0); TOGETHER];
            for (q, k) in queries.chunks_exact(row).zip(keys.chunks_exact(row)) {
                let q = F32x4::load(&q[query..]);
                let k = k[together * TOGETHER * TILE..].chunks_exact(TILE);
                sums.iter_mut().zip(k).for_each(|(sum, k)| *sum = *sum + q * F32x4::load(&k[lane..]));
            }
            for (score, sum) in scores.iter_mut().zip(sums) {
                largest = largest.max(sum);
                *score = sum;
            }
        }
        let mut total = F32x4::splat(0.0);
        for score in scores.iter_mut() {
            *score = (*score - largest).exp();
            total = total + *score;
        }
        let scale = F32x4::splat(1.0) / total;
        for (values, out) in values.chunks_exact(row).zip(queries.chunks_exact_mut(row)) {
            let weighted = scores.iter().zip(values.chunks_exact(TILE));
            let sum = weighted.fold(F32x4::splat(0.0), |sum, (score, values)| sum + *score * F32x4::load(&values[lane..]));
            (sum * scale).store(&mut out[query..]);
        }
    }
}

impl Rotary<'_> {
    /// Of each place of a head the places that its turn is made of, with their factors.
    fn terms(&self, width: usize) -> Vec<Vec<(usize, f32)>> {
        let factors = |place: usize| self.turn.iter().skip(place).step_by(width).copied().enumerate();
        (0..width).map(|place| factors(place).filter(|(_, factor)| *factor != 0.0).collect()).collect()
    }

    /// Gives rows of a head, `[width][row]`, the positions of their bands.
    fn turn(&self, terms: &[Vec<(usize, f32)>], rows: &mut [f32], row: usize, before: &mut [F32x4]) {
        let width = terms.len();
        for column in (0..row).step_by(LANES) {
            let table = column / TILE * width;
            for (before, values) in before.iter_mut().zip(rows.chunks_exact(row)) {
                *before = F32x4::load(&values[column..]);
            }
            for (place, (values, terms)) in rows.chunks_exact_mut(row).zip(terms).enumerate() {
                let turned = terms.iter().fold(F32x4::splat(0.0), |sum, (from, factor)| sum + before[*from] * F32x4::splat(*factor));
                let (cosine, sine) = (F32x4::splat(self.cosines[table + place]), F32x4::splat(self.sines[table + place]));
                (before[place] * cosine + turned * sine).store(&mut values[column..]);
            }
        }
    }
}
