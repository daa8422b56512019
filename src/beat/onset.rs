//! How strongly something begins at each moment: spectral flux of the sound, and its normalisation.

use super::spectrum::{FrameSpectrum, frame_length};
use crate::audio::Audio;
use crate::dsp::spectral_flux::{LogBands, spectral_flux};
use crate::error::{Error, Result};

/// Frames a second of every curve in this room.
pub const FRAMES_PER_SECOND: f64 = 100.0;
/// Frames before the first sample. A sound that begins with a beat needs frames of silence before it, and the flux of an onset
/// starts half a window ahead of it.
const LEAD: usize = 6;
/// A frame below this root mean square is silence: -70 dBFS.
pub(super) const SILENCE: f32 = 3.162_277_7e-4;
/// Seconds that the flux of an onset leads it by: its window reaches ahead.
pub(super) const ONSET_LEAD: f64 = 0.0105;
/// Bands an octave: narrow enough that a semitone moves energy from band to band.
const BANDS_PER_OCTAVE: u32 = 24;
/// Range of the bands in hertz.
const FREQUENCIES: std::ops::Range<f64> = 30.0..17_000.0;
/// Bands below this frequency are the low flux, where kick drum and bass are, in hertz.
const LOW_FREQUENCY: f64 = 150.0;
/// Compression of band energies: ln(1 + COMPRESSION * x / reference).
const COMPRESSION: f32 = 1000.0;
/// The reference level falls by half in 10 s.
const REFERENCE_DECAY: f32 = 0.9993;
/// The reference level never falls below this magnitude (a full-scale sine reads 1): -80 dBFS is silence.
const REFERENCE_FLOOR: f32 = 1e-4;
/// Neighbouring bands that share a value of the stored shape.
const BANDS_PER_SHAPE: usize = 2;

/// Curves of a sound, one value per frame; frame i is centred [`seconds_of`]`(i)` after the first sample.
#[derive(Debug, Clone, Default)]
pub struct Onsets {
    /// Spectral flux over all bands.
    pub flux: Vec<f32>,
    /// The same below 150 Hz.
    pub low_flux: Vec<f32>,
    /// Root mean square of the windowed frame, full scale 1.
    pub level: Vec<f32>,
    /// Logarithmic band energies, `[frames][shape_length]`, 255 at the reference level.
    pub shape: Vec<u8>,
    /// Values of `shape` per frame.
    pub shape_length: usize,
}

/// Seconds from the first sample to the centre of frame `frame` (fractions are positions between frames).
#[must_use]
pub fn seconds_of(frame: f64) -> f64 {
    (frame - LEAD as f64) / FRAMES_PER_SECOND
}

/// Position among the frames of a moment in seconds from the first sample.
#[must_use]
pub fn frame_at(seconds: f64) -> f64 {
    seconds * FRAMES_PER_SECOND + LEAD as f64
}

/// What one frame adds to the curves of [`Onsets`].
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameFlux {
    /// Spectral flux over all bands.
    pub flux: f32,
    /// The same below 150 Hz.
    pub low_flux: f32,
    /// Root mean square of the windowed frame, full scale 1.
    pub level: f32,
}

/// Spectral flux from frame to frame, in the order of time.
///
/// Windows are periodic Hann of 46.4 ms at the sound's own rate: no resampling, so that no filter smears an onset. Band energies x are
/// compressed as ln(1 + 1000 x / R) with R the largest recent band, which makes the curves independent of gain above -80 dBFS; both
/// frames of a difference use one R.
pub struct FluxAnalysis {
    spectrum: FrameSpectrum,
    bands: LogBands,
    low_bands: usize,
    energies: Vec<f32>,
    energies_before: Vec<f32>,
    compressed: Vec<f32>,
    compressed_before: Vec<f32>,
    reference: f32,
}

impl FluxAnalysis {
    /// For a sound of `sample_rate` hertz.
    #[must_use]
    pub fn new(sample_rate: u32) -> Self {
        let rate = f64::from(sample_rate);
        let length = frame_length(rate);
        let bands = LogBands::new(rate, length, BANDS_PER_OCTAVE, FREQUENCIES);
        let low_bands = (0..bands.len())
            .filter(|&band| bands.centre_bin(band).is_some_and(|bin| (bin as f64) * rate / (length as f64) < LOW_FREQUENCY))
            .count();
        let count = bands.len();
        Self {
            spectrum: FrameSpectrum::new(length, bands.bin_count()),
            low_bands,
            energies: vec![0.0; count],
            energies_before: vec![0.0; count],
            compressed: vec![0.0; count],
            compressed_before: vec![0.0; count],
            reference: REFERENCE_FLOOR,
            bands,
        }
    }

    /// Samples of a frame.
    #[must_use]
    pub fn frame_length(&self) -> usize {
        self.spectrum.length()
    }

    /// Takes the next frame: the samples of `channels` from `start` on, zeros outside them.
    pub fn push<C: AsRef<[f32]>>(&mut self, channels: &[C], start: isize) -> FrameFlux {
        let (magnitudes, level) = self.spectrum.analyse(channels, start);
        std::mem::swap(&mut self.energies, &mut self.energies_before);
        self.bands.apply(magnitudes, &mut self.energies);
        let largest = self.energies.iter().copied().fold(0.0, f32::max);
        self.reference = REFERENCE_FLOOR.max(largest).max(REFERENCE_DECAY * self.reference);
        compress(&self.energies, self.reference, &mut self.compressed);
        compress(&self.energies_before, self.reference, &mut self.compressed_before);
        let low = self.low_bands;
        let (before, now) = (&self.compressed_before, &self.compressed);
        let low_flux = spectral_flux(before.get(..low).unwrap_or(before), now.get(..low).unwrap_or(now));
        FrameFlux { flux: spectral_flux(before, now), low_flux, level }
    }

