//! Matching of triples: the scale, the place and the pitch that most of them agree on.
//!
//! A vote says that a triple of the query, anchored at tick t_query, has the shape of one of the part at tick t_ref. In a true match
//! `t_ref = a + s t_query`, with the tempo s of the query over that of the reference, and all pitches differ by the same D. A Hough
//! transform over s, a and D finds candidates, least squares and a recount of what agrees verify them (Six and Leman 2014, section 2.4,
//! which counts over s and D one after the other).

use std::cmp::Reverse;

use super::{Found, Histogram, PART_TICKS, Searched, radix_sorted};
use crate::dsp::constant_q::BANDS_PER_OCTAVE;
use crate::fingerprint::confidence;
use crate::fingerprint::panako::TICK_SECONDS;
use crate::fingerprint::triple::{PLACE_CELL, STEPS_PER_TICK, Triple, pitch_reach};

/// Ratio of neighbouring scales.
const SCALE_STEP: f64 = 1.01;
/// Ticks of a bin of a: 64 ms. Two neighbouring bins are counted as one.
const BIN_TICKS: f32 = 4.0;
/// Ticks from the line within which votes support it, in the first round and in the last.
const COARSE_TICKS: f64 = 8.0;
const FINE_TICKS: f64 = 3.0;
/// Rounds of least squares.
const ROUNDS: usize = 3;
/// Candidates that are verified, and of one part.
const CANDIDATES: usize = 48;
const CANDIDATES_PER_PART: usize = 3;
/// Ticks on either side of a line in which votes tell how many to expect by chance: 1 s.
const NEIGHBOURHOOD_TICKS: f64 = 62.0;
/// Least number of distinct query anchors and times in a match, and least ticks between first and last: 0.2 s.
const LEAST_TIMES: usize = 4;
const LEAST_SPAN: f64 = 13.0;
/// Pitch shift up to which a sound counts as unchanged, in eighths of a band.
const UNCHANGED_SHIFT: f64 = 8.0;
/// Ticks within which two places in a part are one.
const SAME_PLACE: f64 = 31.0;

/// A vote in 64 bits that sort by part: part in bits 39.., tick in 23..39, cell of the pitch in 16..23, number of the triple in 0..16.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Vote(u64);

impl From<Vote> for u64 {
    fn from(vote: Vote) -> Self {
        vote.0
    }
}

impl Vote {
    fn new(part: u32, time: u16, place: u32, triple: u32) -> Self {
        Self(u64::from(part) << 39 | u64::from(time) << 23 | u64::from(place & 127) << 16 | u64::from(triple & 0xFFFF))
    }

    fn part(self) -> u32 {
        (self.0 >> 39) as u32
    }

    fn time(self) -> u16 {
        (self.0 >> 23) as u16
    }

    fn place(self) -> i32 {
        (self.0 >> 16 & 127) as i32
    }

    fn triple(self) -> usize {
        (self.0 & 0xFFFF) as usize
    }
}

/// A vote with what it says.
#[derive(Debug, Clone, Copy)]
struct Point {
    anchor: u32,
    /// Ticks in the query, from its first anchor, and in the part.
    query: f64,
    reference: f64,
    /// Pitch of the query less that of the reference, in eighths of a band: lowest; the highest is `PLACE_CELL - 1` above.
    lowest_shift: i32,
}

impl Point {
    fn agrees_on(&self, shift: i32) -> bool {
        (self.lowest_shift..self.lowest_shift + PLACE_CELL).contains(&shift)
    }
}

/// A cell of the Hough transform.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    part: u32,
    votes: u32,
    scale: f64,
    /// Start of the window of a.
    offset: f64,
    /// Middle of the cell of D.
    shift: i32,
}

/// A line with what agrees on it.
struct Line {
    scale: f64,
    offset: f64,
    shift: f64,
    shift_at: i32,
    support: Vec<Point>,
}

impl Line {
    /// Whether the line of an unchanged sound lies as close to what agrees, as far as its length lets tell.
    fn is_unchanged(&self) -> bool {
        let (first, last) = (self.support.first(), self.support.last());
        let span = first.zip(last).map_or(0.0, |(first, last)| last.query - first.query);
        (self.scale - 1.0).abs() * span <= FINE_TICKS && self.shift.abs() <= UNCHANGED_SHIFT
    }
}

/// Votes of one query.
#[derive(Debug, Clone)]
pub struct ScaleBallot {
    triples: Vec<Triple>,
    /// Eighths of a row that the first anchor lies at.
    first: u32,
    scales: Vec<f64>,
    reach: i32,
    votes: Vec<Vote>,
}

