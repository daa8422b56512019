//! A print: what an algorithm keeps of a sound.

use serde::{Deserialize, Serialize};

use super::landmark;
use super::peaks::Peak;

/// The algorithms whose prints are read and made here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Landmarks of Wang (2003): pairs of spectral peaks.
    #[default]
    Wang,
}

impl Algorithm {
    /// Its number in stored bytes.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Wang => 1,
        }
    }

    /// Its name, without the version.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wang => "wang",
        }
    }

    /// Its version: rises whenever any byte of a print changes for any input.
    #[must_use]
    pub fn version(self) -> u16 {
        match self {
            Self::Wang => 1,
        }
    }
}

/// Densities of stored landmarks. Prints and catalogues of different profiles do not mix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// About 40 landmarks a second of dense music.
    #[default]
    Default,
    /// About 220 a second, for noisy queries and small catalogues.
    Dense,
    /// As many as `default`, with a third peak in the hash: for millions of tracks.
    Large,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 3] = [Self::Default, Self::Dense, Self::Large];

    /// Its number in stored bytes.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Default => 0,
            Self::Dense => 1,
            Self::Large => 2,
        }
    }

    /// The profile of a number in stored bytes.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.code() == code)
    }

    /// Its name in options and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Dense => "dense",
            Self::Large => "large",
        }
    }
}

/// What a caller should know about a print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    /// The channels' mean is more than 20 dB weaker than the channels: they cancel. Use the mix `each` or `mid-side`.
    ChannelsCancel,
}

impl Warning {
    /// All warnings.
    pub const ALL: [Self; 1] = [Self::ChannelsCancel];

    /// Its bit in stored bytes.
    #[must_use]
    pub fn bit(self) -> u32 {
        match self {
            Self::ChannelsCancel => 1,
        }
    }

    /// Its name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ChannelsCancel => "channels-cancel",
        }
    }
}

/// The print of a sound. For landmarks this is the list of its spectral peaks: what a catalogue stores and what a query asks for are
/// two densities of pairs derived from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Print {
    algorithm: Algorithm,
    profile: Profile,
    duration: f64,
    warnings: Vec<Warning>,
    layers: Vec<Vec<Peak>>,
}

impl Print {
    /// A landmark print of 1 to 8 layers of peaks, each ordered by time, of a sound of `duration` seconds.
    #[must_use]
    pub(super) fn new(profile: Profile, duration: f64, warnings: Vec<Warning>, layers: Vec<Vec<Peak>>) -> Self {
        Self { algorithm: Algorithm::Wang, profile, duration, warnings, layers }
    }

    /// The algorithm that made it.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The density it is meant for.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Length of the sound, in seconds.
    #[must_use]
    pub fn duration(&self) -> f64 {
        self.duration
    }

    /// What to know about it.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Its peaks, a list per layer (see [`super::Mix`]), ordered by time.
    #[must_use]
    pub fn layers(&self) -> &[Vec<Peak>] {
        &self.layers
    }

    /// Number of landmarks that a catalogue stores of it.
    #[must_use]
    pub fn hash_count(&self) -> usize {
        self.layers.iter().map(|peaks| landmark::reference_landmarks(peaks, self.profile).len()).sum()
    }
}
