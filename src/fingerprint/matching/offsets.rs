//! Matching of landmarks by offset.
//!
//! A vote says that a landmark of part p of the catalogue, at tick t_ref, has the hash of a probe of the query's anchor at tick t_query.
//! A true match collects votes at one offset t_ref - t_query; chance spreads them (Wang 2003, section 2.3).

use std::cmp::Reverse;

use super::{Found, Histogram, PART_TICKS, QUERY_TICKS, Searched, radix_sorted};
use crate::fingerprint::confidence;
use crate::fingerprint::peaks::Peak;
use crate::fingerprint::wang::TICK_SECONDS;

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
/// Bits of a vote that do not take part in its order.
const ANCHOR_BITS: u32 = 16;

/// A vote in 64 bits that sort by part, then offset: part in bits 33.., offset + [`QUERY_TICKS`] in bits 16..33, index of the anchor
/// among the query's peaks in bits 0..16.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Vote(u64);

impl From<Vote> for u64 {
    fn from(vote: Vote) -> Self {
        vote.0
    }
}

impl Vote {
    /// A vote for `part` at `reference_tick` by the anchor with number `anchor` at `query_tick`.
    fn new(part: u32, reference_tick: u16, query_tick: u32, anchor: u16) -> Self {
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

/// Votes of one query.
#[derive(Debug, Clone)]
pub struct Ballot {
    votes: Vec<Vote>,
    /// The peaks that anchors are numbers of.
    anchors: Vec<Peak>,
    /// Frames from the first anchor to the last, counted with both.
    query_ticks: u32,
    /// Frame that query ticks count from.
    first_tick: u32,
}

impl Ballot {
    /// A ballot for anchors that are indices into `anchors`.
    #[must_use]
    pub fn new(anchors: &[Peak]) -> Self {
        let first_tick = anchors.first().map_or(0, |peak| peak.frame());
        let query_ticks = anchors.last().map_or(0, |peak| peak.frame() - first_tick + 1);
        Self { votes: Vec::new(), anchors: anchors.to_vec(), query_ticks, first_tick }
    }

    /// Takes the votes of an anchor for the places of postings: key, part and tick of each.
    pub fn vote(&mut self, anchor: u32, postings: impl Iterator<Item = (u32, u32, u16)>) {
        let tick = self.anchors.get(anchor as usize).map_or(self.first_tick, |peak| peak.frame()) - self.first_tick;
        self.votes.extend(postings.map(|(_, part, time)| Vote::new(part, time, tick, anchor as u16)));
    }

    /// The verified alignments, at most `per_part` of each part.
    pub fn matches(&mut self, per_part: usize, searched: &impl Searched) -> Vec<Found> {
        self.votes = radix_sorted(std::mem::take(&mut self.votes), ANCHOR_BITS);
        let alignments = self.alignments(per_part);
        alignments.into_iter().filter_map(|alignment| self.verify(alignment, searched)).collect()
    }

    /// Offsets at which the query can lie, in windows.
    fn cells(&self, searched: &impl Searched) -> f64 {
        (searched.ticks() as f64 + searched.parts() as f64 * f64::from(self.query_ticks)) / f64::from(WINDOW_TICKS)
    }

    fn histogram(&self, part: u32) -> Histogram {
        let votes = self.range(part, i32::MIN, i32::MAX).iter();
        let offsets: Vec<f64> = votes.map(|vote| f64::from(vote.offset()) - f64::from(self.first_tick)).collect();
        Histogram::of(&offsets, TICK_SECONDS)
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
    fn chance_rate(&self, window: Alignment, cells: f64) -> f64 {
        let own = window.votes as usize;
        let width = f64::from(WINDOW_TICKS);
        let rate = |votes: usize, ticks: f64| votes.saturating_sub(own) as f64 * width / ticks.max(width);
        let (first, last) = (window.offset - NEIGHBOURHOOD_TICKS, window.offset + WINDOW_TICKS - 1 + NEIGHBOURHOOD_TICKS);
        let around = rate(self.range(window.part, first, last).len(), f64::from(2 * NEIGHBOURHOOD_TICKS));
        let part = self.range(window.part, i32::MIN, i32::MAX);
        let span = part.last().zip(part.first()).map_or(0, |(last, first)| last.offset() - first.offset());
        let in_part = rate(part.len(), f64::from(span));
        let overall = rate(self.votes.len(), cells * width);
        around.max(in_part).max(overall)
    }

    fn verify(&self, window: Alignment, searched: &impl Searched) -> Option<Found> {
        let centre = window.offset + WINDOW_TICKS / 2;
        let (low, high) = (centre - TOLERANCE_TICKS, centre + TOLERANCE_TICKS);
        // (anchor, offset in the window's part)
        let mut support: Vec<(usize, i32)> = Vec::new();
        support.extend(self.range(window.part, low, high).iter().map(|vote| (vote.anchor(), vote.offset())));
        let part_ticks = PART_TICKS as i32;
        if searched.continues(window.part, window.part + 1) {
            let next = self.range(window.part + 1, low - part_ticks, high - part_ticks);
            support.extend(next.iter().map(|vote| (vote.anchor(), vote.offset() + part_ticks)));
        }
        if let Some(before) = window.part.checked_sub(1).filter(|&before| searched.continues(before, window.part)) {
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
        let cells = self.cells(searched);
        let evidence = confidence::evidence(votes, self.chance_rate(window, cells), cells);
        let offset = mean - f64::from(self.first_tick);
        let query = (f64::from(first), f64::from(last));
        let histogram = self.histogram(window.part);
        Some(Found { part: window.part, offset, time_scale: 1.0, pitch_scale: 1.0, votes, evidence, query, histogram })
    }
}
