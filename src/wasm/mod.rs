//! The border to JavaScript: thin, no arithmetic, one file per capability.
//!
//! Errors cross as in [`error`], options as in [`options`]. A panic cannot be caught here: its text is left in
//! `globalThis.otolithPanic` before the trap, so that the worker can report it.

mod activity;
mod audio;
mod beat;
mod catalog;
#[cfg(feature = "neural")]
mod chunk_task;
mod error;
mod fingerprint;
mod model;
mod options;
#[cfg(feature = "neural")]
mod relaxed;
mod separate;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(not(target_feature = "simd128"))]
compile_error!("otolith's wasm build needs SIMD: build with -C target-feature=+simd128, as .cargo/config.toml does");

/// Name of the property of `globalThis` that holds the text of the panic that killed this instance.
const PANIC_PROPERTY: &str = "otolithPanic";

#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| {
        let global = js_sys::global();
        // Reflect::set fails only on a frozen global object, and then nobody could read it.
        let _ = js_sys::Reflect::set(&global, &JsValue::from_str(PANIC_PROPERTY), &JsValue::from_str(&panic.to_string()));
    }));
    #[cfg(feature = "neural")]
    relaxed::take_up();
}

/// Version of the crate, as in its manifest.
#[wasm_bindgen]
#[must_use]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Bytes of linear memory. It never shrinks, so this is also the peak.
#[wasm_bindgen(js_name = memoryBytes)]
#[must_use]
pub fn memory_bytes() -> f64 {
    const PAGE: f64 = 65_536.0;
    core::arch::wasm32::memory_size::<0>() as f64 * PAGE
}

/// Panics with this message: the crash that tests inject.
#[wasm_bindgen(js_name = __test_panic)]
pub fn test_panic(message: &str) {
    panic!("{message}");
}
