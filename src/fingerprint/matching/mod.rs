//! From votes to matches: what a query asks a catalogue for, and what it makes of the answers.
//!
//! [`Query::cut`] turns a print into queries, each with the ranges of keys that it wants looked up. The catalogue reports every posting in
//! them as a vote; [`Query::matches`] finds the places that votes agree on and says how unlikely they are by chance.

mod bits;
mod embeddings;
mod offsets;
mod scales;

use serde::{Deserialize, Serialize};

use self::bits::BitBallot;
use self::embeddings::EmbeddingSearch;
use self::offsets::Ballot;
use self::scales::ScaleBallot;
use super::cells::{CELLS_OF_ONE, Cells};
use super::confidence;
use super::landmark::Pairing;
use super::peaks::Peak;
use super::print::{Algorithm, Layer, Print, Profile, Scheme};
use super::triple;
pub use super::triple::Neighbours;
use crate::error::{Error, Result};

/// Ticks of a query that are matched at once. Longer ones are cut, so that a vote fits 64 bits.
pub const QUERY_TICKS: u32 = 32_768;
/// Ticks of a part of a track.
pub const PART_TICKS: u32 = 65_536;

/// Largest change of tempo, pitch or speed that may be asked for.
const LARGEST_CHANGE: f64 = 0.25;

/// What [`super::Catalog::find`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MatchOptions {
    /// Most hits, 1..=100. Default 5.
    pub top: u32,
    /// Most hits per track, 1..=10. Default 1.
    pub per_track: u32,
    /// Least confidence, 0..=1. Default: the one that lets one stranger in a thousand pass, [`confidence::default_minimum`].
    pub min_confidence: Option<f64>,
    /// Panako: largest change of tempo, pitch or speed that is looked for, 0..=0.25. Default 0.16.
    pub max_change: f64,
    /// Panako: which neighbouring cells are looked up. Default `near`.
    pub neighbours: Neighbours,
}

impl Default for MatchOptions {
    fn default() -> Self {
        Self { top: 5, per_track: 1, min_confidence: None, max_change: 0.16, neighbours: Neighbours::Near }
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
        if let Some(least) = self.min_confidence.filter(|least| !(0.0..=1.0).contains(least)) {
            return Err(Error::invalid(format!("options.minConfidence must be in 0..1, got {least}")));
        }
        if !(0.0..=LARGEST_CHANGE).contains(&self.max_change) {
            return Err(Error::invalid(format!("options.maxChange must be in 0..{LARGEST_CHANGE}, got {}", self.max_change)));
        }
        Ok(())
    }

    /// Least confidence of a hit between prints of a scheme.
    #[must_use]
    pub fn least_confidence(&self, scheme: Scheme) -> f64 {
        self.min_confidence.unwrap_or_else(|| confidence::default_minimum(scheme))
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
    /// What of the query agrees: distinct anchors; for Haitsma and Kalker probes that led there, for neural windows.
    pub votes: u32,
    /// Where in the reference the query starts; negative if the query starts earlier.
    pub offset: f64,
    /// Tempo of the query over that of the reference. Only Panako finds another than 1.
    pub time_scale: f64,
    /// Pitch of the query over that of the reference. Only Panako finds another than 1.
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
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// Offset at which the first bin begins, in seconds.
    pub start: f64,
    /// Width of a bin, in seconds.
    pub step: f64,
    /// Votes per bin.
    pub counts: Vec<u32>,
}

/// Most bins of a histogram.
const HISTOGRAM_BINS: f64 = 512.0;
/// Ticks of a histogram's bin at least.
const HISTOGRAM_TICKS: f64 = 4.0;

impl Histogram {
    /// The histogram of offsets in ticks.
    fn of(offsets: &[f64], tick_seconds: f64) -> Self {
        let low = offsets.iter().copied().fold(f64::INFINITY, f64::min);
        let high = offsets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let step = HISTOGRAM_TICKS.max(((high - low + 1.0) / HISTOGRAM_BINS).ceil());
        if offsets.is_empty() {
            return Self { start: 0.0, step: step * tick_seconds, counts: Vec::new() };
        }
        let bin = |offset: f64| ((offset - low) / step) as usize;
        let mut counts = vec![0; bin(high) + 1];
        for &offset in offsets {
            if let Some(count) = counts.get_mut(bin(offset)) {
                *count += 1;
            }
        }
        Self { start: low * tick_seconds, step: step * tick_seconds, counts }
    }
}

/// A verified place in a part of a track. Times in seconds; offset, reference and the histogram's start from the part's start.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Part that it was found in.
    pub part: u32,
    /// Where in the part the query starts.
    pub offset: f64,
    /// Tempo of the query over that of the reference.
    pub time_scale: f64,
    /// Pitch of the query over that of the reference.
    pub pitch_scale: f64,
    /// What of the query agrees.
    pub votes: u32,
    /// -log10 of the number of places at which chance alone would look as good.
    pub evidence: f64,
    /// Share of correct ones among matches with this much evidence, 0..1.
    pub confidence: f64,
    /// First and last agreeing anchor of the query.
    pub query: (f64, f64),
    /// The same in the reference.
    pub reference: (f64, f64),
    /// Votes of the part by offset.
    pub histogram: Histogram,
}

