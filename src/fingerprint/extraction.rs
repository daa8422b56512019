//! Extraction of a whole sound, step by step.

use std::sync::Arc;

use super::embedder::{Embedder, EmbedderId};
use super::haitsma::{HaitsmaStream, SubFingerprint};
use super::neural::{NeuralStream, OFFLINE_BATCH};
use super::panako::ConstantQPower;
use super::peak_stream::PeakStream;
use super::peaks::Peak;
use super::print::{Algorithm, Layer, Print, Scheme, Warning};
use super::wang::FramePower;
use super::{ExtractStream, FingerprintOptions, Mix};
use crate::audio::Audio;
use crate::error::{Error, Result};

/// Frames per step at 44.1 kHz stereo about 6 s of sound: a few milliseconds of work.
const STEP_FRAMES: usize = 1 << 18;
/// Frames mixed at once.
const BLOCK_FRAMES: usize = 8_192;
/// The channels cancel where their mean has less than this share of their average energy: -20 dB.
const CANCELLED: f64 = 0.01;

/// What decides a print's content.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Recipe {
    /// Algorithm and profile.
    pub scheme: Scheme,
    /// How channels become layers.
    pub mix: Mix,
    /// Level in dBFS of RMS below which nothing is found; `None` listens to everything.
    pub silence: Option<f64>,
}

impl Recipe {
    /// The recipe that options ask for.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a profile that the algorithm does not have.
    pub fn new(options: &FingerprintOptions) -> Result<Self> {
        Ok(Self { scheme: Scheme::new(options.algorithm, options.profile)?, mix: options.mix, silence: options.silence })
    }
}

/// The stream of a layer, with what it has given.
enum Recorder {
    Wang(PeakStream<FramePower>, Vec<Peak>),
    Panako(PeakStream<ConstantQPower>, Vec<Peak>),
    Haitsma(Box<HaitsmaStream>, Vec<SubFingerprint>),
    Neural(Box<NeuralStream>, Vec<i8>),
}

/// The network of an extraction that needs one, and how many windows it is given at once.
#[derive(Debug, Clone)]
struct Network {
    embedder: Arc<Embedder>,
    batch: usize,
}

impl Recorder {
    fn new(recipe: Recipe, sample_rate: u32, network: Option<&Network>) -> Result<Self> {
        Ok(match recipe.scheme.algorithm() {
            Algorithm::Wang => Self::Wang(PeakStream::new(FramePower::default(), sample_rate, recipe.silence)?, Vec::new()),
            Algorithm::Panako => Self::Panako(PeakStream::new(ConstantQPower::default(), sample_rate, recipe.silence)?, Vec::new()),
            Algorithm::Haitsma => {
                Self::Haitsma(Box::new(HaitsmaStream::new(recipe.scheme.profile(), sample_rate, recipe.silence)?), Vec::new())
            }
            Algorithm::Neural => {
                let Network { embedder, batch } = network.ok_or_else(no_network)?;
                Self::Neural(Box::new(NeuralStream::new(sample_rate, recipe.silence, *batch, embedder)?), Vec::new())
            }
        })
    }

    fn push(&mut self, samples: &[f32]) -> Result<()> {
        match self {
            Self::Wang(stream, peaks) => peaks.extend_from_slice(stream.push(samples)?),
            Self::Panako(stream, peaks) => peaks.extend_from_slice(stream.push(samples)?),
            Self::Haitsma(stream, frames) => frames.extend(stream.push(samples)?.iter().map(|frame| frame.sub)),
            Self::Neural(stream, values) => values.extend(stream.push(samples)?.iter().flat_map(|timed| &timed.embedding)),
        }
        Ok(())
    }

    fn finish(self) -> Result<Layer> {
        Ok(match self {
            Self::Wang(mut stream, mut peaks) => {
                peaks.extend_from_slice(stream.flush()?);
                Layer::Peaks(peaks)
            }
            Self::Panako(mut stream, mut peaks) => {
                peaks.extend_from_slice(stream.flush()?);
                Layer::Peaks(peaks)
            }
            Self::Haitsma(mut stream, mut frames) => {
                frames.extend(stream.flush()?.iter().map(|frame| frame.sub));
                Layer::Bits(frames)
            }
            Self::Neural(mut stream, mut values) => {
                values.extend(stream.flush()?.iter().flat_map(|timed| &timed.embedding));
                Layer::Embeddings(values)
            }
        })
    }
}

/// The extraction of one sound. It borrows nothing, so that the sound is given at each step: always the same one.
pub struct Extraction {
    recipe: Recipe,
    embedder: Option<EmbedderId>,
    duration: f64,
    layers: Vec<Recorder>,
    block: Vec<f32>,
    position: usize,
    frames: usize,
    /// Energy of the mean and average energy of the channels.
    mean_energy: f64,
    channel_energy: f64,
}

impl Extraction {
    /// Prepares the extraction of `audio`.
    ///
    /// # Errors
    /// [`Error::TooShort`] below the algorithm's least duration; [`Error::InvalidInput`] for the mix `mid-side` of anything but stereo;
    /// [`Error::ModelLoad`] for the algorithm `neural`, which takes [`Extraction::with_embedder`].
    pub fn new(recipe: Recipe, audio: &Audio) -> Result<Self> {
        Self::begin(recipe, audio, None)
    }

