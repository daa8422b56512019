//! How periodic the onsets are at each tempo over time, and the tempo curve that a tracker follows.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::onset::FRAMES_PER_SECOND;
use crate::dsp::window;
use crate::error::{Error, Result};

/// Slowest and fastest tempo that is looked at, in beats per minute.
pub const TEMPO_RANGE: std::ops::RangeInclusive<f64> = 30.0..=300.0;
/// Tempos per octave of the grid: steps of 0.7 %.
const PER_OCTAVE: f64 = 96.0;
/// Frames of a window: 8 s.
const WINDOW: usize = 800;
/// Frames from window to window: 1 s.
const HOP: usize = 100;
/// Transform length: holds a window and its longest lag without wrapping round.
const TRANSFORM: usize = 2048;
/// Multiples of a period at which the autocorrelation is read.
const RATIOS: [f64; 11] = [0.25, 1.0 / 3.0, 0.5, 2.0 / 3.0, 0.75, 1.0, 4.0 / 3.0, 1.5, 2.0, 3.0, 4.0];
/// What a repetition at each of [`RATIOS`] says for the period, in the flux of all bands and in the low bands.
/// Fitted by `tools/beat_comb.py`; figures in `docs/algorithms/beats.md`.
const WEIGHTS: [[f64; RATIOS.len()]; 2] = [
    [1.38, 0.5, 4.35, -0.62, -2.34, 7.65, -2.62, -1.59, -0.23, 0.23, 0.1],
    [-2.1, -2.92, -2.72, -2.85, -0.13, 1.73, -1.97, -1.75, -1.32, -1.02, 0.64],
];
/// Tempo prior: with x the octaves above 110 beats per minute, its logarithm is PRIOR[0] x + PRIOR[1] x^2. A middle of 119 and a
/// standard deviation of half an octave.
const PRIOR: [f64; 2] = [0.39, -1.7];
/// Share of the window's own correlation below which a lag is read with caution: it divides the correlation.
const CAUTION: f64 = 0.05;
/// Longest lag that is read, in frames: beyond, hardly any of the window overlaps itself.
const LONGEST_LAG: f64 = 700.0;
/// Cost of a tempo change of one octave from one window to the next: a stretch without evidence keeps the tempo of its neighbours.
const CHANGE: f64 = 60.0;

/// Evidence for each tempo over time, `[windows][tempos]`, and the best tempo path through it.
///
/// A window's autocorrelation, without its mean, is divided by that of the window shape, so that 1 is a perfect repetition and 0
/// none. A period is scored by a comb: the weighted sum of the autocorrelation at simple ratios to it, in all bands and in the low
/// ones. Beats repeat themselves and have halves (weights above 0), but nothing that lies three against two or three against four
/// (weights below 0). The weights are those of a multinomial regression whose classes are the tempos, so that scores are logarithms
/// of probabilities.
///
/// After Ellis, "Beat tracking by dynamic programming", JNMR 36, 2007, section 3 (windowed autocorrelation and log-normal prior); the
/// fitted comb and the path are our own.
pub struct Tempogram {
    autocorrelation: Autocorrelation,
    /// Mean autocorrelation at one to four times each period, `[windows][tempos]`.
    periodicities: Vec<f32>,
    /// Periods of the grid in frames, falling.
    periods: Vec<f64>,
    /// Positions in the grid that the path may use.
    allowed: std::ops::Range<usize>,
    /// First frame of each window.
    starts: Vec<usize>,
    scores: Vec<f32>,
    /// Best score of a path that ends in each tempo, and where each came from, `[windows][allowed]`.
    path_scores: Vec<f64>,
    came_from: Vec<u16>,
}

impl Tempogram {
    /// Plans the tempogram of `frames` frames with paths in `bpm`, within [`TEMPO_RANGE`].
    #[must_use]
    pub fn new(frames: usize, bpm: std::ops::Range<f64>) -> Self {
        let length = frames.min(WINDOW);
        let steps = ((TEMPO_RANGE.end() / TEMPO_RANGE.start()).log2() * PER_OCTAVE).floor() as usize;
        let tempo = |index: usize| TEMPO_RANGE.start() * (index as f64 / PER_OCTAVE).exp2();
        let tolerance = 1e-9;
        let first = (0..=steps).find(|&index| tempo(index) >= bpm.start - tolerance).unwrap_or(0);
        let last = (0..=steps).rfind(|&index| tempo(index) <= bpm.end + tolerance).unwrap_or(steps);
        Self {
            autocorrelation: Autocorrelation::new(window::hann(length)),
            periods: (0..=steps).map(|index| 60.0 * FRAMES_PER_SECOND / tempo(index)).collect(),
            allowed: first..last.max(first) + 1,
            starts: (0..=frames.saturating_sub(length) / HOP).map(|index| index * HOP).collect(),
            scores: Vec::new(),
            periodicities: Vec::new(),
            path_scores: Vec::new(),
            came_from: Vec::new(),
        }
    }

