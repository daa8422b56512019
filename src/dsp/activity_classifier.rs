//! Music or speech: features of two seconds of sound, and a logistic regression over them.
//!
//! Speech comes in syllables of about 4 Hz with gaps between them, and its spectrum changes with every sound; notes are held. After
//! E. Scheirer and M. Slaney, "Construction and evaluation of a robust multifeature speech/music discriminator", ICASSP 1997: modulation
//! around 4 Hz, share of quiet frames, variation of the centroid and spectral flux are theirs; flatness and how long spectral peaks last
//! take the place of the rest. The coefficients are fitted by `tools/activity_fit.py`.

use std::collections::VecDeque;

use super::stft::FrameSpectrum;
use crate::error::Result;

/// Rate of the samples, in hertz.
pub const SAMPLE_RATE: u32 = 8_000;
/// Samples per frame and from frame to frame: 64 and 16 ms.
const FRAME_LENGTH: usize = 512;
const HOP_LENGTH: usize = 128;
/// Frames that a judgement looks at, and from one to the next: 2.1 s every 0.51 s.
const WINDOW: usize = 128;
const STEP: usize = 32;
/// Seconds from judgement to judgement: how much of the sound each speaks for, in the middle of what it looks at.
pub const STEP_SECONDS: f64 = (STEP * HOP_LENGTH) as f64 / SAMPLE_RATE as f64;
/// Shortest sound that is judged, in seconds.
pub const MIN_DURATION: f64 = ((WINDOW - 1) * HOP_LENGTH + FRAME_LENGTH) as f64 / SAMPLE_RATE as f64;
/// Features of a window.
pub const FEATURES: usize = 6;
/// Bins that are looked at: 78 to 3 734 Hz.
const BINS: std::ops::Range<usize> = 5..240;
/// Frames of modulation in a window: 2.9 to 5.9 Hz of the envelope.
const SYLLABLES: std::ops::RangeInclusive<usize> = 6..=12;
/// Frames that a peak has to last to be a held note: 96 ms.
const HELD_FRAMES: usize = 6;
/// Share of the strongest bin's power from which on a maximum is a peak.
const PEAK_SHARE: f32 = 1e-3;
/// Share of the mean power below which a frame has no say on the spectrum, and of the mean amplitude below which it is quiet.
const ACTIVE_SHARE: f64 = 0.1;
const QUIET_SHARE: f64 = 0.5;
/// Added to powers in logarithms, in shares of the mean: 50 dB below it.
const FLOOR_SHARE: f64 = 1e-5;

/// Logarithm of the odds of speech against music: bias, then per feature its weight.
const BIAS: f64 = 9.5829;
const WEIGHTS: [f64; FEATURES] = [1.7274, 1.5106, 0.181, -1.7135, -0.9734, -34.9478];

/// A bit for each of [`BINS`].
type Peaks = [u64; BINS.end.div_ceil(64)];

/// What a frame adds to a window.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    energy: f64,
    flatness: f64,
    flux: f64,
    centroid: f64,
    peaks: u32,
    held: u32,
}

/// A judgement on [`STEP_SECONDS`] of sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Sample that the middle of what it looked at begins at.
    pub start: u64,
    /// Natural logarithm of the odds of speech against music, if it is either.
    pub odds: f64,
}

/// Tells speech from music in a mono sound of 8 kHz.
pub struct ActivityClassifier {
    spectrum: FrameSpectrum,
    /// Samples from the start of the next frame on.
    buffer: Vec<f32>,
    power: Vec<f32>,
    /// Amplitudes of the frame before, of unit energy.
    before: Vec<f32>,
    /// Which bins were peaks in the latest frames.
    peaks: VecDeque<Peaks>,
    frames: VecDeque<Frame>,
    next_frame: u64,
    judgements: Vec<Judgement>,
}

impl Default for ActivityClassifier {
    fn default() -> Self {
        let spectrum = FrameSpectrum::new(FRAME_LENGTH);
        Self {
            power: vec![0.0; spectrum.bins()],
            spectrum,
            buffer: Vec::new(),
            before: vec![0.0; BINS.len()],
            peaks: VecDeque::new(),
            frames: VecDeque::new(),
            next_frame: 0,
            judgements: Vec::new(),
        }
    }
}

impl ActivityClassifier {
    /// Takes samples; returns the judgements that they complete.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] only.
    pub fn push(&mut self, samples: &[f32]) -> Result<&[Judgement]> {
        self.judgements.clear();
        self.each_window(samples, |frames| {
            BIAS + WEIGHTS.iter().zip(features(frames)).map(|(weight, feature)| weight * feature).sum::<f64>()
        })?;
        Ok(&self.judgements)
    }

    /// The features of every window of a sound: what the coefficients are fitted on.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] only.
    pub fn features_of(samples: &[f32]) -> Result<Vec<[f64; FEATURES]>> {
        let mut all = Vec::new();
        Self::default().each_window(samples, |frames| {
            all.push(features(frames));
            0.0
        })?;
        Ok(all)
    }

    /// Samples between a sound and the judgement on it.
    #[must_use]
    pub fn latency(&self) -> usize {
        (WINDOW - 1) * HOP_LENGTH + FRAME_LENGTH - margin()
    }

    /// Seconds of a sound before the part that the first judgement speaks for.
    #[must_use]
    pub fn lead_seconds(&self) -> f64 {
        margin() as f64 / f64::from(SAMPLE_RATE)
    }

