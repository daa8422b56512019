//! Bars: which beats begin one, and how many beats one has.

use serde::Serialize;

use super::onset::Onsets;

/// Beats per bar of a track. The note value of a beat cannot be heard and is not given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Meter {
    /// Beats per bar, the one that holds most beats.
    pub beats_per_bar: u32,
    /// Mean posterior probability, 0.4..1, that the downbeats given begin a bar of this length.
    pub confidence: f64,
}

/// Bars below which nothing is claimed.
const FEWEST_BARS: usize = 4;
/// Posterior below which no downbeats are given, where they are told by the sound alone.
pub const UNSURE_BY_FLUX: f64 = 0.5;
/// The same by a network. Plain clicks reach 0.2; even drum loops, whose first and third beats are hard to tell apart, 0.44 and more.
pub const UNSURE_BY_NETWORK: f64 = 0.4;
/// Probability that the meter changes at the end of a bar.
const METER_CHANGE: f64 = 1e-3;
/// Prior of a meter by its beats per bar (Krebs, Böck, Widmer, ISMIR 2015, leave it uniform; music does not).
const PRIORS: [(u32, f64); 4] = [(4, 0.50), (3, 0.25), (2, 0.15), (6, 0.10)];
/// Likelihood of whatever happens in the middle of a bar: that of a clear accent or of a clear want of one, so that two bars of two
/// are not likelier than one of four for nothing more than an even accent.
const HALF_BAR: f64 = 0.75;
/// Exponent of the observations: neighbouring beats are not independent witnesses, and without it a minute of weak hints would be
/// certainty.
const TEMPERING: f64 = 0.3;

/// Probability of a downbeat at each beat: the logistic function of low-band flux plus half the change of the spectrum's shape from beat
/// to beat, each as a z-score.
#[must_use]
pub fn downbeat_evidence(onsets: &Onsets, frames: &[usize]) -> Vec<f64> {
    let low: Vec<f64> = frames
        .iter()
        .map(|&frame| {
            let near = onsets.low_flux.get(frame.saturating_sub(2)..(frame + 4).min(onsets.low_flux.len())).unwrap_or(&[]);
            f64::from(near.iter().copied().fold(0.0, f32::max))
        })
        .collect();
    let shapes: Vec<Vec<f64>> = frames
        .iter()
        .enumerate()
        .map(|(index, &frame)| {
            let end = frames.get(index + 1).copied().unwrap_or(onsets.flux.len());
            mean_shape(onsets, frame, end)
        })
        .collect();
    let mut change = vec![0.0; frames.len()];
    for (value, pair) in change.iter_mut().skip(1).zip(shapes.windows(2)) {
        if let [before, now] = pair {
            *value = before.iter().zip(now).map(|(a, b)| (a - b).abs()).sum();
        }
    }
    let (low, change) = (z_scores(&low), z_scores(&change));
    low.iter().zip(&change).map(|(low, change)| logistic(low + 0.5 * change)).collect()
}

