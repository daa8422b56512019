//! SIMD128 twins: four lanes at a time, the rest by the portable twin.
//!
//! LLVM turns some of the portable loops into vector code by itself; it may stop doing so with any release, the twins may not.
#![allow(unsafe_code)] // vector loads and stores take pointers; every one below stays inside a slice cut to whole lanes

use core::arch::wasm32::{
    f32x4_add, f32x4_div, f32x4_ge, f32x4_mul, f32x4_pmax, f32x4_splat, f32x4_sub, i16x8_load_extend_i8x8, i32x4_add, i32x4_bitmask,
    i32x4_dot_i16x8, i32x4_extract_lane, i32x4_shuffle, i32x4_splat, v128, v128_load, v128_store,
};

use realfft::num_complex::Complex;

use super::scalar;

const LANES: usize = 4;

/// Values that fill whole vectors.
fn whole(length: usize) -> usize {
    length - length % LANES
}

fn load(values: &[f32], at: usize) -> v128 {
    let lanes = &values[at..at + LANES];
    // SAFETY: `lanes` is 16 readable bytes; v128_load needs no alignment.
    unsafe { v128_load(lanes.as_ptr().cast()) }
}

fn store(values: &mut [f32], at: usize, vector: v128) {
    let lanes = &mut values[at..at + LANES];
    // SAFETY: `lanes` is 16 writable bytes; v128_store needs no alignment.
    unsafe { v128_store(lanes.as_mut_ptr().cast(), vector) }
}

/// Four complex values as (real parts, imaginary parts).
fn load_complex(values: &[Complex<f32>], at: usize) -> (v128, v128) {
    let lanes = &values[at..at + LANES];
    // SAFETY: `Complex` is `repr(C)`: `lanes` is 32 readable bytes of interleaved parts.
    let (low, high) = unsafe { (v128_load(lanes.as_ptr().cast()), v128_load(lanes.as_ptr().cast::<v128>().add(1))) };
    (i32x4_shuffle::<0, 2, 4, 6>(low, high), i32x4_shuffle::<1, 3, 5, 7>(low, high))
}

fn store_complex(values: &mut [Complex<f32>], at: usize, real: v128, imaginary: v128) {
    let lanes = &mut values[at..at + LANES];
    // SAFETY: `Complex` is `repr(C)`: `lanes` is 32 writable bytes of interleaved parts.
    unsafe {
        v128_store(lanes.as_mut_ptr().cast(), i32x4_shuffle::<0, 4, 1, 5>(real, imaginary));
        v128_store(lanes.as_mut_ptr().cast::<v128>().add(1), i32x4_shuffle::<2, 6, 3, 7>(real, imaginary));
    }
}

/// The sum of products of two lists of small integers.
#[must_use]
pub fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    const BYTES: usize = 8;
    let (a_whole, a_rest) = a.split_at(a.len().min(b.len()) / BYTES * BYTES);
    let (b_whole, b_rest) = b.split_at(a_whole.len());
    let mut sum = i32x4_splat(0);
    for (a, b) in a_whole.chunks_exact(BYTES).zip(b_whole.chunks_exact(BYTES)) {
        // SAFETY: both are eight readable bytes; loads need no alignment.
        let (a, b) = unsafe { (i16x8_load_extend_i8x8(a.as_ptr()), i16x8_load_extend_i8x8(b.as_ptr())) };
        sum = i32x4_add(sum, i32x4_dot_i16x8(a, b));
    }
    let lanes = i32x4_extract_lane::<0>(sum) + i32x4_extract_lane::<1>(sum) + i32x4_extract_lane::<2>(sum) + i32x4_extract_lane::<3>(sum);
    lanes + scalar::dot_i8(a_rest, b_rest)
}

/// `values *= factors`.
pub fn multiply(values: &mut [f32], factors: &[f32]) {
    let end = whole(values.len().min(factors.len()));
    for at in (0..end).step_by(LANES) {
        let product = f32x4_mul(load(values, at), load(factors, at));
        store(values, at, product);
    }
    scalar::multiply(&mut values[end..], &factors[end..]);
}

