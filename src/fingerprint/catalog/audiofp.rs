//! Fingerprints of the crate audiofp, version 1 of its byte format: landmarks of Wang's on the grid that is used here, and Haitsma's bits
//! on the grid of profile `5k`.
//!
//! "AUDIOFP\0" | version u8 = 1 | algorithm u8 (0 Wang, 1 Panako, 2 Haitsma) | count u32 | frames per second f32 | items. An item of Wang's:
//! hash u32 (anchor bin in bits 31..23, target bin in 22..14, frames between them in 13..0) | anchor frame u32. One of Haitsma's: the bits of
//! frame 1, 2, ... u32, the lowest bands in the highest bit. Little-endian. The format is the one that audiofp 0.4.5 documents and writes;
//! `tests/data/audiofp` holds fingerprints that it wrote.

use super::Replace;
use super::index::{Index, Prepared};
use crate::error::{Error, Result};
use crate::fingerprint::haitsma::{self, SubFingerprint};
use crate::fingerprint::landmark::Fields;
use crate::fingerprint::print::{Algorithm, Layer, Print, Profile};
use crate::fingerprint::wang::TICK_SECONDS;
use crate::fingerprint::wire::Reader;

const MAGIC: [u8; 8] = *b"AUDIOFP\0";
const VERSION: u8 = 1;
const WANG: u8 = 0;
const HAITSMA: u8 = 2;

