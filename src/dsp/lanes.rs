//! Four f32 side by side: a SIMD128 vector in wasm, an array elsewhere, with the same bits.
#![allow(unsafe_code)] // vector loads and stores take pointers; every one below stays inside a slice cut to four values

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use core::arch::wasm32 as wasm;
use std::ops::{Add, Div, Mul, Sub};

/// Values in a vector.
pub const LANES: usize = 4;

/// Four values.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[derive(Clone, Copy, Debug)]
pub struct F32x4(wasm::v128);
/// Four values.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[derive(Clone, Copy, Debug)]
pub struct F32x4([f32; LANES]);

/// `x = n ln 2 + r`: ln 2 in two parts, the first with so few bits that `n` times it is exact.
const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
/// Outside these, e^x is no normal number.
const EXP_RANGE: (f32, f32) = (-87.0, 88.0);
/// 1/k! of k = 6..0. On |r| <= ln(2)/2 what is left out is 1.2e-7 of the result.
const TAYLOR: [f32; 7] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
impl F32x4 {
    /// Four times `value`.
    #[inline(always)]
    #[must_use]
    pub fn splat(value: f32) -> Self {
        Self(wasm::f32x4_splat(value))
    }

    /// The first four of `values`.
    #[inline(always)]
    #[must_use]
    pub fn load(values: &[f32]) -> Self {
        let lanes = &values[..LANES];
        // SAFETY: `lanes` is 16 readable bytes; v128_load needs no alignment.
        Self(unsafe { wasm::v128_load(lanes.as_ptr().cast()) })
    }

    /// Writes to the first four of `values`.
    #[inline(always)]
    pub fn store(self, values: &mut [f32]) {
        let lanes = &mut values[..LANES];
        // SAFETY: `lanes` is 16 writable bytes; v128_store needs no alignment.
        unsafe { wasm::v128_store(lanes.as_mut_ptr().cast(), self.0) }
    }

    /// The larger of each pair.
    #[inline(always)]
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self(wasm::f32x4_pmax(self.0, other.0))
    }

    /// The smaller of each pair.
    #[inline(always)]
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(wasm::f32x4_pmin(self.0, other.0))
    }

    /// Square roots.
    #[inline(always)]
    #[must_use]
    pub fn sqrt(self) -> Self {
        Self(wasm::f32x4_sqrt(self.0))
    }

    /// To the nearest integer, and 2 to the power of it.
    #[inline(always)]
    fn power_of_two(self) -> (Self, Self) {
        let nearest = wasm::f32x4_nearest(self.0);
        let exponent = wasm::i32x4_add(wasm::i32x4_trunc_sat_f32x4(nearest), wasm::i32x4_splat(127));
        (Self(nearest), Self(wasm::i32x4_shl(exponent, 23)))
    }

    /// The values.
    #[inline(always)]
    #[must_use]
    pub fn to_array(self) -> [f32; LANES] {
        let mut values = [0.0; LANES];
        self.store(&mut values);
        values
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
impl F32x4 {
    /// Four times `value`.
    #[inline(always)]
    #[must_use]
    pub fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    /// The first four of `values`.
    #[inline(always)]
    #[must_use]
    pub fn load(values: &[f32]) -> Self {
        let mut lanes = [0.0; LANES];
        lanes.copy_from_slice(&values[..LANES]);
        Self(lanes)
    }

    /// Writes to the first four of `values`.
    #[inline(always)]
    pub fn store(self, values: &mut [f32]) {
        values[..LANES].copy_from_slice(&self.0);
    }

    /// The larger of each pair.
    #[inline(always)]
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self(zip(self.0, other.0, |a, b| if a < b { b } else { a }))
    }

    /// The smaller of each pair.
    #[inline(always)]
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(zip(self.0, other.0, |a, b| if b < a { b } else { a }))
    }

    /// Square roots.
    #[inline(always)]
    #[must_use]
    pub fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }

    /// To the nearest integer, and 2 to the power of it.
    #[inline(always)]
    fn power_of_two(self) -> (Self, Self) {
        let nearest = self.0.map(f32::round_ties_even);
        (Self(nearest), Self(nearest.map(|n| f32::from_bits(((n as i32 + 127) << 23) as u32))))
    }

    /// The values.
    #[inline(always)]
    #[must_use]
    pub fn to_array(self) -> [f32; LANES] {
        self.0
    }
}

impl F32x4 {
    /// Four values from `at` on, without a check.
    ///
    /// # Safety
    /// `values` must hold `at + 4` values or more.
    #[inline(always)]
    #[must_use]
    pub unsafe fn load_unchecked(values: &[f32], at: usize) -> Self {
        debug_assert!(at + LANES <= values.len());
        // SAFETY: what the caller promises.
        Self::load(unsafe { std::slice::from_raw_parts(values.as_ptr().add(at), LANES) })
    }

