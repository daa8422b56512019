//! The home side of a separation: sound in, chunks out, stems in, segments out.

use std::ops::Range;

use super::condition::{StandardDeviation, is_silent, peak, peak_gain};
use super::network::{Contract, check_finite};
use super::overlap_add::OverlapAdd;
use super::plan::{ChunkGrid, DEFAULT_CHUNK, DEFAULT_OVERLAP};
use crate::audio::Audio;
use crate::audio::channels::stereo;
use crate::audio::resample::Resampler;
use crate::dsp::kernel;
use crate::error::{Error, Result};
use crate::model::Entry;

/// Samples that one preparing step resamples or measures: some 10 ms of work.
const STEP_FRAMES: usize = 1 << 18;

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

/// One separation at home. Call [`Separation::step`] until it returns false, then take chunks in any order, and push their stems in order:
/// each push returns the next segment. Segments tile the sound.
///
/// In every segment the residual stem is the mix minus the sum of the others, so stems sum to the mix at any rate; what lies above the
/// model's range stays in the residual. The mix is the sound itself for one or two channels, else its stereo down-mix.
pub struct Separation {
    entry: Entry,
    stem_names: Vec<String>,
    /// Names of the stems other than the residual.
    kept: Vec<String>,
    options: SeparationOptions,
    /// The mix at the stems' rate, one or two channels.
    mix: Vec<Vec<f32>>,
    /// The mix at the model's rate, where that differs.
    resampled: Option<Vec<Vec<f32>>>,
    sample_rate: u32,
    gain: f32,
    stage: Stage,
    back: Option<Resampler>,
    join: Option<OverlapAdd>,
    /// Frames of the mix that segments have covered.
    covered: usize,
    silent_chunks: usize,
    /// Of each stem, in all segments so far.
    peaks: Vec<f32>,
}

enum Stage {
    Resample { resampler: Box<Resampler>, done: usize },
    Mean { deviation: StandardDeviation, done: usize },
    Deviation { deviation: StandardDeviation, done: usize },
    Ready,
}

impl Separation {
    /// Prepares to separate `audio` with the model of `entry`.
    ///
    /// # Errors
    /// [`Error::TooShort`] without a sample, [`Error::InvalidInput`] for an option out of range, [`Error::ModelLoad`] for an entry whose
    /// contract is not read.
    pub fn new(audio: Audio, entry: Entry, options: SeparationOptions) -> Result<Self> {
        let input_rate = audio.sample_rate();
        if audio.frames() == 0 {
            return Err(Error::TooShort { capability: "separate", given: 0.0, needed: 1.0 / f64::from(input_rate) });
        }
        // Here only to refuse options before any work; the grid is made from the resampled length.
        plan(1, &entry, &options)?;
        let mix = if audio.channels().len() <= 2 { audio.into_channels() } else { stereo(audio.channels())?.into() };
        let sample_rate = match options.output_rate {
            OutputRate::Input => input_rate,
            OutputRate::Model => entry.sample_rate,
        };
        let (stage, resampled) = if input_rate == entry.sample_rate {
            (Stage::Mean { deviation: StandardDeviation::default(), done: 0 }, None)
        } else {
            let resampler = Box::new(Resampler::new(input_rate, entry.sample_rate, mix.len())?);
            (Stage::Resample { resampler, done: 0 }, Some(vec![Vec::new(); mix.len()]))
        };
        let covered = 0;
        let stem_names = entry.stem_names();
        let peaks = vec![0.0; stem_names.len()];
        let kept = stem_names.iter().filter(|stem| **stem != entry.residual).cloned().collect();
        Ok(Self {
            entry,
            stem_names,
            kept,
            options,
            mix,
            resampled,
            sample_rate,
            gain: 0.0,
            stage,
            back: None,
            join: None,
            covered,
            silent_chunks: 0,
            peaks,
        })
    }

    /// Does the next piece of the preparation: resampling, then the gain. Returns whether there is more.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] for the resampled sound.
    pub fn step(&mut self) -> Result<bool> {
        match std::mem::replace(&mut self.stage, Stage::Ready) {
            Stage::Resample { mut resampler, done } => {
                let end = (done + STEP_FRAMES).min(self.frames());
                let block: Vec<&[f32]> = self.mix.iter().map(|channel| &channel[done..end]).collect();
                let resampled = self.resampled.get_or_insert_default();
                append(resampled, resampler.push(&block)?)?;
                if end < self.frames() {
                    self.stage = Stage::Resample { resampler, done: end };
                } else {
                    append(self.resampled.get_or_insert_default(), resampler.flush()?)?;
                    if self.options.output_rate == OutputRate::Model {
                        self.mix = self.resampled.take().unwrap_or_default();
                    }
                    self.stage = Stage::Mean { deviation: StandardDeviation::default(), done: 0 };
                }
            }
            Stage::Mean { mut deviation, done } => {
                let next = self.measure(done, |block| deviation.add(block));
                self.stage = match next {
                    Some(done) => Stage::Mean { deviation, done },
                    None => Stage::Deviation { deviation, done: 0 },
                };
            }
            Stage::Deviation { mut deviation, done } => match self.measure(done, |block| deviation.add_deviation(block)) {
                Some(done) => self.stage = Stage::Deviation { deviation, done },
                None => self.finish_preparation(deviation.finish())?,
            },
            Stage::Ready => {}
        }
        Ok(!matches!(self.stage, Stage::Ready))
    }

