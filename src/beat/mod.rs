//! Beats and tempo.
//!
//! [`BeatTracker`] turns a sound into a [`BeatTrack`]: spectral flux ([`onset`]), its periodicity over time ([`tempogram`]), the beats
//! that follow both ([`dynamic_programming`]), the exact tempo with a confidence that knows octaves ([`tempo`]), and bars ([`bar`]).
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

pub mod bar;
pub mod click_track;
pub mod dynamic_programming;
pub mod onset;
pub mod tempo;
pub mod tempogram;
mod tracking;

use serde::{Deserialize, Serialize};

pub use bar::Meter;
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
    /// Spectral flux and dynamic programming.
    Flux,
}

/// Something the caller should know about a result that is otherwise whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeatNotice {
    /// `method` was auto and no network was at hand: the result is by flux.
    ModelMissing,
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
}

impl Default for BeatConfig {
    fn default() -> Self {
        Self { method: BeatMethod::Auto, min_bpm: 55.0, max_bpm: 215.0, meters: vec![2, 3, 4, 6], downbeats: true }
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
    /// What the caller should know.
    pub notice: Option<BeatNotice>,
}

/// Shortest sound that is tracked, in seconds.
pub const SHORTEST: f64 = 1.0;

/// Finds the beats of whole sounds.
#[derive(Debug, Clone)]
pub struct BeatTracker {
    config: BeatConfig,
}

impl BeatTracker {
    /// Takes the options.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the option that is out of range.
    pub fn new(config: BeatConfig) -> Result<Self> {
        for (name, value) in [("minBpm", config.min_bpm), ("maxBpm", config.max_bpm)] {
            if !TEMPO_RANGE.contains(&value) {
                return Err(Error::invalid(format!(
                    "options.{name} must be in {}..{} beats per minute, got {value}",
                    TEMPO_RANGE.start(),
                    TEMPO_RANGE.end()
                )));
            }
        }
        if config.max_bpm < 1.5 * config.min_bpm {
            return Err(Error::invalid(format!(
                "options.maxBpm must be at least 1.5 times options.minBpm ({}), got {}: a narrower range cannot tell octaves apart",
                config.min_bpm, config.max_bpm
            )));
        }
        if config.meters.is_empty() || config.meters.len() > 15 || config.meters.iter().any(|beats| !(2..=16).contains(beats)) {
            return Err(Error::invalid(format!(
                "options.meters must hold 1 to 15 numbers of beats per bar in 2..16, got {:?}: leave it out for 2, 3, 4 and 6",
                config.meters
            )));
        }
        Ok(Self { config })
    }

    /// Tracks a whole sound at once.
    ///
    /// # Errors
    /// [`Error::TooShort`] below 1 s; [`Error::OutOfMemory`] if the curves cannot be reserved.
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
        BeatTracking::new(self.config.clone(), audio)
    }
}
