//! The home side of a separation: sound in, chunks out, stems in, segments out.

use std::ops::Range;

use super::condition::{StandardDeviation, is_silent, peak, peak_gain};
use super::network::{Contract, check_finite};
use super::overlap_add::OverlapAdd;
use super::plan::{ChunkGrid, DEFAULT_CHUNK, DEFAULT_OVERLAP};
use super::window::Window;
use crate::audio::channels::stereo;
use crate::audio::resample::Resampler;
use crate::dsp::kernel;
use crate::error::{Error, Result};
use crate::limits::check_channels;
use crate::model::Entry;

/// What a caller may choose about a separation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SeparationOptions {
    /// Seconds of a chunk, 6..=30. Default 18. Not for a model whose chunk is fixed.
    pub chunk: Option<f64>,
    /// Seconds that chunks overlap, 0.5..=4, at most half a chunk. Default 1.75, of a fixed chunk at most a quarter.
    pub overlap: Option<f64>,
    /// Rate of the stems. Default: that of the input.
    pub output_rate: OutputRate,
}

/// Rate of the stems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputRate {
    /// That of the sound given: stems are as long as it, to the sample.
    #[default]
    Input,
    /// That of the model.
    Model,
}

/// One chunk to separate.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Its place in the grid.
    pub index: usize,
    /// So quiet that its stems are zero: nothing needs to be inferred.
    pub is_silent: bool,
    /// Standard deviation of the whole sound.
    pub gain: f32,
    /// Left and right, at the model's rate, padded by zeros to the length of every chunk.
    pub channels: [Vec<f32>; 2],
}

/// A finished stretch of all stems.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Its place, from 0.
    pub index: usize,
    /// First frame, at the stems' rate.
    pub start: usize,
    /// Samples, `[stems][channels][frames]`, stems in the model's order; one channel if the sound had one, else two.
    pub stems: Vec<Vec<Vec<f32>>>,
}

impl Segment {
    /// Frames of every channel.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.stems.first().and_then(|channels| channels.first()).map_or(0, Vec::len)
    }
}

/// One separation at home. The sound is heard twice, block by block, and never held whole.
///
/// First give all of it to [`Separation::measure`], then call [`Separation::finish_measuring`]: length, gain and grid are known. Then,
/// for each chunk in order, give it to [`Separation::feed`] from the start again for as long as [`Separation::needs_sound`], and take
/// the chunk; push the chunks' stems in order, each as soon as it is there: every push returns the next segment. Segments tile the sound.
/// How the sound was cut into blocks does not show in any bit. In memory lie the chunk and what lies between the first chunk whose stems
/// are not pushed and the last that was taken.
///
/// In every segment the residual stem is the mix minus the sum of the others, so stems sum to the mix at any rate; what lies above the
/// model's range stays in the residual. The mix is the sound itself for one or two channels, else its stereo down-mix.
pub struct Separation {
    entry: Entry,
    stem_names: Vec<String>,
    /// Names of the stems other than the residual.
    kept: Vec<String>,
    options: SeparationOptions,
    input_rate: u32,
    sample_rate: u32,
    /// To the model's rate, where the sound has another.
    forth: Option<Resampler>,
    /// The mix at the model's rate.
    model_mix: Window,
    /// The mix at the stems' rate, where that is not the model's.
    mix: Option<Window>,
    channels: usize,
    /// Frames of the sound that were measured.
    measured: usize,
    /// Frames of the sound that were fed.
    fed: usize,
    /// Samples at the model's rate that were measured.
    model_length: usize,
    deviation: Vec<StandardDeviation>,
    gain: f32,
    back: Option<Resampler>,
    join: Option<OverlapAdd>,
    /// The next chunk to be taken.
    next: usize,
    /// Frames of the mix that segments have covered.
    covered: usize,
    silent_chunks: usize,
    /// Of each stem, in all segments so far.
    peaks: Vec<f32>,
}

