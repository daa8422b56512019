//! A catalogue as one stream of bytes, in pieces of at most 64 KiB.
//!
//! [`Header`] (kind 5, payload length "stream") | records: length u32 | CRC-32 u32 | content, at most 65 528 bytes of it. The first
//! record holds the totals: tracks u32, parts u32, postings u64. The content of the others, put together, is a segment's file without its
//! header (see [`super::segment`]). Removed tracks are left out, so that the bytes depend on what is enrolled, in which order, and not on
//! what was merged when.

use super::core::{Core, segment_of};
use super::index::Index;
use super::io::Io;
use super::postings::{PAGE_BYTES, PLACE_BYTES, places};
use super::segment::{FOOTER_BYTES, Footer, decode_tail};
use super::writer::{Output, Plan, RECORD_BYTES, Sink, Source, Written, merge, record};
use crate::error::{Error, Result};
use crate::fingerprint::print::Scheme;
use crate::fingerprint::wire::{KIND_EXPORT, MAGIC, Reader, check_algorithm, check_kind, header};
use crate::header::{HEADER_BYTES, Header, STREAM};

/// Bytes of a record before its content.
const RECORD_HEAD: usize = 8;
/// Bytes of the totals.
const TOTALS_BYTES: usize = 16;

impl Core {
    /// Gives the catalogue as pieces.
    pub async fn export(&self, io: &Io) -> Result<()> {
        let index = self.index();
        let live = || index.rosters().flat_map(|roster| &roster.tracks).filter(|track| track.is_live);
        let mut totals = (live().count() as u32).to_le_bytes().to_vec();
        totals.extend_from_slice(&live().map(|track| track.part_count).sum::<u32>().to_le_bytes());
        totals.extend_from_slice(&live().map(|track| track.postings as u64).sum::<u64>().to_le_bytes());
        let head = Header { payload_length: STREAM, ..header(KIND_EXPORT, index.scheme()) };
        let mut piece = head.to_bytes().to_vec();
        piece.extend(record(&totals));
        io.put(piece).await?;
        let mut sources: Vec<Source<'_>> = index.segments().iter().map(Source::Segment).collect();
        sources.push(Source::Runs(index.recent(), index.runs().iter().collect()));
        let (plan, _) = self.plan(0, 0);
        merge(io, &sources, Plan { sink: Sink::Records, is_resident: false, ..plan }, &[]).await?;
        Ok(())
    }

    /// Takes the pieces of an export; its content replaces the catalogue's when the last one has proved good.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the byte offset for anything that is no whole export of this scheme.
    pub async fn import(&mut self, io: &Io) -> Result<()> {
        let (_, number) = self.plan(0, 0);
        let result = self.try_import(io).await;
        if let Err(error) = &result {
            self.take_back(io, number, error).await;
        }
        result
    }

    async fn try_import(&mut self, io: &Io) -> Result<()> {
        let mut stream = Stream { io, buffer: Vec::new(), position: 0, has_ended: false };
        let head = stream.take(HEADER_BYTES).await?;
        let (header, _) = Header::read(&head, MAGIC)?;
        check_kind(&header, KIND_EXPORT)?;
        let scheme = check_algorithm(&header)?;
        check_scheme(scheme, self.index().scheme())?;
        let totals = stream.record().await?.ok_or_else(|| stream.damaged("the totals are missing"))?;
        let mut reader = Reader::new(&totals, HEADER_BYTES + RECORD_HEAD);
        let (track_count, part_count) = (u32::from_le_bytes(reader.take()?), u32::from_le_bytes(reader.take()?));
        let postings = u64::from_le_bytes(reader.take()?);
        if totals.len() != TOTALS_BYTES {
            return Err(stream.damaged(format!("totals of {} bytes instead of {TOTALS_BYTES}", totals.len())));
        }
        let place_bytes = usize::try_from(postings.saturating_mul(PLACE_BYTES as u64)).unwrap_or(usize::MAX);
        let (plan, number) = self.plan(place_bytes / PLACE_BYTES, usize::MAX);
        let mut written = self.receive(&mut stream, plan, place_bytes).await?;
        let tail_at = HEADER_BYTES + place_bytes;
        let (roster, directory, checksums, row_form) = decode_tail(&written.tail, tail_at, scheme, postings as usize)?;
        if (roster.tracks.len(), roster.parts.len()) != (track_count as usize, part_count as usize)
            || written.parts_needed > u64::from(part_count)
        {
            let found = (roster.tracks.len(), roster.parts.len());
            return Err(stream.damaged(format!("{} tracks of {} parts, announced are {track_count} of {part_count}", found.0, found.1)));
        }
        if checksums != written.checksums {
            return Err(stream.damaged("the checksums of its postings do not agree"));
        }
        let mut ids: Vec<&str> = roster.tracks.iter().map(|track| track.id.as_str()).collect();
        ids.sort_unstable();
        if let Some((id, _)) = ids.iter().zip(ids.iter().skip(1)).find(|(one, next)| one == next) {
            return Err(stream.damaged(format!("id {id:?} a second time")));
        }
        self.flush_segment(io, number).await?;
        let tier = self.tier_of(postings as usize);
        let written = Written { roster, directory, checksums, places: written.places.take(), bytes: written.bytes };
        let segment = segment_of(written, number, tier);
        let index = Index::of_segments(scheme, row_form, segment.into_iter().collect());
        if let Some(volume) = self.volume_mut() {
            let segments: Vec<_> = index.segments().iter().collect();
            volume.checkpoint(io, &index, &segments, true).await?;
        }
        *self.index_mut() = index;
        self.index_mut().sort_into_cells(io).await;
        Ok(())
    }

