//! Whole separations with networks whose stems are known in closed form.

use otolith::separate::{ChunkTask, Conditioning, OutputRate, Separation, SeparationOptions, Separator, Stems};
use otolith::{Audio, Limits};

use crate::mask_network::{entry, model};
use crate::signal::{chord, error_db, melody, noise};

const TWO: [&str; 2] = ["vocals", "instrumental"];
const FIVE: [&str; 5] = ["vocals", "drums", "bass", "instruments", "fx"];
const RATE: u32 = 44_100;

fn audio(channels: Vec<Vec<f32>>, sample_rate: u32) -> Audio {
    Audio::new(channels, sample_rate, &Limits::default()).unwrap()
}

fn short_chunks() -> SeparationOptions {
    SeparationOptions { chunk: Some(6.0), ..SeparationOptions::default() }
}

/// The home side of a sound with two stems, measured in blocks of `block` frames.
fn measured(audio: &Audio, block: usize, options: SeparationOptions) -> Separation {
    let mut home = Separation::new(audio.channels().len(), audio.sample_rate(), entry(&TWO, "instrumental"), options).unwrap();
    blocks(audio, block).for_each(|block| drop(home.measure(block).unwrap()));
    home.finish_measuring().unwrap();
    home
}

/// A sound in blocks of `block` frames.
fn blocks(audio: &Audio, block: usize) -> impl Iterator<Item = Vec<Vec<f32>>> {
    (0..audio.frames()).step_by(block).map(move |start| {
        let end = (start + block).min(audio.frames());
        audio.channels().iter().map(|channel| channel[start..end].to_vec()).collect()
    })
}

/// Separates with constant masks in chunks of 6 s.
fn separate(audio: Audio, stems: &[&str], masks: &[f32], options: SeparationOptions) -> Stems {
    let model = model(stems, stems[stems.len() - 1], |_, stem| masks[stem]);
    Separator::new(model, options, Conditioning::Off).separate(audio, &mut |_| {}).unwrap()
}

/// Peak of the mix minus the sum of all stems, in dBFS.
fn null_dbfs(mix: &[Vec<f32>], stems: &Stems) -> f64 {
    let mut peak = 0.0_f64;
    for (channel, mix) in mix.iter().enumerate() {
        for (frame, sample) in mix.iter().enumerate() {
            let sum: f64 = stems.stems.iter().map(|stem| f64::from(stem.channels[channel][frame])).sum();
            peak = peak.max((f64::from(*sample) - sum).abs());
        }
    }
    20.0 * peak.log10()
}

#[test]
fn constant_masks_give_the_scaled_mix_through_chunks_and_joins() {
    let mix = vec![melody(1, 0.5, RATE, 15 * RATE as usize), melody(2, 0.5, RATE, 15 * RATE as usize)];
    let stems = separate(audio(mix.clone(), RATE), &TWO, &[0.25, 0.75], short_chunks());
    for (stem, share) in stems.stems.iter().zip([0.25_f32, 0.75]) {
        for (channel, mix) in stem.channels.iter().zip(&mix) {
            let peak = channel.iter().zip(mix).map(|(stem, mix)| (stem - share * mix).abs()).fold(0.0, f32::max);
            assert!(20.0 * peak.log10() <= -110.0, "{}: {peak}", stem.name);
        }
    }
}

#[test]
fn stems_null_against_the_mix_for_every_layout_rate_and_level() {
    let seconds = 8;
    for (channels, rate, amplitude) in [(1, RATE, 0.5), (2, RATE, 1.0), (2, 48_000, 1.0), (1, 22_050, 0.5), (2, 96_000, 0.9)] {
        let frames = seconds * rate as usize + 17;
        let mix: Vec<Vec<f32>> = (0..channels).map(|channel| noise(channel, amplitude, frames)).collect();
        for (names, masks) in [(&TWO[..], &[0.3, 0.9][..]), (&FIVE, &[0.1, 0.4, 0.2, 0.15, 0.05])] {
            let stems = separate(audio(mix.clone(), rate), names, masks, short_chunks());
            assert_eq!(stems.sample_rate, rate);
            let null = null_dbfs(&mix, &stems);
            assert!(null <= -90.0, "{channels} channels, {rate} Hz, {} stems: {null} dBFS", names.len());
        }
    }
}