/// Whether bytes are such a blob rather than a print.
pub fn is_blob(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Checks a blob's enrolment and cuts it. The second value is the number of hashes whose bins or frames lie too far apart to be stored.
///
/// # Errors
/// [`Error::InvalidInput`] with the byte for a blob that is damaged or of another version or algorithm; those of an enrolment.
pub fn prepare(index: &Index, id: &str, metadata: &str, blob: &[u8], replace: Replace) -> Result<(Prepared, usize)> {
    let scheme = index.scheme();
    match (scheme.algorithm(), scheme.profile()) {
        (Algorithm::Wang, Profile::Default | Profile::Dense) => {
            let (landmarks, dropped) = read_landmarks(blob)?;
            let last = landmarks.iter().map(|&(_, tick, length)| f64::from(tick) + f64::from(length)).fold(0.0, f64::max);
            let landmarks = landmarks.into_iter().map(|(key, tick, _)| (key, tick));
            Ok((index.prepare_landmarks(id, metadata, last * TICK_SECONDS, landmarks, replace)?, dropped))
        }
        (Algorithm::Haitsma, Profile::FiveKilohertz) => {
            let frames = read_bits(blob)?;
            let after_first = frames.len().saturating_sub(1) * haitsma::HOP_LENGTH + haitsma::FRAME_LENGTH;
            let duration = after_first as f64 / haitsma::Grid::of(scheme.profile()).sample_rate();
            let print = Print::new(scheme, duration, Vec::new(), vec![Layer::Bits(frames)]);
            Ok((index.prepare(id, metadata, &print, replace)?, 0))
        }
        _ => Err(Error::invalid(format!(
            "fingerprints of audiofp go into a catalogue of wang with profile \"default\" or \"dense\", or of haitsma with profile \"5k\", this \
             one is of {scheme}: open another"
        ))),
    }
}

/// Key, tick and length in frames of a landmark.
type BlobLandmark = (u32, u32, u16);

/// The landmarks of a blob by tick, and the number of those left out.
fn read_landmarks(blob: &[u8]) -> Result<(Vec<BlobLandmark>, usize)> {
    let (mut reader, count) = read_head(blob, WANG, 62.5, 8)?;
    let mut landmarks = Vec::with_capacity(count);
    let mut dropped = 0;
    for _ in 0..count {
        let (hash, tick) = (u32::from_le_bytes(reader.take()?), u32::from_le_bytes(reader.take()?));
        let (anchor_bin, target_bin) = ((hash >> 23) as u16, (hash >> 14 & 511) as u16);
        let frame_step = (hash & 0x3fff) as u16;
        let fields = Fields { anchor_bin, bin_step: target_bin as i16 - anchor_bin as i16, frame_step, context: 0 };
        match fields.pack() {
            Some(packed) => landmarks.push((packed >> 10, tick, frame_step)),
            None => dropped += 1,
        }
    }
    landmarks.sort_unstable_by_key(|&(key, tick, _)| (tick, key));
    Ok((landmarks, dropped))
}

/// The frames of a blob from frame 0 on, which has no bits. Which of the bits are weak it does not tell.
fn read_bits(blob: &[u8]) -> Result<Vec<SubFingerprint>> {
    let (mut reader, count) = read_head(blob, HAITSMA, 78.125, 4)?;
    let mut frames = vec![SubFingerprint::default()];
    for _ in 0..count {
        frames.push(SubFingerprint { bits: u32::from_le_bytes(reader.take()?).reverse_bits(), weak: 0 });
    }
    Ok(frames)
}

/// Checks a blob of an algorithm up to its items, and that as many follow as are announced.
fn read_head(blob: &[u8], wanted: u8, wanted_rate: f32, item_bytes: usize) -> Result<(Reader<'_>, usize)> {
    let mut reader = Reader::new(blob, 0);
    let magic: [u8; 8] = reader.take()?;
    if magic != MAGIC {
        return Err(reader.damaged(MAGIC.len(), format!("the file begins with \"{}\", not \"AUDIOFP\"", magic.escape_ascii())));
    }
    let [version, algorithm] = reader.take()?;
    if version != VERSION {
        return Err(Error::invalid(format!(
            "byte 8: audiofp's format version {version}, read here is {VERSION}: convert the file with audiofp"
        )));
    }
    if algorithm != wanted {
        let name = |algorithm: u8| ["Wang", "Panako", "Haitsma"].get(usize::from(algorithm)).map_or("unknown", |name| name);
        let (found, wanted) = (name(algorithm), name(wanted));
        return Err(Error::invalid(format!(
            "byte 9: algorithm {algorithm} of audiofp ({found}) does not compare with what this catalogue holds, {wanted} does: open one with \
             the algorithm's options, or extract it anew"
        )));
    }
    let count = u32::from_le_bytes(reader.take()?) as usize;
    let frames_per_second = f32::from_le_bytes(reader.take()?);
    if (frames_per_second - wanted_rate).abs() > 1e-3 {
        return Err(reader.damaged(4, format!("{frames_per_second} frames per second instead of {wanted_rate}")));
    }
    if Some(reader.left()) != count.checked_mul(item_bytes) {
        return Err(reader.damaged(0, format!("{count} items are announced, {} bytes follow", reader.left())));
    }
    Ok((reader, count))
}

#[cfg(test)]
mod tests {
    use super::{read_bits, read_landmarks};
    use proptest::prelude::*;

    fn blob(items: &[(u32, u32, u32, u32)]) -> Vec<u8> {
        let mut bytes = b"AUDIOFP\0\x01\x00".to_vec();
        bytes.extend((items.len() as u32).to_le_bytes());
        bytes.extend(62.5f32.to_le_bytes());
        for (anchor, target, step, tick) in items {
            bytes.extend((anchor << 23 | target << 14 | step).to_le_bytes());
            bytes.extend(tick.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn hashes_are_packed_anew_and_those_too_far_apart_counted() {
        let (landmarks, dropped) = read_landmarks(&blob(&[(100, 163, 7, 9), (100, 164, 7, 3), (100, 36, 63, 1), (1, 2, 64, 5)])).unwrap();
        // 100 << 13 | (63 + 64) << 6 | 7 and 100 << 13 | (-64 + 64) << 6 | 63, by tick.
        assert_eq!((landmarks, dropped), (vec![(819_263, 1, 63), (827_335, 9, 7)], 2));
    }

    #[test]
    fn bits_are_turned_round_and_begin_with_frame_one() {
        let mut blob = b"AUDIOFP\0\x01\x02\x02\0\0\0".to_vec();
        blob.extend(78.125f32.to_le_bytes());
        blob.extend([0x8000_0001u32, 0xF000_0000].iter().flat_map(|bits| bits.to_le_bytes()));
        let bits: Vec<u32> = read_bits(&blob).unwrap().iter().map(|frame| frame.bits).collect();
        assert_eq!(bits, [0, 0x8000_0001, 0x0000_000F]);
        assert!(read_bits(&blob[..blob.len() - 1]).is_err() && read_landmarks(&blob).is_err());
    }

    #[test]
    fn other_versions_algorithms_lengths_and_cuts_are_refused_naming_the_byte() {
        let good = blob(&[(100, 120, 7, 9)]);
        let with = |at: usize, value: u8| {
            let mut changed = good.clone();
            changed[at] = value;
            changed
        };
        let mut bad = vec![with(0, b'B'), with(8, 2), with(9, 1), with(10, 2), with(13, 255), with(16, 0)];
        bad.extend((0..good.len()).map(|end| good[..end].to_vec()));
        for bytes in bad {
            let error = read_landmarks(&bytes).unwrap_err();
            assert!(error.kind() == "invalid-input" && error.to_string().contains("byte"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn random_blobs_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut blob = b"AUDIOFP\0\x01\x00".to_vec();
            blob.extend(&bytes);
            let _ = read_landmarks(&blob);
            blob[9] = 2;
            let _ = read_bits(&blob);
        }
    }
}
