//! Matching of sub-fingerprints by bit error rate.
//!
//! A frame whose bits, or bits with one or two of the weak ones flipped, are in the catalogue fixes an alignment; the share of unequal bits
//! over all frames that overlap decides (Haitsma and Kalker 2002, sections 4 and 5).

use std::cmp::Reverse;

use super::{Effort, Found, Histogram, PART_TICKS, Probe, QUERY_TICKS, Searched, radix_sorted};
use crate::fingerprint::confidence;
use crate::fingerprint::haitsma::{Grid, ROW_BYTES, SubFingerprint};
use crate::fingerprint::print::Profile;

/// Frames of a query that are looked up at most.
const PROBED_FRAMES: usize = 1_024;
/// Alignments whose bits are compared.
const ALIGNMENTS: usize = 4_096;
/// Frames that must overlap, and those of the paper's block.
const LEAST_FRAMES: usize = 32;
const BLOCK_FRAMES: usize = 256;
/// Bit error rate of a match at most: the paper's for 256 frames, and of longer ones, where it lies as many deviations from chance.
const LARGEST_RATE: f64 = 0.35;
const LARGEST_RATE_FOR_LONG: f64 = 0.4;
/// Standard deviations below one half that the rate of a match lies, and the factor by which correlated bits widen them.
const DEVIATIONS: f64 = 7.0;
const CORRELATION: f64 = 3.0;
/// Ticks within which two places in a part are one.
const SAME_PLACE: i64 = 32;

/// A vote in 64 bits that sort by part, then offset: part in bits 33.., offset + [`QUERY_TICKS`] in bits 16..33, frame in bits 0..16.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Vote(u64);

impl From<Vote> for u64 {
    fn from(vote: Vote) -> Self {
        vote.0
    }
}

impl Vote {
    fn alignment(self) -> u64 {
        self.0 >> 16
    }

    fn part(self) -> u32 {
        (self.0 >> 33) as u32
    }

    /// Reference tick minus query tick.
    fn offset(self) -> i64 {
        (self.0 >> 16 & 0x1_FFFF) as i64 - i64::from(QUERY_TICKS)
    }
}

/// Votes of one query.
#[derive(Debug, Clone)]
pub struct BitBallot {
    frames: Vec<SubFingerprint>,
    /// Tick of the first frame.
    first_tick: u32,
    profile: Profile,
    effort: Effort,
    votes: Vec<Vote>,
}

/// How two stretches compare.
struct Comparison {
    frames: usize,
    unequal: u64,
    first: usize,
    last: usize,
}

impl BitBallot {
    /// A ballot for frames from tick `first_tick` on, at most [`QUERY_TICKS`].
    #[must_use]
    pub fn new(frames: &[SubFingerprint], first_tick: u32, profile: Profile, effort: Effort) -> Self {
        Self { frames: frames.to_vec(), first_tick, profile, effort, votes: Vec::new() }
    }

    /// The keys to look up, with the number of the frame.
    #[must_use]
    pub fn probes(&self) -> Vec<(Probe, u32)> {
        // An odd step, so that frames of either parity are asked for: every second one is stored.
        let step = self.frames.len().div_ceil(PROBED_FRAMES).max(1) | 1;
        let frames = self.frames.iter().enumerate().step_by(step).filter(|(_, frame)| frame.bits != 0);
        let mut probes = Vec::new();
        for (number, frame) in frames {
            let probe = |key| (Probe { low: key, high: key }, number as u32);
            match self.profile {
                Profile::Paper => probes.extend(frame.probes_of_one_error().map(probe)),
                _ if self.effort == Effort::More => probes.extend(frame.probes_of_weak_errors().map(probe)),
                _ => probes.extend(frame.probes().map(probe)),
            }
        }
        probes
    }

    /// Takes the votes of a frame for postings: key, part and tick of each.
    pub fn vote(&mut self, frame: u32, postings: impl Iterator<Item = (u32, u32, u16)>) {
        let vote = |(_, part, time): (u32, u32, u16)| {
            let offset = u64::from(u32::from(time) + QUERY_TICKS - frame.min(QUERY_TICKS));
            Vote(u64::from(part) << 33 | offset << 16 | u64::from(frame & 0xFFFF))
        };
        self.votes.extend(postings.map(vote));
    }

