//! The search: which postings a query reads, and what its matches say of tracks.

use std::ops::Range;

use super::index::Index;
use super::io::{File, Io, Reply, Request};
use super::postings::{PAGE_PLACES, PLACE_BYTES, Posting, gallop, places};
use super::roster::{Part, Roster, Track};
use crate::error::{Error, Result};
use crate::fingerprint::cells::{CELLS_OF_ONE, Cells};
use crate::fingerprint::matching::{Effort, Hit, Match, MatchOptions, PART_TICKS, Probe, Query, Searched};
use crate::fingerprint::print::Print;

/// Most votes of a query.
const VOTES: usize = 1 << 20;
/// Keys with more postings than this, and than one in `HEAVY_SHARE` of all, are not read unless fewer than `LEAST_KEYS` others are.
const HEAVY_POSTINGS: usize = 256;
const HEAVY_SHARE: usize = 4_096;
const LEAST_KEYS: usize = 32;
/// Postings that are read of such a key: the first ones, which are those of the tracks enrolled first, so that the same tracks vote for each.
const HEAVY_READ: usize = 4_096;
/// Pages that are asked for at once where postings are in files: 4 MiB.
const BATCH_PAGES: usize = 1_024;
/// Matches of one track closer than this are the same one, in ticks.
const SAME_TICKS: f64 = 6.0;

/// The hits of a print, best first: by confidence, then votes, then id.
///
/// # Errors
/// What keeps postings from being read; [`Error::InvalidInput`] for options out of range.
pub async fn find(index: &Index, io: &Io, print: &Print, options: &MatchOptions) -> Result<Vec<Hit>> {
    let view = View::new(index);
    let mut hits = candidates(&view, io, print, options, Effort::Usual).await?;
    if hits.is_empty() && Effort::can_grow(index.scheme()) {
        hits = candidates(&view, io, print, options, Effort::More).await?;
    }
    hits.sort_by(|a, b| {
        let order = b.confidence.total_cmp(&a.confidence).then(b.votes.cmp(&a.votes));
        order.then_with(|| a.id.cmp(&b.id)).then(a.offset.total_cmp(&b.offset))
    });
    let apart = SAME_TICKS * index.scheme().tick_seconds();
    let mut kept: Vec<Hit> = Vec::new();
    for hit in hits {
        let same_track = || kept.iter().filter(|other| other.id == hit.id);
        let is_new = same_track().all(|other| (other.offset - hit.offset).abs() > apart);
        if is_new && same_track().count() < options.per_track as usize {
            kept.push(hit);
        }
        if kept.len() == options.top as usize {
            break;
        }
    }
    Ok(kept)
}

/// All hits of a print that are sure enough.
async fn candidates(view: &View<'_>, io: &Io, print: &Print, options: &MatchOptions, effort: Effort) -> Result<Vec<Hit>> {
    let least = options.least_confidence(view.index.scheme());
    let mut hits = Vec::new();
    for mut query in Query::cut(print, options, effort)? {
        ask(view, io, &mut query).await?;
        for found in query.matches(view) {
            if found.confidence >= least {
                hits.extend(view.hit(found)?);
            }
        }
        io.pause().await;
    }
    Ok(hits)
}

/// Places of a probe's postings in a segment or a run.
type Places = Range<usize>;

