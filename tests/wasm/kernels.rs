//! SIMD128 kernels against their portable twins.

use wasm_bindgen_test::wasm_bindgen_test;

use crate::kernel_list::{LENGTHS, kernel_outputs};

#[wasm_bindgen_test]
fn the_simd128_kernels_give_the_bits_of_the_portable_ones() {
    for length in LENGTHS {
        for ((name, portable), (_, simd)) in kernel_outputs!(scalar, length).iter().zip(kernel_outputs!(simd128, length)) {
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(portable), bits(&simd), "{name}, {length} values");
        }
    }
}
