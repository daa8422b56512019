//! What a separating network takes and gives: its contract, and the checks that it keeps it.

use super::trial;
use crate::error::{Error, Result};
use crate::model::Network;
use crate::model::manifest::{Entry, SEPARATOR_CONTRACTS};
use crate::model::network::Dim;

/// Frames of the trial run of a network of any length.
const TRIAL_FRAMES: usize = 65;
/// Samples of the trial run of a network of waveforms of any length.
const TRIAL_SAMPLES: usize = 65_536;
/// Real and imaginary part of two channels.
pub(super) const PLANES: usize = 4;

/// How sound becomes a network's input and its output becomes stems. Shapes are given for a chunk of two channels; "spectrum" is that of
/// [`crate::dsp::stft::Stft`], left real, left imaginary, right real, right imaginary part.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Contract {
    /// Spectrum `[1, 4, frames, n_fft / 2 + 1]` to complex masks `[1, stems * 4, frames, n_fft / 2 + 1]`, stem by stem, by which the
    /// spectrum is multiplied.
    ComplexMask(Transform),
    /// The same input to the stems' own spectra, in its units and of the same shape as masks.
    ComplexMap(Transform),
    /// Samples `[1, 2, samples]` to samples `[1, stems, 2, samples]`.
    Waveform {
        /// The only length that the network takes; any length if absent.
        samples: Option<usize>,
    },
    /// The lowest `bins` bins of the bare transform, `[1, 4, bins, frames]`, to those of one target; above them it has nothing.
    Mdx {
        /// The transform; its number of frames is always given.
        transform: Transform,
        /// Bins from 0 Hz on.
        bins: usize,
        /// Factor of the target.
        compensate: f32,
    },
}

/// The transform of a contract that works on spectra.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transform {
    /// Samples of a transform frame.
    pub n_fft: usize,
    /// Samples from frame to frame.
    pub hop: usize,
    /// The only number of frames that the network takes; any number if absent.
    pub frames: Option<usize>,
}

impl Transform {
    fn frames_of(self, samples: usize) -> usize {
        samples.div_ceil(self.hop) + 1
    }

    fn bins(self) -> usize {
        self.n_fft / 2 + 1
    }

    /// Samples that have exactly so many frames.
    fn samples_of(self, frames: usize) -> usize {
        self.hop * frames.saturating_sub(1)
    }
}

impl Contract {
    /// The contract that a model's entry names.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] if it is none that is read here.
    pub fn of(entry: &Entry) -> Result<Self> {
        let parameters = &entry.parameters;
        let transform = Transform { n_fft: parameters.n_fft, hop: parameters.hop, frames: parameters.frames };
        match entry.contract.as_str() {
            "complex-mask" => Ok(Self::ComplexMask(transform)),
            "complex-map" => Ok(Self::ComplexMap(transform)),
            "waveform" => Ok(Self::Waveform { samples: parameters.samples }),
            "mdx" => Ok(Self::Mdx { transform, bins: parameters.bins, compensate: parameters.compensate }),
            found => Err(entry.refuse(&format!("contract is {found:?}, read are {}", SEPARATOR_CONTRACTS.join(", ")))),
        }
    }

    /// The transform before and after the network, where there is one.
    #[must_use]
    pub fn transform(self) -> Option<Transform> {
        match self {
            Self::ComplexMask(transform) | Self::ComplexMap(transform) | Self::Mdx { transform, .. } => Some(transform),
            Self::Waveform { .. } => None,
        }
    }

    /// Samples of the only chunk that the network takes, if it does not take any.
    #[must_use]
    pub fn fixed_chunk(self) -> Option<usize> {
        match self {
            Self::Waveform { samples } => samples,
            _ => self.transform().and_then(|transform| transform.frames.map(|frames| transform.samples_of(frames))),
        }
    }

    /// Shape of the input for a chunk of `samples` samples.
    #[must_use]
    pub fn input_shape(self, samples: usize) -> Vec<usize> {
        match self {
            Self::ComplexMask(transform) | Self::ComplexMap(transform) => vec![1, PLANES, transform.frames_of(samples), transform.bins()],
            Self::Waveform { .. } => vec![1, 2, samples],
            Self::Mdx { transform, bins, .. } => vec![1, PLANES, bins, transform.frames_of(samples)],
        }
    }

