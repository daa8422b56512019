//! Beats of generated music as it is heard, against its truth: what is given, when, and however the samples are cut.

use otolith::beat::{BeatConfig, BeatEvent, BeatMethod, BeatNotice, BeatStream};

use crate::beat_material::{self, Piece, RATE, Random, Recipe, evaluation_set, play};
use crate::beat_metrics;

fn stream(rate: u32) -> BeatStream {
    BeatStream::new(BeatConfig::default(), rate, Err(BeatNotice::ModelMissing)).unwrap()
}

/// All events of `samples`, pushed in pieces of the lengths that `cut` gives in turn.
fn events(samples: &[f32], rate: u32, mut cut: impl FnMut() -> usize) -> Vec<BeatEvent> {
    let mut stream = stream(rate);
    let mut events = Vec::new();
    let mut rest = samples;
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(cut().clamp(1, rest.len()));
        events.extend(stream.push(piece).unwrap());
        rest = others;
    }
    events.extend(stream.flush().unwrap());
    events
}

fn heard(samples: &[f32]) -> Vec<BeatEvent> {
    events(samples, RATE, || 4_096)
}

fn times(events: &[BeatEvent]) -> Vec<f64> {
    events.iter().map(|event| event.time).collect()
}

/// Seconds after `from` at which the first of four right beats in a row lies; infinite if there is none.
fn lock(truth: &[f64], events: &[BeatEvent], from: f64) -> f64 {
    let near = |time: f64| truth.iter().any(|beat| (beat - time).abs() <= 0.07);
    let later: Vec<f64> = times(events).into_iter().filter(|time| *time >= from).collect();
    let period = |time: f64| {
        let next = truth.partition_point(|beat| *beat < time + 0.07);
        truth.get(next).zip(truth.get(next.wrapping_sub(1))).map_or(f64::INFINITY, |(after, before)| after - before)
    };
    later
        .windows(4)
        .find(|four| four.iter().all(|&time| near(time)) && four.windows(2).all(|two| two[1] - two[0] < 1.4 * period(two[0])))
        .map_or(f64::INFINITY, |four| four[0] - from)
}

#[test]
fn events_are_the_same_bits_however_the_samples_are_cut() {
    let piece = play("band", Recipe { chords: true, bpm: (112.0, 112.0), ..Recipe::default() }, 5);
    let samples = &piece.samples[..12 * RATE as usize];
    for rate in [RATE, 48_000] {
        let whole = events(samples, rate, || usize::MAX);
        assert!(whole.len() > 10);
        let mut random = Random::new(7);
        assert_eq!(events(samples, rate, || 1), whole, "one by one at {rate} Hz");
        assert_eq!(events(samples, rate, || 127), whole);
        assert_eq!(events(samples, rate, || 128), whole);
        assert_eq!(events(samples, rate, || random.uniform(1.0, 9_000.0) as usize), whole);
    }
}

/// How a stream fares on pieces, as means: F and AMLt after 5 s, the share that is locked within 8 beats or 4 s, and the delay of the
/// latest event in seconds.
pub struct Following {
    pub f: f64,
    pub aml_t: f64,
    pub locked: f64,
    pub late: f64,
}

/// Plays the evaluation set to `hear`, and prints how each piece fares.
pub fn follow(hear: impl Fn(&[f32]) -> Vec<BeatEvent>) -> Following {
    let pieces = evaluation_set();
    let mut sum = Following { f: 0.0, aml_t: 0.0, locked: 0.0, late: 0.0 };
    for piece in &pieces {
        let events = hear(&piece.samples);
        let scores = beat_metrics::evaluate(&piece.beats, &times(&events));
        let allowed = (8.0 * 60.0 / piece.bpm).max(4.0) + piece.beats[0];
        let lock = lock(&piece.beats, &events, 0.0);
        println!(
            "{:30} F {:.3} CMLt {:.3} AMLt {:.3} | lock {lock:.2} s of {allowed:.2}",
            piece.name, scores.f, scores.cml_t, scores.aml_t
        );
        sum.f += scores.f;
        sum.aml_t += scores.aml_t;
        sum.locked += f64::from(u8::from(lock <= allowed));
        for event in &events {
            sum.late = sum.late.max(event.emitted_at - event.time);
        }
    }
    let count = pieces.len() as f64;
    let mean = Following { f: sum.f / count, aml_t: sum.aml_t / count, locked: sum.locked / count, late: sum.late };
    println!("mean F {:.4}, AMLt {:.4}, locked {:.3}, latest event {:.4} s", mean.f, mean.aml_t, mean.locked, mean.late);
    mean
}

