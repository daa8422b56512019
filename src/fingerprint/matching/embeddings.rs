//! Matching of embeddings by their mean cosine along an alignment.
//!
//! Up to 20 000 stored embeddings are all compared with those of the query, above that those of the nearest cells (see [`Cells`]). What is
//! alike votes for the windows between reference and query; the best of these alignments are then compared whole. A query has a window every
//! quarter of a second and a catalogue may keep every second one: then half of the windows meet a kept one at each alignment, so that one of
//! two alignments is within an eighth of a second of the truth.
//!
//! How alike strangers are depends on the sound: every metronome is like every other one. So the evidence for a track is its cosine and, above
//! all, how far that lies above those of its best rivals, the other tracks of the catalogue (cohort normalisation: Auckenthaler, Carey and Lloyd-Thomas,
//! "Score normalization for text-independent speaker verification systems", Digital Signal Processing 10, 2000).

use super::{Found, Histogram, Searched};
use crate::dsp::kernel;
use crate::fingerprint::cells::{CELLS_OF_ONE, Cells, EXHAUSTIVE};
use crate::fingerprint::embedder::UNIT;
use crate::fingerprint::neural::{STEP_SECONDS, windows_per_row};
use crate::fingerprint::print::Profile;

/// Windows of a query that look for alignments; all take part in the comparison.
const ASKING: usize = 256;
/// Some of the windows that look for alignments: a bit for each.
type Askers = [u64; ASKING / 64];
/// Alignments that are compared whole.
const ALIGNMENTS: usize = 64;
/// Cosine from which a window agrees with a place.
const AGREEING: f64 = 0.5;
/// Stored embeddings, and windows of the query, from whose cosines it is told what chance gives.
const SAMPLED: usize = 64;
/// Tracks whose best places are compared whole, to find the rivals.
const COMPARED_TRACKS: usize = 64;
/// Other tracks that a track is measured by: the most alike ones.
const RIVALS: usize = 5;
/// What lying above its rivals counts, beside the cosine itself.
const LEAD: f64 = 3.0;
/// Cosine of rivals where there are none or only worse ones: for one window, and the power of the number of windows that it falls with. It is that of the
/// shipped network for music that is not the same.
const UNRELATED: (f64, f64) = (0.68, -0.19);
/// Cosine and lead together at evidence 0, and more of them by which strangers become ten times rarer: of the shipped network.
const CHANCE: (f64, f64) = (0.9, 0.24);
/// Tracks from which on the rivals say what they can: of fewer, the best five are less like the query than it takes. And most evidence that goes for that.
const ENOUGH_TRACKS: (f64, f64) = (120.0, 0.7);
/// Windows within which two places in a part are one.
const SAME_PLACE: i64 = 4;

/// The embeddings of a query.
#[derive(Debug, Clone)]
pub struct EmbeddingSearch {
    values: Vec<i8>,
    dimensions: usize,
    /// Number of the first window in its print.
    first_window: u32,
    /// Windows for each row that the catalogue keeps. Windows that far apart are of one phase: an alignment has them all meet rows, or none.
    per_row: usize,
    /// Norm of each window as stored; 0 where there is no embedding.
    norms: Vec<f64>,
    /// Windows that look for alignments.
    asking: Vec<usize>,
    /// How many of them are of each phase.
    asking_of_phase: Vec<usize>,
}

/// A place of the query in a part.
#[derive(Debug, Clone, Copy)]
struct Alignment {
    /// What a window has in common with the row there beyond chance, on average.
    score: f32,
    track: u32,
    part: u32,
    /// Where the query's first window lies, in windows from the start of the part.
    offset: i64,
}

/// How two stretches compare.
struct Comparison {
    agreeing: u32,
    /// Windows of the phase.
    windows: usize,
    /// Mean cosine; windows that meet nothing count as unrelated ones.
    mean: f64,
    first: usize,
    last: usize,
}

