//! The calls of a catalogue: each checks, writes what must be kept, and only then changes what is in memory.

use super::audiofp;
use super::index::Index;
use super::io::{File, Io, Request};
use super::log::Record;
use super::roster::Roster;
use super::search;
use super::segment::Segment;
use super::store::Sizes;
use super::volume::{self, Volume};
use super::writer::{Plan, Sink, Source, Written, merge};
use super::{Recovered, Replace, Stats};
use crate::error::{Error, Result};
use crate::fingerprint::matching::{Hit, MatchOptions};
use crate::fingerprint::print::{Print, Scheme};
use crate::fingerprint::wire::{KIND_SEGMENT, header};
use crate::header::{Header, STREAM};

/// Segments of a tier that become one of the next.
const MERGE: usize = 8;
/// Share of dead postings above which they are dropped: one in five.
const DEAD_SHARE: usize = 5;

/// Room that an enrolment leaves where packing finds none: for as many tracks, but no more bytes.
const RESERVE_TRACKS: usize = 16;
const RESERVE_BYTES: usize = 1 << 20;

/// What becomes of the previous state's files where the storage has no room for new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Previous {
    /// They stay: their room is for removals.
    Kept,
    /// They go.
    GivenUp,
}

/// A catalogue and its files.
#[derive(Debug, Clone)]
pub struct Core {
    index: Index,
    /// Nothing where it lives in memory only.
    volume: Option<Volume>,
    sizes: Sizes,
    recovered: Recovered,
    /// Why segments could not be merged when it was due.
    overdue: Option<String>,
}

impl Core {
    /// An empty catalogue in memory.
    pub fn memory(scheme: Scheme) -> Self {
        let (index, recovered) = (Index::new(scheme), Recovered::default());
        let sizes = Sizes { resident_bytes: usize::MAX, ..Sizes::default() };
        Self { index, volume: None, sizes, recovered, overdue: None }
    }

    /// Opens the stored one.
    ///
    /// # Errors
    /// As [`volume::open`].
    pub async fn open(io: &Io, asked: Option<Scheme>, sizes: Sizes) -> Result<Self> {
        let (mut index, volume, recovered) = volume::open(io, asked, sizes.resident_bytes).await?;
        index.sort_into_cells(io).await;
        Ok(Self { index, volume: Some(volume), sizes, recovered, overdue: None })
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Enrols a print. It is stored when this ends.
    pub async fn enrol(&mut self, io: &Io, id: &str, metadata: &str, print: &Print, replace: Replace) -> Result<()> {
        self.make_room(io, || print.to_bytes().len()).await?;
        let prepared = self.index.prepare(id, metadata, print, replace)?;
        self.append(io, || Record::Enrolment { id: id.to_string(), metadata: metadata.to_string(), print: print.to_bytes() }).await?;
        self.index.commit(prepared);
        self.tidy(io, Previous::Kept).await;
        Ok(())
    }

    /// Enrols a blob of audiofp's. Returns how many of its landmarks have no place here.
    pub async fn enrol_audiofp(&mut self, io: &Io, id: &str, metadata: &str, blob: Vec<u8>, replace: Replace) -> Result<usize> {
        self.make_room(io, || blob.len()).await?;
        let (prepared, dropped) = audiofp::prepare(&self.index, id, metadata, &blob, replace)?;
        let (id, metadata) = (id.to_string(), metadata.to_string());
        self.append(io, || Record::Enrolment { id, metadata, print: blob }).await?;
        self.index.commit(prepared);
        self.tidy(io, Previous::Kept).await;
        Ok(dropped)
    }

    /// Removes a track. Returns whether there was one.
    pub async fn remove(&mut self, io: &Io, id: &str) -> Result<bool> {
        if !self.index.has(id) {
            return Ok(false);
        }
        self.append(io, || Record::Removal { id: id.to_string() }).await?;
        self.index.bury(id);
        self.tidy(io, Previous::GivenUp).await;
        Ok(true)
    }

    /// The hits of a print.
    pub async fn find(&self, io: &Io, print: &Print, options: &MatchOptions) -> Result<Vec<Hit>> {
        options.check()?;
        self.index.check_print(print)?;
        search::find(&self.index, io, print, options).await
    }

    /// Packs everything in one segment, without the dead.
    pub async fn compact(&mut self, io: &Io) -> Result<()> {
        self.pack(io, Previous::GivenUp).await?;
        self.index.sort_into_cells(io).await;
        Ok(())
    }

    /// Figures about it.
    pub fn stats(&self) -> Stats {
        let index = &self.index;
        let fills = index.segments().iter().map(|segment| segment.directory.fill());
        let (full, all) = fills.fold((0, 0), |sum, fill| (sum.0 + fill.0, sum.1 + fill.1));
        let tracks = || index.rosters().flat_map(|roster| &roster.tracks);
        let files: u64 = index.segments().iter().map(|segment| segment.file_bytes).sum();
        Stats {
            algorithm: index.scheme().algorithm().name(),
            profile: index.scheme().profile().name(),
            tracks: index.len(),
            parts: tracks().filter(|track| track.is_live).map(|track| track.part_count as usize).sum(),
            seconds: tracks().filter(|track| track.is_live).map(|track| track.duration).sum(),
            postings: index.postings(),
            dead_postings: index.dead_postings(),
            tombstones: tracks().filter(|track| !track.is_live).count(),
            segments: index.segments().len(),
            bytes: index.bytes(),
            posting_bytes: index.posting_bytes(),
            stored_bytes: self.volume.as_ref().map_or(0, |volume| volume.bytes() + files),
            directory_fill: if all == 0 { 0.0 } else { full as f64 / all as f64 },
            heaviest_keys: index.heaviest_keys(),
            recovered: self.recovered.clone(),
            overdue: self.overdue.clone(),
        }
    }

    pub(super) fn volume_mut(&mut self) -> Option<&mut Volume> {
        self.volume.as_mut()
    }

    pub(super) fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }

