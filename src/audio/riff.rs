//! The lengths in WAV and AIFF headers, put right before they are believed.
//!
//! A recorder that was switched off, a stream written to a pipe and a download cut short all leave a header whose lengths are not
//! those of the file: 0, 0xFFFFFFFF, or more than is there. They are rewritten in place to what is there. Sources: Microsoft/IBM,
//! Multimedia Programming Interface 1.0 (1991); EBU Tech 3306 (RF64); Apple, AIFF 1.3 (1989).

use super::big_endian_u32;

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

/// Rewrites the lengths of a WAV, RF64 or AIFF file that are not those of the file; other files are left alone.
pub(super) fn mend(bytes: &mut [u8]) -> Mended {
    let (Some(id), Some(form)) = (bytes.get(..4), bytes.get(8..12)) else { return Mended::default() };
    match (id, form) {
        (b"RIFF" | b"RF64", b"WAVE") => mend_wave(bytes),
        (b"FORM", b"AIFF" | b"AIFC") => mend_aiff(bytes),
        _ => Mended::default(),
    }
}

fn mend_wave(bytes: &mut [u8]) -> Mended {
    let riff_size = little_endian_u32(bytes, 4).unwrap_or(0);
    let mut mended = Mended::default();
    let mut block_align = 0_u64;
    let mut long_data_size = None;
    let mut at = 12;
    while let (Some(id), Some(size)) = (bytes.get(at..at + 4), little_endian_u32(bytes, at + 4)) {
        let body = at + 8;
        match id {
            b"fmt " => block_align = bytes.get(body + 12..body + 14).map_or(0, |b| u64::from(u16::from_le_bytes([b[0], b[1]]))),
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
        let Some(next) = body.checked_add(size as usize + size as usize % 2) else { break };
        at = next;
    }
    write_u32(bytes, 0, *b"RIFF");
    let whole = u32::try_from(bytes.len().saturating_sub(8)).unwrap_or(UNKNOWN - 1);
    write_u32(bytes, 4, whole.to_le_bytes());
    mended
}

fn mend_aiff(bytes: &mut [u8]) -> Mended {
    let mut mended = Mended::default();
    let mut block_align = 0_u64;
    let mut at = 12;
    while let (Some(id), Some(size)) = (bytes.get(at..at + 4), big_endian_u32(bytes, at + 4)) {
        let body = at + 8;
        let present = (bytes.len() - body) as u64;
        match id {
            b"COMM" => {
                if let Some(&[c0, c1, _, _, _, _, b0, b1]) = bytes.get(body..body + 8) {
                    block_align = u64::from(u16::from_be_bytes([c0, c1])) * u64::from(u16::from_be_bytes([b0, b1])).div_ceil(8);
                }
            }
            b"SSND" if u64::from(size) > present => {
                // Offset and block size, 4 bytes each, come before the samples.
                let samples = present.saturating_sub(8);
                mended = cut_off(u64::from(size) - 8, samples, block_align);
                let kept = samples / block_align.max(1) * block_align.max(1) + 8.min(present);
                write_u32(bytes, at + 4, u32::try_from(kept).unwrap_or(UNKNOWN - 1).to_be_bytes());
                break;
            }
            _ => {}
        }
        let Some(next) = body.checked_add(size as usize + size as usize % 2) else { break };
        at = next;
    }
    let whole = u32::try_from(bytes.len().saturating_sub(8)).unwrap_or(UNKNOWN - 1);
    write_u32(bytes, 4, whole.to_be_bytes());
    mended
}

fn cut_off(claimed: u64, present: u64, block_align: u64) -> Mended {
    Mended {
        claimed_frames: claimed.checked_div(block_align),
        warning: Some(format!("the file is cut off: its header announces {claimed} bytes of samples, {present} are there")),
    }
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
