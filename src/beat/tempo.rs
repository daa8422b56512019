//! The tempo of a beat track: exact value by regression, steadiness, phase, and a confidence that knows octaves.

use serde::Serialize;

use super::onset::{FRAMES_PER_SECOND, frame_at};
use super::tempogram::{TEMPO_RANGE, TempoPath, Tempogram};

/// Tempo of a whole track.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tempo {
    /// Beats per minute, never rounded; `None` below four beats.
    pub bpm: Option<f64>,
    /// How sure it is that beats come at this tempo and not at another of the ratios 2, 1/2, 3, 1/3, 3/2, 2/3 to it: 0..1. A share
    /// among them, so two equally good readings give 0.5 at most; 0 where nothing is periodic.
    pub confidence: f64,
    /// The other readings, the likeliest first.
    pub alternatives: Vec<TempoAlternative>,
    /// Seconds from the first sample to the first beat of the tempo's grid, 0 up to one period.
    pub phase: f64,
    /// Whether 95 % of all spans of 16 beats keep the tempo within 1 %. Then `bpm` is the slope of a regression line through all beats;
    /// else the mean of the spans that agree within 1 % with the median one, if 60 % do; else the mean over the whole track.
    pub steady: bool,
    /// Slowest and fastest span of 8 beats, in beats per minute.
    pub range: Option<(f64, f64)>,
}

/// Another reading of the same onsets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TempoAlternative {
    /// Beats per minute.
    pub bpm: f64,
    /// 0..1, comparable with [`Tempo::confidence`]; all readings together have at most 1.
    pub confidence: f64,
}

/// Fewest beats that have a tempo.
const FEWEST_BEATS: usize = 4;
/// An interval above this many median ones separates two runs of beats.
const RUN_BREAK: f64 = 1.6;
/// Beats per span for `steady`, and for `range`.
const STEADY_SPAN: usize = 16;
const RANGE_SPAN: usize = 8;
/// Readings as beats per beat: numerator and denominator.
const READINGS: [(u32, u32); 7] = [(1, 1), (2, 1), (1, 2), (3, 1), (1, 3), (3, 2), (2, 3)];
/// Frames around a grid point in which an activation counts as its own.
const GRID_REACH: usize = 3;
/// How far from a reading's tempo the network's distribution still speaks for it.
const HEAD_REACH: f64 = 0.04;
/// Activation below this is nothing.
const ACTIVATION_FLOOR: f64 = 0.05;
/// Probability that no reading is denied.
const PROBABILITY_FLOOR: f64 = 0.02;
/// Periodicity along the path at which it is chance (white noise reaches 0.042, speech 0.037), and from which on it is certainly meant
/// (music with drums has 0.37 and more).
pub(super) const CHANCE: (f64, f64) = (0.06, 0.30);
/// A tempo kept by this share of the spans is the tempo of the whole.
const MOST: f64 = 0.6;

/// What a tempo is judged by.
pub struct TempoEvidence<'a> {
    /// How likely a beat is at each frame, 0..1.
    activation: &'a [f64],
    /// Frame of the first sample.
    first: f64,
    /// Where the probabilities of the readings come from.
    source: Source<'a>,
}

enum Source<'a> {
    Tempogram(&'a Tempogram, &'a TempoPath),
    /// Probability of 0, 1, 2 .. beats per minute.
    Head(&'a [f64]),
}

impl<'a> TempoEvidence<'a> {
    /// Of the flux method: its activation, tempogram and the path through it.
    #[must_use]
    pub fn of_flux(activation: &'a [f64], tempogram: &'a Tempogram, path: &'a TempoPath) -> Self {
        Self { activation, first: frame_at(0.0), source: Source::Tempogram(tempogram, path) }
    }

    /// Of a network: its beat activation, frame 0 at the first sample, and its distribution over 0, 1, 2 .. beats per minute.
    #[must_use]
    pub fn of_network(activation: &'a [f64], tempo: &'a [f64]) -> Self {
        Self { activation, first: 0.0, source: Source::Head(tempo) }
    }

