//! From votes to hits: alignment by offset, verification by distinct anchors, confidence.
//!
//! A vote says that a landmark of part p of the catalogue, at tick t_ref, has the hash of a probe of the query's anchor at tick t_query.
//! A true match collects votes at one offset t_ref - t_query; chance spreads them (Wang 2003, section 2.3).

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::confidence;
use super::peaks::Peak;
use super::wang::TICK_SECONDS;
use crate::error::{Error, Result};

/// Ticks of a query that are matched at once. Longer ones are cut, so that a vote fits 64 bits.
pub const QUERY_TICKS: u32 = 32_768;
/// Ticks of a part of a track.
pub const PART_TICKS: u32 = 65_536;

/// Neighbouring offsets that are counted as one.
const WINDOW_TICKS: i32 = 3;
/// Ticks around an alignment's offset within which votes support it.
const TOLERANCE_TICKS: i32 = 2;
/// Alignments that are verified.
const CANDIDATES: usize = 32;
/// Ticks on either side of an alignment in which votes tell how many to expect by chance: 1 s.
const NEIGHBOURHOOD_TICKS: i32 = 62;
/// Least number of distinct query times in a match, and least ticks between first and last: 0.2 s.
const LEAST_TIMES: usize = 3;
const LEAST_SPAN: u32 = 13;
/// Most bins of a histogram.
const HISTOGRAM_BINS: u32 = 512;
/// Ticks of a histogram's bin at least: 64 ms.
const HISTOGRAM_TICKS: u32 = 4;

/// What [`super::Catalog::find`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MatchOptions {
    /// Most hits, 1..=100. Default 5.
    pub top: u32,
    /// Most hits per track, 1..=10. Default 1.
    pub per_track: u32,
    /// Least confidence, 0..=1. Default [`confidence::DEFAULT_MINIMUM`].
    pub min_confidence: f64,
}

impl Default for MatchOptions {
    fn default() -> Self {
        Self { top: 5, per_track: 1, min_confidence: confidence::DEFAULT_MINIMUM }
    }
}

impl MatchOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming field, value and range.
    pub fn check(&self) -> Result<()> {
        if !(1..=100).contains(&self.top) {
            return Err(Error::invalid(format!("options.top must be in 1..100, got {}", self.top)));
        }
        if !(1..=10).contains(&self.per_track) {
            return Err(Error::invalid(format!("options.perTrack must be in 1..10, got {}", self.per_track)));
        }
        if !(0.0..=1.0).contains(&self.min_confidence) {
            return Err(Error::invalid(format!("options.minConfidence must be in 0..1, got {}", self.min_confidence)));
        }
        Ok(())
    }
}

/// A place in the catalogue that the query was found at. Times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hit {
    /// The track's id.
    pub id: String,
    /// The metadata it was enrolled with.
    pub metadata: serde_json::Value,
    /// Share of correct ones among matches with this much evidence, 0..1 (see [`confidence`]).
    pub confidence: f64,
    /// -log10 of the number of places at which chance alone would look as good (see [`confidence::evidence`]).
    #[serde(skip)]
    pub evidence: f64,
    /// Distinct anchors of the query that agree.
    pub votes: u32,
    /// Where in the reference the query starts; negative if the query starts earlier.
    pub offset: f64,
    /// Tempo of the query over that of the reference. Landmarks only match at 1.
    pub time_scale: f64,
    /// Pitch of the query over that of the reference. Landmarks only match at 1.
    pub pitch_scale: f64,
    /// First agreeing anchor in the query.
    pub query_start: f64,
    /// Last agreeing anchor in the query.
    pub query_end: f64,
    /// First agreeing anchor in the reference.
    pub ref_start: f64,
    /// Last agreeing anchor in the reference.
    pub ref_end: f64,
    /// Votes of this track by offset.
    pub histogram: Histogram,
}

/// Votes by offset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    /// Offset at which the first bin begins, in seconds.
    pub start: f64,
    /// Width of a bin, in seconds.
    pub step: f64,
    /// Votes per bin.
    pub counts: Vec<u32>,
}

/// A vote in 64 bits that sort by part, then offset: part in bits 33.., offset + [`QUERY_TICKS`] in bits 16..33, index of the anchor
/// among the query's peaks in bits 0..16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote(u64);

impl Vote {
    /// A vote for `part` at `reference_tick` by the anchor with number `anchor` at `query_tick`.
    #[must_use]
    pub fn new(part: u32, reference_tick: u16, query_tick: u32, anchor: u16) -> Self {
        let offset = u64::from(u32::from(reference_tick) + QUERY_TICKS - query_tick.min(QUERY_TICKS));
        Self(u64::from(part) << 33 | offset << 16 | u64::from(anchor))
    }

    fn part(self) -> u32 {
        (self.0 >> 33) as u32
    }

