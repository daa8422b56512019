//! A whole separation in one place.

use super::chunk_task::{ChunkTask, Conditioning, SeparatorModel};
use super::condition::{peak, peak_gain};
use super::separation::{Segment, Separation, SeparationOptions};
use crate::audio::Audio;
use crate::dsp::kernel;
use crate::error::Result;
use crate::model::Network;

/// Frames that a separation hears at once.
const BLOCK: usize = 1 << 16;

/// Separates sounds with one model, chunk after chunk.
pub struct Separator<N> {
    model: SeparatorModel<N>,
    options: SeparationOptions,
    conditioning: Conditioning,
}

/// One stem of a whole sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Stem {
    /// Its name in the model's manifest entry.
    pub name: String,
    /// Samples, `[channels][frames]`.
    pub channels: Vec<Vec<f32>>,
}

/// The stems of a whole sound. They sum to its mix.
#[derive(Debug, Clone, PartialEq)]
pub struct Stems {
    /// In the model's order.
    pub stems: Vec<Stem>,
    /// Hertz.
    pub sample_rate: u32,
    /// Chunks from which nothing was inferred.
    pub silent_chunks: usize,
}

impl Stems {
    /// Brings each stem's peak to -1 dBFS, by 24 dB at most and only from -60 dBFS on. Returns the gains in dB. The stems sum to the mix
    /// no more.
    pub fn normalize(&mut self) -> Vec<f64> {
        let gains = self.stems.iter_mut().map(|stem| {
            let gain = peak_gain(stem.channels.iter().map(|channel| peak(channel)).fold(0.0, f32::max));
            stem.channels.iter_mut().for_each(|channel| kernel::scale(channel, gain));
            20.0 * f64::from(gain).log10()
        });
        gains.collect()
    }
}

impl<N: Network> Separator<N> {
    /// A separator that works with `model`.
    #[must_use]
    pub fn new(model: SeparatorModel<N>, options: SeparationOptions, conditioning: Conditioning) -> Self {
        Self { model, options, conditioning }
    }

    /// Separates a whole sound. `progress` receives the fraction that is done.
    ///
    /// # Errors
    /// Those of [`Separation`] and [`ChunkTask`].
    pub fn separate(&mut self, audio: Audio, progress: &mut dyn FnMut(f64)) -> Result<Stems> {
        let mut stems: Vec<Stem> = self.model.entry().stem_names().into_iter().map(|name| Stem { name, channels: Vec::new() }).collect();
        let mut sample_rate = 0;
        let silent_chunks = self.separate_in_segments(audio, progress, &mut |rate, segment| {
            sample_rate = rate;
            for (stem, channels) in stems.iter_mut().zip(segment.stems) {
                stem.channels.resize_with(channels.len(), Vec::new);
                stem.channels.iter_mut().zip(channels).for_each(|(whole, part)| whole.extend(part));
            }
            Ok(())
        })?;
        Ok(Stems { stems, sample_rate, silent_chunks })
    }

    /// Separates a sound and gives each segment, with its sample rate, as soon as it is complete: memory stays flat with the sound's
    /// length, but for the sound itself. Returns the number of silent chunks.
    ///
    /// # Errors
    /// Those of [`Separation`] and [`ChunkTask`], and what `receive` returns.
    pub fn separate_in_segments(
        &mut self,
        audio: Audio,
        progress: &mut dyn FnMut(f64),
        receive: &mut dyn FnMut(u32, Segment) -> Result<()>,
    ) -> Result<usize> {
        let entry = self.model.entry().clone();
        let mut separation = Separation::new(audio.channels().len(), audio.sample_rate(), entry, self.options.clone())?;
        for start in (0..audio.frames()).step_by(BLOCK) {
            separation.measure(block(&audio, start))?;
        }
        separation.finish_measuring()?;
        let mut blocks = (0..audio.frames()).step_by(BLOCK);
        let count = separation.grid().map_or(0, super::ChunkGrid::count);
        for index in 0..count {
            while separation.needs_sound()
                && let Some(start) = blocks.next()
            {
                separation.feed(block(&audio, start))?;
            }
            let chunk = separation.chunk(index)?;
            let stems = if chunk.is_silent {
                None
            } else {
                let mut task = ChunkTask::new(&self.model, chunk.channels, chunk.gain, self.conditioning)?;
                task.run(&mut self.model, &mut |fraction| progress((index as f64 + fraction) / count as f64))?;
                Some(task.finish(&self.model)?)
            };
            receive(separation.sample_rate(), separation.push(index, stems)?)?;
        }
        progress(1.0);
        Ok(separation.silent_chunks())
    }
}

fn block(audio: &Audio, start: usize) -> Vec<Vec<f32>> {
    let end = (start + BLOCK).min(audio.frames());
    audio.channels().iter().map(|channel| channel.get(start..end).unwrap_or_default().to_vec()).collect()
}
