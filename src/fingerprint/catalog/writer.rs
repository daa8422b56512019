//! Writing segments: sorted postings in, places, directory and tracks out, and the merge that feeds it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::directory::{Directory, DirectoryBuilder};
use super::io::{File, Io, Request};
use super::postings::{PAGE_BYTES, PAGE_PLACES, PLACE_BYTES, Posting, places, put_place, room_for_places};
use super::roster::Roster;
use super::rows::RowForm;
use super::segment::{Footer, Segment, encode_tail};
use crate::error::{Error, Result};

/// Postings merged between two pauses.
const STEP_POSTINGS: usize = 65_536;
/// Bytes gathered before they are handed on.
const WRITE_BYTES: usize = 1 << 18;
/// Pages of places that a merge reads at once from each file.
const READ_PAGES: usize = 16;
/// Content of a record of an export: with its head a piece has 64 KiB.
pub const RECORD_BYTES: usize = 65_536 - 8;

/// Where a segment's bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Into memory only.
    Memory,
    /// Into a file, from its start.
    File(File),
    /// Out, as records of an export.
    Records,
}

/// Bytes on their way to a sink.
pub struct Output<'a> {
    io: &'a Io,
    sink: Sink,
    buffer: Vec<u8>,
    written: u64,
}

impl<'a> Output<'a> {
    /// Nothing written yet.
    pub fn new(io: &'a Io, sink: Sink) -> Self {
        Self { io, sink, buffer: Vec::new(), written: 0 }
    }

    /// Bytes handed on.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// What keeps the sink from being written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let limit = if self.sink == Sink::Records { RECORD_BYTES } else { WRITE_BYTES };
        for piece in bytes.chunks(limit) {
            if self.buffer.len() + piece.len() > limit {
                let room = limit - self.buffer.len();
                self.buffer.extend_from_slice(&piece[..room]);
                self.flush().await?;
                self.buffer.extend_from_slice(&piece[room..]);
            } else {
                self.buffer.extend_from_slice(piece);
            }
        }
        Ok(())
    }

    /// Hands on what is gathered.
    ///
    /// # Errors
    /// What keeps the sink from being written.
    pub async fn flush(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.buffer);
        if bytes.is_empty() {
            return Ok(());
        }
        let length = bytes.len() as u64;
        match self.sink {
            Sink::Memory => {}
            Sink::File(file) => {
                self.io.request(vec![Request::Write { file, offset: self.written, bytes }]).await?;
            }
            Sink::Records => self.io.put(record(&bytes)).await?,
        }
        self.written += length;
        Ok(())
    }
}

/// A record of an export or of its like: length u32 | CRC-32 u32 | content.
pub fn record(content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + content.len());
    bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
    bytes.extend_from_slice(content);
    bytes
}

/// How a segment is written.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where its bytes go.
    pub sink: Sink,
    /// Whether the places are kept in memory.
    pub is_resident: bool,
    /// Bits of a key.
    pub key_bits: u32,
    /// What the rows are.
    pub row_form: RowForm,
}

/// A written segment.
pub struct Written {
    pub roster: Roster,
    pub directory: Directory,
    pub checksums: Vec<u32>,
    /// The places, if they are kept in memory.
    pub places: Option<Vec<u8>>,
    /// Bytes written.
    pub bytes: u64,
}

/// Where merged postings come from.
pub enum Source<'a> {
    /// A segment.
    Segment(&'a Segment),
    /// Sorted lists that refer to one roster.
    Runs(&'a Roster, Vec<&'a [Posting]>),
}

