//! `x + merge(softmax(q k) v)` with `[q, k, v] = project(normalise(x))`: the attention of a block as one step. Scores exist for four
//! queries at a time.

use super::tile::{Shape, TILE, gather, normalise, scatter_sum};
use crate::dsp::lanes::{COLUMNS, F32x4, LANES, ROWS, Shifted, pack, product};

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

    fn tile_shape(&self, row: usize) -> Shifted {
        Shifted { depth: self.gain.len(), row, taps: 1, stride: 0 }
    }

    /// Over time, within each band: `x` and `out` are `[features][frames][bands]`.
    pub fn over_time(&self, x: &[f32], shape: Shape, out: &mut [f32]) {
        let (attention, features) = (self.attention(), self.gain.len());
        let tile_row = shape.bands * TILE;
        let row = shape.frames.next_multiple_of(TILE);
        let project = pack(self.project, features, 0..3 * attention);
        let mut tile = vec![0.0; features * tile_row];
        // [bands][3 * attention][row]; the queries are replaced by what they find.
        let mut projected = vec![0.0; shape.bands * 3 * attention * row];
        for start in (0..shape.frames).step_by(TILE) {
            gather(x, shape, start, &mut tile, tile_row, 0);
            normalise(&mut tile, tile_row, 0..tile_row, self.gain, self.groups, self.epsilon);
            for (band, rows) in projected.chunks_exact_mut(3 * attention * row).enumerate() {
                for (weights, rows) in project.chunks_exact(features * ROWS).zip(rows.chunks_exact_mut(ROWS * row)) {
                    let sums = product(weights, &tile, self.tile_shape(tile_row), band * TILE);
                    store(&sums, rows, row, start);
                }
            }
        }
        let mut scores = vec![0.0; ROWS * row];
        let width = attention / self.heads;
        for rows in projected.chunks_exact_mut(3 * attention * row) {
            let (queries, others) = rows.split_at_mut(attention * row);
            let (keys, values) = others.split_at(attention * row);
            let heads = queries.chunks_exact_mut(width * row).zip(keys.chunks_exact(width * row)).zip(values.chunks_exact(width * row));
            for ((queries, keys), values) in heads {
                attend(queries, keys, values, row, shape.frames, &mut scores);
            }
        }
        let merge = pack(self.merge, attention, 0..features);
        for start in (0..shape.frames).step_by(TILE) {
            for (band, rows) in projected.chunks_exact(3 * attention * row).enumerate() {
                self.merge(&merge, rows, row, start, &mut tile, band);
            }
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
        let mut scratch = vec![F32x4::splat(0.0); width.max(shape.bands)];
        for start in (0..shape.frames).step_by(TILE) {
            gather(x, shape, start, &mut tile, row, 0);
            normalise(&mut tile, row, 0..row, self.gain, self.groups, self.epsilon);
            for (weights, rows) in project.chunks_exact(features * ROWS).zip(projected.chunks_exact_mut(ROWS * row)) {
                for column in (0..row).step_by(TILE) {
                    store(&product(weights, &tile, self.tile_shape(row), column), rows, row, column);
                }
            }
            let (queries, others) = projected.split_at_mut(attention * row);
            let (keys, values) = others.split_at_mut(attention * row);
            let heads = queries.chunks_exact_mut(width * row).zip(keys.chunks_exact_mut(width * row)).zip(values.chunks_exact(width * row));
            for ((queries, keys), values) in heads {
                rotary.turn(queries, row, width, &mut scratch);
                rotary.turn(keys, row, width, &mut scratch);
                attend_frames(queries, keys, values, row, &mut scratch[..shape.bands]);
            }
            for band in 0..shape.bands {
                self.merge(&merge, &projected, row, band * TILE, &mut tile, band);
            }
            scatter_sum(x, &tile, row, shape, start, out);
        }
    }

    /// Merges what twelve queries from column `at` on have found, `[attention][row]`, into the columns of `band` of a tile.
    fn merge(&self, merge: &[f32], found: &[f32], row: usize, at: usize, tile: &mut [f32], band: usize) {
        let (attention, tile_row) = (self.attention(), tile.len() / self.gain.len());
        let shape = Shifted { depth: attention, row, taps: 1, stride: 0 };
        for (weights, rows) in merge.chunks_exact(attention * ROWS).zip(tile.chunks_exact_mut(ROWS * tile_row)) {
            store(&product(weights, found, shape, at), rows, tile_row, band * TILE);
        }
    }
}

/// Writes four rows of twelve values to column `at` of `[4][row]`.
fn store(sums: &[[F32x4; COLUMNS / LANES]; ROWS], rows: &mut [f32], row: usize, at: usize) {
    for (sums, row) in sums.iter().zip(rows.chunks_exact_mut(row)) {
        for (lane, sum) in sums.iter().enumerate() {
            sum.store(&mut row[at + lane * LANES..]);
        }
    }
}