impl Separation {
    /// Prepares to separate a sound of `channels` channels at `input_rate` hertz with the model of `entry`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for an option out of range, or a sound without channels or of a rate outside 8..192 kHz;
    /// [`Error::ModelLoad`] for an entry whose contract is not read.
    pub fn new(channels: usize, input_rate: u32, entry: Entry, options: SeparationOptions) -> Result<Self> {
        check_channels(channels)?;
        // Here only to refuse options before any work; the grid is made from the resampled length.
        plan(1, &entry, &options)?;
        let channels = channels.min(2);
        let sample_rate = match options.output_rate {
            OutputRate::Input => input_rate,
            OutputRate::Model => entry.sample_rate,
        };
        let resampled = input_rate != entry.sample_rate;
        let forth = if resampled { Some(Resampler::new(input_rate, entry.sample_rate, channels)?) } else { None };
        let stem_names = entry.stem_names();
        let peaks = vec![0.0; stem_names.len()];
        let kept = stem_names.iter().filter(|stem| **stem != entry.residual).cloned().collect();
        Ok(Self {
            stem_names,
            kept,
            options,
            input_rate,
            sample_rate,
            forth,
            model_mix: Window::new(channels),
            mix: (sample_rate != entry.sample_rate).then(|| Window::new(channels)),
            entry,
            channels,
            measured: 0,
            fed: 0,
            model_length: 0,
            deviation: vec![StandardDeviation::default(); channels],
            gain: 0.0,
            back: None,
            join: None,
            next: 0,
            covered: 0,
            silent_chunks: 0,
            peaks,
        })
    }

