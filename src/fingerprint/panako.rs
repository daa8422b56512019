//! Panako: peaks of a constant-Q spectrum in triples that survive other tempo, pitch and speed.
//!
//! J. Six and M. Leman, "Panako: a scalable acoustic fingerprinting system handling time-scale and pitch modification", ISMIR 2014; J. Six,
//! "Panako 2.0: updates for an acoustic fingerprinting system", ISMIR 2021 (late-breaking). Ratios of times and differences of
//! log-frequency do not change when a recording is played faster, slower, higher or lower. Front end: [`crate::dsp::constant_q`], rows
//! every 8 ms; a tick is two rows.

use super::extraction::{Extraction, Recipe};
use super::peak_stream::{PeakStream, Rows};
use super::peaks::{Peak, PeakConfig};
use super::print::{Algorithm, Print, Profile, Scheme};
use super::triple::{self, RANK_FRAMES, RANK_MAX, STEPS_PER_TICK, TripleHash};
use super::{Extract, ExtractStream, Mix};
use crate::audio::Audio;
use crate::dsp::constant_q::{ADVANCE, BANDS, ConstantQ, MARGIN, ROWS, SAMPLE_RATE, SLICE_LENGTH, STEP};
use crate::error::Result;

/// Shortest sound that is read, in seconds.
pub const MIN_DURATION: f64 = 1.0;
/// Seconds of a tick.
pub const TICK_SECONDS: f64 = STEPS_PER_TICK as f64 * STEP_SECONDS;
/// Seconds from row to row.
pub const STEP_SECONDS: f64 = STEP as f64 / SAMPLE_RATE as f64;

/// Peaks: a box of 49 bands by 25 rows, at least -90 dBFS, at most 30 a second.
pub const PEAKS: PeakConfig = PeakConfig {
    first_bin: 0,
    bins: BANDS,
    half_bins: 24,
    half_frames: 12,
    floor: 1e-9,
    rank_frames: RANK_FRAMES as usize,
    rank_max: RANK_MAX,
};

/// The extractor of prints that are found at another tempo, pitch or speed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Panako {
    mix: Mix,
    silence: Option<f64>,
}

impl Panako {
    /// An extractor with one layer per channel that `mix` makes.
    #[must_use]
    pub fn new(mix: Mix) -> Self {
        Self { mix, silence: None }
    }

    /// The same, with no peaks where the sound is quieter than `level`, in dBFS of RMS (see [`crate::dsp::activity::SilenceGate`]).
    #[must_use]
    pub fn with_silence(self, level: f64) -> Self {
        Self { silence: Some(level), ..self }
    }
}

impl Extract for Panako {
    type Stream = PanakoStream;

    fn name(&self) -> &'static str {
        "panako-1"
    }

    fn min_duration(&self) -> f64 {
        MIN_DURATION
    }

    fn extract(&self, audio: &Audio) -> Result<Print> {
        let scheme = Scheme::new(Algorithm::Panako, Profile::Default)?;
        Extraction::whole(Recipe { scheme, mix: self.mix, silence: self.silence }, audio)
    }

    fn stream(&self, sample_rate: u32) -> Result<PanakoStream> {
        Ok(PanakoStream {
            peaks: PeakStream::new(ConstantQPower::default(), sample_rate, self.silence)?,
            recent: Vec::new(),
            next_anchor: 0,
            hashes: Vec::new(),
        })
    }
}

/// Constant-Q power, a row every 128 samples.
pub struct ConstantQPower {
    transform: ConstantQ,
    /// Samples from the start of the next slice on.
    buffer: Vec<f32>,
    /// Row at the start of the next slice's middle half.
    slice_row: u64,
    /// First row that counts: those before lie in a hole.
    next_row: u64,
    /// Place of the next sample to come.
    end: u64,
    rows: Vec<f32>,
}

impl Default for ConstantQPower {
    fn default() -> Self {
        Self { transform: ConstantQ::new(), buffer: vec![0.0; MARGIN], slice_row: 0, next_row: 0, end: 0, rows: vec![0.0; ROWS * BANDS] }
    }
}

impl ConstantQPower {
    /// Gives the rows of the slice at sample `start` of the buffer that begin before the end of the sound.
    fn analyse(&mut self, start: usize, row: &mut dyn FnMut(&[f32])) -> Result<()> {
        self.transform.power(&self.buffer[start..start + SLICE_LENGTH], &mut self.rows)?;
        for (values, number) in self.rows.chunks_exact(BANDS).zip(self.slice_row..) {
            if number >= self.next_row && number * (STEP as u64) < self.end {
                row(values);
                self.next_row = number + 1;
            }
        }
        self.slice_row += ROWS as u64;
        Ok(())
    }
}

