//! Embeddings of a second of sound every quarter of a second, by a trained network; a catalogue keeps every second one, or all (profile `dense`).
//!
//! The front end is that of the contract [`mel_embedding`](crate::model::mel_embedding): windows of 8 000 samples at 8 kHz every 2 000,
//! 480 zeros before and behind each; 32 frames of 1 024 samples under a periodic Hann window, 256 mel bands of their power, in decibels from 80 below the window's
//! loudest to it, mapped to -1..1. Window i is slot i mod N of a batch of N, the last batch filled up with zeros, so that what comes out
//! depends on N and not on how the sound was cut.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::analysis_stream::{Analysis, AnalysisStream};
use super::embedder::{Embedder, EmbedderId, quantise};
use super::extraction::{Extraction, Recipe};
use super::intake::Intake;
use super::print::{Algorithm, Print, Profile, Reference, Scheme};
use super::{Extract, Mix};
use crate::audio::Audio;
use crate::dsp::activity::SilenceGate;
use crate::dsp::mel::{MelBank, MelNorm, MelScale};
use crate::dsp::{kernel, window};
use crate::error::{Error, Result};
use crate::model::GraphPlan;
use crate::model::mel_embedding::{FRAME, FRAME_HOP, FRAMES, FREQUENCIES, HOP, MELS, N_FFT, PAD, RANGE_DB, SAMPLE_RATE, WINDOW};

/// Samples from window to window of a print: half of what lies between two that a catalogue keeps, so that some windows of a query
/// lie within an eighth of a second of kept ones wherever it begins.
pub const STEP: usize = HOP / 2;
/// Seconds of that.
pub const STEP_SECONDS: f64 = STEP as f64 / SAMPLE_RATE as f64;
/// Shortest sound: one window, in seconds.
pub const MIN_DURATION: f64 = WINDOW as f64 / SAMPLE_RATE as f64;
/// Windows that a network may be given at once.
pub const BATCHES: std::ops::RangeInclusive<usize> = 1..=64;
/// Windows at once of a whole sound.
pub const OFFLINE_BATCH: usize = 16;
/// Values of a window for the network.
const MEL_VALUES: usize = MELS * FRAMES;
/// Least power whose decibels are told.
const POWER_FLOOR: f32 = 1e-10;

/// What must agree, besides the network, for two prints to mix.
pub(super) const PARAMETERS: [u32; 10] = [
    SAMPLE_RATE,
    WINDOW as u32,
    STEP as u32,
    PAD as u32,
    FRAME as u32,
    FRAME_HOP as u32,
    MELS as u32,
    FREQUENCIES.0 as u32,
    FREQUENCIES.1 as u32,
    RANGE_DB as u32,
];

/// An embedding and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedEmbedding {
    /// Number of the window.
    pub window: u64,
    /// As it is stored; zeros where the sound is silent or the network gave nothing.
    pub embedding: Vec<i8>,
}

/// The extractor of embeddings.
#[derive(Debug, Clone)]
pub struct Neural {
    embedder: Arc<Embedder>,
    mix: Mix,
    silence: Option<f64>,
    batch: usize,
}

impl Neural {
    /// An extractor with one layer per channel that `mix` makes: 16 windows at once offline, one in a stream.
    #[must_use]
    pub fn new(embedder: Arc<Embedder>, mix: Mix) -> Self {
        Self { embedder, mix, silence: None, batch: 1 }
    }

    /// The same, with no embedding where the sound is quieter than `level`, in dBFS of RMS (see [`SilenceGate`]).
    #[must_use]
    pub fn with_silence(self, level: f64) -> Self {
        Self { silence: Some(level), ..self }
    }

    /// The same with streams of `batch` windows at once.
    #[must_use]
    pub fn with_batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }
}

impl Extract for Neural {
    type Stream = NeuralStream;

    fn name(&self) -> &'static str {
        "neural-1"
    }

    fn min_duration(&self) -> f64 {
        MIN_DURATION
    }

    fn extract(&self, audio: &Audio) -> Result<Print> {
        let scheme = Scheme::new(Algorithm::Neural, Profile::Default)?;
        let recipe = Recipe { scheme, mix: self.mix, silence: self.silence };
        Extraction::whole_with_embedder(recipe, audio, Arc::clone(&self.embedder))
    }

    fn stream(&self, sample_rate: u32) -> Result<NeuralStream> {
        NeuralStream::new(sample_rate, self.silence, self.batch, &self.embedder)
    }
}

/// Windows of a print for each that a catalogue of this profile keeps.
#[must_use]
pub fn windows_per_row(profile: Profile) -> usize {
    if profile == Profile::Dense { 1 } else { HOP / STEP }
}

