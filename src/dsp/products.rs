//! Inner loops of networks: matrix products of four rows and eight columns at a time, and what attention does between two of them.
//!
//! Those that take most of the time are never inlined: inside a larger function compilers of wasm keep other values in the registers that
//! a loop needs. An engine with relaxed SIMD runs `relaxed.wat` in their place.
#![allow(unsafe_code)] // reads without a check; every one below stays inside what was asserted before

use std::sync::OnceLock;

use super::lanes::{F32x4, LANES};

/// Columns that a product works on at once. With three vectors in place of two the sums, columns and factors of a step are more than the
/// sixteen registers that x86 has for wasm, and their way through memory took a fifth of the time.
pub const COLUMNS: usize = 2 * LANES;
/// Rows that a product works on at once.
pub const ROWS: usize = 4;

/// Values of one matrix product: four rows by eight columns.
pub type Block = [[F32x4; COLUMNS / LANES]; ROWS];

/// How [`multiply`] reads its right side: `depth` rows of `row` values; each is read `taps` times, `stride` values apart, which makes a
/// convolution along a row without copies of it.
#[derive(Debug, Clone, Copy)]
pub struct Shifted {
    /// Rows.
    pub depth: usize,
    /// Values from row to row.
    pub row: usize,
    /// Reads of each row.
    pub taps: usize,
    /// Values from read to read.
    pub stride: usize,
}

/// Inner loops from outside, which round otherwise: where an engine has relaxed SIMD, those of `relaxed.wat`. Distances are in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Kernels {
    /// [`multiply`] by weights, bias, values, depth, row, taps, stride, columns, out and row of out; no count is 0.
    #[allow(clippy::type_complexity)] // the loop's own parameters
    pub multiply: fn(*const f32, *const f32, *const f32, usize, usize, usize, usize, usize, *mut f32, usize),
    /// [`raise`] by scores, row and totals.
    pub raise: fn(*mut f32, usize, *mut f32),
    /// [`weigh`] by scores, values, row, pairs of rows, and out.
    pub weigh: fn(*const f32, *const f32, usize, usize, *mut f32),
}

static KERNELS: OnceLock<Kernels> = OnceLock::new();

/// Has [`multiply`], [`raise`] and [`weigh`] run these loops from now on.
///
/// # Safety
/// They must read and write what the loops here do, and nothing else.
pub unsafe fn use_kernels(kernels: Kernels) {
    let _ = KERNELS.set(kernels);
}

/// Whether there are as many values as these products add up to. What does not fit a `usize` is more than there can be.
fn holds(values: &[f32], products: &[(usize, usize)]) -> bool {
    let sum = products.iter().try_fold(0usize, |sum, (a, b)| sum.checked_add(a.checked_mul(*b)?));
    sum.is_some_and(|sum| sum <= values.len())
}

/// Four rows times `columns` columns, a multiple of eight: writes to `out[r * out_row + c]` the bias of row r and the sum over rows d and
/// taps k of `weights[d][k][r]` times `values[d * row + k * stride + c]`.
///
/// # Panics
/// If `weights`, `values` or `out` are shorter than that, `columns` is no multiple of eight, or nothing is to be summed.
#[inline(never)]
pub fn multiply(weights: &[f32], bias: [f32; ROWS], values: &[f32], shape: Shifted, columns: usize, out: &mut [f32], out_row: usize) {
    let Shifted { depth, row, taps, stride } = shape;
    if columns == 0 {
        return;
    }
    assert!(depth > 0 && taps > 0 && columns.is_multiple_of(COLUMNS));
    assert!(holds(weights, &[(depth, taps.saturating_mul(ROWS))]) && holds(out, &[(ROWS - 1, out_row), (1, columns)]));
    assert!(holds(values, &[(depth - 1, row), (taps - 1, stride), (1, columns)]));
    if let Some(Kernels { multiply, .. }) = KERNELS.get() {
        let (values, out) = (values.as_ptr(), out.as_mut_ptr());
        multiply(weights.as_ptr(), bias.as_ptr(), values, depth, 4 * row, taps, 4 * stride, 4 * columns, out, 4 * out_row);
        return;
    }
    for at in (0..columns).step_by(COLUMNS) {
        let mut sums: Block = [[F32x4::splat(0.0); COLUMNS / LANES]; ROWS];
        let mut weight = 0;
        for d in 0..depth {
            for tap in 0..taps {
                let from = d * row + tap * stride + at;
                // SAFETY: from + 8 is at most what was asserted above.
                let columns = unsafe { [0, LANES].map(|column| F32x4::load_unchecked(values, from + column)) };
                for (r, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: weight + r < depth * taps * 4, as asserted above.
                    let factor = F32x4::splat(unsafe { *weights.get_unchecked(weight + r) });
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = *sum + factor * column;
                    }
                }
                weight += ROWS;
            }
        }
        for (r, (sums, bias)) in sums.iter().zip(bias).enumerate() {
            for (sum, out) in sums.iter().zip(out[r * out_row + at..][..COLUMNS].chunks_exact_mut(LANES)) {
                (*sum + F32x4::splat(bias)).store(out);
            }
        }
    }
}

