//! How strongly something begins at each moment: spectral flux of the sound, and its normalisation.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use crate::audio::Audio;
use crate::dsp::spectral_flux::{LogBands, spectral_flux};
use crate::dsp::window;
use crate::error::{Error, Result};

/// Frames a second of every curve in this room.
pub const FRAMES_PER_SECOND: f64 = 100.0;
/// Frames before the first sample. A sound that begins with a beat needs frames of silence before it, and the flux of an onset
/// starts half a window ahead of it.
const LEAD: usize = 6;
/// Window length at 44.1 kHz; other rates take the nearest length in time whose transform is fast.
const WINDOW_SECONDS: f64 = 2048.0 / 44_100.0;
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

/// Computes [`Onsets`] some frames at a time.
///
/// Windows are periodic Hann of 46.4 ms every 10 ms at the sound's own rate, zeros outside it: no resampling, so that no filter
/// smears an onset. Channels are joined as the root of their mean power, so that sides in opposite phase do not cancel. Band
/// energies x are compressed as ln(1 + 1000 x / R) with R the largest recent band, which makes the curves independent of gain above
/// -80 dBFS; both frames of a difference use one R.
pub struct OnsetAnalysis {
    bands: LogBands,
    low_bands: usize,
    window: Vec<f32>,
    transform: Arc<dyn Fft<f32>>,
    frame: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Vec<f32>,
    energies: Vec<f32>,
    energies_before: Vec<f32>,
    compressed: Vec<f32>,
    compressed_before: Vec<f32>,
    reference: f32,
    frames: usize,
    onsets: Onsets,
}

