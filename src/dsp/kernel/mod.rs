//! Inner loops in twin form: portable and SIMD128, chosen in one place.
//!
//! Both twins hold the same functions with the same bits: each lane does the operations of the scalar loop in the scalar order, and
//! nothing is fused. Slices of unequal length are worked on up to the shortest.

pub mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub mod simd128;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use scalar::*;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use simd128::*;
