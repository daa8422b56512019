//! The lengths in WAV and AIFF headers, put right before they are believed.
//!
//! A recorder that was switched off, a stream written to a pipe and a download cut short all leave a header whose lengths are not
//! those of the file: 0, 0xFFFFFFFF, or more than is there. They are rewritten in place to what is there. Channel counts and speaker
//! masks that symphonia 0.6.1 computes with unchecked are checked here. Sources: Microsoft/IBM, Multimedia Programming Interface 1.0
//! (1991); EBU Tech 3306 (RF64); Apple, AIFF 1.3 (1989).

use super::big_endian_u32;
use crate::error::Result;
use crate::limits::check_channels;

/// What a WAV or AIFF header said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mended {
    /// Frames that the header claims, where it claims more than the file has room for.
    pub(super) claimed_frames: Option<u64>,
    /// What was missing, for the user.
    pub(super) warning: Option<String>,
}

/// Length that says "not known yet": written by programs that write to a pipe.
const UNKNOWN: u32 = u32::MAX;

/// Speaker positions that a mask may name: bits 0 (front left) to 17 (top back right).
const SPEAKERS: u32 = 0x3_ffff;

/// Rewrites the lengths of a WAV, RF64 or AIFF file that are not those of the file; other files are left alone.
///
/// # Errors
/// [`crate::Error::InvalidInput`] for no or more than 8 channels.
pub(super) fn mend(bytes: &mut [u8]) -> Result<Mended> {
    let (Some(id), Some(form)) = (bytes.get(..4), bytes.get(8..12)) else { return Ok(Mended::default()) };
    match (id, form) {
        (b"RIFF" | b"RF64", b"WAVE") => mend_wave(bytes),
        (b"FORM", b"AIFF" | b"AIFC") => mend_aiff(bytes),
        _ => Ok(Mended::default()),
    }
}

fn mend_wave(bytes: &mut [u8]) -> Result<Mended> {
    let riff_size = little_endian_u32(bytes, 4).unwrap_or(0);
    let mut mended = Mended::default();
    let mut block_align = 0_u64;
    let mut long_data_size = None;
    let mut at = 12;
    while let (Some(id), Some(size)) = (bytes.get(at..at + 4), little_endian_u32(bytes, at + 4)) {
        let body = at + 8;
        match id {
            b"fmt " => {
                if let Some(channels) = little_endian_u16(bytes, body + 2) {
                    check_channels(channels.into())?;
                    mend_speakers(bytes, body, size, channels);
                }
                block_align = little_endian_u16(bytes, body + 12).map_or(0, u64::from);
            }
            // RF64: the 64-bit lengths, RIFF size then data size.
            b"ds64" => long_data_size = little_endian_u64(bytes, body + 8),
            b"data" => {
                let present = (bytes.len() - body) as u64;
                let is_unfinished = size == 0 && riff_size <= body as u32;
                let size = match long_data_size {
                    Some(long) if size == UNKNOWN => long,
                    _ if size == UNKNOWN || is_unfinished => present,
                    _ => u64::from(size),
                };
                if size > present {
                    mended = cut_off(size, present, block_align);
                }
                // Whole frames only: a partial one would end the last packet with an error.
                let kept = size.min(present) / block_align.max(1) * block_align.max(1);
                write_u32(bytes, at + 4, u32::try_from(kept).unwrap_or(UNKNOWN - 1).to_le_bytes());
                break;
            }
            _ => {}
        }
        let Some(next) = next_chunk(bytes, body, size) else { break };
        at = next;
    }
    write_u32(bytes, 0, *b"RIFF");
    let whole = u32::try_from(bytes.len().saturating_sub(8)).unwrap_or(UNKNOWN - 1);
    write_u32(bytes, 4, whole.to_le_bytes());
    Ok(mended)
}

/// Clears the speaker mask of a WAVEFORMATEXTENSIBLE header where it does not name one speaker a channel: the order of the channels
/// in the file is what counts.
fn mend_speakers(bytes: &mut [u8], format: usize, size: u32, channels: u16) {
    const MASK: usize = 20;
    if size >= 24
        && let Some(mask) = little_endian_u32(bytes, format + MASK)
        && (mask & !SPEAKERS != 0 || mask.count_ones() != u32::from(channels))
    {
        write_u32(bytes, format + MASK, [0; 4]);
    }
}

fn mend_aiff(bytes: &mut [u8]) -> Result<Mended> {
    let mut mended = Mended::default();
    let mut block_align = 0_u64;
    let mut at = 12;
    while let (Some(id), Some(size)) = (bytes.get(at..at + 4), big_endian_u32(bytes, at + 4)) {
        let body = at + 8;
        let present = (bytes.len() - body) as u64;
        match id {
            b"COMM" => {
                if let Some(&[c0, c1, _, _, _, _, b0, b1]) = bytes.get(body..body + 8) {
                    check_channels(u16::from_be_bytes([c0, c1]).into())?;
                    block_align = u64::from(u16::from_be_bytes([c0, c1])) * u64::from(u16::from_be_bytes([b0, b1])).div_ceil(8);
                }
            }
            b"SSND" if u64::from(size) > present => {
                // Offset and block size, 4 bytes each, come before the samples.
                let samples = present.saturating_sub(8);
                mended = cut_off(u64::from(size).saturating_sub(8), samples, block_align);
                let kept = samples / block_align.max(1) * block_align.max(1) + 8.min(present);
                write_u32(bytes, at + 4, u32::try_from(kept).unwrap_or(UNKNOWN - 1).to_be_bytes());
                break;
            }
            _ => {}
        }
        let Some(next) = next_chunk(bytes, body, size) else { break };
        at = next;
    }
    let whole = u32::try_from(bytes.len().saturating_sub(8)).unwrap_or(UNKNOWN - 1);
    write_u32(bytes, 4, whole.to_be_bytes());
    Ok(mended)
}

/// Where the chunk after one of `size` bytes at `body` begins, if that lies in the file. Chunks begin at even places.
fn next_chunk(bytes: &[u8], body: usize, size: u32) -> Option<usize> {
    let next = body as u64 + u64::from(size) + u64::from(size % 2);
    usize::try_from(next).ok().filter(|&next| next < bytes.len())
}

fn cut_off(claimed: u64, present: u64, block_align: u64) -> Mended {
    Mended {
        claimed_frames: claimed.checked_div(block_align),
        warning: Some(format!("the file is cut off: its header announces {claimed} bytes of samples, {present} are there")),
    }
}

fn little_endian_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn little_endian_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn little_endian_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

fn write_u32(bytes: &mut [u8], at: usize, value: [u8; 4]) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value);
    }
}