/// `values *= factor`.
pub fn scale(values: &mut [f32], factor: f32) {
    let end = whole(values.len());
    let factors = f32x4_splat(factor);
    for at in (0..end).step_by(LANES) {
        let product = f32x4_mul(load(values, at), factors);
        store(values, at, product);
    }
    scalar::scale(&mut values[end..], factor);
}

/// `sum += a b`.
pub fn add_product(sum: &mut [f32], a: &[f32], b: &[f32]) {
    let end = whole(sum.len().min(a.len()).min(b.len()));
    for at in (0..end).step_by(LANES) {
        let total = f32x4_add(load(sum, at), f32x4_mul(load(a, at), load(b, at)));
        store(sum, at, total);
    }
    scalar::add_product(&mut sum[end..], &a[end..], &b[end..]);
}

/// `values -= subtrahend`.
pub fn subtract(values: &mut [f32], subtrahend: &[f32]) {
    let end = whole(values.len().min(subtrahend.len()));
    for at in (0..end).step_by(LANES) {
        let difference = f32x4_sub(load(values, at), load(subtrahend, at));
        store(values, at, difference);
    }
    scalar::subtract(&mut values[end..], &subtrahend[end..]);
}

/// `new = old + weight (new - old)`: where old and new agree, they pass unchanged.
pub fn crossfade(new: &mut [f32], old: &[f32], weight: &[f32]) {
    let end = whole(new.len().min(old.len()).min(weight.len()));
    for at in (0..end).step_by(LANES) {
        let before = load(old, at);
        let joined = f32x4_add(before, f32x4_mul(load(weight, at), f32x4_sub(load(new, at), before)));
        store(new, at, joined);
    }
    scalar::crossfade(&mut new[end..], &old[end..], &weight[end..]);
}

/// `power = |spectrum|^2`.
pub fn power(spectrum: &[Complex<f32>], power: &mut [f32]) {
    let end = whole(spectrum.len().min(power.len()));
    for at in (0..end).step_by(LANES) {
        let (real, imaginary) = load_complex(spectrum, at);
        store(power, at, f32x4_add(f32x4_mul(real, real), f32x4_mul(imaginary, imaginary)));
    }
    scalar::power(&spectrum[end..], &mut power[end..]);
}

/// Real and imaginary parts of `spectrum`, apart.
pub fn split_complex(spectrum: &[Complex<f32>], real: &mut [f32], imaginary: &mut [f32]) {
    let end = whole(spectrum.len().min(real.len()).min(imaginary.len()));
    for at in (0..end).step_by(LANES) {
        let (re, im) = load_complex(spectrum, at);
        store(real, at, re);
        store(imaginary, at, im);
    }
    scalar::split_complex(&spectrum[end..], &mut real[end..], &mut imaginary[end..]);
}

/// `spectrum` of real and imaginary parts.
pub fn join_complex(real: &[f32], imaginary: &[f32], spectrum: &mut [Complex<f32>]) {
    let end = whole(spectrum.len().min(real.len()).min(imaginary.len()));
    for at in (0..end).step_by(LANES) {
        store_complex(spectrum, at, load(real, at), load(imaginary, at));
    }
    scalar::join_complex(&real[end..], &imaginary[end..], &mut spectrum[end..]);
}

/// Complex product in place: `mask = mask * signal`.
pub fn complex_multiply(mask_real: &mut [f32], mask_imaginary: &mut [f32], real: &[f32], imaginary: &[f32]) {
    let end = whole(mask_real.len().min(mask_imaginary.len()).min(real.len()).min(imaginary.len()));
    for at in (0..end).step_by(LANES) {
        let (a, b) = (load(mask_real, at), load(mask_imaginary, at));
        let (re, im) = (load(real, at), load(imaginary, at));
        store(mask_real, at, f32x4_sub(f32x4_mul(a, re), f32x4_mul(b, im)));
        store(mask_imaginary, at, f32x4_add(f32x4_mul(a, im), f32x4_mul(b, re)));
    }
    scalar::complex_multiply(&mut mask_real[end..], &mut mask_imaginary[end..], &real[end..], &imaginary[end..]);
}

