//! Beats in wasm are those of the native build within 1 ms.

use otolith::beat::{BeatConfig, BeatTracker};
use otolith::{Audio, Limits};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::beat_parity;

#[wasm_bindgen_test]
fn beats_agree_with_the_native_build_within_1_ms() {
    let (samples, rate) = beat_parity::piece();
    let audio = Audio::new(vec![samples], rate, &Limits::default()).unwrap();
    let found = BeatTracker::new(BeatConfig::default()).unwrap().track(&audio).unwrap();
    beat_parity::assert_native(&found);
}
