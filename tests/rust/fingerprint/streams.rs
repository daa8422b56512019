//! Streams of Panako and of sub-fingerprints give what the whole sound gives, however it is cut.

use otolith::fingerprint::haitsma::{SubFingerprint, TimedBits};
use otolith::fingerprint::peaks::Peak;
use otolith::fingerprint::triple::{TripleHash, query_hashes};
use otolith::fingerprint::{Extract, ExtractStream, Haitsma, Layer, Panako, Print, panako};
use otolith::{Audio, Limits};

use super::music::{Random, music};

fn audio(samples: &[f32], rate: u32) -> Audio {
    Audio::new(vec![samples.to_vec()], rate, &Limits::default()).unwrap()
}

fn peaks_of(print: &Print) -> &[Peak] {
    print.layers()[0].peaks()
}

fn bits_of(print: &Print) -> &[SubFingerprint] {
    let Layer::Bits(frames) = &print.layers()[0] else { panic!("no sub-fingerprints") };
    frames
}

/// Streams `samples` in pieces whose lengths `next_length` gives; returns what `push` and `flush` give and, besides, what `seen` sees.
fn run<S: ExtractStream, T>(
    mut stream: S,
    samples: &[f32],
    mut next_length: impl FnMut() -> usize,
    seen: impl Fn(&S) -> Vec<T>,
) -> (Vec<S::Item>, Vec<T>)
where
    S::Item: Copy,
{
    let (mut items, mut others) = (Vec::new(), Vec::new());
    let mut rest = samples;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(next_length().min(rest.len()));
        items.extend_from_slice(stream.push(piece).unwrap());
        others.extend(seen(&stream));
        rest = behind;
    }
    items.extend_from_slice(stream.flush().unwrap());
    others.extend(seen(&stream));
    (items, others)
}

#[test]
fn five_hundred_random_cuts_agree_with_the_whole_to_the_bit() {
    for (rate, rounds) in [(8_000, 100), (16_000, 200), (44_100, 100), (48_000, 100)] {
        let samples = music(5, 3.1, rate);
        let whole = Panako::default().extract(&audio(&samples, rate)).unwrap();
        let expected = query_hashes(peaks_of(&whole));
        assert!(peaks_of(&whole).len() > 30 && expected.len() > 100, "{} peaks, {} hashes", peaks_of(&whole).len(), expected.len());
        let bits = Haitsma::default().extract(&audio(&samples, rate)).unwrap();
        // A frame begins every 64 samples of the sound at 5 512.5 Hz.
        let frames = (samples.len() as f64 * 5_512.5 / f64::from(rate) / 64.0).ceil() as usize;
        assert!(bits_of(&bits).len().abs_diff(frames) <= 1, "{} frames instead of {frames}", bits_of(&bits).len());
        let mut random = Random::new(u64::from(rate));
        for round in 0..rounds {
            let longest = [700.0, 5_000.0, 60_000.0][round % 3];
            let (hashes, peaks) = run(
                Panako::default().stream(rate).unwrap(),
                &samples,
                || (random.next() * longest) as usize,
                |stream| stream.peaks().to_vec(),
            );
            assert_eq!((&peaks[..], &hashes), (peaks_of(&whole), &expected), "rate {rate}, round {round}");
            let (frames, _) =
                run(Haitsma::default().stream(rate).unwrap(), &samples, || (random.next() * longest) as usize, |_| Vec::<()>::new());
            let found: Vec<SubFingerprint> = frames.iter().map(|frame| frame.sub).collect();
            assert_eq!(found, bits_of(&bits), "rate {rate}, round {round}");
            assert!(frames.iter().zip(0..).all(|(frame, tick)| frame.tick == tick));
        }
    }
}

#[test]
fn nothing_settles_later_than_the_published_latency() {
    for rate in [16_000, 44_100] {
        let samples = music(6, 9.0, rate);
        let mut stream = Panako::default().stream(rate).unwrap();
        let latency = stream.latency() as f64 / f64::from(rate);
        let all = query_hashes(peaks_of(&Panako::default().extract(&audio(&samples, rate)).unwrap()));
        let mut given: Vec<TripleHash> = Vec::new();
        for (count, piece) in samples.chunks(512).enumerate() {
            given.extend_from_slice(stream.push(piece).unwrap());
            let now = (count * 512 + piece.len()) as f64 / f64::from(rate);
            let due = all.iter().filter(|hash| (f64::from(hash.tick) + 0.5) * panako::TICK_SECONDS + latency < now).count();
            assert!(given.len() >= due, "rate {rate}: {} of {due} at {now} s with a latency of {latency} s", given.len());
        }
        let mut stream = Haitsma::default().stream(rate).unwrap();
        let latency = stream.latency() as f64 / f64::from(rate);
        let mut given: Vec<TimedBits> = Vec::new();
        for (count, piece) in samples.chunks(512).enumerate() {
            given.extend_from_slice(stream.push(piece).unwrap());
            let now = (count * 512 + piece.len()) as f64 / f64::from(rate);
            let due = ((now - latency) / otolith::fingerprint::haitsma::TICK_SECONDS).max(0.0) as usize;
            assert!(given.len() >= due, "rate {rate}: {} of {due} at {now} s with a latency of {latency} s", given.len());
        }
    }
    let latency = |rate| Panako::default().stream(rate).unwrap().latency() as f64 / f64::from(rate);
    assert!(latency(16_000) < 3.07, "{}", latency(16_000));
}

