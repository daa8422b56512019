//! Wang landmarks: spectral peaks of mono sound at 8 kHz, paired into hashes.
//!
//! A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003. Front end: frames of 1 024 samples, periodic Hann window, every
//! 128 samples (16 ms, one tick of all positions), power scaled so that a full-scale sine has 1. Peaks from 125 to 3 867 Hz.

use super::extraction::Extraction;
use super::landmark::{Landmark, Pairing, RANK_FRAMES, RANK_MAX, TARGET_FRAMES};
use super::peaks::{Peak, PeakConfig, PeakPicker};
use super::print::{Algorithm, Print, Profile};
use super::{Extract, ExtractStream, Mix};
use crate::audio::Audio;
use crate::audio::resample::Resampler;
use crate::dsp::kernel;
use crate::dsp::stft::FrameSpectrum;
use crate::error::{Error, Result};
use crate::limits::SAMPLE_RATES;

/// Rate at which landmarks are found, in hertz.
pub const SAMPLE_RATE: u32 = 8_000;
/// Samples per frame.
pub const FRAME_LENGTH: usize = 1_024;
/// Samples from frame to frame.
pub const HOP_LENGTH: usize = 128;
/// Seconds from frame to frame.
pub const TICK_SECONDS: f64 = HOP_LENGTH as f64 / SAMPLE_RATE as f64;
/// Hertz from bin to bin.
pub const BIN_HERTZ: f64 = SAMPLE_RATE as f64 / FRAME_LENGTH as f64;
/// Shortest sound, in seconds.
pub const MIN_DURATION: f64 = 0.5;

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

/// Samples after which the buffer of a stream drops what no frame needs any more.
const BUFFER_LENGTH: usize = 8 * FRAME_LENGTH;

/// The landmark extractor, default algorithm of fingerprints.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Wang {
    profile: Profile,
    mix: Mix,
}

impl Wang {
    /// An extractor for prints of `profile`, with one layer per channel that `mix` makes.
    #[must_use]
    pub fn new(profile: Profile, mix: Mix) -> Self {
        Self { profile, mix }
    }

    /// The density its prints are meant for.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// How channels become layers.
    #[must_use]
    pub fn mix(&self) -> Mix {
        self.mix
    }
}

impl Extract for Wang {
    type Stream = WangStream;

    fn name(&self) -> &'static str {
        match Algorithm::Wang {
            Algorithm::Wang => "wang-1",
        }
    }

    fn min_duration(&self) -> f64 {
        MIN_DURATION
    }

    fn extract(&self, audio: &Audio) -> Result<Print> {
        let mut extraction = Extraction::new(*self, audio)?;
        while extraction.step(audio)? {}
        extraction.finish()
    }

    fn stream(&self, sample_rate: u32) -> Result<WangStream> {
        Ok(WangStream {
            peaks: PeakStream::new(sample_rate)?,
            pairing: Pairing::new(self.profile),
            recent: Vec::new(),
            next_anchor: 0,
            landmarks: Vec::new(),
        })
    }
}

/// Peaks of a mono stream.
pub struct PeakStream {
    sample_rate: u32,
    /// Absent at 8 kHz.
    resampler: Option<Resampler>,
    /// Samples at the input's rate so far, gaps included.
    position: u64,
    replaced: u64,
    repaired: Vec<f32>,
    /// Samples at 8 kHz from `buffer_start` on, a multiple of the hop.
    buffer: Vec<f32>,
    buffer_start: u64,
    /// Samples at 8 kHz to drop before the buffer, up to the frame grid.
    to_skip: usize,
    next_frame: u64,
    spectrum: FrameSpectrum,
    power: Vec<f32>,
    picker: PeakPicker,
    peaks: Vec<Peak>,
}

impl PeakStream {
    /// A stream of samples at `sample_rate` hertz.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a rate outside 8..192 kHz.
    pub fn new(sample_rate: u32) -> Result<Self> {
        if !SAMPLE_RATES.contains(&sample_rate) {
            return Err(Error::invalid(format!("sample_rate must be in 8000..192000 Hz, got {sample_rate}: resample first")));
        }
        let resampler = if sample_rate == SAMPLE_RATE { None } else { Some(Resampler::new(sample_rate, SAMPLE_RATE, 1)?) };
        let spectrum = FrameSpectrum::new(FRAME_LENGTH);
        Ok(Self {
            sample_rate,
            resampler,
            position: 0,
            replaced: 0,
            repaired: Vec::new(),
            buffer: Vec::new(),
            buffer_start: 0,
            to_skip: 0,
            next_frame: 0,
            power: vec![0.0; spectrum.bins()],
            spectrum,
            picker: PeakPicker::new(PEAKS),
            peaks: Vec::new(),
        })
    }