/// Raises 2 to each of four rows of scores, less the row's largest, in place, and gives the sums: the powers divided by them are a softmax
/// of scores that were multiplied by log2(e) before. A row is a multiple of four, and not empty.
///
/// # Panics
/// If `scores` are not four such rows.
#[inline(never)]
pub fn raise(scores: &mut [f32], row: usize) -> [f32; ROWS] {
    let mut totals = [0.0; ROWS];
    assert!(row > 0 && row.is_multiple_of(LANES) && Some(scores.len()) == row.checked_mul(ROWS));
    if let Some(Kernels { raise, .. }) = KERNELS.get() {
        raise(scores.as_mut_ptr(), 4 * row, totals.as_mut_ptr());
        return totals;
    }
    for (scores, total) in scores.chunks_exact_mut(row).zip(&mut totals) {
        let mut largest = F32x4::splat(f32::MIN);
        for four in scores.chunks_exact(LANES) {
            largest = largest.max(F32x4::load(four));
        }
        let largest = F32x4::splat(largest.to_array().into_iter().fold(f32::MIN, f32::max));
        let mut sum = F32x4::splat(0.0);
        for four in scores.chunks_exact_mut(LANES) {
            let power = (F32x4::load(four) - largest).exp2();
            power.store(four);
            sum = sum + power;
        }
        *total = sum.sum();
    }
    totals
}

/// Sums of rows of `row` values, a multiple of four, each weighted by four rows of scores: `out[v][q]` is the sum over columns c of
/// `scores[q][c] * values[v][c]`. The rows of `values` are an even number; one more would be left out.
///
/// # Panics
/// If `scores` or `out` are shorter than that, or `row` is no multiple of four.
#[inline(never)]
pub fn weigh(scores: &[f32], values: &[f32], row: usize, out: &mut [f32]) {
    assert!(row > 0 && row.is_multiple_of(LANES) && holds(scores, &[(ROWS, row)]));
    let pairs = values.len() / row / 2;
    if pairs == 0 {
        return;
    }
    assert!(holds(out, &[(pairs, 2 * ROWS)]));
    if let Some(Kernels { weigh, .. }) = KERNELS.get() {
        weigh(scores.as_ptr(), values.as_ptr(), 4 * row, pairs, out.as_mut_ptr());
        return;
    }
    for (pair, out) in values.chunks_exact(2 * row).zip(out.chunks_exact_mut(2 * ROWS)) {
        let mut sums = [[F32x4::splat(0.0); 2]; ROWS];
        for column in (0..row).step_by(LANES) {
            // SAFETY: column + 4 is at most row, and there are as many rows as asserted above.
            let [left, right] = unsafe { [0, row].map(|side| F32x4::load_unchecked(pair, side + column)) };
            for (query, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the same.
                let score = unsafe { F32x4::load_unchecked(scores, query * row + column) };
                *sums = [sums[0] + score * left, sums[1] + score * right];
            }
        }
        for (query, [left, right]) in sums.into_iter().enumerate() {
            (out[query], out[ROWS + query]) = (left.sum(), right.sum());
        }
    }
}

/// Where [`gathered`] reads its right side: places of values, one for each weight.
#[derive(Debug, Clone)]
pub struct Taps {
    places: Vec<usize>,
    reach: usize,
}

impl Taps {
    /// Reads at these places, counted from the column that is asked for.
    #[must_use]
    pub fn new(places: Vec<usize>) -> Self {
        let reach = places.iter().max().map_or(0, |last| last + COLUMNS);
        Self { places, reach }
    }

    /// Weights of a row.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing is read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// Four rows times eight columns from column `at` on: the sum over taps k of `weights[k][4]` times `values[at + place k..][..8]`. What
/// [`multiply`] does for places that no regular step joins: any convolution, over one axis or two, dilated or not, without copies.
///
/// # Panics
/// If `weights` or `values` are shorter than that.
#[inline(never)]
#[must_use]
pub fn gathered(weights: &[f32], values: &[f32], taps: &Taps, at: usize) -> Block {
    assert!(weights.len() >= taps.places.len() * ROWS && values.len() >= at + taps.reach);
    let mut sums = [[F32x4::splat(0.0); COLUMNS / LANES]; ROWS];
    for (weights, place) in weights.chunks_exact(ROWS).zip(&taps.places) {
        // SAFETY: at + place + 8 is at most what was asserted above.
        let columns = unsafe { [0, LANES].map(|column| F32x4::load_unchecked(values, at + place + column)) };
        for (factor, sums) in weights.iter().zip(sums.iter_mut()) {
            let factor = F32x4::splat(*factor);
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = *sum + factor * column;
            }
        }
    }
    sums
}

/// Rows of a matrix, `[rows][depth * taps]`, in blocks of four as [`multiply`] reads them; `order` lists the rows, four to a block.
#[must_use]
pub fn pack(matrix: &[f32], width: usize, order: impl Iterator<Item = usize>) -> Vec<f32> {
    let order: Vec<usize> = order.collect();
    let mut packed = Vec::with_capacity(order.len() * width);
    for block in order.chunks_exact(ROWS) {
        for column in 0..width {
            packed.extend(block.iter().map(|row| matrix.get(row * width + column).copied().unwrap_or(0.0)));
        }
    }
    packed
}