impl ScaleBallot {
    /// A ballot for triples, whose tempo, pitch or speed differ by at most `max_change`.
    #[must_use]
    pub fn new(triples: Vec<Triple>, max_change: f64) -> Self {
        let first = triples.iter().map(|triple| triple.peaks[0].t).min().unwrap_or(0);
        let step = libm::log(SCALE_STEP);
        let lowest = (libm::log(1.0 - max_change) / step).floor() as i32;
        let highest = (libm::log(1.0 + max_change) / step).ceil() as i32;
        let scales = (lowest..=highest).map(|index| libm::exp(f64::from(index) * step)).collect();
        Self { triples, first, scales, reach: pitch_reach(max_change), votes: Vec::new() }
    }

    /// Takes the votes of a triple for postings: key, part and tick of each.
    pub fn vote(&mut self, triple: u32, postings: impl Iterator<Item = (u32, u32, u16)>) {
        self.votes.extend(postings.map(|(key, part, time)| Vote::new(part, time, key, triple)));
    }

    /// The verified places, at most `per_part` of each part.
    pub fn matches(&mut self, per_part: usize, searched: &impl Searched) -> Vec<Found> {
        self.votes = radix_sorted(std::mem::take(&mut self.votes), 0);
        let mut found: Vec<Found> = Vec::new();
        for candidate in self.candidates() {
            let Some(next) = self.verify(candidate, searched) else { continue };
            let is_same = |other: &&Found| other.part == next.part && (other.offset - next.offset).abs() < SAME_PLACE;
            if let Some(known) = found.iter().position(|other| is_same(&other)) {
                if next.evidence > found[known].evidence {
                    found[known] = next;
                }
            } else if found.iter().filter(|other| other.part == next.part).count() < per_part {
                found.push(next);
            }
        }
        found
    }

    /// The cells with most votes, by falling votes, then part, scale and offset.
    fn candidates(&self) -> Vec<Candidate> {
        let mut best: Vec<Candidate> = Vec::new();
        let mut counts = Vec::new();
        let mut start = 0;
        while let Some(first) = self.votes.get(start) {
            let part = first.part();
            let end = start + self.votes[start..].partition_point(|vote| vote.part() == part);
            if end - start >= LEAST_TIMES {
                let points: Vec<Point> = self.votes[start..end].iter().filter_map(|&vote| self.point(vote, 0.0)).collect();
                let least = if best.len() < CANDIDATES { LEAST_TIMES as u32 } else { best.last().map_or(0, |last| last.votes + 1) };
                let mut of_part = self.candidates_of(part, &points, least, &mut counts);
                of_part.sort_by_key(|candidate| Reverse(candidate.votes));
                of_part.truncate(CANDIDATES_PER_PART);
                for candidate in of_part {
                    // Parts come in their order, so that of equals the first stays.
                    let place = best.partition_point(|other| other.votes >= candidate.votes);
                    best.insert(place, candidate);
                }
                best.truncate(CANDIDATES);
            }
            start = end;
        }
        best
    }

    /// The best cell of each cell of D with at least `least` votes.
    fn candidates_of(&self, part: u32, points: &[Point], least: u32, counts: &mut Vec<u16>) -> Vec<Candidate> {
        let mut found = Vec::new();
        let cells = (2 * self.reach + 2 * PLACE_CELL) / PLACE_CELL + 1;
        let lowest = -self.reach - PLACE_CELL;
        for cell in 0..cells {
            let low = lowest + cell * PLACE_CELL;
            // (anchor, tick in the reference, tick in the query), each once.
            let mut group: Vec<(u32, f32, f32)> = points
                .iter()
                .filter(|point| point.lowest_shift < low + PLACE_CELL && point.lowest_shift + PLACE_CELL > low)
                .map(|point| (point.anchor, point.reference as f32, point.query as f32))
                .collect();
            group.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            group.dedup_by(|a, b| a.0 == b.0 && a.1 == b.1);
            if (group.len() as u32) < least {
                continue;
            }
            let mut best: Option<Candidate> = None;
            for &scale in &self.scales {
                let (votes, offset) = densest(&group, scale as f32, counts);
                if votes >= least && best.is_none_or(|best| best.votes < votes) {
                    best = Some(Candidate { part, votes, scale, offset: f64::from(offset), shift: low + PLACE_CELL / 2 });
                }
            }
            found.extend(best);
        }
        found
    }

