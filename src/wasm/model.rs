//! `sha256`, `parseManifest` and `verifyModel`.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Error;
use crate::model::{Entry, Manifest, integrity};

/// SHA-256 of `bytes`, 64 lower-case hexadecimal digits.
#[wasm_bindgen]
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    integrity::sha256(bytes)
}

/// Checks a manifest for otolith of version `packageVersion` and gives it back with its defaults filled in.
#[wasm_bindgen(js_name = parseManifest)]
pub fn parse_manifest(json: &str, #[wasm_bindgen(js_name = packageVersion)] package_version: &str) -> Result<String, JsValue> {
    let manifest = Manifest::parse(json, package_version)?;
    let text = serde_json::to_string(&manifest).map_err(|error| Error::internal(format!("a manifest cannot be written: {error}")))?;
    Ok(text)
}

/// Checks length and digest of the bytes of a model's graph; `role` may be left out where the model has only one.
#[wasm_bindgen(js_name = verifyModel)]
pub fn verify_model(#[wasm_bindgen(js_name = entryJson)] entry: &str, role: Option<String>, bytes: &[u8]) -> Result<(), JsValue> {
    let entry = parse_entry(entry)?;
    integrity::verify(&entry.name, &entry.graph(role.as_deref())?, bytes)?;
    Ok(())
}

/// An entry as it crosses from TypeScript.
pub fn parse_entry(json: &str) -> Result<Entry, Error> {
    Entry::parse(json, env!("CARGO_PKG_VERSION"))
}
