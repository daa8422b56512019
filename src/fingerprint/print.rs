//! A print: what an algorithm keeps of a sound.

use serde::{Deserialize, Serialize};

use super::embedder::EmbedderId;
use super::haitsma::{self, SubFingerprint};
use super::peaks::Peak;
use super::{landmark, neural, panako, triple, wang, wire};
use crate::error::{Error, Result};

/// The algorithms whose prints are read and made here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Landmarks of Wang (2003): pairs of spectral peaks. Noise and lossy coding.
    #[default]
    Wang,
    /// Panako (Six and Leman 2014): triples of peaks of a constant-Q spectrum. Also other tempo, pitch or speed.
    Panako,
    /// Sub-fingerprints of Haitsma and Kalker (2002): 32 bits every 11.6 ms. Strong lossy coding.
    Haitsma,
    /// Embeddings of a second of sound by a trained network (after Chang et al. 2021), which has to be given. Short and noisy clips.
    Neural,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 4] = [Self::Wang, Self::Panako, Self::Haitsma, Self::Neural];
    /// Those that need no network.
    pub const WITHOUT_NETWORK: [Self; 3] = [Self::Wang, Self::Panako, Self::Haitsma];

    /// Its number in stored bytes.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Wang => 1,
            Self::Panako => 2,
            Self::Haitsma => 3,
            Self::Neural => 4,
        }
    }

    /// The algorithm of a number in stored bytes.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.code() == code)
    }

    /// Its name, without the version.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wang => "wang",
            Self::Panako => "panako",
            Self::Haitsma => "haitsma",
            Self::Neural => "neural",
        }
    }

    /// Its version: rises whenever any byte of a print changes for any input.
    #[must_use]
    pub fn version(self) -> u16 {
        1
    }
}

/// What is stored, and of Haitsma's bits on which grid. Prints and catalogues of different profiles do not mix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// About 40 landmarks a second of dense music; of Haitsma's bits every second frame as a key.
    #[default]
    Default,
    /// Wang: about 220 a second, for noisy queries and small catalogues. Neural: four embeddings a second, for clips of a second.
    Dense,
    /// Wang: as many as `default`, with a third peak in the hash, for millions of tracks.
    Large,
    /// Haitsma: as the paper has it. Every frame as a key, bits flipped one at a time, 256 frames or more of which at most 35 % differ.
    Paper,
    /// Haitsma: as `default`, at 5 kHz, the grid of the Rust crate audiofp.
    #[serde(rename = "5k")]
    FiveKilohertz,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 5] = [Self::Default, Self::Dense, Self::Large, Self::Paper, Self::FiveKilohertz];

    /// Its number in stored bytes.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Default => 0,
            Self::Dense => 1,
            Self::Large => 2,
            Self::Paper => 3,
            Self::FiveKilohertz => 4,
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
            Self::Paper => "paper",
            Self::FiveKilohertz => "5k",
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

/// An algorithm with a profile: prints of one scheme can be compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scheme {
    algorithm: Algorithm,
    profile: Profile,
}

impl Scheme {
    /// The scheme of an algorithm and a profile.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a profile that the algorithm does not have.
    pub fn new(algorithm: Algorithm, profile: Profile) -> Result<Self> {
        let has = |algorithm| match profile {
            Profile::Default => true,
            Profile::Dense => matches!(algorithm, Algorithm::Wang | Algorithm::Neural),
            Profile::Large => algorithm == Algorithm::Wang,
            Profile::Paper | Profile::FiveKilohertz => algorithm == Algorithm::Haitsma,
        };
        if !has(algorithm) {
            let own: Vec<&str> = Algorithm::ALL.into_iter().filter(|&other| has(other)).map(Algorithm::name).collect();
            let (algorithm, profile, own) = (algorithm.name(), profile.name(), own.join(", "));
            return Err(Error::invalid(format!(
                "profile {profile:?} is one of the algorithm {own}, {algorithm} does not have it: leave the profile out"
            )));
        }
        Ok(Self { algorithm, profile })
    }

    /// All schemes.
    pub fn all() -> impl Iterator<Item = Self> {
        Algorithm::ALL
            .into_iter()
            .flat_map(|algorithm| Profile::ALL.into_iter().filter_map(move |profile| Self::new(algorithm, profile).ok()))
    }

    /// Shortest sound that is read, in seconds.
    #[must_use]
    pub fn min_duration(self) -> f64 {
        match self.algorithm {
            Algorithm::Wang => wang::MIN_DURATION,
            Algorithm::Panako => panako::MIN_DURATION,
            Algorithm::Haitsma => haitsma::Grid::of(self.profile).min_duration(),
            Algorithm::Neural => neural::MIN_DURATION,
        }
    }

    /// Seconds of a tick: what positions in a catalogue are counted in.
    #[must_use]
    pub fn tick_seconds(self) -> f64 {
        match self.algorithm {
            Algorithm::Wang => wang::TICK_SECONDS,
            Algorithm::Panako => panako::TICK_SECONDS,
            Algorithm::Haitsma => haitsma::Grid::of(self.profile).tick_seconds(),
            Algorithm::Neural => neural::STEP_SECONDS * neural::windows_per_row(self.profile) as f64,
        }
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// The profile.
    #[must_use]
    pub fn profile(self) -> Profile {
        self.profile
    }

    /// CRC-32 of everything that must agree for two prints to mix; of neural ones the network comes on top.
    #[must_use]
    pub fn parameter_checksum(self) -> u32 {
        wire::parameter_checksum(self)
    }

    /// Bits of a posting's key.
    #[must_use]
    pub fn key_bits(self) -> u32 {
        match self.algorithm {
            Algorithm::Wang => landmark::Density::of(self.profile).key_bits(),
            Algorithm::Panako => triple::KEY_BITS,
            Algorithm::Haitsma => u32::BITS,
            Algorithm::Neural => 0,
        }
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} with profile {:?}", self.algorithm.name(), self.profile.name())
    }
}

