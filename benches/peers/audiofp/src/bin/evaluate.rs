//! Hit rates of otolith's and audiofp's fingerprints on the same generated material in the same run, a line of JSON per query and engine.
//!
//! `cargo run --release --bin evaluate -- REFERENCES QUERIES STRANGERS FOLDER [THREADS [ENGINE]] > queries.jsonl`; `tools/fingerprint_eval.py` reads it.
//! FOLDER holds a few files at a time; ffmpeg codes, stretches and filters. Every engine is asked at its own defaults; of otolith's answers
//! below the default confidence the line tells so. No sound is kept: a track is made, asked about under every condition and forgotten, so
//! that a run that is ended early has about as many queries of each. ENGINE, such as haitsma, is the one of otolith's that is asked alone.

#[path = "../../../../../tests/rust/fingerprint/music.rs"]
mod music;

#[path = "../five_kilohertz.rs"]
mod five_kilohertz;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use audiofp::classical::{
    Haitsma as PeerHaitsma, HaitsmaFingerprint, Panako as PeerPanako, PanakoFingerprint, Wang as PeerWang, WangFingerprint,
};
use audiofp::matching::{HaitsmaIndex, HaitsmaMatchConfig, MatchResult, PanakoIndex, PanakoMatchConfig, WangIndex, WangMatchConfig};
use audiofp::{Fingerprinter, SampleRate};
use music::{Random, music, rendition, with_pink_noise, with_white_noise};
use otolith::audio::resample::resample;
use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::{Algorithm, Catalog, Extraction, MatchOptions, Mix, Print, Profile, Recipe, Scheme, confidence};
use otolith::{Audio, Limits};
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

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
    /// 0..1; of audiofp, which gives none, its score.
    confidence: f64,
}

struct Peers {
    wang: WangIndex,
    panako: PanakoIndex,
    haitsma: HaitsmaIndex,
}

/// The sound at the rate of each of audiofp's algorithms.
fn for_peers(samples: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let eight = resample(samples, RATE, 8_000).unwrap();
    let five = five_kilohertz::halved(&resample(samples, RATE, 10_000).unwrap());
    (eight, five)
}

/// What audiofp keeps of a track.
struct PeerPrints {
    wang: WangFingerprint,
    panako: PanakoFingerprint,
    haitsma: HaitsmaFingerprint,
}

impl PeerPrints {
    fn of(track: &[f32]) -> Self {
        let (eight, five) = for_peers(track);
        Self {
            wang: PeerWang::default().extract(&eight, SampleRate::HZ_8000).unwrap(),
            panako: PeerPanako::default().extract(&eight, SampleRate::HZ_8000).unwrap(),
            haitsma: PeerHaitsma::default().extract(&five, SampleRate::HZ_5000).unwrap(),
        }
    }
}

