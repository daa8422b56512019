//! Short-time Fourier transform: with exact inverse ([`Stft`]), and single frames for analysis ([`FrameSpectrum`]).
//!
//! # Normalisation
//! [`Stft::forward`] divides by the root of the window's energy, `sqrt(sum w^2)`, so that white noise of unit variance has
//! `E|X|^2 = 1` in every bin; [`Stft::inverse`] undoes it. [`FrameSpectrum`] gives the bare transform of the windowed frame.
//!
//! # Order
//! Bins run from 0 Hz to half the sample rate, `n_fft / 2 + 1` of them, bin k at `k * sample_rate / n_fft`. Spectra of [`Stft`] are
//! planar, `[frames][bins]`, real and imaginary parts apart.

use std::ops::Range;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::{kernel, window};
use crate::error::{Error, Result};

/// Transform of whole signals with periodic Hann windows at analysis and synthesis.
///
/// A signal of N samples is extended by zeros to a multiple of the hop, then mirrored by `n_fft / 2` at both ends (the end sample is
/// not repeated): `ceil(N / hop) + 1` frames, frame t centred on sample `t * hop`.
pub struct Stft {
    n_fft: usize,
    hop: usize,
    window: Vec<f32>,
    scale: f64,
    /// `window * scale / n_fft`: undoes the transform's gain and the normalisation in one product.
    synthesis_window: Vec<f32>,
    /// `window / scale`.
    analysis_window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Stft {
    /// Plans transforms of `n_fft` samples (even, at least 4) every `hop` samples.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] unless `hop` is at most half of `n_fft`: the inverse needs every sample to be covered well.
    pub fn new(n_fft: usize, hop: usize) -> Result<Self> {
        if n_fft < 4 || !n_fft.is_multiple_of(2) || hop == 0 || hop > n_fft / 2 {
            return Err(Error::invalid(format!(
                "n_fft must be even and at least twice hop, got n_fft {n_fft} and hop {hop}: choose for example 4096 and 1024"
            )));
        }
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(n_fft), planner.plan_fft_inverse(n_fft));
        let window = window::hann(n_fft);
        let scale = window.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt();
        let scaled = |factor: f64| window.iter().map(|w| (f64::from(*w) * factor) as f32).collect();
        Ok(Self {
            analysis_window: scaled(1.0 / scale),
            synthesis_window: scaled(scale / n_fft as f64),
            n_fft,
            hop,
            scale,
            frame: vec![0.0; n_fft],
            spectrum: vec![Complex::default(); n_fft / 2 + 1],
            scratch: vec![Complex::default(); forward.get_scratch_len().max(inverse.get_scratch_len())],
            window,
            forward,
            inverse,
        })
    }

    /// Samples per frame.
    #[must_use]
    pub fn n_fft(&self) -> usize {
        self.n_fft
    }

    /// Samples from frame to frame.
    #[must_use]
    pub fn hop(&self) -> usize {
        self.hop
    }

    /// Bins per frame, `n_fft / 2 + 1`.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    /// Root of the window's energy: spectra times this are those of a bare transform of the windowed frames.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Frames that a signal of `samples` samples has: `ceil(samples / hop) + 1`.
    #[must_use]
    pub fn frames(&self, samples: usize) -> usize {
        samples.div_ceil(self.hop) + 1
    }

    /// Transforms `samples` into `real` and `imaginary`, both `[frames][bins]`. An empty signal is one frame of zeros.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if an output is not `frames * bins` long.
    pub fn forward(&mut self, samples: &[f32], real: &mut [f32], imaginary: &mut [f32]) -> Result<()> {
        let (frames, bins) = (self.frames(samples.len()), self.bins());
        check_length("real part", real.len(), frames * bins)?;
        check_length("imaginary part", imaginary.len(), frames * bins)?;
        for (index, (real, imaginary)) in real.chunks_exact_mut(bins).zip(imaginary.chunks_exact_mut(bins)).enumerate() {
            self.cut(samples, index);
            kernel::multiply(&mut self.frame, &self.analysis_window);
            self.forward
                .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch)
                .map_err(|error| Error::internal(format!("forward transform of {} samples: {error}", self.n_fft)))?;
            kernel::split_complex(&self.spectrum, real, imaginary);
        }
        Ok(())
    }

    /// Copies the extended signal under frame `index` into `self.frame`.
    fn cut(&mut self, samples: &[f32], index: usize) {
        let extended = samples.len().div_ceil(self.hop) * self.hop;
        let start = (index * self.hop) as isize - (self.n_fft / 2) as isize;
        let end = start + self.n_fft as isize;
        if start >= 0 && end as usize <= samples.len() {
            self.frame.copy_from_slice(&samples[start as usize..end as usize]);
            return;
        }
        for (position, sample) in (start..end).zip(&mut self.frame) {
            *sample = samples.get(mirrored(position, extended)).copied().unwrap_or(0.0);
        }
    }

    /// Inverse of [`Stft::forward`]: `real` and `imaginary`, `[frames][bins]`, into `samples`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the parts are not as long as `samples` asks for.
    pub fn inverse(&mut self, real: &[f32], imaginary: &[f32], samples: &mut [f32]) -> Result<()> {
        let mut synthesis = Synthesis::new(self, samples.len());
        synthesis.push(self, real, imaginary, samples)?;
        synthesis.finish()
    }
}

