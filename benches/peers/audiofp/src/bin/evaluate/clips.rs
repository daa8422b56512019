//! The clips as files, for engines that are programs of their own: `tools/fingerprint_chromaprint.py`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{RATE, Truth};

/// A folder of WAV files of 16 bits, and `clips.jsonl`, a line for each clip: file, condition and the track that it is from.
pub struct Clips {
    folder: PathBuf,
    written: AtomicUsize,
    lines: Mutex<File>,
}

impl Clips {
    pub fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let lines = Mutex::new(File::create(folder.join("clips.jsonl")).unwrap());
        Self { folder: folder.to_owned(), written: AtomicUsize::new(0), lines }
    }

    pub fn reference(&self, number: u64, track: &[f32]) {
        self.write(&format!("reference-{number:05}.wav"), track);
    }

    pub fn clip(&self, condition: &str, clip: &[f32], truth: Option<Truth>) {
        let file = format!("clip-{:06}.wav", self.written.fetch_add(1, Ordering::Relaxed));
        self.write(&file, clip);
        let [track, start, tempo, pitch] = match truth {
            Some((track, start, tempo, pitch)) => [track.into(), start.into(), tempo.into(), pitch.into()],
            None => [(); 4].map(|()| serde_json::Value::Null),
        };
        let line = serde_json::json!({
            "file": file, "condition": condition, "track": track, "start": start, "tempo": tempo, "pitch": pitch,
        });
        writeln!(self.lines.lock().unwrap(), "{line}").unwrap();
    }

    /// Louder than full scale, as noise can make it, the sound is made softer as a whole.
    fn write(&self, name: &str, samples: &[f32]) {
        let peak = samples.iter().fold(1.0f32, |peak, sample| peak.max(sample.abs()));
        let data: Vec<u8> = samples.iter().flat_map(|sample| ((sample / peak * 32_767.0).round() as i16).to_le_bytes()).collect();
        let mut bytes = Vec::with_capacity(data.len() + 44);
        let size = data.len() as u32;
        bytes.extend(b"RIFF");
        bytes.extend((size + 36).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        // 16 bytes: integers, one channel, rate, bytes a second, bytes a frame, bits.
        bytes.extend(16u32.to_le_bytes());
        bytes.extend([1u16, 1].iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend([RATE, 2 * RATE].iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend([2u16, 16].iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend(b"data");
        bytes.extend(size.to_le_bytes());
        bytes.extend(data);
        std::fs::write(self.folder.join(name), bytes).unwrap();
    }
}