    /// How a segment of `postings` postings is written: into a file where there are files, and kept in memory where there is room.
    pub(super) fn plan(&self, postings: usize, replaced: usize) -> (Plan, u32) {
        let resident = |segment: &Segment| segment.places.as_ref().map_or(0, Vec::len);
        let held: usize = self.index.segments().iter().map(resident).sum();
        let is_resident = held.saturating_sub(replaced) + postings * super::postings::PLACE_BYTES <= self.sizes.resident_bytes;
        let in_memory = self.index.segments().iter().map(|segment| segment.number + 1).max().unwrap_or(1);
        let number = self.volume.as_ref().map_or(in_memory, Volume::next_segment);
        let sink = if self.volume.is_some() { Sink::File(File::Segment(number)) } else { Sink::Memory };
        let (key_bits, row_form) = (self.index.scheme().key_bits(), self.index.row_form().clone());
        (Plan { sink, is_resident, key_bits, row_form }, number)
    }

    /// The first bytes of a segment's file.
    pub(super) fn segment_header(&self) -> Vec<u8> {
        Header { payload_length: STREAM, ..header(KIND_SEGMENT, self.index.scheme()) }.to_bytes().to_vec()
    }

    /// The tier of a segment of so many postings.
    pub(super) fn tier_of(&self, postings: usize) -> u32 {
        let (mut tier, mut holds) = (0, self.sizes.seal_postings.max(1));
        while postings > holds {
            tier += 1;
            holds = holds.saturating_mul(MERGE);
        }
        tier
    }

    /// Flushes a written segment's file.
    pub(super) async fn flush_segment(&self, io: &Io, number: u32) -> Result<()> {
        if self.volume.is_some() {
            io.request(vec![Request::Flush { file: File::Segment(number) }]).await?;
        }
        Ok(())
    }

    /// Removes what was written of a segment whose call has failed.
    pub(super) async fn take_back(&mut self, io: &Io, number: u32, error: &Error) {
        if let Some(volume) = &mut self.volume {
            volume.take_back(io, number, error).await;
        }
    }

    async fn append(&mut self, io: &Io, record: impl FnOnce() -> Record) -> Result<()> {
        match &mut self.volume {
            Some(volume) => volume.append(io, self.index.scheme(), &record()).await,
            None => Ok(()),
        }
    }

    /// Seals, merges and drops the dead where it is due. What was enrolled is stored already: a failure is kept for the figures, and it is
    /// tried again after the next change.
    async fn tidy(&mut self, io: &Io, previous: Previous) {
        self.overdue = self.try_tidy(io, previous).await.err().map(|error| error.to_string());
        self.index.sort_into_cells(io).await;
    }

    async fn try_tidy(&mut self, io: &Io, previous: Previous) -> Result<()> {
        let log_bytes = self.volume.as_ref().map_or(0, Volume::log_bytes);
        if self.index.runs().len() >= self.sizes.seal_postings || log_bytes >= self.sizes.seal_log_bytes {
            self.rewrite(io, self.index.segments().len(), true, Some(0), previous).await?;
        }
        while let Some((first, tier)) = full_tier(self.index.segments()) {
            self.rewrite(io, first, false, Some(tier + 1), previous).await?;
        }
        if self.is_packing_due() {
            self.pack(io, previous).await?;
        }
        Ok(())
    }

    fn is_packing_due(&self) -> bool {
        self.index.dead_postings() * DEAD_SHARE > self.index.postings()
    }

    /// Before an enrolment of so many bytes: takes back what removed tracks have, if that could not be done yet. While there is no room for
    /// that, there must be room for many more tracks: one must not take the little that further removals need.
    async fn make_room(&mut self, io: &Io, bytes: impl FnOnce() -> usize) -> Result<()> {
        if !self.is_packing_due() {
            return Ok(());
        }
        match (self.pack(io, Previous::GivenUp).await, &self.volume) {
            (Err(error), Some(volume)) if error.is_full() => {
                volume.find_room(io, bytes().saturating_mul(RESERVE_TRACKS).min(RESERVE_BYTES)).await
            }
            _ => Ok(()),
        }
    }

