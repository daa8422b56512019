//! [`Error`] as a JavaScript `Error` with `code` and `details`.

use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

use crate::error::Error;

/// The JavaScript `Error` for `error`: `message`, `code` ([`Error::kind`]) and `details`, a plain object of the variant's data.
impl From<Error> for JsValue {
    fn from(error: Error) -> Self {
        let object = js_sys::Error::new(&error.to_string());
        set(&object, "code", &error.kind().into());
        set(&object, "details", &details(&error));
        object.into()
    }
}

fn details(error: &Error) -> JsValue {
    let details = Object::new();
    match error {
        Error::InvalidInput { .. } | Error::Storage { .. } | Error::Internal { .. } => {}
        Error::UnsupportedFormat { found } => set(&details, "found", &found.into()),
        Error::TooShort { capability, given, needed } => {
            set(&details, "capability", &(*capability).into());
            set(&details, "given", &(*given).into());
            set(&details, "needed", &(*needed).into());
        }
        Error::Limit { what, name, given, allowed } => {
            set(&details, "what", &(*what).into());
            set(&details, "limit", &(*name).into());
            set(&details, "given", &(*given).into());
            set(&details, "allowed", &(*allowed).into());
        }
        Error::OutOfMemory { what, bytes } => {
            set(&details, "what", &(*what).into());
            set(&details, "bytes", &(*bytes as f64).into());
        }
        Error::ModelLoad { name, .. } => set(&details, "model", &name.into()),
        Error::ModelIntegrity { name, expected, found } => {
            set(&details, "model", &name.into());
            set(&details, "expected", &expected.into());
            set(&details, "found", &found.into());
        }
    }
    details.into()
}

/// Sets a property of an object made here: such an object is not frozen, so this cannot fail.
fn set(object: &Object, key: &str, value: &JsValue) {
    let _ = Reflect::set(object, &JsValue::from_str(key), value);
}