/// What an algorithm's search gives: a [`Match`] in ticks, histogram apart.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    part: u32,
    offset: f64,
    time_scale: f64,
    pitch_scale: f64,
    votes: u32,
    evidence: f64,
    query: (f64, f64),
    histogram: Histogram,
}

/// What is searched, as a query sees it. Parts have numbers below 2^24.
pub trait Searched {
    /// Live parts.
    fn parts(&self) -> usize;
    /// Sum of their lengths, in ticks.
    fn ticks(&self) -> u64;
    /// Whether `next` is the part of the same track and layer that follows `part`.
    fn continues(&self, part: u32, next: u32) -> bool;
    /// A number of the track that a part is of, the same for all its parts.
    fn track_of(&self, part: u32) -> u32;
    /// The rows of a part (see [`super::print::Rows`]), tick by tick from its start.
    fn rows(&self, part: u32) -> &[u8];
    /// The live parts.
    fn live_parts(&self) -> impl Iterator<Item = u32>;
    /// The cells that rows are sorted into, if they are.
    fn cells(&self) -> Option<&Cells>;
    /// The cells of each row of a part.
    fn cells_of_rows(&self, part: u32) -> &[[u16; CELLS_OF_ONE]];
}

/// A range of keys to look up, both ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    /// Lowest key.
    pub low: u32,
    /// Highest key.
    pub high: u32,
}

/// How much is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// What most sounds are found by.
    Usual,
    /// Several times as much, for what was not: Haitsma's frames with any of their weak bits flipped.
    More,
}

impl Effort {
    /// Whether looking up more is another search for prints of a scheme.
    #[must_use]
    pub fn can_grow(scheme: Scheme) -> bool {
        scheme.algorithm() == Algorithm::Haitsma && scheme.profile() != Profile::Paper
    }
}

/// Up to [`QUERY_TICKS`] of one layer of a print, on their way through a catalogue.
#[derive(Debug, Clone)]
pub struct Query {
    scheme: Scheme,
    per_part: usize,
    probes: Vec<Probe>,
    /// Where the askers of each probe begin, and one more for the end.
    starts: Vec<u32>,
    /// Anchors, triples or frames, by probe.
    askers: Vec<u32>,
    search: Search,
}

#[derive(Debug, Clone)]
enum Search {
    Offsets(Ballot),
    Scales(ScaleBallot),
    Bits(BitBallot),
    Embeddings(EmbeddingSearch),
}

impl Query {
    /// The queries that a print makes.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for options out of range.
    pub fn cut(print: &Print, options: &MatchOptions, effort: Effort) -> Result<Vec<Self>> {
        options.check()?;
        let scheme = print.scheme();
        let mut queries = Vec::new();
        for layer in print.layers() {
            match layer {
                Layer::Peaks(peaks) if scheme.algorithm() == Algorithm::Panako => {
                    let steps = u64::from(QUERY_TICKS) * u64::from(triple::STEPS_PER_TICK);
                    for range in excerpts(peaks, steps) {
                        let triples = triple::query_triples(peaks, range);
                        let probed = triple::probes(&triples, options);
                        queries.push(Self::new(scheme, options, probed, Search::Scales(ScaleBallot::new(triples, options.max_change))));
                    }
                }
                Layer::Peaks(peaks) => {
                    for range in excerpts(peaks, u64::from(QUERY_TICKS)) {
                        let probed = landmark_probes(peaks, range.clone(), scheme);
                        let anchors = peaks.get(range).unwrap_or_default();
                        queries.push(Self::new(scheme, options, probed, Search::Offsets(Ballot::new(anchors))));
                    }
                }
                Layer::Bits(frames) => {
                    for (piece, start) in frames.chunks(QUERY_TICKS as usize).zip((0..).step_by(QUERY_TICKS as usize)) {
                        let ballot = BitBallot::new(piece, start, scheme.profile(), effort);
                        queries.push(Self::new(scheme, options, ballot.probes(), Search::Bits(ballot)));
                    }
                }
                Layer::Embeddings(values) => {
                    let dimensions = print.dimensions();
                    let pieces = values.chunks(QUERY_TICKS as usize * dimensions).zip((0..).step_by(QUERY_TICKS as usize));
                    for (piece, first_window) in pieces {
                        let search = EmbeddingSearch::new(piece, dimensions, first_window, scheme.profile());
                        queries.push(Self::new(scheme, options, Vec::new(), Search::Embeddings(search)));
                    }
                }
            }
        }
        Ok(queries)
    }

