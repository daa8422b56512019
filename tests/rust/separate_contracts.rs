//! The four contracts with networks from files: what each separates, and what each refuses.

use otolith::separate::{ChunkTask, Conditioning, SeparationOptions, Separator, Stems};
use otolith::{Audio, Limits, Result};

use crate::separate_models::{fixture, load, refusal};
use crate::signal::{chord, melody, noise, sine};

const RATE: u32 = 44_100;

fn separate(name: &str, mix: Vec<Vec<f32>>, options: SeparationOptions) -> Result<Stems> {
    let (entry, bytes) = fixture(name);
    let audio = Audio::new(mix, RATE, &Limits::default()).unwrap();
    Separator::new(load(entry, &bytes).unwrap(), options, Conditioning::Off).separate(audio, &mut |_| {})
}

/// Sines of 0.5 together, that fade in and out over the whole: no step at either end.
fn faded(frequencies: &[f64], frames: usize) -> Vec<f32> {
    let swell = |frame: usize| (std::f64::consts::PI * frame as f64 / frames as f64).sin().powi(2) as f32;
    chord(9, frequencies, 0.5, RATE, frames).into_iter().enumerate().map(|(frame, sample)| sample * swell(frame)).collect()
}

/// Peak of `stem - share * mix` over both channels, in dBFS.
fn error_dbfs(stem: &[Vec<f32>], mix: &[Vec<f32>], share: f32) -> f64 {
    let errors = stem.iter().zip(mix).flat_map(|(stem, mix)| stem.iter().zip(mix).map(|(stem, mix)| (stem - share * mix).abs()));
    20.0 * f64::from(errors.fold(0.0, f32::max)).log10()
}

