//! Inner loops in twin form: portable and SIMD128, chosen in one place.
