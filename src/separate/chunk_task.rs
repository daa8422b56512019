//! One chunk to stems.

use super::chunk_stems::ChunkStems;
use super::condition;
use super::network::Contract;
use super::spectrum::write_input;
use super::trial::{self, Trial};
use crate::dsp::kernel;
use crate::dsp::stft::Stft;
use crate::error::{Error, Result};
use crate::model::Network;
use crate::model::manifest::{Entry, Gain};
use crate::model::network::{Run, Slice};

/// Progress is told in steps of at least this fraction.
const PROGRESS_STEP: f64 = 0.02;
/// Frames of a supplied output that are worked on at once.
const SUPPLIED_FRAMES: usize = 128;

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
    stft: Option<Stft>,
}

impl<N: Network> SeparatorModel<N> {
    /// Checks that `network` keeps the contract that `entry` names, with a trial run.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] naming the tensor, the shape found and the shape wanted.
    pub fn new(entry: Entry, mut network: N) -> Result<Self> {
        let contract = Contract::of(&entry)?;
        contract.check(&entry, &mut network)?;
        let stft = contract.transform().map(|transform| Stft::new(transform.n_fft, transform.hop)).transpose()?;
        Ok(Self { stft, entry, network, contract })
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

    /// Runs the network once on fixed noise, 65 frames or its only size: what another runtime must give, too.
    ///
    /// # Errors
    /// What the network returns.
    pub fn trial(&mut self) -> Result<Trial> {
        trial::run(self.contract, &self.entry, &mut self.network)
    }
}

/// Input of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkInput {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// The work on one chunk. Its result depends on the chunk and the model alone.
///
/// Either [`ChunkTask::run`] runs the model's own network, or somebody else runs the same network on what [`ChunkTask::prepare`] gives,
/// and [`ChunkTask::supply`] takes the output; then [`ChunkTask::finish`] gives the stems.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkTask {
    /// Scaled as the network wants them.
    channels: [Vec<f32>; 2],
    gain: f32,
    conditioning: Conditioning,
    prepared: Option<NetworkInput>,
    estimate: Option<Vec<f32>>,
}

impl ChunkTask {
    /// Takes samples of the left and the right channel, as long as each other, and the standard deviation of the whole sound.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the channels differ in length, have a length that the model does not take, or the gain is not positive.
    pub fn new<N>(model: &SeparatorModel<N>, mut channels: [Vec<f32>; 2], gain: f32, conditioning: Conditioning) -> Result<Self> {
        let [left, right] = [channels[0].len(), channels[1].len()];
        if left == 0 || left != right || !(gain > 0.0 && gain.is_finite()) {
            return Err(Error::invalid(format!(
                "a chunk needs two channels of one length and a positive gain, got {left} and {right} samples and gain {gain}"
            )));
        }
        if let Some(wanted) = model.contract.fixed_chunk().filter(|wanted| *wanted != left) {
            return Err(Error::invalid(format!("a chunk for model {} must hold {wanted} samples, got {left}", model.entry.name)));
        }
        let gain = match model.entry.parameters.gain {
            Gain::Std => gain,
            Gain::None => 1.0,
        };
        // Division, not a product with the inverse: both scale exactly with powers of two, but this rounds once.
        channels.iter_mut().flatten().for_each(|sample| *sample /= gain);
        Ok(Self { channels, gain, conditioning, prepared: None, estimate: None })
    }

    /// The network's input, for somebody else to run the network on.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if it cannot be held.
    pub fn prepare<N: Network>(&mut self, model: &mut SeparatorModel<N>) -> Result<&NetworkInput> {
        let input = match self.prepared.take() {
            Some(input) => input,
            None => {
                let shape = model.contract.input_shape(self.samples());
                let mut values = zeros(shape.iter().product(), "the input of a network")?;
                write_input(model.contract, model.stft.as_mut(), self.sides(), &mut values)?;
                NetworkInput { shape, values }
            }
        };
        Ok(self.prepared.insert(input))
    }

