//! The manifest: which segments make up a catalogue, which of their tracks are removed, and which log goes on from there.
//!
//! [`Header`] (kind 3) | generation u64 | first log u32 | next segment u32 | form of rows | segments u32, per segment: number u32, tier
//! u32, postings u64, length of the file u64 | removed tracks u32, per track: position of the segment u32, number u32.

use std::collections::BTreeSet;

use super::io::File;
use super::rows::RowForm;
use crate::error::Result;
use crate::fingerprint::print::Scheme;
use crate::fingerprint::wire::{KIND_MANIFEST, MAGIC, Reader, check_algorithm, check_kind, header};
use crate::header::{HEADER_BYTES, Header};

/// A segment as a manifest names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub number: u32,
    pub tier: u32,
    pub postings: u64,
    pub file_bytes: u64,
}

/// A state of a stored catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub scheme: Scheme,
    pub row_form: RowForm,
    /// Rises with every manifest written.
    pub generation: u64,
    /// The log whose records come on top; those numbered behind it too.
    pub log: u32,
    /// Number of the next segment.
    pub next_segment: u32,
    pub segments: Vec<Entry>,
    /// Removed tracks: position of the segment above, number of the track in it.
    pub tombstones: Vec<(u32, u32)>,
}

impl Manifest {
    /// The slot that it lies in.
    pub fn slot(&self) -> File {
        File::Manifest((self.generation % 2) as u8)
    }

    /// The segments' files.
    pub fn files(&self) -> BTreeSet<File> {
        self.segments.iter().map(|entry| File::Segment(entry.number)).collect()
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = self.generation.to_le_bytes().to_vec();
        for number in [self.log, self.next_segment] {
            payload.extend_from_slice(&number.to_le_bytes());
        }
        self.row_form.encode(&mut payload);
        payload.extend_from_slice(&(self.segments.len() as u32).to_le_bytes());
        for entry in &self.segments {
            payload.extend_from_slice(&entry.number.to_le_bytes());
            payload.extend_from_slice(&entry.tier.to_le_bytes());
            payload.extend_from_slice(&entry.postings.to_le_bytes());
            payload.extend_from_slice(&entry.file_bytes.to_le_bytes());
        }
        payload.extend_from_slice(&(self.tombstones.len() as u32).to_le_bytes());
        for (segment, track) in &self.tombstones {
            payload.extend_from_slice(&segment.to_le_bytes());
            payload.extend_from_slice(&track.to_le_bytes());
        }
        let mut bytes = header(KIND_MANIFEST, self.scheme).for_payload(&payload).to_bytes().to_vec();
        bytes.append(&mut payload);
        bytes
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`crate::Error::InvalidInput`] with the byte for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (header, payload) = Header::read(bytes, MAGIC)?;
        check_kind(&header, KIND_MANIFEST)?;
        let scheme = check_algorithm(&header)?;
        header.check_payload(payload)?;
        let mut reader = Reader::new(payload, HEADER_BYTES);
        let generation = u64::from_le_bytes(reader.take()?);
        let (log, next_segment) = (u32::from_le_bytes(reader.take()?), u32::from_le_bytes(reader.take()?));
        let row_form = RowForm::decode(&mut reader, scheme)?;
        let segment_count = u32::from_le_bytes(reader.take()?);
        let mut segments = Vec::new();
        for _ in 0..segment_count {
            segments.push(Entry {
                number: u32::from_le_bytes(reader.take()?),
                tier: u32::from_le_bytes(reader.take()?),
                postings: u64::from_le_bytes(reader.take()?),
                file_bytes: u64::from_le_bytes(reader.take()?),
            });
        }
        let dead_count = u32::from_le_bytes(reader.take()?);
        let mut tombstones = Vec::new();
        for _ in 0..dead_count {
            tombstones.push((u32::from_le_bytes(reader.take()?), u32::from_le_bytes(reader.take()?)));
        }
        if reader.left() > 0 {
            return Err(reader.damaged(0, format!("{} bytes behind the last removed track", reader.left())));
        }
        Ok(Self { scheme, row_form, generation, log, next_segment, segments, tombstones })
    }
}
