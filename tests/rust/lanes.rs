//! Vectors of four, portable.

use otolith::dsp::lanes::{Shifted, Taps, gathered, product};

use crate::lanes_check::{check_elu, check_exp, check_gathered, check_product};

#[test]
fn e_to_the_x_is_within_a_few_units_in_the_last_place() {
    check_exp();
}

#[test]
fn the_exponential_linear_unit_is_smooth_at_zero_and_ends_at_minus_one() {
    check_elu();
}

#[test]
fn a_gathered_product_is_the_sum_over_its_places() {
    check_gathered();
}

#[test]
fn a_product_is_the_sum_over_rows_and_shifts() {
    check_product();
}

#[test]
#[should_panic(expected = "assertion failed")]
fn a_product_past_the_end_is_refused() {
    let _ = product(&[0.0; 4], &[0.0; 11], Shifted { depth: 1, row: 11, taps: 1, stride: 0 }, 0);
}

#[test]
#[should_panic(expected = "assertion failed")]
fn a_gathered_product_past_the_end_is_refused() {
    let _ = gathered(&[0.0; 8], &[0.0; 20], &Taps::new(vec![0, 8]), 1);
}
