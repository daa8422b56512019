//! Channel maps: any layout to mono or stereo.
//!
//! Layouts are the default ones of WAVE order: mono; L R; L R C; L R Ls Rs; L R C Ls Rs; L R C LFE Ls Rs; L R C LFE Cs Ls Rs;
//! L R C LFE Lb Rb Ls Rs.

use crate::error::{Error, Result};
use crate::limits::check_channels;

/// Level of centre and surround in a stereo down-mix: -3 dB (ITU-R BS.775-3, Table 2).
const MINUS_3_DB: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// Level at which a single rear surround goes to both sides: -3 dB for being a surround, -3 dB for being shared.
const MINUS_6_DB: f32 = 0.5;

/// Gains to left and right, a pair for each input channel, for 3..8 channels in WAVE order. LFE is dropped; nothing is rescaled.
const DOWN_MIX: [&[[f32; 2]]; 6] = [
    &[LEFT, RIGHT, CENTRE],
    &[LEFT, RIGHT, LEFT_SURROUND, RIGHT_SURROUND],
    &[LEFT, RIGHT, CENTRE, LEFT_SURROUND, RIGHT_SURROUND],
    &[LEFT, RIGHT, CENTRE, LOW_FREQUENCY, LEFT_SURROUND, RIGHT_SURROUND],
    &[LEFT, RIGHT, CENTRE, LOW_FREQUENCY, REAR_CENTRE, LEFT_SURROUND, RIGHT_SURROUND],
    &[LEFT, RIGHT, CENTRE, LOW_FREQUENCY, LEFT_SURROUND, RIGHT_SURROUND, LEFT_SURROUND, RIGHT_SURROUND],
];
const LEFT: [f32; 2] = [1.0, 0.0];
const RIGHT: [f32; 2] = [0.0, 1.0];
const CENTRE: [f32; 2] = [MINUS_3_DB, MINUS_3_DB];
const LOW_FREQUENCY: [f32; 2] = [0.0, 0.0];
const LEFT_SURROUND: [f32; 2] = [MINUS_3_DB, 0.0];
const RIGHT_SURROUND: [f32; 2] = [0.0, MINUS_3_DB];
const REAR_CENTRE: [f32; 2] = [MINUS_6_DB, MINUS_6_DB];

/// The mean of all channels, `[frames]`: their sum in order times 1/n. One channel passes unchanged.
///
/// # Errors
/// [`Error::InvalidInput`] for no channels or unequal lengths, [`Error::OutOfMemory`].
pub fn mono<C: AsRef<[f32]>>(channels: &[C]) -> Result<Vec<f32>> {
    let scale = 1.0 / channels.len() as f32;
    let mut sum = silence(checked_frames(channels)?)?;
    for channel in channels {
        add(&mut sum, channel.as_ref(), 1.0);
    }
    if channels.len() > 1 {
        sum.iter_mut().for_each(|sample| *sample *= scale);
    }
    Ok(sum)
}

/// Left and right, `[2][frames]`: mono is doubled, stereo passes unchanged, 3..8 channels are mixed down after ITU-R BS.775 (front +
/// 0.7071 centre + 0.7071 surround of that side, a single rear surround at 0.5 to both, LFE dropped; neither rescaled nor clipped).
///
/// # Errors
/// [`Error::InvalidInput`] for 0 or more than 8 channels or unequal lengths, [`Error::OutOfMemory`].
pub fn stereo<C: AsRef<[f32]>>(channels: &[C]) -> Result<[Vec<f32>; 2]> {
    check_channels(channels.len())?;
    let frames = checked_frames(channels)?;
    let mut sides = [silence(frames)?, silence(frames)?];
    let gains: &[[f32; 2]] = match channels.len() {
        1 => &[[1.0, 1.0]],
        2 => &[LEFT, RIGHT],
        count => DOWN_MIX.get(count - 3).copied().unwrap_or_default(),
    };
    for (channel, gains) in channels.iter().zip(gains) {
        for (side, &gain) in sides.iter_mut().zip(gains) {
            if gain != 0.0 {
                add(side, channel.as_ref(), gain);
            }
        }
    }
    Ok(sides)
}

fn checked_frames<C: AsRef<[f32]>>(channels: &[C]) -> Result<usize> {
    let frames =
        channels.first().map(|channel| channel.as_ref().len()).ok_or_else(|| Error::invalid("channels must be at least 1, got 0"))?;
    match channels.iter().position(|channel| channel.as_ref().len() != frames) {
        None => Ok(frames),
        Some(index) => {
            Err(Error::invalid(format!("channel {index} has another length than channel 0: all must have the same number of frames")))
        }
    }
}

fn silence(frames: usize) -> Result<Vec<f32>> {
    let mut samples = Vec::new();
    let bytes = frames as u64 * size_of::<f32>() as u64;
    samples.try_reserve_exact(frames).map_err(|_| Error::OutOfMemory { what: "a channel map", bytes })?;
    samples.resize(frames, 0.0);
    Ok(samples)
}

fn add(sum: &mut [f32], channel: &[f32], gain: f32) {
    sum.iter_mut().zip(channel).for_each(|(sum, sample)| *sum += gain * sample);
}

#[cfg(test)]
mod tests {
    use super::{mono, stereo};

    /// One frame in which channel i holds 10^i, so that a sum names what went into it.
    fn tagged(channels: usize) -> Vec<Vec<f32>> {
        (0..channels).map(|index| vec![10_f32.powi(index as i32)]).collect()
    }

    fn assert_sides(channels: usize, left: f32, right: f32) {
        let [l, r] = stereo(&tagged(channels)).unwrap();
        assert!((l[0] / left - 1.0).abs() < 1e-6 && (r[0] / right - 1.0).abs() < 1e-6, "{channels} channels: {l:?} {r:?}");
    }

    #[test]
    fn every_layout_is_mixed_down_by_bs_775() {
        let g = std::f32::consts::FRAC_1_SQRT_2;
        assert_sides(1, 1.0, 1.0);
        assert_sides(2, 1.0, 10.0);
        assert_sides(3, 1.0 + 100.0 * g, 10.0 + 100.0 * g);
        assert_sides(4, 1.0 + 100.0 * g, 10.0 + 1_000.0 * g);
        assert_sides(5, 1.0 + (100.0 + 1_000.0) * g, 10.0 + (100.0 + 10_000.0) * g);
        assert_sides(6, 1.0 + (100.0 + 10_000.0) * g, 10.0 + (100.0 + 100_000.0) * g);
        assert_sides(7, 1.0 + (100.0 + 100_000.0) * g + 5_000.0, 10.0 + (100.0 + 1_000_000.0) * g + 5_000.0);
        assert_sides(8, 1.0 + (100.0 + 10_000.0 + 1_000_000.0) * g, 10.0 + (100.0 + 100_000.0 + 10_000_000.0) * g);
    }

    #[test]
    fn mono_is_the_mean_in_channel_order() {
        assert_eq!(mono(&[[1.0, 0.5], [0.0, 0.25]]).unwrap(), [0.5, 0.375]);
        assert_eq!(mono(&[[0.1_f32]]).unwrap(), [0.1]);
    }

    #[test]
    fn no_channels_nine_channels_and_unequal_lengths_are_refused() {
        assert_eq!(mono::<Vec<f32>>(&[]).unwrap_err().kind(), "invalid-input");
        assert_eq!(stereo(&tagged(9)).unwrap_err().kind(), "invalid-input");
        assert_eq!(stereo(&[vec![0.0], vec![]]).unwrap_err().kind(), "invalid-input");
    }
}
