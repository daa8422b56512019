//! Hit rates of otolith's and audiofp's fingerprints on the same generated material in the same run, a line of JSON per query and engine.
//!
//! `cargo run --release --bin evaluate -- REFERENCES QUERIES STRANGERS FOLDER > queries.jsonl`; `tools/fingerprint_eval.py` reads it.
//! FOLDER holds a file at a time; ffmpeg codes, stretches and filters. Every engine is asked at its own defaults; of otolith's answers below
//! the default confidence the line tells so.

#[path = "../../../../../tests/rust/fingerprint/music.rs"]
mod music;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use audiofp::classical::{Haitsma as PeerHaitsma, Panako as PeerPanako, Wang as PeerWang};
use audiofp::matching::{HaitsmaIndex, HaitsmaMatchConfig, MatchResult, PanakoIndex, PanakoMatchConfig, WangIndex, WangMatchConfig};
use audiofp::{Fingerprinter, SampleRate};
use music::{Random, music, rendition, with_pink_noise, with_white_noise};
use otolith::audio::resample::resample;
use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::{Algorithm, Catalog, Extraction, MatchOptions, Mix, Print, Profile, Recipe, Scheme, confidence};
use otolith::{Audio, Limits};

const RATE: u32 = 22_050;
const TRACK_SECONDS: f64 = 60.0;
/// Seeds that no table was fitted on.
const FIRST_SEED: u64 = 5_000_000;
/// Longest list of places per hash in audiofp's indices: none is cut.
const POSTINGS: u32 = u32::MAX;

fn scheme(algorithm: Algorithm) -> Scheme {
    Scheme::new(algorithm, Profile::Default).unwrap()
}

fn print(samples: &[f32], algorithm: Algorithm) -> Print {
    let audio = Audio::new(vec![samples.to_vec()], RATE, &Limits::default()).unwrap();
    Extraction::whole(Recipe { scheme: scheme(algorithm), mix: Mix::Mean, silence: None }, &audio).unwrap()
}

/// What an engine says: track, offset in seconds, tempo and pitch factors, whether it takes it for a match, and how much speaks for it.
struct Answer {
    track: usize,
    offset: f64,
    tempo: f64,
    pitch: f64,
    accepted: bool,
    evidence: f64,
}

struct Peers {
    wang: WangIndex,
    panako: PanakoIndex,
    haitsma: HaitsmaIndex,
}

/// The sound at the rate of each of audiofp's algorithms.
fn for_peers(samples: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let eight = resample(samples, RATE, 8_000).unwrap();
    // otolith resamples to 8 kHz and above alone; the half rate of 10 kHz below a filter at 2 kHz.
    let ten = resample(samples, RATE, 10_000).unwrap();
    let taps: Vec<f64> = (-40i32..=40)
        .map(|n| {
            let x = f64::from(n) * 0.45;
            let sinc = if n == 0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
            0.45 * sinc * (0.54 + 0.46 * (std::f64::consts::PI * f64::from(n) / 40.0).cos())
        })
        .collect();
    let five = (0..ten.len() / 2)
        .map(|index| {
            let sum: f64 = taps
                .iter()
                .enumerate()
                .map(|(n, tap)| tap * f64::from(ten.get((2 * index + n).wrapping_sub(40)).copied().unwrap_or(0.0)))
                .sum();
            sum as f32
        })
        .collect();
    (eight, five)
}

impl Peers {
    fn new(tracks: &[Vec<f32>]) -> Self {
        let (mut wang, mut panako, mut haitsma) = (Vec::new(), Vec::new(), Vec::new());
        for track in tracks {
            let (eight, five) = for_peers(track);
            wang.push(PeerWang::default().extract(&eight, SampleRate::HZ_8000).unwrap());
            panako.push(PeerPanako::default().extract(&eight, SampleRate::HZ_8000).unwrap());
            haitsma.push(PeerHaitsma::default().extract(&five, SampleRate::HZ_5000).unwrap());
        }
        Self {
            wang: WangIndex::build(&wang, POSTINGS),
            panako: PanakoIndex::build(&panako, POSTINGS),
            haitsma: HaitsmaIndex::build(&haitsma, POSTINGS),
        }
    }