#[test]
fn generated_music_is_followed_after_five_seconds() {
    let latency = stream(RATE).latency() as f64 / f64::from(RATE);
    let Following { f, locked, late, .. } = follow(heard);
    assert!(late <= latency, "an event came {late} s after its beat, promised is {latency}");
    assert!(f >= 0.93, "mean F {f}");
    assert!(locked >= 0.95, "{locked} locked in time");
}

/// Seconds from a step of the tempo to the first of four right beats in a row, by tempos before and after.
pub fn locks_after_steps(hear: impl Fn(&[f32]) -> Vec<BeatEvent>) -> Vec<((f64, f64), f64)> {
    let steps = [(90.0, 130.0), (140.0, 100.0), (120.0, 150.0), (70.0, 110.0)];
    let lock_after = |(number, (first, second)): (usize, (f64, f64))| {
        let play = |bpm: f64, seed: usize| play("step", Recipe { bpm: (bpm, bpm), ..Recipe::default() }, 40 + seed as u64);
        let (samples, beats) = joined(&[&play(first, number), &play(second, number + 9)]);
        ((first, second), lock(&beats, &hear(&samples), 30.0))
    };
    let locks: Vec<_> = steps.into_iter().enumerate().map(lock_after).collect();
    println!("seconds to four right beats after a step of the tempo: {locks:.2?}");
    locks
}

fn joined(pieces: &[&Piece]) -> (Vec<f32>, Vec<f64>) {
    let (mut samples, mut beats) = (Vec::new(), Vec::new());
    for piece in pieces {
        let start = samples.len() as f64 / f64::from(RATE);
        beats.extend(piece.beats.iter().map(|beat| beat + start));
        samples.extend(&piece.samples);
    }
    (samples, beats)
}

#[test]
fn a_tempo_step_is_followed_within_six_seconds() {
    assert!(locks_after_steps(heard).iter().all(|(_, lock)| *lock <= 6.0));
}

#[test]
fn a_ramp_of_two_percent_a_bar_is_held() {
    // 30 s of four beats a bar at about 120 are 15 bars: 120 * 1.02^15 = 161.
    let piece = play("ramp", Recipe { bpm: (120.0, 161.0), ..Recipe::default() }, 77);
    let scores = beat_metrics::evaluate(&piece.beats, &times(&heard(&piece.samples)));
    assert!(scores.f >= 0.93, "{scores:?}");
}

#[test]
fn beats_go_on_for_two_seconds_of_silence_and_are_found_again_within_three() {
    let piece = play("drums", Recipe { bpm: (116.0, 116.0), ..Recipe::default() }, 9);
    let silence = Piece { name: String::new(), samples: vec![0.0; 6 * RATE as usize], beats: Vec::new(), ..beat_material::clicks(60.0, 1) };
    let (samples, beats) = joined(&[&piece, &silence, &piece]);
    let events = heard(&samples);
    let inside: Vec<&BeatEvent> = events.iter().filter(|event| (30.1..36.0).contains(&event.time)).collect();
    assert!(inside.len() >= 2, "{inside:?}");
    assert!(inside.iter().all(|event| event.extrapolated && event.time <= 32.2), "{inside:?}");
    let lock = lock(&beats, &events, 36.0);
    assert!(lock <= 3.0, "{lock} s");
}

