//! Beats and tempo.
//!
//! [`BeatTracker`] turns a sound into a [`BeatTrack`] by one of two methods. `tcn`: a trained network says how likely a beat is at each
//! moment ([`activation`]), a Bayesian network finds the beats ([`tracker`]). `flux`, which needs no network: spectral flux ([`onset`]), its
//! periodicity over time ([`tempogram`]), the beats that follow both ([`dynamic_programming`]). Then the exact tempo with a confidence that
//! knows octaves ([`tempo`]), and bars ([`bar`]). [`BeatStream`] hears a sound as it comes and gives each beat as an event.
//!
//! ```
//! use otolith::beat::{BeatConfig, BeatTracker};
//! use otolith::{Audio, Limits};
//!
//! // A click every half second.
//! let samples: Vec<f32> = (0..20 * 44_100).map(|n| if n % 22_050 < 40 { 0.8 } else { 0.0 }).collect();
//! let audio = Audio::new(vec![samples], 44_100, &Limits::default())?;
//! let track = BeatTracker::new(BeatConfig::default())?.track(&audio)?;
//! assert!((track.tempo.bpm.unwrap() - 120.0).abs() < 0.1);
//! # Ok::<(), otolith::Error>(())
//! ```

pub mod activation;
pub mod bar;
pub mod beat_filter;
mod causal_activation;
mod causal_flux;
pub mod click_track;
pub mod dynamic_programming;
pub mod octave;
pub mod onset;
pub mod spectrum;
pub mod state_space;
pub mod stream;
pub mod tempo;
pub mod tempogram;
pub mod tracker;
mod tracking;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use activation::BeatNetwork;
pub use bar::Meter;
pub use causal_activation::CausalNetwork;
pub use stream::{BeatEvent, BeatStream};
pub use tempo::{Tempo, TempoAlternative};
pub use tracking::BeatTracking;

use crate::audio::Audio;
use crate::error::{Error, Result};
use tempogram::TEMPO_RANGE;

/// How beats are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BeatMethod {
    /// The best that is at hand; the result says which it was.
    #[default]
    Auto,
    /// A trained network and a Bayesian network over its activations.
    Tcn,
    /// Spectral flux and dynamic programming.
    Flux,
}

/// Something the caller should know about a result that is otherwise whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeatNotice {
    /// `method` was auto and there is no network: the result is by flux.
    ModelMissing,
    /// `method` was auto and the network, or what runs it, could not be had or used: the result is by flux.
    ModelRefused,
    /// `method` was auto and the network's bytes were not the ones its manifest names: the result is by flux.
    ModelIntegrity,
}

/// Which network gave a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelName {
    /// Its name in the manifest.
    pub name: String,
    /// Its semantic version.
    pub version: String,
}

/// Options of [`BeatTracker`]; in TypeScript the same names in camel case.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BeatConfig {
    /// How beats are found. Default auto.
    pub method: BeatMethod,
    /// Slowest tempo, 30..300 beats per minute. Default 55.
    pub min_bpm: f64,
    /// Fastest tempo, 30..300 beats per minute, at least 1.5 times the slowest. Default 215.
    pub max_bpm: f64,
    /// Beats per bar that are looked for, each in 2..16, at least one. Default 2, 3, 4 and 6.
    pub meters: Vec<u32>,
    /// Whether bars are looked for. Default true.
    pub downbeats: bool,
    /// How firmly a tempo is kept from beat to beat by the Bayesian network (method tcn, and streams), 1..1000. Default 100.
    pub transition_lambda: f64,
    /// Parts of a beat of which the first is where its onset is heard (method tcn, and streams), 2..64. Default 16.
    pub observation_lambda: f64,
    /// Activation, 0..1, below which the network heard no beat: ends and stretches of over 2 s below it are left out. Default 0.05.
    pub threshold: f64,
}

impl Default for BeatConfig {
    fn default() -> Self {
        Self {
            method: BeatMethod::Auto,
            min_bpm: 55.0,
            max_bpm: 215.0,
            meters: vec![2, 3, 4, 6],
            downbeats: true,
            transition_lambda: 100.0,
            observation_lambda: 16.0,
            threshold: 0.05,
        }
    }
}