/// The inverse of one signal, fed with runs of frames in order, so that the whole spectrum need never exist.
///
/// Each frame is windowed again and added; what no later frame reaches is divided by the sum of the squared windows that cover it (1.5
/// inside for a quarter hop, 1.25 at least near the ends) and written.
pub struct Synthesis {
    frames: usize,
    next_frame: usize,
    /// Sum of windowed frames from sample `next_frame * hop` of the extended signal, `[n_fft]`.
    sum: Vec<f32>,
    /// Sum of squared windows over the same samples.
    weight: Vec<f32>,
}

impl Synthesis {
    /// Prepares the inverse of a signal of `samples` samples by `stft`.
    #[must_use]
    pub fn new(stft: &Stft, samples: usize) -> Self {
        Self { frames: stft.frames(samples), next_frame: 0, sum: vec![0.0; stft.n_fft], weight: vec![0.0; stft.n_fft] }
    }

    /// Adds the next frames, `[frames][bins]`, and writes the samples that they complete to their places in `samples`, the whole signal.
    /// Returns the range written.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the parts differ in length, are not whole frames, or are more than are left.
    pub fn push(&mut self, stft: &mut Stft, real: &[f32], imaginary: &[f32], samples: &mut [f32]) -> Result<Range<usize>> {
        let bins = stft.bins();
        check_length("imaginary part", imaginary.len(), real.len())?;
        let count = real.len() / bins;
        check_length("spectrum", real.len(), count * bins)?;
        if self.next_frame + count > self.frames || stft.frames(samples.len()) != self.frames {
            return Err(Error::invalid(format!(
                "{} frames were given for a signal of {} samples, which has {}: give the frames of one signal",
                self.next_frame + count,
                samples.len(),
                stft.frames(samples.len())
            )));
        }
        let half = stft.n_fft / 2;
        let from = (self.next_frame * stft.hop).saturating_sub(half).min(samples.len());
        let mut to = from;
        for (real, imaginary) in real.chunks_exact(bins).zip(imaginary.chunks_exact(bins)) {
            kernel::join_complex(real, imaginary, &mut stft.spectrum);
            // The ends of a real signal's spectrum are real: what a mask leaves there in the imaginary part has no meaning.
            if let Some(first) = stft.spectrum.first_mut() {
                first.im = 0.0;
            }
            if let Some(last) = stft.spectrum.last_mut() {
                last.im = 0.0;
            }
            stft.inverse
                .process_with_scratch(&mut stft.spectrum, &mut stft.frame, &mut stft.scratch)
                .map_err(|error| Error::internal(format!("inverse transform of {} samples: {error}", stft.n_fft)))?;
            kernel::add_product(&mut self.sum, &stft.frame, &stft.synthesis_window);
            kernel::add_product(&mut self.weight, &stft.window, &stft.window);
            let start = self.next_frame * stft.hop;
            self.next_frame += 1;
            let complete = if self.next_frame == self.frames { stft.n_fft } else { stft.hop };
            let place = start.saturating_sub(half).min(samples.len())..(start + complete).saturating_sub(half).min(samples.len());
            let skipped = (half.saturating_sub(start)).min(complete);
            to = place.end;
            for ((sample, sum), weight) in samples[place].iter_mut().zip(&self.sum[skipped..]).zip(&self.weight[skipped..]) {
                *sample = sum / weight;
            }
            advance(&mut self.sum, stft.hop);
            advance(&mut self.weight, stft.hop);
        }
        Ok(from..to)
    }

    /// Ends the inverse.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if frames are missing.
    pub fn finish(self) -> Result<()> {
        check_length("frames", self.next_frame, self.frames)
    }
}

