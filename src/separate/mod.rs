//! Stems from a stereo mix.
//!
//! [`Separation`] is the home side: it hears the sound twice, first to measure it, then to cut it into chunks and join what comes back. [`ChunkTask`] turns one chunk
//! into stems with a [`SeparatorModel`]; it needs nothing but the chunk, so chunks may be computed anywhere and in any order.
//! [`Separator`] does both in one place.

pub mod chunk_stems;
pub mod chunk_task;
pub mod condition;
pub mod network;
pub mod overlap_add;
pub mod plan;
pub mod separation;
pub mod separator;
pub mod spectrum;
pub mod trial;
mod window;

pub use chunk_task::{ChunkTask, Conditioning, NetworkInput, SeparatorModel};
pub use plan::ChunkGrid;
pub use separation::{Chunk, OutputRate, Segment, Separation, SeparationOptions};
pub use separator::{Separator, Stem, Stems};
pub use trial::Trial;
