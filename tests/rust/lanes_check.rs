//! Vectors of four and the products made of them, against f64, for both builds.

use otolith::dsp::lanes::F32x4;
use otolith::dsp::products::{COLUMNS, ROWS, Shifted, Taps, gathered, multiply, pack, raise, weigh};

use crate::signal::noise;

/// e^x over the whole range.
pub fn check_exp() {
    for step in -8_700..=8_800 {
        let x = step as f32 / 100.0 + 0.003;
        if !(-87.0..=88.0).contains(&x) {
            continue;
        }
        let [found, ..] = F32x4::splat(x).exp().to_array();
        let wanted = f64::from(x).exp();
        assert!((f64::from(found) / wanted - 1.0).abs() <= 4e-7, "e^{x}: {found}, wanted {wanted}");
    }
    let [low, high] = [-1e30, 1e30].map(|x| F32x4::splat(x).exp().to_array()[0]);
    assert!(low > 0.0 && low < 2e-38 && high > 1e38 && high.is_finite(), "{low} {high}");
}

/// 2^x over the whole range.
pub fn check_exp2() {
    for step in -9_990..=12_690 {
        let x = step as f32 / 100.0 + 0.003;
        let [found, ..] = F32x4::splat(x).exp2().to_array();
        let wanted = f64::from(x).exp2();
        assert!((f64::from(found) / wanted - 1.0).abs() <= 3e-7, "2^{x}: {found}, wanted {wanted}");
    }
    let least = (-100f64).exp2();
    for x in [-100.0, -101.5, -1e30, f32::MIN] {
        let [found, ..] = F32x4::splat(x).exp2().to_array();
        assert!((f64::from(found) / least - 1.0).abs() <= 3e-7, "2^{x}: {found}");
    }
}

/// The exponential linear unit on both sides of 0.
pub fn check_elu() {
    for step in -4_000..=4_000 {
        let x = step as f32 / 97.0;
        let [found, ..] = F32x4::splat(x).elu().to_array();
        let wanted = if x > 0.0 { f64::from(x) } else { f64::from(x).exp_m1() };
        assert!((f64::from(found) - wanted).abs() <= 2e-7, "elu({x}): {found}, wanted {wanted}");
    }
}

/// Products with columns from places in no order, some of them twice.
pub fn check_gathered() {
    let places = [31, 0, 7, 7, 40, 3, 12];
    let matrix = noise(3, 1.0, ROWS * places.len());
    let values = noise(4, 1.0, 60);
    let packed = pack(&matrix, places.len(), 0..ROWS);
    let taps = Taps::new(places.to_vec());
    for at in [0, 1, 8] {
        for (row, found) in gathered(&packed, &values, &taps, at).iter().enumerate() {
            let found: Vec<f32> = found.iter().flat_map(|four| four.to_array()).collect();
            for (column, found) in found.iter().enumerate() {
                let term =
                    |(tap, place): (usize, &usize)| f64::from(matrix[row * places.len() + tap]) * f64::from(values[at + place + column]);
                let wanted: f64 = places.iter().enumerate().map(term).sum();
                assert!((f64::from(*found) - wanted).abs() < 2e-6, "row {row}, column {column}");
            }
        }
    }
}

/// Products of rows in any order with shifted columns, from one block of columns on.
pub fn check_multiply() {
    let (depth, row, taps, stride) = (5, 40, 3, 7);
    let matrix = noise(1, 1.0, 8 * depth * taps);
    let values = noise(2, 1.0, depth * row);
    // Rows 6, 0, 3, 5 and 1, 2, 7, 4: blocks take them in any order.
    let order = [6, 0, 3, 5, 1, 2, 7, 4];
    let packed = pack(&matrix, depth * taps, order.into_iter());
    let bias = [0.5, -0.25, 0.0, 3.0];
    for (block, rows) in order.chunks(ROWS).enumerate() {
        let weights = &packed[block * ROWS * depth * taps..(block + 1) * ROWS * depth * taps];
        for (at, columns) in [(0, COLUMNS), (1, 2 * COLUMNS), (2, 3 * COLUMNS), (18, COLUMNS)] {
            let out_row = columns + 3;
            let mut out = vec![9.0; ROWS * out_row];
            multiply(weights, bias, &values[at..], Shifted { depth, row, taps, stride }, columns, &mut out, out_row);
            for ((out, matrix_row), bias) in out.chunks(out_row).zip(rows).zip(bias) {
                for (column, found) in out[..columns].iter().enumerate() {
                    let terms = (0..depth).flat_map(|d| (0..taps).map(move |tap| (d, tap)));
                    let sum: f64 = terms
                        .map(|(d, tap)| {
                            let weight = matrix[matrix_row * depth * taps + d * taps + tap];
                            f64::from(weight) * f64::from(values[d * row + tap * stride + at + column])
                        })
                        .sum();
                    assert!((f64::from(*found) - sum - f64::from(bias)).abs() < 2e-6, "row {matrix_row}, column {column}");
                }
                assert_eq!(&out[columns..], [9.0; 3], "what lies between the rows is left alone");
            }
        }
    }
}

/// Powers of four rows, the largest of each at another place, one row far below 0.
pub fn check_raise() {
    for row in [4, 12, 40] {
        let mut scores: Vec<f32> = noise(7, 20.0, ROWS * row);
        scores[row..2 * row].iter_mut().for_each(|score| *score -= 300.0);
        // As where a row is longer than what is meant.
        scores[3 * row - 1] = f32::MIN;
        let before = scores.clone();
        let totals = raise(&mut scores, row);
        for ((before, found), total) in before.chunks(row).zip(scores.chunks(row)).zip(totals) {
            let largest = before.iter().copied().fold(f32::MIN, f32::max);
            let wanted: Vec<f64> = before.iter().map(|score| f64::from((score - largest).max(-100.0)).exp2()).collect();
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!((f64::from(*found) / wanted - 1.0).abs() <= 3e-7, "{found}, wanted {wanted}");
            }
            assert!((f64::from(total) / wanted.iter().sum::<f64>() - 1.0).abs() <= 1e-6);
        }
    }
}

/// Six rows of values, weighted by four of scores.
pub fn check_weigh() {
    for row in [4, 12, 40] {
        let (scores, values) = (noise(5, 1.0, ROWS * row), noise(6, 1.0, 6 * row));
        let mut out = vec![9.0; 6 * ROWS + 1];
        weigh(&scores, &values, row, &mut out);
        for (place, found) in out[..6 * ROWS].iter().enumerate() {
            let (value, query) = (place / ROWS, place % ROWS);
            let terms = scores[query * row..][..row].iter().zip(&values[value * row..][..row]);
            let wanted: f64 = terms.map(|(score, value)| f64::from(*score) * f64::from(*value)).sum();
            assert!((f64::from(*found) - wanted).abs() < 2e-6, "row {row}, value {value}, query {query}: {found}, wanted {wanted}");
        }
        assert_eq!(out[6 * ROWS], 9.0);
    }
}
