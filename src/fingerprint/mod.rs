//! Fingerprints and the catalogue that finds them again.
//!
//! [`Wang`], [`Panako`], [`Haitsma`] and [`Neural`] extract a [`Print`] from a sound, offline or as a stream; a [`Catalog`] enrols prints under ids
//! and finds which of them an excerpt comes from, and from where in it. [`wire`] turns prints into bytes, [`inspect`] into JSON.

pub mod activity;
pub mod analysis_stream;
pub mod catalog;
pub mod cells;
pub mod confidence;
pub mod embedder;
pub mod extraction;
pub mod haitsma;
pub mod inspect;
pub mod intake;
pub mod landmark;
pub mod matching;
pub mod neural;
pub mod panako;
pub mod peak_stream;
pub mod peaks;
pub mod print;
pub mod triple;
pub mod wang;
pub mod wire;

pub use catalog::Catalog;
pub use embedder::{Embedder, EmbedderId};
pub use extraction::{Extraction, Recipe};
pub use haitsma::Haitsma;
pub use matching::{Hit, MatchOptions};
pub use neural::Neural;
pub use panako::Panako;
pub use print::{Algorithm, Layer, Print, Profile, Scheme, Warning};
pub use wang::Wang;

use serde::{Deserialize, Serialize};

use crate::audio::Audio;
use crate::error::Result;

/// How the channels of a sound become the layers of its print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mix {
    /// One layer: the sum of the channels in their order, divided by their number.
    #[default]
    Mean,
    /// A layer per channel; the best of them makes the hit.
    Each,
    /// Two layers, half the sum and half the difference of left and right. Stereo only.
    MidSide,
}

/// What a fingerprint is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FingerprintOptions {
    /// The algorithm. Default `wang`.
    pub algorithm: Algorithm,
    /// The density it is meant for. Default `default`.
    pub profile: Profile,
    /// How channels become layers. Default `mean`.
    pub mix: Mix,
    /// Level in dBFS of RMS, -100..=-20, below which nothing is found (see [`crate::dsp::activity::SilenceGate`]). Default: none.
    pub silence: Option<f64>,
    /// Neural: windows that the network is given at once, 1..=64. Default 16.
    pub batch: Option<usize>,
}

/// An algorithm that turns sound into prints.
pub trait Extract {
    /// Its stream form.
    type Stream: ExtractStream;

    /// Name with version. The number rises whenever any byte of a print changes for any input.
    fn name(&self) -> &'static str;

    /// Shortest sound it reads, in seconds.
    fn min_duration(&self) -> f64;

    /// The print of a sound: exactly what its stream gives for the same samples.
    ///
    /// # Errors
    /// [`crate::Error::TooShort`] below [`Extract::min_duration`]; [`crate::Error::InvalidInput`] if the mix does not fit the channels.
    fn extract(&self, audio: &Audio) -> Result<Print>;

    /// A stream of mono sound at `sample_rate` hertz.
    ///
    /// # Errors
    /// [`crate::Error::InvalidInput`] for a rate outside 8..192 kHz.
    fn stream(&self, sample_rate: u32) -> Result<Self::Stream>;
}

/// Extraction from sound that arrives in pieces. How it is cut does not show in what comes out.
pub trait ExtractStream {
    /// What comes out.
    type Item;

    /// Takes mono samples; returns the items settled by them, valid until the next call. Samples that are no finite numbers become 0
    /// and are counted.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] only.
    fn push(&mut self, samples: &[f32]) -> Result<&[Self::Item]>;

    /// Ends the sound, as if silence followed; returns the remaining items.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] only.
    fn flush(&mut self) -> Result<&[Self::Item]>;

    /// Tells that `frames` samples are missing here. Positions move on, and no item spans the hole. Returns the items before it.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] only.
    fn gap(&mut self, frames: u64) -> Result<&[Self::Item]>;

    /// Most frames, at the input's rate, between a sound and the items it settles.
    fn latency(&self) -> u64;

    /// Bytes held; bounded, whatever the length of the input.
    fn state_bytes(&self) -> usize;

    /// Samples so far that were no finite numbers.
    fn replaced(&self) -> u64;
}