impl EmbeddingSearch {
    /// A search for embeddings of `dimensions` numbers from window `first_window` of a print on, in a catalogue of this profile.
    #[must_use]
    pub fn new(values: &[i8], dimensions: usize, first_window: u32, profile: Profile) -> Self {
        let per_row = windows_per_row(profile);
        let norms: Vec<f64> = values.chunks_exact(dimensions).map(norm).collect();
        let there: Vec<usize> = norms.iter().enumerate().filter(|(_, norm)| **norm > 0.0).map(|(window, _)| window).collect();
        // Odd steps go through all phases.
        let asking: Vec<usize> = there.iter().copied().step_by(there.len().div_ceil(ASKING) | 1).collect();
        let asking_of_phase = (0..per_row).map(|phase| asking.iter().filter(|&&window| window % per_row == phase).count()).collect();
        Self { values: values.to_vec(), dimensions, first_window, per_row, norms, asking, asking_of_phase }
    }

    /// The places that agree, at most `per_part` of each part.
    pub fn matches(&self, per_part: usize, searched: &impl Searched) -> Vec<Found> {
        let middle = self.middle(searched);
        let asked = searched.cells().map(|cells| self.askers_by_cell(cells));
        // Of a large catalogue some parts are looked at whole, so that rivals do not hang on the cells.
        let looked_at_whole = (searched.ticks() as usize).div_ceil(EXHAUSTIVE).max(1);
        let mut alignments: Vec<Alignment> = Vec::new();
        let mut best_of_tracks: Vec<Alignment> = Vec::new();
        let mut scores = Vec::new();
        for (number, part) in searched.live_parts().enumerate() {
            let rows: &[i8] = bytemuck::cast_slice(searched.rows(part));
            scores.clear();
            scores.resize(self.norms.len() + rows.len() / self.dimensions * self.per_row, 0.0);
            match &asked {
                Some(asked) if number % looked_at_whole != 0 => {
                    self.score_near(rows, searched.cells_of_rows(part), asked, middle, &mut scores);
                }
                _ => self.score_all(rows, middle, &mut scores),
            }
            let track = searched.track_of(part);
            let places = scores.iter().zip(-(self.norms.len() as i64)..).filter(|(score, _)| **score > 0.0);
            let places = places.map(|(&sum, offset)| {
                let asking = self.asking_of_phase.get(self.phase(offset)).copied().unwrap_or(1);
                Alignment { score: sum / asking as f32, track, part, offset }
            });
            if let Some(best) = places.clone().max_by(|a, b| a.score.total_cmp(&b.score)) {
                match best_of_tracks.last_mut().filter(|last| last.track == track) {
                    Some(last) if last.score >= best.score => {}
                    Some(last) => *last = best,
                    None => best_of_tracks.push(best),
                }
            }
            alignments.extend(places);
            if alignments.len() > 64 * ALIGNMENTS {
                keep_best(&mut alignments, ALIGNMENTS);
            }
        }
        keep_best(&mut alignments, ALIGNMENTS);
        let doubt = libm::log10(ENOUGH_TRACKS.0 / best_of_tracks.len().max(1) as f64).clamp(0.0, ENOUGH_TRACKS.1);
        keep_best(&mut best_of_tracks, COMPARED_TRACKS);
        let compare = |at: &Alignment| self.compare(bytemuck::cast_slice(searched.rows(at.part)), at.offset, middle);
        let mut rivals: Vec<(f64, u32)> = best_of_tracks.iter().filter_map(|at| Some((compare(at)?.mean, at.track))).collect();
        rivals.sort_by(|a, b| b.0.total_cmp(&a.0));
        let compared = alignments.iter().filter_map(|at| {
            let compared = compare(at)?;
            Some((self.evidence(&compared, at.track, &rivals) - doubt, at.part, at.offset, compared))
        });
        let mut compared: Vec<(f64, u32, i64, Comparison)> = compared.collect();
        compared.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut kept: Vec<(i64, Found)> = Vec::new();
        for (evidence, part, offset, compared) in compared {
            let of_part = || kept.iter().filter(|(_, other)| other.part == part);
            if of_part().count() < per_part && of_part().all(|(other, _)| (other - offset).abs() > SAME_PLACE) {
                kept.push((offset, self.found(part, offset, evidence, &compared, searched)));
            }
        }
        kept.into_iter().map(|(_, found)| found).collect()
    }

