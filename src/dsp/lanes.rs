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
/// 2^f on -0.5..=0.5: the polynomial of degree 5 whose largest relative error, 7.5e-8, is the smallest.
const EXP2: [f32; 6] = [1.327_647_4e-3, 9.675_542e-3, 5.550_713e-2, 0.240_221_2, 0.693_146_94, 1.000_000_1];
/// Below this 2^x stays the same.
const LEAST_POWER: f32 = -100.0;
/// 1.5 times 2^23.
const WHOLE: f32 = 12_582_912.0;
/// Where the exponent begins in an f32.
const EXPONENT_AT: u32 = 23;
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

    /// Times 2^n, where `shifted` is `WHOLE + n`: n is added to the exponents, which must stay those of normal numbers. A NaN with other
    /// bits than the usual ones does not stay one.
    #[inline(always)]
    fn times_power(self, shifted: Self) -> Self {
        Self(wasm::i32x4_add(self.0, wasm::i32x4_shl(shifted.0, EXPONENT_AT)))
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

    /// Times 2^n, where `shifted` is `WHOLE + n`: n is added to the exponents, which must stay those of normal numbers. A NaN with other
    /// bits than the usual ones does not stay one.
    #[inline(always)]
    fn times_power(self, shifted: Self) -> Self {
        Self(zip(self.0, shifted.0, |x, shifted| f32::from_bits(x.to_bits().wrapping_add(shifted.to_bits() << EXPONENT_AT))))
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
        // Beside a number so large the last bit is a whole one: the sum is rounded to the nearest integer and has it in its low bits.
        let shifted = x * Self::splat(std::f32::consts::LOG2_E) + Self::splat(WHOLE);
        let n = shifted - Self::splat(WHOLE);
        let r = x - n * Self::splat(LN_2.0) - n * Self::splat(LN_2.1);
        let series = TAYLOR[1..].iter().fold(Self::splat(TAYLOR[0]), |sum, coefficient| sum * r + Self::splat(*coefficient));
        series.times_power(shifted)
    }

    /// 2^x of x up to 127, within 3e-7; of x below -100 that of -100, whose products with anything in question are normal numbers still.
    #[inline(always)]
    #[must_use]
    pub fn exp2(self) -> Self {
        let x = self.max(Self::splat(LEAST_POWER));
        let shifted = x + Self::splat(WHOLE);
        let f = x - (shifted - Self::splat(WHOLE));
        EXP2[1..].iter().fold(Self::splat(EXP2[0]), |sum, coefficient| sum * f + Self::splat(*coefficient)).times_power(shifted)
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