/// Spectra of single frames, for analysis: bare transform of `w x`, periodic Hann window.
pub struct FrameSpectrum {
    window: Vec<f32>,
    transform: Arc<dyn RealToComplex<f32>>,
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl FrameSpectrum {
    /// Plans transforms of `length` samples. Any length of 2 or more works; powers of two and products of small primes are fast.
    #[must_use]
    pub fn new(length: usize) -> Self {
        let length = length.max(2);
        let transform = RealFftPlanner::new().plan_fft_forward(length);
        Self {
            window: window::hann(length),
            frame: vec![0.0; length],
            spectrum: vec![Complex::default(); length / 2 + 1],
            scratch: transform.make_scratch_vec(),
            transform,
        }
    }

    /// Samples per frame.
    #[must_use]
    pub fn length(&self) -> usize {
        self.window.len()
    }

    /// Bins per frame, `length / 2 + 1`.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.spectrum.len()
    }

    /// Power `|X|^2` of the frame that begins at sample `start` of `samples`, with zeros outside them, into `power`, `[bins]`.
    /// A frame centred on sample c begins at `c - length / 2`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if `power` is not `bins` long.
    pub fn power(&mut self, samples: &[f32], start: isize, power: &mut [f32]) -> Result<()> {
        check_length("power spectrum", power.len(), self.bins())?;
        self.transform(samples, start)?;
        kernel::power(&self.spectrum, power);
        Ok(())
    }

    /// Magnitude `|X|` of the same frame, into `magnitude`, `[bins]`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if `magnitude` is not `bins` long.
    pub fn magnitude(&mut self, samples: &[f32], start: isize, magnitude: &mut [f32]) -> Result<()> {
        self.power(samples, start, magnitude)?;
        magnitude.iter_mut().for_each(|value| *value = value.sqrt());
        Ok(())
    }

    fn transform(&mut self, samples: &[f32], start: isize) -> Result<()> {
        let length = self.frame.len();
        let before = (start.min(0).unsigned_abs()).min(length);
        let first = (start.max(0) as usize).min(samples.len());
        let last = (first + length - before).min(samples.len());
        let inside = last - first;
        self.frame[..before].fill(0.0);
        self.frame[before..before + inside].copy_from_slice(&samples[first..last]);
        self.frame[before + inside..].fill(0.0);
        kernel::multiply(&mut self.frame, &self.window);
        self.transform
            .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch)
            .map_err(|error| Error::internal(format!("transform of {length} samples: {error}")))
    }
}

/// Index into a signal of `length` samples mirrored at both ends without repeating the end sample, as often as needed.
fn mirrored(position: isize, length: usize) -> usize {
    if length < 2 {
        return 0;
    }
    let last = length as isize - 1;
    let folded = position.rem_euclid(2 * last);
    (if folded > last { 2 * last - folded } else { folded }) as usize
}

/// Drops the first `count` values and appends as many zeros.
fn advance(values: &mut [f32], count: usize) {
    let kept = values.len() - count;
    values.copy_within(count.., 0);
    values[kept..].fill(0.0);
}

fn check_length(what: &str, given: usize, wanted: usize) -> Result<()> {
    if given == wanted { Ok(()) } else { Err(Error::invalid(format!("{what} must hold {wanted} values, got {given}"))) }
}

#[cfg(test)]
mod tests {
    use super::{FrameSpectrum, mirrored};

    #[test]
    fn a_mirror_does_not_repeat_the_end_sample_and_folds_as_often_as_needed() {
        let places: Vec<usize> = (-5..9).map(|position| mirrored(position, 4)).collect();
        assert_eq!(places, [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert_eq!(mirrored(-7, 1), 0);
    }

    #[test]
    fn a_frame_outside_the_signal_is_silent_and_one_that_hangs_over_an_end_sees_zeros() {
        let (mut spectrum, samples) = (FrameSpectrum::new(8), [1.0f32; 16]);
        let mut power = [9.0f32; 5];
        for start in [-8, -100, 16, 100] {
            spectrum.power(&samples, start, &mut power).unwrap();
            assert_eq!(power, [0.0; 5]);
        }
        // Window samples 4..8 of a periodic Hann window of 8: 1, .853.., .5, .146..; their sum squared is the power at 0 Hz.
        spectrum.power(&samples, -4, &mut power).unwrap();
        assert!((power[0] - 2.5f32.powi(2)).abs() < 1e-5, "{power:?}");
    }
}