/// Has the postings of a query's probes vote, light keys first.
async fn ask(view: &View<'_>, io: &Io, query: &mut Query) -> Result<()> {
    let index = view.index;
    let probes = query.probes().to_vec();
    let segments = index.segments();
    let mut sealed: Vec<Vec<Places>> =
        segments.iter().map(|segment| probes.iter().map(|probe| segment.directory.range(probe.low, probe.high)).collect()).collect();
    let mut recent: Vec<Vec<Places>> = index.runs().iter().map(|run| ranges_of(run, &probes)).collect();
    let chosen = choose(query, index.postings(), &mut sealed, &mut recent);
    // A track without postings cannot vote, so that none is dead where no posting is.
    let all_live = index.dead_postings() == 0;
    for ((segment, &base), ranges) in segments.iter().zip(&view.bases).zip(&sealed) {
        let vote = |query: &mut Query, number: usize, low: u32, range: Places, bytes: &[u8]| {
            let is_live = |part: u32| all_live || segment.roster.is_live(part);
            let live = places(bytes);
            if probes.get(number).is_some_and(|probe| probe.low == probe.high) {
                let votes = live.filter(|&(part, _)| is_live(part)).map(|(part, time)| (low, base + part, time));
                query.vote(number, votes);
            } else {
                let keyed = live.zip(segment.directory.keys(low, range));
                let votes = keyed.filter(|&((part, _), _)| is_live(part)).map(|((part, time), key)| (key, base + part, time));
                query.vote(number, votes);
            }
        };
        // Ranges of places to be read from the file, by place.
        let mut wanted: Vec<(Places, usize)> = Vec::new();
        for &number in &chosen {
            let (Some(probe), Some(range)) = (probes.get(number), ranges.get(number)) else { continue };
            match segment.resident(range.clone()) {
                _ if range.is_empty() => {}
                Some(bytes) => vote(query, number, probe.low, range.clone(), bytes),
                None => wanted.push((range.clone(), number)),
            }
        }
        wanted.sort_unstable_by_key(|(range, number)| (range.start, *number));
        let mut rest = wanted.as_slice();
        while !rest.is_empty() {
            let (spans, taken) = batch(rest);
            let requests = spans.iter().map(|span| {
                let (offset, length) = segment.page_span(span.clone());
                Request::Read { file: File::Segment(segment.number), offset, length }
            });
            let replies = io.request(requests.collect()).await?;
            for (span, reply) in spans.iter().zip(&replies) {
                let Reply::Bytes(bytes) = reply else { return Err(Error::internal("a read was not answered by bytes")) };
                segment.check_pages(span.start, bytes)?;
            }
            for (range, number) in &rest[..taken] {
                let page = range.start / PAGE_PLACES;
                let position = spans.partition_point(|span| span.end <= page);
                let (Some(span), Some(Reply::Bytes(bytes)), Some(probe)) =
                    (spans.get(position), replies.get(position), probes.get(*number))
                else {
                    continue;
                };
                let first = span.start * PAGE_PLACES;
                let bytes = bytes.get((range.start - first) * PLACE_BYTES..(range.end - first) * PLACE_BYTES).unwrap_or_default();
                vote(query, *number, probe.low, range.clone(), bytes);
            }
            rest = &rest[taken..];
        }
    }
    for (run, ranges) in index.runs().iter().zip(&recent) {
        for &number in &chosen {
            let postings = ranges.get(number).and_then(|range| run.get(range.clone())).unwrap_or_default().iter();
            let live = postings.filter(|posting| all_live || index.recent().is_live(posting.part));
            query.vote(number, live.map(|posting| (posting.key, view.recent_base + posting.part, posting.time)));
        }
    }
    Ok(())
}

/// The postings of a run that each of the probes, which are sorted, asks for.
fn ranges_of(run: &[Posting], probes: &[Probe]) -> Vec<Places> {
    let mut start = 0;
    let range = |probe: &Probe| {
        start = gallop(start, run.len(), |place| run[place].key < probe.low);
        start..gallop(start, run.len(), |place| run[place].key <= probe.high)
    };
    probes.iter().map(range).collect()
}

/// The probes that are read, in the order of their keys: those with fewest postings first, until there are enough votes. Ranges of the
/// heavy ones among them are cut.
fn choose(query: &Query, postings: usize, sealed: &mut [Vec<Places>], recent: &mut [Vec<Places>]) -> Vec<usize> {
    // (postings, probe)
    let mut weights: Vec<(usize, usize)> = Vec::with_capacity(query.probes().len());
    for number in 0..query.probes().len() {
        let ranges = sealed.iter().chain(recent.iter()).filter_map(|ranges| ranges.get(number));
        let count = ranges.map(ExactSizeIterator::len).sum();
        if count > 0 {
            weights.push((count, number));
        }
    }
    weights.sort_unstable();
    let heavy = HEAVY_POSTINGS.max(postings / HEAVY_SHARE);
    let mut votes = 0;
    let mut chosen = Vec::with_capacity(weights.len());
    for (position, (count, number)) in weights.into_iter().enumerate() {
        let is_heavy = count > heavy;
        let read = if is_heavy { count.min(HEAVY_READ) } else { count };
        let more = read.saturating_mul(query.weight(number));
        if (is_heavy && position >= LEAST_KEYS) || votes + more > VOTES {
            break;
        }
        votes += more;
        chosen.push(number);
        let mut left = read;
        for range in sealed.iter_mut().chain(recent.iter_mut()).filter_map(|ranges| ranges.get_mut(number)) {
            range.end = range.end.min(range.start + left);
            left -= range.len();
        }
    }
    chosen.sort_unstable();
    chosen
}

