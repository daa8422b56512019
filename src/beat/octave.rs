//! Whether the beats are at another tempo than what the tracker took for them.
//!
//! The bar pointer model leans to fast readings: a slow beat has a long region in which it expects an onset, and a network's peaks are three
//! frames wide, so every slow beat pays for the frames around its peak. A double reading pays for beats where nothing is heard, which on the
//! average costs no more. The network's own view of the tempo, and how much louder it hears every second beat, say which one is meant.
//! At two or one and a half times the tempo there is no such leaning, and the shares of the readings decide by themselves.

use super::onset::FRAMES_PER_SECOND;
use super::tempo::Tempo;

/// What a slower reading's share must be of the present one's, times the square of the contrast, to be taken. With beat-tcn 1.1.0, shortly
/// before its training ended, right readings of 127 generated pieces reached 4.7, and the double ones that this corrects began at 5.5.
const CLEAR: f64 = 5.0;
/// What another reading's share must be of the present one's to be taken for nothing else.
const PREFERRED: f64 = 2.0;
/// Beats of the present reading to one of the slower one.
const SLOWER: [usize; 2] = [2, 3];
/// How far tempos may stray from the one that is meant.
const STRAY: f64 = 1.3;
/// Frames around a beat in which an activation counts as its own.
const REACH: usize = 3;

/// The range of tempos, in beats per minute, in which to look for beats again; `None` where those found are the best reading.
///
/// `positions` are the beats in frames of `activation`, `tempo` what they gave, `range` the tempos allowed.
#[must_use]
pub fn other_range(positions: &[f64], activation: &[f64], tempo: &Tempo, range: std::ops::Range<f64>) -> Option<std::ops::Range<f64>> {
    let bpm = tempo.bpm?;
    let heights: Vec<f64> = positions.iter().map(|position| height(activation, *position)).collect();
    let clearest = SLOWER
        .into_iter()
        .filter_map(|every| {
            let wanted = bpm / every as f64;
            let reading = tempo.alternatives.iter().find(|reading| (reading.bpm / wanted - 1.0).abs() < 1e-9)?;
            let clarity = reading.confidence / tempo.confidence.max(f64::MIN_POSITIVE) * contrast(&heights, every).powi(2);
            (range.contains(&wanted) && clarity > CLEAR).then_some((wanted, clarity))
        })
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let preferred = tempo.alternatives.first().filter(|reading| {
        let is_slower = SLOWER.iter().any(|&every| (reading.bpm * every as f64 / bpm - 1.0).abs() < 1e-9);
        !is_slower && range.contains(&reading.bpm) && reading.confidence > PREFERRED * tempo.confidence
    });
    let wanted = clearest.map(|(wanted, _)| wanted).or(preferred.map(|reading| reading.bpm))?;
    Some((wanted / STRAY).max(range.start)..(wanted * STRAY).min(range.end))
}

/// The largest activation around a beat.
pub(super) fn height(activation: &[f64], position: f64) -> f64 {
    let frame = position.round().max(0.0) as usize;
    let near = activation.get(frame.saturating_sub(REACH)..(frame + REACH + 1).min(activation.len())).unwrap_or(&[]);
    near.iter().copied().fold(0.0, f64::max)
}

/// How many times as high one beat in `every` is, in the best phase, as the others.
fn contrast(heights: &[f64], every: usize) -> f64 {
    let means: Vec<f64> = (0..every)
        .map(|phase| {
            let (sum, count) =
                heights.iter().skip(phase).step_by(every).fold((0.0, 0.0), |(sum, count), height| (sum + height, count + 1.0));
            if count > 0.0 { sum / count } else { 0.0 }
        })
        .collect();
    let largest = means.iter().copied().fold(0.0, f64::max);
    let others = (means.iter().sum::<f64>() - largest) / (every - 1).max(1) as f64;
    largest / others.max(1.0 / FRAMES_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::super::tempo::{Tempo, TempoEvidence};
    use super::other_range;

    /// Beats at every half second in frames, the activation at each by its number, and a tempo distribution with these shares at 60 and 120.
    fn found(height: impl Fn(usize) -> f64, shares: (f64, f64)) -> Option<std::ops::Range<f64>> {
        found_with(height, &[(60, shares.0), (120, shares.1)])
    }

    /// The same with shares at any tempos.
    fn found_with(height: impl Fn(usize) -> f64, shares: &[(usize, f64)]) -> Option<std::ops::Range<f64>> {
        let positions: Vec<f64> = (0..60).map(|beat| 20.0 + 50.0 * f64::from(beat)).collect();
        let mut activation = vec![0.001; 3_100];
        for (number, position) in positions.iter().enumerate() {
            activation[*position as usize] = height(number);
        }
        let mut distribution = vec![0.0; 300];
        shares.iter().for_each(|&(bpm, share)| distribution[bpm] = share);
        let beats: Vec<f64> = positions.iter().map(|position| position / 100.0).collect();
        let tempo = Tempo::of(&beats, &TempoEvidence::of_network(&activation, &distribution));
        other_range(&positions, &activation, &tempo, 55.0..215.0)
    }

    #[test]
    fn beats_of_which_every_second_is_silent_are_read_at_half_the_tempo() {
        let range = found(|number| if number % 2 == 1 { 0.8 } else { 0.08 }, (0.5, 0.2)).unwrap();
        assert!(range.contains(&60.0) && !range.contains(&120.0), "{range:?}");
        assert!(range.start >= 55.0);
    }

    #[test]
    fn beats_that_are_all_alike_stay_whatever_the_distribution_says() {
        assert_eq!(found(|_| 0.7, (0.7, 0.25)), None);
    }

    #[test]
    fn a_reading_three_to_two_that_is_far_likelier_is_taken() {
        let range = found_with(|_| 0.7, &[(120, 0.05), (180, 0.9)]).unwrap();
        assert!(range.contains(&180.0) && !range.contains(&120.0), "{range:?}");
        assert_eq!(found_with(|_| 0.7, &[(120, 0.5), (180, 0.5)]), None);
    }

    #[test]
    fn a_weaker_back_beat_alone_changes_nothing() {
        assert_eq!(found(|number| if number % 2 == 1 { 0.8 } else { 0.5 }, (0.2, 0.6)), None);
    }

    #[test]
    fn a_tempo_out_of_range_is_not_taken() {
        let positions: Vec<f64> = (0..40).map(|beat| 10.0 + 60.0 * f64::from(beat)).collect();
        let mut activation = vec![0.001; 2_500];
        positions.iter().step_by(2).for_each(|position| activation[*position as usize] = 0.8);
        let mut distribution = vec![0.0; 300];
        distribution[50] = 1.0;
        let beats: Vec<f64> = positions.iter().map(|position| position / 100.0).collect();
        let tempo = Tempo::of(&beats, &TempoEvidence::of_network(&activation, &distribution));
        assert_eq!(other_range(&positions, &activation, &tempo, 55.0..215.0), None);
    }
}