    /// The cosine of unrelated windows: the median of those between windows and stored embeddings here and there. A few that do belong together
    /// do not change it.
    fn middle(&self, searched: &impl Searched) -> f64 {
        let parts: Vec<u32> = searched.live_parts().collect();
        let mut cosines: Vec<f64> = Vec::new();
        for sample in 0..SAMPLED {
            let Some(&part) = parts.get(sample * parts.len() / SAMPLED) else { break };
            let rows: &[i8] = bytemuck::cast_slice(searched.rows(part));
            let count = rows.len() / self.dimensions;
            // Steps of the golden ratio spread evenly, whatever the number of samples of a part.
            let place = ((sample as f64 * 0.618_033_988_75).fract() * count as f64) as usize;
            let row = rows.get(place * self.dimensions..(place + 1) * self.dimensions).unwrap_or_default();
            let norm = norm(row);
            if norm > 0.0 {
                let windows = self.asking.iter().step_by(self.asking.len().div_ceil(SAMPLED).max(1));
                let norms = windows.filter_map(|&window| Some((window, self.norms.get(window)? * norm)));
                cosines.extend(norms.map(|(window, norms)| f64::from(kernel::dot_i8(self.window(window), row)) / norms));
            }
        }
        cosines.sort_by(f64::total_cmp);
        cosines.get(cosines.len() / 2).copied().unwrap_or(0.0)
    }

    /// The phase of the windows that meet rows where the first window lies at `offset`.
    fn phase(&self, offset: i64) -> usize {
        (-offset).rem_euclid(self.per_row as i64) as usize
    }

    /// Evidence for a track by how the query compares with it, given the mean cosines with all that are most alike, best first: minus the
    /// logarithm of the share of strangers that come so far.
    fn evidence(&self, compared: &Comparison, track: u32, rivals: &[(f64, u32)]) -> f64 {
        let least = UNRELATED.0 * libm::pow(compared.windows as f64, UNRELATED.1);
        let others = rivals.iter().filter(|(_, other)| *other != track).map(|&(rival, _)| rival.max(least));
        let sum: f64 = others.chain(std::iter::repeat(least)).take(RIVALS).sum();
        (compared.mean + LEAD * (compared.mean - sum / RIVALS as f64) - CHANCE.0) / CHANCE.1
    }

    /// The windows that ask for each cell.
    fn askers_by_cell(&self, cells: &Cells) -> Vec<Askers> {
        let mut asked = vec![Askers::default(); cells.count()];
        for (number, &window) in self.asking.iter().enumerate() {
            for cell in cells.probed(self.window(window)) {
                if let Some(word) = asked.get_mut(cell).and_then(|askers| askers.get_mut(number / 64)) {
                    *word |= 1 << (number % 64);
                }
            }
        }
        asked
    }

    fn score_all(&self, rows: &[i8], middle: f64, scores: &mut [f32]) {
        for (row, tick) in rows.chunks_exact(self.dimensions).zip(0..) {
            for &window in &self.asking {
                self.score(window, row, tick, middle, scores);
            }
        }
    }