    fn new(scheme: Scheme, options: &MatchOptions, mut probed: Vec<(Probe, u32)>, search: Search) -> Self {
        probed.sort_unstable();
        probed.dedup();
        let (mut probes, mut starts): (Vec<Probe>, Vec<u32>) = (Vec::new(), Vec::new());
        for (index, &(probe, _)) in probed.iter().enumerate() {
            if probes.last() != Some(&probe) {
                probes.push(probe);
                starts.push(index as u32);
            }
        }
        starts.push(probed.len() as u32);
        let askers = probed.into_iter().map(|(_, asker)| asker).collect();
        Self { scheme, per_part: options.per_track as usize, probes, starts, askers, search }
    }

    /// The ranges to look up: sorted, each once.
    #[must_use]
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// Votes that each posting in the range of a probe makes.
    #[must_use]
    pub fn weight(&self, probe: usize) -> usize {
        self.askers_of(probe).len()
    }

    /// Takes the postings found in the range of probe number `probe`: key, part and time of each.
    pub fn vote(&mut self, probe: usize, postings: impl Iterator<Item = (u32, u32, u16)> + Clone) {
        let askers = self.askers.get(self.askers_of(probe)).unwrap_or_default();
        for &asker in askers {
            match &mut self.search {
                Search::Offsets(ballot) => ballot.vote(asker, postings.clone()),
                Search::Scales(ballot) => ballot.vote(asker, postings.clone()),
                Search::Bits(ballot) => ballot.vote(asker, postings.clone()),
                // They ask for no keys.
                Search::Embeddings(_) => {}
            }
        }
    }

    /// The places that votes agree on, most evidence first.
    pub fn matches(&mut self, searched: &impl Searched) -> Vec<Match> {
        let found = match &mut self.search {
            Search::Offsets(ballot) => ballot.matches(self.per_part, searched),
            Search::Scales(ballot) => ballot.matches(self.per_part, searched),
            Search::Bits(ballot) => ballot.matches(self.per_part, searched),
            Search::Embeddings(search) => search.matches(self.per_part, searched),
        };
        let tick = self.scheme.tick_seconds();
        let mut matches: Vec<Match> = found
            .into_iter()
            .map(|found| Match {
                part: found.part,
                offset: found.offset * tick,
                time_scale: found.time_scale,
                pitch_scale: found.pitch_scale,
                votes: found.votes,
                evidence: found.evidence,
                confidence: confidence::of(found.evidence, self.scheme),
                query: (found.query.0 * tick, found.query.1 * tick),
                reference: (
                    (found.offset + found.time_scale * found.query.0) * tick,
                    (found.offset + found.time_scale * found.query.1) * tick,
                ),
                histogram: found.histogram,
            })
            .collect();
        matches.sort_by(|a, b| b.evidence.total_cmp(&a.evidence).then(a.part.cmp(&b.part)).then(a.offset.total_cmp(&b.offset)));
        matches
    }

    fn askers_of(&self, probe: usize) -> std::ops::Range<usize> {
        match (self.starts.get(probe), self.starts.get(probe + 1)) {
            (Some(&start), Some(&end)) => start as usize..end as usize,
            _ => 0..0,
        }
    }
}

/// Runs of peaks within `frames` frames each.
fn excerpts(peaks: &[Peak], frames: u64) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    while let Some(first) = peaks.get(start) {
        let end = start + peaks[start..].partition_point(|peak| u64::from(peak.frame() - first.frame()) < frames);
        ranges.push(start..end);
        start = end;
    }
    ranges
}

/// The keys that landmarks of the anchors `range` of `peaks` may have; anchors count from the range's start.
fn landmark_probes(peaks: &[Peak], range: std::ops::Range<usize>, scheme: Scheme) -> Vec<(Probe, u32)> {
    let unused_bits = u32::BITS - scheme.key_bits();
    let mut probes = Vec::new();
    let mut pairing = Pairing::new(scheme.profile());
    for index in range.clone() {
        pairing.probes_of(peaks, index, &mut probes);
    }
    let key = |hash: u32| Probe { low: hash >> unused_bits, high: hash >> unused_bits };
    probes.into_iter().map(|probe| (key(probe.hash), probe.anchor - range.start as u32)).collect()
}

/// Sorts by the bits from `lowest_bit` on: least significant digit first, 11 bits a pass, passes in which all are equal skipped.
fn radix_sorted<T: Copy + Default + Ord + Into<u64>>(mut votes: Vec<T>, lowest_bit: u32) -> Vec<T> {
    const DIGIT_BITS: u32 = 11;
    const DIGITS: usize = 1 << DIGIT_BITS;
    if votes.len() < DIGITS {
        votes.sort_unstable();
        return votes;
    }
    let mut sorted = vec![T::default(); votes.len()];
    let mut shift = lowest_bit;
    while shift < u64::BITS {
        let digit = |vote: T| (vote.into() >> shift) as usize & (DIGITS - 1);
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