    /// Reference tick minus query tick.
    fn offset(self) -> i32 {
        (self.0 >> 16 & 0x1_FFFF) as i32 - QUERY_TICKS as i32
    }

    fn anchor(self) -> usize {
        (self.0 & 0xFFFF) as usize
    }
}

/// A part's best offsets.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Alignment {
    part: u32,
    /// First offset of the window.
    offset: i32,
    votes: u32,
}

/// What a verified alignment says, in ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Part that it was found in.
    pub part: u32,
    /// Reference tick minus query tick, in the part, averaged over the agreeing anchors.
    pub offset: f64,
    /// Distinct anchors.
    pub votes: u32,
    /// -log10 of the number of places at which chance alone would look as good.
    pub evidence: f64,
    /// Ticks of the first and the last agreeing anchor of the query.
    pub query: (u32, u32),
}

/// The size of what was searched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Searched {
    /// Live parts in the catalogue.
    pub parts: usize,
    /// Sum of their lengths, in ticks.
    pub ticks: u64,
    /// Length of the query, in ticks.
    pub query_ticks: u32,
}

impl Searched {
    /// Offsets at which the query can lie, in windows.
    fn cells(self) -> f64 {
        (self.ticks as f64 + self.parts as f64 * f64::from(self.query_ticks)) / f64::from(WINDOW_TICKS)
    }
}

/// Votes of one query, sorted.
#[derive(Debug, Clone)]
pub struct Ballot<'a> {
    votes: Vec<Vote>,
    /// The peaks that anchors are numbers of.
    anchors: &'a [Peak],
    /// Frame that query ticks count from.
    first_tick: u32,
}

impl<'a> Ballot<'a> {
    /// Sorts the votes of anchors that are indices into `anchors`, with query ticks counted from `first_tick`.
    #[must_use]
    pub fn new(votes: Vec<Vote>, anchors: &'a [Peak], first_tick: u32) -> Self {
        Self { votes: radix_sorted(votes), anchors, first_tick }
    }

    /// The verified alignments, at most `per_part` of each part. `continues(part, next)` tells whether `next = part + 1` is the part of
    /// the same track that follows.
    pub fn matches(&self, per_part: usize, searched: Searched, continues: impl Fn(u32, u32) -> bool) -> Vec<Match> {
        let alignments = self.alignments(per_part);
        alignments.into_iter().filter_map(|alignment| self.verify(alignment, searched, &continues)).collect()
    }

    /// Votes of a part by offset.
    #[must_use]
    pub fn histogram(&self, part: u32) -> Histogram {
        let votes = self.range(part, i32::MIN, i32::MAX);
        let (Some(first), Some(last)) = (votes.first(), votes.last()) else {
            return Histogram { start: 0.0, step: f64::from(HISTOGRAM_TICKS) * TICK_SECONDS, counts: Vec::new() };
        };
        let span = (last.offset() - first.offset()) as u32 + 1;
        let step = HISTOGRAM_TICKS.max(span.div_ceil(HISTOGRAM_BINS));
        let mut counts = vec![0; span.div_ceil(step) as usize];
        for vote in votes {
            if let Some(count) = counts.get_mut(((vote.offset() - first.offset()) as u32 / step) as usize) {
                *count += 1;
            }
        }
        let start = (f64::from(first.offset()) - f64::from(self.first_tick)) * TICK_SECONDS;
        Histogram { start, step: f64::from(step) * TICK_SECONDS, counts }
    }

    /// The windows with most votes, by falling votes, then part, then offset.
    fn alignments(&self, per_part: usize) -> Vec<Alignment> {
        let mut windows = Vec::new();
        let mut start = 0;
        let mut end = 0;
        while let Some(&first) = self.votes.get(start) {
            let (part, offset) = (first.part(), first.offset());
            end = end.max(start);
            while self.votes.get(end).is_some_and(|vote| vote.part() == part && vote.offset() < offset + WINDOW_TICKS) {
                end += 1;
            }
            if end - start >= LEAST_TIMES {
                windows.push(Alignment { part, offset, votes: (end - start) as u32 });
            }
            start += self.votes[start..].iter().take_while(|vote| vote.part() == part && vote.offset() == offset).count();
        }
        windows.sort_unstable_by_key(|window| (Reverse(window.votes), window.part, window.offset));
        let mut chosen: Vec<Alignment> = Vec::new();
        for window in windows {
            let overlaps =
                |other: &&Alignment| other.part == window.part && other.offset.abs_diff(window.offset) <= 2 * WINDOW_TICKS as u32;
            if chosen.iter().any(|other| overlaps(&other)) {
                continue;
            }
            if chosen.iter().filter(|other| other.part == window.part).count() < per_part {
                chosen.push(window);
            }
            if chosen.len() == CANDIDATES * per_part {
                break;
            }
        }
        chosen
    }