    fn frame_at(&self, seconds: f64) -> f64 {
        seconds * FRAMES_PER_SECOND + self.first
    }

    /// Probability of each of [`READINGS`] of `bpm`.
    fn probabilities(&self, bpm: f64) -> [f64; READINGS.len()] {
        let ratios = READINGS.map(|(up, down)| f64::from(up) / f64::from(down));
        match &self.source {
            Source::Tempogram(tempogram, path) => tempogram.probabilities(path, ratios),
            Source::Head(tempo) => ratios.map(|ratio| {
                let centre = ratio * bpm;
                tempo.iter().enumerate().filter(|(bin, _)| (*bin as f64 / centre - 1.0).abs() <= HEAD_REACH).map(|(_, mass)| mass).sum()
            }),
        }
    }

    /// Certainty, 0..1, that what is heard is periodic at all, given how well the beats fit it.
    fn certainty(&self, fit: f64) -> f64 {
        match &self.source {
            Source::Tempogram(tempogram, path) => ((tempogram.periodicity(path) - CHANCE.0) / (CHANCE.1 - CHANCE.0)).clamp(0.0, 1.0),
            Source::Head(_) => fit,
        }
    }
}

impl Tempo {
    /// The tempo of a sound that has none.
    #[must_use]
    pub fn none() -> Self {
        Self { bpm: None, confidence: 0.0, alternatives: Vec::new(), phase: 0.0, steady: false, range: None }
    }

    /// Tempo of `beats` (seconds, rising), with the evidence they came from.
    #[must_use]
    pub fn of(beats: &[f64], evidence: &TempoEvidence<'_>) -> Self {
        if beats.len() < FEWEST_BEATS {
            return Self::none();
        }
        let runs = runs(beats);
        let (period, phase) = regression(&runs);
        let slopes = |span: usize| -> Vec<f64> {
            let span = span.min(runs.iter().map(|run| run.len() - 1).max().unwrap_or(1));
            runs.iter().flat_map(|run| run.iter().zip(run.iter().skip(span)).map(|(a, b)| (b - a) / span as f64)).collect()
        };
        let spans = slopes(STEADY_SPAN);
        let even = spans.iter().filter(|&slope| (slope / period - 1.0).abs() < 0.01).count();
        let steady = even as f64 >= 0.95 * spans.len() as f64;
        let intervals: usize = runs.iter().map(|run| run.len() - 1).sum();
        let spanned: f64 = runs.iter().filter_map(|run| Some(run.last()? - run.first()?)).sum();
        let usual = median(&mut spans.clone());
        let kept: Vec<f64> = spans.iter().copied().filter(|slope| (slope / usual - 1.0).abs() < 0.01).collect();
        let bpm = 60.0
            / if steady {
                period
            } else if kept.len() as f64 >= MOST * spans.len() as f64 {
                kept.iter().sum::<f64>() / kept.len() as f64
            } else {
                spanned / intervals.max(1) as f64
            };
        let short = slopes(RANGE_SPAN);
        let slowest = short.iter().copied().fold(f64::MIN, f64::max);
        let fastest = short.iter().copied().fold(f64::MAX, f64::min);
        let (confidence, alternatives) = readings(beats, bpm, evidence);
        Self {
            bpm: Some(bpm),
            confidence,
            alternatives,
            phase: phase.rem_euclid(period),
            steady,
            range: Some((60.0 / slowest, 60.0 / fastest)),
        }
    }
}

/// Cuts the track where beats pause. Every run has at least two beats; lone beats say nothing about tempo.
fn runs(beats: &[f64]) -> Vec<&[f64]> {
    let mut intervals: Vec<f64> = beats.iter().zip(beats.iter().skip(1)).map(|(a, b)| b - a).collect();
    let longest = RUN_BREAK * median(&mut intervals);
    beats.chunk_by(|a, b| b - a <= longest).filter(|run| run.len() > 1).collect()
}

