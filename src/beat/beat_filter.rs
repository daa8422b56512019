//! What is known of position and tempo while a sound is heard: the forward algorithm of the bar pointer model.

use super::state_space::{Positions, StateSpace};

/// Share of the probability that starts anew in each frame, anywhere: what lets a filter that is sure of a tempo find another.
const RESTART: f64 = 1e-4;
/// How far from the best interval a tempo counts as the same.
const SAME_TEMPO: f64 = 0.04;

/// Probabilities of all states (position in a beat, beat length), frame by frame, of a sound heard so far.
///
/// Transitions are those of [`super::tracker::BeatDecoder`]; besides, evidence for tempos may be given, which acts on every state of an
/// interval alike, and a little probability is spread over all states anew in each frame.
pub struct BeatFilter {
    space: StateSpace,
    probabilities: Positions,
    beginnings: Vec<f64>,
    /// Factor per frame for each interval, at most 1.
    factors: Vec<f64>,
    /// Probability that a restart has each interval; sums to 1.
    restarts: Vec<f64>,
}

impl BeatFilter {
    /// A filter that knows nothing yet.
    #[must_use]
    pub fn new(space: StateSpace) -> Self {
        let count = space.intervals().len();
        Self {
            probabilities: Positions::new(&space, 1.0 / space.len().max(1) as f64),
            beginnings: vec![0.0; count],
            factors: vec![1.0; count],
            restarts: vec![1.0 / count.max(1) as f64; count],
            space,
        }
    }

    /// Beat lengths in frames, rising by one.
    #[must_use]
    pub fn intervals(&self) -> &[usize] {
        self.space.intervals()
    }

    /// Takes the logarithms of how likely each interval is (`[intervals]`, up to a constant), which act from now on with `weight` a frame.
    pub fn set_tempo(&mut self, scores: &[f64], weight: f64) {
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = scores.iter().map(|score| (score - most).exp()).sum();
        for ((factor, restart), score) in self.factors.iter_mut().zip(&mut self.restarts).zip(scores) {
            *factor = (weight * (score - most)).exp();
            *restart = (score - most).exp() / total;
        }
    }

    /// Takes the next frame: the natural logarithm of how much likelier its sound is in a beat region than in the rest of a beat.
    pub fn push(&mut self, gain: f64) {
        let ends: Vec<f64> = self.probabilities.ends().collect();
        for (beginning, origins) in self.beginnings.iter_mut().zip(self.space.origins()) {
            *beginning = origins.iter().filter_map(|&(from, weight)| Some(ends.get(from)? * weight)).sum();
        }
        self.probabilities.advance(self.beginnings.iter().copied());
        let gain = gain.exp();
        self.probabilities.change_regions(self.space.regions(), |probability| *probability *= gain);
        let mut sum = 0.0;
        let mut start = 0;
        let values = self.probabilities.values_mut();
        for (&length, factor) in self.space.intervals().iter().zip(&self.factors) {
            for value in values.get_mut(start..start + length).unwrap_or_default() {
                *value *= factor;
                sum += *value;
            }
            start += length;
        }
        let scale = (1.0 - RESTART) / sum.max(f64::MIN_POSITIVE);
        start = 0;
        for (&length, restart) in self.space.intervals().iter().zip(&self.restarts) {
            let fresh = RESTART * restart / length as f64;
            values.get_mut(start..start + length).unwrap_or_default().iter_mut().for_each(|value| *value = *value * scale + fresh);
            start += length;
        }
    }

    /// Probability that the newest frame lies in a beat region, and how many frames ago, on average over these states, the beat began.
    #[must_use]
    pub fn beat(&self) -> (f64, f64) {
        let (mut mass, mut moment) = (0.0, 0.0);
        for (interval, &region) in self.space.regions().iter().enumerate() {
            for (position, probability) in self.probabilities.row(interval).take(region).enumerate() {
                mass += probability;
                moment += probability * position as f64;
            }
        }
        (mass, if mass > 0.0 { moment / mass } else { 0.0 })
    }

    /// The likeliest beat length in frames, averaged over those within 4 % of it, and the probability of these.
    #[must_use]
    pub fn tempo(&self) -> (f64, f64) {
        let marginal: Vec<f64> = self.probabilities.columns().map(|column| column.iter().sum()).collect();
        let best = marginal.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index);
        let centre = self.space.intervals().get(best).copied().unwrap_or(1) as f64;
        let (mut mass, mut moment) = (0.0, 0.0);
        for (&interval, probability) in self.space.intervals().iter().zip(&marginal) {
            if (interval as f64 - centre).abs() <= (SAME_TEMPO * centre).max(1.0) {
                mass += probability;
                moment += probability * interval as f64;
            }
        }
        (if mass > 0.0 { moment / mass } else { centre }, mass)
    }
}

#[cfg(test)]
mod tests {
    use super::{BeatFilter, StateSpace};

    fn filter() -> BeatFilter {
        BeatFilter::new(StateSpace::new(55.0..215.0, 100.0, 16.0))
    }

    #[test]
    fn after_some_beats_the_filter_is_sure_of_tempo_and_phase() {
        let mut filter = filter();
        for frame in 0..400 {
            filter.push(if frame % 50 == 7 { 5.0 } else { -1.0 });
        }
        // Pulses every 50 frames may be beats or every second beat: one of both must hold, and firmly.
        let (interval, share) = filter.tempo();
        assert!((interval - 50.0).abs() < 0.5 || (interval - 100.0).abs() < 1.0, "{interval}");
        assert!(share > 0.6, "{share}");
        for frame in 400..458 {
            filter.push(if frame % 50 == 7 { 5.0 } else { -1.0 });
        }
        assert!(filter.beat().0 > 0.8, "{:?}", filter.beat());
    }

    #[test]
    fn evidence_for_a_tempo_decides_between_octaves() {
        for (wanted, other) in [(50.0, 100), (100.0, 50)] {
            let mut filter = filter();
            let scores: Vec<f64> =
                filter.intervals().iter().map(|&interval| if interval.abs_diff(other) < 4 { -3.0 } else { 0.0 }).collect();
            filter.set_tempo(&scores, 0.02);
            for frame in 0..800 {
                filter.push(if frame % 50 == 7 { 5.0 } else { -1.0 });
            }
            let (interval, share) = filter.tempo();
            assert!((interval - wanted).abs() < 1.5 && share > 0.6, "{interval} with {share}, not {wanted}");
        }
    }

    #[test]
    fn the_probabilities_stay_finite_and_sum_to_one() {
        let mut filter = filter();
        for frame in 0..3000 {
            filter.push(if frame % 3 == 0 { 16.0 } else { -12.0 });
        }
        let sum: f64 = filter.probabilities.values().iter().sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }
}