#[test]
fn six_channels_null_against_their_stereo_down_mix() {
    let channels: Vec<Vec<f32>> = (0..6).map(|channel| noise(channel, 0.3, RATE as usize)).collect();
    let mix = otolith::audio::channels::stereo(&channels).unwrap();
    let stems = separate(audio(channels, RATE), &TWO, &[0.3, 0.9], short_chunks());
    assert!(null_dbfs(&mix, &stems) <= -90.0);
}

#[test]
fn every_stem_has_the_length_of_the_input_to_the_sample() {
    for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000] {
        for frames in [1, 2, 1_023, 70_001] {
            let stems = separate(audio(vec![noise(1, 0.5, frames)], rate), &TWO, &[0.25, 0.75], short_chunks());
            for stem in &stems.stems {
                assert_eq!((stem.channels.len(), stem.channels[0].len()), (1, frames), "{rate} Hz, {}", stem.name);
            }
        }
    }
}

#[test]
fn a_resampled_stem_is_the_scaled_mix_inside_the_models_band() {
    let mix = chord(3, &[60.0, 440.0, 3_000.0, 12_000.0, 18_000.0], 0.5, 48_000, 9 * 48_000);
    let stems = separate(audio(vec![mix.clone()], 48_000), &TWO, &[0.25, 0.75], short_chunks());
    let quarter: Vec<f32> = mix.iter().map(|sample| sample * 0.25).collect();
    let error = error_db(&stems.stems[0].channels[0], &quarter);
    assert!(error < -70.0, "{error} dB");
}

#[test]
fn stems_at_the_models_rate_null_against_the_resampled_mix() {
    let mix = melody(4, 0.5, 48_000, 7 * 48_000);
    let options = SeparationOptions { output_rate: OutputRate::Model, ..short_chunks() };
    let stems = separate(audio(vec![mix.clone()], 48_000), &TWO, &[0.25, 0.75], options);
    assert_eq!((stems.sample_rate, stems.stems[0].channels[0].len()), (RATE, 7 * RATE as usize));
    let resampled = otolith::audio::resample::resample(&mix, 48_000, RATE).unwrap();
    assert!(null_dbfs(&[resampled], &stems) <= -90.0);
}

#[test]
fn silence_gives_exact_zeros_and_nothing_is_inferred() {
    let model = model(&TWO, "instrumental", |run, _| if run == 0 { 0.5 } else { panic!("the network ran") });
    let mut progress = 0.0;
    let frames = 20 * RATE as usize;
    let mut separator = Separator::new(model, short_chunks(), Conditioning::On);
    let stems = separator.separate(audio(vec![vec![0.0; frames]; 2], RATE), &mut |fraction| progress = fraction).unwrap();
    assert_eq!(stems.silent_chunks, 5);
    assert!(stems.stems.iter().flat_map(|stem| &stem.channels).all(|channel| channel.iter().all(|sample| *sample == 0.0)));
    assert_eq!(progress, 1.0);
}

#[test]
fn a_silent_chunk_is_not_inferred_and_goes_to_the_residual() {
    let mut mix = noise(5, 0.5, 20 * RATE as usize);
    mix[7 * RATE as usize..19 * RATE as usize].fill(0.0);
    let stems = separate(audio(vec![mix.clone()], RATE), &TWO, &[0.25, 0.75], short_chunks());
    // Chunks begin at 0, 4.25, 8.5, 12.75 and 14 s: the third and the fourth lie in the pause.
    assert_eq!(stems.silent_chunks, 2);
    assert!(null_dbfs(&[mix], &stems) <= -90.0);
}

