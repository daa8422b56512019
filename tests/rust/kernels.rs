//! The portable kernels against arithmetic in double precision; `tests/wasm` holds the SIMD128 ones to the portable.

use crate::kernel_list::{LENGTHS, expected, kernel_outputs};

#[test]
fn the_portable_kernels_agree_with_arithmetic_in_double_precision() {
    for length in LENGTHS {
        for ((name, found), wanted) in kernel_outputs!(scalar, length).iter().zip(expected(length)) {
            assert_eq!(found.len(), wanted.len(), "{name}");
            for (n, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                // Operands reach 1000, products 1e6, and up to four roundings of 2^-24 relative to the largest term add up.
                assert!((f64::from(*found) - wanted).abs() <= 2e6 * 4.0 / f64::from(1u32 << 24), "{name}[{n}] {found} {wanted}");
            }
        }
    }
}
