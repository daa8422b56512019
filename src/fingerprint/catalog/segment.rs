//! Segments: immutable, sorted pieces of a catalogue, in memory or in a file of their own.
//!
//! A segment's file: [`Header`] (kind 2, payload length "stream") | places, 5 bytes each, sorted by key, part, time | tail | footer.
//! The tail holds: form of rows | directory | CRC-32 per page of places | roster (see their `encode`). The footer: length of the tail
//! u64 | CRC-32 of the tail u32 | CRC-32 of these twelve bytes u32. So a file can be written front to back, and opened without its places.

use std::ops::Range;

use super::directory::Directory;
use super::io::{File, Io};
use super::postings::{PAGE_BYTES, PAGE_PLACES, PLACE_BYTES, room_for_places};
use super::roster::Roster;
use super::rows::RowForm;
use crate::error::{Error, Result};
use crate::fingerprint::print::Scheme;
use crate::fingerprint::wire::{KIND_SEGMENT, MAGIC, Reader, check_algorithm, check_kind};
use crate::header::{HEADER_BYTES, Header};

/// Bytes of a footer.
pub const FOOTER_BYTES: usize = 16;
/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 20;

/// Sorted postings with the tracks they are of.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Its number, and that of its file.
    pub number: u32,
    /// Tier: segments of one are about as long as each other.
    pub tier: u32,
    /// Length of its file; 0 without one.
    pub file_bytes: u64,
    /// Tracks and parts.
    pub roster: Roster,
    /// From keys to places.
    pub directory: Directory,
    /// CRC-32 per page of places.
    pub checksums: Vec<u32>,
    /// The places; nothing if they are only in the file.
    pub places: Option<Vec<u8>>,
}

impl Segment {
    /// Number of postings.
    pub fn len(&self) -> usize {
        self.directory.len()
    }

    /// Bytes of its places.
    pub fn place_bytes(&self) -> usize {
        self.len() * PLACE_BYTES
    }

    /// Bytes held in memory.
    pub fn bytes(&self) -> usize {
        self.directory.bytes() + self.checksums.len() * 4 + self.places.as_ref().map_or(0, Vec::len)
    }

    /// The places of a range, if they are in memory.
    pub fn resident(&self, range: Range<usize>) -> Option<&[u8]> {
        self.places.as_ref().map(|places| places.get(range.start * PLACE_BYTES..range.end * PLACE_BYTES).unwrap_or_default())
    }

    /// Where the pages `pages` lie in the file.
    pub fn page_span(&self, pages: Range<usize>) -> (u64, usize) {
        let start = pages.start * PAGE_BYTES;
        let end = (pages.end * PAGE_BYTES).min(self.place_bytes());
        ((HEADER_BYTES + start) as u64, end.saturating_sub(start))
    }

    /// Checks pages that were read from the file, of which `first` is the number of the first.
    ///
    /// # Errors
    /// [`Error::Storage`] naming the file and the byte at which a page is not what was written.
    pub fn check_pages(&self, first: usize, bytes: &[u8]) -> Result<()> {
        for (page, number) in bytes.chunks(PAGE_BYTES).zip(first..) {
            if self.checksums.get(number) != Some(&crc32fast::hash(page)) {
                let offset = (HEADER_BYTES + number * PAGE_BYTES) as u64;
                return Err(Error::damaged_file(File::Segment(self.number), offset, "a page whose checksum does not agree"));
            }
        }
        Ok(())
    }

    /// Number of pages of places.
    pub fn page_count(&self) -> usize {
        self.len().div_ceil(PAGE_PLACES)
    }

    /// Reads the pages `pages` of the file.
    ///
    /// # Errors
    /// What keeps them from being read; [`Error::Storage`] if they are damaged.
    pub async fn read_pages(&self, io: &Io, pages: Range<usize>) -> Result<Vec<u8>> {
        let (offset, length) = self.page_span(pages.clone());
        let bytes = io.read(File::Segment(self.number), offset, length).await?;
        self.check_pages(pages.start, &bytes)?;
        Ok(bytes)
    }

    /// Takes the places into memory.
    ///
    /// # Errors
    /// As [`Segment::read_pages`]; [`Error::OutOfMemory`].
    pub async fn load_places(&mut self, io: &Io) -> Result<()> {
        let mut all = room_for_places(self.len())?;
        let (pages, step) = (self.page_count(), READ_BYTES / PAGE_BYTES);
        for first in (0..pages).step_by(step) {
            all.extend_from_slice(&self.read_pages(io, first..pages.min(first + step)).await?);
        }
        self.places = Some(all);
        Ok(())
    }