    fn verify(&self, candidate: Candidate, searched: &impl Searched) -> Option<Found> {
        let mut points = self.points(candidate.part, 0.0);
        let ticks = f64::from(PART_TICKS);
        if searched.continues(candidate.part, candidate.part + 1) {
            points.extend(self.points(candidate.part + 1, ticks));
        }
        if let Some(before) = candidate.part.checked_sub(1).filter(|&before| searched.continues(before, candidate.part)) {
            points.extend(self.points(before, -ticks));
        }
        let line = self.fit(candidate, &points)?;
        let times: Vec<f64> = line.support.iter().map(|point| point.query).collect();
        let (first, last) = (times.first().copied()?, times.last().copied()?);
        let mut distinct = times;
        distinct.dedup();
        if distinct.len() < LEAST_TIMES || last - first < LEAST_SPAN {
            return None;
        }
        let votes = line.support.len() as u32;
        let (rate, cells) = self.chance(&line, &points, searched);
        let evidence = confidence::evidence(votes, rate, cells);
        let first_tick = f64::from(self.first) / f64::from(8 * STEPS_PER_TICK);
        let offset = line.offset - line.scale * first_tick;
        let offsets: Vec<f64> = points.iter().map(|point| point.reference - line.scale * (point.query + first_tick)).collect();
        let pitch_scale = libm::exp2(line.shift / 8.0 / f64::from(BANDS_PER_OCTAVE));
        Some(Found {
            part: candidate.part,
            offset,
            time_scale: line.scale,
            pitch_scale,
            votes,
            evidence,
            query: (first + first_tick, last + first_tick),
            histogram: Histogram::of(&offsets, TICK_SECONDS),
        })
    }

    /// Least squares on what lies near the candidate's line and agrees on D, closer in every round.
    fn fit(&self, candidate: Candidate, points: &[Point]) -> Option<Line> {
        let (mut scale, mut offset) = (candidate.scale, candidate.offset + f64::from(BIN_TICKS));
        let mut shift_at = candidate.shift;
        let mut shift = f64::from(shift_at);
        let (lowest, highest) = (self.scales.first()? / SCALE_STEP, self.scales.last()? * SCALE_STEP);
        let mut support: Vec<Point> = Vec::new();
        for round in 0..=ROUNDS {
            let reach = if round == 0 { COARSE_TICKS } else { FINE_TICKS + (COARSE_TICKS - FINE_TICKS) * 0.5f64.powi(round as i32) };
            let reach = if round == ROUNDS { FINE_TICKS } else { reach };
            let near: Vec<Point> =
                points.iter().copied().filter(|point| (point.reference - offset - scale * point.query).abs() <= reach).collect();
            (shift_at, shift) = most_common_shift(&near, candidate.shift)?;
            support = near.into_iter().filter(|point| point.agrees_on(shift_at)).collect();
            // The vote of an anchor that lies closest to the line speaks for it.
            let distance = |point: &Point| (point.reference - offset - scale * point.query).abs();
            support.sort_by(|a, b| {
                let order = a.query.total_cmp(&b.query).then(a.anchor.cmp(&b.anchor));
                order.then(distance(a).total_cmp(&distance(b))).then(a.reference.total_cmp(&b.reference))
            });
            support.dedup_by_key(|point| point.anchor);
            if support.len() < LEAST_TIMES {
                return None;
            }
            if round < ROUNDS {
                (scale, offset) = regression(&support)?;
                if !(lowest..=highest).contains(&scale) {
                    return None;
                }
            }
        }
        Some(Line { scale, offset, shift, shift_at, support })
    }

    /// Votes that a line gets by chance, as many as there are around it, in its part or in the whole catalogue, whichever is most; and the
    /// number of lines.
    fn chance(&self, line: &Line, points: &[Point], searched: &impl Searched) -> (f64, f64) {
        let width = 2.0 * FINE_TICKS + 1.0;
        let own = line.support.len();
        let distances: Vec<f64> = points
            .iter()
            .filter(|point| point.agrees_on(line.shift_at))
            .map(|point| point.reference - line.offset - line.scale * point.query)
            .collect();
        let rate = |votes: usize, ticks: f64| votes.saturating_sub(own) as f64 * width / ticks.max(width);
        let around = distances.iter().filter(|distance| distance.abs() <= NEIGHBOURHOOD_TICKS).count();
        let low = distances.iter().copied().fold(f64::INFINITY, f64::min);
        let high = distances.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let span =
            f64::from(self.triples.iter().map(|triple| triple.peaks[0].t).max().unwrap_or(0) - self.first) / f64::from(8 * STEPS_PER_TICK);
        let ticks = searched.ticks() as f64 + searched.parts() as f64 * span;
        let shifts = f64::from(2 * self.reach + PLACE_CELL) / f64::from(PLACE_CELL);
        let overall = rate(self.votes.len(), ticks) / shifts;
        let rate = rate(around, 2.0 * NEIGHBOURHOOD_TICKS).max(rate(distances.len(), high - low)).max(overall);
        // Half of the false alarms that are reckoned with go to sounds that nobody has changed: most are, and there are few such lines.
        let changes = if line.is_unchanged() { 1.0 } else { self.scales.len() as f64 * shifts };
        (rate, 2.0 * ticks / f64::from(BIN_TICKS) * changes)
    }

