//! Band-limited resampling in fixed blocks.
//!
//! rubato's FFT resampler, fed one block at a time on the absolute sample grid, so that the result does not depend on how a stream is
//! cut. The filter is a sinc under a squared Blackman-Harris window, cut off below the lower of the two Nyquist frequencies.
//!
//! * Delay is trimmed: output sample 0 stands for input sample 0.
//! * Length: floor((frames * to + from / 2) / from) frames, at least 1 for an input that is not empty.
//! * Pass band, up to 0.94 of the lower Nyquist frequency: error at least 100 dB below the signal. Images and aliases: at least
//!   100 dB down. Both are tested against closed forms.

use audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::audioadapter_buffers;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use super::Audio;
use crate::error::{Error, Result};
use crate::limits::SAMPLE_RATES;

/// Fewest frames in a block on the slower side. The filter is one block long: 1024 gives a transition band of 6 % of Nyquist.
const SHORTEST_BLOCK: usize = 1_024;

/// Resamples a stream of planar blocks of any length.
pub struct Resampler {
    ratio: Ratio,
    /// `None` where both rates are equal: samples pass unchanged.
    engine: Option<Engine>,
    /// What the last call gave.
    output: Vec<Vec<f32>>,
    consumed: u64,
    produced: u64,
}

/// The block filter with its buffers.
struct Engine {
    filter: Fft<f32>,
    /// The block being filled, `[channels][block_in]`.
    block: Vec<Vec<f32>>,
    filled: usize,
    block_in: usize,
    block_out: usize,
    filtered: Vec<Vec<f32>>,
    /// Output frames of the filter's delay still to drop.
    delay_left: usize,
}

#[derive(Clone, Copy)]
struct Ratio {
    from: u32,
    to: u32,
}

impl Ratio {
    fn new(from: u32, to: u32) -> Result<Self> {
        for rate in [from, to] {
            if !SAMPLE_RATES.contains(&rate) {
                return Err(Error::invalid(format!(
                    "sample rates must be in {}..{} Hz, got {rate}",
                    SAMPLE_RATES.start(),
                    SAMPLE_RATES.end()
                )));
            }
        }
        Ok(Self { from, to })
    }

    /// Output frames for `frames` input frames.
    fn length(self, frames: u64) -> u64 {
        if frames == 0 {
            return 0;
        }
        let (from, to) = (u128::from(self.from), u128::from(self.to));
        // 2^64 input frames times 24 would be the first to overflow; that is 12 million years at 48 kHz.
        (((u128::from(frames) * to + from / 2) / from) as u64).max(1)
    }
}

impl Resampler {
    /// A resampler of `channels` channels from one rate to another, in hertz.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a rate outside 8..192 kHz or no channels.
    pub fn new(from: u32, to: u32, channels: usize) -> Result<Self> {
        let ratio = Ratio::new(from, to)?;
        if channels == 0 {
            return Err(Error::invalid("channels must be at least 1, got 0"));
        }
        let engine = if from == to { None } else { Some(Engine::new(ratio, channels)?) };
        Ok(Self { ratio, engine, output: vec![Vec::new(); channels], consumed: 0, produced: 0 })
    }

    /// Feeds planar samples, `[channels][frames]`, and gives what is ready, `[channels][frames]`: none, or whole filter blocks.
    /// The slice lives until the next call.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for another number of channels, or channels of unequal length.
    pub fn push<C: AsRef<[f32]>>(&mut self, input: &[C]) -> Result<&[Vec<f32>]> {
        let frames = input.first().map_or(0, |channel| channel.as_ref().len());
        if input.len() != self.output.len() || input.iter().any(|channel| channel.as_ref().len() != frames) {
            return Err(Error::invalid(format!("the resampler takes {} channels of one length, got {}", self.output.len(), input.len())));
        }
        self.output.iter_mut().for_each(Vec::clear);
        self.consumed += frames as u64;
        if let Some(engine) = &mut self.engine {
            let mut start = 0;
            while start < frames {
                start += engine.fill(input, start);
                if engine.filled == engine.block_in {
                    engine.filter_block(&mut self.output)?;
                }
            }
        } else {
            for (output, channel) in self.output.iter_mut().zip(input) {
                output.extend_from_slice(channel.as_ref());
            }
        }
        self.produced += self.output_frames();
        Ok(&self.output)
    }

    /// Ends the stream: gives the rest, so that all output together has the exact length. The resampler is then as new.
    ///
    /// # Errors
    /// [`Error::Internal`] if the filter refuses its own block.
    pub fn flush(&mut self) -> Result<&[Vec<f32>]> {
        self.output.iter_mut().for_each(Vec::clear);
        let missing = self.ratio.length(self.consumed).saturating_sub(self.produced);
        if let Some(engine) = &mut self.engine {
            while self.output.first().is_some_and(|channel| (channel.len() as u64) < missing) {
                engine.fill_with_silence();
                engine.filter_block(&mut self.output)?;
            }
            engine.reset();
        }
        self.output.iter_mut().for_each(|channel| channel.truncate(missing as usize));
        (self.consumed, self.produced) = (0, 0);
        Ok(&self.output)
    }

