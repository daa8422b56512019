//! Vectors of four, portable.

use otolith::dsp::lanes::{Shifted, product};

use crate::lanes_check::{check_exp, check_product};

#[test]
fn e_to_the_x_is_within_a_few_units_in_the_last_place() {
    check_exp();
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
