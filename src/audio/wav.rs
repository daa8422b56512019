//! WAV files out: 16 and 24 bit integer, 32 bit float.
//!
//! Sources: Microsoft/IBM, Multimedia Programming Interface 1.0 (1991); Microsoft, WAVEFORMATEXTENSIBLE, for more than two channels,
//! and for 24 bit, where plain PCM is ambiguous about the container.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::limits::Limits;

/// How a sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    /// 16-bit integer: 1.0 is 32 768, rounded to nearest, clipped at both ends.
    Int16,
    /// 24-bit integer: 1.0 is 8 388 608, rounded to nearest, clipped at both ends.
    Int24,
    /// 32-bit float: the samples as they are, never clipped.
    Float32,
}

impl SampleFormat {
    fn bytes(self) -> usize {
        match self {
            Self::Int16 => 2,
            Self::Int24 => 3,
            Self::Float32 => 4,
        }
    }
}

impl FromStr for SampleFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "wav16" => Ok(Self::Int16),
            "wav24" => Ok(Self::Int24),
            "wav32f" => Ok(Self::Float32),
            _ => Err(Error::invalid(format!("format must be \"wav16\", \"wav24\" or \"wav32f\", got {name:?}"))),
        }
    }
}

/// A WAV file and what was lost in making it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WavFile {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// Samples that lay outside the integer range and were set to its end.
    pub clipped: u64,
}

/// Speaker masks in WAVE order for 1..8 channels: mono, stereo, 3.0, quad, 5.0, 5.1, 6.1, 7.1.
const SPEAKERS: [u32; 8] = [0x4, 0x3, 0x7, 0x33, 0x37, 0x3f, 0x70f, 0x63f];
const FORMAT_PCM: u16 = 1;
const FORMAT_FLOAT: u16 = 3;
const FORMAT_EXTENSIBLE: u16 = 0xfffe;
/// The part of every sub-format GUID that follows the format code.
const SUB_FORMAT_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// A WAV file of `channels` (planar, one length, 1..8) at `sample_rate` hertz.
///
/// # Errors
/// [`Error::InvalidInput`] for a shape outside 1..8 channels of one length or 8..192 kHz, or for a sample that is NaN;
/// [`Error::Limit`] when the file would pass the 4 GiB that a RIFF header can name; [`Error::OutOfMemory`].
pub fn encode_wav<C: AsRef<[f32]>>(channels: &[C], sample_rate: u32, format: SampleFormat) -> Result<WavFile> {
    let frames = channels.first().map_or(0, |channel| channel.as_ref().len());
    let unlimited = Limits { duration_seconds: f64::INFINITY, decoded_bytes: f64::INFINITY, ..Limits::default() };
    unlimited.check_shape(channels.len(), sample_rate, frames as u64)?;
    if let Some(index) = channels.iter().position(|channel| channel.as_ref().len() != frames) {
        return Err(Error::invalid(format!("channel {index} has another length than channel 0: all must have the same number of frames")));
    }
    let block_align = channels.len() * format.bytes();
    let header = header(channels.len(), sample_rate, format, frames as u64)?;
    let data_bytes = frames * block_align;
    let total = header.len() + data_bytes + data_bytes % 2;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(total).map_err(|_| Error::OutOfMemory { what: "the WAV file", bytes: total as u64 })?;
    bytes.extend_from_slice(&header);
    bytes.resize(header.len() + data_bytes, 0);
    let mut clipped = 0;
    for (index, channel) in channels.iter().enumerate() {
        let blocks = bytes.get_mut(header.len()..).unwrap_or_default().chunks_exact_mut(block_align);
        for (frame, (block, &sample)) in blocks.zip(channel.as_ref()).enumerate() {
            if sample.is_nan() {
                return Err(Error::invalid(format!("channel {index}, frame {frame} is not a number: repair the sound first")));
            }
            let place = block.get_mut(index * format.bytes()..).unwrap_or_default();
            clipped += u64::from(store(place, sample, format));
        }
    }
    // Chunks have an even length; the padding byte is not counted in the chunk's size.
    bytes.resize(total, 0);
    Ok(WavFile { bytes, clipped })
}

/// Writes one sample to the start of `place`; true if it had to be clipped.
fn store(place: &mut [u8], sample: f32, format: SampleFormat) -> bool {
    let (value, is_clipped) = match format {
        SampleFormat::Int16 => quantise(sample, 32_768.0),
        SampleFormat::Int24 => quantise(sample, 8_388_608.0),
        SampleFormat::Float32 => (sample.to_bits() as i32, false),
    };
    for (byte, stored) in place.iter_mut().zip(value.to_le_bytes().into_iter().take(format.bytes())) {
        *byte = stored;
    }
    is_clipped
}

