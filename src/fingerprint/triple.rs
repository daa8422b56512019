//! Triples: three peaks in the order of time, packed into hashes.
//!
//! Positions are integers, eighths of a row (8 ms) and of a band (1/85 octave). Of a triple with times t1 < t2 < t3 and bands f1, f2, f3
//! the hash holds r = 16 (t2 - t1) / (t3 - t1), c1 = f2 - f1 and c2 = f3 - f2 in cells of two bands, none of which changes with tempo, pitch
//! or speed; and lowest g = f1 in cells of four bands, so that all pitches of one shape are neighbours in the order of keys and one range
//! finds them.

use serde::Deserialize;

use super::matching::{MatchOptions, Probe};
use super::peaks::{Peak, strong_peaks};
use super::print::Reference;
use crate::dsp::constant_q::{self, BANDS_PER_OCTAVE};

/// Rows of 8 ms per tick of 16 ms.
pub const STEPS_PER_TICK: u32 = 2;
/// Bits of a hash.
pub const KEY_BITS: u32 = 25;
/// Rows on either side in which the peaks of a print are ranked.
pub const RANK_FRAMES: u32 = 44;
/// Peaks that a print keeps, of any `RANK_FRAMES` on either side.
pub const RANK_MAX: usize = 21;
/// Rank below which a peak takes part in stored triples.
pub const REFERENCE_RANK: usize = 14;
/// Rows from first to last peak of a triple, in a stored one and in a query at most 16 % faster or slower.
pub const REFERENCE_SPAN: std::ops::RangeInclusive<u32> = 48..=192;
const QUERY_SPAN: std::ops::RangeInclusive<u32> = 40..=LONGEST_IN_QUERY;
/// Longest triple of a query, in rows.
pub const LONGEST_IN_QUERY: u32 = 229;
/// Rows between two peaks of a triple at least, in a stored one and in a query.
const REFERENCE_GAP: u32 = 8;
const QUERY_GAP: u32 = 6;
/// Bands between two neighbouring peaks of a triple: -128..128.
const REACH: i32 = 128;
/// Stored triples per anchor, and partners they are chosen from.
const REFERENCE_TRIPLES: usize = 2;
const REFERENCE_PARTNERS: usize = 8;
/// Partners of an anchor that a query combines, two at a time.
const QUERY_PARTNERS: usize = 6;
/// Triples of a query.
const QUERY_TRIPLES: usize = 4_096;
/// Eighths of a band per cell of c1 and c2, and of g.
const STEP_CELL: i32 = 16;
pub(super) const PLACE_CELL: i32 = 32;
/// Cells of r.
const RATIOS: u32 = 16;
/// Positions in a cell of c1 or c2, 0..16, from which on and up to which the neighbouring cell is near: 0.35 of a cell.
const NEAR_LOWER_EDGE: i32 = 5;
const NEAR_UPPER_EDGE: i32 = 10;
/// Error of a time ratio that is reckoned with: 1.5 rows, in eighths, times [`RATIOS`].
const RATIO_ERROR: u32 = 192;

/// What must agree for two prints to mix: spectrum, grid and what is stored.
pub(super) const PARAMETERS: [u32; 12] = [
    constant_q::SAMPLE_RATE,
    constant_q::BANDS_PER_OCTAVE,
    constant_q::SLICE_LENGTH as u32,
    constant_q::STEP as u32,
    REFERENCE_RANK as u32,
    REFERENCE_TRIPLES as u32,
    REFERENCE_PARTNERS as u32,
    *REFERENCE_SPAN.start(),
    *REFERENCE_SPAN.end(),
    REFERENCE_GAP,
    REACH as u32,
    KEY_BITS,
];

/// Neighbouring cells that a query looks up besides a triple's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Neighbours {
    /// None: fastest.
    None,
    /// Those whose edge is near: 4 ranges on average.
    #[default]
    Near,
    /// All 27.
    All,
}

/// The fields of a hash: `ratio` in bits 24..21, `first_step` in 20..14, `second_step` in 13..7, `place` in 6..0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// Place of the second peak between the others, in sixteenths, 0..=15.
    pub ratio: u8,
    /// Bands from first to second peak, in cells of 2, plus 64: 0..=127.
    pub first_step: u8,
    /// Bands from second to third peak, in cells of 2, plus 64: 0..=127.
    pub second_step: u8,
    /// Band of the first peak, in cells of 4: 0..=127.
    pub place: u8,
}

impl Fields {
    /// The hash of these fields; nothing if one is out of range.
    #[must_use]
    pub fn pack(self) -> Option<u32> {
        let in_range = self.ratio < 16 && self.first_step < 128 && self.second_step < 128 && self.place < 128;
        in_range.then(|| {
            u32::from(self.ratio) << 21 | u32::from(self.first_step) << 14 | u32::from(self.second_step) << 7 | u32::from(self.place)
        })
    }

