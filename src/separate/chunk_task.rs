//! One chunk to stems.

use std::cell::RefCell;

use super::condition;
use super::network::Contract;
use super::spectrum::{MaskedStems, write_spectrum};
use crate::dsp::kernel;
use crate::dsp::stft::Stft;
use crate::error::{Error, Result};
use crate::model::Network;
use crate::model::manifest::{Entry, Gain};
use crate::model::network::Run;

/// Progress is told in steps of at least this fraction.
const PROGRESS_STEP: f64 = 0.02;
/// Whether stems are filtered at the low end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditioning {
    /// Vocals without what lies below 30 Hz, bass mono below 120 Hz.
    On,
    /// As the network gives them.
    Off,
}

/// Stems with a filter of their own.
const VOCALS: &str = "vocals";
const BASS: &str = "bass";

/// A network that separates, checked against its manifest entry.
pub struct SeparatorModel<N> {
    entry: Entry,
    network: N,
    contract: Contract,
    stft: Stft,
}

impl<N: Network> SeparatorModel<N> {
    /// Checks that `network` keeps the contract that `entry` names, with a trial run.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] naming the tensor, the shape found and the shape wanted.
    pub fn new(entry: Entry, mut network: N) -> Result<Self> {
        let contract = Contract::of(&entry)?;
        contract.check(&entry, &mut network)?;
        let Contract::ComplexMask { n_fft, hop } = contract;
        Ok(Self { stft: Stft::new(n_fft, hop)?, entry, network, contract })
    }

    /// The manifest entry.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &N {
        &self.network
    }
}

/// The work on one chunk. Its result depends on the chunk and the model alone.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkTask {
    /// Samples of the left and the right channel, as long as each other.
    pub channels: [Vec<f32>; 2],
    /// Standard deviation of the whole file.
    pub gain: f32,
    /// Whether vocals are high-passed and bass is made mono at the low end.
    pub conditioning: Conditioning,
}

impl ChunkTask {
    /// Separates the chunk and returns the stems other than the residual, `[stems - 1][2][frames]`. `progress` receives fractions,
    /// at least 2 % apart.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the channels differ in length or the gain is not positive; what the network returns.
    pub fn run<N: Network>(mut self, model: &mut SeparatorModel<N>, progress: &mut dyn FnMut(f64)) -> Result<Vec<f32>> {
        let frames = self.channels[0].len();
        if frames == 0 || frames != self.channels[1].len() || !(self.gain > 0.0 && self.gain.is_finite()) {
            let [left, right] = self.channels.map(|channel| channel.len());
            let gain = self.gain;
            return Err(Error::invalid(format!(
                "a chunk needs two channels of one length and a positive gain, got {left} and {right} samples and gain {gain}"
            )));
        }
        let gain = match model.entry.parameters.gain {
            Gain::Std => self.gain,
            Gain::None => 1.0,
        };
        // Division, not a product with the inverse: both scale exactly with powers of two, but this rounds once.
        self.channels.iter_mut().flatten().for_each(|sample| *sample /= gain);
        let mut stems = estimate(model, &self.channels, &mut coarse(progress))?;
        kernel::scale(&mut stems, gain);
        if self.conditioning == Conditioning::On {
            condition_stems(&model.entry, &mut stems, frames);
        }
        progress(1.0);
        Ok(stems)
    }
}

/// The network's part: spectrum, masks, inverse.
fn estimate<N: Network>(model: &mut SeparatorModel<N>, channels: &[Vec<f32>; 2], progress: &mut dyn FnMut(f64)) -> Result<Vec<f32>> {
    let SeparatorModel { entry, network, contract, stft } = model;
    let samples = channels[0].len();
    let mut stems = MaskedStems::new(stft, entry, samples)?;
    let shape = contract.input_shape(stft.frames(samples));
    // Both closures transform, one after the other.
    let stft = RefCell::new(stft);
    network.run(
        &shape,
        Run {
            fill: &mut |spectrum| write_spectrum(&mut stft.borrow_mut(), [&channels[0], &channels[1]], spectrum),
            output: &mut |spectrum, masks| stems.push(&mut stft.borrow_mut(), spectrum, &masks),
            progress,
        },
    )?;
    stems.finish()
}

fn condition_stems(entry: &Entry, stems: &mut [f32], frames: usize) {
    let kept = entry.stems.iter().filter(|stem| **stem != entry.residual);
    for (name, channels) in kept.zip(stems.chunks_exact_mut(2 * frames)) {
        let (left, right) = channels.split_at_mut(frames);
        match name.as_str() {
            VOCALS => {
                condition::high_pass_vocals(left, entry.sample_rate);
                condition::high_pass_vocals(right, entry.sample_rate);
            }
            BASS => condition::narrow_bass(left, right, entry.sample_rate),
            _ => {}
        }
    }
}

/// Passes on only what is at least a step further; the end is told by the task itself.
fn coarse(progress: &mut dyn FnMut(f64)) -> impl FnMut(f64) {
    let mut told = 0.0;
    move |fraction| {
        if fraction >= told + PROGRESS_STEP && fraction < 1.0 {
            told = fraction;
            progress(fraction);
        }
    }
}