    /// Takes samples; returns the peaks settled by them, ordered by time.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn push(&mut self, samples: &[f32]) -> Result<&[Peak]> {
        self.peaks.clear();
        self.position += samples.len() as u64;
        let unusable = samples.iter().filter(|sample| !sample.is_finite()).count();
        if unusable == 0 {
            self.feed(samples)?;
        } else {
            self.replaced += unusable as u64;
            let mut repaired = std::mem::take(&mut self.repaired);
            repaired.clear();
            repaired.extend(samples.iter().map(|&sample| if sample.is_finite() { sample } else { 0.0 }));
            self.feed(&repaired)?;
            self.repaired = repaired;
        }
        Ok(&self.peaks)
    }

    /// Ends the sound: zeros follow to the end of the last frame that begins inside it. Returns the remaining peaks.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn flush(&mut self) -> Result<&[Peak]> {
        self.peaks.clear();
        self.end()?;
        Ok(&self.peaks)
    }

    /// Ends the sound as [`PeakStream::flush`] does and goes on `frames` samples later.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn gap(&mut self, frames: u64) -> Result<&[Peak]> {
        self.peaks.clear();
        self.end()?;
        self.position += frames;
        if let Some(resampler) = &mut self.resampler {
            *resampler = Resampler::new(self.sample_rate, SAMPLE_RATE, 1)?;
        }
        // The first sample at 8 kHz that is not before the hole's end, and the first frame of the absolute grid behind it.
        let start = (u128::from(self.position) * u128::from(SAMPLE_RATE)).div_ceil(u128::from(self.sample_rate)) as u64;
        self.next_frame = start.div_ceil(HOP_LENGTH as u64).max(self.next_frame);
        self.buffer_start = self.next_frame * HOP_LENGTH as u64;
        self.to_skip = (self.buffer_start - start.min(self.buffer_start)) as usize;
        self.buffer.clear();
        self.picker.restart(self.next_frame);
        Ok(&self.peaks)
    }

    /// Frames at the input's rate between a sound and its peaks.
    #[must_use]
    pub fn latency(&self) -> u64 {
        let own = FRAME_LENGTH + self.picker.delay_rows() * HOP_LENGTH;
        let delay = self.resampler.as_ref().map_or(0, |resampler| resampler.latency() as u64);
        (own as u64 * u64::from(self.sample_rate)).div_ceil(u64::from(SAMPLE_RATE)) + delay
    }

    /// Bytes of the buffers, without the transform's and the resampler's tables.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        let floats = self.buffer.capacity() + self.power.capacity() + self.repaired.capacity();
        floats * size_of::<f32>() + self.picker.state_bytes() + self.peaks.capacity() * size_of::<Peak>()
    }

    /// Samples so far that were no finite numbers.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    fn feed(&mut self, samples: &[f32]) -> Result<()> {
        // Pieces, so that the buffer stays small whatever the caller pushes at once.
        for piece in samples.chunks(BUFFER_LENGTH) {
            match &mut self.resampler {
                None => {
                    let skipped = self.to_skip.min(piece.len());
                    self.to_skip -= skipped;
                    self.buffer.extend_from_slice(&piece[skipped..]);
                }
                Some(resampler) => {
                    let resampled = resampler.push(&[piece])?;
                    let resampled = resampled.first().map_or(&[][..], |channel| &channel[..]);
                    let skipped = self.to_skip.min(resampled.len());
                    self.to_skip -= skipped;
                    self.buffer.extend_from_slice(&resampled[skipped..]);
                }
            }
            self.analyse()?;
        }
        Ok(())
    }

    /// Turns the whole frames of the buffer into rows.
    fn analyse(&mut self) -> Result<()> {
        let mut start = 0;
        while start + FRAME_LENGTH <= self.buffer.len() {
            self.analyse_frame(start)?;
            start += HOP_LENGTH;
        }
        self.buffer.drain(..start);
        self.buffer_start += start as u64;
        Ok(())
    }

    fn analyse_frame(&mut self, start: usize) -> Result<()> {
        self.spectrum.power(&self.buffer, start as isize, &mut self.power)?;
        let first = usize::from(PEAKS.first_bin);
        let row = &mut self.power[first..first + PEAKS.bins];
        kernel::scale(row, POWER_SCALE);
        self.picker.push(row, &mut self.peaks);
        self.next_frame += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if let Some(resampler) = &mut self.resampler {
            let resampled = resampler.flush()?;
            let resampled = resampled.first().map_or(&[][..], |channel| &channel[..]);
            let skipped = self.to_skip.min(resampled.len());
            self.buffer.extend_from_slice(&resampled[skipped..]);
        }
        self.to_skip = 0;
        self.analyse()?;
        let mut start = 0;
        while start < self.buffer.len() {
            self.analyse_frame(start)?;
            start += HOP_LENGTH;
        }
        self.buffer.clear();
        self.picker.flush(&mut self.peaks);
        Ok(())
    }
}

/// Landmarks of a mono stream at a query's density, without neighbouring cells.
pub struct WangStream {
    peaks: PeakStream,
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
        &self.peaks.peaks
    }

    /// Pairs the anchors whose target zone is complete: all before `complete`, in eighths of a frame.
    fn pair(&mut self, complete: u64) {
        self.landmarks.clear();
        self.recent.extend_from_slice(&self.peaks.peaks);
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
        let settled = self.peaks.next_frame.saturating_sub(self.peaks.picker.delay_rows() as u64);
        self.pair(settled * 8);
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
        let zone = u64::from(*TARGET_FRAMES.end() + 1) * HOP_LENGTH as u64;
        self.peaks.latency() + (zone * u64::from(self.peaks.sample_rate)).div_ceil(u64::from(SAMPLE_RATE))
    }

    fn state_bytes(&self) -> usize {
        self.peaks.state_bytes() + self.recent.capacity() * size_of::<Peak>() + self.landmarks.capacity() * size_of::<Landmark>()
    }

    fn replaced(&self) -> u64 {
        self.peaks.replaced
    }
}
