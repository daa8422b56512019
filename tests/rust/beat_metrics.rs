//! Scores of an estimated beat track against a reference, equal to mir_eval 0.8.2 (`tools/beat_metrics_fixtures.py`).
//!
//! All take sorted times in seconds. Sources: Davies, Degara, Plumbley, "Evaluation methods for musical audio beat tracking
//! algorithms", C4DM-TR-09-06, 2009, as read by mir_eval.

/// Times before this are not scored: trackers may need to settle.
const FIRST_SCORED: f64 = 5.0;

/// Every score of one track.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Deserialize)]
pub struct Scores {
    pub f: f64,
    pub cemgil: f64,
    pub cemgil_best: f64,
    pub cml_c: f64,
    pub cml_t: f64,
    pub aml_c: f64,
    pub aml_t: f64,
    pub p_score: f64,
    pub goto: f64,
    pub information_gain: f64,
}

/// All scores, on the times from 5 s on.
pub fn evaluate(reference: &[f64], estimate: &[f64]) -> Scores {
    let trim = |times: &[f64]| times.iter().copied().filter(|&time| time >= FIRST_SCORED).collect::<Vec<_>>();
    let (reference, estimate) = (trim(reference), trim(estimate));
    let (cemgil, cemgil_best) = cemgil(&reference, &estimate);
    let [cml_c, cml_t, aml_c, aml_t] = continuity(&reference, &estimate);
    Scores {
        f: f_measure(&reference, &estimate),
        cemgil,
        cemgil_best,
        cml_c,
        cml_t,
        aml_c,
        aml_t,
        p_score: p_score(&reference, &estimate),
        goto: goto(&reference, &estimate),
        information_gain: information_gain(&reference, &estimate),
    }
}

/// Share of beats matched one to one within 70 ms, as the harmonic mean of precision and recall.
pub fn f_measure(reference: &[f64], estimate: &[f64]) -> f64 {
    const WINDOW: f64 = 0.07;
    let (mut matches, mut next) = (0, 0);
    // Windows of one width over sorted times: taking the earliest free estimate is a maximum matching.
    for &beat in reference {
        while estimate.get(next).is_some_and(|&time| time + WINDOW < beat) {
            next += 1;
        }
        if estimate.get(next).is_some_and(|&time| time - WINDOW <= beat) {
            matches += 1;
            next += 1;
        }
    }
    if matches == 0 {
        return 0.0;
    }
    let (precision, recall) = (matches as f64 / estimate.len() as f64, matches as f64 / reference.len() as f64);
    2.0 * precision * recall / (precision + recall)
}

/// The reference itself, its off-beats, both together, and each half of its beats.
fn variations(reference: &[f64]) -> [Vec<f64>; 5] {
    let off: Vec<f64> = reference.windows(2).map(|pair| 0.5 * (pair[1] - pair[0]) + pair[0]).collect();
    let mut double: Vec<f64> = reference.iter().chain(&off).copied().collect();
    double.sort_by(f64::total_cmp);
    let half = |from: usize| reference.iter().skip(from).step_by(2).copied().collect();
    [reference.to_vec(), off, double, half(0), half(1)]
}

fn nearest(times: &[f64], time: f64) -> usize {
    let mut best = 0;
    for (index, &candidate) in times.iter().enumerate() {
        if (candidate - time).abs() < (times[best] - time).abs() {
            best = index;
        }
    }
    best
}

/// Gaussian accuracy of 40 ms, and the best over the variations.
pub fn cemgil(reference: &[f64], estimate: &[f64]) -> (f64, f64) {
    if reference.is_empty() || estimate.is_empty() {
        return (0.0, 0.0);
    }
    let scores = variations(reference).map(|reference| {
        let sum: f64 =
            reference.iter().map(|&beat| (-(beat - estimate[nearest(estimate, beat)]).powi(2) / (2.0 * 0.04 * 0.04)).exp()).sum();
        sum / (0.5 * (reference.len() + estimate.len()) as f64)
    });
    (scores[0], scores.into_iter().fold(0.0, f64::max))
}

