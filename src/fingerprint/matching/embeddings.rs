//! Matching of embeddings by their mean cosine along an alignment.
//!
//! Up to 20 000 stored embeddings are all compared with those of the query, above that those of the nearest cells (see [`Cells`]). What is
//! alike votes for the ticks between reference and query; the best of these alignments are then compared whole.

use super::{Found, Histogram, Searched};
use crate::dsp::kernel;
use crate::fingerprint::cells::{CELLS_OF_ONE, Cells};
use crate::fingerprint::confidence;
use crate::fingerprint::embedder::UNIT;
use crate::fingerprint::neural::TICK_SECONDS;

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
/// Share of a further window that says something new: windows overlap by half, and music goes on as it was.
const NOVELTY: f64 = 0.3;
/// Ticks within which two places in a part are one.
const SAME_PLACE: i64 = 2;

/// The embeddings of a query.
#[derive(Debug, Clone)]
pub struct EmbeddingSearch {
    values: Vec<i8>,
    dimensions: usize,
    /// Tick of the first window.
    first_tick: u32,
    /// Norm of each window as stored; 0 where there is no embedding.
    norms: Vec<f64>,
    /// Windows that look for alignments.
    asking: Vec<usize>,
}

/// The cosine of unrelated windows: middle and deviation.
#[derive(Debug, Clone, Copy)]
struct Chance {
    middle: f64,
    deviation: f64,
}

/// How two stretches compare.
struct Comparison {
    windows: usize,
    agreeing: u32,
    mean: f64,
    first: usize,
    last: usize,
}

impl EmbeddingSearch {
    /// A search for embeddings of `dimensions` numbers from tick `first_tick` on.
    #[must_use]
    pub fn new(values: &[i8], dimensions: usize, first_tick: u32) -> Self {
        let norms: Vec<f64> = values.chunks_exact(dimensions).map(norm).collect();
        let there: Vec<usize> = norms.iter().enumerate().filter(|(_, norm)| **norm > 0.0).map(|(window, _)| window).collect();
        let asking = there.iter().copied().step_by(there.len().div_ceil(ASKING).max(1)).collect();
        Self { values: values.to_vec(), dimensions, first_tick, norms, asking }
    }