    /// How much of the preparation is done, 0..=1.
    #[must_use]
    pub fn progress(&self) -> f64 {
        let part = |done: usize, of: usize| done as f64 / of.max(1) as f64;
        let samples = self.model_mix().iter().map(Vec::len).sum();
        // Resampling is by far the larger part, where there is one.
        let measured = if self.resampled.is_some() { 0.8 } else { 0.0 };
        match &self.stage {
            Stage::Resample { done, .. } => 0.8 * part(*done, self.frames()),
            Stage::Mean { done, .. } => measured + (1.0 - measured) * 0.5 * part(*done, samples),
            Stage::Deviation { done, .. } => measured + (1.0 - measured) * (0.5 + 0.5 * part(*done, samples)),
            Stage::Ready => 1.0,
        }
    }

    /// Measures the next block, channel after channel; `done` counts samples over all channels. Returns where to go on.
    fn measure(&self, done: usize, mut add: impl FnMut(&[f32])) -> Option<usize> {
        let mix = self.model_mix();
        let frames = mix.first().map_or(0, Vec::len);
        let (channel, start) = (done / frames.max(1), done % frames.max(1));
        let end = (start + STEP_FRAMES).min(frames);
        add(mix.get(channel)?.get(start..end)?);
        let next = channel * frames + end;
        (next < frames * mix.len()).then_some(next)
    }

    fn finish_preparation(&mut self, deviation: f32) -> Result<()> {
        self.gain = deviation;
        let length = self.model_mix().first().map_or(0, Vec::len);
        let grid = plan(length, &self.entry, &self.options)?;
        let tracks = self.kept.len() * self.mix.len();
        if self.resampled.is_some() {
            self.back = Some(Resampler::new(self.entry.sample_rate, self.sample_rate, tracks)?);
        }
        self.join = Some(OverlapAdd::new(grid, tracks));
        Ok(())
    }

    /// The chunk grid; absent until the preparation is done.
    #[must_use]
    pub fn grid(&self) -> Option<&ChunkGrid> {
        self.join.as_ref().map(OverlapAdd::grid)
    }

    /// Names of the stems, in the order of every segment.
    #[must_use]
    pub fn stem_names(&self) -> &[String] {
        &self.stem_names
    }

    /// Rate of the stems, in hertz.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Frames of every stem. With [`OutputRate::Model`] known only after the preparation.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.mix.first().map_or(0, Vec::len)
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

    /// Chunk `index` of [`Separation::grid`].
    ///
    /// # Errors
    /// [`Error::InvalidInput`] before the preparation is done or past the last chunk.
    pub fn chunk(&self, index: usize) -> Result<Chunk> {
        let grid = self.ready()?;
        if index >= grid.count() {
            return Err(Error::invalid(format!("chunk must be in 0..{}, got {index}", grid.count() - 1)));
        }
        let samples = grid.samples(index);
        let mix = self.model_mix();
        let channel = |place: usize| mix.get(place).or(mix.first()).and_then(|channel| channel.get(samples.clone())).unwrap_or_default();
        let sides = [channel(0), channel(1)];
        let padded = |side: &[f32]| {
            let mut padded = side.to_vec();
            padded.resize(grid.padded(), 0.0);
            padded
        };
        Ok(Chunk { index, is_silent: is_silent(sides, self.gain), gain: self.gain, channels: sides.map(padded) })
    }

    /// Takes the stems of chunk `index`, in order: the stems other than the residual, `[stems - 1][2][padded frames]`, or `None` for a
    /// silent chunk. Returns the segment that is complete with it.
    ///
    /// # Errors
    /// [`Error::Internal`] out of order or for values that are not finite; [`Error::InvalidInput`] for a wrong length.
    pub fn push(&mut self, index: usize, stems: Option<Vec<f32>>) -> Result<Segment> {
        let padded = self.ready()?.padded();
        let is_last = index + 1 == self.ready()?.count();
        let is_mono = self.mix.len() == 1;
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
                append(&mut resampled, back.flush()?)?;
            }
            tracks = resampled;
        }
        let start = self.covered;
        let ready = tracks.first().map_or(0, Vec::len);
        // Twice resampled, the length may be off by a frame or two.
        let end = if is_last { self.frames() } else { (start + ready).min(self.frames()) };
        tracks.iter_mut().for_each(|track| track.resize(end - start, 0.0));
        self.covered = end;
        let stems = self.close(tracks, start..end);
        for (so_far, channels) in self.peaks.iter_mut().zip(&stems) {
            *so_far = channels.iter().map(|channel| peak(channel)).fold(*so_far, f32::max);
        }
        Ok(Segment { index, start, stems })
    }

    /// All stems of a stretch: those given, `[stems other than the residual * channels]`, and the residual that closes their sum.
    fn close(&self, tracks: Vec<Vec<f32>>, frames: Range<usize>) -> Vec<Vec<Vec<f32>>> {
        let channels = self.mix.len();
        let mut residual: Vec<Vec<f32>> = self.mix.iter().map(|channel| channel[frames.clone()].to_vec()).collect();
        for (place, track) in tracks.iter().enumerate() {
            kernel::subtract(&mut residual[place % channels], track);
        }
        let mut tracks = tracks.into_iter();
        let mut stems: Vec<Vec<Vec<f32>>> = self.kept.iter().map(|_| tracks.by_ref().take(channels).collect()).collect();
        stems.insert(self.entry.residual_index().min(stems.len()), residual);
        stems
    }

    fn model_mix(&self) -> &[Vec<f32>] {
        self.resampled.as_deref().unwrap_or(&self.mix)
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
    Error::invalid("the separation is not prepared yet: call step until it returns false")
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

fn append(channels: &mut [Vec<f32>], more: &[Vec<f32>]) -> Result<()> {
    for (channel, more) in channels.iter_mut().zip(more) {
        let bytes = (more.len() * size_of::<f32>()) as u64;
        channel.try_reserve(more.len()).map_err(|_| Error::OutOfMemory { what: "the resampled sound", bytes })?;
        channel.extend_from_slice(more);
    }
    Ok(())
}