/// The pages of the first ranges, as many as are read at once: spans of pages in their order, each range inside one, and how many ranges.
fn batch(wanted: &[(Range<usize>, usize)]) -> (Vec<Range<usize>>, usize) {
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut pages = 0;
    for (taken, (range, _)) in wanted.iter().enumerate() {
        let span = range.start / PAGE_PLACES..(range.end - 1) / PAGE_PLACES + 1;
        match spans.last_mut() {
            Some(last) if span.start <= last.end => {
                pages += span.end.saturating_sub(last.end);
                last.end = last.end.max(span.end);
            }
            _ => {
                if pages + span.len() > BATCH_PAGES && taken > 0 {
                    return (spans, taken);
                }
                pages += span.len();
                spans.push(span);
            }
        }
    }
    (spans, wanted.len())
}

/// The catalogue as matches see it: parts numbered through all segments.
struct View<'a> {
    index: &'a Index,
    /// Number of each segment's first part.
    bases: Vec<u32>,
    recent_base: u32,
}

impl<'a> View<'a> {
    fn new(index: &'a Index) -> Self {
        let mut bases = Vec::with_capacity(index.segments().len());
        let mut base = 0;
        for segment in index.segments() {
            bases.push(base);
            base += segment.roster.parts.len() as u32;
        }
        Self { index, bases, recent_base: base }
    }

    /// The roster that a part is in, and its number there.
    fn locate(&self, part: u32) -> (&'a Roster, u32) {
        if part >= self.recent_base {
            return (self.index.recent(), part - self.recent_base);
        }
        let after = self.bases.partition_point(|&base| base <= part);
        let (segment, base) = (self.index.segments().get(after.saturating_sub(1)), self.bases.get(after.saturating_sub(1)));
        segment.zip(base).map_or((self.index.recent(), u32::MAX), |(segment, &base)| (&segment.roster, part - base))
    }

    fn part(&self, part: u32) -> Option<(&'a Part, &'a Track)> {
        let (roster, number) = self.locate(part);
        let part = roster.parts.get(number as usize)?;
        Some((part, roster.tracks.get(part.track as usize)?))
    }

    /// What a match says of its track; nothing if there is no such part.
    fn hit(&self, found: Match) -> Result<Option<Hit>> {
        let Some((part, track)) = self.part(found.part) else { return Ok(None) };
        let metadata = serde_json::from_str(&track.metadata).map_err(|error| Error::internal(format!("stored metadata: {error}")))?;
        let start = f64::from(part.index) * f64::from(PART_TICKS) * self.index.scheme().tick_seconds();
        let mut histogram = found.histogram;
        histogram.start += start;
        Ok(Some(Hit {
            id: track.id.clone(),
            metadata,
            confidence: found.confidence,
            evidence: found.evidence,
            votes: found.votes,
            offset: found.offset + start,
            time_scale: found.time_scale,
            pitch_scale: found.pitch_scale,
            query_start: found.query.0,
            query_end: found.query.1,
            ref_start: found.reference.0 + start,
            ref_end: found.reference.1 + start,
            histogram,
        }))
    }
}

impl Searched for View<'_> {
    fn parts(&self) -> usize {
        self.index.live_parts()
    }

    fn ticks(&self) -> u64 {
        self.index.live_ticks()
    }

    fn continues(&self, part: u32, next: u32) -> bool {
        let (roster, number) = self.locate(part);
        let (next_roster, next_number) = self.locate(next);
        std::ptr::eq(roster, next_roster) && roster.continues(number, next_number)
    }

    fn track_of(&self, part: u32) -> u32 {
        let (roster, number) = self.locate(part);
        let first = roster.parts.get(number as usize).and_then(|part| roster.tracks.get(part.track as usize)).map(|track| track.first_part);
        first.map_or(part, |first| part - number + first)
    }

    fn rows(&self, part: u32) -> &[u8] {
        self.part(part).map_or(&[], |(part, _)| &part.rows)
    }

    fn live_parts(&self) -> impl Iterator<Item = u32> {
        let bases = self.bases.iter().copied().chain([self.recent_base]);
        self.index.rosters().zip(bases).flat_map(|(roster, base)| {
            let live = roster.tracks.iter().filter(|track| track.is_live);
            live.flat_map(move |track| base + track.first_part..base + track.first_part + track.part_count)
        })
    }

    fn cells(&self) -> Option<&Cells> {
        self.index.cells()
    }

    fn cells_of_rows(&self, part: u32) -> &[[u16; CELLS_OF_ONE]] {
        self.part(part).map_or(&[], |(part, _)| &part.cells)
    }
}