#[test]
fn no_sample_is_too_short_and_one_sample_gives_one() {
    let mut none = Separation::new(1, RATE, entry(&TWO, "instrumental"), SeparationOptions::default()).unwrap();
    none.measure(vec![vec![]]).unwrap();
    assert_eq!(none.finish_measuring().unwrap_err().kind(), "too-short");
    let stems = separate(audio(vec![vec![0.5]; 2], RATE), &TWO, &[0.25, 0.75], SeparationOptions::default());
    // One sample deviates from its own mean by nothing: it counts as silence, and the residual has it.
    assert_eq!((&stems.stems[0].channels[0][..], &stems.stems[1].channels[0][..]), (&[0.0][..], &[0.5][..]));
}

#[test]
fn a_scale_of_two_to_the_k_scales_every_stem_to_the_bit() {
    let mix = melody(6, 0.5, RATE, 9 * RATE as usize);
    let scaled = |factor: f32| -> Vec<f32> { mix.iter().map(|sample| sample * factor).collect() };
    let run = |samples: Vec<f32>| {
        let model = model(&["vocals", "bass", "instrumental"], "instrumental", |_, stem| [0.3, 0.2, 0.4][stem]);
        Separator::new(model, short_chunks(), Conditioning::On).separate(audio(vec![samples], RATE), &mut |_| {}).unwrap()
    };
    let reference = run(mix.clone());
    for k in [-6, -1, 1, 6] {
        let factor = 2f32.powi(k);
        for (stem, reference) in run(scaled(factor)).stems.iter().zip(&reference.stems) {
            let equal = stem.channels[0].iter().zip(&reference.channels[0]).all(|(a, b)| *a == factor * b);
            assert!(equal, "k {k}, {}", stem.name);
        }
    }
}

#[test]
fn drums_are_equal_to_the_bit_with_and_without_conditioning_and_the_sum_still_closes() {
    let mix = vec![noise(7, 0.8, 3 * RATE as usize), noise(8, 0.8, 3 * RATE as usize)];
    let run = |conditioning| {
        let model = model(&FIVE, "instruments", |_, stem| [0.3, 0.2, 0.2, 0.1, 0.1][stem]);
        Separator::new(model, short_chunks(), conditioning).separate(audio(mix.clone(), RATE), &mut |_| {}).unwrap()
    };
    let (on, off) = (run(Conditioning::On), run(Conditioning::Off));
    assert_eq!(on.stems[1], off.stems[1]);
    assert_ne!(on.stems[0], off.stems[0]);
    assert_ne!(on.stems[2], off.stems[2]);
    assert!(null_dbfs(&mix, &on) <= -90.0);
}

#[test]
fn normalising_a_whole_result_is_a_gain_per_stem_and_nothing_else() {
    let mix = noise(20, 0.5, 3 * RATE as usize);
    let mut stems = separate(audio(vec![mix.clone()], RATE), &["vocals", "bass", "instrumental"], &[0.25, 1e-4, 0.7], short_chunks());
    let before = stems.clone();
    let gains = stems.normalize();
    for ((stem, before), gain) in stems.stems.iter().zip(&before.stems).zip(&gains) {
        let factor = 10f64.powf(gain / 20.0);
        let pairs = stem.channels[0].iter().zip(&before.channels[0]);
        let error = pairs.map(|(after, before)| (f64::from(*after) - factor * f64::from(*before)).abs()).fold(0.0, f64::max);
        assert!(error < 1e-6, "{}: {error}", stem.name);
    }
    let peak = stems.stems[0].channels[0].iter().map(|sample| sample.abs()).fold(0.0, f32::max);
    assert!((peak - 0.891).abs() < 1e-4 && gains[1] == 0.0, "{peak}, {gains:?}");
}