/// What a catalogue keeps of a layer of embeddings of `dimensions` numbers, a row a tick.
pub fn rows(values: &[i8], dimensions: usize, profile: Profile) -> impl Iterator<Item = &[i8]> {
    values.chunks_exact(dimensions.max(1)).step_by(windows_per_row(profile))
}

/// What a catalogue stores of these rows under keys: that they are there.
#[must_use]
pub fn references(values: &[i8], dimensions: usize, profile: Profile) -> Vec<Reference> {
    let rows = rows(values, dimensions, profile).zip(0u32..);
    rows.filter(|(row, _)| row.iter().any(|&value| value != 0)).map(|(_, tick)| Reference { key: 0, tick }).collect()
}

/// Mel pictures of windows: the network's input.
pub struct MelFrontEnd {
    window: Vec<f32>,
    transform: Arc<dyn RealToComplex<f32>>,
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Vec<f32>,
    bank: MelBank,
    bands: Vec<f32>,
}

impl MelFrontEnd {
    /// The front end.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn new() -> Result<Self> {
        let transform = RealFftPlanner::new().plan_fft_forward(N_FFT);
        let frequencies = FREQUENCIES.0..FREQUENCIES.1;
        Ok(Self {
            window: window::hann(FRAME),
            frame: vec![0.0; N_FFT],
            spectrum: vec![Complex::default(); N_FFT / 2 + 1],
            scratch: transform.make_scratch_vec(),
            transform,
            power: vec![0.0; N_FFT / 2 + 1],
            bank: MelBank::new(f64::from(SAMPLE_RATE), N_FFT, MELS, frequencies, MelScale::Htk, MelNorm::Peak)?,
            bands: vec![0.0; MELS],
        })
    }

    /// Writes the picture of a window of 8 000 samples into `mels`, `[256][32]`, low bands first. Returns whether there is anything to be
    /// seen on it: a band at any time above -100 dBFS.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn apply(&mut self, samples: &[f32], mels: &mut [f32]) -> Result<bool> {
        // A full-scale sine has power 1: half the sum of the window, squared.
        let scale = (2.0 / FRAME as f32 * 2.0).powi(2);
        for number in 0..FRAMES {
            let start = (number * FRAME_HOP) as isize - PAD as isize;
            let first = start.max(0) as usize;
            let before = first.wrapping_sub(start as usize).min(FRAME);
            let inside = samples.get(first..).unwrap_or_default();
            let inside = inside.get(..FRAME - before).unwrap_or(inside);
            self.frame.fill(0.0);
            self.frame[before..before + inside.len()].copy_from_slice(inside);
            kernel::multiply(&mut self.frame[..FRAME], &self.window);
            self.transform
                .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch)
                .map_err(|error| Error::internal(format!("transform of {N_FFT} samples: {error}")))?;
            kernel::power(&self.spectrum, &mut self.power);
            self.bank.apply(&self.power, &mut self.bands);
            for (band, energy) in self.bands.iter().enumerate() {
                mels[band * FRAMES + number] = 10.0 * libm::log10f((scale * energy).max(POWER_FLOOR));
            }
        }
        let loudest = mels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let half_range = RANGE_DB as f32 / 2.0;
        for value in mels {
            *value = (*value - loudest).max(-RANGE_DB as f32) / half_range + 1.0;
        }
        Ok(loudest > 10.0 * libm::log10f(POWER_FLOOR))
    }

    fn state_bytes(&self) -> usize {
        let floats = self.window.len() + self.frame.len() + self.power.len() + self.bands.len();
        floats * size_of::<f32>() + (self.spectrum.len() + self.scratch.len()) * size_of::<Complex<f32>>()
    }
}

/// Embeddings of a mono stream.
pub type NeuralStream = AnalysisStream<EmbeddingAnalysis>;

/// Makes embeddings.
pub struct EmbeddingAnalysis {
    front_end: MelFrontEnd,
    plan: Box<dyn GraphPlan>,
    dimensions: usize,
    /// Samples from the start of the next window on.
    buffer: Vec<f32>,
    /// Samples to drop before that, up to the windows' grid.
    to_skip: usize,
    next_window: u64,
    /// Pictures of the batch, `[batch][256][32]`, those of the first `ticks.len()` slots filled in.
    mels: Vec<f32>,
    /// Windows of the batch: number, and whether they are silent.
    slots: Vec<(u64, bool)>,
    batch: usize,
    gate: Option<SilenceGate>,
    found: Vec<TimedEmbedding>,
}