    fn score_near(&self, rows: &[i8], cells: &[[u16; CELLS_OF_ONE]], asked: &[Askers], middle: f64, scores: &mut [f32]) {
        for ((row, cells), tick) in rows.chunks_exact(self.dimensions).zip(cells).zip(0..) {
            let mut askers = Askers::default();
            for of_cell in cells.iter().filter_map(|&cell| asked.get(usize::from(cell))) {
                askers.iter_mut().zip(of_cell).for_each(|(all, own)| *all |= own);
            }
            for (word, first) in askers.into_iter().zip((0..).step_by(64)) {
                let mut left = word;
                while left != 0 {
                    if let Some(&window) = self.asking.get(first + left.trailing_zeros() as usize) {
                        self.score(window, row, tick, middle, scores);
                    }
                    left &= left - 1;
                }
            }
        }
    }

    /// Adds what a window has in common with a row beyond chance to the alignment of the two.
    fn score(&self, window: usize, row: &[i8], tick: usize, middle: f64, scores: &mut [f32]) {
        let cosine = kernel::dot_i8(self.window(window), row) as f32 / (UNIT * UNIT);
        if let Some(score) = scores.get_mut(tick * self.per_row + self.norms.len() - window) {
            *score += (cosine - middle as f32).max(0.0);
        }
    }

    fn window(&self, window: usize) -> &[i8] {
        self.values.get(window * self.dimensions..(window + 1) * self.dimensions).unwrap_or_default()
    }

    /// Compares the query with the rows from `offset` on, wherever both have an embedding.
    fn compare(&self, rows: &[i8], offset: i64, middle: f64) -> Option<Comparison> {
        let of_phase = || self.norms.iter().enumerate().skip(self.phase(offset)).step_by(self.per_row);
        let all = of_phase().filter(|(_, norm)| **norm > 0.0).count();
        let (mut sum, mut windows) = (0.0, 0);
        let mut compared: Option<Comparison> = None;
        for (window, &own_norm) in of_phase() {
            let Ok(place) = usize::try_from(offset + window as i64) else { continue };
            let tick = place / self.per_row;
            let Some(row) = rows.get(tick * self.dimensions..(tick + 1) * self.dimensions) else { break };
            let norms = own_norm * norm(row);
            if norms == 0.0 {
                continue;
            }
            let cosine = f64::from(kernel::dot_i8(self.window(window), row)) / norms;
            let compared = compared.get_or_insert(Comparison { agreeing: 0, windows: all, mean: 0.0, first: window, last: window });
            sum += cosine;
            windows += 1;
            compared.agreeing += u32::from(cosine >= AGREEING);
            compared.last = window;
        }
        compared.map(|compared| Comparison { mean: (sum + (all - windows) as f64 * middle) / all as f64, ..compared })
    }

    fn found(&self, part: u32, offset: i64, evidence: f64, compared: &Comparison, searched: &impl Searched) -> Found {
        let ticks = |windows: f64| windows / self.per_row as f64;
        let first_window = f64::from(self.first_window);
        let mut offsets = Vec::new();
        let least = (AGREEING * f64::from(UNIT * UNIT)) as i32;
        let rows: &[i8] = bytemuck::cast_slice(searched.rows(part));
        for (row, tick) in rows.chunks_exact(self.dimensions).zip(0..) {
            let agreeing = self.asking.iter().filter(|&&window| kernel::dot_i8(self.window(window), row) >= least);
            offsets.extend(agreeing.map(|&window| f64::from(tick) - ticks(window as f64 + first_window)));
        }
        Found {
            part,
            offset: ticks(offset as f64 - first_window),
            time_scale: 1.0,
            pitch_scale: 1.0,
            votes: compared.agreeing,
            evidence,
            query: (ticks(first_window + compared.first as f64), ticks(first_window + compared.last as f64)),
            histogram: Histogram::of(&offsets, self.per_row as f64 * STEP_SECONDS),
        }
    }
}

fn norm(embedding: &[i8]) -> f64 {
    f64::from(kernel::dot_i8(embedding, embedding)).sqrt()
}

fn keep_best(alignments: &mut Vec<Alignment>, count: usize) {
    alignments.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.part.cmp(&b.part)).then(a.offset.cmp(&b.offset)));
    alignments.truncate(count);
}
