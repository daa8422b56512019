//! The most probable beats under an activation: the dynamic Bayesian network of the bar pointer model.

use super::onset::FRAMES_PER_SECOND;
use super::state_space::{Positions, StateSpace};
use crate::error::{Error, Result};

/// Activations are kept this far from 0 and 1.
const CERTAINTY: f64 = 1e-6;
/// Spans without activation longer than this have no beats, in seconds.
const LONGEST_GAP: f64 = 2.0;

/// Viterbi decoding of the bar pointer model over one activation, frame by frame.
///
/// The beat region of a state observes the activation a, the rest of the beat (1 - a)/(L - 1) with L the observation lambda. Since the
/// latter is common to all states but those in a beat region, only these are touched, by the difference of the logarithms: some 3 700
/// additions a frame at the default range. Source: Böck, Krebs, Widmer, "A multi-model approach to beat tracking considering
/// heterogeneous music styles", ISMIR 2014, section 2.3; states of Krebs, Böck, Widmer, ISMIR 2015.
pub struct BeatDecoder {
    space: StateSpace,
    /// For each interval, the first one that it may follow, and the logarithms of the transition probabilities from there on.
    transitions: Vec<(usize, Vec<f64>)>,
    observation_lambda: f64,
    scores: Positions,
    ends: Vec<f64>,
    beginnings: Vec<f64>,
    /// The interval each beginning came from, `[frames][intervals]`.
    came_from: Vec<u8>,
    frames: usize,
}

impl BeatDecoder {
    /// A decoder for `frames` frames.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the way back cannot be reserved: one byte per interval and frame, 30 MB an hour at 55..215 BPM.
    pub fn new(space: StateSpace, observation_lambda: f64, frames: usize) -> Result<Self> {
        // What an interval may follow are its neighbours: one run.
        let transitions = space.origins().iter().map(|origins| {
            let first = origins.first().map_or(0, |&(from, _)| from);
            (first, origins.iter().map(|(_, weight)| weight.ln()).collect())
        });
        let transitions = transitions.collect();
        let bytes = frames.saturating_mul(space.intervals().len());
        let mut came_from = Vec::new();
        came_from.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory { what: "the beats' way back", bytes: bytes as u64 })?;
        let scores = Positions::new(&space, -(space.len() as f64).ln());
        let beginnings = vec![0.0; space.intervals().len()];
        Ok(Self { space, transitions, observation_lambda, scores, ends: Vec::new(), beginnings, came_from, frames: 0 })
    }

    /// Takes the activation of the next frame, 0..1.
    pub fn push(&mut self, activation: f64) {
        self.ends.clear();
        self.ends.extend(self.scores.ends());
        for (beginning, (first, weights)) in self.beginnings.iter_mut().zip(&self.transitions) {
            let (score, from) = best(self.ends.get(*first..).unwrap_or(&[]), weights);
            *beginning = score;
            self.came_from.push((first + from) as u8);
        }
        self.scores.advance(self.beginnings.iter().copied());
        let gain = beat_gain(activation, self.observation_lambda);
        self.scores.change_regions(self.space.regions(), |score| *score += gain);
        self.frames += 1;
    }

    /// Frames taken.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The beats of the best path through `activation` (that which was pushed), as rising frame positions with fractions.
    ///
    /// A beat lies at the largest activation in its beat region, between frames by a parabola through the logarithms. Beats before the
    /// first and after the last activation of at least `threshold`, and inside spans of over 2 s below it, are dropped.
    #[must_use]
    pub fn beats(&self, activation: &[f64], threshold: f64) -> Vec<f64> {
        let audible = audible_spans(activation, threshold);
        self.crossings()
            .into_iter()
            .map(|(frame, interval)| {
                let region = self.space.regions().get(interval).copied().unwrap_or(1);
                refine(activation, frame..frame + region)
            })
            .filter(|&beat| audible.iter().any(|span| span.contains(&(beat.round() as usize))))
            .collect()
    }

    /// Frames at which the best path enters a beat, rising, with the index of the beat's interval.
    fn crossings(&self) -> Vec<(usize, usize)> {
        let count = self.space.intervals().len();
        let mut best = (f64::NEG_INFINITY, 0, 0);
        for interval in 0..count {
            for (position, score) in self.scores.row(interval).enumerate() {
                if score > best.0 {
                    best = (score, interval, position);
                }
            }
        }
        let (_, mut interval, position) = best;
        let mut crossings = Vec::new();
        // Before the first frame a path is somewhere inside a beat: its beginning was not heard.
        let mut at = (self.frames + count).checked_sub(position + 1 + count);
        while let Some(frame) = at {
            crossings.push((frame, interval));
            interval = self.came_from.get(frame * count + interval).map_or(0, |&from| usize::from(from));
            let length = self.space.intervals().get(interval).copied().unwrap_or(usize::MAX);
            at = frame.checked_sub(length);
        }
        crossings.reverse();
        crossings
    }
}

/// The largest sum of a value and its weight, and the first place that has it.
fn best(values: &[f64], weights: &[f64]) -> (f64, usize) {
    // Four running maxima in place of one: a chain of comparisons would wait for each of them.
    const CHAINS: usize = 4;
    let mut largest = [f64::NEG_INFINITY; CHAINS];
    let keep = |largest: &mut f64, sum: f64| *largest = if sum > *largest { sum } else { *largest };
    let (values, weights) = (values.get(..weights.len()).unwrap_or(values), weights.get(..values.len()).unwrap_or(weights));
    let (mut fours, mut by) = (values.chunks_exact(CHAINS), weights.chunks_exact(CHAINS));
    for (values, weights) in (&mut fours).zip(&mut by) {
        for ((largest, value), weight) in largest.iter_mut().zip(values).zip(weights) {
            keep(largest, value + weight);
        }
    }
    for ((largest, value), weight) in largest.iter_mut().zip(fours.remainder()).zip(by.remainder()) {
        keep(largest, value + weight);
    }
    let most = largest.into_iter().fold(f64::NEG_INFINITY, f64::max);
    (most, values.iter().zip(weights).position(|(value, weight)| value + weight == most).unwrap_or(0))
}