impl Rows for ConstantQPower {
    const RATE: u32 = SAMPLE_RATE;
    const HOP: usize = STEP;
    const CENTRE: usize = 0;
    const PEAKS: PeakConfig = PEAKS;

    fn push(&mut self, samples: &[f32], row: &mut dyn FnMut(&[f32])) -> Result<()> {
        self.buffer.extend_from_slice(samples);
        self.end += samples.len() as u64;
        let mut start = 0;
        while start + SLICE_LENGTH <= self.buffer.len() {
            self.analyse(start, row)?;
            start += ADVANCE;
        }
        self.buffer.drain(..start);
        Ok(())
    }

    fn finish(&mut self, row: &mut dyn FnMut(&[f32])) -> Result<()> {
        while self.next_row * (STEP as u64) < self.end {
            self.buffer.resize(SLICE_LENGTH, 0.0);
            self.analyse(0, row)?;
            self.buffer.drain(..ADVANCE);
        }
        Ok(())
    }

    fn restart(&mut self, sample: u64) -> u64 {
        self.next_row = sample.div_ceil(STEP as u64).max(self.next_row);
        self.slice_row = self.next_row / ROWS as u64 * ROWS as u64;
        self.end = sample;
        // Silence in the hole, from the start of the slice on.
        let before = sample + MARGIN as u64 - (self.slice_row * STEP as u64).min(sample + MARGIN as u64);
        self.buffer.clear();
        self.buffer.resize(before as usize, 0.0);
        self.next_row
    }

    fn delay(&self) -> usize {
        SLICE_LENGTH - MARGIN
    }

    fn state_bytes(&self) -> usize {
        (self.buffer.capacity() + self.rows.capacity()) * size_of::<f32>()
    }
}

/// Hashes of a mono stream at a query's density, without neighbouring cells.
pub struct PanakoStream {
    peaks: PeakStream<ConstantQPower>,
    /// Peaks that are anchors to come or partners of them.
    recent: Vec<Peak>,
    next_anchor: usize,
    hashes: Vec<TripleHash>,
}

impl PanakoStream {
    /// The peaks that the last call settled: what a [`Print`] consists of.
    #[must_use]
    pub fn peaks(&self) -> &[Peak] {
        self.peaks.peaks()
    }

    /// Takes the anchors whose zone is complete: all before `complete`, in eighths of a row.
    fn combine(&mut self, complete: u64) {
        self.hashes.clear();
        self.recent.extend_from_slice(self.peaks.peaks());
        // A partner may lie half a row before the row that it was found in.
        let zone = u64::from(triple::LONGEST_IN_QUERY) * 8 + 8;
        while self.recent.get(self.next_anchor).is_some_and(|anchor| u64::from(anchor.t) + zone <= complete) {
            triple::hashes_of(&self.recent, self.next_anchor, &mut self.hashes);
            self.next_anchor += 1;
        }
        if self.next_anchor > 256 {
            self.recent.drain(..self.next_anchor);
            self.next_anchor = 0;
        }
    }

    fn forget(&mut self) {
        self.recent.clear();
        self.next_anchor = 0;
    }
}

impl ExtractStream for PanakoStream {
    type Item = TripleHash;

    fn push(&mut self, samples: &[f32]) -> Result<&[TripleHash]> {
        self.peaks.push(samples)?;
        self.combine(self.peaks.settled_rows() * 8);
        Ok(&self.hashes)
    }

    fn flush(&mut self) -> Result<&[TripleHash]> {
        self.peaks.flush()?;
        self.combine(u64::MAX);
        self.forget();
        Ok(&self.hashes)
    }

    fn gap(&mut self, frames: u64) -> Result<&[TripleHash]> {
        self.peaks.gap(frames)?;
        self.combine(u64::MAX);
        self.forget();
        Ok(&self.hashes)
    }

    fn latency(&self) -> u64 {
        self.peaks.latency_behind(triple::LONGEST_IN_QUERY as usize + 1)
    }

    fn state_bytes(&self) -> usize {
        let own = self.recent.capacity() * size_of::<Peak>() + self.hashes.capacity() * size_of::<TripleHash>();
        self.peaks.state_bytes() + own
    }

    fn replaced(&self) -> u64 {
        self.peaks.replaced()
    }
}
