//! Tests of the wasm build in a dedicated worker of a real browser: what it computes agrees with what was stored from elsewhere.
#![cfg(target_arch = "wasm32")]

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[path = "../rust/kernel_list.rs"]
mod kernel_list;
mod kernels;
#[path = "../rust/mask_network.rs"]
mod mask_network;
mod separate;
#[path = "../rust/signal.rs"]
mod signal;
