//! What a separating network takes and gives: its contract, and the checks that it keeps it.

use crate::error::{Error, Result};
use crate::model::Network;
use crate::model::manifest::{Entry, contracts};
use crate::model::network::{Dim, Run};

/// Frames of the trial run of a network of any length.
const TRIAL_FRAMES: usize = 65;

/// How sound becomes a network's input and its output becomes stems.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    /// Input `[1, 4, frames, n_fft / 2 + 1]`: left real, left imaginary, right real, right imaginary part of the spectrum. Output
    /// `[1, stems * 4, frames, n_fft / 2 + 1]`, stem by stem: complex masks, by which the spectrum is multiplied.
    ComplexMask {
        /// Samples of a transform frame.
        n_fft: usize,
        /// Samples from frame to frame.
        hop: usize,
    },
}

impl Contract {
    /// The contract that a model's entry names.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] if it is none that is read here.
    pub fn of(entry: &Entry) -> Result<Self> {
        match entry.contract.as_str() {
            "complex-mask" => Ok(Self::ComplexMask { n_fft: entry.parameters.n_fft, hop: entry.parameters.hop }),
            found => Err(entry.refuse(&format!("contract is {found:?}, read are {}", contracts("separator").join(", ")))),
        }
    }

    /// Shape of the input for `frames` frames.
    #[must_use]
    pub fn input_shape(self, frames: usize) -> Vec<usize> {
        let Self::ComplexMask { n_fft, .. } = self;
        vec![1, 4, frames, n_fft / 2 + 1]
    }

    /// Shape of the output for `frames` frames and `stems` stems.
    #[must_use]
    pub fn output_shape(self, frames: usize, stems: usize) -> Vec<usize> {
        let Self::ComplexMask { n_fft, .. } = self;
        vec![1, 4 * stems, frames, n_fft / 2 + 1]
    }

    /// Checks a network's input, then runs it once on noise and checks its output.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] naming the tensor, the shape found and the shape wanted, or the output that is not finite.
    pub fn check(self, entry: &Entry, network: &mut impl Network) -> Result<()> {
        let wanted = self.input_shape(0);
        let dims = network.input().to_vec();
        let fits = dims.len() == wanted.len()
            && dims.iter().zip(&wanted).enumerate().all(|(axis, (dim, size))| match dim {
                Dim::Fixed(found) => axis != 2 && found == size,
                Dim::Dynamic => axis == 2,
            });
        if !fits {
            let found = dims.iter().map(Dim::to_string).collect::<Vec<_>>().join(", ");
            let [batch, planes, _, bins] = [0, 1, 2, 3].map(|axis| wanted.get(axis).copied().unwrap_or(0));
            return Err(entry.refuse(&format!(
                "its input must have shape [{batch}, {planes}, dynamic, {bins}] for contract {}, has [{found}]",
                entry.contract
            )));
        }
        let wanted = self.output_shape(TRIAL_FRAMES, entry.stems.len());
        let mut frames = 0;
        network.run(
            &self.input_shape(TRIAL_FRAMES),
            Run {
                fill: &mut |input| {
                    input.iter_mut().enumerate().for_each(|(n, value)| *value = trial_noise(n as u32));
                    Ok(())
                },
                output: &mut |_, slice| {
                    let fits = slice.shape.len() == wanted.len()
                        && slice.shape.iter().zip(&wanted).enumerate().all(|(axis, (found, wanted))| axis == 2 || found == wanted);
                    if !fits {
                        return Err(entry.refuse(&format!(
                            "its output must have shape {wanted:?} for stems {}, has {:?}",
                            entry.stems.join(", "),
                            slice.shape
                        )));
                    }
                    frames = slice.start + slice.shape.get(2).copied().unwrap_or(0);
                    match slice.values.iter().position(|value| !value.is_finite()) {
                        Some(place) => {
                            let per_stem = slice.values.len() / entry.stems.len().max(1);
                            let stem = entry.stems.get(place / per_stem.max(1)).map_or("", String::as_str);
                            Err(entry.refuse(&format!(
                                "gave a value that is not finite for stem {stem} in its trial run: train or export it again"
                            )))
                        }
                        None => Ok(()),
                    }
                },
                progress: &mut |_| {},
            },
        )?;
        if frames == TRIAL_FRAMES {
            Ok(())
        } else {
            Err(entry.refuse(&format!("gave {frames} frames for {TRIAL_FRAMES} in its trial run")))
        }
    }
}

/// Noise of about unit deviation that every language makes alike: `((n * 2654435761 mod 2^32) / 2^31 - 1) * sqrt(3)`.
fn trial_noise(n: u32) -> f32 {
    (f64::from(n.wrapping_mul(2_654_435_761)) / 2_147_483_648.0 - 1.0) as f32 * 1.732_050_8
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