    fn each_window(&mut self, samples: &[f32], mut judge: impl FnMut(&VecDeque<Frame>) -> f64) -> Result<()> {
        self.buffer.extend_from_slice(samples);
        let mut start = 0;
        while start + FRAME_LENGTH <= self.buffer.len() {
            let frame = self.analyse(start)?;
            start += HOP_LENGTH;
            if self.frames.len() == WINDOW {
                self.frames.pop_front();
            }
            self.frames.push_back(frame);
            self.next_frame += 1;
            let first = self.next_frame.checked_sub(WINDOW as u64).filter(|first| first.is_multiple_of(STEP as u64));
            if let Some(first) = first {
                let odds = judge(&self.frames);
                self.judgements.push(Judgement { start: first * HOP_LENGTH as u64 + margin() as u64, odds });
            }
        }
        self.buffer.drain(..start);
        Ok(())
    }

    fn analyse(&mut self, start: usize) -> Result<Frame> {
        self.spectrum.power(&self.buffer, start as isize, &mut self.power)?;
        let power = &self.power[BINS];
        let energy: f64 = power.iter().map(|&power| f64::from(power)).sum();
        let strongest = power.iter().copied().fold(0.0, f32::max);
        let mut peaks = Peaks::default();
        for (bin, neighbours) in power.windows(3).enumerate() {
            let [left, here, right] = *neighbours else { continue };
            peaks[bin / 64] |= u64::from(here > left && here >= right && here >= PEAK_SHARE * strongest) << (bin % 64);
        }
        let earlier = if self.peaks.len() == HELD_FRAMES { self.peaks.pop_front().unwrap_or_default() } else { Peaks::default() };
        self.peaks.push_back(peaks);
        if energy <= 0.0 {
            self.before.fill(0.0);
            return Ok(Frame::default());
        }
        let mean = energy / power.len() as f64;
        let floor = FLOOR_SHARE * mean;
        let logarithms: f64 = power.iter().map(|&power| libm::log(f64::from(power) + floor)).sum();
        let moment: f64 = power.iter().enumerate().map(|(bin, &power)| bin as f64 * f64::from(power)).sum();
        let mut flux = 0.0;
        let scale = 1.0 / energy;
        for (before, &power) in self.before.iter_mut().zip(power) {
            let amplitude = libm::sqrt(f64::from(power) * scale);
            let change = amplitude - f64::from(*before);
            flux += change * change;
            *before = amplitude as f32;
        }
        Ok(Frame {
            energy,
            flatness: logarithms / power.len() as f64 - libm::log(mean),
            flux,
            centroid: moment / energy,
            peaks: peaks.iter().map(|word| word.count_ones()).sum(),
            held: peaks.iter().zip(earlier).map(|(now, earlier)| (now & earlier).count_ones()).sum(),
        })
    }
}

/// Samples of a window before the part that its judgement speaks for.
fn margin() -> usize {
    (WINDOW - STEP) / 2 * HOP_LENGTH + (FRAME_LENGTH - HOP_LENGTH) / 2
}

/// The features of a window: modulation around 4 Hz (log), share of quiet frames, flatness (log), flux (log), spread of the centroid (log),
/// share of peaks that last.
fn features(frames: &VecDeque<Frame>) -> [f64; FEATURES] {
    let count = frames.len().max(1) as f64;
    let mean_energy = frames.iter().map(|frame| frame.energy).sum::<f64>() / count;
    let amplitudes: Vec<f64> = frames.iter().map(|frame| libm::sqrt(frame.energy)).collect();
    let mean = amplitudes.iter().sum::<f64>() / count;
    if mean <= 0.0 {
        return [0.0; FEATURES];
    }
    let modulation: f64 = SYLLABLES.map(|cycles| modulation_at(&amplitudes, cycles)).sum::<f64>() / (mean * mean);
    let quiet = amplitudes.iter().filter(|&&amplitude| amplitude < QUIET_SHARE * mean).count() as f64 / count;
    let active: Vec<&Frame> = frames.iter().filter(|frame| frame.energy >= ACTIVE_SHARE * mean_energy).collect();
    let share = 1.0 / active.len().max(1) as f64;
    let mean_of = |value: fn(&Frame) -> f64| active.iter().map(|frame| value(frame)).sum::<f64>() * share;
    let centroid = mean_of(|frame| frame.centroid);
    let spread = libm::sqrt(active.iter().map(|frame| (frame.centroid - centroid) * (frame.centroid - centroid)).sum::<f64>() * share);
    let (peaks, held) = active.iter().fold((0, 0), |(peaks, held), frame| (peaks + frame.peaks, held + frame.held));
    [
        libm::log(1e-4 + modulation),
        quiet,
        mean_of(|frame| frame.flatness),
        libm::log(1e-3 + mean_of(|frame| frame.flux)),
        libm::log(1e-2 + spread / centroid.max(1.0)),
        f64::from(held) / f64::from(peaks.max(1)),
    ]
}

/// Power of the envelope at so many cycles per window, where a cosine of amplitude A has A^2 / 4.
fn modulation_at(amplitudes: &[f64], cycles: usize) -> f64 {
    let step = std::f64::consts::TAU * cycles as f64 / amplitudes.len() as f64;
    let part = |turn: fn(f64) -> f64| amplitudes.iter().enumerate().map(|(n, amplitude)| amplitude * turn(step * n as f64)).sum::<f64>();
    let (real, imaginary) = (part(libm::cos), part(libm::sin));
    (real * real + imaginary * imaginary) / (amplitudes.len() * amplitudes.len()) as f64
}
