//! Real recordings, where a folder of them lies beside the checkout; else these tests say that they are skipped.

use std::path::{Path, PathBuf};

use otolith::audio::decode::decode;
use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::{Catalog, Extract, MatchOptions, Profile, Wang};
use otolith::{Audio, Limits};

use super::music::{with_pink_noise, with_white_noise};

fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/audio");
    let is_there = folder.join("catalog").is_dir();
    if !is_there {
        println!("skipped: no folder of recordings at {}", folder.display());
    }
    is_there.then_some(folder)
}

fn read(path: &Path) -> Audio {
    decode(std::fs::read(path).unwrap(), &path.to_string_lossy(), Limits::default()).unwrap().audio
}

fn cut(audio: &Audio, start: f64, seconds: f64, degrade: impl Fn(&[f32]) -> Vec<f32>) -> Audio {
    let rate = f64::from(audio.sample_rate());
    let (from, to) = ((start * rate) as usize, ((start + seconds) * rate) as usize);
    let channels = audio.channels().iter().map(|channel| degrade(&channel[from..to.min(channel.len())])).collect();
    Audio::new(channels, audio.sample_rate(), &Limits::default()).unwrap()
}

#[test]
fn five_seconds_of_each_recording_are_found_to_20_ms_and_other_recordings_are_not() {
    let Some(folder) = folder() else { return };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("catalog")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let recordings: Vec<(String, Audio)> =
        files.iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), read(path))).collect();
    let wang = Wang::default();
    let mut catalog = Catalog::new(Profile::Default);
    for (name, audio) in &recordings {
        catalog.enrol(name, "null", &wang.extract(audio).unwrap(), Replace::No).unwrap();
    }
    type Degrade = fn(&[f32]) -> Vec<f32>;
    let degradations: [(&str, Degrade); 3] = [
        ("clean", |clip| clip.to_vec()),
        ("white noise at 10 dB", |clip| with_white_noise(clip, 10.0, 1)),
        ("pink noise at 10 dB", |clip| with_pink_noise(clip, 10.0, 2)),
    ];
    for (name, audio) in &recordings {
        for place in [0.1, 0.37, 0.61, 0.85] {
            let start = place * (audio.duration() - 5.0);
            let start = (start * f64::from(audio.sample_rate())).floor() / f64::from(audio.sample_rate());
            for (how, degrade) in degradations {
                let clip = cut(audio, start, 5.0, degrade);
                let hits = catalog.find(&wang.extract(&clip).unwrap(), &MatchOptions::default()).unwrap();
                let best = hits.first().unwrap_or_else(|| panic!("{name} at {start}, {how}: not found"));
                assert_eq!(&best.id, name, "at {start}, {how}");
                assert!((best.offset - start).abs() <= 0.020, "{name}, {how}: {} instead of {start}", best.offset);
            }
        }
    }
    for other in ["piano.ogg", "speech.ogg", "galway.ogg", "freak.mp3", "outfoxing.mp3"] {
        let audio = read(&folder.join(other));
        let start = 0.3 * audio.duration().min(20.0);
        let clip = cut(&audio, start, 5.0, |clip| clip.to_vec());
        assert_eq!(catalog.find(&wang.extract(&clip).unwrap(), &MatchOptions::default()).unwrap(), [], "{other}");
    }
}
