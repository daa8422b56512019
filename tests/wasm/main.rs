//! Tests of the wasm build in a dedicated worker of a real browser: what it computes agrees with what was stored from elsewhere.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's failure, in its helpers too

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

mod audio;
mod beat;
#[path = "../rust/beat_parity.rs"]
mod beat_parity;
mod fingerprint;
#[path = "../rust/fingerprint_parity.rs"]
mod fingerprint_parity;
#[path = "../rust/kernel_list.rs"]
mod kernel_list;
mod kernels;
mod lanes;
#[path = "../rust/lanes_check.rs"]
mod lanes_check;
#[path = "../rust/mask_network.rs"]
mod mask_network;
mod separate;
#[path = "../rust/signal.rs"]
mod signal;