/// 1 / (1 + e^-x).
pub(super) fn logistic(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

fn mean_shape(onsets: &Onsets, start: usize, end: usize) -> Vec<f64> {
    let length = onsets.shape_length;
    let values = onsets.shape.get(start * length..end * length).unwrap_or(&[]);
    let mut mean = vec![0.0; length];
    for row in values.chunks_exact(length.max(1)) {
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let count = end.saturating_sub(start).max(1) as f64;
    mean.iter_mut().for_each(|sum| *sum /= count);
    mean
}

/// Deviations from the mean in standard deviations; all 0 where nothing varies.
fn z_scores(values: &[f64]) -> Vec<f64> {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    values.iter().map(|value| if deviation > 1e-9 { (value - mean) / deviation } else { 0.0 }).collect()
}

/// One position in a bar.
#[derive(Clone, Copy)]
struct Position {
    meter: u32,
    beat: u32,
}

impl Position {
    /// Likelihood of a beat that is a downbeat with this probability. The middle of a bar of 4 or 6 may be accented like its
    /// beginning or not, which says nothing.
    fn observe(self, downbeat: f64) -> f64 {
        match self.beat {
            0 => downbeat,
            beat if self.meter >= 4 && 2 * beat == self.meter => HALF_BAR,
            _ => 1.0 - downbeat,
        }
    }
}

/// The bar model: states are positions in bars of each meter, one step per beat; the first beat of a bar observes d, the others
/// 1 - d, with d the probability of a downbeat. Source: the bar level of Krebs, Böck, Widmer, "An efficient state-space model
/// for joint tempo and meter tracking", ISMIR 2015.
///
/// Gives the meter and the indices of the beats that begin a bar; `None` if fewer than four bars fit or the posterior is below `unsure`.
#[must_use]
pub fn find_bars(downbeat: &[f64], meters: &[u32], unsure: f64) -> Option<(Meter, Vec<usize>)> {
    let (positions, start) = (positions(meters), start(meters));
    let observations: Vec<Vec<f64>> = downbeat
        .iter()
        .map(|&downbeat| positions.iter().map(|position| position.observe(downbeat).max(1e-6).powf(TEMPERING)).collect())
        .collect();
    let posterior = posterior(&positions, &start, &observations, meters);
    let path = best_path(&positions, &start, &observations, meters);
    let beats_in = |meter: u32| path.iter().filter(|&&state| positions.get(state).is_some_and(|p| p.meter == meter)).count();
    let meter = meters.iter().copied().max_by_key(|&meter| beats_in(meter))?;
    let downbeats: Vec<usize> =
        path.iter().enumerate().filter(|(_, state)| positions.get(**state).is_some_and(|p| p.beat == 0)).map(|(beat, _)| beat).collect();
    let certain: Vec<f64> = downbeats
        .iter()
        .filter_map(|&beat| Some((posterior.get(beat)?, positions.get(*path.get(beat)?)?, *path.get(beat)?)))
        .filter(|(_, position, _)| position.meter == meter)
        .filter_map(|(row, _, state)| row.get(state).copied())
        .collect();
    let confidence = certain.iter().sum::<f64>() / certain.len().max(1) as f64;
    (certain.len() >= FEWEST_BARS && confidence >= unsure).then_some((Meter { beats_per_bar: meter, confidence }, downbeats))
}

fn positions(meters: &[u32]) -> Vec<Position> {
    meters.iter().flat_map(|&meter| (0..meter).map(move |beat| Position { meter, beat })).collect()
}

/// Probability of each of [`positions`] before anything is heard.
fn start(meters: &[u32]) -> Vec<f64> {
    positions(meters).iter().map(|position| prior(position.meter, meters) / f64::from(position.meter)).collect()
}

/// The bar model heard beat by beat: what can be said of a beat without those to come.
pub(super) struct BarFilter {
    meters: Vec<u32>,
    positions: Vec<Position>,
    /// Probability of each position at the newest beat.
    probabilities: Vec<f64>,
    has_begun: bool,
}

impl BarFilter {
    pub(super) fn new(meters: &[u32]) -> Self {
        Self { meters: meters.to_vec(), positions: positions(meters), probabilities: start(meters), has_begun: false }
    }

    /// Takes the next beat, a downbeat with this probability by its own sound, and gives the probability that it begins a bar.
    pub(super) fn push(&mut self, downbeat: f64) -> f64 {
        if self.has_begun {
            self.probabilities = predicted(&self.positions, &self.probabilities, self.meters.len());
        }
        self.has_begun = true;
        let mut sum = 0.0;
        for (probability, position) in self.probabilities.iter_mut().zip(&self.positions) {
            *probability *= position.observe(downbeat).max(1e-6).powf(TEMPERING);
            sum += *probability;
        }
        self.probabilities.iter_mut().for_each(|probability| *probability /= sum.max(f64::MIN_POSITIVE));
        self.positions.iter().zip(&self.probabilities).filter(|(position, _)| position.beat == 0).map(|(_, probability)| probability).sum()
    }
}

/// Probabilities a beat later.
fn predicted(positions: &[Position], before: &[f64], meters: usize) -> Vec<f64> {
    let into = |to: Position| positions.iter().zip(before).map(|(&from, value)| value * transition(from, to, meters)).sum();
    positions.iter().map(|&to| into(to)).collect()
}

/// Prior of a meter among those allowed; one without a figure of its own has that of 6.
fn prior(meter: u32, meters: &[u32]) -> f64 {
    let weight = |meter: u32| PRIORS.iter().find(|(beats, _)| *beats == meter).map_or(0.10, |(_, weight)| *weight);
    weight(meter) / meters.iter().map(|&other| weight(other)).sum::<f64>()
}

/// Probability of going from one position to another.
fn transition(from: Position, to: Position, meters: usize) -> f64 {
    if from.beat + 1 < from.meter {
        return if to.meter == from.meter && to.beat == from.beat + 1 { 1.0 } else { 0.0 };
    }
    let others = meters.saturating_sub(1);
    match (to.beat, to.meter == from.meter) {
        (0, true) => {
            if others == 0 {
                1.0
            } else {
                1.0 - METER_CHANGE
            }
        }
        (0, false) => METER_CHANGE / others as f64,
        _ => 0.0,
    }
}

/// Forward-backward: probability of each position at each beat, `[beats][positions]`.
fn posterior(positions: &[Position], start: &[f64], observations: &[Vec<f64>], meters: &[u32]) -> Vec<Vec<f64>> {
    let normalised = |mut row: Vec<f64>| {
        let sum: f64 = row.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        row.iter_mut().for_each(|value| *value /= sum);
        row
    };
    let mut forward: Vec<Vec<f64>> = Vec::with_capacity(observations.len());
    for observation in observations {
        let predicted: Vec<f64> = match forward.last() {
            None => start.to_vec(),
            Some(before) => predicted(positions, before, meters.len()),
        };
        forward.push(normalised(predicted.iter().zip(observation).map(|(a, b)| a * b).collect()));
    }
    let mut backward = vec![1.0; positions.len()];
    for (row, observation) in forward.iter_mut().zip(observations).rev() {
        let seen: Vec<f64> = backward.iter().zip(observation).map(|(a, b)| a * b).collect();
        *row = normalised(row.iter().zip(&backward).map(|(a, b)| a * b).collect());
        backward = normalised(
            positions
                .iter()
                .map(|&from| positions.iter().zip(&seen).map(|(&to, value)| value * transition(from, to, meters.len())).sum())
                .collect(),
        );
    }
    forward
}

/// Viterbi: the most probable position at each beat.
fn best_path(positions: &[Position], start: &[f64], observations: &[Vec<f64>], meters: &[u32]) -> Vec<usize> {
    let mut scores: Vec<f64> = Vec::new();
    let mut came_from: Vec<Vec<usize>> = Vec::with_capacity(observations.len());
    for observation in observations {
        let mut next = Vec::with_capacity(positions.len());
        let mut origins = Vec::with_capacity(positions.len());
        for (state, (&to, seen)) in positions.iter().zip(observation).enumerate() {
            let from_before = positions
                .iter()
                .zip(&scores)
                .enumerate()
                .map(|(index, (&from, score))| (index, score + transition(from, to, meters.len()).ln()))
                .max_by(|a, b| a.1.total_cmp(&b.1));
            let (origin, score) = from_before.unwrap_or((state, start.get(state).copied().unwrap_or(0.0).ln()));
            next.push(score + seen.ln());
            origins.push(origin);
        }
        scores = next;
        came_from.push(origins);
    }
    let Some(mut state) = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(index, _)| index) else {
        return Vec::new();
    };
    let mut path = vec![0; observations.len()];
    for (slot, origins) in path.iter_mut().zip(&came_from).rev() {
        *slot = state;
        state = origins.get(state).copied().unwrap_or(0);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::{BarFilter, UNSURE_BY_FLUX, UNSURE_BY_NETWORK, find_bars, logistic};

    #[test]
    fn strong_downbeats_in_three_give_bars_of_three() {
        let evidence: Vec<f64> = (0..60).map(|beat| logistic(if beat % 3 == 1 { 2.0 } else { -1.0 })).collect();
        let (meter, downbeats) = find_bars(&evidence, &[2, 3, 4], UNSURE_BY_FLUX).unwrap();
        assert_eq!(meter.beats_per_bar, 3);
        assert!(meter.confidence > 0.9, "{}", meter.confidence);
        assert_eq!(downbeats, (1..60).step_by(3).collect::<Vec<_>>());
    }

    #[test]
    fn bars_of_six_with_an_accented_middle_leave_some_doubt_about_bars_of_three() {
        let evidence: Vec<f64> = (0..60).map(|beat| logistic(if beat % 3 == 1 { 2.0 } else { -1.0 })).collect();
        let (meter, downbeats) = find_bars(&evidence, &[2, 3, 4, 6], UNSURE_BY_FLUX).unwrap();
        let (surer, same) = find_bars(&evidence, &[2, 3, 4], UNSURE_BY_FLUX).unwrap();
        assert_eq!((meter.beats_per_bar, downbeats), (3, same));
        assert!(meter.confidence < surer.confidence, "{} against {}", meter.confidence, surer.confidence);
    }

    #[test]
    fn beats_that_are_all_alike_have_no_bars() {
        assert_eq!(find_bars(&[0.5; 200], &[2, 3, 4, 6], UNSURE_BY_NETWORK), None);
    }

    #[test]
    fn fewer_than_four_bars_are_no_meter() {
        let evidence: Vec<f64> = (0..12).map(|beat| logistic(if beat % 4 == 0 { 3.0 } else { -3.0 })).collect();
        assert_eq!(find_bars(&evidence, &[4], UNSURE_BY_FLUX), None);
    }

    #[test]
    fn a_filter_is_sure_of_the_downbeats_after_some_bars() {
        let mut filter = BarFilter::new(&[3, 4]);
        let heard: Vec<f64> = (0..32).map(|beat| filter.push(if beat % 4 == 1 { 0.9 } else { 0.1 })).collect();
        for (beat, probability) in heard.iter().enumerate().skip(16) {
            assert_eq!(*probability > 0.5, beat % 4 == 1, "beat {beat}: {probability}");
        }
    }
}
