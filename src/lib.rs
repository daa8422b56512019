//! otolith: music listening for web pages. Stems, beats and fingerprints, computed by one crate that builds natively and to
//! WebAssembly.
//!
//! The crate is built in floors and imports only go down: the rooms ([`separate`], [`beat`], [`fingerprint`]) stand on [`model`],
//! [`audio`] and [`dsp`], which stand on [`error`], [`limits`] and [`header`]. `src/wasm` is the only place that knows JavaScript.
#![deny(unsafe_code)] // lifted in `dsp` for loads without checks, and where loops of another module are taken into use

pub mod audio;
pub mod beat;
pub mod dsp;
pub mod error;
pub mod fingerprint;
pub mod header;
pub mod limits;
pub mod model;
pub mod separate;
#[cfg(target_arch = "wasm32")]
mod wasm;

pub use audio::Audio;
pub use error::{Error, Result};
pub use limits::Limits;
