//! Portable twins.

use realfft::num_complex::Complex;

use crate::dsp::running::larger;

/// `values *= factors`.
pub fn multiply(values: &mut [f32], factors: &[f32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

/// `values *= factor`.
pub fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}

/// `sum += a b`.
pub fn add_product(sum: &mut [f32], a: &[f32], b: &[f32]) {
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        *sum += a * b;
    }
}

/// `values -= subtrahend`.
pub fn subtract(values: &mut [f32], subtrahend: &[f32]) {
    for (value, subtrahend) in values.iter_mut().zip(subtrahend) {
        *value -= subtrahend;
    }
}

/// `new = old + weight (new - old)`: where old and new agree, they pass unchanged.
pub fn crossfade(new: &mut [f32], old: &[f32], weight: &[f32]) {
    for ((new, old), weight) in new.iter_mut().zip(old).zip(weight) {
        *new = old + weight * (*new - old);
    }
}

/// `power = |spectrum|^2`.
pub fn power(spectrum: &[Complex<f32>], power: &mut [f32]) {
    for (power, value) in power.iter_mut().zip(spectrum) {
        *power = value.re * value.re + value.im * value.im;
    }
}

/// The sum of products of two lists of small integers.
#[must_use]
pub fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// Real and imaginary parts of `spectrum`, apart.
pub fn split_complex(spectrum: &[Complex<f32>], real: &mut [f32], imaginary: &mut [f32]) {
    for ((value, real), imaginary) in spectrum.iter().zip(real).zip(imaginary) {
        (*real, *imaginary) = (value.re, value.im);
    }
}

/// `spectrum` of real and imaginary parts.
pub fn join_complex(real: &[f32], imaginary: &[f32], spectrum: &mut [Complex<f32>]) {
    for ((value, real), imaginary) in spectrum.iter_mut().zip(real).zip(imaginary) {
        *value = Complex { re: *real, im: *imaginary };
    }
}

/// Complex product in place: `mask = mask * signal`.
pub fn complex_multiply(mask_real: &mut [f32], mask_imaginary: &mut [f32], real: &[f32], imaginary: &[f32]) {
    for (((mask_real, mask_imaginary), real), imaginary) in mask_real.iter_mut().zip(mask_imaginary).zip(real).zip(imaginary) {
        let (a, b) = (*mask_real, *mask_imaginary);
        *mask_real = a * real - b * imaginary;
        *mask_imaginary = a * imaginary + b * real;
    }
}

/// `total += |x|^2 + floor` for planar parts.
pub fn add_power(total: &mut [f32], real: &[f32], imaginary: &[f32], floor: f32) {
    for ((total, real), imaginary) in total.iter_mut().zip(real).zip(imaginary) {
        *total += real * real + imaginary * imaginary + floor;
    }
}

/// Hands out the rest by energy: `x += (|x|^2 + floor) / total * rest` for planar parts.
#[allow(clippy::too_many_arguments)] // planar complex operands are two slices each
pub fn add_share(real: &mut [f32], imaginary: &mut [f32], rest_real: &[f32], rest_imaginary: &[f32], total: &[f32], floor: f32) {
    let parts = real.iter_mut().zip(imaginary).zip(rest_real).zip(rest_imaginary).zip(total);
    for ((((real, imaginary), rest_real), rest_imaginary), total) in parts {
        let share = (*real * *real + *imaginary * *imaginary + floor) / total;
        *real += share * rest_real;
        *imaginary += share * rest_imaginary;
    }
}

/// `sum += weights values`, for real weights of complex values.
pub fn add_weighted(sum: &mut [Complex<f32>], values: &[Complex<f32>], weights: &[f32]) {
    for ((sum, value), weight) in sum.iter_mut().zip(values).zip(weights) {
        *sum += value * weight;
    }
}

/// `values`, each at least as large as the one of `others`.
pub fn raise(values: &mut [f32], others: &[f32]) {
    for (value, &other) in values.iter_mut().zip(others) {
        *value = larger(*value, other);
    }
}

/// `largest`, the larger of each two.
pub fn larger_of(a: &[f32], b: &[f32], largest: &mut [f32]) {
    for ((largest, &a), &b) in largest.iter_mut().zip(a).zip(b) {
        *largest = larger(a, b);
    }
}

/// The first place from `from` on where a value is at least its bound.
#[must_use]
pub fn first_reaching(values: &[f32], bounds: &[f32], from: usize) -> Option<usize> {
    const BLOCK: usize = 16;
    let length = values.len().min(bounds.len());
    let (values, bounds) = (values.get(from..length)?, bounds.get(from..length)?);
    // Few do: whole blocks are passed over without a branch inside.
    for (block, (values, bounds)) in values.chunks(BLOCK).zip(bounds.chunks(BLOCK)).enumerate() {
        let reaches = |(value, bound): (&f32, &f32)| value >= bound;
        if values.iter().zip(bounds).fold(false, |any, pair| any | reaches(pair)) {
            return values.iter().zip(bounds).position(reaches).map(|place| from + block * BLOCK + place);
        }
    }
    None
}
