//! Tests of the wasm build in a dedicated worker of a real browser: what it computes agrees with what was stored from elsewhere.
#![cfg(target_arch = "wasm32")]