#[test]
fn every_contract_gives_the_known_stems_which_sum_to_the_mix_to_the_sample() {
    // 14 s are several chunks for every model; the mix reaches full scale.
    let frames = 14 * RATE as usize + 17;
    let full_band = vec![melody(1, 1.0, RATE, frames), noise(2, 1.0, frames)];
    // The bins of mdx-quarter leave out that of half the sample rate.
    let low_band = vec![faded(&[100.0, 1_000.0, 15_000.0], frames), faded(&[60.0, 440.0], frames)];
    let two = [("vocals", 0.25), ("instrumental", 0.75)];
    let five = [("vocals", 0.125), ("drums", 0.25), ("bass", 0.0625), ("instruments", 0.5), ("fx", 0.0625)];
    let single = [("vocals", 0.25), ("rest", 0.75)];
    let doubled = [("vocals", 0.5), ("instrumental", 0.5)];
    let open = SeparationOptions { chunk: Some(6.0), ..SeparationOptions::default() };
    let fixed = SeparationOptions::default();
    for (name, stems, options) in [
        ("mask-quarters", &two[..], &open),
        ("map-quarters", &two, &open),
        ("waveform-quarters", &two, &open),
        ("mdx-quarter", &two, &fixed),
        ("mask-fixed", &two, &fixed),
        ("waveform-fixed", &two, &fixed),
        ("mdx-open", &doubled, &fixed),
        ("mask-five", &five, &open),
        ("mask-one", &single, &SeparationOptions { overlap: Some(0.5), ..open.clone() }),
    ] {
        let mix = if name == "mdx-quarter" { &low_band } else { &full_band };
        // One stem shares nothing with the rest that it does not give: its mask applies as it is only without the energy shares.
        let (mut entry, bytes) = fixture(name);
        if name == "mask-one" {
            entry.parameters.consistency = otolith::model::manifest::Consistency::Residual;
        }
        let audio = Audio::new(mix.clone(), RATE, &Limits::default()).unwrap();
        let separated =
            Separator::new(load(entry, &bytes).unwrap(), options.clone(), Conditioning::Off).separate(audio, &mut |_| {}).unwrap();
        let names: Vec<&str> = separated.stems.iter().map(|stem| stem.name.as_str()).collect();
        assert_eq!(names, stems.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{name}");
        for (stem, (_, share)) in separated.stems.iter().zip(stems) {
            let error = error_dbfs(&stem.channels, mix, *share);
            assert!(error <= -100.0, "{name}, {}: {error} dBFS", stem.name);
        }
        for (channel, mix) in mix.iter().enumerate() {
            let sum = |frame: usize| separated.stems.iter().map(|stem| f64::from(stem.channels[channel][frame])).sum::<f64>();
            let null = mix.iter().enumerate().map(|(frame, sample)| (f64::from(*sample) - sum(frame)).abs()).fold(0.0, f64::max);
            assert!(20.0 * null.log10() <= -90.0, "{name}: {null}");
        }
    }
}

#[test]
fn a_transform_that_is_no_multiple_of_its_hop_gives_the_known_stems() {
    // Many MDX networks have one of 7.5 hops, and leave out the bins above 17.6 kHz.
    let frames = 14 * RATE as usize + 17;
    let mix = vec![faded(&[100.0, 1_000.0, 12_000.0], frames), faded(&[60.0, 440.0], frames)];
    for n_fft in [7680, 6146] {
        let (mut entry, bytes) = fixture("mdx-quarter");
        entry.parameters.n_fft = n_fft;
        let audio = Audio::new(mix.clone(), RATE, &Limits::default()).unwrap();
        let mut separator = Separator::new(load(entry, &bytes).unwrap(), SeparationOptions::default(), Conditioning::Off);
        let stems = separator.separate(audio, &mut |_| {}).unwrap().stems;
        for (stem, share) in stems.iter().zip([0.25, 0.75]) {
            let error = error_dbfs(&stem.channels, &mix, share);
            assert!(error <= -100.0, "n_fft {n_fft}, {}: {error} dBFS", stem.name);
        }
    }
}

#[test]
fn a_sound_shorter_than_the_only_chunk_of_a_model_is_extended_to_it() {
    for (name, mix) in [
        ("mdx-quarter", faded(&[100.0, 1_000.0], 50_000)),
        ("waveform-fixed", noise(3, 0.5, 2)),
        ("waveform-fixed", noise(3, 0.5, 5_000)),
        ("mask-fixed", noise(3, 0.5, 2)),
        ("mask-fixed", noise(3, 0.5, 5_000)),
    ] {
        let mix = vec![mix];
        let stems = separate(name, mix.clone(), SeparationOptions::default()).unwrap();
        let error = error_dbfs(&stems.stems[0].channels, &mix, 0.25);
        assert!(error <= -100.0, "{name}, {} frames: {error}", mix[0].len());
    }
}

#[test]
fn a_chunk_length_cannot_be_chosen_for_a_model_of_one_size_and_an_overlap_can_up_to_half() {
    let mix = || vec![noise(4, 0.5, 12 * RATE as usize)];
    let options = SeparationOptions { chunk: Some(6.0), ..SeparationOptions::default() };
    let error = separate("mdx-quarter", mix(), options).unwrap_err();
    assert!(error.kind() == "invalid-input" && error.to_string().contains("5.921 s"), "{error}");
    let options = |overlap| SeparationOptions { overlap: Some(overlap), ..SeparationOptions::default() };
    assert!(separate("mdx-quarter", mix(), options(2.9)).is_ok());
    let error = separate("mdx-quarter", mix(), options(3.0)).unwrap_err();
    assert!(error.kind() == "invalid-input" && error.to_string().contains("5.92 s"), "{error}");
}

#[test]
fn networks_that_do_not_keep_their_contract_are_refused_naming_found_and_wanted() {
    for (name, told) in [
        ("wrong-fixed", &["[1, 4, dynamic, 2049]", "[1, 4, 301, 2049]", "parameters.frames, here 301"][..]),
        ("wrong-map-stems", &["output", "[1, 8, 65, 2049]", "[1, 4, 65, 2049]", "vocals, instrumental"]),
        ("wrong-waveform-stems", &["output", "[1, 2, 2, 65536]", "[1, 2, 65536]"]),
        ("wrong-waveform-samples", &["input", "[1, 2, 131072]", "[1, 2, 262144]"]),
        ("wrong-waveform-infinite", &["not finite", "vocals"]),
        ("wrong-mdx-bins", &["input", "[1, 4, 3072, 256]", "[1, 4, 2048, 256]"]),
        ("wrong-mdx-frames", &["input", "[1, 4, 3072, 256]", "[1, 4, 3072, 128]"]),
    ] {
        let refused = refusal(name);
        assert!(told.iter().all(|part| refused.contains(part)), "{name}: {refused}");
    }
}

#[test]
fn a_manifest_that_lies_about_its_stems_is_refused() {
    for (name, stems) in [
        ("mask-quarters", &["vocals", "drums", "rest"][..]),
        ("map-quarters", &["a", "b", "c"]),
        ("waveform-quarters", &["a", "b", "c", "d"]),
    ] {
        let (mut entry, bytes) = fixture(name);
        entry.stems = stems.iter().map(ToString::to_string).collect();
        entry.residual = stems[stems.len() - 1].to_owned();
        let error = load(entry, &bytes).err().unwrap();
        assert!(error.kind() == "model-load" && error.to_string().contains(&stems.join(", ")), "{name}: {error}");
    }
}

#[test]
fn the_input_of_an_mdx_network_is_the_bare_transform_by_bins() {
    // A sine of amplitude a in the middle of bin k: |X| = a * sum(window) / 2 = a * 6144 / 4, all of it in bins k - 1, k and k + 1.
    let (entry, bytes) = fixture("mdx-quarter");
    let mut model = load(entry, &bytes).unwrap();
    let frames = 261_120;
    let tone = sine(f64::from(RATE) / 6144.0 * 100.0, 0.5, 0.0, RATE, frames);
    let mut task = ChunkTask::new(&model, [tone, vec![0.0; frames]], 0.1, Conditioning::Off).unwrap();
    let input = task.prepare(&mut model).unwrap();
    assert_eq!(input.shape, [1, 4, 3072, 256]);
    let magnitude = |channel: usize, bin: usize, frame: usize| {
        let value = |part: usize| input.values[((2 * channel + part) * 3072 + bin) * 256 + frame];
        value(0).hypot(value(1))
    };
    for frame in [10, 128, 250] {
        assert!((magnitude(0, 100, frame) / 768.0 - 1.0).abs() < 1e-4, "{}", magnitude(0, 100, frame));
        assert!((magnitude(0, 101, frame) / 384.0 - 1.0).abs() < 1e-3 && magnitude(0, 110, frame) < 0.01);
        assert_eq!(magnitude(1, 100, frame), 0.0);
    }
}

/// Output of the fixtures with constant masks or shares for an input of this shape.
fn output_of(contract: &str, input: &[f32], shape: &[usize]) -> (Vec<usize>, Vec<f32>) {
    let copies = |shares: &[f32]| shares.iter().flat_map(|share| input.iter().map(move |value| value * share)).collect();
    match contract {
        "complex-mask" => {
            let plane = shape[2] * shape[3];
            let planes = [0.25, 0.0, 0.25, 0.0, 0.75, 0.0, 0.75, 0.0];
            (vec![1, 8, shape[2], shape[3]], planes.iter().flat_map(|value| std::iter::repeat_n(*value, plane)).collect())
        }
        "complex-map" => (vec![1, 8, shape[2], shape[3]], copies(&[0.25, 0.75])),
        "waveform" => (vec![1, 2, 2, shape[2]], copies(&[0.25, 0.75])),
        _ => (shape.to_vec(), copies(&[0.25])),
    }
}

#[test]
fn an_output_supplied_from_elsewhere_gives_the_bits_of_a_run_here() {
    for (name, frames) in [("mask-quarters", 300_000), ("map-quarters", 300_000), ("waveform-quarters", 70_000), ("mdx-quarter", 261_120)] {
        let (entry, bytes) = fixture(name);
        let contract = entry.contract.clone();
        let mut model = load(entry, &bytes).unwrap();
        let chunk = [noise(5, 0.5, frames), noise(6, 0.5, frames)];
        let mut here = ChunkTask::new(&model, chunk.clone(), 0.3, Conditioning::On).unwrap();
        here.run(&mut model, &mut |_| {}).unwrap();
        let mut elsewhere = ChunkTask::new(&model, chunk, 0.3, Conditioning::On).unwrap();
        let input = elsewhere.prepare(&mut model).unwrap();
        let (shape, output) = output_of(&contract, &input.values, &input.shape);
        let mut read = |offset: usize, part: &mut [f32]| {
            part.copy_from_slice(&output[offset..offset + part.len()]);
            Ok(())
        };
        elsewhere.supply(&mut model, &shape, &mut read).unwrap();
        assert!(elsewhere.finish(&model).unwrap() == here.finish(&model).unwrap(), "{name}");
    }
}

#[test]
fn a_refused_output_leaves_the_chunk_to_be_run_here() {
    let (entry, bytes) = fixture("map-quarters");
    let mut model = load(entry, &bytes).unwrap();
    let chunk = || [noise(7, 0.5, 70_000), noise(8, 0.5, 70_000)];
    let mut task = ChunkTask::new(&model, chunk(), 0.3, Conditioning::On).unwrap();
    let input = task.prepare(&mut model).unwrap();
    let (shape, _) = output_of("complex-map", &[], &input.shape);
    let error = task.supply(&mut model, &[1, 4, 70, 2049], &mut |_, _| Ok(())).unwrap_err();
    assert!(error.kind() == "invalid-input" && error.to_string().contains("[1, 4, 70, 2049]"), "{error}");
    let mut broken = |_: usize, part: &mut [f32]| {
        part.fill(f32::NAN);
        Ok(())
    };
    assert_eq!(task.supply(&mut model, &shape, &mut broken).unwrap_err().kind(), "internal");
    assert_eq!(task.clone().finish(&model).unwrap_err().kind(), "invalid-input");
    task.run(&mut model, &mut |_| {}).unwrap();
    let mut fresh = ChunkTask::new(&model, chunk(), 0.3, Conditioning::On).unwrap();
    fresh.run(&mut model, &mut |_| {}).unwrap();
    assert!(task.finish(&model).unwrap() == fresh.finish(&model).unwrap());
}

#[test]
fn a_trial_gives_the_networks_answer_to_noise_of_unit_deviation() {
    let (entry, bytes) = fixture("map-quarters");
    let trial = load(entry, &bytes).unwrap().trial().unwrap();
    assert_eq!((&trial.input_shape[..], &trial.output_shape[..]), (&[1, 4, 65, 2049][..], &[1, 8, 65, 2049][..]));
    let power = trial.input.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / trial.input.len() as f64;
    assert!((power - 1.0).abs() < 0.01, "{power}");
    assert!(trial.output[..trial.input.len()].iter().zip(&trial.input).all(|(stem, mix)| *stem == 0.25 * mix));
}
