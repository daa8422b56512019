//! A chunk's spectrum in the network's layout, masks applied to it, and the way back to samples.

use crate::dsp::kernel;
use crate::dsp::stft::{Stft, Synthesis};
use crate::error::{Error, Result};
use crate::model::manifest::{Consistency, Entry};
use crate::model::network::Slice;

/// Keeps the shares of the rest finite where all stems are zero.
const ENERGY_FLOOR: f32 = 1e-8;
/// Real and imaginary part of two channels.
const PLANES: usize = 4;

/// Writes the spectra of two channels as `[left real, left imaginary, right real, right imaginary][frames][bins]`.
///
/// # Errors
/// [`Error::InvalidInput`] if `spectrum` has another length.
pub fn write_spectrum(stft: &mut Stft, channels: [&[f32]; 2], spectrum: &mut [f32]) -> Result<()> {
    let plane = spectrum.len() / PLANES;
    let (left, right) = spectrum.split_at_mut(2 * plane);
    for (channel, part) in channels.into_iter().zip([left, right]) {
        let (real, imaginary) = part.split_at_mut(plane);
        stft.forward(channel, real, imaginary)?;
    }
    Ok(())
}

/// Turns masks into samples, slice by slice of frames: mask, mixture consistency, inverse transform.
///
/// Only the stems other than the residual become samples: the residual is the mix minus their sum.
pub struct MaskedStems {
    stems: usize,
    consistency: Consistency,
    samples: usize,
    frames: usize,
    next_frame: usize,
    kept: Vec<KeptStem>,
    /// One frame of each stem, real and imaginary part.
    rows: Vec<(Vec<f32>, Vec<f32>)>,
    rest: (Vec<f32>, Vec<f32>),
    energy: Vec<f32>,
    /// `[stems other than the residual][2][samples]`
    output: Vec<f32>,
}

struct KeptStem {
    stem: usize,
    channels: [Synthesis; 2],
}

impl MaskedStems {
    /// Prepares for a chunk of `samples` samples per channel.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the stems cannot be held.
    pub fn new(stft: &Stft, entry: &Entry, samples: usize) -> Result<Self> {
        let residual = entry.residual_index();
        let row = || (vec![0.0; stft.bins()], vec![0.0; stft.bins()]);
        let kept: Vec<KeptStem> = (0..entry.stems.len())
            .filter(|stem| *stem != residual)
            .map(|stem| KeptStem { stem, channels: [Synthesis::new(stft, samples), Synthesis::new(stft, samples)] })
            .collect();
        let mut output = Vec::new();
        let length = kept.len() * 2 * samples;
        let bytes = (length * size_of::<f32>()) as u64;
        output.try_reserve_exact(length).map_err(|_| Error::OutOfMemory { what: "the stems of a chunk", bytes })?;
        output.resize(length, 0.0);
        Ok(Self {
            stems: entry.stems.len(),
            consistency: entry.parameters.consistency,
            samples,
            frames: stft.frames(samples),
            next_frame: 0,
            kept,
            rows: (0..entry.stems.len()).map(|_| row()).collect(),
            rest: row(),
            energy: vec![0.0; stft.bins()],
            output,
        })
    }

    /// Applies the masks of a slice, `[1, stems * 4, frames of the slice, bins]`, to `spectrum`, the chunk's whole.
    ///
    /// # Errors
    /// [`Error::Internal`] if the slice does not continue the one before it.
    pub fn push(&mut self, stft: &mut Stft, spectrum: &[f32], slice: &Slice<'_>) -> Result<()> {
        let bins = stft.bins();
        let frames = slice.values.len() / (PLANES * self.stems * bins).max(1);
        if slice.values.len() != PLANES * self.stems * bins * frames || spectrum.len() != PLANES * bins * self.frames {
            return Err(Error::internal(format!("masks of {} values do not fit {} stems", slice.values.len(), self.stems)));
        }
        if slice.start > self.next_frame || slice.start + frames > self.frames {
            let last = slice.start + frames;
            return Err(Error::internal(format!("masks of frames {}..{last} came where {} was due", slice.start, self.next_frame)));
        }
        for frame in self.next_frame..slice.start + frames {
            for channel in 0..2 {
                let mix = |part: usize| row(spectrum, (2 * channel + part) * self.frames + frame, bins);
                for (stem, (real, imaginary)) in self.rows.iter_mut().enumerate() {
                    let mask = |part| row(slice.values, (stem * PLANES + 2 * channel + part) * frames + frame - slice.start, bins);
                    real.copy_from_slice(mask(0));
                    imaginary.copy_from_slice(mask(1));
                    kernel::complex_multiply(real, imaginary, mix(0), mix(1));
                }
                if self.consistency == Consistency::Energy {
                    self.share_rest(mix(0), mix(1));
                }
                for (place, kept) in self.kept.iter_mut().enumerate() {
                    let track = (2 * place + channel) * self.samples;
                    let (real, imaginary) = &self.rows[kept.stem];
                    kept.channels[channel].push(stft, real, imaginary, &mut self.output[track..track + self.samples])?;
                }
            }
        }
        self.next_frame = slice.start + frames;
        Ok(())
    }

    /// Gives each stem its share by energy of what the estimates leave of the mix, so that they sum to it (S. Wisdom et al.,
    /// "Differentiable consistency constraints for improved deep speech enhancement", 2019, section 3.2).
    fn share_rest(&mut self, mix_real: &[f32], mix_imaginary: &[f32]) {
        self.rest.0.copy_from_slice(mix_real);
        self.rest.1.copy_from_slice(mix_imaginary);
        self.energy.fill(0.0);
        for (real, imaginary) in &self.rows {
            kernel::subtract(&mut self.rest.0, real);
            kernel::subtract(&mut self.rest.1, imaginary);
            kernel::add_power(&mut self.energy, real, imaginary, ENERGY_FLOOR);
        }
        for kept in &self.kept {
            let (real, imaginary) = &mut self.rows[kept.stem];
            kernel::add_share(real, imaginary, &self.rest.0, &self.rest.1, &self.energy, ENERGY_FLOOR);
        }
    }

    /// The samples, `[stems other than the residual][2][samples]`.
    ///
    /// # Errors
    /// [`Error::Internal`] if frames are missing.
    pub fn finish(self) -> Result<Vec<f32>> {
        if self.next_frame == self.frames {
            Ok(self.output)
        } else {
            Err(Error::internal(format!("the network gave {} of {} frames", self.next_frame, self.frames)))
        }
    }
}

fn row(values: &[f32], index: usize, length: usize) -> &[f32] {
    &values[index * length..(index + 1) * length]
}
