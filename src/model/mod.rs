//! Models: manifest, integrity, and (feature `neural`) the network runtime.

#[cfg(feature = "neural")]
mod fused;
#[cfg(feature = "neural")]
mod graph;
pub mod integrity;
pub mod manifest;
pub mod mel_embedding;
#[cfg(feature = "neural")]
pub mod named_graph;
pub mod network;
mod parameters;
#[cfg(feature = "neural")]
pub mod runtime;

pub use manifest::{Entry, Manifest};
#[cfg(feature = "neural")]
pub use named_graph::NamedGraph;
pub use network::{Graph, GraphPlan, Network};
#[cfg(feature = "neural")]
pub use runtime::Model;
