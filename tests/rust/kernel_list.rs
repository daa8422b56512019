//! Every kernel run on the same input: one list for the portable twins and the SIMD128 ones.

use realfft::num_complex::Complex;

/// Lengths around the width of a vector, and a frame of a spectrum.
pub const LENGTHS: [usize; 8] = [0, 1, 3, 4, 5, 7, 8, 2049];

/// Values of every magnitude that audio has, from a multiplicative hash.
pub fn noise(seed: u32, length: usize) -> Vec<f32> {
    (0..length as u32)
        .map(|n| {
            let hash = (n.wrapping_add(seed)).wrapping_mul(2_654_435_761);
            (hash as f32 / 2_147_483_648.0 - 1.0) * 10f32.powi((hash >> 7) as i32 % 4)
        })
        .collect()
}

pub fn spectrum(seed: u32, length: usize) -> Vec<Complex<f32>> {
    noise(seed, length).iter().zip(noise(seed + 9000, length)).map(|(re, im)| Complex { re: *re, im }).collect()
}

/// Runs every kernel of a module on the same input and collects what it wrote, by name.
macro_rules! kernel_outputs {
    ($twin:ident, $length:expr) => {{
        use crate::kernel_list::{noise, spectrum};
        use otolith::dsp::kernel::$twin as twin;
        use realfft::num_complex::Complex;
        let length = $length;
        let [a, b, c, d] = [1, 2, 3, 4].map(|seed| noise(seed * 100_000, length));
        let mut all: Vec<(&str, Vec<f32>)> = Vec::new();
        let mut out = a.clone();
        twin::multiply(&mut out, &b);
        all.push(("multiply", out));
        let mut out = a.clone();
        twin::scale(&mut out, 0.3);
        all.push(("scale", out));
        let mut out = a.clone();
        twin::add_product(&mut out, &b, &c);
        all.push(("add_product", out));
        let mut out = a.clone();
        twin::subtract(&mut out, &b);
        all.push(("subtract", out));
        let mut out = a.clone();
        twin::crossfade(&mut out, &b, &c);
        all.push(("crossfade", out));
        let mut out = vec![0.0; length];
        twin::power(&spectrum(7, length), &mut out);
        all.push(("power", out));
        let small = |values: &[f32]| values.iter().map(|value| (value * 1e4) as i32 as i8).collect::<Vec<_>>();
        all.push(("dot_i8", vec![twin::dot_i8(&small(&a), &small(&b)) as f32]));
        let (mut re, mut im) = (vec![0.0; length], vec![0.0; length]);
        twin::split_complex(&spectrum(7, length), &mut re, &mut im);
        all.extend([("split_complex real", re), ("split_complex imaginary", im)]);
        let mut joined = vec![Complex::default(); length];
        twin::join_complex(&a, &b, &mut joined);
        all.push(("join_complex", joined.iter().flat_map(|value| [value.re, value.im]).collect()));
        let (mut re, mut im) = (a.clone(), b.clone());
        twin::complex_multiply(&mut re, &mut im, &c, &d);
        all.extend([("complex_multiply real", re), ("complex_multiply imaginary", im)]);
        let mut out = vec![0.5; length];
        twin::add_power(&mut out, &a, &b, 1e-8);
        all.push(("add_power", out.clone()));
        let (mut re, mut im) = (a.clone(), b.clone());
        twin::add_share(&mut re, &mut im, &c, &d, &out, 1e-8);
        all.extend([("add_share real", re), ("add_share imaginary", im)]);
        let mut sum = spectrum(7, length);
        twin::add_weighted(&mut sum, &spectrum(8, length), &a);
        all.push(("add_weighted", sum.iter().flat_map(|value| [value.re, value.im]).collect()));
        let mut out = a.clone();
        twin::raise(&mut out, &b);
        all.push(("raise", out));
        let mut out = vec![0.0; length];
        twin::larger_of(&a, &b, &mut out);
        all.push(("larger_of", out));
        // Every place that reaches its bound, one after the other.
        let places = std::iter::successors(twin::first_reaching(&a, &b, 0), |&place| twin::first_reaching(&a, &b, place + 1));
        all.push(("first_reaching", places.map(|place| place as f32).collect()));
        all
    }};
}

/// What the kernels should give, in f64, in the order of `kernel_outputs!`.
pub fn expected(length: usize) -> Vec<Vec<f64>> {
    let [a, b, c, d] = [1, 2, 3, 4].map(|seed| noise(seed * 100_000, length).iter().map(|v| f64::from(*v)).collect::<Vec<_>>());
    let of = |f: &dyn Fn(usize) -> f64| (0..length).map(f).collect::<Vec<f64>>();
    let (s, other) = (spectrum(7, length), spectrum(8, length));
    let floor = f64::from(1e-8f32);
    let small = |value: f64| f64::from((value as f32 * 1e4) as i32 as i8);
    let total = of(&|n| 0.5 + a[n] * a[n] + b[n] * b[n] + floor);
    let share = |n: usize| (a[n] * a[n] + b[n] * b[n] + floor) / total[n];
    vec![
        of(&|n| a[n] * b[n]),
        of(&|n| a[n] * f64::from(0.3f32)),
        of(&|n| a[n] + b[n] * c[n]),
        of(&|n| a[n] - b[n]),
        of(&|n| b[n] + c[n] * (a[n] - b[n])),
        of(&|n| f64::from(s[n].re).powi(2) + f64::from(s[n].im).powi(2)),
        vec![(0..length).map(|n| small(a[n]) * small(b[n])).sum()],
        of(&|n| f64::from(s[n].re)),
        of(&|n| f64::from(s[n].im)),
        (0..length).flat_map(|n| [a[n], b[n]]).collect(),
        of(&|n| a[n] * c[n] - b[n] * d[n]),
        of(&|n| a[n] * d[n] + b[n] * c[n]),
        total.clone(),
        of(&|n| a[n] + share(n) * c[n]),
        of(&|n| b[n] + share(n) * d[n]),
        (0..length)
            .flat_map(|n| [(s[n].re, other[n].re), (s[n].im, other[n].im)].map(|(sum, value)| f64::from(sum) + a[n] * f64::from(value)))
            .collect(),
        of(&|n| a[n].max(b[n])),
        of(&|n| a[n].max(b[n])),
        (0..length).filter(|&n| a[n] >= b[n]).map(|n| n as f64).collect(),
    ]
}

pub(crate) use kernel_outputs;
