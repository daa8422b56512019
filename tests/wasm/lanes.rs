//! Vectors of four, SIMD128.

use wasm_bindgen_test::wasm_bindgen_test;

use crate::lanes_check::{check_exp, check_product};

#[wasm_bindgen_test]
fn e_to_the_x_is_within_a_few_units_in_the_last_place() {
    check_exp();
}

#[wasm_bindgen_test]
fn a_product_is_the_sum_over_rows_and_shifts() {
    check_product();
}