impl BeatConfig {
    /// # Errors
    /// [`Error::InvalidInput`] naming the option that is out of range.
    fn check(&self) -> Result<()> {
        for (name, value) in [("minBpm", self.min_bpm), ("maxBpm", self.max_bpm)] {
            if !TEMPO_RANGE.contains(&value) {
                return Err(Error::invalid(format!(
                    "options.{name} must be in {}..{} beats per minute, got {value}",
                    TEMPO_RANGE.start(),
                    TEMPO_RANGE.end()
                )));
            }
        }
        if self.max_bpm < 1.5 * self.min_bpm {
            return Err(Error::invalid(format!(
                "options.maxBpm must be at least 1.5 times options.minBpm ({}), got {}: a narrower range cannot tell octaves apart",
                self.min_bpm, self.max_bpm
            )));
        }
        if self.meters.is_empty() || self.meters.len() > 15 || self.meters.iter().any(|beats| !(2..=16).contains(beats)) {
            return Err(Error::invalid(format!(
                "options.meters must hold 1 to 15 numbers of beats per bar in 2..16, got {:?}: leave it out for 2, 3, 4 and 6",
                self.meters
            )));
        }
        let ranges = [
            ("transitionLambda", self.transition_lambda, 1.0..=1000.0),
            ("observationLambda", self.observation_lambda, 2.0..=64.0),
            ("threshold", self.threshold, 0.0..=1.0),
        ];
        for (name, value, range) in ranges {
            if !range.contains(&value) {
                return Err(Error::invalid(format!("options.{name} must be in {}..{}, got {value}", range.start(), range.end())));
            }
        }
        Ok(())
    }
}

/// Beats, bars and tempo of a sound. Times are in seconds from its first sample, rising.
#[derive(Debug, Clone, PartialEq)]
pub struct BeatTrack {
    /// Every beat.
    pub beats: Vec<f64>,
    /// The beats that begin a bar; empty where none could be told.
    pub downbeats: Vec<f64>,
    /// Tempo.
    pub tempo: Tempo,
    /// Beats per bar; `None` where unsure or not asked for.
    pub meter: Option<Meter>,
    /// The method that gave this result.
    pub method: BeatMethod,
    /// The network that gave it; `None` by flux.
    pub model: Option<ModelName>,
    /// What the caller should know.
    pub notice: Option<BeatNotice>,
}

/// Shortest sound that is tracked, in seconds.
pub const SHORTEST: f64 = 1.0;

/// Finds the beats of whole sounds.
#[derive(Debug, Clone)]
pub struct BeatTracker {
    config: BeatConfig,
    network: std::result::Result<Arc<BeatNetwork>, BeatNotice>,
}

impl BeatTracker {
    /// Takes the options. Without [`BeatTracker::with_network`] method auto means flux.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the option that is out of range.
    pub fn new(config: BeatConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config, network: Err(BeatNotice::ModelMissing) })
    }

    /// Takes the network of methods tcn and auto.
    #[must_use]
    pub fn with_network(self, network: Arc<BeatNetwork>) -> Self {
        Self { network: Ok(network), ..self }
    }

    /// Says why there is no network, for the notice of method auto.
    #[must_use]
    pub fn without_network(self, notice: BeatNotice) -> Self {
        Self { network: Err(notice), ..self }
    }

    /// Tracks a whole sound at once.
    ///
    /// # Errors
    /// [`Error::TooShort`] below 1 s; [`Error::OutOfMemory`] if the curves cannot be reserved; [`Error::ModelLoad`] for method tcn without
    /// a network, or with one that cannot be run.
    pub fn track(&self, audio: &Audio) -> Result<BeatTrack> {
        let mut tracking = self.start(audio)?;
        while tracking.step()? {}
        tracking.finish()
    }

    /// Begins to track a sound, given or lent, step by step.
    ///
    /// # Errors
    /// As [`BeatTracker::track`].
    pub fn start<A: std::borrow::Borrow<Audio>>(&self, audio: A) -> Result<BeatTracking<A>> {
        BeatTracking::new(self.config.clone(), &self.network, audio)
    }
}