/// CMLc, CMLt, AMLc, AMLt.
pub fn continuity(reference: &[f64], estimate: &[f64]) -> [f64; 4] {
    if reference.len() < 2 || estimate.len() < 2 {
        return [0.0; 4];
    }
    let scores = variations(reference).map(|reference| continuity_with(&reference, estimate));
    let best = |index: usize| scores.iter().map(|score| score[index]).fold(0.0, f64::max);
    [scores[0][0], scores[0][1], best(0), best(1)]
}

fn continuity_with(reference: &[f64], estimate: &[f64]) -> [f64; 2] {
    const TOLERANCE: f64 = 0.175;
    let count = reference.len().max(estimate.len());
    let mut used = vec![false; count];
    let (mut right, mut run, mut longest) = (0, 0, 0);
    for (m, &time) in estimate.iter().enumerate() {
        let n = nearest(reference, time);
        let interval = |times: &[f64], at: usize| {
            let forward = m == 0 || n == 0;
            let last = times.len() - 1;
            // A single time has no interval: 0 fails both tests below.
            if (forward && at < last) || at == 0 { times[last.min(at + 1)] - times[at] } else { times[at] - times[at - 1] }
        };
        let (expected, given) = (interval(reference, n), interval(estimate, m));
        let phase = ((time - reference[n]) / expected).abs();
        let period = (1.0 - given / expected).abs();
        if !used[n] && phase < TOLERANCE && period < TOLERANCE {
            used[n] = true;
            right += 1;
            run += 1;
            longest = longest.max(run);
        } else {
            run = 0;
        }
    }
    [f64::from(longest) / count as f64, f64::from(right) / count as f64]
}

/// McKinney's P-score: correlation of 10 ms impulse trains within a fifth of the median interval.
pub fn p_score(reference: &[f64], estimate: &[f64]) -> f64 {
    if reference.len() < 2 || estimate.len() < 2 {
        return 0.0;
    }
    let offset = reference[0].min(estimate[0]);
    let quantise = |times: &[f64]| {
        let mut frames: Vec<i64> = times.iter().map(|time| ((time - offset) * 100.0).ceil() as i64).collect();
        frames.dedup();
        frames
    };
    let (reference_frames, estimate_frames) = (quantise(reference), quantise(estimate));
    let mut intervals: Vec<i64> = reference_frames.windows(2).map(|pair| pair[1] - pair[0]).collect();
    intervals.sort_unstable();
    let middle = intervals.len() / 2;
    let median = if intervals.len() % 2 == 1 { intervals[middle] as f64 } else { 0.5 * (intervals[middle] + intervals[middle - 1]) as f64 };
    let window = (0.2 * median).round_ties_even() as i64;
    let pairs: usize =
        reference_frames.iter().map(|beat| estimate_frames.iter().filter(|time| (beat - *time).abs() <= window).count()).sum();
    pairs as f64 / reference.len().max(estimate.len()) as f64
}