    /// The places whose bits agree, at most `per_part` of each part.
    pub fn matches(&mut self, per_part: usize, searched: &impl Searched) -> Vec<Found> {
        self.votes = radix_sorted(std::mem::take(&mut self.votes), 0);
        let mut alignments: Vec<(u32, Vote)> = Vec::new();
        for votes in self.votes.chunk_by(|a, b| a.alignment() == b.alignment()) {
            alignments.extend(votes.first().map(|&vote| (votes.len() as u32, vote)));
        }
        alignments.sort_unstable_by_key(|&(votes, vote)| (Reverse(votes), vote));
        alignments.truncate(ALIGNMENTS);
        let mut found: Vec<(f64, i64, Found)> = Vec::new();
        for (votes, vote) in alignments {
            let Some(found_here) = self.verify(votes, vote, searched) else { continue };
            found.push(found_here);
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.part.cmp(&b.2.part)).then(a.1.cmp(&b.1)));
        let mut kept: Vec<(i64, Found)> = Vec::new();
        for (_, offset, found) in found {
            let of_part = || kept.iter().filter(|(_, other)| other.part == found.part);
            if of_part().count() < per_part && of_part().all(|(other, _)| (other - offset).abs() > SAME_PLACE) {
                kept.push((offset, found));
            }
        }
        kept.into_iter().map(|(_, found)| found).collect()
    }

    /// The negative evidence, the offset and the place of an alignment whose bits agree.
    fn verify(&self, votes: u32, vote: Vote, searched: &impl Searched) -> Option<(f64, i64, Found)> {
        let (part, offset) = (vote.part(), vote.offset());
        let compared = self.compare(part, offset, searched)?;
        let bits = 32.0 * compared.frames as f64;
        let rate = compared.unequal as f64 / bits;
        let deviation = CORRELATION / (2.0 * bits.sqrt());
        let (least_frames, largest_rate) = match self.profile {
            Profile::Paper => (BLOCK_FRAMES, LARGEST_RATE),
            _ => (LEAST_FRAMES, LARGEST_RATE_FOR_LONG.min(0.5 - DEVIATIONS * deviation)),
        };
        if compared.frames < least_frames || rate > largest_rate {
            return None;
        }
        let cells = searched.ticks() as f64 + searched.parts() as f64 * self.frames.len() as f64;
        let evidence = confidence::normal_evidence((0.5 - rate) / deviation, cells);
        let first_tick = f64::from(self.first_tick);
        let found = Found {
            part,
            offset: offset as f64 - first_tick,
            time_scale: 1.0,
            pitch_scale: 1.0,
            votes,
            evidence,
            query: (first_tick + compared.first as f64, first_tick + compared.last as f64),
            histogram: self.histogram(part),
        };
        Some((-evidence, offset, found))
    }

    /// Compares the frames with the rows of a part and of its neighbours. Where both are silent nothing is compared.
    fn compare(&self, part: u32, offset: i64, searched: &impl Searched) -> Option<Comparison> {
        let ticks = i64::from(PART_TICKS);
        let rows = searched.rows(part);
        let next = if searched.continues(part, part + 1) { searched.rows(part + 1) } else { &[] };
        let before = part.checked_sub(1).filter(|&before| searched.continues(before, part));
        let before = before.map_or(&[][..], |before| searched.rows(before));
        let row = |tick: i64| {
            let (rows, tick) = match tick {
                tick if tick < 0 => (before, tick + ticks),
                tick if tick >= ticks => (next, tick - ticks),
                tick => (rows, tick),
            };
            let start = usize::try_from(tick).ok()? * ROW_BYTES;
            rows.get(start..start + ROW_BYTES)?.try_into().ok().map(u32::from_le_bytes)
        };
        let mut compared: Option<Comparison> = None;
        for (number, frame) in self.frames.iter().enumerate() {
            let Some(bits) = row(offset + number as i64) else { continue };
            if bits == 0 && frame.bits == 0 {
                continue;
            }
            let compared = compared.get_or_insert(Comparison { frames: 0, unequal: 0, first: number, last: number });
            compared.frames += 1;
            compared.unequal += u64::from((bits ^ frame.bits).count_ones());
            compared.last = number;
        }
        compared
    }

    fn histogram(&self, part: u32) -> Histogram {
        let start = self.votes.partition_point(|vote| vote.part() < part);
        let votes = self.votes[start..].iter().take_while(|vote| vote.part() == part);
        let offsets: Vec<f64> = votes.map(|vote| vote.offset() as f64 - f64::from(self.first_tick)).collect();
        Histogram::of(&offsets, Grid::of(self.profile).tick_seconds())
    }
}
