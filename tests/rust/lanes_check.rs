//! Vectors of four and the products made of them, against f64, for both builds.

use otolith::dsp::lanes::{COLUMNS, F32x4, ROWS, Shifted, Taps, gathered, pack, product};

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

/// Products of rows in any order with shifted columns.
pub fn check_product() {
    let (depth, row, taps, stride) = (5, 40, 3, 7);
    let matrix = noise(1, 1.0, 8 * depth * taps);
    let values = noise(2, 1.0, depth * row);
    // Rows 6, 0, 3, 5 and 1, 2, 7, 4: blocks take them in any order.
    let order = [6, 0, 3, 5, 1, 2, 7, 4];
    let packed = pack(&matrix, depth * taps, order.into_iter());
    for (block, rows) in order.chunks(ROWS).enumerate() {
        let weights = &packed[block * ROWS * depth * taps..(block + 1) * ROWS * depth * taps];
        for at in [0, 1, 12, 14] {
            let sums = product(weights, &values, Shifted { depth, row, taps, stride }, at);
            for (found, matrix_row) in sums.iter().zip(rows) {
                let found: Vec<f32> = found.iter().flat_map(|four| four.to_array()).collect();
                for column in 0..COLUMNS {
                    let terms = (0..depth).flat_map(|d| (0..taps).map(move |tap| (d, tap)));
                    let wanted: f64 = terms
                        .map(|(d, tap)| {
                            let weight = matrix[matrix_row * depth * taps + d * taps + tap];
                            f64::from(weight) * f64::from(values[d * row + tap * stride + at + column])
                        })
                        .sum();
                    assert!((f64::from(found[column]) - wanted).abs() < 2e-6, "row {matrix_row}, column {column}");
                }
            }
        }
    }
}
