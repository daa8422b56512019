//! A stretch of a sound that moves forward: it grows at its end and is let go at its start.

use std::collections::VecDeque;
use std::ops::Range;

use crate::error::{Error, Result};

/// Frames of a page. Memory comes and goes a page at a time, so that none is ever moved.
const PAGE: usize = 1 << 16;

/// The last part of a planar sound, in pages.
#[derive(Debug)]
pub(super) struct Window {
    channels: usize,
    /// `[pages][channels * PAGE]`, channel after channel.
    pages: VecDeque<Vec<f32>>,
    /// Number of the first page, counted from the start of the sound.
    first: usize,
    /// Frame at which the window ends, counted from the start of the sound.
    end: usize,
}

impl Window {
    pub(super) fn new(channels: usize) -> Self {
        Self { channels, pages: VecDeque::new(), first: 0, end: 0 }
    }

    /// Frames of the sound so far.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Adds planar samples, `[channels][frames]`.
    pub(super) fn append(&mut self, block: &[Vec<f32>]) -> Result<()> {
        let frames = block.first().map_or(0, Vec::len);
        let mut taken = 0;
        while taken < frames {
            let place = self.end % PAGE;
            if place == 0 {
                self.add_page()?;
            }
            let count = (PAGE - place).min(frames - taken);
            for (plane, channel) in self.pages.back_mut().into_iter().flat_map(|page| page.chunks_exact_mut(PAGE)).zip(block) {
                let from = channel.get(taken..taken + count).unwrap_or_default();
                plane.iter_mut().skip(place).zip(from).for_each(|(to, from)| *to = *from);
            }
            taken += count;
            self.end += count;
        }
        Ok(())
    }

    /// Adds the frames `range` of a channel to `to`.
    ///
    /// # Errors
    /// [`Error::Internal`] for frames that are not here.
    pub(super) fn copy(&self, channel: usize, range: Range<usize>, to: &mut Vec<f32>) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min((at / PAGE + 1) * PAGE);
            let plane = (at / PAGE).checked_sub(self.first).and_then(|page| self.pages.get(page)?.chunks_exact(PAGE).nth(channel));
            let part = plane.filter(|_| end <= self.end).and_then(|plane| plane.get(at % PAGE..at % PAGE + (end - at)));
            let part = part.ok_or_else(|| {
                let held = self.first * PAGE..self.end;
                Error::internal(format!("frames {range:?} of channel {channel} are not in memory, which holds {held:?}"))
            })?;
            to.extend_from_slice(part);
            at = end;
        }
        Ok(())
    }

    /// Lets go of what lies before `frame`.
    pub(super) fn forget(&mut self, frame: usize) {
        while self.first < frame.min(self.end) / PAGE {
            self.pages.pop_front();
            self.first += 1;
        }
    }

    fn add_page(&mut self) -> Result<()> {
        let mut page = Vec::new();
        let samples = self.channels * PAGE;
        let bytes = (samples * size_of::<f32>()) as u64;
        page.try_reserve_exact(samples).map_err(|_| Error::OutOfMemory { what: "a stretch of the sound", bytes })?;
        page.resize(samples, 0.0);
        self.pages.push_back(page);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE, Window};

    /// Two channels of `frames` frames from `start` on: the number of the frame, and its negative.
    fn ramp(start: usize, frames: usize) -> Vec<Vec<f32>> {
        let numbers = start..start + frames;
        vec![numbers.clone().map(|n| n as f32).collect(), numbers.map(|n| -(n as f32)).collect()]
    }

    #[test]
    fn blocks_of_any_length_are_read_back_across_pages() {
        let mut window = Window::new(2);
        for (start, frames) in [(0, 1), (1, PAGE), (PAGE + 1, 0), (PAGE + 1, 2 * PAGE + 7)] {
            window.append(&ramp(start, frames)).unwrap();
        }
        assert_eq!(window.end(), 3 * PAGE + 8);
        for range in [0..3 * PAGE + 8, PAGE - 1..PAGE + 1, PAGE..2 * PAGE, 5..5] {
            let mut read = [Vec::new(), Vec::new()];
            for (channel, read) in read.iter_mut().enumerate() {
                window.copy(channel, range.clone(), read).unwrap();
            }
            assert!(read.to_vec() == ramp(range.start, range.len()), "{range:?}");
        }
    }

    #[test]
    fn what_was_let_go_and_what_is_to_come_is_not_here() {
        let mut window = Window::new(2);
        window.append(&ramp(0, 3 * PAGE)).unwrap();
        window.forget(2 * PAGE - 1);
        assert_eq!(window.pages.len(), 2);
        let mut read = Vec::new();
        window.copy(1, PAGE..3 * PAGE, &mut read).unwrap();
        for range in [PAGE - 1..PAGE + 1, 3 * PAGE - 1..3 * PAGE + 1] {
            assert_eq!(window.copy(0, range, &mut read).unwrap_err().kind(), "internal");
        }
        assert_eq!(window.copy(2, PAGE..PAGE + 1, &mut read).unwrap_err().kind(), "internal");
        window.forget(usize::MAX);
        assert!(window.pages.is_empty());
        window.append(&ramp(3 * PAGE, 5)).unwrap();
        window.copy(0, 3 * PAGE..3 * PAGE + 5, &mut read).unwrap();
    }
}