    /// Values of a stored shape.
    fn shape_length(&self) -> usize {
        self.bands.len().div_ceil(BANDS_PER_SHAPE)
    }

    /// Logarithmic band energies of the newest frame, 255 at the reference level.
    fn shape(&self) -> impl Iterator<Item = u8> {
        let full = BANDS_PER_SHAPE as f32 * (1.0 + COMPRESSION).ln();
        self.compressed.chunks(BANDS_PER_SHAPE).map(move |bands| (255.0 * bands.iter().sum::<f32>() / full).round() as u8)
    }
}

/// Computes [`Onsets`] of a whole sound, some frames at a time.
pub struct OnsetAnalysis {
    analysis: FluxAnalysis,
    frames: usize,
    onsets: Onsets,
}

impl OnsetAnalysis {
    /// Plans the analysis of `audio`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the curves cannot be reserved (about 82 bytes per frame, 30 MB per hour).
    pub fn new(audio: &Audio) -> Result<Self> {
        let analysis = FluxAnalysis::new(audio.sample_rate());
        let frames = (audio.duration() * FRAMES_PER_SECOND).ceil() as usize + LEAD;
        let shape_length = analysis.shape_length();
        let mut onsets = Onsets { shape_length, ..Onsets::default() };
        let bytes = (frames * (shape_length + 3 * size_of::<f32>())) as u64;
        onsets
            .shape
            .try_reserve_exact(frames * shape_length)
            .and_then(|()| onsets.flux.try_reserve_exact(frames))
            .and_then(|()| onsets.low_flux.try_reserve_exact(frames))
            .and_then(|()| onsets.level.try_reserve_exact(frames))
            .map_err(|_| Error::OutOfMemory { what: "onset curves", bytes })?;
        Ok(Self { analysis, frames, onsets })
    }

    /// Frames in all.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Frames done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.onsets.flux.len()
    }

    /// Analyses up to `count` more frames of the sound given to [`OnsetAnalysis::new`]. True while there are more.
    pub fn step(&mut self, audio: &Audio, count: usize) -> bool {
        let last = (self.done() + count).min(self.frames);
        for index in self.done()..last {
            let centre = (seconds_of(index as f64) * f64::from(audio.sample_rate())).round() as isize;
            let start = centre - (self.analysis.frame_length() / 2) as isize;
            let frame = self.analysis.push(audio.channels(), start);
            self.onsets.flux.push(frame.flux);
            self.onsets.low_flux.push(frame.low_flux);
            self.onsets.level.push(frame.level);
            self.onsets.shape.extend(self.analysis.shape());
        }
        last < self.frames
    }

    /// The curves of the frames done.
    #[must_use]
    pub fn finish(self) -> Onsets {
        self.onsets
    }
}

fn compress(energies: &[f32], reference: f32, compressed: &mut [f32]) {
    let scale = COMPRESSION / reference;
    for (value, energy) in compressed.iter_mut().zip(energies) {
        *value = (1.0 + energy * scale).ln();
    }
}

/// Flux that is nothing: a steady tone under a moving window ripples by up to 0.15, onsets in soft music have 4 and more.
pub(super) const RIPPLE: f64 = 0.5;

/// Onset strength from flux: what rises above its surroundings.
#[derive(Debug, Clone, Default)]
pub struct Novelty {
    /// Root of o = max(0, f - mean f over ±1 s - 0.5) over its root mean square within ±4 s. The root lets soft onsets speak: it raised the
    /// mean F of composed songs from 0.837 to 0.851.
    pub strength: Vec<f64>,
    /// o / (o + mean o over ±4 s), 0..1.
    pub activation: Vec<f64>,
}

impl Novelty {
    /// Normalises the `flux` of [`Onsets`].
    #[must_use]
    pub fn new(flux: &[f32]) -> Self {
        let flux: Vec<f64> = flux.iter().map(|value| f64::from(*value)).collect();
        let mean = running_mean(&flux, FRAMES_PER_SECOND as usize);
        let onset: Vec<f64> = flux.iter().zip(&mean).map(|(value, mean)| (value - mean - RIPPLE).max(0.0)).collect();
        let squares: Vec<f64> = onset.iter().map(|value| value * value).collect();
        let wide = 4 * FRAMES_PER_SECOND as usize;
        let power = running_mean(&squares, wide);
        let average = running_mean(&onset, wide);
        Self {
            strength: onset.iter().zip(&power).map(|(value, power)| (value / (power.sqrt() + RIPPLE)).sqrt()).collect(),
            activation: onset.iter().zip(&average).map(|(value, average)| value / (value + average + RIPPLE)).collect(),
        }
    }
}

/// Mean over the values within `reach` on both sides, fewer at the ends.
fn running_mean(values: &[f64], reach: usize) -> Vec<f64> {
    let mut sums = Vec::with_capacity(values.len() + 1);
    let mut sum = 0.0;
    sums.push(sum);
    for value in values {
        sum += value;
        sums.push(sum);
    }
    (0..values.len())
        .map(|index| {
            let (first, last) = (index.saturating_sub(reach), (index + reach + 1).min(values.len()));
            let sum = sums.get(last).unwrap_or(&0.0) - sums.get(first).unwrap_or(&0.0);
            sum / (last - first) as f64
        })
        .collect()
}
