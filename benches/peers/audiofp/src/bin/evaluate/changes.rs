//! Changes of a clip: rooms, and what ffmpeg codes, filters and stretches. One process for all that is made from a track, one that decodes.

use std::path::Path;
use std::process::Command;

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use crate::RATE;
use crate::music::with_white_noise;

/// How ffmpeg changes a clip.
enum By {
    /// Coded in a file of this kind, and decoded.
    Codec(&'static str, &'static [&'static str]),
    /// Filtered, and kept in 16 bits.
    Filter(&'static str),
}

/// A change of the sound by ffmpeg.
pub struct Change {
    pub name: &'static str,
    pub seconds: f64,
    by: By,
    pub tempo: f64,
    pub pitch: f64,
}

const fn codec(name: &'static str, kind: &'static str, arguments: &'static [&'static str]) -> Change {
    Change { name, seconds: 5.0, by: By::Codec(kind, arguments), tempo: 1.0, pitch: 1.0 }
}

const fn filter(name: &'static str, seconds: f64, filter: &'static str, tempo: f64, pitch: f64) -> Change {
    Change { name, seconds, by: By::Filter(filter), tempo, pitch }
}

/// All changes by ffmpeg.
pub const BY_FFMPEG: &[Change] = &[
    codec("MP3 128 kbit/s", "mp3", &["-ar", "44100", "-b:a", "128k"]),
    codec("MP3 64 kbit/s", "mp3", &["-ar", "44100", "-b:a", "64k"]),
    codec("MP3 32 kbit/s", "mp3", &["-ar", "44100", "-b:a", "32k"]),
    codec("AAC 128 kbit/s", "m4a", &["-ar", "44100", "-c:a", "aac", "-b:a", "128k"]),
    codec("AAC 32 kbit/s", "m4a", &["-ar", "44100", "-c:a", "aac", "-b:a", "32k"]),
    codec("Opus 64 kbit/s", "ogg", &["-c:a", "libopus", "-b:a", "64k"]),
    codec("Opus 16 kbit/s", "ogg", &["-c:a", "libopus", "-b:a", "16k"]),
    filter("band-pass 300..3400 Hz", 5.0, "highpass=f=300,highpass=f=300,lowpass=f=3400,lowpass=f=3400", 1.0, 1.0),
    filter("echo 0.25 s", 5.0, "aecho=0.8:0.8:250:0.5", 1.0, 1.0),
    filter("tempo -16 % (WSOLA)", 10.0, "atempo=0.84", 0.84, 1.0),
    filter("tempo -5 % (WSOLA)", 10.0, "atempo=0.95", 0.95, 1.0),
    filter("tempo +5 % (WSOLA)", 10.0, "atempo=1.05", 1.05, 1.0),
    filter("tempo +16 % (WSOLA)", 10.0, "atempo=1.16", 1.16, 1.0),
    filter("speed -5 % (resampled)", 10.0, "asetrate=20948,aresample=22050", 0.95, 0.95),
    filter("speed +5 % (resampled)", 10.0, "asetrate=23153,aresample=22050", 1.05, 1.05),
    filter("pitch +100 cents (WSOLA)", 10.0, "asetrate=23361,aresample=22050,atempo=0.943874", 1.0, 1.059_463),
    filter("pitch -100 cents (WSOLA)", 10.0, "asetrate=20812,aresample=22050,atempo=1.059463", 1.0, 0.943_874),
];

/// The clips, one for each of [`BY_FFMPEG`], as ffmpeg changes them. Two processes for all: linking and starting one takes longer than
/// its work on a clip.
pub fn through_ffmpeg(folder: &Path, clips: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let ffmpeg = || {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-y"]);
        command
    };
    let run = |mut command: Command| assert!(command.status().unwrap().success(), "{command:?}");
    let rate = RATE.to_string();
    let raw = ["-f", "f32le", "-ar", &rate, "-ac", "1"];
    let coded = |index: usize, kind: &str| folder.join(format!("coded{index}.{kind}"));
    let (mut change, mut decode) = (ffmpeg(), ffmpeg());
    for (index, clip) in clips.iter().enumerate() {
        let source = folder.join(format!("clip{index}.f32"));
        std::fs::write(&source, clip.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
        change.args(raw).arg("-i").arg(&source);
    }
    for (index, by) in BY_FFMPEG.iter().map(|change| &change.by).enumerate() {
        change.args(["-map", &format!("{index}:a")]);
        match by {
            By::Codec(kind, arguments) => {
                change.args(*arguments).arg(coded(index, kind));
                decode.arg("-i").arg(coded(index, kind));
            }
            By::Filter(filter) => {
                change.args(["-af", filter, "-c:a", "pcm_s16le", "-f", "s16le"]).arg(coded(index, "s16"));
            }
        }
    }
    let codecs = (0..BY_FFMPEG.len()).filter(|&index| matches!(BY_FFMPEG[index].by, By::Codec(..)));
    for (input, index) in codecs.enumerate() {
        decode.args(["-map", &format!("{input}:a")]).args(raw).arg(coded(index, "f32"));
    }
    run(change);
    run(decode);
    let read = |index: usize, kind: &str| std::fs::read(coded(index, kind)).unwrap();
    BY_FFMPEG
        .iter()
        .enumerate()
        .map(|(index, change)| match change.by {
            By::Codec(..) => read(index, "f32").chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect(),
            By::Filter(_) => {
                let sample = |bytes: &[u8]| f32::from(i16::from_le_bytes(bytes.try_into().unwrap())) / 32_768.0;
                read(index, "s16").chunks_exact(2).map(sample).collect()
            }
        })
        .collect()
}

/// The sound in a room whose reverberation falls by 60 dB in `seconds`: an exponential tail of noise, as strong as the sound itself.
pub fn reverberant(clip: &[f32], seconds: f64, seed: u64) -> Vec<f32> {
    let length = (seconds * f64::from(RATE)) as usize;
    // Noise with the tail's envelope, by the same generator that makes the noisy conditions: 0 dB below a sound of constant level.
    let noise: Vec<f32> = with_white_noise(&vec![1.0; length], 0.0, seed).iter().map(|value| value - 1.0).collect();
    let mut tail: Vec<f64> =
        noise.iter().enumerate().map(|(n, &noise)| f64::from(noise) * 10f64.powf(-3.0 * n as f64 / length as f64)).collect();
    let energy: f64 = tail.iter().map(|value| value * value).sum();
    tail.iter_mut().for_each(|value| *value /= energy.sqrt());
    tail[0] += 1.0;
    convolved(clip, &tail)
}

/// The convolution of a clip, as long as the clip, by transforms.
fn convolved(clip: &[f32], tail: &[f64]) -> Vec<f32> {
    let size = (clip.len() + tail.len()).next_power_of_two();
    let mut planner = FftPlanner::<f64>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum = |values: &mut dyn Iterator<Item = f64>| {
        let mut padded: Vec<Complex<f64>> = values.map(|re| Complex { re, im: 0.0 }).collect();
        padded.resize(size, Complex::default());
        forward.process(&mut padded);
        padded
    };
    let mut product = spectrum(&mut clip.iter().map(|&sample| f64::from(sample)));
    for (value, other) in product.iter_mut().zip(spectrum(&mut tail.iter().copied())) {
        *value *= other;
    }
    inverse.process(&mut product);
    product[..clip.len()].iter().map(|value| (value.re / size as f64) as f32).collect()
}

/// Changes that are rendered anew from the score: name, tempo and pitch.
pub fn rendered() -> Vec<(String, f64, f64)> {
    let mut changes = Vec::new();
    for percent in [-16.0, -10.0, -5.0, -2.0, 2.0, 5.0, 10.0, 16.0] {
        changes.push((format!("tempo {percent:+} %"), 1.0 + percent / 100.0, 1.0));
        changes.push((format!("speed {percent:+} %"), 1.0 + percent / 100.0, 1.0 + percent / 100.0));
    }
    for cents in [-200.0f64, -100.0, -50.0, 50.0, 100.0, 200.0] {
        changes.push((format!("pitch {cents:+} cents"), 1.0, (cents / 1_200.0).exp2()));
    }
    changes
}