/// Robust regression t = phase of the run + period * beat number: period in seconds, phase of the first run in seconds.
///
/// Huber's weights at 1.345 standard deviations, the deviation from the median absolute residual; iterated from the median interval
/// until the period is still. Source: Huber, "Robust estimation of a location parameter", 1964; constant for 95 % efficiency.
fn regression(runs: &[&[f64]]) -> (f64, f64) {
    let mut intervals: Vec<f64> = runs.iter().flat_map(|run| run.iter().zip(run.iter().skip(1)).map(|(a, b)| b - a)).collect();
    let mut period = median(&mut intervals);
    let mut phases: Vec<f64> = runs
        .iter()
        .map(|run| median(&mut run.iter().enumerate().map(|(number, time)| time - period * number as f64).collect::<Vec<_>>()))
        .collect();
    const ROUNDS: usize = 20;
    for _ in 0..ROUNDS {
        let residual = |phase: f64, number: usize, time: f64| time - phase - period * number as f64;
        let mut sizes: Vec<f64> = runs
            .iter()
            .zip(&phases)
            .flat_map(|(run, &phase)| run.iter().enumerate().map(move |(number, &time)| residual(phase, number, time).abs()))
            .collect();
        // A floor of a microsecond keeps the weights defined when all beats lie on the line.
        let limit = 1.345 * (1.4826 * median(&mut sizes)).max(1e-6);
        let (mut product, mut square) = (0.0, 0.0);
        let mut means = Vec::with_capacity(runs.len());
        for (run, &phase) in runs.iter().zip(&phases) {
            let weight = |number: usize, time: f64| (limit / residual(phase, number, time).abs().max(f64::MIN_POSITIVE)).min(1.0);
            let (mut sum, mut numbers, mut times) = (0.0, 0.0, 0.0);
            for (number, &time) in run.iter().enumerate() {
                let weight = weight(number, time);
                sum += weight;
                numbers += weight * number as f64;
                times += weight * time;
            }
            let (mean_number, mean_time) = (numbers / sum, times / sum);
            for (number, &time) in run.iter().enumerate() {
                let offset = number as f64 - mean_number;
                product += weight(number, time) * offset * (time - mean_time);
                square += weight(number, time) * offset * offset;
            }
            means.push((mean_number, mean_time));
        }
        let before = period;
        period = if square > 0.0 { product / square } else { period };
        phases = means.iter().map(|(number, time)| time - period * number).collect();
        if (period - before).abs() < 1e-12 * before {
            break;
        }
    }
    (period, phases.first().copied().unwrap_or(0.0))
}

/// Confidence of the beats' own reading, and the other readings in falling order.
///
/// A reading lays its grid over the beats. Precision is its mean activation, recall the share of all activation that it explains,
/// e = 2PR/(P + R) in the best phase; h its probability in the tempogram or by the network; s = e (0.02 + h). Its confidence is s over the
/// sum of all, times the certainty that there is a period at all: by the tempogram, or how well the beats' own grid fits the network.
fn readings(beats: &[f64], bpm: f64, evidence: &TempoEvidence<'_>) -> (f64, Vec<TempoAlternative>) {
    let activation = evidence.activation;
    let (first, last) = (beats.first().copied().unwrap_or(0.0), beats.last().copied().unwrap_or(0.0));
    let bounds = (evidence.frame_at(first) as usize).saturating_sub(GRID_REACH)
        ..(evidence.frame_at(last) as usize + GRID_REACH + 1).min(activation.len());
    let mass: f64 = bounds.clone().filter_map(|frame| activation.get(frame)).filter(|&&value| value >= ACTIVATION_FLOOR).sum();
    let fit = |up: u32, down: u32| {
        (0..down)
            .map(|phase| grid(beats, f64::from(phase) / f64::from(up), f64::from(down) / f64::from(up)))
            .map(|times| grid_fit(&times.iter().map(|&time| evidence.frame_at(time)).collect::<Vec<_>>(), activation, mass))
            .fold(0.0, f64::max)
    };
    let probabilities = evidence.probabilities(bpm);
    let mut readings = Vec::new();
    for ((up, down), probability) in READINGS.into_iter().zip(probabilities) {
        let ratio = f64::from(up) / f64::from(down);
        if TEMPO_RANGE.contains(&(ratio * bpm)) {
            let score = fit(up, down) * (PROBABILITY_FLOOR + probability);
            readings.push(TempoAlternative { bpm: ratio * bpm, confidence: score });
        }
    }
    let total: f64 = readings.iter().map(|reading| reading.confidence).sum();
    let certainty = evidence.certainty(fit(1, 1));
    for reading in &mut readings {
        reading.confidence *= certainty / total.max(f64::MIN_POSITIVE);
    }
    if readings.is_empty() {
        return (0.0, readings);
    }
    let own = readings.remove(0);
    readings.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    (own.confidence, readings)
}

