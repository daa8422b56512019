//! Where decoded blocks are collected: planar, within limits, trimmed as the container says.

use symphonia::core::audio::GenericAudioBufferRef;

use super::decode::Output;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Frames reserved up front per encoded byte. MP3 at 64 kbit/s gives 5 frames a byte; a header may claim anything, so beyond this
/// the planes grow with what is really decoded.
const RESERVED_FRAMES_PER_BYTE: u64 = 8;

/// Planar samples, growing block by block.
pub(super) struct Planes {
    channels: Vec<Vec<f32>>,
    sample_rate: u32,
    limits: Limits,
    output: Output,
    /// Frames that blocks have taken away.
    taken: u64,
    /// Frames still to drop at the start, by the container's word.
    skip: usize,
    /// Frames that the trimmed sound has by the container's word.
    declared: Option<u64>,
    /// Silent frames that stand for damaged packets before the first good one, whose shape is not known yet.
    leading_silence: usize,
}

impl Planes {
    /// Planes that drop the first `skip` frames. `declared`: frames after that, if the container names them.
    pub(super) fn new(limits: Limits, output: Output, skip: u64, declared: Option<u64>) -> Self {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Self { channels: Vec::new(), sample_rate: 0, limits, output, taken: 0, skip, declared, leading_silence: 0 }
    }

    /// Frames of the sound so far.
    pub(super) fn frames(&self) -> u64 {
        self.taken + self.held() as u64
    }