    /// Hears the next block for the first time, `[channels][frames]`, and gives back its mix, `[1 or 2][frames]`: to feed that later is
    /// the same as to feed the block.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for another number of channels or a mix that is no number, or after [`Separation::finish_measuring`].
    pub fn measure(&mut self, block: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>> {
        if self.join.is_some() {
            return Err(Error::invalid("the sound is measured already: feed it"));
        }
        let mix = self.mix_of(block)?;
        self.measured += frames_of(&mix);
        match &mut self.forth {
            Some(resampler) => add_moments(&mut self.deviation, &mut self.model_length, resampler.push(&mix)?),
            None => add_moments(&mut self.deviation, &mut self.model_length, &mix),
        }
        Ok(mix)
    }

    /// Says that the whole sound has been measured. The gain and the grid follow from it.
    ///
    /// # Errors
    /// [`Error::TooShort`] without a sample.
    pub fn finish_measuring(&mut self) -> Result<()> {
        if self.measured == 0 {
            return Err(Error::TooShort { capability: "separate", given: 0.0, needed: 1.0 / f64::from(self.input_rate) });
        }
        if let Some(resampler) = &mut self.forth {
            add_moments(&mut self.deviation, &mut self.model_length, resampler.flush()?);
        }
        self.gain = StandardDeviation::over(&std::mem::take(&mut self.deviation));
        let grid = plan(self.model_length, &self.entry, &self.options)?;
        let tracks = self.kept.len() * self.channels;
        if self.mix.is_some() {
            self.back = Some(Resampler::new(self.entry.sample_rate, self.sample_rate, tracks)?);
        }
        self.join = Some(OverlapAdd::new(grid, tracks));
        Ok(())
    }

    /// Whether more of the sound must be fed before the next chunk can be taken.
    #[must_use]
    pub fn needs_sound(&self) -> bool {
        self.grid().is_some_and(|grid| self.next < grid.count() && self.model_mix.end() < grid.samples(self.next).end)
    }

    /// Hears the next block for the second time: the sound's own channels, or its mix.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for another number of channels, before [`Separation::finish_measuring`], or for more than was measured:
    /// the sound has changed in between.
    pub fn feed(&mut self, block: Vec<Vec<f32>>) -> Result<()> {
        self.ready()?;
        let mix = self.mix_of(block)?;
        self.fed += frames_of(&mix);
        if self.fed > self.measured {
            return Err(self.has_changed());
        }
        if let Some(resampler) = &mut self.forth {
            self.model_mix.append(resampler.push(&mix)?)?;
            if self.fed == self.measured {
                self.model_mix.append(resampler.flush()?)?;
            }
        } else {
            self.model_mix.append(&mix)?;
        }
        match &mut self.mix {
            Some(window) => window.append(&mix),
            None => Ok(()),
        }
    }

    /// The mix of a block: one or two channels pass as they are.
    fn mix_of(&self, block: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>> {
        let mix: Vec<Vec<f32>> = if block.len() <= 2 { block } else { stereo(&block)?.into() };
        let frames = frames_of(&mix);
        if mix.len() != self.channels || mix.iter().any(|channel| channel.len() != frames) {
            return Err(Error::invalid(format!("a block must have {} channels of one length, got {}", self.channels, mix.len())));
        }
        if mix.iter().flatten().any(|sample| !sample.is_finite()) {
            return Err(Error::invalid("the mix of the channels is beyond the range of 32-bit numbers: repair the sound first"));
        }
        Ok(mix)
    }

    fn has_changed(&self) -> Error {
        Error::invalid(format!(
            "the sound has changed while it was read: it had {} frames the first time, and {} or more the second",
            self.measured, self.fed
        ))
    }

    /// The chunk grid; absent until the sound is measured.
    #[must_use]
    pub fn grid(&self) -> Option<&ChunkGrid> {
        self.join.as_ref().map(OverlapAdd::grid)
    }

    /// Names of the stems, in the order of every segment.
    #[must_use]
    pub fn stem_names(&self) -> &[String] {
        &self.stem_names
    }

    /// Rate of the sound, in hertz.
    #[must_use]
    pub fn input_rate(&self) -> u32 {
        self.input_rate
    }

    /// Rate of the stems, in hertz.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Frames of every stem, once the sound is measured.
    #[must_use]
    pub fn frames(&self) -> usize {
        if self.mix.is_some() { self.measured } else { self.model_length }
    }

    /// Chunks so far that were given back as silence.
    #[must_use]
    pub fn silent_chunks(&self) -> usize {
        self.silent_chunks
    }

    /// Factors that normalise the stems of all segments so far, in the order of [`Separation::stem_names`]. Applying them is the last
    /// thing to do: scaled stems sum to the mix no more.
    #[must_use]
    pub fn peak_gains(&self) -> Vec<f32> {
        self.peaks.iter().map(|peak| peak_gain(*peak)).collect()
    }

    /// Chunk `index` of [`Separation::grid`]: the next one.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] before the sound is measured, past the last chunk, or if the sound ended before it was fed as far as it
    /// was measured; [`Error::Internal`] out of order.
    pub fn chunk(&mut self, index: usize) -> Result<Chunk> {
        let grid = self.ready()?;
        if index >= grid.count() {
            return Err(Error::invalid(format!("chunk must be in 0..{}, got {index}", grid.count() - 1)));
        }
        let (padded, samples) = (grid.padded(), grid.samples(index));
        if index != self.next {
            return Err(Error::internal(format!("chunk {index} was asked for where {} was due", self.next)));
        }
        if self.needs_sound() {
            return Err(Error::invalid(format!(
                "the sound has changed while it was read, or was not fed: it had {} frames the first time, and {} the second",
                self.measured, self.fed
            )));
        }
        let frames = samples.len();
        let side = |place: usize| -> Result<Vec<f32>> {
            let mut side = Vec::with_capacity(padded);
            self.model_mix.copy(place.min(self.channels - 1), samples.clone(), &mut side)?;
            side.resize(padded, 0.0);
            Ok(side)
        };
        let channels: [Vec<f32>; 2] = [side(0)?, side(1)?];
        let inside = channels.each_ref().map(|side| side.get(..frames).unwrap_or_default());
        let is_silent = is_silent(inside, self.gain);
        self.next += 1;
        self.let_go();
        Ok(Chunk { index, is_silent, gain: self.gain, channels })
    }

    /// Lets go of what neither a chunk nor a segment will need.
    fn let_go(&mut self) {
        let start = self.grid().map_or(0, |grid| grid.samples(self.next.min(grid.count() - 1)).start);
        match &mut self.mix {
            Some(mix) => {
                self.model_mix.forget(start);
                mix.forget(self.covered);
            }
            None => self.model_mix.forget(start.min(self.covered)),
        }
    }

    /// Takes the stems of chunk `index`, in order: the stems other than the residual, `[stems - 1][2][padded frames]`, or `None` for a
    /// silent chunk. Returns the segment that is complete with it.
    ///
    /// # Errors
    /// [`Error::Internal`] out of order or for values that are not finite; [`Error::InvalidInput`] for a wrong length.
    pub fn push(&mut self, index: usize, stems: Option<Vec<f32>>) -> Result<Segment> {
        let padded = self.ready()?.padded();
        let is_last = index + 1 == self.ready()?.count();
        let is_mono = self.channels == 1;
        let stems = match stems {
            Some(mut stems) => {
                let wanted = self.kept.len() * 2 * padded;
                if stems.len() != wanted {
                    return Err(Error::invalid(format!("chunk {index} must come back with {wanted} samples, got {}", stems.len())));
                }
                for (stem, samples) in self.kept.iter().zip(stems.chunks_exact(2 * padded)) {
                    check_finite(&self.entry, index, stem, samples)?;
                }
                if is_mono {
                    average_channels(&mut stems, padded);
                }
                Some(stems)
            }
            None => None,
        };
        let join = self.join.as_mut().ok_or_else(not_ready)?;
        self.silent_chunks += usize::from(stems.is_none());
        let mut tracks = join.push(index, stems.as_deref())?;
        drop(stems);
        if let Some(back) = &mut self.back {
            let mut resampled = back.push(&tracks)?.to_vec();
            if is_last {
                resampled.iter_mut().zip(back.flush()?).for_each(|(channel, rest)| channel.extend_from_slice(rest));
            }
            tracks = resampled;
        }
        let start = self.covered;
        let ready = tracks.first().map_or(0, Vec::len);
        // Twice resampled, the length may be off by a frame or two.
        let end = if is_last { self.frames() } else { (start + ready).min(self.frames()) };
        tracks.iter_mut().for_each(|track| track.resize(end - start, 0.0));
        self.covered = end;
        let stems = self.close(tracks, start..end)?;
        self.let_go();
        for (so_far, channels) in self.peaks.iter_mut().zip(&stems) {
            *so_far = channels.iter().map(|channel| peak(channel)).fold(*so_far, f32::max);
        }
        Ok(Segment { index, start, stems })
    }

    /// All stems of a stretch: those given, `[stems other than the residual * channels]`, and the residual that closes their sum.
    fn close(&self, tracks: Vec<Vec<f32>>, frames: Range<usize>) -> Result<Vec<Vec<Vec<f32>>>> {
        let mix = self.mix.as_ref().unwrap_or(&self.model_mix);
        let mut residual = Vec::with_capacity(self.channels);
        for channel in 0..self.channels {
            let mut samples = Vec::with_capacity(frames.len());
            mix.copy(channel, frames.clone(), &mut samples)?;
            residual.push(samples);
        }
        for (residual, place) in residual.iter_mut().zip(0..) {
            tracks.iter().skip(place).step_by(self.channels).for_each(|track| kernel::subtract(residual, track));
        }
        let mut tracks = tracks.into_iter();
        let mut stems: Vec<Vec<Vec<f32>>> = self.kept.iter().map(|_| tracks.by_ref().take(self.channels).collect()).collect();
        stems.insert(self.entry.residual_index().min(stems.len()), residual);
        Ok(stems)
    }

    fn ready(&self) -> Result<&ChunkGrid> {
        self.grid().ok_or_else(not_ready)
    }
}

/// The chunk grid of a sound of `length` samples for the model of `entry`.
fn plan(length: usize, entry: &Entry, options: &SeparationOptions) -> Result<ChunkGrid> {
    let (chunk, overlap, rate) = (options.chunk, options.overlap, entry.sample_rate);
    match (Contract::of(entry)?.fixed_chunk(), chunk) {
        (None, _) => ChunkGrid::from_seconds(length, rate, chunk.unwrap_or(DEFAULT_CHUNK), overlap.unwrap_or(DEFAULT_OVERLAP)),
        (Some(fixed), None) => ChunkGrid::fixed(length, rate, fixed, overlap),
        (Some(fixed), Some(chunk)) => Err(Error::invalid(format!(
            "options.chunk must be left out for model {}, whose chunks are {:.3} s whatever is asked for, got {chunk}",
            entry.name,
            fixed as f64 / f64::from(rate)
        ))),
    }
}

fn not_ready() -> Error {
    Error::invalid("the separation is not prepared yet: measure the whole sound first")
}

/// Both channels of each stem, `[stems][2][frames]`, become one: their mean, `[stems][frames]`.
fn average_channels(stems: &mut Vec<f32>, frames: usize) {
    let count = stems.len() / (2 * frames).max(1);
    for stem in 0..count {
        for frame in 0..frames {
            let (left, right) = (stems[2 * stem * frames + frame], stems[(2 * stem + 1) * frames + frame]);
            stems[stem * frames + frame] = (left + right) / 2.0;
        }
    }
    stems.truncate(count * frames);
}

fn frames_of(channels: &[Vec<f32>]) -> usize {
    channels.first().map_or(0, Vec::len)
}

fn add_moments(deviation: &mut [StandardDeviation], length: &mut usize, block: &[Vec<f32>]) {
    *length += frames_of(block);
    deviation.iter_mut().zip(block).for_each(|(deviation, channel)| deviation.add(channel));
}