    /// Most input frames that lie between a sample going in and its counterpart coming out.
    #[must_use]
    pub fn latency(&self) -> usize {
        self.engine.as_ref().map_or(0, |engine| engine.block_in + engine.block_in / 2)
    }

    /// Input frames of a filter block, counted from the stream's first: output comes when one is full. `None` where samples pass at once.
    #[must_use]
    pub fn block(&self) -> Option<usize> {
        self.engine.as_ref().map(|engine| engine.block_in)
    }

    fn output_frames(&self) -> u64 {
        self.output.first().map_or(0, |channel| channel.len() as u64)
    }
}

impl Engine {
    fn new(ratio: Ratio, channels: usize) -> Result<Self> {
        let (from, to) = (ratio.from as usize, ratio.to as usize);
        let divisor = greatest_common_divisor(from, to);
        let (unit_in, unit_out) = (from / divisor, to / divisor);
        // An even number of units makes both blocks even: the filter's centre then falls on a sample on both sides, and the delay
        // is a whole number of output frames.
        let units = SHORTEST_BLOCK.div_ceil(unit_in.min(unit_out)).next_multiple_of(2);
        let (block_in, block_out) = (units * unit_in, units * unit_out);
        let filter = Fft::new_custom(from, to, block_in, 1, channels, WindowFunction::BlackmanHarris2, FixedSync::Both)
            .map_err(|error| Error::internal(format!("resampler {from} to {to} Hz: {error}")))?;
        Ok(Self {
            filter,
            block: vec![vec![0.0; block_in]; channels],
            filled: 0,
            block_in,
            block_out,
            filtered: vec![vec![0.0; block_out]; channels],
            delay_left: block_out / 2,
        })
    }

    /// Copies input from frame `start` on into the block; gives the number of frames taken.
    fn fill<C: AsRef<[f32]>>(&mut self, input: &[C], start: usize) -> usize {
        let mut taken = 0;
        for (block, channel) in self.block.iter_mut().zip(input) {
            let rest = channel.as_ref().get(start..).unwrap_or_default();
            let place = block.get_mut(self.filled..).unwrap_or_default();
            taken = rest.len().min(place.len());
            place.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        }
        self.filled += taken;
        taken
    }

    fn fill_with_silence(&mut self) {
        for block in &mut self.block {
            block.get_mut(self.filled..).unwrap_or_default().fill(0.0);
        }
        self.filled = self.block_in;
    }

    /// Filters the full block and appends the result, less the delay, to `output`.
    fn filter_block(&mut self, output: &mut [Vec<f32>]) -> Result<()> {
        self.filled = 0;
        let channels = self.block.len();
        let internal = |error: &dyn std::fmt::Display| Error::internal(format!("resampler block: {error}"));
        let input = SequentialSliceOfVecs::new(&self.block, channels, self.block_in).map_err(|error| internal(&error))?;
        let mut filtered =
            SequentialSliceOfVecs::new_mut(&mut self.filtered, channels, self.block_out).map_err(|error| internal(&error))?;
        self.filter.process_into_buffer(&input, &mut filtered, None).map_err(|error| internal(&error))?;
        for (output, filtered) in output.iter_mut().zip(&self.filtered) {
            output.extend_from_slice(filtered.get(self.delay_left..).unwrap_or_default());
        }
        self.delay_left = self.delay_left.saturating_sub(self.block_out);
        Ok(())
    }

    fn reset(&mut self) {
        self.filter.reset();
        self.filled = 0;
        self.delay_left = self.block_out / 2;
    }
}

/// Resamples one whole channel.
///
/// # Errors
/// [`Error::InvalidInput`] for a rate outside 8..192 kHz, [`Error::OutOfMemory`].
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>> {
    let mut channels = resample_channels(&[samples], from, to)?;
    Ok(channels.pop().unwrap_or_default())
}

/// Resamples a whole sound to `to` hertz.
///
/// # Errors
/// [`Error::InvalidInput`] for a rate outside 8..192 kHz, [`Error::OutOfMemory`].
pub fn resample_audio(audio: &Audio, to: u32) -> Result<Audio> {
    Ok(Audio { channels: resample_channels(&audio.channels, audio.sample_rate, to)?, sample_rate: to })
}

fn resample_channels<C: AsRef<[f32]>>(input: &[C], from: u32, to: u32) -> Result<Vec<Vec<f32>>> {
    let frames = input.first().map_or(0, |channel| channel.as_ref().len());
    let length = Ratio::new(from, to)?.length(frames as u64) as usize;
    let mut resampled = Vec::with_capacity(input.len());
    // A channel at a time: the working set of one block stays in the cache.
    for channel in input {
        let mut whole = Vec::new();
        whole
            .try_reserve_exact(length)
            .map_err(|_| Error::OutOfMemory { what: "resampled sound", bytes: length as u64 * size_of::<f32>() as u64 })?;
        let mut resampler = Resampler::new(from, to, 1)?;
        for piece in channel.as_ref().chunks(PIECE) {
            resampler.push(&[piece])?.iter().for_each(|part| whole.extend_from_slice(part));
        }
        resampler.flush()?.iter().for_each(|part| whole.extend_from_slice(part));
        resampled.push(whole);
    }
    Ok(resampled)
}

/// Frames handed over at once when a whole sound is resampled: bounds the intermediate buffer.
const PIECE: usize = 65_536;

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