    /// Frames that are here.
    fn held(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// Takes away what is here and certain to be kept; `None` if that is nothing, or the sound is to stay whole. What lies past the
    /// declared end waits: the end of a last packet will be cut, but the next stream of a chained file may begin there.
    pub(super) fn take_block(&mut self) -> Option<(Vec<Vec<f32>>, u32)> {
        let certain = self.declared.map_or(u64::MAX, |declared| declared.saturating_sub(self.taken)).min(self.held() as u64) as usize;
        if certain == 0 || self.output == Output::Whole {
            return None;
        }
        self.taken += certain as u64;
        let take = |plane: &mut Vec<f32>| {
            let rest = plane.split_off(certain);
            std::mem::replace(plane, rest)
        };
        Some((self.channels.iter_mut().map(take).collect(), self.sample_rate))
    }

    /// Checks a sound of `frames` frames against the limits.
    pub(super) fn check(&self, channels: usize, sample_rate: u32, frames: u64) -> Result<()> {
        let held = match self.output {
            Output::Whole => frames,
            Output::Blocks => frames.saturating_sub(self.taken).min(self.held() as u64),
        };
        self.limits.check_stream(channels, sample_rate, frames, held)
    }

    pub(super) fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// A following stream of the same file makes the declared length a lower bound that nobody needs.
    pub(super) fn forget_declared(&mut self) {
        self.declared = None;
    }

    pub(super) fn has_shape(&self) -> bool {
        !self.channels.is_empty()
    }

    pub(super) fn seconds(&self) -> f64 {
        if self.sample_rate == 0 { 0.0 } else { self.frames() as f64 / f64::from(self.sample_rate) }
    }

    pub(super) fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Fixes rate and channels, checks them with the declared length, and reserves what an input of `input_bytes` may well hold. What
    /// the container says holds until the first block: many MP4 files say stereo of mono AAC.
    pub(super) fn take_shape(&mut self, channels: usize, sample_rate: u32, input_bytes: u64) -> Result<()> {
        if channels == self.channels.len() && sample_rate == self.sample_rate {
            return Ok(());
        }
        if self.frames() > 0 {
            return Err(self.changed_shape(channels, sample_rate));
        }
        let declared = self.declared.unwrap_or(0);
        self.check(channels, sample_rate, declared)?;
        self.sample_rate = sample_rate;
        self.channels = vec![Vec::new(); channels];
        match self.output {
            Output::Whole => self.reserve(declared.min(input_bytes.saturating_mul(RESERVED_FRAMES_PER_BYTE)) as usize),
            Output::Blocks => Ok(()),
        }
    }

    fn changed_shape(&self, channels: usize, sample_rate: u32) -> Error {
        Error::UnsupportedFormat {
            found: format!(
                "after {:.3} s the sound changes from {} channels at {} Hz to {channels} at {sample_rate} Hz",
                self.seconds(),
                self.channels.len(),
                self.sample_rate
            ),
        }
    }

    /// Appends a decoded block.
    pub(super) fn append(&mut self, block: &GenericAudioBufferRef<'_>, input_bytes: u64) -> Result<()> {
        let frames = block.frames();
        if frames == 0 {
            return Ok(());
        }
        self.take_shape(block.num_planes(), block.spec().rate(), input_bytes)?;
        let silence = std::mem::take(&mut self.leading_silence);
        self.append_silence(silence)?;
        let start = self.grow(frames)?;
        let mut tails: Vec<&mut [f32]> = self.channels.iter_mut().filter_map(|plane| plane.get_mut(start..)).collect();
        block.copy_to_slice_planar(&mut tails);
        for (channel, tail) in tails.iter().enumerate() {
            if let Some(offset) = tail.iter().position(|sample| !sample.is_finite()) {
                return Err(Error::invalid(format!(
                    "channel {channel}, frame {} is not a finite number: repair the sound first",
                    self.taken + (start + offset) as u64
                )));
            }
        }
        self.drop_skipped(start, frames);
        Ok(())
    }

    /// Appends silence in place of a block that could not be decoded.
    pub(super) fn append_silence(&mut self, frames: usize) -> Result<()> {
        if frames == 0 {
            return Ok(());
        }
        if !self.has_shape() {
            self.leading_silence = self.leading_silence.saturating_add(frames);
            return Ok(());
        }
        let start = self.grow(frames)?;
        self.drop_skipped(start, frames);
        Ok(())
    }

    /// Cuts what lies past the declared end: the last packet is whole, the container says where the sound in it ends.
    pub(super) fn cut_at_declared(&mut self) {
        if let Some(declared) = self.declared {
            let end = usize::try_from(declared.saturating_sub(self.taken)).unwrap_or(usize::MAX);
            self.channels.iter_mut().for_each(|plane| plane.truncate(end));
        }
    }

    pub(super) fn into_parts(self) -> (Vec<Vec<f32>>, u32) {
        (self.channels, self.sample_rate)
    }

    /// Adds `frames` zeros to every plane, within the limits, and gives the index of the first.
    fn grow(&mut self, frames: usize) -> Result<usize> {
        let start = self.held();
        let total = self.frames().saturating_add(frames as u64).saturating_sub(self.skip as u64);
        self.check(self.channels.len(), self.sample_rate, total)?;
        self.reserve(frames)?;
        self.channels.iter_mut().for_each(|plane| plane.resize(start + frames, 0.0));
        Ok(start)
    }

    /// Makes room for `more` frames in every plane.
    fn reserve(&mut self, more: usize) -> Result<()> {
        let frames = self.held();
        let count = self.channels.len();
        // Doubling keeps growth linear; the declared length keeps the last doubling from overshooting.
        let left = self.declared.map_or(u64::MAX, |declared| declared.saturating_sub(self.taken + frames as u64));
        let wanted = more.max((frames as u64).min(left) as usize);
        for plane in &mut self.channels {
            if plane.capacity() - frames < more {
                plane.try_reserve_exact(wanted).map_err(|_| Error::OutOfMemory {
                    what: "decoded sound",
                    bytes: (frames as u64 + wanted as u64) * count as u64 * size_of::<f32>() as u64,
                })?;
            }
        }
        Ok(())
    }

    fn drop_skipped(&mut self, start: usize, frames: usize) {
        if self.skip > 0 {
            // Skipping happens before anything is kept, so the new block begins at 0.
            let dropped = self.skip.min(frames);
            self.channels.iter_mut().for_each(|plane| drop(plane.drain(start..start + dropped)));
            self.skip -= dropped;
        }
    }
}