    fn points(&self, part: u32, shift: f64) -> Vec<Point> {
        let start = self.votes.partition_point(|vote| vote.part() < part);
        let votes = self.votes[start..].iter().take_while(|vote| vote.part() == part);
        votes.filter_map(|&vote| self.point(vote, shift)).collect()
    }

    fn point(&self, vote: Vote, shift: f64) -> Option<Point> {
        let triple = self.triples.get(vote.triple())?;
        let [first, ..] = triple.peaks;
        Some(Point {
            anchor: triple.anchor,
            query: f64::from(first.t - self.first) / f64::from(8 * STEPS_PER_TICK),
            reference: f64::from(vote.time()) + shift,
            lowest_shift: i32::from(first.f) - PLACE_CELL * vote.place() - (PLACE_CELL - 1),
        })
    }
}

/// Most votes in two neighbouring bins of a, and where the first of them begins.
fn densest(group: &[(u32, f32, f32)], scale: f32, counts: &mut Vec<u16>) -> (u32, f32) {
    let offset = |&(_, reference, query): &(u32, f32, f32)| reference - scale * query;
    let lowest = group.iter().map(offset).fold(f32::INFINITY, f32::min);
    let bin = |point: &(u32, f32, f32)| ((offset(point) - lowest) / BIN_TICKS) as usize;
    let bins = group.iter().map(bin).max().unwrap_or(0) + 2;
    if counts.len() < bins {
        counts.resize(bins, 0);
    }
    for point in group {
        if let Some(count) = counts.get_mut(bin(point)) {
            *count = count.saturating_add(1);
        }
    }
    let mut best = (0, 0);
    for point in group {
        let here = bin(point);
        if let Some(pair) = counts.get(here..here + 2) {
            let votes = u32::from(pair[0]) + u32::from(pair[1]);
            if (votes, Reverse(here)) > (best.0, Reverse(best.1)) {
                best = (votes, here);
            }
        }
    }
    for point in group {
        if let Some(count) = counts.get_mut(bin(point)) {
            *count = 0;
        }
    }
    (best.0, lowest + best.1 as f32 * BIN_TICKS)
}

/// The shift, within a cell of `around`, that most points agree on: a value that they do agree on, and the middle of all such values.
fn most_common_shift(points: &[Point], around: i32) -> Option<(i32, f64)> {
    let low = around - PLACE_CELL;
    let mut changes = vec![0i32; 2 * PLACE_CELL as usize + 2];
    for point in points {
        let from = (point.lowest_shift - low).clamp(0, 2 * PLACE_CELL + 1);
        let to = (point.lowest_shift + PLACE_CELL - low).clamp(0, 2 * PLACE_CELL + 1);
        changes[from as usize] += 1;
        changes[to as usize] -= 1;
    }
    let mut count = 0;
    let counts: Vec<i32> = changes
        .iter()
        .take(2 * PLACE_CELL as usize + 1)
        .map(|change| {
            count += change;
            count
        })
        .collect();
    let most = counts.iter().copied().max().filter(|&most| most > 0)?;
    let first = counts.iter().position(|&count| count == most)? as i32;
    let length = counts[first as usize..].iter().take_while(|&&count| count == most).count() as i32;
    Some((low + first + length / 2, f64::from(low + first) + 0.5 * f64::from(length - 1)))
}

/// Least-squares line through points: scale and offset. Nothing if they lie at one query time.
fn regression(points: &[Point]) -> Option<(f64, f64)> {
    let count = points.len() as f64;
    let mean = |value: fn(&Point) -> f64| points.iter().map(value).sum::<f64>() / count;
    let (query, reference) = (mean(|point| point.query), mean(|point| point.reference));
    let spread: f64 = points.iter().map(|point| (point.query - query).powi(2)).sum();
    let common: f64 = points.iter().map(|point| (point.query - query) * (point.reference - reference)).sum();
    (spread > 0.0).then(|| (common / spread, reference - common / spread * query))
}