/// Merges the live postings of `sources`, whose tracks follow each other in this order, into one segment. `head` goes first.
///
/// # Errors
/// What keeps the sources from being read or the sink from being written; [`Error::OutOfMemory`], [`Error::Limit`].
pub async fn merge(io: &Io, sources: &[Source<'_>], plan: Plan, head: &[u8]) -> Result<Written> {
    let mut roster = Roster::default();
    let mut cursors = Vec::new();
    for source in sources {
        match source {
            Source::Segment(segment) => {
                let numbers = roster.append_live(&segment.roster);
                cursors.push(Cursor::of_segment(segment, numbers));
            }
            Source::Runs(own, runs) => {
                let numbers = roster.append_live(own);
                cursors.extend(runs.iter().map(|run| Cursor { numbers: numbers.clone(), ready: run.to_vec(), next: 0, rest: None }));
            }
        }
    }
    let count = roster.postings();
    let mut builder = DirectoryBuilder::new(plan.key_bits, count)?;
    let mut kept = if plan.is_resident { Some(room_for_places(count)?) } else { None };
    let mut checksums = Vec::with_capacity(count.div_ceil(PAGE_PLACES));
    let mut output = Output::new(io, plan.sink);
    if plan.sink != Sink::Records {
        output.write(head).await?;
    }
    let mut heads = BinaryHeap::with_capacity(cursors.len());
    for (index, cursor) in cursors.iter_mut().enumerate() {
        if let Some(posting) = cursor.next(io).await? {
            heads.push(Reverse((posting, index)));
        }
    }
    let mut page = Vec::with_capacity(PAGE_BYTES);
    let mut merged = 0usize;
    while let Some(&Reverse((posting, index))) = heads.peek() {
        builder.push(posting.key)?;
        put_place(&mut page, posting.part, posting.time);
        let cursor = cursors.get_mut(index).ok_or_else(|| Error::internal("a merge lost a source"))?;
        let next = match cursor.next_ready() {
            Some(next) => Some(next),
            None => cursor.next(io).await?,
        };
        if let Some(mut head) = heads.peek_mut() {
            match next {
                Some(next) => *head = Reverse((next, index)),
                None => {
                    PeekMut::pop(head);
                }
            }
        }
        merged += 1;
        if page.len() == PAGE_BYTES || merged == count {
            checksums.push(crc32fast::hash(&page));
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(&page);
            }
            output.write(&page).await?;
            page.clear();
        }
        if merged.is_multiple_of(STEP_POSTINGS) {
            io.pause().await;
        }
    }
    let directory = builder.finish()?;
    let tail = encode_tail(&roster, &directory, &checksums, &plan.row_form);
    let footer = Footer { tail_bytes: tail.len() as u64, tail_checksum: crc32fast::hash(&tail) };
    output.write(&tail).await?;
    output.write(&footer.encode()).await?;
    output.flush().await?;
    Ok(Written { roster, directory, checksums, places: kept, bytes: output.written })
}

/// Reads one source front to back, with the parts' new numbers, without the dead.
struct Cursor<'a> {
    numbers: Vec<Option<u32>>,
    /// Postings that are at hand, by their old numbers.
    ready: Vec<Posting>,
    next: usize,
    /// What is still to be read of a segment.
    rest: Option<Rest<'a>>,
}

struct Rest<'a> {
    segment: &'a Segment,
    keys: Box<dyn Iterator<Item = u32> + 'a>,
    next_page: usize,
}

impl<'a> Cursor<'a> {
    fn of_segment(segment: &'a Segment, numbers: Vec<Option<u32>>) -> Self {
        let rest = Rest { segment, keys: Box::new(segment.directory.all_keys()), next_page: 0 };
        Self { numbers, ready: Vec::new(), next: 0, rest: Some(rest) }
    }

    /// The next live posting, as far as what is at hand reaches.
    fn next_ready(&mut self) -> Option<Posting> {
        while let Some(&posting) = self.ready.get(self.next) {
            self.next += 1;
            if let Some(part) = self.numbers.get(posting.part as usize).copied().flatten() {
                return Some(Posting { part, ..posting });
            }
        }
        None
    }

    /// The next live posting.
    async fn next(&mut self, io: &Io) -> Result<Option<Posting>> {
        loop {
            if let Some(posting) = self.next_ready() {
                return Ok(Some(posting));
            }
            let Some(rest) = &mut self.rest else { return Ok(None) };
            let pages = rest.next_page..rest.segment.page_count().min(rest.next_page + READ_PAGES);
            if pages.is_empty() {
                return Ok(None);
            }
            rest.next_page = pages.end;
            self.ready.clear();
            self.next = 0;
            let first = pages.start * PAGE_PLACES;
            let read;
            let bytes = match &rest.segment.places {
                Some(all) => {
                    let end = (pages.end * PAGE_BYTES).min(all.len());
                    all.get(first * PLACE_BYTES..end).unwrap_or_default()
                }
                None => {
                    read = rest.segment.read_pages(io, pages).await?;
                    &read
                }
            };
            self.ready.extend(places(bytes).zip(&mut rest.keys).map(|((part, time), key)| Posting { key, part, time }));
        }
    }
}