/// Grid points in seconds: positions `start`, `start + step`, .. along the numbered beats.
fn grid(beats: &[f64], start: f64, step: f64) -> Vec<f64> {
    let last = beats.len().saturating_sub(1) as f64;
    (0..)
        .map(|point| start + step * f64::from(point))
        .take_while(|&position| position <= last + 1e-9)
        .filter_map(|position| {
            let (index, fraction) = ((position + 1e-9).floor(), (position - (position + 1e-9).floor()).max(0.0));
            let before = beats.get(index as usize)?;
            let after = beats.get(index as usize + 1).unwrap_or(before);
            Some(before + fraction * (after - before))
        })
        .collect()
}

/// 2PR/(P + R) of a grid over the activation.
fn grid_fit(grid: &[f64], activation: &[f64], mass: f64) -> f64 {
    let (mut largest, mut explained) = (0.0, 0.0);
    let mut next = 0;
    for &point in grid {
        let centre = point.round().max(0.0) as usize;
        let (first, last) = (centre.saturating_sub(GRID_REACH), (centre + GRID_REACH + 1).min(activation.len()));
        let near = activation.get(first..last).unwrap_or(&[]);
        largest += near.iter().copied().fold(0.0, f64::max);
        // Windows of a dense grid may overlap: each frame is explained once.
        let fresh = activation.get(first.max(next)..last).unwrap_or(&[]);
        explained += fresh.iter().filter(|&&value| value >= ACTIVATION_FLOOR).sum::<f64>();
        next = last;
    }
    let precision = largest / grid.len().max(1) as f64;
    let recall = explained / mass.max(f64::MIN_POSITIVE);
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

/// Middle value, the mean of the two middle ones for an even number; 0 of nothing.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => 0.0,
        (Some(value), 1) => *value,
        (Some(value), _) => 0.5 * (value + values.get(middle - 1).unwrap_or(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::{regression, runs};

    #[test]
    fn a_regression_over_jittered_beats_with_outliers_finds_the_period() {
        let mut beats: Vec<f64> = (0..200).map(|j| 0.3 + 0.437 * f64::from(j) + 0.004 * (f64::from(j) * 1.7).sin()).collect();
        beats[50] += 0.12;
        beats[120] -= 0.1;
        let (period, phase) = regression(&[&beats]);
        assert!((period - 0.437).abs() < 2e-5, "{period}");
        assert!((phase - 0.3).abs() < 2e-3, "{phase}");
    }

    #[test]
    fn a_pause_makes_two_runs_of_one_period() {
        let mut beats: Vec<f64> = (0..20).map(|j| 0.5 * f64::from(j)).collect();
        beats.extend((0..20).map(|j| 13.21 + 0.5 * f64::from(j)));
        let runs = runs(&beats);
        assert_eq!(runs.len(), 2);
        assert!((regression(&runs).0 - 0.5).abs() < 1e-9);
    }
}
