//! Where chunks begin, where they join, and which samples each join completes.

use std::ops::Range;

use crate::error::{Error, Result};

/// Allowed chunk lengths in seconds.
pub const CHUNK_SECONDS: std::ops::RangeInclusive<f64> = 6.0..=30.0;
/// Allowed overlaps in seconds; never more than half a chunk.
pub const OVERLAP_SECONDS: std::ops::RangeInclusive<f64> = 0.5..=4.0;
/// Length of a chunk in seconds, if nothing else is said.
pub const DEFAULT_CHUNK: f64 = 18.0;
/// Overlap of two chunks in seconds, if nothing else is said.
pub const DEFAULT_OVERLAP: f64 = 1.75;
/// A file shorter than a chunk is extended by zeros to a multiple of this, so that short files have few different lengths.
const SHORT_FILE_STEP: usize = 65_536;

/// The chunks of a sound: a function of its length, the chunk and the overlap alone.
///
/// Chunks are `chunk` samples long and begin every `chunk - overlap` samples; the last one is pulled back to end with the sound, so
/// that every chunk is full of it. Join i is the last `overlap` samples of chunk i, where chunk i + 1 fades in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkGrid {
    length: usize,
    chunk: usize,
    overlap: usize,
    /// Chunks of another length cannot be worked on.
    is_fixed: bool,
}

impl ChunkGrid {
    /// Plans `length` samples in chunks of `chunk` samples that overlap by `overlap`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] unless `0 < overlap <= chunk / 2` and `length > 0`.
    pub fn new(length: usize, chunk: usize, overlap: usize) -> Result<Self> {
        if length == 0 || overlap == 0 || overlap > chunk / 2 {
            return Err(Error::invalid(format!(
                "a chunk grid needs samples and an overlap of 1..chunk/2, got length {length}, chunk {chunk}, overlap {overlap}"
            )));
        }
        Ok(Self { length, chunk, overlap, is_fixed: false })
    }

    /// Plans `length` samples at `sample_rate` in chunks and overlaps given in seconds.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the option that is out of range.
    pub fn from_seconds(length: usize, sample_rate: u32, chunk: f64, overlap: f64) -> Result<Self> {
        if !CHUNK_SECONDS.contains(&chunk) {
            let (low, high) = (CHUNK_SECONDS.start(), CHUNK_SECONDS.end());
            return Err(Error::invalid(format!("options.chunk must be in {low}..{high} seconds, got {chunk}")));
        }
        if !OVERLAP_SECONDS.contains(&overlap) || overlap > chunk / 2.0 {
            let (low, high) = (OVERLAP_SECONDS.start(), OVERLAP_SECONDS.end());
            return Err(Error::invalid(format!(
                "options.overlap must be in {low}..{high} seconds and at most half of options.chunk, got {overlap} of {chunk}"
            )));
        }
        let samples = |seconds: f64| (seconds * f64::from(sample_rate)).round() as usize;
        let chunk = samples(chunk);
        Self::new(length, chunk, samples(overlap).min(chunk / 2))
    }

    /// Plans `length` samples in chunks that can have no other length than `chunk`: shorter sounds are extended to it, too. Default of
    /// the overlap: 1.75 s, or a quarter of the chunk if that is less.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the overlap is out of range, or more than half of the chunk.
    pub fn fixed(length: usize, sample_rate: u32, chunk: usize, overlap: Option<f64>) -> Result<Self> {
        let rate = f64::from(sample_rate);
        let usual = (DEFAULT_OVERLAP * rate).round() as usize;
        let overlap = match overlap {
            None => usual.min(chunk / 4).max(1),
            Some(seconds) if OVERLAP_SECONDS.contains(&seconds) && seconds * rate <= chunk as f64 / 2.0 => (seconds * rate) as usize,
            Some(seconds) => {
                let (low, high) = (OVERLAP_SECONDS.start(), OVERLAP_SECONDS.end());
                return Err(Error::invalid(format!(
                    "options.overlap must be in {low}..{high} seconds and at most half of the model's chunk of {:.2} s, got {seconds}",
                    chunk as f64 / rate
                )));
            }
        };
        Ok(Self { is_fixed: true, ..Self::new(length, chunk, overlap)? })
    }

    /// Samples of the sound.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Samples of a full chunk.
    #[must_use]
    pub fn chunk(&self) -> usize {
        self.chunk
    }

    /// Samples of a join.
    #[must_use]
    pub fn overlap(&self) -> usize {
        self.overlap
    }

    /// Number of chunks.
    #[must_use]
    pub fn count(&self) -> usize {
        if self.length <= self.chunk { 1 } else { 1 + (self.length - self.chunk).div_ceil(self.chunk - self.overlap) }
    }

    /// Samples of the sound that chunk `index` holds.
    #[must_use]
    pub fn samples(&self, index: usize) -> Range<usize> {
        let start = (index * (self.chunk - self.overlap)).min(self.length.saturating_sub(self.chunk));
        start..(start + self.chunk).min(self.length)
    }

    /// Samples that every chunk is extended to by zeros: those of a full chunk, fewer if the whole sound is shorter and may be so.
    #[must_use]
    pub fn padded(&self) -> usize {
        if self.length < self.chunk && !self.is_fixed { self.length.next_multiple_of(SHORT_FILE_STEP).min(self.chunk) } else { self.chunk }
    }

    /// Samples of the sound that are complete once chunk `index` is joined, and not before.
    #[must_use]
    pub fn segment(&self, index: usize) -> Range<usize> {
        let start = if index == 0 { 0 } else { self.join(index - 1) };
        let end = if index + 1 >= self.count() { self.length } else { self.join(index) };
        start..end
    }

    /// First sample of the join of chunks `index` and `index + 1`.
    fn join(&self, index: usize) -> usize {
        self.samples(index).end - self.overlap
    }
}
