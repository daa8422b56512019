//! Options objects into Rust structs.

use js_sys::Object;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use wasm_bindgen::JsValue;

use crate::error::{Error, Result};

/// Reads the options object called `name`; absent is the default.
///
/// # Errors
/// [`Error::InvalidInput`] with the dotted path of the option that is unknown or of the wrong type.
pub fn parse<T: DeserializeOwned + Default>(name: &str, options: Option<Object>) -> Result<T> {
    let Some(options) = options else { return Ok(T::default()) };
    serde_path_to_error::deserialize(Entries(JsValue::from(options).into()))
        .map_err(|error| Error::invalid(format!("{name}.{}: {}", error.path(), error.inner())))
}

/// Shows an object to serde with all its entries. serde-wasm-bindgen asks an object only for the fields that a struct knows, so
/// that a misspelt option would pass unseen.
struct Entries(serde_wasm_bindgen::Deserializer);

impl<'de> Deserializer<'de> for Entries {
    type Error = serde_wasm_bindgen::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Self::Error> {
        self.0.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}