    /// Takes the content of an import: places to where a segment has them, the tail into memory.
    async fn receive(&self, stream: &mut Stream<'_>, plan: Plan, place_bytes: usize) -> Result<Received> {
        let mut output = Output::new(stream.io, plan.sink);
        output.write(&self.segment_header()).await?;
        let mut received =
            Received { checksums: Vec::new(), places: plan.is_resident.then(Vec::new), tail: Vec::new(), parts_needed: 0, bytes: 0 };
        let mut page: Vec<u8> = Vec::with_capacity(PAGE_BYTES);
        let mut left = place_bytes;
        while let Some(content) = stream.record().await? {
            output.write(&content).await?;
            let mut rest = content.as_slice();
            while left > 0 && !rest.is_empty() {
                let length = rest.len().min(left).min(PAGE_BYTES - page.len());
                let (piece, behind) = rest.split_at(length);
                rest = behind;
                left -= length;
                page.extend_from_slice(piece);
                if page.len() == PAGE_BYTES || left == 0 {
                    received.take_page(&page)?;
                    page.clear();
                }
            }
            received.tail.extend_from_slice(rest);
        }
        let tail_bytes = received.tail.len().checked_sub(FOOTER_BYTES).filter(|_| left == 0);
        let tail_bytes = tail_bytes.ok_or_else(|| stream.damaged("the file ends before its last record"))?;
        let footer = Footer::decode(&received.tail.split_off(tail_bytes), HEADER_BYTES + place_bytes + tail_bytes)?;
        if footer != (Footer { tail_bytes: tail_bytes as u64, tail_checksum: crc32fast::hash(&received.tail) }) {
            return Err(stream.damaged("the footer does not fit what is before it"));
        }
        output.flush().await?;
        received.bytes = output.written();
        Ok(received)
    }
}

/// What an import has brought.
struct Received {
    checksums: Vec<u32>,
    places: Option<Vec<u8>>,
    tail: Vec<u8>,
    /// Parts that its postings refer to: the highest number and one.
    parts_needed: u64,
    bytes: u64,
}

impl Received {
    fn take_page(&mut self, page: &[u8]) -> Result<()> {
        self.checksums.push(crc32fast::hash(page));
        let highest = places(page).map(|(part, _)| u64::from(part) + 1).max();
        self.parts_needed = self.parts_needed.max(highest.unwrap_or(0));
        if let Some(places) = &mut self.places {
            let error = Error::OutOfMemory { what: "the catalogue", bytes: (places.len() + page.len()) as u64 };
            places.try_reserve(page.len()).map_err(|_| error)?;
            places.extend_from_slice(page);
        }
        Ok(())
    }
}

/// The pieces of an import as one stream of bytes.
struct Stream<'a> {
    io: &'a Io,
    buffer: Vec<u8>,
    /// Bytes of the stream before the buffer.
    position: usize,
    has_ended: bool,
}

impl Stream<'_> {
    /// Whether `count` bytes are at hand, or can be had.
    async fn has(&mut self, count: usize) -> Result<bool> {
        while self.buffer.len() < count && !self.has_ended {
            match self.io.take().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => self.has_ended = true,
            }
        }
        Ok(self.buffer.len() >= count)
    }

    async fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        if !self.has(count).await? {
            let found = format!("{count} bytes are missing, the file is cut off");
            self.position += self.buffer.len();
            return Err(self.damaged(found));
        }
        let rest = self.buffer.split_off(count);
        self.position += count;
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// The content of the next record; nothing at the end.
    async fn record(&mut self) -> Result<Option<Vec<u8>>> {
        if !self.has(1).await? {
            return Ok(None);
        }
        let head = self.take(RECORD_HEAD).await?;
        let mut reader = Reader::new(&head, self.position);
        let length = u32::from_le_bytes(reader.take()?) as usize;
        let checksum = u32::from_le_bytes(reader.take()?);
        if length > RECORD_BYTES {
            return Err(self.damaged(format!("a record of {length} bytes, the longest has {RECORD_BYTES}")));
        }
        let content = self.take(length).await?;
        if crc32fast::hash(&content) != checksum {
            self.position -= length;
            return Err(self.damaged("a record whose checksum does not agree"));
        }
        Ok(Some(content))
    }

    fn damaged(&self, found: impl std::fmt::Display) -> Error {
        Error::invalid(format!("byte {}: {found}: the catalogue's file is damaged, export it again", self.position))
    }
}

/// The scheme of an exported catalogue.
///
/// # Errors
/// [`Error::InvalidInput`] with the byte for anything else.
pub fn scheme_of(bytes: &[u8]) -> Result<Scheme> {
    let (header, _) = Header::read(bytes, MAGIC)?;
    check_kind(&header, KIND_EXPORT)?;
    check_algorithm(&header)
}

fn check_scheme(found: Scheme, wanted: Scheme) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "byte 7: the file holds a catalogue of {}, this one is of {}: import it into a catalogue with those options",
        found, wanted
    )))
}