    /// Packs everything in one segment, without the dead. Where a full storage has no room for all of it, the youngest segments go first:
    /// what they give back makes room for older ones.
    async fn pack(&mut self, io: &Io, previous: Previous) -> Result<()> {
        match self.rewrite(io, 0, true, None, previous).await {
            Err(error) if previous == Previous::GivenUp && error.is_full() => {
                for first in (0..=self.index.segments().len()).rev() {
                    self.rewrite(io, first, true, None, previous).await?;
                }
                Ok(())
            }
            result => result,
        }
    }

    /// Writes the segments from position `first` on, and with `with_recent` the recent enrolments, as one segment in their place. All
    /// segments of a tier are younger than those of higher ones, so that tracks keep their order.
    async fn rewrite(&mut self, io: &Io, first: usize, with_recent: bool, tier: Option<u32>, previous: Previous) -> Result<()> {
        let result = match self.try_rewrite(io, first, with_recent, tier).await {
            Err(error) if previous == Previous::GivenUp && error.is_full() && self.give_up_previous(io).await => {
                self.try_rewrite(io, first, with_recent, tier).await
            }
            result => result,
        };
        let is_short = self.volume.as_ref().is_some_and(Volume::is_short_of_room);
        if result.is_ok() && previous == Previous::GivenUp && is_short {
            // What was replaced goes at once.
            self.give_up_previous(io).await;
        }
        result
    }

    async fn give_up_previous(&mut self, io: &Io) -> bool {
        match &mut self.volume {
            Some(volume) => volume.give_up_previous(io).await,
            None => false,
        }
    }

    async fn try_rewrite(&mut self, io: &Io, first: usize, with_recent: bool, tier: Option<u32>) -> Result<()> {
        let number = self.volume.as_ref().map(Volume::next_segment);
        let result = self.write_anew(io, first, with_recent, tier).await;
        if let (Err(error), Some(number)) = (&result, number) {
            self.take_back(io, number, error).await;
        }
        result
    }

    async fn write_anew(&mut self, io: &Io, first: usize, with_recent: bool, tier: Option<u32>) -> Result<()> {
        let index = &self.index;
        let (kept, replaced) =
            index.segments().split_at_checked(first).ok_or_else(|| Error::internal("segments to merge are not there"))?;
        let mut sources: Vec<Source<'_>> = replaced.iter().map(Source::Segment).collect();
        let live: usize = replaced.iter().map(|segment| segment.roster.live_postings()).sum();
        let recent = if with_recent { index.recent().live_postings() } else { 0 };
        if with_recent {
            sources.push(Source::Runs(index.recent(), index.runs().iter().collect()));
        }
        let freed = replaced.iter().map(|segment| segment.places.as_ref().map_or(0, Vec::len)).sum();
        let (plan, number) = self.plan(live + recent, freed);
        let highest = kept.last().map_or(u32::MAX, |segment| segment.tier);
        let tier = tier.unwrap_or_else(|| self.tier_of(live + recent).min(highest));
        let is_live = |roster: &Roster| roster.tracks.iter().any(|track| track.is_live);
        let segment = if replaced.iter().any(|segment| is_live(&segment.roster)) || with_recent && is_live(index.recent()) {
            let written = merge(io, &sources, plan, &self.segment_header()).await?;
            self.flush_segment(io, number).await?;
            segment_of(written, number, tier)
        } else {
            // Nothing is left: no file either, a full storage may have no room for it.
            None
        };
        if let Some(volume) = &mut self.volume {
            let segments: Vec<&Segment> = kept.iter().chain(&segment).collect();
            volume.checkpoint(io, index, &segments, with_recent).await?;
        }
        self.index.replace_from(first, segment, with_recent);
        Ok(())
    }
}

/// The segment that was written; nothing if it has no track.
pub(super) fn segment_of(written: Written, number: u32, tier: u32) -> Option<Segment> {
    let Written { roster, directory, checksums, places, bytes } = written;
    if roster.tracks.is_empty() {
        return None;
    }
    Some(Segment { number, tier, file_bytes: bytes, roster, directory, checksums, places })
}

/// Position of the first segment and number of the lowest tier that has eight, with all that are younger.
fn full_tier(segments: &[Segment]) -> Option<(usize, u32)> {
    let last = segments.last()?.tier;
    let lowest = segments.iter().map(|segment| segment.tier).min().unwrap_or(last);
    (lowest..=segments.iter().map(|segment| segment.tier).max()?).find_map(|tier| {
        let first = segments.iter().position(|segment| segment.tier <= tier)?;
        (segments.len() - first >= MERGE && segments.iter().filter(|segment| segment.tier == tier).count() >= MERGE)
            .then_some((first, tier))
    })
}