    /// Runs the model's own network. `progress` receives fractions, at least 2 % apart.
    ///
    /// # Errors
    /// What the network returns.
    pub fn run<N: Network>(&mut self, model: &mut SeparatorModel<N>, progress: &mut dyn FnMut(f64)) -> Result<()> {
        let samples = self.samples();
        let prepared = self.prepared.take();
        let SeparatorModel { entry, network, contract, stft } = model;
        let mut stems = ChunkStems::new(*contract, stft.as_ref(), entry, samples)?;
        let shape = contract.input_shape(samples);
        // Both closures transform, one after the other.
        let stft = std::cell::RefCell::new(stft.as_mut());
        network.run(
            &shape,
            Run {
                fill: &mut |input| match &prepared {
                    Some(prepared) if prepared.values.len() == input.len() => {
                        input.copy_from_slice(&prepared.values);
                        Ok(())
                    }
                    _ => write_input(*contract, stft.borrow_mut().as_deref_mut(), self.sides(), input),
                },
                output: &mut |input, slice| stems.push(stft.borrow_mut().as_deref_mut(), input, &slice),
                progress: &mut coarse(progress),
            },
        )?;
        self.estimate = Some(stems.finish()?);
        progress(1.0);
        Ok(())
    }

    /// Takes the network's whole output of `shape` from whoever ran it on what [`ChunkTask::prepare`] gave. `read(offset, values)`
    /// fills `values` with the output from `offset` on, so that the whole need not be held here.
    ///
    /// After a refusal [`ChunkTask::run`] may still be called.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for another shape than the contract's, [`Error::Internal`] for values that are not finite; what `read`
    /// returns.
    pub fn supply<N: Network>(
        &mut self,
        model: &mut SeparatorModel<N>,
        shape: &[usize],
        read: &mut dyn FnMut(usize, &mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let samples = self.samples();
        let wanted = model.contract.output_shape(samples, model.entry.outputs().len());
        if shape != wanted {
            return Err(Error::invalid(format!("the output of model {} must have shape {wanted:?}, got {shape:?}", model.entry.name)));
        }
        self.prepare(model)?;
        let input = self.prepared.as_ref().map_or(&[][..], |input| &input.values);
        let mut stems = ChunkStems::new(model.contract, model.stft.as_ref(), &model.entry, samples)?;
        // Of an output that is not sliced, all is one plane.
        let (planes, frames, inner) = match (model.contract.is_sliced(), shape) {
            (true, &[_, planes, frames, bins]) => (planes, frames, bins),
            _ => (1, 1, shape.iter().product()),
        };
        let mut values = Vec::new();
        for start in (0..frames).step_by(SUPPLIED_FRAMES) {
            let length = SUPPLIED_FRAMES.min(frames - start);
            values.resize(planes * length * inner, 0.0);
            for (plane, part) in values.chunks_exact_mut(length * inner).enumerate() {
                read((plane * frames + start) * inner, part)?;
            }
            if !values.iter().all(|value| value.is_finite()) {
                return Err(Error::internal(format!("an output supplied for model {} is not finite", model.entry.name)));
            }
            let mut slice = shape.to_vec();
            if let Some(size) = slice.get_mut(2).filter(|_| model.contract.is_sliced()) {
                *size = length;
            }
            stems.push(model.stft.as_mut(), input, &Slice { start, shape: &slice, values: &values })?;
        }
        self.estimate = Some(stems.finish()?);
        Ok(())
    }

    /// The stems other than the residual, `[stems - 1][2][frames]`: gain undone, low end in order.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] before [`ChunkTask::run`] or [`ChunkTask::supply`] has succeeded.
    pub fn finish<N: Network>(self, model: &SeparatorModel<N>) -> Result<Vec<f32>> {
        let samples = self.samples();
        let mut stems = self.estimate.ok_or_else(|| Error::invalid("a chunk was finished before its network ran: call run or supply"))?;
        kernel::scale(&mut stems, self.gain);
        if self.conditioning == Conditioning::On {
            condition_stems(&model.entry, &mut stems, samples);
        }
        Ok(stems)
    }

    fn samples(&self) -> usize {
        self.channels[0].len()
    }

    fn sides(&self) -> [&[f32]; 2] {
        let [left, right] = &self.channels;
        [left, right]
    }
}

fn condition_stems(entry: &Entry, stems: &mut [f32], frames: usize) {
    let kept = entry.outputs().into_iter().filter(|stem| *stem != entry.residual);
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

fn zeros(length: usize, what: &'static str) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    let bytes = (length * size_of::<f32>()) as u64;
    values.try_reserve_exact(length).map_err(|_| Error::OutOfMemory { what, bytes })?;
    values.resize(length, 0.0);
    Ok(values)
}

/// Passes on only what is at least a step further, and the end.
fn coarse(progress: &mut dyn FnMut(f64)) -> impl FnMut(f64) {
    let mut told = 0.0;
    move |fraction| {
        if fraction >= told + PROGRESS_STEP && fraction < 1.0 {
            told = fraction;
            progress(fraction);
        }
    }
}
