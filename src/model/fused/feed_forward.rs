//! `x + narrow(a * silu(g))` with `[a, g] = widen(normalise(x))`: a feed-forward part of a block as one step.
//!
//! Both convolutions read shifted rows of a tile in place of copies of it, and no tensor between them exists whole.

use super::tile::{Shape, TILE, gather, normalise, scatter_sum};
use crate::dsp::lanes::{COLUMNS, F32x4, LANES, ROWS, Shifted, pack, product};

/// Frames of a tile over time: an even number makes whole groups of twelve columns for an even number of bands times six.
const TIME_TILE: usize = 8;

/// The weights of a part.
pub struct FeedForward<'a> {
    pub gain: &'a [f32],
    pub groups: usize,
    pub epsilon: f32,
    pub taps: usize,
    /// `[2 * width][features][taps]` and `[2 * width]`; the first half are the values, the second their gates.
    pub widen: (&'a [f32], &'a [f32]),
    /// `[features][width][taps]` and `[features]`.
    pub narrow: (&'a [f32], &'a [f32]),
}

/// The weights as they are multiplied, and what the work needs.
struct Work {
    widen: Vec<f32>,
    narrow: Vec<f32>,
    /// Of [`FeedForward::widen`], in the order of the blocks.
    widen_bias: Vec<f32>,
    width: usize,
    /// Values from one step of the convolution to the next.
    stride: usize,
    /// Normalised input, `[features][row]`, and how long a row is.
    input: Vec<f32>,
    input_row: usize,
    hidden: Vec<f32>,
    hidden_row: usize,
    output: Vec<f32>,
    output_row: usize,
}

impl FeedForward<'_> {
    fn work(&self, steps: usize, stride: usize) -> Work {
        let (features, width) = (self.gain.len(), self.widen.1.len() / 2);
        let past = self.taps - 1;
        // Columns beyond the last one are computed with the others of their twelve, and not used.
        let (input_row, hidden_row) = ((past + steps) * stride + COLUMNS, (2 * past + steps) * stride + COLUMNS);
        let output_row = (past + steps) * stride + COLUMNS;
        let order: Vec<usize> = (0..width / 2).flat_map(|pair| [2 * pair, 2 * pair + 1, width + 2 * pair, width + 2 * pair + 1]).collect();
        Work {
            widen: pack(self.widen.0, features * self.taps, order.iter().copied()),
            narrow: pack(self.narrow.0, width * self.taps, 0..features),
            widen_bias: order.iter().map(|row| self.widen.1[*row]).collect(),
            width,
            stride,
            input: vec![0.0; features * input_row],
            input_row,
            hidden: vec![0.0; width * hidden_row],
            hidden_row,
            output: vec![0.0; features * output_row],
            output_row,
        }
    }

    /// Over time: `x` and `out` are `[features][frames][bands]`.
    pub fn over_time(&self, x: &[f32], shape: Shape, out: &mut [f32]) {
        let bands = shape.bands;
        let past = self.taps - 1;
        let mut work = self.work(TIME_TILE, bands);
        let (mut steps, mut held) = (0, 0);
        for start in (0..shape.frames).step_by(TIME_TILE) {
            for row in work.input.chunks_exact_mut(work.input_row) {
                row.copy_within(steps * bands..(steps + past) * bands, 0);
            }
            steps = TIME_TILE.min(shape.frames - start);
            let here = start * bands..(start + steps) * bands;
            for (plane, row) in x.chunks_exact(shape.plane()).zip(work.input.chunks_exact_mut(work.input_row)) {
                row[past * bands..(past + steps) * bands].copy_from_slice(&plane[here.clone()]);
            }
            let row = work.input_row;
            normalise(&mut work.input, row, past * bands..(past + steps) * bands, self.gain, self.groups, self.epsilon);
            work.widen(self, held, steps);
            let mut known = held + steps;
            if start + steps == shape.frames {
                for row in work.hidden.chunks_exact_mut(work.hidden_row) {
                    row[known * bands..(known + past) * bands].fill(0.0);
                }
                known += past;
            }
            let complete = known.saturating_sub(past);
            work.narrow(self, complete);
            let first = (start - held) * bands;
            let rows = work.output.chunks_exact(work.output_row);
            for ((x, out), row) in x.chunks_exact(shape.plane()).zip(out.chunks_exact_mut(shape.plane())).zip(rows) {
                let here = first..first + complete * bands;
                let sums = x[here.clone()].iter().zip(row);
                out[here].iter_mut().zip(sums).for_each(|(out, (x, change))| *out = x + change);
            }
            held = known - complete;
            for row in work.hidden.chunks_exact_mut(work.hidden_row) {
                row.copy_within(complete * bands..known * bands, 0);
            }
        }
    }

    /// Over bands: `x` and `out` are `[features][frames][bands]`.
    pub fn over_bands(&self, x: &[f32], shape: Shape, out: &mut [f32]) {
        let past = self.taps - 1;
        let mut work = self.work(shape.bands, TILE);
        for start in (0..shape.frames).step_by(TILE) {
            let (row, first) = (work.input_row, past * TILE);
            gather(x, shape, start, &mut work.input, row, first);
            normalise(&mut work.input, row, first..first + shape.bands * TILE, self.gain, self.groups, self.epsilon);
            // What follows the last band stays zero.
            work.widen(self, 0, shape.bands);
            work.narrow(self, shape.bands);
            scatter_sum(x, &work.output, work.output_row, shape, start, out);
        }
    }
}

impl Work {
    /// Hidden values of `steps` steps, written from step `held` on.
    fn widen(&mut self, part: &FeedForward<'_>, held: usize, steps: usize) {
        let depth = part.gain.len();
        let shape = Shifted { depth, row: self.input_row, taps: part.taps, stride: self.stride };
        let block = depth * part.taps * ROWS;
        for column in (0..steps * self.stride).step_by(COLUMNS) {
            let to = held * self.stride + column;
            for (pair, weights) in self.widen.chunks_exact(block).enumerate() {
                let bias = &self.widen_bias[pair * ROWS..(pair + 1) * ROWS];
                let sums = product(weights, &self.input, shape, column);
                for half in 0..2 {
                    let row = &mut self.hidden[(2 * pair + half) * self.hidden_row + to..];
                    for (lane, (value, gate)) in sums[half].iter().zip(&sums[half + 2]).enumerate() {
                        let (value, gate) = (*value + F32x4::splat(bias[half]), *gate + F32x4::splat(bias[half + 2]));
                        let one = F32x4::splat(1.0);
                        let silu = gate / (one + (F32x4::splat(0.0) - gate).exp());
                        (value * silu).store(&mut row[lane * LANES..]);
                    }
                }
            }
        }
    }

    /// Output of the first `steps` steps.
    fn narrow(&mut self, part: &FeedForward<'_>, steps: usize) {
        let shape = Shifted { depth: self.width, row: self.hidden_row, taps: part.taps, stride: self.stride };
        let block = self.width * part.taps * ROWS;
        for column in (0..steps * self.stride).step_by(COLUMNS) {
            for (rows, weights) in self.narrow.chunks_exact(block).enumerate() {
                let sums = product(weights, &self.hidden, shape, column);
                for (r, sums) in sums.iter().enumerate() {
                    let bias = F32x4::splat(part.narrow.1[rows * ROWS + r]);
                    let row = &mut self.output[(rows * ROWS + r) * self.output_row + column..];
                    for (lane, sum) in sums.iter().enumerate() {
                        (*sum + bias).store(&mut row[lane * LANES..]);
                    }
                }
            }
        }
    }
}