    /// Shape of the output for a chunk of `samples` samples and a network that gives `outputs` stems.
    #[must_use]
    pub fn output_shape(self, samples: usize, outputs: usize) -> Vec<usize> {
        match self {
            Self::Waveform { .. } => vec![1, outputs, 2, samples],
            _ => {
                let mut shape = self.input_shape(samples);
                if let Some(planes) = shape.get_mut(1) {
                    *planes *= outputs;
                }
                shape
            }
        }
    }

    /// Whether each frame of the output stands for one frame of sound, so that it may come in slices.
    pub(super) fn is_sliced(self) -> bool {
        matches!(self, Self::ComplexMask(_) | Self::ComplexMap(_))
    }

    /// The axis of the input that grows with the chunk.
    pub(super) fn length_axis(self) -> usize {
        if matches!(self, Self::Mdx { .. }) { 3 } else { 2 }
    }

    /// Samples of a chunk to try a network with.
    pub(super) fn trial_samples(self) -> usize {
        let of_any_length = self.transform().map_or(TRIAL_SAMPLES, |transform| transform.samples_of(TRIAL_FRAMES));
        self.fixed_chunk().unwrap_or(of_any_length)
    }

    /// Checks a network's input, then runs it once on noise and checks its output.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] naming the tensor, the shape found and the shape wanted, or the output that is not finite.
    pub fn check(self, entry: &Entry, network: &mut impl Network) -> Result<()> {
        self.check_input(entry, network.input())?;
        let outputs = entry.outputs();
        let wanted = self.output_shape(self.trial_samples(), outputs.len());
        let tried = trial::run(self, entry, network)?;
        if tried.output_shape != wanted {
            return Err(entry.refuse(&format!(
                "its output must have shape {wanted:?} for stems {}, has {:?}",
                outputs.join(", "),
                tried.output_shape
            )));
        }
        match tried.output.iter().position(|value| !value.is_finite()) {
            Some(place) => {
                let stem = outputs.get(place / (tried.output.len() / outputs.len()).max(1)).map_or("", String::as_str);
                Err(entry.refuse(&format!("gave a value that is not finite for stem {stem} in its trial run: train or export it again")))
            }
            None => Ok(()),
        }
    }

    fn check_input(self, entry: &Entry, dims: &[Dim]) -> Result<()> {
        let axis = self.length_axis();
        let is_open = self.fixed_chunk().is_none();
        let shape = self.input_shape(self.trial_samples());
        let fits = dims.len() == shape.len()
            && dims.iter().zip(&shape).enumerate().all(|(place, (dim, size))| match dim {
                Dim::Fixed(found) => found == size && !(place == axis && is_open),
                Dim::Dynamic => place == axis,
            });
        if fits {
            return Ok(());
        }
        let sizes = shape.iter().enumerate();
        let wanted: Vec<String> =
            sizes.map(|(place, size)| if place == axis && is_open { Dim::Dynamic.to_string() } else { size.to_string() }).collect();
        let found: Vec<String> = dims.iter().map(Dim::to_string).collect();
        let hint = match dims.get(axis) {
            Some(Dim::Fixed(size)) if is_open && dims.len() == shape.len() => {
                let key = if self.transform().is_some() { "frames" } else { "samples" };
                format!(": a network of one size needs parameters.{key}, here {size}")
            }
            _ => String::new(),
        };
        Err(entry.refuse(&format!(
            "its input must have shape [{}] for contract {}, has [{}]{hint}",
            wanted.join(", "),
            entry.contract,
            found.join(", ")
        )))
    }
}

/// A stem that came back from a network must be numbers.
///
/// # Errors
/// [`Error::Internal`] naming model, chunk and stem.
pub fn check_finite(entry: &Entry, chunk: usize, stem: &str, samples: &[f32]) -> Result<()> {
    match samples.iter().position(|sample| !sample.is_finite()) {
        None => Ok(()),
        Some(_) => Err(Error::internal(format!("model {} gave values that are not finite in chunk {chunk}, stem {stem}", entry.name))),
    }
}
