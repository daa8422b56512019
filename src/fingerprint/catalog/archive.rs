//! A catalogue as bytes.
//!
//! A [`Header`] whose payload is a sequence of records, each `length u32 | CRC-32 u32 | content`: first the totals (tracks u32, parts
//! u32, postings u32), then the tracks, then the postings in the packed form of [`Postings`]. Removed tracks are left out, so that the
//! bytes depend on what is enrolled, in which order, and not on what was merged when.

use super::postings::{Postings, ROW_BYTES};
use super::segment::Segments;
use super::{Catalog, PARTS, Part, Track, check_id, check_metadata};
use crate::error::{Error, Result};
use crate::fingerprint::matching::PART_TICKS;
use crate::fingerprint::wire::{KIND_EXPORT, MAGIC, Reader, check_algorithm, check_kind, header};
use crate::header::{HEADER_BYTES, Header};

/// Largest content of a record: a damaged one is told by its place.
const RECORD_BYTES: usize = 65_536;
/// Bytes of a record before its content.
const RECORD_HEAD: usize = 8;

impl Catalog {
    /// The catalogue as bytes, removed tracks left out.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn export(&self) -> Result<Vec<u8>> {
        let mut compact = self.clone();
        compact.compact()?;
        let mut content = Vec::new();
        let postings = compact.segments.sealed().next();
        let mut totals = Vec::new();
        for count in [compact.tracks.len(), compact.parts.len(), postings.map_or(0, Postings::len)] {
            totals.extend_from_slice(&(count as u32).to_le_bytes());
        }
        put_records(&mut content, &totals);
        let mut tracks = Vec::new();
        let mut parts = compact.parts.iter().peekable();
        for (track, number) in compact.tracks.iter().zip(0u32..) {
            put_text(&mut tracks, &track.id);
            put_text(&mut tracks, &track.metadata);
            tracks.extend_from_slice(&track.duration.to_le_bytes());
            tracks.extend_from_slice(&(track.postings as u32).to_le_bytes());
            let own: Vec<&Part> = std::iter::from_fn(|| parts.next_if(|part| part.track == number)).collect();
            tracks.extend_from_slice(&(own.len() as u32).to_le_bytes());
            for part in own {
                tracks.push(part.layer);
                tracks.extend_from_slice(&part.index.to_le_bytes());
                tracks.extend_from_slice(&part.ticks.to_le_bytes());
            }
        }
        tracks.splice(0..0, (tracks.len() as u64).to_le_bytes());
        put_records(&mut content, &tracks);
        if let Some(postings) = postings {
            let (counts, escapes, low_keys, rows) = postings.parts();
            let mut packed = Vec::with_capacity(counts.len() + 8 * escapes.len() + low_keys.len() + rows.len() + 16);
            packed.extend_from_slice(&(counts.len() as u32).to_le_bytes());
            packed.extend_from_slice(&(escapes.len() as u32).to_le_bytes());
            packed.extend_from_slice(&(low_keys.len() as u64).to_le_bytes());
            packed.extend_from_slice(counts);
            for (bucket, count) in escapes {
                packed.extend_from_slice(&bucket.to_le_bytes());
                packed.extend_from_slice(&count.to_le_bytes());
            }
            packed.extend_from_slice(low_keys);
            packed.extend_from_slice(rows);
            put_records(&mut content, &packed);
        }
        let header = Header { payload_length: content.len() as u64, ..header(KIND_EXPORT, self.scheme) };
        let mut bytes = header.to_bytes().to_vec();
        bytes.append(&mut content);
        Ok(bytes)
    }

    /// Reads what [`Catalog::export`] wrote.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the byte offset for anything else; [`Error::OutOfMemory`].
    pub fn import(bytes: &[u8]) -> Result<Self> {
        let (header, payload) = Header::read(bytes, MAGIC)?;
        check_kind(&header, KIND_EXPORT)?;
        let scheme = check_algorithm(&header)?;
        if header.payload_length != payload.len() as u64 {
            return Err(Error::invalid(format!(
                "byte 16: the catalogue has {} bytes behind its header, there are {}: the file is cut off or has something appended",
                header.payload_length,
                payload.len()
            )));
        }
        let content = read_records(payload)?;
        // Offsets in the errors below count content, which lies in the file with the heads of its records in between.
        let mut reader = Reader::new(&content, HEADER_BYTES);
        let track_count = u32::from_le_bytes(reader.take()?);
        let part_count = u32::from_le_bytes(reader.take()?);
        let posting_count = u32::from_le_bytes(reader.take()?) as usize;
        if part_count as usize > PARTS {
            return Err(reader.damaged(8, format!("{part_count} parts, at most {PARTS} have numbers")));
        }
        let length = u64::from_le_bytes(reader.take()?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut catalog = Self::new(scheme);
        let mut tracks = Reader::new(reader.slice(length)?, HEADER_BYTES + 20);
        for number in 0..track_count {
            catalog.read_track(&mut tracks, number)?;
        }
        if tracks.left() > 0 || catalog.parts.len() != part_count as usize {
            return Err(tracks.damaged(0, format!("{} parts of {part_count}, {} bytes left over", catalog.parts.len(), tracks.left())));
        }
        if catalog.tracks.iter().map(|track| track.postings).sum::<usize>() != posting_count {
            return Err(reader.damaged(0, format!("the tracks' postings do not sum to {posting_count}")));
        }
        if posting_count > 0 {
            let key_bits = scheme.key_bits();
            let counts_length = u32::from_le_bytes(reader.take()?) as usize;
            let escape_count = u32::from_le_bytes(reader.take()?) as usize;
            let low_keys_length = usize::try_from(u64::from_le_bytes(reader.take()?)).unwrap_or(usize::MAX);
            let counts = reader.slice(counts_length)?;
            let mut escapes = Vec::new();
            for _ in 0..escape_count {
                escapes.push((u32::from_le_bytes(reader.take()?), u32::from_le_bytes(reader.take()?)));
            }
            let low_keys = reader.slice(low_keys_length)?;
            let rows = reader.slice(posting_count.saturating_mul(ROW_BYTES))?;
            catalog.segments = Segments::of(Postings::from_parts(key_bits, counts, escapes, low_keys, rows, part_count)?);
        }
        if reader.left() > 0 {
            return Err(reader.damaged(0, format!("{} bytes behind the last posting", reader.left())));
        }
        Ok(catalog)
    }

    fn read_track(&mut self, reader: &mut Reader<'_>, number: u32) -> Result<()> {
        let id = take_text(reader)?;
        check_id(&id)?;
        let metadata = take_text(reader)?;
        check_metadata(&metadata)?;
        let duration = f64::from_le_bytes(reader.take()?);
        if !(0.0..=1e9).contains(&duration) {
            return Err(reader.damaged(8, format!("a duration of {duration} s")));
        }
        let postings = u32::from_le_bytes(reader.take()?) as usize;
        let part_count = u32::from_le_bytes(reader.take()?);
        for _ in 0..part_count {
            let [layer] = reader.take()?;
            let index = u32::from_le_bytes(reader.take()?);
            let ticks = u32::from_le_bytes(reader.take()?);
            if ticks > PART_TICKS {
                return Err(reader.damaged(4, format!("a part of {ticks} ticks, the longest has {PART_TICKS}")));
            }
            self.parts.push(Part { track: number, layer, index, ticks });
            self.rows.push(Vec::new());
        }
        if self.live.insert(id.clone(), number).is_some() {
            return Err(reader.damaged(0, format!("id {id:?} a second time")));
        }
        self.tracks.push(Track { id, metadata, duration, is_live: true, postings });
        Ok(())
    }
}