    /// Opens the file of segment `number`, without its places.
    ///
    /// # Errors
    /// What keeps it from being read; [`Error::Storage`] with the place if it is damaged or of something else.
    pub async fn open(io: &Io, number: u32, tier: u32, file_bytes: u64, postings: u64, scheme: Scheme) -> Result<Self> {
        let file = File::Segment(number);
        let found = io.length(file).await?;
        if found.is_none_or(|found| found < file_bytes) {
            return Err(Error::damaged_file(file, found.unwrap_or(0), format!("the file ends, it was written with {file_bytes} bytes")));
        }
        let head = io.read(file, 0, HEADER_BYTES).await?;
        let named = |error: Error| Error::damaged_file(file, 0, error);
        check_header(&head, scheme).map_err(named)?;
        let footer_at = file_bytes.saturating_sub(FOOTER_BYTES as u64);
        let footer = io.read(file, footer_at, FOOTER_BYTES).await?;
        let Footer { tail_bytes, tail_checksum } = Footer::decode(&footer, footer_at as usize).map_err(named)?;
        let place_bytes = postings.saturating_mul(PLACE_BYTES as u64);
        let tail_at = (HEADER_BYTES as u64).saturating_add(place_bytes);
        if tail_at.saturating_add(tail_bytes) != footer_at {
            return Err(Error::damaged_file(file, footer_at, "the footer does not fit the file's length"));
        }
        let mut tail = Vec::new();
        while (tail.len() as u64) < tail_bytes {
            let length = (tail_bytes - tail.len() as u64).min(READ_BYTES as u64) as usize;
            tail.extend_from_slice(&io.read(file, tail_at + tail.len() as u64, length).await?);
        }
        if crc32fast::hash(&tail) != tail_checksum {
            return Err(Error::damaged_file(file, tail_at, "the directory's checksum does not agree"));
        }
        io.pause().await;
        let (roster, directory, checksums, _) = decode_tail(&tail, tail_at as usize, scheme, postings as usize).map_err(named)?;
        Ok(Self { number, tier, file_bytes, roster, directory, checksums, places: None })
    }
}

/// The last bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// Bytes of the tail before it.
    pub tail_bytes: u64,
    /// CRC-32 of the tail.
    pub tail_checksum: u32,
}

impl Footer {
    /// The footer's bytes.
    pub fn encode(self) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[..8].copy_from_slice(&self.tail_bytes.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.tail_checksum.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..12]);
        bytes[12..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a footer that begins at byte `offset`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the byte.
    pub fn decode(bytes: &[u8], offset: usize) -> Result<Self> {
        let mut reader = Reader::new(bytes, offset);
        let tail_bytes = u64::from_le_bytes(reader.take()?);
        let tail_checksum = u32::from_le_bytes(reader.take()?);
        let footer = Self { tail_bytes, tail_checksum };
        let checksum: [u8; 4] = reader.take()?;
        if footer.encode()[12..] != checksum || reader.left() > 0 {
            return Err(reader.damaged(FOOTER_BYTES, "a footer whose checksum does not agree".to_string()));
        }
        Ok(footer)
    }
}

/// The tail of a segment.
pub fn encode_tail(roster: &Roster, directory: &Directory, checksums: &[u32], row_form: &RowForm) -> Vec<u8> {
    let mut tail = Vec::new();
    row_form.encode(&mut tail);
    directory.encode(&mut tail);
    for checksum in checksums {
        tail.extend_from_slice(&checksum.to_le_bytes());
    }
    roster.encode(&mut tail);
    tail
}

/// Reads a tail that begins at byte `offset`, of a segment of `postings` postings. The last of what is given is what its rows are.
///
/// # Errors
/// [`Error::InvalidInput`] with the byte.
pub fn decode_tail(tail: &[u8], offset: usize, scheme: Scheme, postings: usize) -> Result<(Roster, Directory, Vec<u32>, RowForm)> {
    let mut reader = Reader::new(tail, offset);
    let row_form = RowForm::decode(&mut reader, scheme)?;
    let directory = Directory::decode(&mut reader, scheme.key_bits(), postings)?;
    let mut checksums = Vec::new();
    for _ in 0..postings.div_ceil(PAGE_PLACES) {
        checksums.push(u32::from_le_bytes(reader.take()?));
    }
    let roster = Roster::decode(&mut reader, row_form.bytes)?;
    if reader.left() > 0 || roster.postings() != postings {
        let found = format!("{} postings in its tracks, {postings} in all, {} bytes left over", roster.postings(), reader.left());
        return Err(reader.damaged(0, found));
    }
    Ok((roster, directory, checksums, row_form))
}

fn check_header(head: &[u8], scheme: Scheme) -> Result<()> {
    let (header, _) = Header::read(head, MAGIC)?;
    check_kind(&header, KIND_SEGMENT)?;
    let found = check_algorithm(&header)?;
    if found != scheme {
        return Err(Error::invalid(format!("a segment of {}, not of {}", found, scheme)));
    }
    Ok(())
}