/// `total += |x|^2 + floor` for planar parts.
pub fn add_power(total: &mut [f32], real: &[f32], imaginary: &[f32], floor: f32) {
    let end = whole(total.len().min(real.len()).min(imaginary.len()));
    let floors = f32x4_splat(floor);
    for at in (0..end).step_by(LANES) {
        let energy = energy(load(real, at), load(imaginary, at), floors);
        let sum = f32x4_add(load(total, at), energy);
        store(total, at, sum);
    }
    scalar::add_power(&mut total[end..], &real[end..], &imaginary[end..], floor);
}

/// Hands out the rest by energy: `x += (|x|^2 + floor) / total * rest` for planar parts.
pub fn add_share(real: &mut [f32], imaginary: &mut [f32], rest_real: &[f32], rest_imaginary: &[f32], total: &[f32], floor: f32) {
    let end = whole(real.len().min(imaginary.len()).min(rest_real.len()).min(rest_imaginary.len()).min(total.len()));
    let floors = f32x4_splat(floor);
    for at in (0..end).step_by(LANES) {
        let (re, im) = (load(real, at), load(imaginary, at));
        let share = f32x4_div(energy(re, im, floors), load(total, at));
        store(real, at, f32x4_add(re, f32x4_mul(share, load(rest_real, at))));
        store(imaginary, at, f32x4_add(im, f32x4_mul(share, load(rest_imaginary, at))));
    }
    scalar::add_share(&mut real[end..], &mut imaginary[end..], &rest_real[end..], &rest_imaginary[end..], &total[end..], floor);
}

/// `sum += weights values`, for real weights of complex values.
pub fn add_weighted(sum: &mut [Complex<f32>], values: &[Complex<f32>], weights: &[f32]) {
    let end = whole(sum.len().min(values.len()).min(weights.len()));
    for at in (0..end).step_by(LANES) {
        let weight = load(weights, at);
        let twice = (i32x4_shuffle::<0, 0, 1, 1>(weight, weight), i32x4_shuffle::<2, 2, 3, 3>(weight, weight));
        let (sums, values) = (&mut sum[at..at + LANES], &values[at..at + LANES]);
        let (sums, values) = (sums.as_mut_ptr().cast::<v128>(), values.as_ptr().cast::<v128>());
        // SAFETY: `Complex` is `repr(C)`: four of them are two vectors of interleaved parts; neither access needs alignment.
        unsafe {
            v128_store(sums, f32x4_add(v128_load(sums), f32x4_mul(v128_load(values), twice.0)));
            v128_store(sums.add(1), f32x4_add(v128_load(sums.add(1)), f32x4_mul(v128_load(values.add(1)), twice.1)));
        }
    }
    scalar::add_weighted(&mut sum[end..], &values[end..], &weights[end..]);
}

/// `values`, each at least as large as the one of `others`.
pub fn raise(values: &mut [f32], others: &[f32]) {
    let end = whole(values.len().min(others.len()));
    for at in (0..end).step_by(LANES) {
        let largest = f32x4_pmax(load(others, at), load(values, at));
        store(values, at, largest);
    }
    scalar::raise(&mut values[end..], &others[end..]);
}

/// `largest`, the larger of each two.
pub fn larger_of(a: &[f32], b: &[f32], largest: &mut [f32]) {
    let end = whole(a.len().min(b.len()).min(largest.len()));
    for at in (0..end).step_by(LANES) {
        store(largest, at, f32x4_pmax(load(b, at), load(a, at)));
    }
    scalar::larger_of(&a[end..], &b[end..], &mut largest[end..]);
}

/// The first place from `from` on where a value is at least its bound.
#[must_use]
pub fn first_reaching(values: &[f32], bounds: &[f32], from: usize) -> Option<usize> {
    let mut at = from;
    while at + LANES <= values.len().min(bounds.len()) {
        let reaching = i32x4_bitmask(f32x4_ge(load(values, at), load(bounds, at)));
        if reaching != 0 {
            return Some(at + reaching.trailing_zeros() as usize);
        }
        at += LANES;
    }
    scalar::first_reaching(values, bounds, at)
}

fn energy(real: v128, imaginary: v128, floor: v128) -> v128 {
    f32x4_add(f32x4_add(f32x4_mul(real, real), f32x4_mul(imaginary, imaginary)), floor)
}
