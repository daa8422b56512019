//! Hit rates of otolith's and audiofp's fingerprints on the same generated material in the same run, a line of JSON per query and engine.
//!
//! `cargo run --release --bin evaluate -- REFERENCES QUERIES STRANGERS FOLDER [THREADS [ENGINE]] [--clips CLIPS] [--first N] [--seed S] > queries.jsonl`;
//! `tools/fingerprint_eval.py` reads it. FOLDER holds a few files at a time; ffmpeg codes, stretches and filters. Every engine is asked at
//! its own defaults; of answers below the default threshold the line tells so. A track is made, asked about under every condition and
//! forgotten, so that a run that is ended early has about as many queries of each.
//!
//! ENGINE, such as haitsma, is the one of otolith's that is asked alone; `neural` needs `--features neural`. The folder CLIPS takes
//! references and clips as WAV files. A run that was ended goes on with round N by `--first`. Tables are fitted on other tracks, by `--seed`.

#[path = "../../../../../../tests/rust/fingerprint/music.rs"]
mod music;

#[path = "../../five_kilohertz.rs"]
mod five_kilohertz;

mod changes;
mod clips;
mod engines;

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use changes::{BY_FFMPEG, rendered, reverberant, through_ffmpeg};
use clips::Clips;
use engines::{Engines, Own, PeerPrints};
use music::{Random, music, rendition, with_pink_noise, with_white_noise};
use otolith::fingerprint::{Algorithm, Print};

const RATE: u32 = 22_050;
const TRACK_SECONDS: f64 = 60.0;
/// Of the first track unless said otherwise: no table was fitted on it and those behind it.
const HELD_OUT_SEED: u64 = 5_000_000;

/// Where a clip comes from: track, start, tempo and pitch.
type Truth = (usize, f64, f64, f64);

/// The engines, and where their answers go.
struct Run {
    engines: Engines,
    clips: Option<Clips>,
    /// Of the first track.
    seed: u64,
    lines: Mutex<std::io::Stdout>,
}

impl Run {
    fn ask(&self, condition: &str, clip: &[f32], truth: Option<Truth>) {
        if let Some(clips) = &self.clips {
            clips.clip(condition, clip, truth);
        }
        let mut lines = String::new();
        for (engine, answer, milliseconds) in self.engines.ask(clip) {
            let accepted = answer.as_ref().is_some_and(|answer| answer.accepted);
            let right = answer.as_ref().zip(truth).is_some_and(|(answer, (track, ..))| answer.track == track);
            let errors =
                answer.as_ref().zip(truth).filter(|_| right).map(|(answer, (_, start, tempo, pitch))| {
                    (answer.offset - start, answer.tempo / tempo - 1.0, answer.pitch / pitch - 1.0)
                });
            let line = serde_json::json!({
                "condition": condition, "engine": engine, "stranger": truth.is_none(), "right": right, "accepted": accepted,
                "evidence": answer.as_ref().map(|answer| answer.evidence), "offsetError": errors.map(|errors| errors.0),
                "confidence": answer.as_ref().and_then(|answer| answer.confidence),
                "tempoError": errors.map(|errors| errors.1), "pitchError": errors.map(|errors| errors.2), "milliseconds": milliseconds,
            });
            lines += &format!("{line}\n");
        }
        self.lines.lock().unwrap().write_all(lines.as_bytes()).unwrap();
    }

    /// Asks about one track under every condition.
    fn ask_about(&self, number: u64, folder: &Path) {
        let track = music(self.seed + number, TRACK_SECONDS, RATE);
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
        // As much of the track as the changed clip of so many seconds needs.
        let (starts, sources): (Vec<f64>, Vec<Vec<f32>>) =
            BY_FFMPEG.iter().map(|change| excerpt(change.seconds * change.tempo + 0.1)).unzip();
        for ((change, start), mut changed) in BY_FFMPEG.iter().zip(starts).zip(through_ffmpeg(folder, &sources)) {
            changed.truncate((change.seconds * f64::from(RATE)) as usize);
            let truth = (number as usize, start, change.tempo, change.pitch);
            self.ask(&format!("{} {} s", change.name, change.seconds), &changed, Some(truth));
        }
        for (name, tempo, pitch) in rendered() {
            let start = random.next() * (TRACK_SECONDS - 12.0);
            let clip = rendition(self.seed + number, start..start + 10.0 * tempo, RATE, tempo, pitch);
            self.ask(&format!("{name} 10 s"), &clip, Some((number as usize, start, tempo, pitch)));
        }
    }
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
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut option = |name: &str| {
        let index = arguments.iter().position(|argument| argument == name)?;
        arguments.drain(index..index + 2).nth(1)
    };
    let clips = option("--clips").map(|folder| Clips::new(Path::new(&folder)));
    let mut numbered = |name: &str| option(name).map(|number| number.parse::<u64>().unwrap());
    let (first, seed) = (numbered("--first").unwrap_or(0), numbered("--seed").unwrap_or(HELD_OUT_SEED));
    let [references, queries, strangers, folder, rest @ ..] = &arguments[..] else {
        panic!("give REFERENCES QUERIES STRANGERS FOLDER [THREADS [ENGINE]] [--clips CLIPS] [--first N] [--seed S]")
    };
    let threads = rest.first().map_or(1, |threads| threads.parse().unwrap());
    let only = rest.get(1);
    let algorithms: Vec<Algorithm> = match only {
        Some(name) => Algorithm::ALL.into_iter().filter(|algorithm| algorithm.name() == name).collect(),
        None => Algorithm::WITHOUT_NETWORK.to_vec(),
    };
    let own: Vec<Own> = algorithms.into_iter().map(Own::new).collect();
    let count = |text: &String| text.parse::<u64>().unwrap();
    let (references, queries, strangers, folder) = (count(references), count(queries), count(strangers), Path::new(folder));
    let started = Instant::now();
    let prints: Vec<Mutex<Option<(Vec<Print>, Option<PeerPrints>)>>> = (0..references).map(|_| Mutex::new(None)).collect();
    on_threads(threads, references, |number, _| {
        let track = music(seed + number, TRACK_SECONDS, RATE);
        if let Some(clips) = &clips {
            clips.reference(number, &track);
        }
        let own = own.iter().map(|own| own.print(&track)).collect();
        *prints[number as usize].lock().unwrap() = Some((own, only.is_none().then(|| PeerPrints::of(&track))));
    });
    let prints = prints.into_iter().map(|print| print.into_inner().unwrap().unwrap()).collect();
    let run = Run { engines: Engines::new(own, prints), clips, seed, lines: Mutex::new(std::io::stdout()) };
    eprintln!("{references} references in {:.0} s", started.elapsed().as_secs_f64());
    let rounds = queries.max(1);
    on_threads(threads, rounds - first.min(rounds), |number, thread| {
        let number = first + number;
        let started = Instant::now();
        let folder = folder.join(thread.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        if number < queries {
            run.ask_about(number % references, &folder);
        }
        let asked = started.elapsed().as_secs_f64();
        let strangers = strangers * number / rounds..strangers * (number + 1) / rounds;
        let count = strangers.end - strangers.start;
        for stranger in strangers {
            let sound = music(seed + 1_000_000 + stranger, 10.0, RATE);
            for seconds in [1.0, 5.0, 10.0] {
                run.ask(&format!("stranger {seconds} s"), &sound[..(seconds * f64::from(RATE)) as usize], None);
            }
        }
        let all = started.elapsed().as_secs_f64();
        eprintln!("round {number}: {asked:.1} s, and {:.1} s for {count} strangers", all - asked);
    });
}