    /// The fields of a hash; nothing if bits above them are set.
    #[must_use]
    pub fn unpack(hash: u32) -> Option<Self> {
        (hash >> KEY_BITS == 0).then_some(Self {
            ratio: (hash >> 21) as u8,
            first_step: (hash >> 14 & 127) as u8,
            second_step: (hash >> 7 & 127) as u8,
            place: (hash & 127) as u8,
        })
    }
}

/// A hash and when its first peak sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TripleHash {
    /// Packed [`Fields`].
    pub hash: u32,
    /// Tick of the first peak.
    pub tick: u32,
}

/// Three peaks in the order of time, of an anchor with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Triple {
    /// Number of the anchor among the peaks.
    pub anchor: u32,
    /// The anchor, the second and the third peak.
    pub peaks: [Peak; 3],
}

impl Triple {
    /// The fields, each within its range for the triples that are formed here.
    fn fields(self) -> Fields {
        let [first, second, third] = self.peaks;
        let step = |from: Peak, to: Peak| ((i32::from(to.f) - i32::from(from.f)).div_euclid(STEP_CELL) + REACH / 2) as u8;
        Fields {
            ratio: (RATIOS * (second.t - first.t) / (third.t - first.t).max(1)) as u8,
            first_step: step(first, second),
            second_step: step(second, third),
            place: (i32::from(first.f) / PLACE_CELL) as u8,
        }
    }

    fn strength(self) -> u32 {
        self.peaks.iter().map(|peak| u32::from(peak.level)).sum()
    }
}

/// Tick of a time in eighths of a row, to the nearest.
#[must_use]
pub fn tick_of(t: u32) -> u32 {
    let eighths = 8 * STEPS_PER_TICK;
    t / eighths + u32::from(t % eighths >= eighths / 2)
}

/// What a catalogue stores of a list of peaks ordered by time, ordered by tick.
#[must_use]
pub fn references(peaks: &[Peak]) -> Vec<Reference> {
    let strong = strong_peaks(peaks, RANK_FRAMES, REFERENCE_RANK);
    let mut references = Vec::with_capacity(strong.len() * REFERENCE_TRIPLES);
    let mut partners = Vec::new();
    for (index, anchor) in strong.iter().enumerate() {
        choose_partners(&strong, index, REFERENCE_GAP..=*REFERENCE_SPAN.end(), REFERENCE_PARTNERS, &mut partners);
        let mut taken = 0;
        for_each_pair(*anchor, &partners, REFERENCE_GAP, &REFERENCE_SPAN, |peaks| {
            if taken < REFERENCE_TRIPLES {
                taken += 1;
                let hash = Triple { anchor: index as u32, peaks }.fields().pack();
                references.extend(hash.map(|key| Reference { key, tick: tick_of(anchor.t) }));
            }
        });
    }
    references
}

/// Appends the hashes that a query makes of the anchor at `index` of `peaks`, which are ordered by time.
pub fn hashes_of(peaks: &[Peak], index: usize, hashes: &mut Vec<TripleHash>) {
    let mut triples = Vec::new();
    triples_of(peaks, index, index as u32, &mut Vec::new(), &mut triples);
    let hash = |triple: Triple| triple.fields().pack().map(|hash| TripleHash { hash, tick: tick_of(triple.peaks[0].t) });
    hashes.extend(triples.into_iter().filter_map(hash));
}

/// All hashes that a query makes of peaks ordered by time: what a stream gives.
#[must_use]
pub fn query_hashes(peaks: &[Peak]) -> Vec<TripleHash> {
    let mut hashes = Vec::new();
    for index in 0..peaks.len() {
        hashes_of(peaks, index, &mut hashes);
    }
    hashes
}

/// The triples of the anchors `range` of `peaks`, the strongest 4 096 of them; anchors count from the range's start.
#[must_use]
pub fn query_triples(peaks: &[Peak], range: std::ops::Range<usize>) -> Vec<Triple> {
    let (mut triples, mut partners) = (Vec::new(), Vec::new());
    for index in range.clone() {
        triples_of(peaks, index, (index - range.start) as u32, &mut partners, &mut triples);
    }
    if triples.len() > QUERY_TRIPLES {
        triples.sort_by_key(|triple| std::cmp::Reverse(triple.strength()));
        triples.truncate(QUERY_TRIPLES);
    }
    triples
}