/// What a frame of this activation gives a state in its beat region over any other, in natural logarithms.
pub(super) fn beat_gain(activation: f64, observation_lambda: f64) -> f64 {
    let activation = activation.clamp(CERTAINTY, 1.0 - CERTAINTY);
    (activation * (observation_lambda - 1.0) / (1.0 - activation)).ln()
}

/// The largest activation within `frames`, between frames by a parabola through the logarithms.
pub(super) fn refine(activation: &[f64], frames: std::ops::Range<usize>) -> f64 {
    let value = |at: usize| activation.get(at).copied().unwrap_or(0.0).max(CERTAINTY).ln();
    // The first of equals: where nothing is heard the beat is where the tempo puts it.
    let peak = frames.clone().rev().max_by(|&a, &b| value(a).total_cmp(&value(b))).unwrap_or(frames.start);
    let (before, now, after) = (peak.checked_sub(1).map_or(f64::NEG_INFINITY, value), value(peak), value(peak + 1));
    if before > now || after > now || before == f64::NEG_INFINITY {
        return peak as f64;
    }
    let curvature = before - 2.0 * now + after;
    peak as f64 + if curvature < 0.0 { (0.5 * (before - after) / curvature).clamp(-0.5, 0.5) } else { 0.0 }
}

/// Frames from the first to the last activation of at least `threshold`, without the spans of over 2 s below it.
fn audible_spans(activation: &[f64], threshold: f64) -> Vec<std::ops::Range<usize>> {
    let mut spans: Vec<std::ops::Range<usize>> = Vec::new();
    for (frame, _) in activation.iter().enumerate().filter(|(_, value)| **value >= threshold) {
        match spans.last_mut() {
            Some(span) if (frame - span.end) as f64 <= LONGEST_GAP * FRAMES_PER_SECOND => span.end = frame + 1,
            _ => spans.push(frame..frame + 1),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::{BeatDecoder, StateSpace, refine};

    fn decode(activation: &[f64]) -> Vec<f64> {
        let space = StateSpace::new(55.0..215.0, 100.0, 16.0);
        let mut decoder = BeatDecoder::new(space, 16.0, activation.len()).unwrap();
        activation.iter().for_each(|&value| decoder.push(value));
        decoder.beats(activation, 0.05)
    }

    /// Peaks of three frames around `times` in frames.
    fn peaks(frames: usize, times: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut activation = vec![0.01; frames];
        for time in times {
            for (frame, value) in activation.iter_mut().enumerate() {
                *value += 0.9 * (-(frame as f64 - time).powi(2) / 0.8).exp();
            }
        }
        activation
    }

    #[test]
    fn beats_between_frames_are_found_within_a_millisecond() {
        let times: Vec<f64> = (0..30).map(|beat| 23.4 + 51.37 * f64::from(beat)).collect();
        let found = decode(&peaks(1600, times.iter().copied()));
        assert_eq!(found.len(), times.len());
        for (found, time) in found.iter().zip(&times) {
            assert!((found - time).abs() < 0.1, "{found} against {time}");
        }
    }

    #[test]
    fn a_missing_beat_is_filled_in_where_the_tempo_puts_it() {
        let times: Vec<f64> = (0..30).map(|beat| 20.0 + 50.0 * f64::from(beat)).collect();
        let found = decode(&peaks(1600, times.iter().enumerate().filter(|(beat, _)| *beat != 14).map(|(_, time)| *time)));
        assert_eq!(found.len(), times.len());
        assert!((found[14] - times[14]).abs() <= 3.0, "{}", found[14]);
    }

    #[test]
    fn a_tempo_that_falls_by_a_fifth_over_twenty_beats_is_followed() {
        let mut time = 10.0;
        let times: Vec<f64> = (0..60)
            .map(|beat| {
                time += if (20..40).contains(&beat) {
                    40.0 + 0.5 * f64::from(beat - 20)
                } else if beat < 20 {
                    40.0
                } else {
                    50.0
                };
                time
            })
            .collect();
        let found = decode(&peaks(2900, times.iter().copied()));
        assert_eq!(found.len(), times.len());
        assert!(found.iter().zip(&times).all(|(a, b)| (a - b).abs() < 0.2));
    }

    #[test]
    fn a_silence_of_over_two_seconds_has_no_beats_and_the_ends_are_trimmed() {
        let times: Vec<f64> =
            (4..14).map(|beat| 50.0 * f64::from(beat)).chain((0..10).map(|beat| 1100.0 + 50.0 * f64::from(beat))).collect();
        let mut activation = peaks(2000, times.iter().copied());
        activation.iter_mut().for_each(|value| *value -= 0.01);
        let found = decode(&activation);
        assert_eq!(found.len(), times.len(), "{found:?}");
        assert!(found.iter().zip(&times).all(|(a, b)| (a - b).abs() < 0.2));
    }

    #[test]
    fn a_flat_activation_leaves_a_beat_where_it_is() {
        assert_eq!(refine(&[0.2; 20], 5..9), 5.0);
        assert_eq!(refine(&[0.0, 0.1, 0.9, 0.1, 0.0], 1..4), 2.0);
    }
}
