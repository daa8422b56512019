//! Models: manifest, integrity, and (feature `neural`) the network runtime.

#[cfg(feature = "neural")]
mod graph;
pub mod integrity;
pub mod manifest;
pub mod network;
#[cfg(feature = "neural")]
pub mod runtime;

pub use manifest::{Entry, Manifest};
pub use network::Network;
#[cfg(feature = "neural")]
pub use runtime::Model;