impl From<Profile> for Scheme {
    /// The scheme of the algorithm that has the profile; Wang's `default`.
    fn from(profile: Profile) -> Self {
        let algorithm = match profile {
            Profile::Default | Profile::Dense | Profile::Large => Algorithm::Wang,
            Profile::Paper | Profile::FiveKilohertz => Algorithm::Haitsma,
        };
        Self { algorithm, profile }
    }
}

/// What a print keeps of one channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// Spectral peaks ordered by time (Wang, Panako): what a catalogue stores and what a query asks for are two densities of pairs or
    /// triples derived from them.
    Peaks(Vec<Peak>),
    /// A sub-fingerprint per tick (Haitsma).
    Bits(Vec<SubFingerprint>),
    /// An embedding per tick one behind the other, as many numbers each as the print's [`EmbedderId`] says; zeros where there is none
    /// (neural).
    Embeddings(Vec<i8>),
}

impl Layer {
    /// The peaks; none of a layer that has none.
    #[must_use]
    pub fn peaks(&self) -> &[Peak] {
        if let Self::Peaks(peaks) = self { peaks } else { &[] }
    }

    /// Whether nothing was found in the sound.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Peaks(peaks) => peaks.is_empty(),
            Self::Bits(frames) => frames.is_empty(),
            Self::Embeddings(values) => values.iter().all(|&value| value == 0),
        }
    }
}

/// A key that a catalogue stores, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The bits of the hash that carry information, [`Scheme::key_bits`] of them.
    pub key: u32,
    /// Tick.
    pub tick: u32,
}

/// What a catalogue stores of a layer besides postings: a row of bytes per tick, from tick 0 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The rows one behind the other.
    pub bytes: Vec<u8>,
    /// Bytes of a row; 0 where there are none.
    pub row_bytes: usize,
}

/// The print of a sound: a layer per channel that [`super::Mix`] made.
#[derive(Debug, Clone, PartialEq)]
pub struct Print {
    scheme: Scheme,
    duration: f64,
    warnings: Vec<Warning>,
    layers: Vec<Layer>,
    embedder: Option<EmbedderId>,
}

impl Print {
    /// A print of 1 to 8 layers, all of the kind that the algorithm makes, of a sound of `duration` seconds.
    #[must_use]
    pub(super) fn new(scheme: Scheme, duration: f64, warnings: Vec<Warning>, layers: Vec<Layer>) -> Self {
        Self { scheme, duration, warnings, layers, embedder: None }
    }

    /// The same, made by a network.
    #[must_use]
    pub(super) fn by(self, embedder: Option<EmbedderId>) -> Self {
        Self { embedder, ..self }
    }

    /// The network that made it; none of another algorithm than `neural`.
    #[must_use]
    pub fn embedder(&self) -> Option<&EmbedderId> {
        self.embedder.as_ref()
    }

    /// CRC-32 of everything that must agree for two prints to mix.
    #[must_use]
    pub fn parameter_checksum(&self) -> u32 {
        self.embedder.as_ref().map_or_else(|| self.scheme.parameter_checksum(), neural::parameter_checksum)
    }

    /// Numbers of an embedding.
    pub(super) fn dimensions(&self) -> usize {
        self.embedder.as_ref().map_or(1, |embedder| embedder.dimensions)
    }

    /// Algorithm and profile.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The algorithm that made it.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.scheme.algorithm
    }

    /// The density it is meant for.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.scheme.profile
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

    /// Its layers (see [`super::Mix`]).
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What a catalogue stores of a layer under keys, ordered by tick; nothing of a layer that is not there.
    #[must_use]
    pub fn references(&self, layer: usize) -> Vec<Reference> {
        match self.layers.get(layer) {
            Some(Layer::Peaks(peaks)) if self.scheme.algorithm == Algorithm::Panako => triple::references(peaks),
            Some(Layer::Peaks(peaks)) => {
                let unused_bits = u32::BITS - self.scheme.key_bits();
                let landmarks = landmark::reference_landmarks(peaks, self.scheme.profile);
                landmarks.iter().map(|landmark| Reference { key: landmark.hash >> unused_bits, tick: landmark.frame }).collect()
            }
            Some(Layer::Bits(frames)) => haitsma::references(frames, self.scheme.profile),
            Some(Layer::Embeddings(values)) => neural::references(values, self.dimensions(), self.scheme.profile),
            None => Vec::new(),
        }
    }

    /// What a catalogue stores of a layer tick by tick; no rows of a layer that is not there.
    #[must_use]
    pub fn rows(&self, layer: usize) -> Rows {
        match self.layers.get(layer) {
            Some(Layer::Bits(frames)) => Rows { bytes: haitsma::rows(frames), row_bytes: haitsma::ROW_BYTES },
            Some(Layer::Embeddings(values)) => {
                let row_bytes = self.dimensions();
                let rows = neural::rows(values, row_bytes, self.scheme.profile);
                Rows { bytes: rows.flat_map(bytemuck::cast_slice::<i8, u8>).copied().collect(), row_bytes }
            }
            Some(Layer::Peaks(_)) | None => Rows { bytes: Vec::new(), row_bytes: 0 },
        }
    }

    /// Number of keys that a catalogue stores of it.
    #[must_use]
    pub fn hash_count(&self) -> usize {
        (0..self.layers.len()).map(|layer| self.references(layer).len()).sum()
    }
}