impl NeuralStream {
    /// A stream of samples at `sample_rate` hertz, `batch` windows at once. Below `silence`, in dBFS of RMS, there are no embeddings.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a rate outside 8..192 kHz, a batch outside 1..64 or a gate out of range; [`Error::ModelLoad`] if the
    /// network cannot be run on such a batch.
    pub fn new(sample_rate: u32, silence: Option<f64>, batch: usize, embedder: &Embedder) -> Result<Self> {
        if !BATCHES.contains(&batch) {
            return Err(Error::invalid(format!("batch must be in {}..{} windows, got {batch}", BATCHES.start(), BATCHES.end())));
        }
        let analysis = EmbeddingAnalysis {
            front_end: MelFrontEnd::new()?,
            plan: embedder.plan(batch)?,
            dimensions: embedder.id().dimensions,
            buffer: Vec::new(),
            to_skip: 0,
            next_window: 0,
            mels: vec![0.0; batch * MEL_VALUES],
            slots: Vec::with_capacity(batch),
            batch,
            gate: silence.map(|level| SilenceGate::new(SAMPLE_RATE, level)).transpose()?,
            found: Vec::new(),
        };
        Ok(Self { intake: Intake::new(sample_rate, SAMPLE_RATE)?, analysis })
    }
}

impl Analysis for EmbeddingAnalysis {
    type Item = TimedEmbedding;

    fn take(&mut self, samples: &[f32]) -> Result<()> {
        if let Some(gate) = &mut self.gate {
            gate.push(samples);
        }
        let skipped = self.to_skip.min(samples.len());
        self.to_skip -= skipped;
        self.buffer.extend_from_slice(&samples[skipped..]);
        let mut start = 0;
        while let Some(window) = self.buffer.get(start..start + WINDOW) {
            let number = self.next_window;
            let slot = self.slots.len();
            let has_sound = self.front_end.apply(window, &mut self.mels[slot * MEL_VALUES..(slot + 1) * MEL_VALUES])?;
            let is_gated = self.gate.as_mut().is_some_and(|gate| is_silent(gate, number * STEP as u64));
            let is_silent = is_gated || !has_sound;
            self.slots.push((number, is_silent));
            self.next_window += 1;
            start += STEP;
            if self.slots.len() == self.batch {
                self.embed()?;
            }
        }
        self.buffer.drain(..start);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        // What is left is less than a window.
        self.buffer.clear();
        self.embed()
    }

    fn restart(&mut self, sample: u64) {
        if let Some(gate) = &mut self.gate {
            gate.restart(sample);
        }
        self.next_window = sample.div_ceil(STEP as u64);
        self.to_skip = (self.next_window * STEP as u64 - sample) as usize;
    }

    fn found(&self) -> &[TimedEmbedding] {
        &self.found
    }

    fn clear(&mut self) {
        self.found.clear();
    }

    fn delay(&self) -> usize {
        WINDOW + STEP * (self.batch - 1)
    }

    fn state_bytes(&self) -> usize {
        let floats = self.buffer.capacity() + self.mels.capacity();
        let found = self.found.capacity() * (size_of::<TimedEmbedding>() + self.dimensions);
        let gate = self.gate.as_ref().map_or(0, SilenceGate::state_bytes);
        self.front_end.state_bytes() + floats * size_of::<f32>() + found + gate
    }
}

impl EmbeddingAnalysis {
    /// Runs the network on the batch as far as it is filled.
    fn embed(&mut self) -> Result<()> {
        let filled = self.slots.len();
        if filled == 0 {
            return Ok(());
        }
        self.mels[filled * MEL_VALUES..].fill(0.0);
        let outputs = self.plan.run(&[&self.mels])?;
        let embeddings = outputs.first().map_or(&[][..], Vec::as_slice).chunks_exact(self.dimensions);
        for ((window, is_silent), embedding) in self.slots.drain(..).zip(embeddings) {
            let mut stored = vec![0; self.dimensions];
            if !is_silent {
                quantise(embedding, &mut stored);
            }
            self.found.push(TimedEmbedding { window, embedding: stored });
        }
        Ok(())
    }
}

/// Whether the gate is shut all through the window that begins at sample `start`, as far as it can tell by the window's end.
fn is_silent(gate: &mut SilenceGate, start: u64) -> bool {
    gate.forget_before(start);
    let step = gate.latency() / 2;
    (start..start + (WINDOW - gate.latency()) as u64).step_by(step).all(|sample| gate.is_silent(sample))
}

/// CRC-32 of everything that must agree for two prints by this network to mix.
pub(super) fn parameter_checksum(id: &EmbedderId) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for number in PARAMETERS {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(id.sha256.as_bytes());
    hasher.update(&(id.dimensions as u32).to_le_bytes());
    hasher.finalize()
}
