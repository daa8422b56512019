//! Vectors of four, SIMD128.

use wasm_bindgen_test::wasm_bindgen_test;

use crate::lanes_check::{check_elu, check_exp, check_exp2, check_gathered, check_multiply, check_raise, check_weigh};

#[wasm_bindgen_test]
fn e_to_the_x_is_within_a_few_units_in_the_last_place() {
    check_exp();
}

#[wasm_bindgen_test]
fn a_power_of_two_is_right_to_the_last_bits_and_never_too_small() {
    check_exp2();
}

#[wasm_bindgen_test]
fn the_exponential_linear_unit_is_smooth_at_zero_and_ends_at_minus_one() {
    check_elu();
}

#[wasm_bindgen_test]
fn a_gathered_product_is_the_sum_over_its_places() {
    check_gathered();
}

#[wasm_bindgen_test]
fn a_product_is_the_sum_over_rows_and_shifts() {
    check_multiply();
}

#[wasm_bindgen_test]
fn rows_are_weighted_by_four_scores_at_once() {
    check_weigh();
}

#[wasm_bindgen_test]
fn scores_become_powers_of_two_below_the_largest() {
    check_raise();
}
