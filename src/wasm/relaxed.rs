//! The inner loops with relaxed SIMD, for engines that have it: a small module beside this one, in the same memory.

use js_sys::{Object, Reflect, Uint8Array, WebAssembly};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::dsp::products::{Kernels, use_kernels};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = otolithKernels)]
    fn multiply(
        weights: *const f32,
        bias: *const f32,
        values: *const f32,
        depth: usize,
        row: usize,
        taps: usize,
        stride: usize,
        columns: usize,
        out: *mut f32,
        out_row: usize,
    );

    #[wasm_bindgen(js_namespace = otolithKernels)]
    fn raise(scores: *mut f32, row: usize, totals: *mut f32);

    #[wasm_bindgen(js_namespace = otolithKernels)]
    fn weigh(scores: *const f32, values: *const f32, row: usize, pairs: usize, out: *mut f32);
}

/// Name of the property of `globalThis` that holds that module's exports.
const PROPERTY: &str = "otolithKernels";

/// Has networks run on the loops of `relaxed.wat`, if this engine knows their instructions.
pub fn take_up() {
    let bytes = Uint8Array::from(&include_bytes!(concat!(env!("OUT_DIR"), "/relaxed.wasm"))[..]);
    // An engine that answers anything else than yes runs the loops of this module: they are slower and always there.
    let _ = instantiate(&bytes);
}

#[allow(unsafe_code)] // whose memory it is that the loops write to
fn instantiate(bytes: &JsValue) -> Result<(), JsValue> {
    if WebAssembly::validate(bytes)? {
        let (imports, own) = (Object::new(), Object::new());
        Reflect::set(&own, &"memory".into(), &wasm_bindgen::memory())?;
        Reflect::set(&imports, &"otolith".into(), &own)?;
        let instance = WebAssembly::Instance::new(&WebAssembly::Module::new(bytes)?, &imports)?;
        if Reflect::set(&js_sys::global(), &PROPERTY.into(), &instance.exports())? {
            // SAFETY: the module's loops are those of `products`, which has checked the places. They work in this memory as long as no
            // other instance in this global scope sets the property: a worker starts one.
            unsafe { use_kernels(Kernels { multiply, raise, weigh }) };
        }
    }
    Ok(())
}
