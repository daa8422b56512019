//! A stream gives what the whole sound gives, however it is cut.

use otolith::fingerprint::landmark::{Landmark, query_landmarks};
use otolith::fingerprint::peaks::Peak;
use otolith::fingerprint::{Extract, ExtractStream, Mix, Print, Profile, Wang};
use otolith::{Audio, Limits};

use super::music::{Random, music};

fn wang() -> Wang {
    Wang::new(Profile::Default, Mix::Mean)
}

fn print(samples: &[f32], rate: u32) -> Print {
    wang().extract(&Audio::new(vec![samples.to_vec()], rate, &Limits::default()).unwrap()).unwrap()
}

/// Streams `samples` in pieces whose lengths `next_length` gives.
fn stream(samples: &[f32], rate: u32, mut next_length: impl FnMut() -> usize) -> (Vec<Peak>, Vec<Landmark>) {
    let mut stream = wang().stream(rate).unwrap();
    let (mut peaks, mut landmarks) = (Vec::new(), Vec::new());
    let mut rest = samples;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(next_length().min(rest.len()));
        landmarks.extend_from_slice(stream.push(piece).unwrap());
        peaks.extend_from_slice(stream.peaks());
        rest = behind;
    }
    landmarks.extend_from_slice(stream.flush().unwrap());
    peaks.extend_from_slice(stream.peaks());
    (peaks, landmarks)
}

#[test]
fn five_hundred_random_cuts_agree_with_the_whole_to_the_bit() {
    for (rate, rounds) in [(8_000, 250), (44_100, 150), (48_000, 60), (11_025, 40)] {
        let samples = music(5, 4.0, rate);
        let whole = print(&samples, rate);
        let expected = query_landmarks(whole.layers()[0].peaks(), Profile::Default);
        assert!(whole.layers()[0].peaks().len() > 40, "{}", whole.layers()[0].peaks().len());
        let mut random = Random::new(u64::from(rate));
        for round in 0..rounds {
            let longest = [3.0, 200.0, 5_000.0, 60_000.0][round % 4];
            // Pieces of a few samples all the way would take long: a round of them covers a second.
            let end = if longest < 100.0 { rate as usize } else { samples.len() };
            let (peaks, landmarks) = stream(&samples[..end], rate, || (random.next() * longest) as usize);
            if end == samples.len() {
                assert_eq!((&peaks, &landmarks), (&whole.layers()[0].peaks().to_vec(), &expected), "rate {rate}, round {round}");
            } else {
                assert_eq!(peaks, print(&samples[..end], rate).layers()[0].peaks(), "rate {rate}, round {round}");
            }
        }
    }
}

#[test]
fn nothing_settles_later_than_the_published_latency() {
    for rate in [8_000, 44_100, 48_000] {
        let samples = music(6, 12.0, rate);
        let mut stream = wang().stream(rate).unwrap();
        let latency = stream.latency() as f64 / f64::from(rate);
        let all = query_landmarks(print(&samples, rate).layers()[0].peaks(), Profile::Default);
        let mut given = 0;
        for (count, piece) in samples.chunks(512).enumerate() {
            given += stream.push(piece).unwrap().len();
            let now = (count * 512 + piece.len()) as f64 / f64::from(rate);
            let due = all.iter().filter(|landmark| f64::from(landmark.frame) * 0.016 + latency < now).count();
            assert!(given >= due, "rate {rate}: {given} of {due} at {now} s with a latency of {latency} s");
        }
        assert!(latency < if rate == 8_000 { 1.2321 } else { 1.8 }, "rate {rate}: {latency}");
    }
}

#[test]
fn samples_that_are_no_numbers_become_silence_and_are_counted() {
    let clean = music(7, 3.0, 8_000);
    let mut silenced = clean.clone();
    let mut damaged = clean.clone();
    for (place, value) in [(500, f32::NAN), (501, f32::INFINITY), (20_000, f32::NEG_INFINITY)] {
        silenced[place] = 0.0;
        damaged[place] = value;
    }
    let mut stream = wang().stream(8_000).unwrap();
    stream.push(&damaged).unwrap();
    let mut peaks = stream.peaks().to_vec();
    stream.flush().unwrap();
    peaks.extend_from_slice(stream.peaks());
    assert_eq!(stream.replaced(), 3);
    assert_eq!(peaks, print(&silenced, 8_000).layers()[0].peaks());
}

#[test]
fn no_landmark_spans_a_gap_and_positions_move_on() {
    for rate in [8_000u32, 44_100] {
        let samples = music(8, 6.0, rate);
        let half = samples.len() / 2;
        let hole = u64::from(rate) * 100 + 37;
        let mut stream = wang().stream(rate).unwrap();
        let mut before = stream.push(&samples[..half]).unwrap().to_vec();
        before.extend_from_slice(stream.gap(hole).unwrap());
        let mut after = stream.push(&samples[half..]).unwrap().to_vec();
        after.extend_from_slice(stream.flush().unwrap());
        assert_eq!(before, query_landmarks(print(&samples[..half], rate).layers()[0].peaks(), Profile::Default));
        let resumed = (half as u64 + hole) as f64 / f64::from(rate);
        assert!(after.len() > 100 && after.iter().all(|landmark| f64::from(landmark.frame) * 0.016 >= resumed), "rate {rate}");
        let last = f64::from(after.last().unwrap().frame) * 0.016;
        assert!(last < resumed + 3.0, "rate {rate}: {last} for a sound that resumes at {resumed} for 3 s");
    }
}

#[test]
fn an_hour_of_sound_takes_even_time_and_no_more_memory_than_a_minute() {
    let minute = music(9, 60.0, 8_000);
    let mut stream = wang().stream(8_000).unwrap();
    let mut after_a_minute = 0;
    let mut times = Vec::new();
    for number in 0..60 {
        let started = std::time::Instant::now();
        for piece in minute.chunks(4_096) {
            stream.push(piece).unwrap();
        }
        times.push(started.elapsed().as_secs_f64());
        if number == 1 {
            after_a_minute = stream.state_bytes();
        }
    }
    assert_eq!(stream.state_bytes(), after_a_minute);
    assert!(after_a_minute <= 256 * 1024, "{after_a_minute} bytes");
    // The faster half of each end, against disturbance: growth with the position would show sixtyfold.
    let typical = |times: &[f64]| {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        times[times.len() / 4]
    };
    assert!(typical(&times[40..]) < 3.0 * typical(&times[..20]), "{times:?}");
}
