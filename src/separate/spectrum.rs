//! A chunk in a network's layout.

use super::network::{Contract, PLANES};
use crate::dsp::stft::Stft;
use crate::error::{Error, Result};

/// Writes a chunk of two channels, already scaled, as the input of a network of this contract. `stft` is the contract's transform, if it
/// has one.
///
/// # Errors
/// [`Error::InvalidInput`] if `input` has another length.
pub fn write_input(contract: Contract, stft: Option<&mut Stft>, channels: [&[f32]; 2], input: &mut [f32]) -> Result<()> {
    match (contract, stft) {
        (Contract::Mdx { bins, .. }, Some(stft)) => write_transposed(stft, channels, bins, input),
        (_, Some(stft)) => write_spectrum(stft, channels, input),
        (_, None) => {
            let [left, right] = channels;
            let halves = input.split_at_mut_checked(left.len());
            let halves = halves.filter(|(_, second)| second.len() == right.len());
            let (first, second) = halves.ok_or_else(|| Error::invalid("a network's input must be as long as the chunk"))?;
            first.copy_from_slice(left);
            second.copy_from_slice(right);
            Ok(())
        }
    }
}

/// `[left real, left imaginary, right real, right imaginary][frames][bins]`.
fn write_spectrum(stft: &mut Stft, channels: [&[f32]; 2], spectrum: &mut [f32]) -> Result<()> {
    let plane = spectrum.len() / PLANES;
    let (left, right) = spectrum.split_at_mut(2 * plane);
    for (channel, part) in channels.into_iter().zip([left, right]) {
        let (real, imaginary) = part.split_at_mut(plane);
        stft.forward(channel, real, imaginary)?;
    }
    Ok(())
}

/// The lowest `kept` bins of the bare transform, `[4][kept][frames]`.
fn write_transposed(stft: &mut Stft, channels: [&[f32]; 2], kept: usize, input: &mut [f32]) -> Result<()> {
    let (bins, frames, scale) = (stft.bins(), stft.frames(channels[0].len()), stft.scale() as f32);
    if input.len() != PLANES * kept * frames || kept > bins {
        return Err(Error::invalid(format!("a network's input must hold {} values, got {}", PLANES * kept * frames, input.len())));
    }
    let (mut real, mut imaginary) = (vec![0.0; frames * bins], vec![0.0; frames * bins]);
    let mut planes = input.chunks_exact_mut((kept * frames).max(1));
    for channel in channels {
        stft.forward(channel, &mut real, &mut imaginary)?;
        for part in [&real, &imaginary] {
            let Some(plane) = planes.next() else { continue };
            for (frame, row) in part.chunks_exact(bins).enumerate() {
                let column = plane.iter_mut().skip(frame).step_by(frames);
                column.zip(row).for_each(|(to, from)| *to = from * scale);
            }
        }
    }
    Ok(())
}
