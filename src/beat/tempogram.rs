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
/// Multiples of the period whose autocorrelation is gathered.
const MULTIPLES: usize = 4;
/// Weight of the autocorrelation half-way between the multiples, which counts against a period twice too long.
const BETWEEN: f64 = 0.5;
/// Weight of periodicity against the tempo prior and the cost of change.
const EVIDENCE: f64 = 4.0;
/// Cost of a tempo change of one octave.
const CHANGE: f64 = 10.0;
/// Middle of the tempo prior in beats per minute, and its standard deviation in octaves.
const PRIOR: (f64, f64) = (110.0, 0.9);
/// Weight of the tempo prior.
const PRIOR_WEIGHT: f64 = 0.5;

/// Periodicity of onset strength, `[windows][tempos]`, and the best tempo path through it.
///
/// A window's autocorrelation r, without its mean, divided by that of the window shape, so that 1 is a perfect repetition and 0 none.
/// A period P scores the mean of r(P) .. r(4P), weighted by how well the window holds them, less half of the mean of r(P/2),
/// r(3P/2) ..: for a train of pulses only its own period scores high, neither its multiples nor its parts.
///
/// After Ellis, "Beat tracking by dynamic programming", JNMR 36, 2007, section 3 (windowed autocorrelation and log-normal prior); the
/// subtraction between the multiples and the path are our own.
pub struct Tempogram {
    window: Vec<f32>,
    /// Autocorrelation of the window, 1 at lag 0.
    window_correlation: Vec<f64>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    signal: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
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
        let window = window::hann(length);
        let mut planner = RealFftPlanner::new();
        let steps = ((TEMPO_RANGE.end() / TEMPO_RANGE.start()).log2() * PER_OCTAVE).floor() as usize;
        let tempo = |index: usize| TEMPO_RANGE.start() * (index as f64 / PER_OCTAVE).exp2();
        let tolerance = 1e-9;
        let first = (0..=steps).find(|&index| tempo(index) >= bpm.start - tolerance).unwrap_or(0);
        let last = (0..=steps).rfind(|&index| tempo(index) <= bpm.end + tolerance).unwrap_or(steps);
        let mut tempogram = Self {
            forward: planner.plan_fft_forward(TRANSFORM),
            inverse: planner.plan_fft_inverse(TRANSFORM),
            signal: vec![0.0; TRANSFORM],
            spectrum: vec![Complex::default(); TRANSFORM / 2 + 1],
            periods: (0..=steps).map(|index| 60.0 * FRAMES_PER_SECOND / tempo(index)).collect(),
            allowed: first..last.max(first) + 1,
            starts: (0..=frames.saturating_sub(length) / HOP).map(|index| index * HOP).collect(),
            scores: Vec::new(),
            path_scores: Vec::new(),
            came_from: Vec::new(),
            window_correlation: Vec::new(),
            window,
        };
        tempogram.signal.iter_mut().zip(&tempogram.window).for_each(|(value, weight)| *value = *weight);
        tempogram.correlate();
        let peak = f64::from(tempogram.signal.first().copied().unwrap_or(0.0)).max(f64::MIN_POSITIVE);
        tempogram.window_correlation = tempogram.signal.iter().take(length).map(|value| f64::from(*value) / peak).collect();
        tempogram
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

    /// Scores up to `count` more windows of `strength`. True while there are more.
    pub fn step(&mut self, strength: &[f64], count: usize) -> bool {
        let last = (self.done() + count).min(self.windows());
        for index in self.done()..last {
            let start = self.starts.get(index).copied().unwrap_or(0);
            let correlation = self.autocorrelation(strength.get(start..).unwrap_or(&[]));
            let row: Vec<f32> = self.periods.iter().map(|&period| self.score(&correlation, period) as f32).collect();
            self.extend_path(&row);
            self.scores.extend(row);
        }
        last < self.windows()
    }