    fn ask(&self, clip: &[f32]) -> [(&'static str, Option<Answer>); 3] {
        let (eight, five) = for_peers(clip);
        let answer = |found: Option<(usize, MatchResult)>| {
            found.map(|(track, result)| Answer {
                track,
                offset: result.offset.ms as f64 / 1e3,
                tempo: f64::from(result.time_scale),
                pitch: 1.0,
                accepted: result.is_match,
                evidence: f64::from(result.score),
            })
        };
        let wang = PeerWang::default().extract(&eight, SampleRate::HZ_8000).ok();
        let panako = PeerPanako::default().extract(&eight, SampleRate::HZ_8000).ok();
        let haitsma = PeerHaitsma::default().extract(&five, SampleRate::HZ_5000).ok();
        [
            ("audiofp wang", answer(wang.and_then(|print| self.wang.query(&print, &WangMatchConfig::default())))),
            ("audiofp panako", answer(panako.and_then(|print| self.panako.query(&print, &PanakoMatchConfig::default())))),
            ("audiofp haitsma", answer(haitsma.and_then(|print| self.haitsma.query(&print, &HaitsmaMatchConfig::default())))),
        ]
    }
}

fn ask_own(catalog: &Catalog, clip: &[f32]) -> Option<Answer> {
    let algorithm = catalog.algorithm();
    let options = MatchOptions { top: 1, min_confidence: Some(0.0), ..MatchOptions::default() };
    let hit = catalog.find(&print(clip, algorithm), &options).unwrap().into_iter().next()?;
    Some(Answer {
        track: hit.id.parse().unwrap(),
        offset: hit.offset,
        tempo: hit.time_scale,
        pitch: hit.pitch_scale,
        accepted: hit.confidence >= confidence::default_minimum(scheme(algorithm)),
        evidence: hit.evidence,
    })
}

/// The clip as ffmpeg's arguments change it, in between written to a file of this kind; at most as long as it was.
fn through_ffmpeg(folder: &Path, clip: &[f32], kind: &str, arguments: &[&str]) -> Vec<f32> {
    let (source, coded, out) = (folder.join("clip.f32"), folder.join(format!("clip.{kind}")), folder.join("out.f32"));
    std::fs::write(&source, clip.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    let rate = RATE.to_string();
    let raw = ["-f", "f32le", "-ar", &rate, "-ac", "1"];
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "ffmpeg {arguments:?}");
    run(Command::new("ffmpeg").args(["-v", "error", "-y"]).args(raw).arg("-i").arg(&source).args(arguments).arg(&coded));
    run(Command::new("ffmpeg").args(["-v", "error", "-y", "-i"]).arg(&coded).args(raw).arg(&out));
    let bytes = std::fs::read(&out).unwrap();
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// A change of the sound by ffmpeg: name, seconds, kind of file, arguments, tempo and pitch.
const BY_FFMPEG: &[(&str, f64, &str, &[&str], f64, f64)] = &[
    ("MP3 128 kbit/s", 5.0, "mp3", &["-ar", "44100", "-b:a", "128k"], 1.0, 1.0),
    ("MP3 64 kbit/s", 5.0, "mp3", &["-ar", "44100", "-b:a", "64k"], 1.0, 1.0),
    ("MP3 32 kbit/s", 5.0, "mp3", &["-ar", "44100", "-b:a", "32k"], 1.0, 1.0),
    ("AAC 32 kbit/s", 5.0, "m4a", &["-ar", "44100", "-c:a", "aac", "-b:a", "32k"], 1.0, 1.0),
    ("Opus 16 kbit/s", 5.0, "ogg", &["-c:a", "libopus", "-b:a", "16k"], 1.0, 1.0),
    ("band-pass 300..3400 Hz", 5.0, "wav", &["-af", "highpass=f=300,highpass=f=300,lowpass=f=3400,lowpass=f=3400"], 1.0, 1.0),
    ("echo 0.25 s", 5.0, "wav", &["-af", "aecho=0.8:0.8:250:0.5"], 1.0, 1.0),
    (
        "reverb (9 echoes)",
        5.0,
        "wav",
        &["-af", "aecho=0.7:0.7:31|47|67|89|113|151|199|251|307:0.6|0.5|0.45|0.4|0.35|0.3|0.25|0.2|0.15"],
        1.0,
        1.0,
    ),
    ("tempo -10 % (WSOLA)", 10.0, "wav", &["-af", "atempo=0.9"], 0.9, 1.0),
    ("tempo -5 % (WSOLA)", 10.0, "wav", &["-af", "atempo=0.95"], 0.95, 1.0),
    ("tempo +5 % (WSOLA)", 10.0, "wav", &["-af", "atempo=1.05"], 1.05, 1.0),
    ("tempo +10 % (WSOLA)", 10.0, "wav", &["-af", "atempo=1.1"], 1.1, 1.0),
    ("speed -5 % (resampled)", 10.0, "wav", &["-af", "asetrate=20948,aresample=22050"], 0.95, 0.95),
    ("speed +5 % (resampled)", 10.0, "wav", &["-af", "asetrate=23153,aresample=22050"], 1.05, 1.05),
    ("pitch +100 cents (WSOLA)", 10.0, "wav", &["-af", "asetrate=23361,aresample=22050,atempo=0.943874"], 1.0, 1.059_463),
    ("pitch -100 cents (WSOLA)", 10.0, "wav", &["-af", "asetrate=20812,aresample=22050,atempo=1.059463"], 1.0, 0.943_874),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [references, queries, strangers, folder] = &arguments[..] else { panic!("give REFERENCES QUERIES STRANGERS FOLDER") };
    let count = |text: &String| text.parse::<u64>().unwrap();
    let (references, queries, strangers, folder) = (count(references), count(queries), count(strangers), Path::new(folder));
    std::fs::create_dir_all(folder).unwrap();
    let tracks: Vec<Vec<f32>> = (0..references).map(|track| music(FIRST_SEED + track, TRACK_SECONDS, RATE)).collect();
    let catalogs: Vec<Catalog> = Algorithm::ALL
        .into_iter()
        .map(|algorithm| {
            let mut catalog = Catalog::new(scheme(algorithm));
            for (number, track) in tracks.iter().enumerate() {
                catalog.enrol(&number.to_string(), "null", &print(track, algorithm), Replace::No).unwrap();
            }
            catalog
        })
        .collect();
    let peers = Peers::new(&tracks);
    let ask = |condition: &str, clip: &[f32], truth: Option<(usize, f64, f64, f64)>| {
        let report = |engine: &str, answer: Option<Answer>, milliseconds: f64| {
            let accepted = answer.as_ref().is_some_and(|answer| answer.accepted);
            let right = answer.as_ref().zip(truth).is_some_and(|(answer, (track, ..))| answer.track == track);
            let errors =
                answer.as_ref().zip(truth).filter(|_| right).map(|(answer, (_, start, tempo, pitch))| {
                    (answer.offset - start, answer.tempo / tempo - 1.0, answer.pitch / pitch - 1.0)
                });
            println!(
                "{}",
                serde_json::json!({
                    "condition": condition, "engine": engine, "stranger": truth.is_none(), "right": right, "accepted": accepted,
                    "evidence": answer.as_ref().map(|answer| answer.evidence), "offsetError": errors.map(|errors| errors.0),
                    "tempoError": errors.map(|errors| errors.1), "pitchError": errors.map(|errors| errors.2), "milliseconds": milliseconds,
                })
            );
        };
        for catalog in &catalogs {
            let started = Instant::now();
            let answer = ask_own(catalog, clip);
            report(&format!("otolith {}", catalog.algorithm().name()), answer, started.elapsed().as_secs_f64() * 1e3);
        }
        let started = Instant::now();
        let answers = peers.ask(clip);
        let each = started.elapsed().as_secs_f64() * 1e3 / 3.0;
        for (engine, answer) in answers {
            report(engine, answer, each);
        }
    };
    let mut random = Random::new(17);
    let mut excerpt = |query: u64, seconds: f64| {
        let track = (query % references) as usize;
        let first = (random.next() * (TRACK_SECONDS - seconds) * f64::from(RATE)) as usize;
        let clip = tracks[track][first..first + (seconds * f64::from(RATE)) as usize].to_vec();
        (track, first as f64 / f64::from(RATE), clip)
    };
    for seconds in [1.0, 2.0, 3.0, 5.0, 10.0] {
        for query in 0..queries {
            let (track, start, clip) = excerpt(query, seconds);
            ask(&format!("clean {seconds} s"), &clip, Some((track, start, 1.0, 1.0)));
        }
    }
    for (name, snr, is_pink) in [
        ("white", 10.0, false),
        ("white", 5.0, false),
        ("white", 0.0, false),
        ("white", -5.0, false),
        ("pink", 5.0, true),
        ("pink", 0.0, true),
    ] {
        for query in 0..queries {
            let (track, start, clip) = excerpt(query, 5.0);
            let noisy = if is_pink { with_pink_noise(&clip, snr, query) } else { with_white_noise(&clip, snr, query) };
            ask(&format!("{name} noise {snr} dB 5 s"), &noisy, Some((track, start, 1.0, 1.0)));
        }
    }
    for &(name, seconds, kind, arguments, tempo, pitch) in BY_FFMPEG {
        for query in 0..queries {
            // As much of the track as the changed clip of so many seconds needs.
            let (track, start, clip) = excerpt(query, seconds * tempo + 0.1);
            let mut changed = through_ffmpeg(folder, &clip, kind, arguments);
            changed.truncate((seconds * f64::from(RATE)) as usize);
            ask(&format!("{name} {seconds} s"), &changed, Some((track, start, tempo, pitch)));
        }
    }
    let cents = |cents: f64| 2f64.powf(cents / 1200.0);
    let mut rendered: Vec<(String, f64, f64)> = Vec::new();
    for percent in [-16.0, -10.0, -5.0, -2.0, 2.0, 5.0, 10.0, 16.0] {
        rendered.push((format!("tempo {percent:+} %"), 1.0 + percent / 100.0, 1.0));
        rendered.push((format!("speed {percent:+} %"), 1.0 + percent / 100.0, 1.0 + percent / 100.0));
    }
    for shift in [-200.0, -100.0, -50.0, 50.0, 100.0, 200.0] {
        rendered.push((format!("pitch {shift:+} cents"), 1.0, cents(shift)));
    }
    for (name, tempo, pitch) in rendered {
        let mut random = Random::new(23);
        for query in 0..queries {
            let start = random.next() * (TRACK_SECONDS - 12.0);
            let clip = rendition(FIRST_SEED + query % references, start..start + 10.0 * tempo, RATE, tempo, pitch);
            ask(&format!("{name} 10 s"), &clip, Some(((query % references) as usize, start, tempo, pitch)));
        }
    }
    for stranger in 0..strangers {
        let sound = music(FIRST_SEED + 1_000_000 + stranger, 10.0, RATE);
        for seconds in [1.0, 5.0, 10.0] {
            ask(&format!("stranger {seconds} s"), &sound[..(seconds * f64::from(RATE)) as usize], None);
        }
    }
}