    /// Windows in all.
    #[must_use]
    pub fn windows(&self) -> usize {
        self.starts.len()
    }

    /// Windows done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.scores.len() / self.periods.len()
    }

    /// Scores up to `count` more windows of onset strength, of all bands and of the low ones. True while there are more.
    pub fn step(&mut self, strength: &[f64], low_strength: &[f64], count: usize) -> bool {
        let last = (self.done() + count).min(self.windows());
        for index in self.done()..last {
            let start = self.starts.get(index).copied().unwrap_or(0);
            let correlations = [strength, low_strength].map(|curve| self.autocorrelation.of(curve.get(start..).unwrap_or(&[])));
            let row: Vec<f32> = self.periods.iter().map(|&period| score(&correlations, period) as f32).collect();
            self.extend_path(&row);
            self.scores.extend(row);
            let [all, _] = &correlations;
            let row: Vec<f32> = self.periods.iter().map(|&period| self.autocorrelation.comb(all, period) as f32).collect();
            self.periodicities.extend(row);
        }
        last < self.windows()
    }

    /// One more window of the Viterbi recursion. Costs grow with the distance, so the best origin is found in one pass from each side.
    fn extend_path(&mut self, row: &[f32]) {
        let count = self.allowed.len();
        let step = CHANGE / PER_OCTAVE;
        let mut best: Vec<(f64, usize)> = std::mem::take(&mut self.path_scores).into_iter().zip(0..).collect();
        best.resize_with(count, || (0.0, 0));
        let mut spread = |order: &mut dyn Iterator<Item = usize>| {
            let mut carried = (f64::NEG_INFINITY, 0);
            for index in order {
                if let Some(slot) = best.get_mut(index) {
                    carried.0 -= step;
                    if carried.0 > slot.0 {
                        *slot = carried;
                    } else {
                        carried = *slot;
                    }
                }
            }
        };
        spread(&mut (0..count));
        spread(&mut (0..count).rev());
        for ((before, from), score) in best.into_iter().zip(row.iter().skip(self.allowed.start)) {
            self.path_scores.push(before + f64::from(*score));
            self.came_from.push(from as u16);
        }
    }

    /// The best path, as a curve of periods over all `frames` frames.
    ///
    /// # Errors
    /// [`Error::Internal`] if windows are still to be done.
    pub fn path(&self, frames: usize) -> Result<TempoPath> {
        let count = self.allowed.len();
        let best = self.path_scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(index, _)| index);
        let (Some(mut state), false) = (best, self.done() < self.windows()) else {
            return Err(Error::internal("a tempo path was asked for before its tempogram was complete"));
        };
        let mut states = vec![0; self.windows()];
        for (window, slot) in states.iter_mut().enumerate().rev() {
            *slot = state + self.allowed.start;
            state = usize::from(self.came_from.get(window * count + state).copied().unwrap_or(0));
        }
        let periods: Vec<f64> = states.iter().filter_map(|&state| self.periods.get(state).copied()).collect();
        let middle = |window: usize| (self.starts.get(window).copied().unwrap_or(0) + self.autocorrelation.window.len() / 2) as f64;
        let curve = (0..frames)
            .map(|frame| {
                let position = ((frame as f64 - middle(0)) / HOP as f64).clamp(0.0, (periods.len() - 1) as f64);
                interpolate(&periods, position)
            })
            .collect();
        Ok(TempoPath { periods: curve, states })
    }

    /// Probability, 0..1, that the tempo is within 4 % of each of `ratios` times the path's, mean over the windows. Tempos outside
    /// [`TEMPO_RANGE`] have none.
    #[must_use]
    pub fn probabilities<const N: usize>(&self, path: &TempoPath, ratios: [f64; N]) -> [f64; N] {
        let mut sums = [0.0; N];
        for (row, &state) in self.scores.chunks_exact(self.periods.len()).zip(&path.states) {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let weight = |score: &f32| f64::from(score - most).exp();
            let total: f64 = row.iter().map(weight).sum();
            for (sum, ratio) in sums.iter_mut().zip(ratios) {
                *sum += near(row, state, ratio).map(weight).sum::<f64>() / total;
            }
        }
        sums.map(|sum| sum / path.states.len().max(1) as f64)
    }

    /// How well the onsets repeat at the path's period, mean over the windows: 1 perfectly, 0 not at all.
    #[must_use]
    pub fn periodicity(&self, path: &TempoPath) -> f64 {
        let rows = self.periodicities.chunks_exact(self.periods.len());
        let sum: f64 = rows
            .zip(&path.states)
            .map(|(row, &state)| near(row, state, 1.0).fold(0.0, |best: f64, value| best.max(f64::from(*value))))
            .sum();
        sum / path.states.len().max(1) as f64
    }
}

/// Autocorrelation of curves under a window.
pub(super) struct Autocorrelation {
    window: Vec<f32>,
    /// Autocorrelation of the window, 1 at lag 0.
    window_correlation: Vec<f64>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    signal: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
}

