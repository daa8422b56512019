//! One run of a network on noise: to check its contract, and to compare whatever else runs it.

use super::network::Contract;
use crate::error::Result;
use crate::model::network::{Run, Slice};
use crate::model::{Entry, Network};

/// Standard deviation of the noise for a network that takes sound as it is.
const UNSCALED_LEVEL: f32 = 0.1;

/// Input and output of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Shape of the input.
    pub input_shape: Vec<usize>,
    /// Noise, row-major.
    pub input: Vec<f32>,
    /// Shape of the output.
    pub output_shape: Vec<usize>,
    /// What the network made of it, row-major.
    pub output: Vec<f32>,
}

/// Runs `network` once on noise: 65 frames, or its only size.
///
/// # Errors
/// [`crate::Error::ModelLoad`] if it cannot be run, or if slices of its output do not make up a whole.
pub(super) fn run(contract: Contract, entry: &Entry, network: &mut impl Network) -> Result<Trial> {
    let input_shape = contract.input_shape(contract.trial_samples());
    let level = if contract.transform().is_some() { 1.0 } else { UNSCALED_LEVEL };
    let mut input = vec![0.0; input_shape.iter().product()];
    input.iter_mut().enumerate().for_each(|(n, value)| *value = level * noise(n as u32));
    let length = input_shape.get(contract.length_axis()).copied().unwrap_or(0);
    let axis = contract.is_sliced().then_some(contract.length_axis());
    let mut whole = Whole { axis, length, shape: Vec::new(), values: Vec::new(), complete: 0 };
    network.run(
        &input_shape,
        Run {
            fill: &mut |values| {
                values.copy_from_slice(&input);
                Ok(())
            },
            output: &mut |_, slice| whole.add(&slice).map_err(|what| entry.refuse(&what)),
            progress: &mut |_| {},
        },
    )?;
    if axis.is_some() && whole.complete != length {
        return Err(entry.refuse(&format!("gave {} frames for {length} in its trial run", whole.complete)));
    }
    Ok(Trial { input_shape, input, output_shape: whole.shape, output: whole.values })
}

/// An output put together: from its slices along `axis`, or as it comes.
struct Whole {
    axis: Option<usize>,
    length: usize,
    shape: Vec<usize>,
    values: Vec<f32>,
    complete: usize,
}

impl Whole {
    fn add(&mut self, slice: &Slice<'_>) -> std::result::Result<(), String> {
        let Some((axis, along)) = self.axis.and_then(|axis| Some((axis, *slice.shape.get(axis)?))) else {
            (self.shape, self.values, self.complete) = (slice.shape.to_vec(), slice.values.to_vec(), self.length);
            return Ok(());
        };
        let mut shape = slice.shape.to_vec();
        if let Some(size) = shape.get_mut(axis) {
            *size = self.length;
        }
        let outer: usize = slice.shape.iter().take(axis).product();
        let inner: usize = slice.shape.iter().skip(axis + 1).product();
        let end = slice.start + along;
        if slice.start > self.complete || end > self.length || !(self.shape.is_empty() || self.shape == shape) {
            return Err(format!("gave frames {}..{end} where {}..{} were due", slice.start, self.complete, self.length));
        }
        self.values.resize(outer * self.length * inner, 0.0);
        let (to, from) = (self.values.chunks_exact_mut((self.length * inner).max(1)), slice.values.chunks_exact((along * inner).max(1)));
        for (to, from) in to.zip(from) {
            if let Some(to) = to.get_mut(slice.start * inner..end * inner) {
                to.copy_from_slice(from);
            }
        }
        (self.shape, self.complete) = (shape, end);
        Ok(())
    }
}

/// Noise of unit deviation that every language makes alike: `((n * 2654435761 mod 2^32) / 2^31 - 1) * sqrt(3)`.
fn noise(n: u32) -> f32 {
    (f64::from(n.wrapping_mul(2_654_435_761)) / 2_147_483_648.0 - 1.0) as f32 * 1.732_050_8
}
