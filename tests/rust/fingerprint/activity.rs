//! Music, speech and silence told apart.

use otolith::dsp::activity_classifier::{ActivityClassifier, MIN_DURATION, SAMPLE_RATE};
use otolith::fingerprint::activity::{ActivityOptions, ActivityScan, ActivitySegment, SoundKind};
use otolith::{Audio, Limits};

use super::music::{Random, music, with_white_noise};

const RATE: u32 = SAMPLE_RATE;

/// Speech of no language: syllables of a noisy consonant and a vowel, whose pitch and three formants glide, in phrases with pauses.
fn formant_speech(seed: u64, seconds: f64) -> Vec<f32> {
    const VOWELS: [[f64; 3]; 6] = [
        [730.0, 1090.0, 2440.0],
        [270.0, 2290.0, 3010.0],
        [530.0, 1840.0, 2480.0],
        [570.0, 840.0, 2410.0],
        [300.0, 870.0, 2240.0],
        [490.0, 1350.0, 1690.0],
    ];
    let mut random = Random::new(seed.wrapping_mul(7_919) ^ 0x5bee);
    let rate = f64::from(RATE);
    let length = (seconds * rate) as usize;
    let mut sound = vec![0.0f64; length];
    let (voice, tract) = (90.0 + 130.0 * random.next(), 0.9 + 0.25 * random.next());
    let (mut at, mut in_phrase, mut phrase) = (0.2 * rate, 0, 6);
    let mut formants = VOWELS[0];
    while (at as usize) < length {
        let (consonant, vowel) = (0.03 + 0.06 * random.next(), 0.07 + 0.13 * random.next());
        let level = 0.5 + 0.5 * random.next();
        let colour = 0.3 + 0.6 * random.next();
        let mut last = 0.0;
        for sample in sound.iter_mut().skip(at as usize).take((consonant * rate) as usize) {
            let white = random.next() - 0.5;
            *sample += 0.12 * level * (white - colour * last);
            last = white;
        }
        at += consonant * rate;
        let target = VOWELS[(random.next() * 6.0) as usize % 6];
        let (from, to) = (voice * (0.85 + 0.3 * random.next()), voice * (0.85 + 0.3 * random.next()));
        let frames = (vowel * rate) as usize;
        let (mut phase, mut states) = (0.0, [[0.0f64; 2]; 3]);
        for (index, sample) in sound.iter_mut().skip(at as usize).take(frames).enumerate() {
            let along = index as f64 / frames as f64;
            phase += (from + (to - from) * along) / rate;
            let mut excitation = 0.0;
            if phase >= 1.0 {
                phase -= 1.0;
                excitation = 1.0;
            }
            let glide = (3.0 * along).min(1.0);
            let mut value = excitation;
            for (number, state) in states.iter_mut().enumerate() {
                // A resonance of 80 Hz width and more.
                let centre = tract * (formants[number] + (target[number] - formants[number]) * glide);
                let radius = (-std::f64::consts::PI * (80.0 + 40.0 * number as f64) / rate).exp();
                let turn = 2.0 * radius * (std::f64::consts::TAU * centre / rate).cos();
                let gain = 1.0 - turn + radius * radius;
                let next = gain * value + turn * state[0] - radius * radius * state[1];
                *state = [next, state[0]];
                value = next;
            }
            let fade = (along * 8.0).min(1.0).min((1.0 - along) * 5.0);
            *sample += 3.0 * level * fade * value;
        }
        formants = target;
        at += vowel * rate;
        in_phrase += 1;
        if in_phrase >= phrase {
            at += (0.2 + 0.4 * random.next()) * rate;
            (in_phrase, phrase) = (0, 4 + (random.next() * 9.0) as usize);
        } else if random.next() < 0.3 {
            at += (0.03 + 0.07 * random.next()) * rate;
        }
    }
    let loudest = sound.iter().fold(1e-9f64, |most, value| most.max(value.abs()));
    let dry: Vec<f32> = sound.iter().map(|value| (0.5 * value / loudest) as f32).collect();
    with_white_noise(&dry, 25.0 + 20.0 * random.next(), seed)
}

fn segments(samples: Vec<f32>, rate: u32) -> Vec<ActivitySegment> {
    scan(&Audio::new(vec![samples], rate, &Limits::default()).unwrap(), ActivityOptions::default()).unwrap()
}

fn scan(audio: &Audio, options: ActivityOptions) -> otolith::Result<Vec<ActivitySegment>> {
    let mut scan = ActivityScan::new(options, audio)?;
    while scan.step(audio)? {}
    Ok(scan.finish())
}

fn seconds_of(segments: &[ActivitySegment], kind: SoundKind) -> f64 {
    segments.iter().filter(|segment| segment.kind == kind).map(|segment| segment.end - segment.start).sum()
}

/// Share of all seconds of sounds that are called what they are.
fn share_right(sounds: impl Iterator<Item = Vec<f32>>, kind: SoundKind) -> f64 {
    let (mut right, mut all) = (0.0, 0.0);
    for sound in sounds {
        all += sound.len() as f64 / f64::from(RATE);
        right += seconds_of(&segments(sound, RATE), kind);
    }
    right / all
}

