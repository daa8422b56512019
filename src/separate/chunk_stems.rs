//! A network's output to the samples of its stems, slice by slice.

use super::network::{Contract, PLANES};
use crate::dsp::kernel;
use crate::dsp::stft::{Stft, Synthesis};
use crate::error::{Error, Result};
use crate::model::Entry;
use crate::model::manifest::Consistency;
use crate::model::network::Slice;

/// Keeps the shares of the rest finite where all stems are zero.
const ENERGY_FLOOR: f32 = 1e-8;

/// Samples of the stems of one chunk, from a network's output in slices of frames: masks or spectra, mixture consistency, inverse
/// transform.
///
/// Only the stems other than the residual become samples: the residual is the mix minus their sum.
pub struct ChunkStems {
    contract: Contract,
    outputs: usize,
    samples: usize,
    /// Frames, or samples of a network of waveforms.
    length: usize,
    next: usize,
    /// Places of the stems other than the residual in the network's output.
    kept: Vec<usize>,
    inverse: Option<Inverse>,
    /// `[stems other than the residual][2][samples]`
    output: Vec<f32>,
}

struct Inverse {
    shares_rest: bool,
    /// Of each kept stem.
    channels: Vec<[Synthesis; 2]>,
    /// One frame of each of the network's outputs, real and imaginary part.
    rows: Vec<(Vec<f32>, Vec<f32>)>,
    rest: (Vec<f32>, Vec<f32>),
    energy: Vec<f32>,
}

impl ChunkStems {
    /// Prepares for a chunk of `samples` samples per channel.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the stems cannot be held.
    pub fn new(contract: Contract, stft: Option<&Stft>, entry: &Entry, samples: usize) -> Result<Self> {
        let outputs = entry.outputs();
        let kept: Vec<usize> = (0..outputs.len()).filter(|place| outputs.get(*place) != Some(&entry.residual)).collect();
        let inverse = stft.map(|stft| {
            let row = || (vec![0.0; stft.bins()], vec![0.0; stft.bins()]);
            Inverse {
                shares_rest: entry.parameters.consistency == Consistency::Energy,
                channels: kept.iter().map(|_| [Synthesis::new(stft, samples), Synthesis::new(stft, samples)]).collect(),
                rows: outputs.iter().map(|_| row()).collect(),
                rest: row(),
                energy: vec![0.0; stft.bins()],
            }
        });
        let mut output = Vec::new();
        let length = kept.len() * 2 * samples;
        let bytes = (length * size_of::<f32>()) as u64;
        output.try_reserve_exact(length).map_err(|_| Error::OutOfMemory { what: "the stems of a chunk", bytes })?;
        output.resize(length, 0.0);
        let length = stft.map_or(samples, |stft| stft.frames(samples));
        Ok(Self { contract, outputs: outputs.len(), samples, length, next: 0, kept, inverse, output })
    }

    /// Takes the next slice of the network's output for `input`, the chunk's whole.
    ///
    /// # Errors
    /// [`Error::Internal`] if the slice does not continue the one before it, or is of another shape than the contract's.
    pub fn push(&mut self, stft: Option<&mut Stft>, input: &[f32], slice: &Slice<'_>) -> Result<()> {
        let along = slice.shape.get(2).copied().filter(|_| self.contract.is_sliced()).unwrap_or(self.length);
        let end = slice.start + along;
        if slice.start > self.next || end > self.length || along == 0 {
            return Err(Error::internal(format!("frames {}..{end} of a network's output came where {} was due", slice.start, self.next)));
        }
        let mut wanted = self.contract.output_shape(self.samples, self.outputs);
        if self.contract.is_sliced()
            && let Some(frames) = wanted.get_mut(2)
        {
            *frames = along;
        }
        if slice.shape != wanted || slice.values.len() != wanted.iter().product::<usize>() {
            return Err(Error::internal(format!("a network's output must have shape {wanted:?}, has {:?}", slice.shape)));
        }
        match (stft, &mut self.inverse) {
            (Some(stft), Some(inverse)) => {
                let frames = Frames { contract: self.contract, input, slice, of_chunk: self.length, of_slice: along };
                for frame in self.next..end {
                    for channel in 0..2 {
                        let tracks = self.output.chunks_exact_mut(self.samples.max(1)).skip(channel).step_by(2);
                        inverse.add(stft, &frames, frame, channel, &self.kept, tracks)?;
                    }
                }
            }
            _ => {
                let stem = 2 * self.samples;
                let chunks = self.output.chunks_exact_mut(stem.max(1)).zip(&self.kept);
                chunks.for_each(|(to, place)| to.copy_from_slice(row(slice.values, *place, stem)));
            }
        }
        self.next = end;
        Ok(())
    }

