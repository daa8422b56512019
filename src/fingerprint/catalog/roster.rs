//! Tracks and the parts they are cut into: what the postings of a segment refer to.

use crate::error::Result;
use crate::fingerprint::cells::CELLS_OF_ONE;
use crate::fingerprint::matching::PART_TICKS;
use crate::fingerprint::wire::Reader;

use super::{check_id, check_metadata};

/// A track as the catalogue keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    pub id: String,
    /// JSON as it was given.
    pub metadata: String,
    pub duration: f64,
    pub is_live: bool,
    pub postings: usize,
    /// Number of its first part.
    pub first_part: u32,
    /// Number of its parts.
    pub part_count: u32,
}

/// A part of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Number of its track in the same roster.
    pub track: u32,
    pub layer: u8,
    /// Parts of the same layer before it.
    pub index: u32,
    /// Ticks up to its last posting or row.
    pub ticks: u32,
    /// Rows for verification, one per tick; empty for landmarks.
    pub rows: Vec<u8>,
    /// The cells of each row, where rows are sorted into cells. They are not stored.
    pub cells: Vec<[u16; CELLS_OF_ONE]>,
}

/// Tracks and parts, each numbered from 0. The parts of a track follow each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Roster {
    pub tracks: Vec<Track>,
    pub parts: Vec<Part>,
}

impl Roster {
    /// Whether a part's track is live.
    pub fn is_live(&self, part: u32) -> bool {
        let track = self.parts.get(part as usize).and_then(|part| self.tracks.get(part.track as usize));
        track.is_some_and(|track| track.is_live)
    }

    /// Whether `next` continues `part` in the same track and layer.
    pub fn continues(&self, part: u32, next: u32) -> bool {
        match (self.parts.get(part as usize), self.parts.get(next as usize)) {
            (Some(part), Some(next)) => (part.track, part.layer, part.index + 1) == (next.track, next.layer, next.index),
            _ => false,
        }
    }

    /// Adds a track with its parts, whose `track` is set here.
    pub fn add(&mut self, track: Track, parts: impl IntoIterator<Item = Part>) {
        let number = self.tracks.len() as u32;
        let first_part = self.parts.len() as u32;
        self.parts.extend(parts.into_iter().map(|part| Part { track: number, ..part }));
        let part_count = self.parts.len() as u32 - first_part;
        self.tracks.push(Track { first_part, part_count, ..track });
    }

    /// The parts of a track.
    pub fn parts_of(&self, track: &Track) -> &[Part] {
        let first = track.first_part as usize;
        self.parts.get(first..first + track.part_count as usize).unwrap_or_default()
    }

    /// Appends the live tracks of another roster. Returns the new number of each of its parts, nothing for dead ones.
    pub fn append_live(&mut self, other: &Self) -> Vec<Option<u32>> {
        let mut numbers = vec![None; other.parts.len()];
        for track in other.tracks.iter().filter(|track| track.is_live) {
            let first = self.parts.len() as u32;
            let places = numbers.iter_mut().skip(track.first_part as usize).take(track.part_count as usize);
            for (place, number) in places.zip(first..) {
                *place = Some(number);
            }
            self.add(track.clone(), other.parts_of(track).iter().cloned());
        }
        numbers
    }

    /// Sum of the tracks' postings.
    pub fn postings(&self) -> usize {
        self.tracks.iter().map(|track| track.postings).sum()
    }

    /// Sum of the live tracks' postings.
    pub fn live_postings(&self) -> usize {
        self.tracks.iter().filter(|track| track.is_live).map(|track| track.postings).sum()
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        let text: usize = self.tracks.iter().map(|track| track.id.len() + track.metadata.len()).sum();
        let rows: usize = self.parts.iter().map(|part| part.rows.len() + part.cells.len() * size_of::<[u16; CELLS_OF_ONE]>()).sum();
        text + rows + self.tracks.capacity() * size_of::<Track>() + self.parts.capacity() * size_of::<Part>()
    }

    /// Appends it as bytes: tracks u32, then per track id, metadata, duration f64, postings u32, parts u32, and per part layer u8, index
    /// u32, ticks u32, rows. Text and rows have their length in front. Which are live is not told.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&(self.tracks.len() as u32).to_le_bytes());
        for track in &self.tracks {
            put_block(bytes, track.id.as_bytes());
            put_block(bytes, track.metadata.as_bytes());
            bytes.extend_from_slice(&track.duration.to_le_bytes());
            bytes.extend_from_slice(&(track.postings as u32).to_le_bytes());
            bytes.extend_from_slice(&track.part_count.to_le_bytes());
            for part in self.parts_of(track) {
                bytes.push(part.layer);
                bytes.extend_from_slice(&part.index.to_le_bytes());
                bytes.extend_from_slice(&part.ticks.to_le_bytes());
                put_block(bytes, &part.rows);
            }
        }
    }

    /// Reads what [`Roster::encode`] wrote; all tracks are live. `row_bytes` is the length of a row.
    ///
    /// # Errors
    /// [`crate::Error::InvalidInput`] with the byte offset for anything else.
    pub fn decode(reader: &mut Reader<'_>, row_bytes: usize) -> Result<Self> {
        let mut roster = Self::default();
        let track_count = u32::from_le_bytes(reader.take()?);
        for _ in 0..track_count {
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
            let mut parts = Vec::new();
            for _ in 0..part_count {
                let [layer] = reader.take()?;
                let index = u32::from_le_bytes(reader.take()?);
                let ticks = u32::from_le_bytes(reader.take()?);
                if ticks > PART_TICKS {
                    return Err(reader.damaged(4, format!("a part of {ticks} ticks, the longest has {PART_TICKS}")));
                }
                let rows = take_block(reader)?;
                if rows.len() > ticks as usize * row_bytes {
                    return Err(reader.damaged(0, format!("{} bytes of rows for {ticks} ticks of {row_bytes} bytes", rows.len())));
                }
                parts.push(Part { track: 0, layer, index, ticks, rows: rows.to_vec(), cells: Vec::new() });
            }
            let track = Track { id, metadata, duration, is_live: true, postings, first_part: 0, part_count: 0 };
            roster.add(track, parts);
        }
        Ok(roster)
    }
}

/// Appends bytes with their length in front.
pub(super) fn put_block(bytes: &mut Vec<u8>, block: &[u8]) {
    bytes.extend_from_slice(&(block.len() as u32).to_le_bytes());
    bytes.extend_from_slice(block);
}

/// Reads bytes with their length in front.
pub(super) fn take_block<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
    let length = u32::from_le_bytes(reader.take()?) as usize;
    reader.slice(length)
}

/// Reads text with its length in front.
pub(super) fn take_text(reader: &mut Reader<'_>) -> Result<String> {
    let bytes = take_block(reader)?;
    String::from_utf8(bytes.to_vec()).map_err(|error| reader.damaged(bytes.len(), error.to_string()))
}
