//! The constant-Q transform against direct evaluation in f64 (`tools/constant_q_fixtures.py`).

use otolith::dsp::constant_q::{BANDS, ConstantQ, ROWS, SLICE_LENGTH};

#[derive(serde::Deserialize)]
struct Fixture {
    /// Band, row, power.
    values: Vec<(usize, usize, f64)>,
}

#[test]
fn powers_equal_direct_evaluation() {
    let fixture: Fixture = serde_json::from_str(include_str!("../../data/constant_q.json")).unwrap();
    let samples: Vec<f32> =
        (0..SLICE_LENGTH as u32).map(|n| ((f64::from(n.wrapping_mul(2_654_435_761)) / 2_147_483_648.0 - 1.0) / 10.0) as f32).collect();
    let mut rows = vec![0.0; ROWS * BANDS];
    ConstantQ::new().power(&samples, &mut rows).unwrap();
    let largest = fixture.values.iter().map(|value| value.2).fold(0.0, f64::max);
    for (band, row, power) in fixture.values {
        let own = f64::from(rows[row * BANDS + band]);
        // Relative to the power itself, or to a thousandth of the largest: f32 leaves less than 1e-7 of the slice's energy in every bin.
        assert!((own - power).abs() <= 1e-4 * power.max(1e-3 * largest), "band {band}, row {row}: {own} instead of {power}");
    }
}