    /// Prepares the extraction of `audio` by a network, `batch` windows at once (default 16).
    ///
    /// # Errors
    /// As [`Extraction::new`]; [`Error::InvalidInput`] for another algorithm than `neural` or a batch outside 1..64.
    pub fn with_embedder(recipe: Recipe, audio: &Audio, embedder: Arc<Embedder>, batch: Option<usize>) -> Result<Self> {
        let algorithm = recipe.scheme.algorithm();
        if algorithm != Algorithm::Neural {
            return Err(Error::invalid(format!("algorithm {} needs no network: leave the model out", algorithm.name())));
        }
        Self::begin(recipe, audio, Some(Network { embedder, batch: batch.unwrap_or(OFFLINE_BATCH) }))
    }

    fn begin(recipe: Recipe, audio: &Audio, network: Option<Network>) -> Result<Self> {
        let channels = audio.channels().len();
        let needed = recipe.scheme.min_duration();
        if audio.duration() < needed {
            return Err(Error::TooShort { capability: "fingerprint", given: audio.duration(), needed });
        }
        let layers = match recipe.mix {
            Mix::Mean => 1,
            Mix::Each => channels,
            Mix::MidSide if channels == 2 => 2,
            Mix::MidSide => {
                return Err(Error::invalid(format!("options.mix \"mid-side\" needs 2 channels, got {channels}: use \"mean\" or \"each\"")));
            }
        };
        Ok(Self {
            recipe,
            duration: audio.duration(),
            layers: (0..layers).map(|_| Recorder::new(recipe, audio.sample_rate(), network.as_ref())).collect::<Result<_>>()?,
            embedder: network.map(|network| network.embedder.id().clone()),
            block: vec![0.0; BLOCK_FRAMES],
            position: 0,
            frames: audio.frames(),
            mean_energy: 0.0,
            channel_energy: 0.0,
        })
    }

    /// The print of a whole sound at once.
    ///
    /// # Errors
    /// As [`Extraction::new`].
    pub fn whole(recipe: Recipe, audio: &Audio) -> Result<Print> {
        Self::new(recipe, audio)?.run(audio)
    }

    /// The print of a whole sound by a network at once.
    ///
    /// # Errors
    /// As [`Extraction::with_embedder`].
    pub fn whole_with_embedder(recipe: Recipe, audio: &Audio, embedder: Arc<Embedder>) -> Result<Print> {
        Self::with_embedder(recipe, audio, embedder, None)?.run(audio)
    }

    fn run(mut self, audio: &Audio) -> Result<Print> {
        while self.step(audio)? {}
        self.finish()
    }

    /// Reads on in `audio`, the sound that [`Extraction::new`] was given. Returns whether there is more.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the sound is another one, as far as its shape tells.
    pub fn step(&mut self, audio: &Audio) -> Result<bool> {
        if audio.frames() != self.frames || (self.recipe.mix != Mix::Mean && audio.channels().len() != self.layers.len()) {
            return Err(Error::invalid(format!(
                "the sound has {} frames, the extraction began with {}: give the same sound at each step",
                audio.frames(),
                self.frames
            )));
        }
        let end = self.frames.min(self.position + STEP_FRAMES);
        while self.position < end {
            let block_end = end.min(self.position + BLOCK_FRAMES);
            self.read(audio, self.position..block_end)?;
            self.position = block_end;
        }
        Ok(self.position < self.frames)
    }

    /// Share of the sound that is read, 0..1.
    #[must_use]
    pub fn progress(&self) -> f64 {
        self.position as f64 / self.frames.max(1) as f64
    }

    /// The print.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if steps are missing.
    pub fn finish(self) -> Result<Print> {
        if self.position < self.frames {
            return Err(Error::invalid(format!("{} of {} frames are read: step to the end first", self.position, self.frames)));
        }
        let mut warnings = Vec::new();
        if self.recipe.mix == Mix::Mean && self.mean_energy < CANCELLED * self.channel_energy {
            warnings.push(Warning::ChannelsCancel);
        }
        let layers = self.layers.into_iter().map(Recorder::finish).collect::<Result<_>>()?;
        Ok(Print::new(self.recipe.scheme, self.duration, warnings, layers).by(self.embedder))
    }

    fn read(&mut self, audio: &Audio, range: std::ops::Range<usize>) -> Result<()> {
        let channels = audio.channels();
        let share = 1.0 / channels.len() as f32;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let block = &mut self.block[..range.len()];
            match self.recipe.mix {
                Mix::Each => block.copy_from_slice(&channels[index][range.clone()]),
                Mix::Mean => {
                    block.fill(0.0);
                    for channel in channels {
                        for (sum, &sample) in block.iter_mut().zip(&channel[range.clone()]) {
                            *sum += sample;
                        }
                    }
                    for sample in &mut *block {
                        *sample *= share;
                    }
                    if channels.len() == 1 {
                        // A channel does not cancel itself.
                        layer.push(block)?;
                        continue;
                    }
                    self.mean_energy += energy(block);
                    self.channel_energy += channels.iter().map(|channel| energy(&channel[range.clone()])).sum::<f64>() * f64::from(share);
                }
                Mix::MidSide => {
                    let sign = if index == 0 { 0.5 } else { -0.5 };
                    let [left, right] = channels else { return Err(Error::internal("mid-side of a sound that is not stereo")) };
                    for ((sample, &left), &right) in block.iter_mut().zip(&left[range.clone()]).zip(&right[range.clone()]) {
                        *sample = 0.5 * left + sign * right;
                    }
                }
            }
            layer.push(block)?;
        }
        Ok(())
    }
}

fn no_network() -> Error {
    let what = "algorithm neural needs a model that embeds sound: none is given, add one by createEngine({ models })".to_owned();
    Error::ModelLoad { name: "embedder".to_owned(), what }
}

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|&sample| f64::from(sample) * f64::from(sample)).sum()
}
