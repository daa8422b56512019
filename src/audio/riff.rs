//! The lengths in WAV and AIFF headers, put right before they are believed.
//!
//! A recorder that was switched off, a stream written to a pipe and a download cut short all leave a header whose lengths are not
//! those of the file: 0, 0xFFFFFFFF, or more than is there. They are read as what is there. Channel counts and speaker
//! masks that symphonia 0.6.1 computes with unchecked are checked here. Sources: Microsoft/IBM, Multimedia Programming Interface 1.0
//! (1991); EBU Tech 3306 (RF64); Apple, AIFF 1.3 (1989).

use super::source::File;
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
/// Most bytes that a header can announce.
const LONGEST: u64 = UNKNOWN as u64 - 1;

/// Speaker positions that a mask may name: bits 0 (front left) to 17 (top back right).
const SPEAKERS: u32 = 0x3_ffff;

/// Replaces the lengths of a WAV, RF64 or AIFF file that are not those of the file; other files are left alone.
///
/// # Errors
/// [`crate::Error::InvalidInput`] for no or more than 8 channels, or a file that cannot be read.
pub(super) fn mend(file: &mut File) -> Result<Mended> {
    match (file.word::<4>(0)?.as_ref(), file.word::<4>(8)?.as_ref()) {
        (Some(b"RIFF" | b"RF64"), Some(b"WAVE")) => mend_wave(file),
        (Some(b"FORM"), Some(b"AIFF" | b"AIFC")) => mend_aiff(file),
        _ => Ok(Mended::default()),
    }
}

fn mend_wave(file: &mut File) -> Result<Mended> {
    let riff_size = little_endian_u32(file, 4)?.unwrap_or(0);
    let mut mended = Mended::default();
    let mut block_align = 0_u64;
    let mut long_data_size = None;
    let mut at = 12;
    while let (Some(id), Some(size)) = (file.word::<4>(at)?, little_endian_u32(file, at + 4)?) {
        let body = at + 8;
        match &id {
            b"fmt " => {
                if let Some(channels) = little_endian_u16(file, body + 2)? {
                    check_channels(channels.into())?;
                    mend_speakers(file, body, size, channels)?;
                }
                block_align = little_endian_u16(file, body + 12)?.map_or(0, u64::from);
            }
            // RF64: the 64-bit lengths, RIFF size then data size.
            b"ds64" => long_data_size = file.word(body + 8)?.map(u64::from_le_bytes),
            b"data" => {
                let present = file.size() - body;
                let is_unfinished = size == 0 && u64::from(riff_size) <= body;
                let size = match long_data_size {
                    Some(long) if size == UNKNOWN => long,
                    _ if size == UNKNOWN || is_unfinished => present,
                    _ => u64::from(size),
                };
                if size > present {
                    mended = cut_off(size, present, block_align);
                }
                // Whole frames only: a partial one would end the last packet with an error.
                let whole = |bytes: u64| bytes / block_align.max(1) * block_align.max(1);
                let kept = whole(size.min(present).min(LONGEST));
                if size.min(present) > LONGEST {
                    mended.warning = Some(format!("only the first {kept} bytes of samples are read: a WAV file counts up to 4 GiB"));
                }
                file.replace(at + 4, (kept as u32).to_le_bytes());
                break;
            }
            _ => {}
        }
        let Some(next) = next_chunk(file, body, size) else { break };
        at = next;
    }
    file.replace(0, *b"RIFF");
    let whole = file.size().saturating_sub(8).min(LONGEST);
    file.replace(4, (whole as u32).to_le_bytes());
    Ok(mended)
}

/// Clears the speaker mask of a WAVEFORMATEXTENSIBLE header where it does not name one speaker a channel: the order of the channels
/// in the file is what counts.
fn mend_speakers(file: &mut File, format: u64, size: u32, channels: u16) -> Result<()> {
    const MASK: u64 = 20;
    if size >= 24
        && let Some(mask) = little_endian_u32(file, format + MASK)?
        && (mask & !SPEAKERS != 0 || mask.count_ones() != u32::from(channels))
    {
        file.replace(format + MASK, [0; 4]);
    }
    Ok(())
}

fn mend_aiff(file: &mut File) -> Result<Mended> {
    let mut mended = Mended::default();
    let mut block_align = 0_u64;
    let mut at = 12;
    while let (Some(id), Some(size)) = (file.word::<4>(at)?, file.word(at + 4)?.map(u32::from_be_bytes)) {
        let body = at + 8;
        let present = file.size() - body;
        match &id {
            b"COMM" => {
                if let Some([c0, c1, _, _, _, _, b0, b1]) = file.word(body)? {
                    check_channels(u16::from_be_bytes([c0, c1]).into())?;
                    block_align = u64::from(u16::from_be_bytes([c0, c1])) * u64::from(u16::from_be_bytes([b0, b1])).div_ceil(8);
                }
            }
            b"SSND" if u64::from(size) > present => {
                // Offset and block size, 4 bytes each, come before the samples.
                let samples = present.saturating_sub(8);
                mended = cut_off(u64::from(size).saturating_sub(8), samples, block_align);
                let kept = samples / block_align.max(1) * block_align.max(1) + 8.min(present);
                file.replace(at + 4, (kept as u32).to_be_bytes());
                break;
            }
            _ => {}
        }
        let Some(next) = next_chunk(file, body, size) else { break };
        at = next;
    }
    let whole = file.size().saturating_sub(8).min(LONGEST);
    file.replace(4, (whole as u32).to_be_bytes());
    Ok(mended)
}

/// Where the chunk after one of `size` bytes at `body` begins, if that lies in the file. Chunks begin at even places.
fn next_chunk(file: &File, body: u64, size: u32) -> Option<u64> {
    Some(body + u64::from(size) + u64::from(size % 2)).filter(|&next| next < file.size())
}

fn cut_off(claimed: u64, present: u64, block_align: u64) -> Mended {
    Mended {
        claimed_frames: claimed.checked_div(block_align),
        warning: Some(format!("the file is cut off: its header announces {claimed} bytes of samples, {present} are there")),
    }
}

fn little_endian_u16(file: &mut File, at: u64) -> Result<Option<u16>> {
    Ok(file.word(at)?.map(u16::from_le_bytes))
}

fn little_endian_u32(file: &mut File, at: u64) -> Result<Option<u32>> {
    Ok(file.word(at)?.map(u32::from_le_bytes))
}
