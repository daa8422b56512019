//! Which part of an MP4 audio track is to be heard.
//!
//! An AAC encoder puts 1 024 to 2 112 frames of run-in before the sound and fills the last packet. MP4 says so in two ways: the edit
//! list of the track (ISO/IEC 14496-12, 8.6.6) and, in Apple's files, the comment `iTunSMPB`, which is exact to the sample where an
//! edit list is exact to a tick of the movie's clock, often 1 ms.

use super::source::File;
use crate::error::Result;

/// The part of a track that is to be heard, in frames of the track.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Trim {
    /// Frames to drop at the start.
    pub(super) start: u64,
    /// Frames to keep after that; `None`: to the end of the media.
    pub(super) frames: Option<u64>,
}

/// Frames by which an edit list may fall short of the media before its end is believed: a whole AAC packet. Below that the end of
/// the media, counted sample by sample, is the better figure, and the one ffmpeg takes.
const END_TOLERANCE: u64 = 1_024;

/// Largest `moov` box that is read. A day of AAC in packets of 1 024 frames is described by 15 MB.
const LARGEST_MOVIE_BOX: u64 = 1 << 26;

/// The body of the `moov` box of an MP4 file; `None` if the file is no MP4, or that box is missing or absurdly large.
///
/// # Errors
/// [`crate::Error::InvalidInput`] if the file cannot be read, [`crate::Error::OutOfMemory`].
pub(super) fn movie_box(file: &mut File) -> Result<Option<Vec<u8>>> {
    if file.word::<4>(4)? != Some(*b"ftyp") {
        return Ok(None);
    }
    let mut at = 0;
    while let (Some(size), Some(kind)) = (file.word::<4>(at)?, file.word::<4>(at + 4)?) {
        let (header, size) = match u32::from_be_bytes(size) {
            0 => (8, file.size() - at),
            1 => (16, file.word::<8>(at + 8)?.map_or(0, u64::from_be_bytes)),
            size => (8, u64::from(size)),
        };
        let Some(end) = at.checked_add(size).filter(|&end| size >= header && end <= file.size()) else { break };
        if &kind == b"moov" {
            let is_sane = size <= LARGEST_MOVIE_BOX;
            return if is_sane { file.span(at + header, (size - header) as usize).map(Some) } else { Ok(None) };
        }
        at = end;
    }
    Ok(None)
}

/// Reads the trim of the first audio track from the body of a `moov` box, for a media of `media_frames` frames; `None` if it says
/// nothing.
pub(super) fn read_trim(moov: &[u8], sample_rate: u32, media_frames: Option<u64>) -> Option<Trim> {
    let trim = itunes_trim(moov).or_else(|| edit_trim(moov, sample_rate, media_frames))?;
    let media_frames = media_frames?;
    let left = media_frames.checked_sub(trim.start).filter(|&left| left > 0)?;
    Some(Trim { start: trim.start, frames: Some(trim.frames.map_or(left, |frames| frames.min(left))) })
}

fn edit_trim(moov: &[u8], sample_rate: u32, media_frames: Option<u64>) -> Option<Trim> {
    let movie_scale = u64::from(time_scale(find(moov, &[b"mvhd"])?)?);
    let track = boxes(moov).filter(|(kind, _)| kind == b"trak").map(|(_, body)| body).find(|track| {
        // Handler type: version and flags, a reserved word, then four letters.
        find(track, &[b"mdia", b"hdlr"]).and_then(|handler| handler.get(8..12)) == Some(b"soun")
    })?;
    let media_scale = u64::from(time_scale(find(track, &[b"mdia", b"mdhd"])?)?);
    let list = find(track, &[b"edts", b"elst"])?;
    let entry = if list.first() == Some(&1) { 20 } else { 12 };
    let count = big_endian_u32(list, 4)? as usize;
    let edits: Vec<(u64, i64)> = list.get(8..)?.chunks_exact(entry).take(count).filter_map(edit).collect();
    // Empty edits (media time -1) delay a track in a film; one edit of the media is what encoders write. More would be a montage.
    let mut played = edits.iter().filter(|(_, media_time)| *media_time >= 0);
    let (&(duration, media_time), None) = (played.next()?, played.next()) else { return None };
    if movie_scale == 0 || media_scale == 0 {
        return None;
    }
    let rate = u64::from(sample_rate);
    let start = scale(u64::try_from(media_time).ok()?, rate, media_scale)?;
    let kept = scale(duration, rate, movie_scale)?;
    let is_cut = duration > 0 && media_frames.is_some_and(|frames| frames.saturating_sub(start).saturating_sub(kept) >= END_TOLERANCE);
    Some(Trim { start, frames: is_cut.then_some(kept) })
}

/// One entry of an edit list: duration in ticks of the movie, start in ticks of the media.
fn edit(entry: &[u8]) -> Option<(u64, i64)> {
    match entry.len() {
        20 => Some((u64::from_be_bytes(entry.get(..8)?.try_into().ok()?), i64::from_be_bytes(entry.get(8..16)?.try_into().ok()?))),
        _ => Some((u64::from(big_endian_u32(entry, 0)?), i64::from(big_endian_u32(entry, 4)? as i32))),
    }
}

/// The value of `iTunSMPB`: hexadecimal words, of which the second is the run-in, the third the filling, the fourth the length.
fn itunes_trim(moov: &[u8]) -> Option<Trim> {
    // `meta` is a full box: four bytes of version and flags before its children.
    let meta = find(moov, &[b"udta", b"meta"])?.get(4..)?;
    let list = find(meta, &[b"ilst"])?;
    let item =
        boxes(list).find(|(kind, body)| kind == b"----" && find(body, &[b"name"]).and_then(|name| name.get(4..)) == Some(b"iTunSMPB"))?.1;
    let text = std::str::from_utf8(find(item, &[b"data"])?.get(8..)?).ok()?;
    let words: Vec<u64> = text.split_whitespace().map_while(|word| u64::from_str_radix(word, 16).ok()).collect();
    let &[_, start, _, frames, ..] = words.as_slice() else { return None };
    (frames > 0).then_some(Trim { start, frames: Some(frames) })
}

