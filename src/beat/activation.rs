//! Beat and downbeat activations of a whole sound by the trained network.

use std::sync::Arc;

use super::ModelName;
use super::spectrum::{FrameSpectrum, frame_length};
use crate::audio::resample::resample;
use crate::audio::{Audio, channels};
use crate::dsp::spectral_flux::LogBands;
use crate::error::{Error, Result};
use crate::model::{Graph, GraphPlan};

/// Hertz that the networks work at.
pub const SAMPLE_RATE: u32 = 44_100;
/// Samples from frame to frame: 100 frames a second.
pub const HOP: usize = 441;
/// Bands of a frame, 12 an octave.
pub const BANDS: usize = 81;
const BANDS_PER_OCTAVE: u32 = 12;
const FREQUENCIES: std::ops::Range<f64> = 30.0..17_000.0;
/// Added to band magnitudes before the logarithm.
const FLOOR: f32 = 1e-6;
/// Values of an output frame: beat, downbeat, and the skips that the tempo head reads.
pub(super) const SKIPS: std::ops::Range<usize> = 2..22;
/// Tempos that the tempo head tells apart: 0 to 299 beats per minute.
const TEMPOS: usize = 300;
/// Frames before and after a block that the front looks at.
const CONTEXT: usize = 2;
/// Frames of a front block.
const BLOCK: usize = 512;
/// Most frames of a trunk window, and its frames at either end that lack context.
const WINDOW: usize = 32_768;
const MARGIN: usize = 8_188;

/// Logarithmic band magnitudes of one frame: the input of the beat networks, `[81]`.
///
/// A frame is 2048 samples at 44.1 kHz under a periodic Hann window, its magnitudes so scaled that a full-scale sine reads 1; channels are
/// joined by mean power. Values are ln(band + 1e-6).
pub struct BandAnalysis {
    spectrum: FrameSpectrum,
    bands: LogBands,
    energies: Vec<f32>,
}

impl BandAnalysis {
    /// The analysis, at 44.1 kHz.
    #[must_use]
    pub fn new() -> Self {
        let length = frame_length(f64::from(SAMPLE_RATE));
        let bands = LogBands::new(f64::from(SAMPLE_RATE), length, BANDS_PER_OCTAVE, FREQUENCIES);
        Self { spectrum: FrameSpectrum::new(length, bands.bin_count()), energies: vec![0.0; bands.len()], bands }
    }

    /// Samples of a frame.
    #[must_use]
    pub fn frame_length(&self) -> usize {
        self.spectrum.length()
    }

    /// Bands of the frame of `channels` that begins at sample `start`, zeros outside them, and the frame's root mean square.
    pub fn analyse<C: AsRef<[f32]>>(&mut self, channels: &[C], start: isize) -> (&[f32], f32) {
        let (magnitudes, level) = self.spectrum.analyse(channels, start);
        self.bands.apply(magnitudes, &mut self.energies);
        self.energies.iter_mut().for_each(|energy| *energy = (*energy + FLOOR).ln());
        (&self.energies, level)
    }
}

impl Default for BandAnalysis {
    fn default() -> Self {
        Self::new()
    }
}

/// The three graphs of a beat network with contract `beat-activations`.
///
/// `front` turns bands `[1, 1, frames + 4, 81]` into `front` `[1, 20, frames]`; `trunk` turns these into `activations` `[1, 22, frames]`,
/// beat, downbeat and 20 skips; `tempo` turns the time mean of the skips into `tempo` `[1, 300]`, a distribution over beats per minute.
///
/// Source: Böck, Davies, "Deconstruct, analyse, reconstruct: how to improve tempo, beat, and downbeat estimation", ISMIR 2020.
pub struct BeatNetwork {
    /// Ready for a full block, of which there is at least one.
    front: Box<dyn GraphPlan>,
    trunk: Box<dyn Graph>,
    tempo: Box<dyn GraphPlan>,
    model: ModelName,
}

impl BeatNetwork {
    /// Takes the graphs of a model.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] if a graph does not keep the contract.
    pub fn new(front: &dyn Graph, trunk: Box<dyn Graph>, tempo: &dyn Graph, model: ModelName) -> Result<Self> {
        let front = front.plan(&[("bands", &[1, 1, BLOCK + 2 * CONTEXT, BANDS])], &["front"])?;
        expect(front.output_shapes(), &[vec![1, channels_of(front.as_ref()), BLOCK]])?;
        let tempo = tempo.plan(&[("skips", &[1, SKIPS.len()])], &["tempo"])?;
        expect(tempo.output_shapes(), &[vec![1, TEMPOS]])?;
        Ok(Self { front, trunk, tempo, model })
    }

    /// Name and version of the model.
    #[must_use]
    pub fn model(&self) -> &ModelName {
        &self.model
    }
}

