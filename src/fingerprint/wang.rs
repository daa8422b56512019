//! Wang landmarks: spectral peaks of mono sound at 8 kHz, paired into hashes.
//!
//! A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003. Front end: frames of 1 024 samples, periodic Hann window, every
//! 128 samples (16 ms, one tick of all positions), power scaled so that a full-scale sine has 1. Peaks from 125 to 3 867 Hz.

use super::extraction::{Extraction, Recipe};
use super::landmark::{Landmark, Pairing, RANK_FRAMES, RANK_MAX, TARGET_FRAMES};
use super::peak_stream::{PeakStream, Rows};
use super::peaks::{Peak, PeakConfig};
use super::print::{Print, Profile};
use super::{Extract, ExtractStream, Mix};
use crate::audio::Audio;
use crate::dsp::kernel;
use crate::dsp::stft::FrameSpectrum;
use crate::error::Result;

/// Rate at which landmarks are found, in hertz.
pub const SAMPLE_RATE: u32 = 8_000;
/// Samples per frame.
pub const FRAME_LENGTH: usize = 1_024;
/// Samples from frame to frame.
pub const HOP_LENGTH: usize = 128;
/// Shortest sound that is read, in seconds.
pub const MIN_DURATION: f64 = 0.5;
/// Seconds from frame to frame.
pub const TICK_SECONDS: f64 = HOP_LENGTH as f64 / SAMPLE_RATE as f64;
/// Hertz from bin to bin.
pub const BIN_HERTZ: f64 = SAMPLE_RATE as f64 / FRAME_LENGTH as f64;

/// Peaks: a box of 21 bins by 17 frames, at least -90 dBFS, at most 36.6 a second.
pub const PEAKS: PeakConfig = PeakConfig {
    first_bin: 16,
    bins: 480,
    half_bins: 10,
    half_frames: 8,
    floor: 1e-9,
    rank_frames: RANK_FRAMES as usize,
    rank_max: RANK_MAX,
};

/// `(sum(w) / 2)^-2`: the power of a full-scale sine becomes 1. A power of two, so that it costs no accuracy.
const POWER_SCALE: f32 = 1.0 / (256.0 * 256.0);

/// The landmark extractor, default algorithm of fingerprints.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Wang {
    profile: Profile,
    mix: Mix,
    silence: Option<f64>,
}

impl Wang {
    /// An extractor for prints of `profile`, with one layer per channel that `mix` makes.
    #[must_use]
    pub fn new(profile: Profile, mix: Mix) -> Self {
        Self { profile, mix, silence: None }
    }

    /// The same, with no peaks where the sound is quieter than `level`, in dBFS of RMS (see [`crate::dsp::activity::SilenceGate`]).
    #[must_use]
    pub fn with_silence(self, level: f64) -> Self {
        Self { silence: Some(level), ..self }
    }
}

impl Extract for Wang {
    type Stream = WangStream;

    fn name(&self) -> &'static str {
        "wang-1"
    }

    fn min_duration(&self) -> f64 {
        MIN_DURATION
    }

    fn extract(&self, audio: &Audio) -> Result<Print> {
        Extraction::whole(Recipe { scheme: self.profile.into(), mix: self.mix, silence: self.silence }, audio)
    }

    fn stream(&self, sample_rate: u32) -> Result<WangStream> {
        Ok(WangStream {
            peaks: PeakStream::new(FramePower::default(), sample_rate, self.silence)?,
            pairing: Pairing::new(self.profile),
            recent: Vec::new(),
            next_anchor: 0,
            landmarks: Vec::new(),
        })
    }
}

/// Power of frames of 1 024 samples every 128.
pub struct FramePower {
    /// Samples from the start of the next frame on.
    buffer: Vec<f32>,
    next_frame: u64,
    /// Samples to drop before the buffer, up to the frame grid.
    to_skip: usize,
    spectrum: FrameSpectrum,
    power: Vec<f32>,
}

impl Default for FramePower {
    fn default() -> Self {
        let spectrum = FrameSpectrum::new(FRAME_LENGTH);
        Self { buffer: Vec::new(), next_frame: 0, to_skip: 0, power: vec![0.0; spectrum.bins()], spectrum }
    }
}

impl FramePower {
    fn analyse(&mut self, start: usize, row: &mut dyn FnMut(&[f32])) -> Result<()> {
        self.spectrum.power(&self.buffer, start as isize, &mut self.power)?;
        let first = usize::from(PEAKS.first_bin);
        let bins = &mut self.power[first..first + PEAKS.bins];
        kernel::scale(bins, POWER_SCALE);
        row(bins);
        self.next_frame += 1;
        Ok(())
    }
}