    /// Votes of a part with offsets `low..=high`.
    fn range(&self, part: u32, low: i32, high: i32) -> &[Vote] {
        let start = self.votes.partition_point(|vote| (vote.part(), vote.offset()) < (part, low));
        let end = self.votes.partition_point(|vote| (vote.part(), vote.offset()) <= (part, high));
        &self.votes[start..end]
    }

    /// Votes that a window holds by chance: as many as there are around it, in its part or in the whole catalogue, whichever is most.
    ///
    /// Music that shares a key and a tempo agrees in bursts: without the first two, one of eight strangers of 5 s passed for a hit at an
    /// evidence of 8.
    fn chance_rate(&self, window: Alignment, searched: Searched) -> f64 {
        let own = window.votes as usize;
        let width = f64::from(WINDOW_TICKS);
        let rate = |votes: usize, ticks: f64| votes.saturating_sub(own) as f64 * width / ticks.max(width);
        let (first, last) = (window.offset - NEIGHBOURHOOD_TICKS, window.offset + WINDOW_TICKS - 1 + NEIGHBOURHOOD_TICKS);
        let around = rate(self.range(window.part, first, last).len(), f64::from(2 * NEIGHBOURHOOD_TICKS));
        let part = self.range(window.part, i32::MIN, i32::MAX);
        let span = part.last().zip(part.first()).map_or(0, |(last, first)| last.offset() - first.offset());
        let in_part = rate(part.len(), f64::from(span));
        let overall = rate(self.votes.len(), searched.cells() * width);
        around.max(in_part).max(overall)
    }

    fn verify(&self, window: Alignment, searched: Searched, continues: &impl Fn(u32, u32) -> bool) -> Option<Match> {
        let centre = window.offset + WINDOW_TICKS / 2;
        let (low, high) = (centre - TOLERANCE_TICKS, centre + TOLERANCE_TICKS);
        // (anchor, offset in the window's part)
        let mut support: Vec<(usize, i32)> = Vec::new();
        support.extend(self.range(window.part, low, high).iter().map(|vote| (vote.anchor(), vote.offset())));
        let part_ticks = PART_TICKS as i32;
        if continues(window.part, window.part + 1) {
            let next = self.range(window.part + 1, low - part_ticks, high - part_ticks);
            support.extend(next.iter().map(|vote| (vote.anchor(), vote.offset() + part_ticks)));
        }
        if let Some(before) = window.part.checked_sub(1).filter(|&before| continues(before, window.part)) {
            let before = self.range(before, low + part_ticks, high + part_ticks);
            support.extend(before.iter().map(|vote| (vote.anchor(), vote.offset() - part_ticks)));
        }
        // The vote of an anchor that lies closest to the window's middle speaks for it.
        support.sort_unstable_by_key(|&(anchor, offset)| (anchor, offset.abs_diff(centre), offset));
        support.dedup_by_key(|&mut (anchor, _)| anchor);
        let tick = |anchor: usize| self.anchors.get(anchor).map_or(0, |peak| peak.frame());
        let mut times: Vec<u32> = support.iter().map(|&(anchor, _)| tick(anchor)).collect();
        times.sort_unstable();
        times.dedup();
        let (first, last) = (*times.first()?, *times.last()?);
        if times.len() < LEAST_TIMES || last - first < LEAST_SPAN {
            return None;
        }
        let votes = support.len() as u32;
        let mean = support.iter().map(|&(_, offset)| f64::from(offset)).sum::<f64>() / f64::from(votes);
        let evidence = confidence::evidence(votes, self.chance_rate(window, searched), searched.cells());
        Some(Match { part: window.part, offset: mean - f64::from(self.first_tick), votes, evidence, query: (first, last) })
    }
}

/// Sorts votes by part and offset: least significant digit first, 11 bits a pass, passes in which all are equal skipped.
fn radix_sorted(mut votes: Vec<Vote>) -> Vec<Vote> {
    const DIGIT_BITS: u32 = 11;
    const DIGITS: usize = 1 << DIGIT_BITS;
    if votes.len() < DIGITS {
        votes.sort_unstable();
        return votes;
    }
    let mut sorted = vec![Vote(0); votes.len()];
    // Anchors enter the order too, so that it does not depend on the order in which votes were read.
    let mut shift = 0;
    while shift < u64::BITS {
        let digit = |vote: Vote| (vote.0 >> shift) as usize & (DIGITS - 1);
        let mut places = [0usize; DIGITS];
        for &vote in &votes {
            places[digit(vote)] += 1;
        }
        if !places.contains(&votes.len()) {
            let mut sum = 0;
            for place in &mut places {
                sum += std::mem::replace(place, sum);
            }
            for &vote in &votes {
                let place = &mut places[digit(vote)];
                sorted[*place] = vote;
                *place += 1;
            }
            std::mem::swap(&mut votes, &mut sorted);
        }
        shift += DIGIT_BITS;
    }
    votes
}