/// Appends records that hold `content`.
fn put_records(bytes: &mut Vec<u8>, content: &[u8]) {
    for piece in content.chunks(RECORD_BYTES) {
        bytes.extend_from_slice(&(piece.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(piece).to_le_bytes());
        bytes.extend_from_slice(piece);
    }
}

/// The content of all records.
fn read_records(payload: &[u8]) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    content.try_reserve_exact(payload.len()).map_err(|_| Error::OutOfMemory { what: "the catalogue", bytes: payload.len() as u64 })?;
    let mut reader = Reader::new(payload, HEADER_BYTES);
    while reader.left() > 0 {
        let length = u32::from_le_bytes(reader.take()?) as usize;
        let checksum = u32::from_le_bytes(reader.take()?);
        if length > RECORD_BYTES {
            return Err(reader.damaged(RECORD_HEAD, format!("a record of {length} bytes, the longest has {RECORD_BYTES}")));
        }
        let piece = reader.slice(length)?;
        if crc32fast::hash(piece) != checksum {
            return Err(reader.damaged(length, "a record whose checksum does not agree".to_string()));
        }
        content.extend_from_slice(piece);
    }
    Ok(content)
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn take_text(reader: &mut Reader<'_>) -> Result<String> {
    let length = u32::from_le_bytes(reader.take()?) as usize;
    let bytes = reader.slice(length)?;
    String::from_utf8(bytes.to_vec()).map_err(|error| reader.damaged(length, error.to_string()))
}