    /// Normalised autocorrelation of the window at the head of `strength`; all 0 where nothing happens.
    fn autocorrelation(&mut self, strength: &[f64]) -> Vec<f64> {
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
        self.signal.iter().take(self.window_correlation.len()).map(|value| f64::from(*value) / energy).collect()
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

    /// Score of a period, about -1..1.
    fn score(&self, correlation: &[f64], period: f64) -> f64 {
        let (mut at, mut between) = ((0.0, 0.0), (0.0, 0.0));
        for multiple in 1..=MULTIPLES {
            let lag = multiple as f64 * period;
            for (sum, lag) in [(&mut at, lag), (&mut between, lag - 0.5 * period)] {
                // The window's own correlation is both the bias to undo and the weight to give: they cancel.
                sum.0 += interpolate(correlation, lag);
                sum.1 += interpolate(&self.window_correlation, lag);
            }
        }
        if at.1 < 1e-3 {
            return 0.0;
        }
        at.0 / at.1 - BETWEEN * (between.0 / between.1).max(0.0)
    }

    /// One more window of the Viterbi recursion.
    fn extend_path(&mut self, row: &[f32]) {
        let allowed = self.allowed.clone();
        let count = allowed.len();
        let before = std::mem::take(&mut self.path_scores);
        for (index, (score, period)) in row.iter().zip(&self.periods).enumerate().skip(allowed.start).take(count) {
            let index = index - allowed.start;
            let mut best = (0.0, index);
            for (from, score) in before.iter().enumerate() {
                let candidate = score - CHANGE / PER_OCTAVE * from.abs_diff(index) as f64;
                if from == 0 || candidate > best.0 {
                    best = (candidate, from);
                }
            }
            self.path_scores.push(best.0 + EVIDENCE * f64::from(*score) + PRIOR_WEIGHT * log_prior(*period));
            self.came_from.push(best.1 as u16);
        }
    }

    /// The best path as a curve of periods over all `frames` frames, in frames, and its mean periodicity (0 none, 1 perfect).
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
        let periods: Vec<f64> = states.iter().map(|&state| self.refined(state)).collect();
        let middle = |window: usize| (self.starts.get(window).copied().unwrap_or(0) + self.window.len() / 2) as f64;
        let curve = (0..frames)
            .map(|frame| {
                let position = ((frame as f64 - middle(0)) / HOP as f64).clamp(0.0, (periods.len() - 1) as f64);
                interpolate(&periods, position)
            })
            .collect();
        let path = TempoPath { periods: curve, states };
        Ok(path)
    }

    fn refined(&self, state: usize) -> f64 {
        self.periods.get(state).copied().unwrap_or(FRAMES_PER_SECOND)
    }

    /// Mean over the windows of the largest periodicity within ±4 % of `ratio` times the path's tempo, 0..1. Tempos outside
    /// [`TEMPO_RANGE`] have none.
    #[must_use]
    pub fn periodicity(&self, path: &TempoPath, ratio: f64) -> f64 {
        let shift = (ratio.log2() * PER_OCTAVE).round() as isize;
        let reach = (1.04_f64.log2() * PER_OCTAVE).round() as isize;
        let rows = self.scores.chunks_exact(self.periods.len());
        let sum: f64 = rows
            .zip(&path.states)
            .map(|(row, &state)| {
                (-reach..=reach)
                    .filter_map(|near| usize::try_from(state as isize + shift + near).ok())
                    .filter_map(|index| row.get(index))
                    .fold(0.0, |best: f64, score| best.max(f64::from(*score)))
            })
            .sum();
        sum / path.states.len().max(1) as f64
    }
}

/// A tempo for each moment.
pub struct TempoPath {
    /// Period in frames, for each frame.
    pub periods: Vec<f64>,
    states: Vec<usize>,
}

/// ln of the prior density of a period in frames, 0 at its middle.
fn log_prior(period: f64) -> f64 {
    let octaves = (60.0 * FRAMES_PER_SECOND / period / PRIOR.0).log2() / PRIOR.1;
    -0.5 * octaves * octaves
}

/// Linear interpolation of `values` at `position`; 0 beyond them.
fn interpolate(values: &[f64], position: f64) -> f64 {
    let (index, fraction) = (position.floor() as usize, position.fract());
    let first = values.get(index).copied().unwrap_or(0.0);
    let second = values.get(index + 1).copied().unwrap_or(0.0);
    if fraction > 0.0 { first + fraction * (second - first) } else { first }
}
