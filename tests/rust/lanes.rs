//! Vectors of four, portable.

use otolith::dsp::products::{Shifted, Taps, gathered, multiply, raise, weigh};

use crate::lanes_check::{check_elu, check_exp, check_exp2, check_gathered, check_multiply, check_raise, check_weigh};

#[test]
fn e_to_the_x_is_within_a_few_units_in_the_last_place() {
    check_exp();
}

#[test]
fn a_power_of_two_is_right_to_the_last_bits_and_never_too_small() {
    check_exp2();
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
    check_multiply();
}

#[test]
fn rows_are_weighted_by_four_scores_at_once() {
    check_weigh();
}

#[test]
fn scores_become_powers_of_two_below_the_largest() {
    check_raise();
}

fn one_row_of(values: usize, out: usize) {
    multiply(&[0.0; 4], [0.0; 4], &vec![0.0; values], Shifted { depth: 1, row: 8, taps: 1, stride: 0 }, 8, &mut vec![0.0; out], 8);
}

#[test]
fn a_product_that_just_fits_is_taken() {
    one_row_of(8, 32);
}

#[test]
#[should_panic(expected = "assertion failed")]
fn a_product_past_the_end_is_refused() {
    one_row_of(7, 32);
}

#[test]
#[should_panic(expected = "assertion failed")]
fn a_product_that_has_no_room_is_refused() {
    one_row_of(8, 31);
}

#[test]
#[should_panic(expected = "assertion failed")]
fn scores_that_are_no_four_rows_are_refused() {
    raise(&mut [0.0; 28], 8);
}

#[test]
#[should_panic(expected = "assertion failed")]
fn scores_of_fewer_columns_are_refused() {
    weigh(&[0.0; 31], &[0.0; 16], 8, &mut [0.0; 8]);
}

#[test]
#[should_panic(expected = "assertion failed")]
fn a_gathered_product_past_the_end_is_refused() {
    let _ = gathered(&[0.0; 8], &[0.0; 16], &Taps::new(vec![0, 8]), 1);
}