#[test]
fn onsets_out_of_digital_silence_are_timed_within_seven_milliseconds() {
    for bpm in [97.0, 120.0, 133.0] {
        let beats: Vec<f64> = (1..40).map(|beat| f64::from(beat) * 60.0 / bpm).collect();
        let mut samples = vec![0.0_f32; (beats[38] * f64::from(RATE)) as usize + 20_000];
        for &beat in &beats {
            let start = (beat * f64::from(RATE)).round() as usize;
            for (index, sample) in samples[start..start + 600].iter_mut().enumerate() {
                let time = index as f64 / f64::from(RATE);
                *sample = (0.6 * (-200.0 * time).exp() * (6_283.0 * time).sin()) as f32;
            }
        }
        let found: Vec<BeatEvent> = heard(&samples).into_iter().filter(|event| event.time > 4.0 && !event.extrapolated).collect();
        assert!(found.len() as f64 > 0.9 * bpm / 60.0 * (beats[38] - 4.0), "{bpm} bpm: {} beats heard", found.len());
        for BeatEvent { time, .. } in found {
            let nearest = beats.iter().map(|beat| (beat - time).abs()).fold(f64::INFINITY, f64::min);
            assert!(nearest < 0.007, "{bpm} bpm: {time} is {nearest} s from a click");
        }
    }
}

#[test]
fn silence_noise_and_a_tone_have_no_beats() {
    let mut random = Random::new(3);
    let noise: Vec<f32> = (0..20 * RATE).map(|_| random.normal(0.2) as f32).collect();
    let tone: Vec<f32> = (0..20 * RATE).map(|n| (0.5 * (0.0627 * f64::from(n)).sin()) as f32).collect();
    for (name, samples) in [("silence", vec![0.0; 20 * RATE as usize]), ("noise", noise), ("tone", tone)] {
        let events = heard(&samples);
        assert!(events.iter().all(|event| event.confidence < 0.2) && events.len() < 8, "{name}: {events:?}");
    }
}

#[test]
fn what_is_no_number_is_replaced_by_silence_and_counted() {
    let piece = beat_material::clicks(120.0, 4);
    let mut samples = piece.samples.clone();
    for (index, value) in [(50_000, f32::NAN), (70_000, f32::INFINITY), (70_001, f32::NEG_INFINITY)] {
        samples[index] = value;
    }
    let mut stream = stream(RATE);
    let found = stream.push(&samples).unwrap();
    assert_eq!(stream.replaced(), 3);
    assert!(found.len() > 40 && found.iter().all(|event| event.time.is_finite()));
}

#[test]
fn tempo_and_downbeats_are_told_with_the_beats() {
    let piece = play("drums", Recipe { bpm: (124.0, 124.0), beats_per_bar: 3, chords: true, ..Recipe::default() }, 21);
    let events = heard(&piece.samples);
    let late: Vec<&BeatEvent> = events.iter().filter(|event| event.time > 10.0).collect();
    assert!(late.iter().all(|event| (event.bpm / 124.0 - 1.0).abs() < 0.01), "{late:?}");
    let downbeats: Vec<f64> = late.iter().filter(|event| event.downbeat).map(|event| event.time).collect();
    let truth: Vec<f64> = piece.downbeats.iter().copied().filter(|time| *time > 10.0).collect();
    let f = beat_metrics::f_measure(&truth, &downbeats);
    assert!(f >= 0.9, "{f}: {downbeats:?} against {truth:?}");
}

#[test]
fn a_stream_says_how_it_hears_and_takes_nothing_after_its_end() {
    let mut stream = stream(48_000);
    assert_eq!((stream.method(), stream.notice()), (BeatMethod::Flux, Some(BeatNotice::ModelMissing)));
    assert!(stream.push(&[]).unwrap().is_empty() && stream.flush().unwrap().is_empty() && stream.flush().unwrap().is_empty());
    assert_eq!(stream.push(&[0.0]).unwrap_err().kind(), "invalid-input");
    for rate in [0, 7_999, 192_001] {
        let error = BeatStream::new(BeatConfig::default(), rate, Err(BeatNotice::ModelMissing)).err().unwrap();
        assert_eq!(error.kind(), "invalid-input");
        assert!(error.to_string().contains(&rate.to_string()), "{error}");
    }
    let tcn = BeatConfig { method: BeatMethod::Tcn, ..BeatConfig::default() };
    assert_eq!(BeatStream::new(tcn, RATE, Err(BeatNotice::ModelMissing)).err().unwrap().kind(), "model-load");
}