/// Ticks per second from a movie or media header: after 16 bytes in version 0 (version, times), 24 in version 1.
fn time_scale(header: &[u8]) -> Option<u32> {
    big_endian_u32(header, if header.first() == Some(&1) { 20 } else { 12 })
}

fn scale(ticks: u64, to: u64, from: u64) -> Option<u64> {
    u64::try_from(u128::from(ticks) * u128::from(to) / u128::from(from)).ok()
}

/// The big-endian 32-bit number at `at`, if it is there.
fn big_endian_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

/// The body of the box at `path` within `bytes`.
fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |inside, kind| boxes(inside).find(|(found, _)| found == *kind).map(|(_, body)| body))
}

/// The boxes that lie one after the other in `bytes`: kind and body. Ends at the first that does not fit, as in a file cut short.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let kind: [u8; 4] = rest.get(4..8)?.try_into().ok()?;
        let (header, size) = match big_endian_u32(rest, 0)? {
            0 => (8, rest.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(rest.get(8..16)?.try_into().ok()?)).ok()?),
            size => (8, size as usize),
        };
        let body = rest.get(header..size)?;
        rest = rest.get(size..)?;
        Some((kind, body))
    })
}

#[cfg(test)]
mod tests {
    use super::{File, Trim, movie_box};

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend_from_slice(kind);
        bytes.extend_from_slice(body);
        bytes
    }

    /// A movie clock of 1000 ticks, a media clock of 44100, and these edits in the 32-bit form; with `extra` at the end of `moov`.
    fn movie(edits: &[(u32, i32)], extra: &[u8]) -> Vec<u8> {
        let clock = |ticks: u32| [&[0; 12], &ticks.to_be_bytes()[..], &[0; 4]].concat();
        let mut list = [[0; 4], (edits.len() as u32).to_be_bytes()].concat();
        for (duration, media_time) in edits {
            list.extend_from_slice(&duration.to_be_bytes());
            list.extend_from_slice(&media_time.to_be_bytes());
            list.extend_from_slice(&[0, 1, 0, 0]);
        }
        let handler = [&[0; 8], &b"soun"[..]].concat();
        let media = [boxed(b"mdhd", &clock(44_100)), boxed(b"hdlr", &handler)].concat();
        let track = [boxed(b"edts", &boxed(b"elst", &list)), boxed(b"mdia", &media)].concat();
        let moov = [boxed(b"mvhd", &clock(1_000)), boxed(b"trak", &track), extra.to_vec()].concat();
        [boxed(b"ftyp", b"M4A "), boxed(b"moov", &moov)].concat()
    }

    fn read_trim(bytes: &[u8], sample_rate: u32, media_frames: Option<u64>) -> Option<Trim> {
        super::read_trim(&movie_box(&mut File::new(Box::new(bytes.to_vec()))).unwrap()?, sample_rate, media_frames)
    }

    #[test]
    fn the_run_in_is_dropped_and_the_media_kept_to_its_end() {
        // 280 ms are 12 348 frames, within a packet of the 12 345 that the media has: the media is the better figure.
        let trim = read_trim(&movie(&[(280, 1_024)], &[]), 44_100, Some(13_369));
        assert_eq!(trim, Some(Trim { start: 1_024, frames: Some(12_345) }));
    }

    #[test]
    fn an_edit_that_ends_well_before_the_media_cuts_it() {
        let trim = read_trim(&movie(&[(100, 1_024)], &[]), 44_100, Some(13_369));
        assert_eq!(trim, Some(Trim { start: 1_024, frames: Some(4_410) }));
    }

    #[test]
    fn an_empty_edit_before_the_sound_is_no_montage_but_two_edits_are() {
        assert_eq!(read_trim(&movie(&[(50, -1), (280, 1_024)], &[]), 44_100, Some(13_369)).map(|trim| trim.start), Some(1_024));
        assert_eq!(read_trim(&movie(&[(100, 0), (100, 9_000)], &[]), 44_100, Some(13_369)), None);
    }

    #[test]
    fn apples_comment_is_exact_and_comes_first() {
        let data = [&[0, 0, 0, 1, 0, 0, 0, 0], &b" 00000000 00000840 000001C4 0000000000002FFC 00000000"[..]].concat();
        let item = [boxed(b"name", b"\0\0\0\0iTunSMPB"), boxed(b"data", &data)].concat();
        let meta = [&[0; 4], &boxed(b"ilst", &boxed(b"----", &item))[..]].concat();
        let extra = boxed(b"udta", &boxed(b"meta", &meta));
        let trim = read_trim(&movie(&[(280, 1_024)], &extra), 44_100, Some(14_848));
        assert_eq!(trim, Some(Trim { start: 0x840, frames: Some(0x2ffc) }));
    }

    #[test]
    fn a_run_in_longer_than_the_media_and_a_zero_clock_are_not_believed() {
        assert_eq!(read_trim(&movie(&[(280, 20_000)], &[]), 44_100, Some(13_369)), None);
        let mut bytes = movie(&[(280, 1_024)], &[]);
        let clock = bytes.windows(4).position(|window| window == b"mvhd").unwrap() + 16;
        bytes[clock..clock + 4].fill(0);
        assert_eq!(read_trim(&bytes, 44_100, Some(13_369)), None);
    }
}