/// Goto's criterion: 1 if the longest well-tracked stretch is long and even enough.
pub fn goto(reference: &[f64], estimate: &[f64]) -> f64 {
    if reference.is_empty() || estimate.is_empty() {
        return 0.0;
    }
    let mut errors = vec![1.0; reference.len()];
    for n in 1..reference.len().saturating_sub(1) {
        let (before, after) = (0.5 * (reference[n] - reference[n - 1]), 0.5 * (reference[n + 1] - reference[n]));
        let inside: Vec<f64> =
            estimate.iter().copied().filter(|&time| time >= reference[n] - before && time < reference[n] + after).collect();
        if let [time] = inside[..] {
            let offset = time - reference[n];
            errors[n] = offset / if offset < 0.0 { before } else { after };
        }
    }
    let wrong: Vec<usize> = (0..errors.len()).filter(|&n| errors[n].abs() > 0.35).collect();
    let (first, last) = (wrong[0], wrong[wrong.len() - 1]);
    let track = if wrong.len() < 3 {
        errors.get(first + 1..last.saturating_sub(1)).unwrap_or(&[])
    } else {
        let longest = wrong.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        if longest as f64 - 1.0 <= 0.25 * (reference.len() as f64 - 2.0) {
            return 0.0;
        }
        let gap = wrong.windows(2).find(|pair| pair[1] - pair[0] == longest).unwrap();
        &errors[gap[0]..=gap[1]]
    };
    let count = track.len() as f64;
    let mean = track.iter().sum::<f64>() / count;
    let size = track.iter().map(|error| error.abs()).sum::<f64>() / count;
    let deviation = (track.iter().map(|error| (error - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    if size < 0.2 && deviation < 0.2 { 1.0 } else { 0.0 }
}

/// How far the distribution of timing errors is from flat, 0..1.
pub fn information_gain(reference: &[f64], estimate: &[f64]) -> f64 {
    if reference.len() < 2 || estimate.len() < 2 {
        return 0.0;
    }
    let most = (BINS as f64).log2();
    (most - error_entropy(reference, estimate).max(error_entropy(estimate, reference))) / most
}

const BINS: usize = 41;

fn error_entropy(reference: &[f64], estimate: &[f64]) -> f64 {
    let mut histogram = [0_u32; BINS];
    let last = reference.len() - 1;
    for &time in estimate {
        let n = nearest(reference, time);
        let error = time - reference[n];
        let interval = if n == last {
            reference[n] - reference[n - 1]
        } else if error < 0.0 {
            // mir_eval reads index -1 before the first reference: the last one.
            reference[n] - reference[if n == 0 { last } else { n - 1 }]
        } else {
            reference[n + 1] - reference[n]
        };
        let error = error / interval;
        let wrapped = 0.5 - (-(error + 0.5)).rem_euclid(1.0);
        // The edges as numpy's linspace has them: a value on one belongs to the bin above, the last edge to the last bin.
        let step = 1.0 / BINS as f64;
        let bin = (1..BINS).take_while(|&edge| wrapped >= edge as f64 * step - 0.5).count();
        histogram[bin] += 1;
    }
    histogram
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = f64::from(count) / estimate.len() as f64;
            -share * share.log2()
        })
        .sum()
}

#[derive(serde::Deserialize)]
struct Fixture {
    name: String,
    reference: Vec<f64>,
    estimate: Vec<f64>,
    scores: Scores,
}

#[test]
fn the_scores_equal_those_of_mir_eval() {
    #[derive(serde::Deserialize)]
    struct Fixtures {
        cases: Vec<Fixture>,
    }
    let text = std::fs::read_to_string("tests/data/beat_metrics.json").unwrap();
    let fixtures: Fixtures = serde_json::from_str(&text).unwrap();
    assert!(fixtures.cases.len() >= 40);
    for case in fixtures.cases {
        let (ours, theirs) = (evaluate(&case.reference, &case.estimate), case.scores);
        for (score, ours, theirs) in [
            ("F", ours.f, theirs.f),
            ("Cemgil", ours.cemgil, theirs.cemgil),
            ("best Cemgil", ours.cemgil_best, theirs.cemgil_best),
            ("CMLc", ours.cml_c, theirs.cml_c),
            ("CMLt", ours.cml_t, theirs.cml_t),
            ("AMLc", ours.aml_c, theirs.aml_c),
            ("AMLt", ours.aml_t, theirs.aml_t),
            ("P-score", ours.p_score, theirs.p_score),
            ("Goto", ours.goto, theirs.goto),
            ("information gain", ours.information_gain, theirs.information_gain),
        ] {
            assert!((ours - theirs).abs() <= 1e-9, "{}: {score} is {ours}, mir_eval gives {theirs}", case.name);
        }
    }
}