    /// e^x, within 2 units in the last place; of x below -87 that of -87, of x above 88 that of 88.
    #[inline(always)]
    #[must_use]
    pub fn exp(self) -> Self {
        let x = self.max(Self::splat(EXP_RANGE.0)).min(Self::splat(EXP_RANGE.1));
        let (n, power) = (x * Self::splat(std::f32::consts::LOG2_E)).power_of_two();
        let r = x - n * Self::splat(LN_2.0) - n * Self::splat(LN_2.1);
        let series = TAYLOR[1..].iter().fold(Self::splat(TAYLOR[0]), |sum, coefficient| sum * r + Self::splat(*coefficient));
        series * power
    }

    /// The exponential linear unit: x above 0, e^x - 1 below (Clevert, Unterthiner, Hochreiter, ICLR 2016, with alpha 1).
    #[inline(always)]
    #[must_use]
    pub fn elu(self) -> Self {
        let zero = Self::splat(0.0);
        self.max(zero) + (self.min(zero).exp() - Self::splat(1.0))
    }

    /// The sum of the four, in pairs.
    #[inline(always)]
    #[must_use]
    pub fn sum(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        (a + b) + (c + d)
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

macro_rules! operator {
    ($trait:ident, $name:ident, $wasm:ident, $scalar:expr) => {
        impl $trait for F32x4 {
            type Output = Self;

            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                return Self(wasm::$wasm(self.0, other.0));
                #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
                return Self(zip(self.0, other.0, $scalar));
            }
        }
    };
}

operator!(Add, add, f32x4_add, |a, b| a + b);
operator!(Sub, sub, f32x4_sub, |a, b| a - b);
operator!(Mul, mul, f32x4_mul, |a, b| a * b);
operator!(Div, div, f32x4_div, |a, b| a / b);

/// Columns that [`product`] works on at once.
pub const COLUMNS: usize = 3 * LANES;
/// Rows that [`product`] works on at once.
pub const ROWS: usize = 4;

/// Values of one matrix product: four rows by twelve columns.
pub type Block = [[F32x4; COLUMNS / LANES]; ROWS];

/// How [`product`] reads its right side: `depth` rows of `row` values; each is read `taps` times, `stride` values apart, which makes a
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

/// Four rows times twelve columns from column `at` on: the sum over rows d and taps k of `weights[d][k][4]` times
/// `values[d * row + k * stride + at..][..12]`.
///
/// # Panics
/// If `weights` or `values` are shorter than that.
#[inline(always)]
#[must_use]
pub fn product(weights: &[f32], values: &[f32], shape: Shifted, at: usize) -> Block {
    let Shifted { depth, row, taps, stride } = shape;
    let mut sums = [[F32x4::splat(0.0); COLUMNS / LANES]; ROWS];
    if depth == 0 || taps == 0 {
        return sums;
    }
    assert!(weights.len() >= depth * taps * ROWS && values.len() >= (depth - 1) * row + (taps - 1) * stride + at + COLUMNS);
    let mut weight = 0;
    for d in 0..depth {
        for tap in 0..taps {
            let from = d * row + tap * stride + at;
            // SAFETY: from + 12 is at most what was asserted above.
            let columns = unsafe { [0, LANES, 2 * LANES].map(|column| F32x4::load_unchecked(values, from + column)) };
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
    sums
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

/// Four rows times twelve columns from column `at` on: the sum over taps k of `weights[k][4]` times `values[at + place k..][..12]`. What
/// [`product`] does for places that no regular step joins: any convolution, over one axis or two, dilated or not, without copies.
///
/// # Panics
/// If `weights` or `values` are shorter than that.
#[inline(always)]
#[must_use]
pub fn gathered(weights: &[f32], values: &[f32], taps: &Taps, at: usize) -> Block {
    assert!(weights.len() >= taps.places.len() * ROWS && values.len() >= at + taps.reach);
    let mut sums = [[F32x4::splat(0.0); COLUMNS / LANES]; ROWS];
    for (weights, place) in weights.chunks_exact(ROWS).zip(&taps.places) {
        // SAFETY: at + place + 12 is at most what was asserted above.
        let columns = unsafe { [0, LANES, 2 * LANES].map(|column| F32x4::load_unchecked(values, at + place + column)) };
        for (factor, sums) in weights.iter().zip(sums.iter_mut()) {
            let factor = F32x4::splat(*factor);
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = *sum + factor * column;
            }
        }
    }
    sums
}

/// Rows of a matrix, `[rows][depth * taps]`, in blocks of four as [`product`] reads them; `order` lists the rows, four to a block.
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