#[test]
fn energy_consistency_shares_the_rest_by_energy() {
    // Masks 0.5 and 0.25 leave a quarter of the mix; shares by energy are 4/5 and 1/5: 0.5 + 0.2 and 0.25 + 0.05.
    let network = crate::mask_network::MaskNetwork { stems: 2, mask: |_, stem: usize| [0.5, 0.25][stem], runs: 0 };
    let model = otolith::separate::SeparatorModel::new(entry(&TWO, "instrumental"), network).unwrap();
    let mix = melody(9, 0.5, RATE, 2 * RATE as usize);
    let stems = Separator::new(model, short_chunks(), Conditioning::Off).separate(audio(vec![mix.clone()], RATE), &mut |_| {}).unwrap();
    let expected: Vec<f32> = mix.iter().map(|sample| sample * 0.7).collect();
    let error = error_db(&stems.stems[0].channels[0], &expected);
    assert!(error < -80.0, "{error} dB");
}

#[test]
fn a_chunks_bits_depend_on_the_chunk_alone() {
    let mix = melody(10, 0.5, RATE, 20 * RATE as usize);
    let sound = audio(vec![mix], RATE);
    let mut home = measured(&sound, 100_000, short_chunks());
    home.feed(sound.into_channels()).unwrap();
    let count = home.grid().unwrap().count();
    let chunks: Vec<_> = (0..count).map(|index| home.chunk(index).unwrap()).collect();
    let run = |indices: &mut dyn Iterator<Item = usize>| {
        let mut model = model(&TWO, "instrumental", |_, stem| [0.3, 0.9][stem]);
        let mut results: Vec<(usize, Vec<f32>)> = indices
            .map(|index| {
                let chunk = chunks[index].clone();
                let mut task = ChunkTask::new(&model, chunk.channels, chunk.gain, Conditioning::On).unwrap();
                task.run(&mut model, &mut |_| {}).unwrap();
                (index, task.finish(&model).unwrap())
            })
            .collect();
        results.sort_by_key(|(index, _)| *index);
        results
    };
    assert!(run(&mut (0..count)) == run(&mut (0..count).rev()));
}

#[test]
fn joins_of_chunks_that_disagree_leave_no_step() {
    // Each chunk has another mask: what a join must hide.
    let rate = RATE as usize;
    let mix = melody(11, 0.5, RATE, 40 * rate);
    let model = model(&TWO, "instrumental", |run, stem| if (run + stem) % 2 == 0 { 0.25 } else { 0.75 });
    // Joins at odd times, not on the notes' onsets every half second, which are steps of the music itself.
    let options = SeparationOptions { chunk: Some(6.13), ..short_chunks() };
    let mut starts = Vec::new();
    let mut vocals = Vec::new();
    Separator::new(model, options, Conditioning::Off)
        .separate_in_segments(audio(vec![mix], RATE), &mut |_| {}, &mut |_, segment| {
            starts.push(segment.start);
            vocals.extend_from_slice(&segment.stems[0][0]);
            Ok(())
        })
        .unwrap();
    let overlap = 77_175;
    // Largest step from sample to sample within 5 ms.
    let step = |centre: usize| {
        let around = &vocals[centre.saturating_sub(220)..(centre + 220).min(vocals.len())];
        around.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    };
    // Energy above 10 kHz within 5 ms.
    let treble = above_10_khz(&vocals);
    let energy = |centre: usize| treble[centre.saturating_sub(220)..(centre + 220).min(treble.len())].iter().map(|x| x * x).sum::<f32>();
    for (name, metric) in [("step", &step as &dyn Fn(usize) -> f32), ("energy", &energy)] {
        let mut elsewhere: Vec<f32> = (0..500).map(|place| metric(place * (vocals.len() - 1_000) / 500 + 500)).collect();
        elsewhere.sort_by(f32::total_cmp);
        let allowed = elsewhere[494];
        for start in &starts[1..] {
            for place in [*start, start + overlap / 2, start + overlap] {
                assert!(metric(place) <= allowed, "{name} {} at {place}, 99th percentile {allowed}", metric(place));
            }
        }
        // A cut of the join's place, as it would be without a fade, is heard.
        let mut cut = vocals.clone();
        let place = starts[1] + overlap / 2;
        cut[place..].iter_mut().for_each(|sample| *sample = *sample * 0.5 + 0.1);
        if name == "energy" {
            let treble = above_10_khz(&cut);
            assert!(treble[place - 220..place + 220].iter().map(|x| x * x).sum::<f32>() > allowed);
        }
    }
}