impl std::fmt::Debug for BeatNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BeatNetwork").field("model", &self.model).finish_non_exhaustive()
    }
}

fn channels_of(plan: &dyn GraphPlan) -> usize {
    plan.output_shapes().first().and_then(|shape| shape.get(1)).copied().unwrap_or(0)
}

pub(super) fn expect(found: &[Vec<usize>], wanted: &[Vec<usize>]) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    let what = format!("gives {found:?}, its contract says {wanted:?}: use a model of this contract");
    Err(Error::ModelLoad { name: "beat network".into(), what })
}

/// What a network heard, one value per frame; frame k is centred on sample 441 k at 44.1 kHz, k / 100 s.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Activations {
    /// How likely a beat is at each frame, 0..1.
    pub beat: Vec<f64>,
    /// How likely the beginning of a bar is at each frame, 0..1.
    pub downbeat: Vec<f64>,
    /// How likely each tempo is, `[300]` for 0 to 299 beats per minute; sums to 1.
    pub tempo: Vec<f64>,
    /// Root mean square of each frame, full scale 1.
    pub level: Vec<f32>,
}

/// Computes [`Activations`] of a whole sound step by step: bands, the front block by block, the trunk window by window, the tempo.
///
/// The grid of blocks and windows depends on the sound's length only, so repeats give the same bits.
pub struct ActivationAnalysis {
    network: Arc<BeatNetwork>,
    /// The sound at 44.1 kHz in at most two channels, where it is not so already.
    converted: Option<Vec<Vec<f32>>>,
    analysis: BandAnalysis,
    frames: usize,
    /// `[frames][81]`.
    bands: Vec<f32>,
    /// `[channels][frames]`.
    front: Vec<Vec<f32>>,
    blocks_done: usize,
    windows: Vec<TrunkWindow>,
    windows_done: usize,
    skips: Vec<f64>,
    activations: Activations,
}

/// A stretch of frames that the trunk sees at once, and which of its outputs are kept, in frames of the sound.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TrunkWindow {
    seen: std::ops::Range<usize>,
    kept: std::ops::Range<usize>,
}

impl ActivationAnalysis {
    /// Prepares `audio`: at most two channels, at 44.1 kHz.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the curves cannot be reserved, some 900 bytes a frame.
    pub fn new(audio: &Audio, network: Arc<BeatNetwork>) -> Result<Self> {
        let rate = audio.sample_rate();
        let to_rate = |channels: &[Vec<f32>]| channels.iter().map(|channel| resample(channel, rate, SAMPLE_RATE)).collect::<Result<_>>();
        let converted: Option<Vec<Vec<f32>>> = match audio.channels() {
            many if many.len() > 2 => Some(to_rate(&channels::stereo(many)?)?),
            few if rate != SAMPLE_RATE => Some(to_rate(few)?),
            _ => None,
        };
        let samples = converted.as_deref().unwrap_or(audio.channels()).first().map_or(0, Vec::len);
        let frames = samples.div_ceil(HOP);
        let depth = channels_of(network.front.as_ref());
        let mut bands = Vec::new();
        let bytes = (frames * (BANDS + depth) * size_of::<f32>()) as u64;
        bands.try_reserve_exact(frames * BANDS).map_err(|_| Error::OutOfMemory { what: "band magnitudes", bytes })?;
        let mut front = vec![Vec::new(); depth];
        for row in &mut front {
            row.try_reserve_exact(frames).map_err(|_| Error::OutOfMemory { what: "network activations", bytes })?;
        }
        let activations = Activations { beat: vec![0.0; frames], downbeat: vec![0.0; frames], ..Activations::default() };
        Ok(Self {
            network,
            converted,
            analysis: BandAnalysis::new(),
            frames,
            bands,
            front,
            blocks_done: 0,
            windows: windows(frames),
            windows_done: 0,
            skips: vec![0.0; SKIPS.len()],
            activations,
        })
    }

    /// Does one front block or one trunk window of the sound given to [`ActivationAnalysis::new`]. True while there is more.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] if the network cannot be run.
    pub fn step(&mut self, audio: &Audio) -> Result<bool> {
        if self.blocks_done * BLOCK < self.frames {
            self.front_block(audio)?;
            return Ok(true);
        }
        if let Some(window) = self.windows.get(self.windows_done).cloned() {
            self.trunk_window(&window)?;
            self.windows_done += 1;
        }
        if self.windows_done < self.windows.len() {
            return Ok(true);
        }
        if self.activations.tempo.is_empty() {
            let mean: Vec<f32> = self.skips.iter().map(|sum| (sum / self.frames.max(1) as f64) as f32).collect();
            let tempo = self.network.tempo.run(&[&mean])?;
            self.activations.tempo = tempo.into_iter().flatten().map(f64::from).collect();
        }
        Ok(false)
    }