impl Autocorrelation {
    /// Under `window`, at most 8 s long.
    pub(super) fn new(window: Vec<f32>) -> Self {
        let mut planner = RealFftPlanner::new();
        let mut autocorrelation = Self {
            forward: planner.plan_fft_forward(TRANSFORM),
            inverse: planner.plan_fft_inverse(TRANSFORM),
            signal: vec![0.0; TRANSFORM],
            spectrum: vec![Complex::default(); TRANSFORM / 2 + 1],
            window_correlation: Vec::new(),
            window: Vec::new(),
        };
        autocorrelation.set_window(window);
        autocorrelation
    }

    /// Takes another window.
    pub(super) fn set_window(&mut self, window: Vec<f32>) {
        self.window = window;
        self.signal.fill(0.0);
        self.signal.iter_mut().zip(&self.window).for_each(|(value, weight)| *value = *weight);
        self.correlate();
        let peak = f64::from(self.signal.first().copied().unwrap_or(0.0)).max(f64::MIN_POSITIVE);
        self.window_correlation = self.signal.iter().take(self.window.len()).map(|value| f64::from(*value) / peak).collect();
    }

    /// Frames of the window.
    pub(super) fn length(&self) -> usize {
        self.window.len()
    }

    /// Autocorrelation of the window at the head of `strength`, 1 at lag 0, as if the window had no ends; all 0 where nothing happens.
    pub(super) fn of(&mut self, strength: &[f64]) -> Vec<f64> {
        let weight: f64 = self.window.iter().map(|weight| f64::from(*weight)).sum();
        let mean = self.window.iter().zip(strength).map(|(weight, value)| f64::from(*weight) * value).sum::<f64>() / weight.max(1e-9);
        self.signal.fill(0.0);
        for (value, (weight, strength)) in self.signal.iter_mut().zip(self.window.iter().zip(strength)) {
            *value = weight * (strength - mean) as f32;
        }
        self.correlate();
        let energy = f64::from(self.signal.first().copied().unwrap_or(0.0));
        if energy < 1e-6 {
            return vec![0.0; self.window_correlation.len()];
        }
        let unbiased = |(value, window): (&f32, &f64)| f64::from(*value) / energy * (1.0 + CAUTION) / (window + CAUTION);
        self.signal.iter().zip(&self.window_correlation).map(unbiased).collect()
    }

    /// Mean of the autocorrelation at one to four times the period, each weighted by how much of the window it compares.
    pub(super) fn comb(&self, correlation: &[f64], period: f64) -> f64 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for multiple in 1..=4 {
            let lag = f64::from(multiple) * period;
            let weight = interpolate(&self.window_correlation, lag);
            sum += weight * interpolate(correlation, lag);
            weights += weight;
        }
        if weights > 1e-3 { sum / weights } else { 0.0 }
    }

    /// Replaces `signal` by its autocorrelation.
    fn correlate(&mut self) {
        // Lengths are fixed above, so the transforms cannot fail; a failure would leave the signal and be no autocorrelation.
        if self.forward.process(&mut self.signal, &mut self.spectrum).is_err() {
            return;
        }
        for value in &mut self.spectrum {
            *value = Complex::new(value.norm_sqr(), 0.0);
        }
        if self.inverse.process(&mut self.spectrum, &mut self.signal).is_err() {
            self.signal.fill(0.0);
        }
    }
}

/// The part of a row within 4 % of `ratio` times the tempo `state`.
fn near(row: &[f32], state: usize, ratio: f64) -> impl Iterator<Item = &f32> {
    let centre = state as isize + (ratio.log2() * PER_OCTAVE).round() as isize;
    let reach = (1.04_f64.log2() * PER_OCTAVE).round() as isize;
    (centre - reach..=centre + reach).filter_map(|index| row.get(usize::try_from(index).ok()?))
}

/// Logarithm, up to a constant, of the probability that `period` is the beat's, from the autocorrelations of all and of the low bands.
pub(super) fn score(correlations: &[Vec<f64>; 2], period: f64) -> f64 {
    let octaves = (60.0 * FRAMES_PER_SECOND / period / 110.0).log2();
    let mut score = PRIOR[0] * octaves + PRIOR[1] * octaves * octaves;
    for (correlation, weights) in correlations.iter().zip(&WEIGHTS) {
        for (ratio, weight) in RATIOS.iter().zip(weights) {
            let lag = ratio * period;
            if lag < LONGEST_LAG {
                score += weight * interpolate(correlation, lag);
            }
        }
    }
    score
}

/// A tempo for each moment.
pub struct TempoPath {
    /// Period in frames, for each frame.
    pub periods: Vec<f64>,
    states: Vec<usize>,
}

/// Linear interpolation of `values` at `position`; 0 beyond them.
fn interpolate(values: &[f64], position: f64) -> f64 {
    let (index, fraction) = (position.floor() as usize, position.fract());
    let first = values.get(index).copied().unwrap_or(0.0);
    let second = values.get(index + 1).copied().unwrap_or(0.0);
    if fraction > 0.0 { first + fraction * (second - first) } else { first }
}