/// What lies above 10 kHz, by a sinc of 127 taps under a Blackman window: -74 dB below, and no phase.
fn above_10_khz(samples: &[f32]) -> Vec<f32> {
    use std::f64::consts::PI;
    let cut = 10_000.0 / f64::from(RATE);
    let taps: Vec<f32> = (-63..=63)
        .map(|n| {
            let n = f64::from(n);
            let low = if n == 0.0 { 2.0 * cut } else { (2.0 * PI * cut * n).sin() / (PI * n) };
            let window = 0.42 + 0.5 * (PI * n / 63.0).cos() + 0.08 * (2.0 * PI * n / 63.0).cos();
            (f64::from(u8::from(n == 0.0)) - low * window) as f32
        })
        .collect();
    let padded: Vec<f32> = [&[0.0; 63], samples, &[0.0; 63]].concat();
    padded.windows(taps.len()).map(|window| window.iter().zip(&taps).map(|(x, tap)| x * tap).sum()).collect()
}

#[test]
fn progress_rises_to_one_in_steps_of_two_percent_or_more() {
    let mut told = Vec::new();
    let mut model = model(&TWO, "instrumental", |_, _| 0.5);
    let channels = [noise(1, 0.5, 793_800), noise(2, 0.5, 793_800)];
    let mut task = ChunkTask::new(&model, channels, 0.3, Conditioning::On).unwrap();
    task.run(&mut model, &mut |fraction| told.push(fraction)).unwrap();
    assert!(told.len() <= 51 && told.windows(2).all(|pair| pair[1] > pair[0]), "{told:?}");
    assert_eq!(told.last(), Some(&1.0));
}

#[test]
fn values_that_are_not_finite_name_model_chunk_and_stem() {
    let model = model(&TWO, "instrumental", |run, _| if run == 2 { f32::NAN } else { 0.5 });
    let mix = noise(12, 0.5, 15 * RATE as usize);
    let error = Separator::new(model, short_chunks(), Conditioning::On).separate(audio(vec![mix], RATE), &mut |_| {}).err().unwrap();
    assert_eq!(error.kind(), "internal");
    assert!(error.to_string().contains("model masks") && error.to_string().contains("chunk 1, stem vocals"), "{error}");
}

#[test]
fn a_task_without_samples_or_gain_is_refused() {
    let model = model(&TWO, "instrumental", |_, _| 0.5);
    let chunk = || vec![0.5; 65_536];
    for (channels, gain) in
        [([vec![], vec![]], 1.0), ([chunk(), vec![0.5]], 1.0), ([chunk(), chunk()], 0.0), ([chunk(), chunk()], f32::NAN)]
    {
        let error = ChunkTask::new(&model, channels, gain, Conditioning::On).unwrap_err();
        assert_eq!(error.kind(), "invalid-input");
    }
}

#[test]
fn stems_pushed_before_the_preparation_or_of_a_wrong_length_are_refused() {
    let mut home = Separation::new(1, RATE, entry(&TWO, "instrumental"), SeparationOptions::default()).unwrap();
    let sound = || vec![noise(1, 0.5, 100)];
    home.measure(sound()).unwrap();
    assert_eq!(home.chunk(0).unwrap_err().kind(), "invalid-input");
    assert_eq!(home.push(0, None).unwrap_err().kind(), "invalid-input");
    assert_eq!(home.feed(sound()).unwrap_err().kind(), "invalid-input");
    home.finish_measuring().unwrap();
    assert_eq!(home.measure(sound()).unwrap_err().kind(), "invalid-input");
    assert_eq!(home.chunk(1).unwrap_err().kind(), "invalid-input");
    assert_eq!(home.push(0, Some(vec![0.0; 100])).unwrap_err().kind(), "invalid-input");
}

