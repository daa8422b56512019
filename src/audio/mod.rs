//! Sound in: the buffer that every capability reads, decoding, resampling and channel maps.

pub mod channels;
pub mod decode;
mod edit_list;
mod planes;
pub mod resample;
mod riff;
mod sniff;
pub mod source;
pub mod wav;

use crate::error::{Error, Result};
use crate::limits::Limits;

/// A sound: planar 32-bit samples, `[channels][frames]`, nominally in -1..1, never clipped or normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    channels: Vec<Vec<f32>>,
    sample_rate: u32,
}

impl Audio {
    /// Takes planar channels of one length at `sample_rate` hertz.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for 0 or more than 8 channels, unequal lengths, a rate outside 8..192 kHz, or a sample that is NaN or
    /// infinite (channel and frame are named); [`Error::Limit`] above `limits`.
    pub fn new(channels: Vec<Vec<f32>>, sample_rate: u32, limits: &Limits) -> Result<Self> {
        Self::block(channels, sample_rate, 0, limits)
    }

    /// The same of a block of a longer sound, that begins at its frame `first`: a bad sample is named by its place in the whole, and
    /// the length is that up to the block's end.
    ///
    /// # Errors
    /// Those of [`Audio::new`].
    pub fn block(channels: Vec<Vec<f32>>, sample_rate: u32, first: u64, limits: &Limits) -> Result<Self> {
        let frames = channels.first().map_or(0, Vec::len);
        limits.check_stream(channels.len(), sample_rate, first.saturating_add(frames as u64), frames as u64)?;
        for (index, channel) in channels.iter().enumerate() {
            if channel.len() != frames {
                return Err(Error::invalid(format!(
                    "channel {index} has {} frames, channel 0 has {frames}: all must have the same number",
                    channel.len()
                )));
            }
            if let Some(frame) = channel.iter().position(|sample| !sample.is_finite()) {
                let frame = first + frame as u64;
                return Err(Error::invalid(format!("channel {index}, frame {frame} is not a finite number: repair the sound first")));
            }
        }
        Ok(Self { channels, sample_rate })
    }

    /// The samples, `[channels][frames]`.
    #[must_use]
    pub fn channels(&self) -> &[Vec<f32>] {
        &self.channels
    }

    /// Gives the samples away, `[channels][frames]`.
    #[must_use]
    pub fn into_channels(self) -> Vec<Vec<f32>> {
        self.channels
    }

    /// Hertz.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Samples per channel.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// Length in seconds.
    #[must_use]
    pub fn duration(&self) -> f64 {
        self.frames() as f64 / f64::from(self.sample_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::Audio;
    use crate::limits::Limits;

    #[test]
    fn a_sample_that_is_no_number_is_refused_naming_channel_and_frame() {
        let error = Audio::new(vec![vec![0.0; 3], vec![0.0, f32::NAN, 0.0]], 44_100, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), "invalid-input");
        assert!(error.to_string().contains("channel 1, frame 1"), "{error}");
    }

    #[test]
    fn a_block_counts_from_the_start_of_the_whole() {
        let limits = Limits { duration_seconds: 1.0, ..Limits::default() };
        let error = Audio::block(vec![vec![0.0, f32::NAN]], 8_000, 70, &limits).unwrap_err();
        assert!(error.to_string().contains("channel 0, frame 71"), "{error}");
        assert!(Audio::block(vec![vec![0.0; 2]], 8_000, 7_998, &limits).is_ok());
        assert_eq!(Audio::block(vec![vec![0.0; 2]], 8_000, 7_999, &limits).unwrap_err().kind(), "limit");
    }

    #[test]
    fn channels_of_unequal_length_are_refused() {
        let error = Audio::new(vec![vec![0.0; 3], vec![0.0; 2]], 44_100, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), "invalid-input");
    }

    #[test]
    fn a_sound_of_no_frames_is_a_sound() {
        let audio = Audio::new(vec![vec![]], 8_000, &Limits::default()).unwrap();
        assert_eq!((audio.frames(), audio.duration()), (0, 0.0));
    }
}
