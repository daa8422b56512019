//! The magnitude spectrum of one frame of a sound, its channels joined.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use crate::dsp::window;

/// Window length at 44.1 kHz in seconds; other rates take the nearest length in time whose transform is fast.
const WINDOW_SECONDS: f64 = 2048.0 / 44_100.0;

/// Samples of a frame at `sample_rate` hertz: 2048 at 44.1 kHz.
#[must_use]
pub fn frame_length(sample_rate: f64) -> usize {
    fast_length(WINDOW_SECONDS * sample_rate)
}

/// Computes magnitudes of frames under a periodic Hann window, scaled so that a full-scale sine reads 1.
///
/// Channels are joined as the root of their mean power, so that sides in opposite phase do not cancel. Two real channels share one
/// complex transform, which costs half of two transforms.
pub struct FrameSpectrum {
    window: Vec<f32>,
    transform: Arc<dyn Fft<f32>>,
    frame: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    magnitudes: Vec<f32>,
}

impl FrameSpectrum {
    /// For frames of `length` samples, of which the lowest `bins` bins are wanted.
    #[must_use]
    pub fn new(length: usize, bins: usize) -> Self {
        let transform = FftPlanner::new().plan_fft_forward(length);
        Self {
            window: window::hann(length),
            frame: vec![Complex::default(); length],
            scratch: vec![Complex::default(); transform.get_inplace_scratch_len()],
            transform,
            magnitudes: vec![0.0; bins],
        }
    }

    /// Samples of a frame.
    #[must_use]
    pub fn length(&self) -> usize {
        self.window.len()
    }

    /// Magnitudes `[bins]` of the frame of `channels` that begins at sample `start`, zeros outside the sound, and the root mean square
    /// of the frame under its window, full scale 1.
    pub fn analyse<C: AsRef<[f32]>>(&mut self, channels: &[C], start: isize) -> (&[f32], f32) {
        self.magnitudes.fill(0.0);
        let mut energy = 0.0;
        for pair in channels.chunks(2) {
            energy += self.load(pair, start);
            self.transform.process_with_scratch(&mut self.frame, &mut self.scratch);
            self.add_power();
        }
        let count = channels.len().max(1) as f32;
        let length = self.window.len() as f32;
        let window_energy = 0.375 * length; // sum of the squared Hann window
        let scale = 2.0 / (0.5 * length); // a full-scale sine reads 1
        self.magnitudes.iter_mut().for_each(|power| *power = (*power / count).sqrt() * scale);
        (&self.magnitudes, (energy / (window_energy * count)).sqrt())
    }

    /// Puts the windowed frame of one or two channels into the real and the imaginary part, and gives its energy.
    fn load<C: AsRef<[f32]>>(&mut self, pair: &[C], start: isize) -> f32 {
        let left = pair.first().map_or(&[][..], AsRef::as_ref);
        let right = pair.get(1).map_or(&[][..], AsRef::as_ref);
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
        for ((power, value), opposite) in self.magnitudes.iter_mut().zip(&self.frame).zip(mirrored) {
            *power += 0.5 * (value.norm_sqr() + opposite.norm_sqr());
        }
    }
}

/// The newest samples of a stream, from the first one that a frame may still need.
#[derive(Debug, Clone, Default)]
pub struct RecentSamples {
    samples: Vec<f32>,
    /// Place in the stream of the first sample kept.
    start: u64,
}

impl RecentSamples {
    /// Samples heard so far, kept or not.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.start + self.samples.len() as u64
    }

    /// Takes the next samples.
    pub fn push(&mut self, samples: &[f32]) {
        self.samples.extend_from_slice(samples);
    }

    /// Lets go of samples before this place in the stream.
    pub fn forget_before(&mut self, place: i64) {
        let count = usize::try_from(place - self.start as i64).unwrap_or(0).min(self.samples.len());
        self.samples.drain(..count);
        self.start += count as u64;
    }

    /// The one channel, and where in it the frame begins that starts at this place in the stream.
    #[must_use]
    pub fn frame(&self, place: i64) -> ([&[f32]; 1], isize) {
        ([self.samples.as_slice()], (place - self.start as i64) as isize)
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
