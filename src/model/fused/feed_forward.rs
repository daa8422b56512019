//! `x + narrow(a * silu(g))` with `[a, g] = widen(normalise(x))`: a feed-forward part of a block as one step.
//!
//! Both convolutions read shifted rows of a tile in place of copies of it, and no tensor between them exists whole.

use super::tile::{Shape, TILE, gather, normalise, scatter_sum};
use crate::dsp::lanes::{F32x4, LANES};
use crate::dsp::products::{COLUMNS, ROWS, Shifted, multiply, pack};

/// Frames of a tile over time: with eight the columns make whole groups for any number of bands.
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
    /// Two rows of values and their two of gates.
    widened: Vec<f32>,
    hidden: Vec<f32>,
    hidden_row: usize,
    output: Vec<f32>,
    output_row: usize,
}

impl FeedForward<'_> {
    fn work(&self, steps: usize, stride: usize) -> Work {
        let (features, width) = (self.gain.len(), self.widen.1.len() / 2);
        let past = self.taps - 1;
        // Columns beyond the last one are computed with the others of their eight, and not used.
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
            widened: vec![0.0; ROWS * input_row],
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
        let (row, to) = (self.input_row, held * self.stride);
        let columns = (steps * self.stride).next_multiple_of(COLUMNS);
        let blocks = self.widen.chunks_exact(depth * part.taps * ROWS).zip(self.widen_bias.chunks_exact(ROWS));
        for ((weights, bias), hidden) in blocks.zip(self.hidden.chunks_exact_mut(2 * self.hidden_row)) {
            multiply(weights, four(bias), &self.input, shape, columns, &mut self.widened, row);
            let (values, gates) = self.widened.split_at(2 * row);
            for (half, hidden) in hidden.chunks_exact_mut(self.hidden_row).enumerate() {
                gate(&values[half * row..][..columns], &gates[half * row..][..columns], &mut hidden[to..to + columns]);
            }
        }
    }

    /// Output of the first `steps` steps.
    fn narrow(&mut self, part: &FeedForward<'_>, steps: usize) {
        let shape = Shifted { depth: self.width, row: self.hidden_row, taps: part.taps, stride: self.stride };
        let columns = (steps * self.stride).next_multiple_of(COLUMNS);
        let blocks = self.narrow.chunks_exact(self.width * part.taps * ROWS).zip(part.narrow.1.chunks_exact(ROWS));
        for ((weights, bias), rows) in blocks.zip(self.output.chunks_exact_mut(ROWS * self.output_row)) {
            multiply(weights, four(bias), &self.hidden, shape, columns, rows, self.output_row);
        }
    }
}

fn four(bias: &[f32]) -> [f32; ROWS] {
    [bias[0], bias[1], bias[2], bias[3]]
}

#[inline(always)]
fn silu_of(x: F32x4) -> F32x4 {
    x / (F32x4::splat(1.0) + (F32x4::splat(0.0) - x).exp())
}

/// x / (1 + e^-x) of values, a multiple of four of them.
#[inline(never)]
pub fn silu(values: &mut [f32]) {
    for value in values.chunks_exact_mut(LANES) {
        silu_of(F32x4::load(value)).store(value);
    }
}

/// `values * SiLU(gates)`; all are as long as each other, a multiple of four.
#[inline(never)]
fn gate(values: &[f32], gates: &[f32], out: &mut [f32]) {
    for ((value, gate), out) in values.chunks_exact(LANES).zip(gates.chunks_exact(LANES)).zip(out.chunks_exact_mut(LANES)) {
        (F32x4::load(value) * silu_of(F32x4::load(gate))).store(out);
    }
}
