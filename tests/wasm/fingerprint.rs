//! Fingerprints in wasm hold the keys of those of the native build.

use wasm_bindgen_test::wasm_bindgen_test;

use crate::fingerprint_parity::Native;

#[wasm_bindgen_test]
fn at_least_999_of_1000_keys_are_those_of_the_native_build() {
    let (native, found) = (Native::stored(), Native::found());
    let (mut kept, mut all) = (0, 0);
    for (name, keys) in &native.keys {
        let found = &found.keys[name];
        kept += keys.iter().filter(|key| found.contains(key)).count();
        all += keys.len().max(found.len());
    }
    assert!(all > 300 && kept * 1_000 >= all * 999, "{kept} of {all}");
}
