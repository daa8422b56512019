//! How much a caller may ask for. Every limit has a default, can be raised, and is checked before memory is taken.

use serde::Deserialize;

use crate::error::{Error, Result};

/// Fewest and most channels that any capability reads.
pub const CHANNELS: std::ops::RangeInclusive<usize> = 1..=8;
/// Lowest and highest sample rate that any capability reads, in hertz.
pub const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// Limits of one call. In TypeScript the same names in camel case, under `limits`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Longest sound, in seconds. Default 4 h.
    pub duration_seconds: f64,
    /// Largest encoded file, in bytes. Default 1 GiB.
    pub input_bytes: f64,
    /// Largest decoded sound in memory, in bytes of planar f32. Default 1 GiB: 50 min of stereo at 44.1 kHz. What is decoded block by
    /// block, as a separation does, may be longer.
    pub decoded_bytes: f64,
    /// Most packets a decoder may read per encoded byte, plus 1000: a bound on the work that a hostile file can ask for. Default 1.
    pub packets_per_byte: f64,
}

impl Default for Limits {
    fn default() -> Self {
        const GIB: f64 = 1_073_741_824.0;
        Self { duration_seconds: 14_400.0, input_bytes: GIB, decoded_bytes: GIB, packets_per_byte: 1.0 }
    }
}

impl Limits {
    /// Checks a sound's shape against the limits before memory is taken for it.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a sample rate outside 8..192 kHz or channels outside 1..8, [`Error::Limit`] for the first of
    /// duration and decoded bytes that is too much.
    pub fn check_shape(&self, channels: usize, sample_rate: u32, frames: u64) -> Result<()> {
        self.check_stream(channels, sample_rate, frames, frames)
    }

    /// The same of a sound of `frames` frames of which no more than `held` are in memory at once.
    ///
    /// # Errors
    /// Those of [`Limits::check_shape`].
    pub fn check_stream(&self, channels: usize, sample_rate: u32, frames: u64, held: u64) -> Result<()> {
        if !SAMPLE_RATES.contains(&sample_rate) {
            return Err(Error::invalid(format!(
                "sample_rate must be in {}..{} Hz, got {sample_rate}: resample first",
                SAMPLE_RATES.start(),
                SAMPLE_RATES.end()
            )));
        }
        check_channels(channels)?;
        let seconds = frames as f64 / f64::from(sample_rate);
        check("duration in seconds", "durationSeconds", seconds, self.duration_seconds)?;
        let bytes = held as f64 * channels as f64 * size_of::<f32>() as f64;
        check("decoded size in bytes", "decodedBytes", bytes, self.decoded_bytes)
    }

    /// Checks an encoded file's size.
    ///
    /// # Errors
    /// [`Error::Limit`] above `input_bytes`.
    pub fn check_input_bytes(&self, bytes: u64) -> Result<()> {
        check("file size in bytes", "inputBytes", bytes as f64, self.input_bytes)
    }

    /// Checks the packets read so far from a file of `input_bytes`.
    ///
    /// # Errors
    /// [`Error::Limit`] above `packets_per_byte` times the bytes, plus 1000.
    pub fn check_packets(&self, packets: u64, input_bytes: u64) -> Result<()> {
        let allowed = self.packets_per_byte * input_bytes as f64 + 1_000.0;
        check("number of packets", "packetsPerByte", packets as f64, allowed)
    }
}

/// Checks a number of channels.
///
/// # Errors
/// [`Error::InvalidInput`] outside 1..8.
pub fn check_channels(channels: usize) -> Result<()> {
    if CHANNELS.contains(&channels) {
        return Ok(());
    }
    Err(Error::invalid(format!("channels must be in {}..{}, got {channels}: mix down first", CHANNELS.start(), CHANNELS.end())))
}

fn check(what: &'static str, name: &'static str, given: f64, allowed: f64) -> Result<()> {
    // Written so that a NaN limit refuses.
    if given <= allowed { Ok(()) } else { Err(Error::Limit { what, name, given, allowed }) }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn the_channel_rate_and_duration_limits_hold_at_both_ends() {
        let limits = Limits { duration_seconds: 10.0, ..Limits::default() };
        assert!(limits.check_shape(1, 8_000, 0).is_ok());
        assert!(limits.check_shape(8, 192_000, 1_920_000).is_ok());
        assert_eq!(limits.check_shape(8, 192_000, 1_920_001).unwrap_err().kind(), "limit");
        for (channels, rate) in [(0, 44_100), (9, 44_100), (2, 7_999), (2, 192_001)] {
            assert_eq!(limits.check_shape(channels, rate, 1).unwrap_err().kind(), "invalid-input");
        }
    }

    #[test]
    fn a_nan_limit_refuses_everything() {
        let limits = Limits { decoded_bytes: f64::NAN, ..Limits::default() };
        assert_eq!(limits.check_shape(1, 44_100, 1).unwrap_err().kind(), "limit");
    }
}