#[test]
fn generated_music_speech_and_silence_are_called_so_95_percent_of_the_time() {
    // Seeds that the coefficients were not fitted on.
    let music = share_right((0..12).map(|seed| music(seed, 20.0, RATE)), SoundKind::Music);
    let speech = share_right((0..12).map(|seed| formant_speech(seed, 20.0)), SoundKind::Speech);
    let quiet = (0..4).map(|seed| with_white_noise(&[1e-4; 80_000], 0.0, seed).iter().map(|sample| sample - 1e-4).collect());
    let silence = share_right(quiet, SoundKind::Silence);
    assert!(music >= 0.95 && speech >= 0.95 && silence >= 0.95, "music {music}, speech {speech}, silence {silence}");
}

#[test]
fn sentences_that_espeak_and_flite_read_are_speech() {
    // By voices and words that the coefficients were not fitted on: `python -m tools.activity_fit fixtures`.
    for (name, bytes) in [
        ("espeak", include_bytes!("../../data/activity/espeak.flac").as_slice()),
        ("flite", include_bytes!("../../data/activity/flite.flac")),
    ] {
        let audio = otolith::audio::decode::decode(bytes.to_vec(), name, Limits::default()).unwrap().audio;
        let found = scan(&audio, ActivityOptions::default()).unwrap();
        let spoken = seconds_of(&found, SoundKind::Speech);
        assert!(spoken >= 0.9 * audio.duration(), "{name}: {found:?}");
    }
}

#[test]
fn stretches_fill_the_sound_and_change_where_it_does() {
    let mut sound = music(0, 10.0, RATE);
    sound.extend(vec![0.0; 5 * RATE as usize]);
    sound.extend(formant_speech(3, 10.0));
    let found = segments(sound, RATE);
    assert_eq!((found[0].start, found.last().unwrap().end), (0.0, 25.0));
    assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].kind != pair[1].kind));
    let kind_at = |time: f64| found.iter().find(|segment| segment.end > time).unwrap().kind;
    assert_eq!([5.0, 12.5, 20.0].map(kind_at), [SoundKind::Music, SoundKind::Silence, SoundKind::Speech], "{found:?}");
    let silence = seconds_of(&found, SoundKind::Silence);
    assert!((silence - 5.0).abs() < 1.2, "{silence} s of 5 s of silence");
}

#[test]
fn how_a_sound_is_cut_does_not_show() {
    let sound = formant_speech(5, 6.0);
    let mut whole = ActivityClassifier::default();
    let expected = whole.push(&sound).unwrap().to_vec();
    for length in [1, 100, 333, 5_000] {
        let mut cut = ActivityClassifier::default();
        let mut found = Vec::new();
        for piece in sound.chunks(length) {
            found.extend_from_slice(cut.push(piece).unwrap());
        }
        assert_eq!(found, expected, "pieces of {length}");
    }
}

#[test]
fn too_short_a_sound_and_a_level_out_of_range_are_refused() {
    let short = Audio::new(vec![vec![0.1; (MIN_DURATION * f64::from(RATE)) as usize - 1]], RATE, &Limits::default()).unwrap();
    assert_eq!(scan(&short, ActivityOptions::default()).unwrap_err().kind(), "too-short");
    let long = Audio::new(vec![vec![0.1; 48_000]], 16_000, &Limits::default()).unwrap();
    assert_eq!(scan(&long, ActivityOptions { silence: -10.0 }).unwrap_err().kind(), "invalid-input");
    assert_eq!(scan(&long, ActivityOptions::default()).unwrap().last().unwrap().end, 3.0);
}

/// Writes `features.jsonl` for `tools/activity_fit.py` into the folder that `OTOLITH_ACTIVITY` names: features of every window of its clips and
/// of sounds generated here.
#[test]
#[ignore = "writes what coefficients are fitted on: asked for by tools/activity_fit.py"]
fn activity_features() {
    let folder = std::path::PathBuf::from(std::env::var_os("OTOLITH_ACTIVITY").expect("OTOLITH_ACTIVITY names a folder"));
    let index: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let mut lines = String::new();
    let mut put = |kind: &str, origin: &str, held_out: bool, sound: &[f32]| {
        let features = ActivityClassifier::features_of(sound).unwrap();
        lines += &format!("{}\n", serde_json::json!({ "kind": kind, "origin": origin, "heldOut": held_out, "features": features }));
    };
    for clip in &index {
        let name = clip["name"].as_str().unwrap();
        let bytes = std::fs::read(folder.join(format!("{name}.f32"))).unwrap();
        let sound: Vec<f32> = bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
        put(clip["kind"].as_str().unwrap(), name.split('-').next().unwrap(), clip["heldOut"].as_bool().unwrap(), &sound);
    }
    for seed in 100..140 {
        put("music", "generated", false, &music(seed, 20.0, RATE));
        put("speech", "generated", false, &formant_speech(seed, 20.0));
    }
    std::fs::write(folder.join("features.jsonl"), lines).unwrap();
}