#[test]
fn nothing_spans_a_gap_and_positions_move_on() {
    for rate in [16_000u32, 44_100] {
        let samples = music(8, 6.0, rate);
        let half = samples.len() / 2;
        let hole = u64::from(rate) * 100 + 37;
        let resumed = (half as u64 + hole) as f64 / f64::from(rate);
        let mut stream = Panako::default().stream(rate).unwrap();
        let mut before = stream.push(&samples[..half]).unwrap().to_vec();
        before.extend_from_slice(stream.gap(hole).unwrap());
        let mut after = stream.push(&samples[half..]).unwrap().to_vec();
        after.extend_from_slice(stream.flush().unwrap());
        assert_eq!(before, query_hashes(peaks_of(&Panako::default().extract(&audio(&samples[..half], rate)).unwrap())));
        let time = |hash: &TripleHash| f64::from(hash.tick) * panako::TICK_SECONDS;
        assert!(after.len() > 50 && after.iter().all(|hash| (resumed - 0.01..resumed + 3.0).contains(&time(hash))), "rate {rate}");
        let mut stream = Haitsma::default().stream(rate).unwrap();
        let mut before = stream.push(&samples[..half]).unwrap().to_vec();
        before.extend_from_slice(stream.gap(hole).unwrap());
        let mut after = stream.push(&samples[half..]).unwrap().to_vec();
        after.extend_from_slice(stream.flush().unwrap());
        let first = after.first().unwrap();
        let start = first.tick as f64 * otolith::fingerprint::haitsma::TICK_SECONDS;
        assert!((resumed..resumed + 0.012).contains(&start) && first.sub == SubFingerprint::default(), "{start} instead of {resumed}");
        assert!(before.windows(2).chain(after.windows(2)).all(|pair| pair[1].tick == pair[0].tick + 1));
        assert_eq!(
            before.iter().map(|frame| frame.sub).collect::<Vec<_>>(),
            bits_of(&Haitsma::default().extract(&audio(&samples[..half], rate)).unwrap())
        );
    }
}

#[test]
fn ten_minutes_take_no_more_memory_than_one() {
    let minute = music(9, 60.0, 16_000);
    let mut panako = Panako::default().with_silence(-60.0).stream(16_000).unwrap();
    let mut haitsma = Haitsma::default().with_silence(-60.0).stream(16_000).unwrap();
    let mut after_a_minute = (0, 0);
    for number in 0..10 {
        for piece in minute.chunks(4_096) {
            panako.push(piece).unwrap();
            haitsma.push(piece).unwrap();
        }
        if number == 1 {
            after_a_minute = (panako.state_bytes(), haitsma.state_bytes());
        }
    }
    // Buffers that grow by doubling may do so once more.
    assert!(panako.state_bytes() <= after_a_minute.0 * 21 / 20 && haitsma.state_bytes() <= after_a_minute.1 * 21 / 20);
    assert!(after_a_minute.0 <= 1 << 20 && after_a_minute.1 <= 1 << 17, "{after_a_minute:?}");
}

#[test]
fn samples_that_are_no_numbers_become_silence_and_are_counted() {
    let mut silenced = music(7, 3.0, 16_000);
    let mut damaged = silenced.clone();
    for (place, value) in [(500, f32::NAN), (501, f32::INFINITY), (20_000, f32::NEG_INFINITY)] {
        silenced[place] = 0.0;
        damaged[place] = value;
    }
    let mut stream = Panako::default().stream(16_000).unwrap();
    stream.push(&damaged).unwrap();
    let mut peaks = stream.peaks().to_vec();
    stream.flush().unwrap();
    peaks.extend_from_slice(stream.peaks());
    assert_eq!(peaks, peaks_of(&Panako::default().extract(&audio(&silenced, 16_000)).unwrap()));
    assert_eq!(stream.replaced(), 3);
    let mut stream = Haitsma::default().stream(16_000).unwrap();
    stream.push(&damaged).unwrap();
    assert_eq!(stream.replaced(), 3);
}

#[test]
fn behind_the_gate_there_is_nothing_and_before_it_everything() {
    // Music, two seconds of noise at -66 dBFS, music.
    let rate = 16_000;
    let mut random = Random::new(3);
    let music = music(10, 4.0, rate);
    let quiet: Vec<f32> = (0..2 * rate).map(|_| (1.732e-3 * (random.next() - 0.5)) as f32).collect();
    let sound: Vec<f32> = music[..32_000].iter().chain(&quiet).chain(&music[32_000..]).copied().collect();
    let open = Panako::default().extract(&audio(&sound, rate)).unwrap();
    let gated = Panako::default().with_silence(-60.0).extract(&audio(&sound, rate)).unwrap();
    let time = |peak: &Peak| f64::from(peak.t) / 8.0 * panako::STEP_SECONDS;
    let outside: Vec<Peak> = peaks_of(&open).iter().copied().filter(|peak| !(2.3..3.9).contains(&time(peak))).collect();
    assert!(outside.len() < peaks_of(&open).len());
    assert!(outside.iter().filter(|peak| !(1.9..4.1).contains(&time(peak))).all(|peak| peaks_of(&gated).contains(peak)));
    assert!(peaks_of(&gated).iter().all(|peak| !(2.3..3.9).contains(&time(peak))));
    let gated = Haitsma::default().with_silence(-60.0).extract(&audio(&sound, rate)).unwrap();
    let tick = otolith::fingerprint::haitsma::TICK_SECONDS;
    let silent = bits_of(&gated).iter().enumerate().filter(|(tick_number, frame)| {
        // A frame is judged by its middle, 186 ms after its start.
        (2.3..3.9).contains(&(*tick_number as f64 * tick + 0.186)) && frame.bits != 0
    });
    assert_eq!(silent.count(), 0);
    assert!(bits_of(&gated).iter().filter(|frame| frame.bits != 0).count() > 200);
}