/// Rounds to nearest, halves away from zero. In f64, where sample times scale is exact.
fn quantise(sample: f32, scale: f64) -> (i32, bool) {
    let value = (f64::from(sample) * scale).round();
    let kept = value.clamp(-scale, scale - 1.0);
    (kept as i32, kept != value)
}

fn header(channels: usize, sample_rate: u32, format: SampleFormat, frames: u64) -> Result<Vec<u8>> {
    let is_extensible = channels > 2 || format == SampleFormat::Int24;
    let is_float = format == SampleFormat::Float32;
    let code = if is_float { FORMAT_FLOAT } else { FORMAT_PCM };
    let format_bytes: u32 = if is_extensible {
        40
    } else if is_float {
        18
    } else {
        16
    };
    // Formats other than plain PCM carry a fact chunk with the number of frames.
    let fact_bytes: u32 = if is_float { 12 } else { 0 };
    let block_align = (channels * format.bytes()) as u64;
    let data_bytes = frames.saturating_mul(block_align);
    let before_data = u64::from(4 + 8 + format_bytes + fact_bytes + 8);
    let riff_bytes = before_data.saturating_add(data_bytes).saturating_add(data_bytes % 2);
    let too_long = |_| Error::Limit { what: "WAV file size in bytes", name: "", given: riff_bytes as f64, allowed: f64::from(u32::MAX) };
    let riff_bytes_32 = u32::try_from(riff_bytes).map_err(too_long)?;
    let data_bytes_32 = u32::try_from(data_bytes).map_err(too_long)?;

    let mut header = Vec::with_capacity(before_data as usize + 8);
    header.extend_from_slice(b"RIFF");
    header.extend_from_slice(&riff_bytes_32.to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&format_bytes.to_le_bytes());
    header.extend_from_slice(&if is_extensible { FORMAT_EXTENSIBLE } else { code }.to_le_bytes());
    header.extend_from_slice(&(channels as u16).to_le_bytes());
    header.extend_from_slice(&sample_rate.to_le_bytes());
    header.extend_from_slice(&(sample_rate * block_align as u32).to_le_bytes());
    header.extend_from_slice(&(block_align as u16).to_le_bytes());
    header.extend_from_slice(&(format.bytes() as u16 * 8).to_le_bytes());
    if is_extensible {
        let speakers = SPEAKERS.get(channels - 1).copied().unwrap_or(0);
        header.extend_from_slice(&22_u16.to_le_bytes());
        header.extend_from_slice(&(format.bytes() as u16 * 8).to_le_bytes());
        header.extend_from_slice(&speakers.to_le_bytes());
        header.extend_from_slice(&code.to_le_bytes());
        header.extend_from_slice(&SUB_FORMAT_TAIL);
    } else if is_float {
        header.extend_from_slice(&0_u16.to_le_bytes());
    }
    if is_float {
        header.extend_from_slice(b"fact");
        header.extend_from_slice(&4_u32.to_le_bytes());
        header.extend_from_slice(&(frames as u32).to_le_bytes());
    }
    header.extend_from_slice(b"data");
    header.extend_from_slice(&data_bytes_32.to_le_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::{SampleFormat, encode_wav, header};

    #[test]
    fn samples_are_rounded_to_nearest_and_clipped_not_wrapped() {
        let lsb = 1.0 / 32_768.0;
        let file = encode_wav(&[[0.4 * lsb, 0.6 * lsb, -0.6 * lsb, 1.0, -1.0, 2.0, -2.0]], 8_000, SampleFormat::Int16).unwrap();
        let samples: Vec<i16> = file.bytes[44..].chunks(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        assert_eq!(samples, [0, 1, -1, 32_767, -32_768, 32_767, -32_768]);
        assert_eq!(file.clipped, 3);
    }

    #[test]
    fn a_sample_that_is_no_number_is_named() {
        let error = encode_wav(&[[0.0, f32::NAN]], 8_000, SampleFormat::Int16).unwrap_err();
        assert!(error.to_string().contains("channel 0, frame 1"), "{error}");
    }

    #[test]
    fn a_file_past_the_reach_of_a_riff_header_is_a_limit_error() {
        let error = header(2, 44_100, SampleFormat::Float32, 1 << 29).unwrap_err();
        assert_eq!(error.kind(), "limit");
        assert!(error.to_string().ends_with("the limit is 4294967295: give less"), "{error}");
        assert!(header(2, 44_100, SampleFormat::Float32, (1 << 29) - 16).is_ok());
    }

    #[test]
    fn odd_data_is_padded_to_an_even_chunk() {
        let file = encode_wav(&[[0.5_f32]], 8_000, SampleFormat::Int24).unwrap();
        assert_eq!(file.bytes.len() % 2, 0);
        let riff = u32::from_le_bytes(file.bytes[4..8].try_into().unwrap());
        assert_eq!(riff as usize, file.bytes.len() - 8);
    }
}
