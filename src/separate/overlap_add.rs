//! Chunks joined in order by fades that sum to one.

use std::f64::consts::PI;

use super::plan::ChunkGrid;
use crate::dsp::kernel;
use crate::error::{Error, Result};

/// Joins chunks of several tracks. Between calls it holds the last `overlap` samples of each track and nothing else.
///
/// In a join, `out = old + w (new - old)` with `w[k] = (1 - cos(pi k / overlap)) / 2`: two estimates of one signal are correlated, so
/// the gains sum to one, and what both agree on passes unchanged. There is no fade at either end of the sound.
#[derive(Debug)]
pub struct OverlapAdd {
    grid: ChunkGrid,
    fade_in: Vec<f32>,
    /// End of the chunk before, `[tracks][overlap]`.
    tails: Vec<Vec<f32>>,
    next: usize,
}

impl OverlapAdd {
    /// Prepares to join the chunks of `grid` for `tracks` tracks.
    #[must_use]
    pub fn new(grid: ChunkGrid, tracks: usize) -> Self {
        let overlap = grid.overlap();
        let fade_in = (0..overlap).map(|k| (0.5 - 0.5 * (PI * k as f64 / overlap as f64).cos()) as f32).collect();
        Self { fade_in, tails: vec![vec![0.0; overlap]; tracks], next: 0, grid }
    }

    /// The grid that the chunks lie on.
    #[must_use]
    pub fn grid(&self) -> &ChunkGrid {
        &self.grid
    }

    /// Joins chunk `index`, `[tracks][padded chunk]` in one slice, or silence, and returns what that completes, `[tracks][frames of
    /// the segment]`.
    ///
    /// # Errors
    /// [`Error::Internal`] out of order, [`Error::InvalidInput`] if the chunk has another length.
    pub fn push(&mut self, index: usize, chunk: Option<&[f32]>) -> Result<Vec<Vec<f32>>> {
        if index != self.next || index >= self.grid.count() {
            return Err(Error::internal(format!("chunk {index} of {} came where {} was due", self.grid.count(), self.next)));
        }
        let padded = self.grid.padded();
        if let Some(chunk) = chunk
            && chunk.len() != self.tails.len() * padded
        {
            let wanted = self.tails.len() * padded;
            return Err(Error::invalid(format!(
                "chunk {index} must hold {wanted} samples ({} tracks), got {}",
                self.tails.len(),
                chunk.len()
            )));
        }
        self.next += 1;
        let (samples, segment) = (self.grid.samples(index), self.grid.segment(index));
        let inside = segment.start - samples.start..segment.end - samples.start;
        let is_last = index + 1 == self.grid.count();
        let mut joined = Vec::with_capacity(self.tails.len());
        for (track, tail) in self.tails.iter_mut().enumerate() {
            let part = chunk.and_then(|chunk| chunk.get(track * padded..(track + 1) * padded));
            let mut out = part.map_or_else(|| vec![0.0; inside.len()], |part| part[inside.clone()].to_vec());
            if index > 0 {
                kernel::crossfade(&mut out, tail, &self.fade_in);
            }
            if !is_last {
                match part {
                    Some(part) => tail.copy_from_slice(&part[inside.end..inside.end + self.grid.overlap()]),
                    None => tail.fill(0.0),
                }
            }
            joined.push(out);
        }
        Ok(joined)
    }
}