impl Rows for FramePower {
    const RATE: u32 = SAMPLE_RATE;
    const HOP: usize = HOP_LENGTH;
    const CENTRE: usize = FRAME_LENGTH / 2;
    const PEAKS: PeakConfig = PEAKS;

    fn push(&mut self, samples: &[f32], row: &mut dyn FnMut(&[f32])) -> Result<()> {
        let skipped = self.to_skip.min(samples.len());
        self.to_skip -= skipped;
        self.buffer.extend_from_slice(&samples[skipped..]);
        let mut start = 0;
        while start + FRAME_LENGTH <= self.buffer.len() {
            self.analyse(start, row)?;
            start += HOP_LENGTH;
        }
        self.buffer.drain(..start);
        Ok(())
    }

    fn finish(&mut self, row: &mut dyn FnMut(&[f32])) -> Result<()> {
        let mut start = 0;
        while start < self.buffer.len() {
            self.analyse(start, row)?;
            start += HOP_LENGTH;
        }
        self.buffer.clear();
        self.to_skip = 0;
        Ok(())
    }

    fn restart(&mut self, sample: u64) -> u64 {
        // The first frame of the absolute grid behind the hole.
        self.next_frame = sample.div_ceil(HOP_LENGTH as u64).max(self.next_frame);
        self.to_skip = (self.next_frame * HOP_LENGTH as u64).saturating_sub(sample) as usize;
        self.buffer.clear();
        self.next_frame
    }

    fn delay(&self) -> usize {
        FRAME_LENGTH
    }

    fn state_bytes(&self) -> usize {
        (self.buffer.capacity() + self.power.capacity()) * size_of::<f32>()
    }
}

/// Landmarks of a mono stream at a query's density, without neighbouring cells.
pub struct WangStream {
    peaks: PeakStream<FramePower>,
    pairing: Pairing,
    /// Peaks that are anchors to come or targets of them.
    recent: Vec<Peak>,
    next_anchor: usize,
    landmarks: Vec<Landmark>,
}

impl WangStream {
    /// The peaks that the last call settled: what a [`Print`] consists of. They come [`TARGET_FRAMES`] earlier than landmarks.
    #[must_use]
    pub fn peaks(&self) -> &[Peak] {
        self.peaks.peaks()
    }

    /// Pairs the anchors whose target zone is complete: all before `complete`, in eighths of a frame.
    fn pair(&mut self, complete: u64) {
        self.landmarks.clear();
        self.recent.extend_from_slice(self.peaks.peaks());
        // A target may lie half a frame before the frame that it was found in.
        let zone = u64::from(*TARGET_FRAMES.end()) * 8 + 8;
        while self.recent.get(self.next_anchor).is_some_and(|anchor| u64::from(anchor.t) + zone <= complete) {
            self.pairing.landmarks_of(&self.recent, self.next_anchor, &mut self.landmarks);
            self.next_anchor += 1;
        }
        if self.next_anchor > 256 {
            self.recent.drain(..self.next_anchor);
            self.next_anchor = 0;
        }
    }
}

impl ExtractStream for WangStream {
    type Item = Landmark;

    fn push(&mut self, samples: &[f32]) -> Result<&[Landmark]> {
        self.peaks.push(samples)?;
        self.pair(self.peaks.settled_rows() * 8);
        Ok(&self.landmarks)
    }

    fn flush(&mut self) -> Result<&[Landmark]> {
        self.peaks.flush()?;
        self.pair(u64::MAX);
        self.recent.clear();
        self.next_anchor = 0;
        Ok(&self.landmarks)
    }

    fn gap(&mut self, frames: u64) -> Result<&[Landmark]> {
        self.peaks.gap(frames)?;
        self.pair(u64::MAX);
        self.recent.clear();
        self.next_anchor = 0;
        Ok(&self.landmarks)
    }

    fn latency(&self) -> u64 {
        // One frame more than the zone: anchor and target are known to eighths of a frame, either way.
        self.peaks.latency_behind(*TARGET_FRAMES.end() as usize + 1)
    }

    fn state_bytes(&self) -> usize {
        self.peaks.state_bytes() + self.recent.capacity() * size_of::<Peak>() + self.landmarks.capacity() * size_of::<Landmark>()
    }

    fn replaced(&self) -> u64 {
        self.peaks.replaced()
    }
}