    /// Share done, 0..1. The front takes about six tenths of the time.
    #[must_use]
    pub fn progress(&self) -> f64 {
        let share = |done: usize, of: usize| if of == 0 { 1.0 } else { done.min(of) as f64 / of as f64 };
        0.6 * share(self.blocks_done * BLOCK, self.frames) + 0.4 * share(self.windows_done, self.windows.len())
    }

    /// The activations, once [`ActivationAnalysis::step`] has returned false.
    #[must_use]
    pub fn finish(self) -> Activations {
        self.activations
    }

    fn front_block(&mut self, audio: &Audio) -> Result<()> {
        let start = self.blocks_done * BLOCK;
        let count = BLOCK.min(self.frames - start);
        // Rows are computed as blocks need them, two ahead.
        let needed = (start + count + CONTEXT).min(self.frames);
        while self.bands.len() < needed * BANDS {
            let frame = self.bands.len() / BANDS;
            let first = (frame * HOP) as isize - (self.analysis.frame_length() / 2) as isize;
            let (bands, level) = self.analysis.analyse(self.converted.as_deref().unwrap_or(audio.channels()), first);
            self.bands.extend_from_slice(bands);
            self.activations.level.push(level);
        }
        let last = self.frames - 1;
        let mut input = Vec::with_capacity((BLOCK + 2 * CONTEXT) * BANDS);
        for row in 0..BLOCK + 2 * CONTEXT {
            let frame = (start + row).saturating_sub(CONTEXT).min(last);
            input.extend_from_slice(self.bands.get(frame * BANDS..(frame + 1) * BANDS).unwrap_or(&[]));
        }
        let output = self.network.front.run(&[&input])?;
        for (row, values) in self.front.iter_mut().zip(output.iter().flat_map(|values| values.chunks(BLOCK))) {
            row.extend(values.iter().take(count));
        }
        self.blocks_done += 1;
        Ok(())
    }

    fn trunk_window(&mut self, window: &TrunkWindow) -> Result<()> {
        let length = window.seen.len();
        let depth = self.front.len();
        let plan = self.network.trunk.plan(&[("front", &[1, depth, length])], &["activations"])?;
        expect(plan.output_shapes(), &[vec![1, SKIPS.end, length]])?;
        let mut input = Vec::with_capacity(depth * length);
        for row in &self.front {
            input.extend_from_slice(row.get(window.seen.clone()).unwrap_or(&[]));
        }
        let output = plan.run(&[&input])?;
        let inner = window.kept.start - window.seen.start..window.kept.end - window.seen.start;
        let rows: Vec<&[f32]> =
            output.iter().flat_map(|values| values.chunks(length)).map(|row| row.get(inner.clone()).unwrap_or(&[])).collect();
        for (curve, row) in [&mut self.activations.beat, &mut self.activations.downbeat].into_iter().zip(&rows) {
            let place = curve.get_mut(window.kept.clone()).unwrap_or_default();
            place.iter_mut().zip(row.iter()).for_each(|(to, from)| *to = f64::from(*from));
        }
        for (sum, row) in self.skips.iter_mut().zip(rows.iter().skip(SKIPS.start)) {
            *sum += row.iter().map(|value| f64::from(*value)).sum::<f64>();
        }
        Ok(())
    }
}

/// The trunk's windows over `frames` frames: one, or as many of full length as cover it with whole context.
fn windows(frames: usize) -> Vec<TrunkWindow> {
    if frames <= WINDOW {
        return vec![TrunkWindow { seen: 0..frames, kept: 0..frames }];
    }
    let step = WINDOW - 2 * MARGIN;
    let mut windows = Vec::new();
    let mut kept = 0;
    while kept < frames {
        let start = kept.saturating_sub(MARGIN).min(frames - WINDOW);
        let end = if start + WINDOW >= frames { frames } else { start + MARGIN + step };
        windows.push(TrunkWindow { seen: start..start + WINDOW, kept: kept..end });
        kept = end;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::{MARGIN, WINDOW, windows};

    #[test]
    fn windows_cover_every_frame_once_with_whole_context() {
        for frames in [1, 100, WINDOW - 1, WINDOW, WINDOW + 1, 40_000, 49_152, 49_160, 65_537, 200_000] {
            let mut next = 0;
            for window in windows(frames) {
                assert_eq!(window.kept.start, next);
                next = window.kept.end;
                assert!(window.seen.len() <= WINDOW && window.seen.end <= frames);
                assert!(window.seen.start == 0 || window.kept.start - window.seen.start >= MARGIN);
                assert!(window.seen.end == frames || window.seen.end - window.kept.end >= MARGIN);
            }
            assert_eq!(next, frames);
        }
    }
}