#[test]
fn blocks_of_two_sides_that_differ_in_number_or_length_and_values_beyond_range_are_refused() {
    let new = |channels| Separation::new(channels, RATE, entry(&TWO, "instrumental"), SeparationOptions::default());
    assert_eq!(new(0).err().unwrap().kind(), "invalid-input");
    assert_eq!(new(9).err().unwrap().kind(), "invalid-input");
    assert_eq!(new(1).unwrap().measure(vec![vec![0.5]; 2]).unwrap_err().kind(), "invalid-input");
    assert_eq!(new(2).unwrap().measure(vec![vec![0.5], vec![]]).unwrap_err().kind(), "invalid-input");
    // Front and centre together are more than the largest 32-bit number.
    assert_eq!(new(3).unwrap().measure(vec![vec![3e38]; 3]).unwrap_err().kind(), "invalid-input");
}

#[test]
fn a_sound_that_is_longer_or_shorter_the_second_time_has_changed() {
    let sound = audio(vec![noise(3, 0.5, 30_000)], RATE);
    let mut longer = measured(&sound, 1_000, SeparationOptions::default());
    longer.feed(vec![noise(3, 0.5, 30_000)]).unwrap();
    assert!(longer.feed(vec![vec![0.5]]).unwrap_err().to_string().contains("changed"));
    let mut shorter = measured(&sound, 1_000, SeparationOptions::default());
    shorter.feed(vec![noise(3, 0.5, 29_999)]).unwrap();
    assert!(shorter.needs_sound());
    assert!(shorter.chunk(0).unwrap_err().to_string().contains("changed"));
}

/// Every segment of a sound whose stems are given back as they went in, and the most frames that were fed before they were pushed.
fn echoed(sound: &Audio, block: usize, ahead: usize, options: &SeparationOptions) -> Vec<Vec<Vec<Vec<f32>>>> {
    let mut home = measured(sound, block, options.clone());
    let mut rest = blocks(sound, block);
    let count = home.grid().unwrap().count();
    let mut segments = Vec::new();
    let mut taken = std::collections::VecDeque::new();
    for index in 0..count {
        while home.needs_sound() {
            home.feed(rest.next().unwrap()).unwrap();
        }
        taken.push_back(home.chunk(index).unwrap());
        while taken.len() > ahead || (index + 1 == count && !taken.is_empty()) {
            let chunk = taken.pop_front().unwrap();
            let stems = (!chunk.is_silent).then(|| chunk.channels.concat().iter().map(|sample| sample * 0.5).collect());
            segments.push(home.push(chunk.index, stems).unwrap().stems);
        }
    }
    segments
}

#[test]
fn how_the_sound_was_cut_and_how_far_chunks_run_ahead_shows_in_no_bit() {
    for (channels, rate, output_rate) in
        [(1, RATE, OutputRate::Input), (2, 48_000, OutputRate::Input), (6, 48_000, OutputRate::Model), (2, 22_050, OutputRate::Input)]
    {
        let frames = 14 * rate as usize + 17;
        let sound = audio((0..channels).map(|channel| noise(channel + 30, 0.5, frames)).collect(), rate);
        let options = SeparationOptions { output_rate, ..short_chunks() };
        let whole = echoed(&sound, frames, 0, &options);
        assert!(whole.len() > 2);
        for (block, ahead) in [(1_000, 0), (65_536, 2), (99_991, 5)] {
            assert!(echoed(&sound, block, ahead, &options) == whole, "{channels} channels, {rate} Hz, blocks of {block}, {ahead} ahead");
        }
    }
}