impl OnsetAnalysis {
    /// Plans the analysis of `audio`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the curves cannot be reserved (about 82 bytes per frame, 30 MB per hour).
    pub fn new(audio: &Audio) -> Result<Self> {
        let rate = f64::from(audio.sample_rate());
        let length = fast_length(WINDOW_SECONDS * rate);
        let bands = LogBands::new(rate, length, BANDS_PER_OCTAVE, FREQUENCIES);
        let low_bands = (0..bands.len())
            .filter(|&band| bands.centre_bin(band).is_some_and(|bin| (bin as f64) * rate / (length as f64) < LOW_FREQUENCY))
            .count();
        let transform = FftPlanner::new().plan_fft_forward(length);
        let frames = (audio.duration() * FRAMES_PER_SECOND).ceil() as usize + LEAD;
        let count = bands.len();
        let shape_length = count.div_ceil(BANDS_PER_SHAPE);
        let mut onsets = Onsets { shape_length, ..Onsets::default() };
        let bytes = (frames * (shape_length + 3 * size_of::<f32>())) as u64;
        onsets
            .shape
            .try_reserve_exact(frames * shape_length)
            .and_then(|()| onsets.flux.try_reserve_exact(frames))
            .and_then(|()| onsets.low_flux.try_reserve_exact(frames))
            .and_then(|()| onsets.level.try_reserve_exact(frames))
            .map_err(|_| Error::OutOfMemory { what: "onset curves", bytes })?;
        Ok(Self {
            low_bands,
            window: window::hann(length),
            frame: vec![Complex::default(); length],
            scratch: vec![Complex::default(); transform.get_inplace_scratch_len()],
            transform,
            power: vec![0.0; bands.bin_count()],
            energies: vec![0.0; count],
            energies_before: vec![0.0; count],
            compressed: vec![0.0; count],
            compressed_before: vec![0.0; count],
            reference: REFERENCE_FLOOR,
            frames,
            onsets,
            bands,
        })
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
            self.analyse(audio, index);
        }
        last < self.frames
    }

    /// The curves of the frames done.
    #[must_use]
    pub fn finish(self) -> Onsets {
        self.onsets
    }

    fn analyse(&mut self, audio: &Audio, index: usize) {
        let length = self.window.len();
        let centre = (seconds_of(index as f64) * f64::from(audio.sample_rate())).round() as isize;
        let start = centre - (length / 2) as isize;
        self.power.fill(0.0);
        let mut energy = 0.0;
        for pair in audio.channels().chunks(2) {
            energy += self.load(pair, start);
            self.transform.process_with_scratch(&mut self.frame, &mut self.scratch);
            self.add_power();
        }
        let channels = audio.channels().len() as f32;
        let window_energy = 0.375 * length as f32; // sum of the squared Hann window
        let scale = 2.0 / (0.5 * length as f32); // a full-scale sine reads 1
        self.power.iter_mut().for_each(|power| *power = (*power / channels).sqrt() * scale);
        std::mem::swap(&mut self.energies, &mut self.energies_before);
        self.bands.apply(&self.power, &mut self.energies);
        let largest = self.energies.iter().copied().fold(0.0, f32::max);
        self.reference = REFERENCE_FLOOR.max(largest).max(REFERENCE_DECAY * self.reference);
        compress(&self.energies, self.reference, &mut self.compressed);
        compress(&self.energies_before, self.reference, &mut self.compressed_before);
        let low = self.low_bands;
        let (before, now) = (&self.compressed_before, &self.compressed);
        let low_flux = spectral_flux(before.get(..low).unwrap_or(before), now.get(..low).unwrap_or(now));
        self.onsets.flux.push(spectral_flux(before, now));
        self.onsets.low_flux.push(low_flux);
        self.onsets.level.push((energy / (window_energy * channels)).sqrt());
        let full = BANDS_PER_SHAPE as f32 * (1.0 + COMPRESSION).ln();
        self.onsets.shape.extend(now.chunks(BANDS_PER_SHAPE).map(|bands| (255.0 * bands.iter().sum::<f32>() / full).round() as u8));
    }

    /// Puts the windowed frame that begins at sample `start` of one or two channels into the real and the imaginary part, and gives
    /// its energy. Two real channels in one complex transform cost half of two transforms.
    fn load(&mut self, pair: &[Vec<f32>], start: isize) -> f32 {
        let empty = Vec::new();
        let left = pair.first().unwrap_or(&empty);
        let right = pair.get(1).unwrap_or(&empty);
        let mut energy = 0.0;
        for (offset, (value, &weight)) in self.frame.iter_mut().zip(&self.window).enumerate() {
            let at = usize::try_from(start + offset as isize).unwrap_or(usize::MAX);
            let l = left.get(at).copied().unwrap_or(0.0) * weight;
            let r = right.get(at).copied().unwrap_or(0.0) * weight;
            *value = Complex::new(l, r);
            energy += l * l + r * r;
        }
        energy
    }

    /// With Z the transform of l + i r, |L|^2 + |R|^2 = (|Z(k)|^2 + |Z(n - k)|^2) / 2.
    fn add_power(&mut self) {
        let mirrored = self.frame.first().into_iter().chain(self.frame.iter().skip(1).rev());
        for ((power, value), opposite) in self.power.iter_mut().zip(&self.frame).zip(mirrored) {
            *power += 0.5 * (value.norm_sqr() + opposite.norm_sqr());
        }
    }
}

fn compress(energies: &[f32], reference: f32, compressed: &mut [f32]) {
    let scale = COMPRESSION / reference;
    for (value, energy) in compressed.iter_mut().zip(energies) {
        *value = (1.0 + energy * scale).ln();
    }
}

/// The even length next to `samples` with no prime factor above 5.
fn fast_length(samples: f64) -> usize {
    let is_fast = |length: usize| {
        let mut rest = length;
        for prime in [2, 3, 5] {
            while rest.is_multiple_of(prime) {
                rest /= prime;
            }
        }
        rest == 1
    };
    let wanted = (samples / 2.0).round().max(1.0) as usize;
    (0..wanted).flat_map(|distance| [wanted - distance, wanted + distance]).find(|&half| is_fast(half)).unwrap_or(1) * 2
}

/// Flux that is nothing: a steady tone under a moving window ripples by up to 0.15, onsets in soft music have 4 and more.
const RIPPLE: f64 = 0.5;

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
