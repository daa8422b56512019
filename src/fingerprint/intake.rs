//! Mono sound on its way to an algorithm's rate: in pieces of any length, with unusable samples and holes.

use crate::audio::resample::Resampler;
use crate::error::{Error, Result};
use crate::limits::SAMPLE_RATES;

/// Samples handed on at once at most, so that buffers stay small whatever the caller pushes.
const PIECE_LENGTH: usize = 8_192;

/// Resamples and repairs a mono stream, and keeps its place on the absolute grid of samples.
pub struct Intake {
    sample_rate: u32,
    rate: u32,
    /// Absent where both rates are equal.
    resampler: Option<Resampler>,
    /// Samples at the input's rate so far, gaps included.
    position: u64,
    replaced: u64,
    repaired: Vec<f32>,
}

impl Intake {
    /// From `sample_rate` hertz to `rate` hertz.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a rate outside 8..192 kHz.
    pub fn new(sample_rate: u32, rate: u32) -> Result<Self> {
        if !SAMPLE_RATES.contains(&sample_rate) {
            return Err(Error::invalid(format!("sample_rate must be in 8000..192000 Hz, got {sample_rate}: resample first")));
        }
        let resampler = if sample_rate == rate { None } else { Some(Resampler::new(sample_rate, rate, 1)?) };
        Ok(Self { sample_rate, rate, resampler, position: 0, replaced: 0, repaired: Vec::new() })
    }

    /// Hands samples on. What is no finite number becomes 0 and is counted.
    ///
    /// # Errors
    /// Those of `take`; [`Error::Internal`].
    pub fn push(&mut self, samples: &[f32], mut take: impl FnMut(&[f32]) -> Result<()>) -> Result<()> {
        self.position += samples.len() as u64;
        for piece in samples.chunks(PIECE_LENGTH) {
            let unusable = piece.iter().filter(|sample| !sample.is_finite()).count();
            let mut usable = piece;
            if unusable > 0 {
                self.replaced += unusable as u64;
                self.repaired.clear();
                self.repaired.extend(piece.iter().map(|&sample| if sample.is_finite() { sample } else { 0.0 }));
                usable = &self.repaired;
            }
            match &mut self.resampler {
                None => take(usable)?,
                Some(resampler) => take(first(resampler.push(&[usable])?))?,
            }
        }
        Ok(())
    }

    /// Ends the sound: hands on what the resampler holds back.
    ///
    /// # Errors
    /// As [`Intake::push`].
    pub fn end(&mut self, mut take: impl FnMut(&[f32]) -> Result<()>) -> Result<()> {
        match &mut self.resampler {
            None => Ok(()),
            Some(resampler) => take(first(resampler.flush()?)),
        }
    }

    /// Goes on `frames` samples later, behind an end. Returns the place of the next sample that is handed on.
    pub fn skip(&mut self, frames: u64) -> u64 {
        self.position += frames;
        (u128::from(self.position) * u128::from(self.rate)).div_ceil(u128::from(self.sample_rate)) as u64
    }

    /// Samples at the input's rate that `samples` handed on and the resampler's delay make.
    #[must_use]
    pub fn latency(&self, samples: usize) -> u64 {
        let delay = self.resampler.as_ref().map_or(0, |resampler| resampler.latency() as u64);
        (samples as u64 * u64::from(self.sample_rate)).div_ceil(u64::from(self.rate)) + delay
    }

    /// Samples so far that were no finite numbers.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Bytes of the buffers, without the resampler's.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.repaired.capacity() * size_of::<f32>()
    }
}

fn first(channels: &[Vec<f32>]) -> &[f32] {
    channels.first().map_or(&[], Vec::as_slice)
}