    /// The samples, `[stems other than the residual][2][samples]`.
    ///
    /// # Errors
    /// [`Error::Internal`] if frames are missing.
    pub fn finish(self) -> Result<Vec<f32>> {
        if self.next == self.length {
            Ok(self.output)
        } else {
            Err(Error::internal(format!("the network gave {} of {} frames", self.next, self.length)))
        }
    }
}

/// A slice of the output with the input it belongs to.
struct Frames<'a> {
    contract: Contract,
    input: &'a [f32],
    slice: &'a Slice<'a>,
    of_chunk: usize,
    of_slice: usize,
}

impl Frames<'_> {
    /// One frame of the mix, which only contracts with whole spectra give.
    fn mix(&self, frame: usize, channel: usize, bins: usize) -> [&[f32]; 2] {
        [0, 1].map(|part| row(self.input, (2 * channel + part) * self.of_chunk + frame, bins))
    }

    /// One frame of output `stem`, in the transform's own units.
    fn read(&self, scale: f64, stem: usize, frame: usize, channel: usize, (real, imaginary): &mut (Vec<f32>, Vec<f32>)) {
        let values = self.slice.values;
        if let Contract::Mdx { bins, compensate, .. } = self.contract {
            let factor = (f64::from(compensate) / scale) as f32;
            for (part, row) in [real, imaginary].into_iter().enumerate() {
                let plane = self::row(values, stem * PLANES + 2 * channel + part, bins * self.of_chunk);
                let kept = bins.min(row.len());
                let (low, high) = row.split_at_mut(kept);
                low.iter_mut().zip(plane.iter().skip(frame).step_by(self.of_chunk)).for_each(|(to, from)| *to = from * factor);
                high.fill(0.0);
            }
            return;
        }
        let bins = real.len();
        let part = |part| row(values, (stem * PLANES + 2 * channel + part) * self.of_slice + frame - self.slice.start, bins);
        real.copy_from_slice(part(0));
        imaginary.copy_from_slice(part(1));
        if matches!(self.contract, Contract::ComplexMask(_)) {
            let [mix_real, mix_imaginary] = self.mix(frame, channel, bins);
            kernel::complex_multiply(real, imaginary, mix_real, mix_imaginary);
        }
    }
}

impl Inverse {
    /// Adds one frame of one channel to the tracks of the kept stems.
    fn add<'a>(
        &mut self,
        stft: &mut Stft,
        frames: &Frames<'_>,
        frame: usize,
        channel: usize,
        kept: &[usize],
        tracks: impl Iterator<Item = &'a mut [f32]>,
    ) -> Result<()> {
        for (stem, row) in self.rows.iter_mut().enumerate() {
            // Without shares, what the others give is not needed.
            if self.shares_rest || kept.contains(&stem) {
                frames.read(stft.scale(), stem, frame, channel, row);
            }
        }
        if self.shares_rest {
            let [real, imaginary] = frames.mix(frame, channel, stft.bins());
            self.share_rest(kept, real, imaginary);
        }
        for ((synthesis, stem), track) in self.channels.iter_mut().zip(kept).zip(tracks) {
            if let (Some(synthesis), Some((real, imaginary))) = (synthesis.get_mut(channel), self.rows.get(*stem)) {
                synthesis.push(stft, real, imaginary, track)?;
            }
        }
        Ok(())
    }

    /// Gives each stem its share by energy of what the estimates leave of the mix, so that they sum to it (S. Wisdom et al.,
    /// "Differentiable consistency constraints for improved deep speech enhancement", 2019, section 3.2).
    fn share_rest(&mut self, kept: &[usize], mix_real: &[f32], mix_imaginary: &[f32]) {
        self.rest.0.copy_from_slice(mix_real);
        self.rest.1.copy_from_slice(mix_imaginary);
        self.energy.fill(0.0);
        for (real, imaginary) in &self.rows {
            kernel::subtract(&mut self.rest.0, real);
            kernel::subtract(&mut self.rest.1, imaginary);
            kernel::add_power(&mut self.energy, real, imaginary, ENERGY_FLOOR);
        }
        for stem in kept {
            if let Some((real, imaginary)) = self.rows.get_mut(*stem) {
                kernel::add_share(real, imaginary, &self.rest.0, &self.rest.1, &self.energy, ENERGY_FLOOR);
            }
        }
    }
}

fn row(values: &[f32], index: usize, length: usize) -> &[f32] {
    values.get(index * length..(index + 1) * length).unwrap_or_default()
}