    /// The places that agree, at most `per_part` of each part.
    pub fn matches(&self, per_part: usize, searched: &impl Searched) -> Vec<Found> {
        let chance = self.chance(searched);
        let asked = searched.cells().map(|cells| self.askers_by_cell(cells));
        let mut alignments: Vec<(f32, u32, i64)> = Vec::new();
        let mut scores = Vec::new();
        for part in searched.live_parts() {
            let rows: &[i8] = bytemuck::cast_slice(searched.rows(part));
            scores.clear();
            scores.resize(self.norms.len() + rows.len() / self.dimensions, 0.0);
            match &asked {
                None => self.score_all(rows, chance, &mut scores),
                Some(asked) => self.score_near(rows, searched.cells_of_rows(part), asked, chance, &mut scores),
            }
            let places = scores.iter().zip(-(self.norms.len() as i64)..);
            alignments.extend(places.filter(|(score, _)| **score > 0.0).map(|(&score, offset)| (score, part, offset)));
            if alignments.len() > 64 * ALIGNMENTS {
                keep_best(&mut alignments);
            }
        }
        keep_best(&mut alignments);
        let cells = searched.ticks() as f64;
        let compared = alignments.into_iter().filter_map(|(_, part, offset)| {
            let compared = self.compare(bytemuck::cast_slice(searched.rows(part)), offset)?;
            Some((evidence(compared.mean, compared.windows, chance, cells), part, offset, compared))
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

    /// What chance gives: the median of cosines between windows and stored embeddings here and there, and the deviation that the sixth
    /// above it would have were they normal. A few that do belong together change neither. It is never taken to be less than the
    /// deviation of directions drawn at random.
    fn chance(&self, searched: &impl Searched) -> Chance {
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
        let at = |share: f64| cosines.get((share * cosines.len() as f64) as usize).copied().unwrap_or(0.0);
        // 0.8413 of a normal distribution lie below one deviation.
        let (middle, deviation) = (at(0.5), at(0.8413) - at(0.5));
        Chance { middle, deviation: deviation.max(1.0 / (self.dimensions as f64).sqrt()) }
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

    fn score_all(&self, rows: &[i8], chance: Chance, scores: &mut [f32]) {
        for (row, tick) in rows.chunks_exact(self.dimensions).zip(0..) {
            for &window in &self.asking {
                self.score(window, row, tick, chance, scores);
            }
        }
    }

    fn score_near(&self, rows: &[i8], cells: &[[u16; CELLS_OF_ONE]], asked: &[Askers], chance: Chance, scores: &mut [f32]) {
        for ((row, cells), tick) in rows.chunks_exact(self.dimensions).zip(cells).zip(0..) {
            let mut askers = Askers::default();
            for of_cell in cells.iter().filter_map(|&cell| asked.get(usize::from(cell))) {
                askers.iter_mut().zip(of_cell).for_each(|(all, own)| *all |= own);
            }
            for (word, first) in askers.into_iter().zip((0..).step_by(64)) {
                let mut left = word;
                while left != 0 {
                    if let Some(&window) = self.asking.get(first + left.trailing_zeros() as usize) {
                        self.score(window, row, tick, chance, scores);
                    }
                    left &= left - 1;
                }
            }
        }
    }

    /// Adds what a window has in common with a row beyond chance to the alignment of the two.
    fn score(&self, window: usize, row: &[i8], tick: usize, chance: Chance, scores: &mut [f32]) {
        let cosine = kernel::dot_i8(self.window(window), row) as f32 / (UNIT * UNIT);
        if let Some(score) = scores.get_mut(tick + self.norms.len() - window) {
            *score += (cosine - chance.middle as f32).max(0.0);
        }
    }

    fn window(&self, window: usize) -> &[i8] {
        self.values.get(window * self.dimensions..(window + 1) * self.dimensions).unwrap_or_default()
    }

    /// Compares the query with the rows from `offset` on, wherever both have an embedding.
    fn compare(&self, rows: &[i8], offset: i64) -> Option<Comparison> {
        let mut sum = 0.0;
        let mut compared: Option<Comparison> = None;
        for (window, &own_norm) in self.norms.iter().enumerate() {
            let Ok(tick) = usize::try_from(offset + window as i64) else { continue };
            let Some(row) = rows.get(tick * self.dimensions..(tick + 1) * self.dimensions) else { break };
            let norms = own_norm * norm(row);
            if norms == 0.0 {
                continue;
            }
            let cosine = f64::from(kernel::dot_i8(self.window(window), row)) / norms;
            let compared = compared.get_or_insert(Comparison { windows: 0, agreeing: 0, mean: 0.0, first: window, last: window });
            sum += cosine;
            compared.windows += 1;
            compared.agreeing += u32::from(cosine >= AGREEING);
            compared.last = window;
        }
        compared.map(|compared| Comparison { mean: sum / compared.windows as f64, ..compared })
    }

    fn found(&self, part: u32, offset: i64, evidence: f64, compared: &Comparison, searched: &impl Searched) -> Found {
        let first_tick = f64::from(self.first_tick);
        let mut offsets = Vec::new();
        let least = (AGREEING * f64::from(UNIT * UNIT)) as i32;
        let rows: &[i8] = bytemuck::cast_slice(searched.rows(part));
        for (row, tick) in rows.chunks_exact(self.dimensions).zip(0..) {
            let agreeing = self.asking.iter().filter(|&&window| kernel::dot_i8(self.window(window), row) >= least);
            offsets.extend(agreeing.map(|&window| f64::from(tick) - window as f64 - first_tick));
        }
        Found {
            part,
            offset: offset as f64 - first_tick,
            time_scale: 1.0,
            pitch_scale: 1.0,
            votes: compared.agreeing,
            evidence,
            query: (first_tick + compared.first as f64, first_tick + compared.last as f64),
            histogram: Histogram::of(&offsets, TICK_SECONDS),
        }
    }
}

/// Evidence for a mean cosine of so many windows, at one of `cells` places.
fn evidence(mean: f64, windows: usize, chance: Chance, cells: f64) -> f64 {
    let independent = 1.0 + NOVELTY * (windows as f64 - 1.0);
    confidence::normal_evidence((mean - chance.middle) / chance.deviation * independent.sqrt(), cells)
}

fn norm(embedding: &[i8]) -> f64 {
    f64::from(kernel::dot_i8(embedding, embedding)).sqrt()
}

fn keep_best(alignments: &mut Vec<(f32, u32, i64)>) {
    alignments.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    alignments.truncate(ALIGNMENTS);
}