impl Peers {
    fn new(prints: Vec<PeerPrints>) -> Self {
        let (mut wang, mut panako, mut haitsma) = (Vec::new(), Vec::new(), Vec::new());
        for prints in prints {
            wang.push(prints.wang);
            panako.push(prints.panako);
            haitsma.push(prints.haitsma);
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
                confidence: f64::from(result.score),
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
    let algorithm = catalog.scheme().algorithm();
    let options = MatchOptions { top: 1, min_confidence: Some(0.0), ..MatchOptions::default() };
    let hit = catalog.find(&print(clip, algorithm), &options).unwrap().into_iter().next()?;
    Some(Answer {
        track: hit.id.parse().unwrap(),
        offset: hit.offset,
        tempo: hit.time_scale,
        pitch: hit.pitch_scale,
        accepted: hit.confidence >= confidence::default_minimum(scheme(algorithm)),
        evidence: hit.evidence,
        confidence: hit.confidence,
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
    ("AAC 128 kbit/s", 5.0, "m4a", &["-ar", "44100", "-c:a", "aac", "-b:a", "128k"], 1.0, 1.0),
    ("AAC 32 kbit/s", 5.0, "m4a", &["-ar", "44100", "-c:a", "aac", "-b:a", "32k"], 1.0, 1.0),
    ("Opus 64 kbit/s", 5.0, "ogg", &["-c:a", "libopus", "-b:a", "64k"], 1.0, 1.0),
    ("Opus 16 kbit/s", 5.0, "ogg", &["-c:a", "libopus", "-b:a", "16k"], 1.0, 1.0),
    ("band-pass 300..3400 Hz", 5.0, "wav", &["-af", "highpass=f=300,highpass=f=300,lowpass=f=3400,lowpass=f=3400"], 1.0, 1.0),
    ("echo 0.25 s", 5.0, "wav", &["-af", "aecho=0.8:0.8:250:0.5"], 1.0, 1.0),
    ("tempo -16 % (WSOLA)", 10.0, "wav", &["-af", "atempo=0.84"], 0.84, 1.0),
    ("tempo -5 % (WSOLA)", 10.0, "wav", &["-af", "atempo=0.95"], 0.95, 1.0),
    ("tempo +5 % (WSOLA)", 10.0, "wav", &["-af", "atempo=1.05"], 1.05, 1.0),
    ("tempo +16 % (WSOLA)", 10.0, "wav", &["-af", "atempo=1.16"], 1.16, 1.0),
    ("speed -5 % (resampled)", 10.0, "wav", &["-af", "asetrate=20948,aresample=22050"], 0.95, 0.95),
    ("speed +5 % (resampled)", 10.0, "wav", &["-af", "asetrate=23153,aresample=22050"], 1.05, 1.05),
    ("pitch +100 cents (WSOLA)", 10.0, "wav", &["-af", "asetrate=23361,aresample=22050,atempo=0.943874"], 1.0, 1.059_463),
    ("pitch -100 cents (WSOLA)", 10.0, "wav", &["-af", "asetrate=20812,aresample=22050,atempo=1.059463"], 1.0, 0.943_874),
];

/// The sound in a room whose reverberation falls by 60 dB in `seconds`: an exponential tail of noise, as strong as the sound itself.
fn reverberant(clip: &[f32], seconds: f64, seed: u64) -> Vec<f32> {
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

/// Where a clip comes from: track, start, tempo and pitch.
type Truth = (usize, f64, f64, f64);

/// The engines, and where their answers go.
struct Engines {
    catalogs: Vec<Catalog>,
    peers: Option<Peers>,
    lines: Mutex<std::io::Stdout>,
}

impl Engines {
    fn ask(&self, condition: &str, clip: &[f32], truth: Option<Truth>) {
        let mut lines = String::new();
        let mut report = |engine: &str, answer: Option<Answer>, milliseconds: f64| {
            let accepted = answer.as_ref().is_some_and(|answer| answer.accepted);
            let right = answer.as_ref().zip(truth).is_some_and(|(answer, (track, ..))| answer.track == track);
            let errors =
                answer.as_ref().zip(truth).filter(|_| right).map(|(answer, (_, start, tempo, pitch))| {
                    (answer.offset - start, answer.tempo / tempo - 1.0, answer.pitch / pitch - 1.0)
                });
            let line = serde_json::json!({
                "condition": condition, "engine": engine, "stranger": truth.is_none(), "right": right, "accepted": accepted,
                "evidence": answer.as_ref().map(|answer| answer.evidence), "offsetError": errors.map(|errors| errors.0),
                "confidence": answer.as_ref().map(|answer| answer.confidence),
                "tempoError": errors.map(|errors| errors.1), "pitchError": errors.map(|errors| errors.2), "milliseconds": milliseconds,
            });
            lines += &format!("{line}\n");
        };
        for catalog in &self.catalogs {
            let started = Instant::now();
            let answer = ask_own(catalog, clip);
            report(&format!("otolith {}", catalog.scheme().algorithm().name()), answer, started.elapsed().as_secs_f64() * 1e3);
        }
        let started = Instant::now();
        let answers = self.peers.iter().flat_map(|peers| peers.ask(clip)).collect::<Vec<_>>();
        let each = started.elapsed().as_secs_f64() * 1e3 / 3.0;
        for (engine, answer) in answers {
            report(engine, answer, each);
        }
        self.lines.lock().unwrap().write_all(lines.as_bytes()).unwrap();
    }

    /// Asks about one track under every condition.
    fn ask_about(&self, number: u64, folder: &Path) {
        let track = music(FIRST_SEED + number, TRACK_SECONDS, RATE);
        let mut random = Random::new(17 + number);
        let mut excerpt = |seconds: f64| {
            let first = (random.next() * (TRACK_SECONDS - seconds) * f64::from(RATE)) as usize;
            let clip = track[first..first + (seconds * f64::from(RATE)) as usize].to_vec();
            (first as f64 / f64::from(RATE), clip)
        };
        let own = |start: f64| Some((number as usize, start, 1.0, 1.0));
        for seconds in [1.0, 2.0, 3.0, 5.0, 10.0] {
            let (start, clip) = excerpt(seconds);
            self.ask(&format!("clean {seconds} s"), &clip, own(start));
        }
        for snr in [10.0, 5.0, 0.0, -5.0, -10.0] {
            let (start, clip) = excerpt(5.0);
            self.ask(&format!("white noise {snr} dB 5 s"), &with_white_noise(&clip, snr, number), own(start));
            let (start, clip) = excerpt(5.0);
            self.ask(&format!("pink noise {snr} dB 5 s"), &with_pink_noise(&clip, snr, number), own(start));
        }
        for seconds in [0.3, 1.0] {
            let (start, clip) = excerpt(5.0);
            self.ask(&format!("reverberation {seconds} s 5 s"), &reverberant(&clip, seconds, number), own(start));
        }
        for &(name, seconds, kind, arguments, tempo, pitch) in BY_FFMPEG {
            // As much of the track as the changed clip of so many seconds needs.
            let (start, clip) = excerpt(seconds * tempo + 0.1);
            let mut changed = through_ffmpeg(folder, &clip, kind, arguments);
            changed.truncate((seconds * f64::from(RATE)) as usize);
            self.ask(&format!("{name} {seconds} s"), &changed, Some((number as usize, start, tempo, pitch)));
        }
        for (name, tempo, pitch) in rendered() {
            let start = random.next() * (TRACK_SECONDS - 12.0);
            let clip = rendition(FIRST_SEED + number, start..start + 10.0 * tempo, RATE, tempo, pitch);
            self.ask(&format!("{name} 10 s"), &clip, Some((number as usize, start, tempo, pitch)));
        }
    }
}

/// Changes that are rendered anew from the score: name, tempo and pitch.
fn rendered() -> Vec<(String, f64, f64)> {
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

/// Does `work` for each number below `count` on some threads, in order of numbers as far as they start.
fn on_threads(threads: usize, count: u64, work: impl Fn(u64, usize) + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (next, work) = (&next, &work);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    work(number, thread);
                }
            });
        }
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [references, queries, strangers, folder, rest @ ..] = &arguments[..] else {
        panic!("give REFERENCES QUERIES STRANGERS FOLDER [THREADS [ENGINE]]")
    };
    let threads = rest.first().map_or(1, |threads| threads.parse().unwrap());
    let only = rest.get(1);
    let algorithms: Vec<Algorithm> =
        Algorithm::WITHOUT_NETWORK.into_iter().filter(|algorithm| only.is_none_or(|only| only == algorithm.name())).collect();
    let count = |text: &String| text.parse::<u64>().unwrap();
    let (references, queries, strangers, folder) = (count(references), count(queries), count(strangers), Path::new(folder));
    let catalogs: Vec<Catalog> = algorithms.iter().map(|&algorithm| Catalog::new(scheme(algorithm))).collect();
    let catalogs = Mutex::new(catalogs);
    let peer_prints = Mutex::new(BTreeMap::new());
    on_threads(threads, references, |number, _| {
        let track = music(FIRST_SEED + number, TRACK_SECONDS, RATE);
        let prints: Vec<Print> = algorithms.iter().map(|&algorithm| print(&track, algorithm)).collect();
        let theirs = only.is_none().then(|| PeerPrints::of(&track));
        for (catalog, print) in catalogs.lock().unwrap().iter_mut().zip(&prints) {
            catalog.enrol(&number.to_string(), "null", print, Replace::No).unwrap();
        }
        peer_prints.lock().unwrap().extend(theirs.map(|theirs| (number, theirs)));
    });
    eprintln!("{references} references");
    let engines = Engines {
        catalogs: catalogs.into_inner().unwrap(),
        peers: only.is_none().then(|| Peers::new(peer_prints.into_inner().unwrap().into_values().collect())),
        lines: Mutex::new(std::io::stdout()),
    };
    let rounds = queries.max(1);
    on_threads(threads, rounds, |number, thread| {
        let folder = folder.join(thread.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        if number < queries {
            engines.ask_about(number % references, &folder);
        }
        for stranger in strangers * number / rounds..strangers * (number + 1) / rounds {
            let sound = music(FIRST_SEED + 1_000_000 + stranger, 10.0, RATE);
            for seconds in [1.0, 5.0, 10.0] {
                engines.ask(&format!("stranger {seconds} s"), &sound[..(seconds * f64::from(RATE)) as usize], None);
            }
        }
    });
}