/// Replaces queries by what they find. All are `[width of a head][row]`, zero from `count` on.
fn attend(queries: &mut [f32], keys: &[f32], values: &[f32], row: usize, count: usize, scores: &mut [f32]) {
    let width = queries.len() / row;
    let mut weights = vec![0.0; width * ROWS];
    for query in (0..count).step_by(ROWS) {
        for (to, from) in weights.chunks_exact_mut(ROWS).zip(queries.chunks_exact(row)) {
            to.copy_from_slice(&from[query..query + ROWS]);
        }
        let shape = Shifted { depth: width, row, taps: 1, stride: 0 };
        for column in (0..row).step_by(COLUMNS) {
            store(&product(&weights, keys, shape, column), scores, row, column);
        }
        let mut totals = [0.0; ROWS];
        for (scores, total) in scores.chunks_exact_mut(row).zip(&mut totals) {
            *total = exponentiate(scores, count);
        }
        let scale = F32x4::splat(1.0) / F32x4::load(&totals);
        let (first, second, third, fourth) = (&scores[..row], &scores[row..2 * row], &scores[2 * row..3 * row], &scores[3 * row..4 * row]);
        for (pair, out) in values.chunks_exact(2 * row).zip(queries.chunks_exact_mut(2 * row)) {
            let (left, right) = pair.split_at(row);
            let mut sums = [[F32x4::splat(0.0); 2]; ROWS];
            for column in (0..row).step_by(LANES) {
                let pair = [F32x4::load(&left[column..]), F32x4::load(&right[column..])];
                for (sums, scores) in sums.iter_mut().zip([first, second, third, fourth]) {
                    let score = F32x4::load(&scores[column..]);
                    *sums = [sums[0] + score * pair[0], sums[1] + score * pair[1]];
                }
            }
            for side in 0..2 {
                let found = sums.map(|sums| sums[side].sum());
                (F32x4::load(&found) * scale).store(&mut out[side * row + query..]);
            }
        }
    }
}

/// Scores, of which `count` are meant, to e to the power of their distance from the largest; returns the sum.
fn exponentiate(scores: &mut [f32], count: usize) -> f32 {
    scores[count..].fill(f32::MIN);
    let mut largest = F32x4::splat(f32::MIN);
    for four in scores.chunks_exact(LANES) {
        largest = largest.max(F32x4::load(four));
    }
    let largest = F32x4::splat(largest.to_array().into_iter().fold(f32::MIN, f32::max));
    let mut sum = F32x4::splat(0.0);
    for four in scores.chunks_exact_mut(LANES) {
        let power = (F32x4::load(four) - largest).exp();
        power.store(four);
        sum = sum + power;
    }
    sum.sum()
}

/// Replaces the queries of twelve frames by what they find among the bands of their own frame. All are `[width of a head][row]`, a row
/// holding band after band of twelve frames.
fn attend_frames(queries: &mut [f32], keys: &[f32], values: &[f32], row: usize, scores: &mut [F32x4]) {
    for query in (0..row).step_by(LANES) {
        let lane = query % TILE;
        let mut largest = F32x4::splat(f32::MIN);
        for (band, score) in scores.iter_mut().enumerate() {
            let pairs = queries.chunks_exact(row).zip(keys.chunks_exact(row));
            let sum = pairs.fold(F32x4::splat(0.0), |sum, (q, k)| sum + F32x4::load(&q[query..]) * F32x4::load(&k[band * TILE + lane..]));
            largest = largest.max(sum);
            *score = sum;
        }
        let mut total = F32x4::splat(0.0);
        for score in scores.iter_mut() {
            *score = (*score - largest).exp();
            total = total + *score;
        }
        let scale = F32x4::splat(1.0) / total;
        for (values, out) in values.chunks_exact(row).zip(queries.chunks_exact_mut(row)) {
            let weighted = scores.iter().enumerate();
            let sum = weighted.fold(F32x4::splat(0.0), |sum, (band, score)| sum + *score * F32x4::load(&values[band * TILE + lane..]));
            (sum * scale).store(&mut out[query..]);
        }
    }
}

impl Rotary<'_> {
    /// Gives rows of a head, `[width][row]`, the positions of their bands.
    fn turn(&self, rows: &mut [f32], row: usize, width: usize, before: &mut [F32x4]) {
        for column in (0..row).step_by(LANES) {
            let table = column / TILE * width;
            for (before, values) in before.iter_mut().zip(rows.chunks_exact(row)) {
                *before = F32x4::load(&values[column..]);
            }
            for (place, values) in rows.chunks_exact_mut(row).enumerate() {
                let mut turned = F32x4::splat(0.0);
                for (from, before) in before[..width].iter().enumerate() {
                    let factor = self.turn[from * width + place];
                    if factor != 0.0 {
                        turned = turned + *before * F32x4::splat(factor);
                    }
                }
                let (cosine, sine) = (F32x4::splat(self.cosines[table + place]), F32x4::splat(self.sines[table + place]));
                (before[place] * cosine + turned * sine).store(&mut values[column..]);
            }
        }
    }
}