/// Ranges of keys that triples may have, with the number of the triple, at most `max_change` away in tempo, pitch or speed.
#[must_use]
pub fn probes(triples: &[Triple], options: &MatchOptions) -> Vec<(Probe, u32)> {
    let reach = pitch_reach(options.max_change);
    let mut probes = Vec::new();
    for (triple, number) in triples.iter().zip(0u32..) {
        let [first, second, third] = triple.peaks;
        let fields = triple.fields();
        let ratios = around_ratio(second.t - first.t, third.t - first.t, options.neighbours);
        let first_steps = around_step(i32::from(second.f) - i32::from(first.f), options.neighbours);
        let second_steps = around_step(i32::from(third.f) - i32::from(second.f), options.neighbours);
        let place = |f: i32| (f.div_euclid(PLACE_CELL)).clamp(0, 127) as u8;
        let (lowest, highest) = (place(i32::from(first.f) - reach), place(i32::from(first.f) + reach));
        for ratio in ratios.clone() {
            for first_step in first_steps.clone() {
                for second_step in second_steps.clone() {
                    // Cells outside a field do not exist.
                    let moved = |value: u8, by: i8| u8::try_from(i16::from(value) + i16::from(by)).ok();
                    let (Some(ratio), Some(first_step), Some(second_step)) =
                        (moved(fields.ratio, ratio), moved(fields.first_step, first_step), moved(fields.second_step, second_step))
                    else {
                        continue;
                    };
                    let low = Fields { ratio, first_step, second_step, place: lowest }.pack();
                    let high = Fields { ratio, first_step, second_step, place: highest }.pack();
                    probes.extend(low.zip(high).map(|(low, high)| (Probe { low, high }, number)));
                }
            }
        }
    }
    probes
}

/// Eighths of a band that a pitch may lie away: at least one band.
#[must_use]
pub fn pitch_reach(max_change: f64) -> i32 {
    let bands = f64::from(BANDS_PER_OCTAVE) * -libm::log2(1.0 - max_change);
    8 * bands.ceil().max(1.0) as i32
}

/// Steps to the cells of r around a ratio: none, and the nearer neighbour if an error of 1.5 rows can reach it.
fn around_ratio(part: u32, whole: u32, neighbours: Neighbours) -> std::ops::RangeInclusive<i8> {
    let inside = RATIOS * part % whole.max(1);
    let margin = RATIO_ERROR.min(whole / 2);
    around(inside < margin, inside >= whole - margin, neighbours)
}

/// Steps to the cells of c1 or c2 around a difference in eighths of a band.
fn around_step(difference: i32, neighbours: Neighbours) -> std::ops::RangeInclusive<i8> {
    let inside = difference.rem_euclid(STEP_CELL);
    around(inside <= NEAR_LOWER_EDGE, inside >= NEAR_UPPER_EDGE, neighbours)
}

fn around(is_near_lower: bool, is_near_upper: bool, neighbours: Neighbours) -> std::ops::RangeInclusive<i8> {
    match neighbours {
        Neighbours::None => 0..=0,
        Neighbours::Near => -i8::from(is_near_lower)..=i8::from(is_near_upper),
        Neighbours::All => -1..=1,
    }
}

fn triples_of(peaks: &[Peak], index: usize, number: u32, partners: &mut Vec<Peak>, triples: &mut Vec<Triple>) {
    let Some(&anchor) = peaks.get(index) else { return };
    choose_partners(peaks, index, QUERY_GAP..=*QUERY_SPAN.end(), QUERY_PARTNERS, partners);
    for_each_pair(anchor, partners, QUERY_GAP, &QUERY_SPAN, |peaks| triples.push(Triple { anchor: number, peaks }));
}

/// The first `count` partners of the anchor at `index`, ordered by falling level, rising distance, rising frequency.
fn choose_partners(peaks: &[Peak], index: usize, rows: std::ops::RangeInclusive<u32>, count: usize, partners: &mut Vec<Peak>) {
    partners.clear();
    let Some(&anchor) = peaks.get(index) else { return };
    let key = |peak: Peak| (std::cmp::Reverse(peak.level), peak.t, peak.f);
    for &partner in peaks[index + 1..].iter().take_while(|partner| partner.t.saturating_sub(anchor.t) <= 8 * rows.end()) {
        let distance = (i32::from(partner.f) - i32::from(anchor.f)).abs();
        if partner.t.saturating_sub(anchor.t) < 8 * rows.start() || distance >= 8 * REACH {
            continue;
        }
        let place = partners.partition_point(|&chosen| key(chosen) <= key(partner));
        if place < count {
            partners.truncate(count - 1);
            partners.insert(place, partner);
        }
    }
}

/// Calls `take` with the anchor and each two partners that make a triple with it: first and second partner, first and third, second and
/// third, first and fourth ...
fn for_each_pair(anchor: Peak, partners: &[Peak], gap: u32, span: &std::ops::RangeInclusive<u32>, mut take: impl FnMut([Peak; 3])) {
    for (index, &later) in partners.iter().enumerate() {
        for &earlier in &partners[..index] {
            let (second, third) = if earlier.t <= later.t { (earlier, later) } else { (later, earlier) };
            let length = third.t - anchor.t;
            let distance = (i32::from(third.f) - i32::from(second.f)).abs();
            if third.t - second.t >= 8 * gap && (8 * span.start()..=8 * span.end()).contains(&length) && distance < 8 * REACH {
                take([anchor, second, third]);
            }
        }
    }
}
