//! A beat track made audible: a click on every beat, a higher one on downbeats.

use std::f64::consts::TAU;

use crate::audio::Audio;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Pitch of a click on a beat, and on a downbeat, in hertz.
const PITCH: (f64, f64) = (1_000.0, 1_500.0);
/// Length of a click in seconds.
const LENGTH: f64 = 0.02;
/// Decay of a click, exp(-DECAY * t), per second.
const DECAY: f64 = 200.0;
/// Beats count as downbeats within this many seconds of one.
const SAME: f64 = 1e-6;

/// Clicks of amplitude `gain_db` (dBFS, at most 0) at `beats`, higher at those that are also in `downbeats` (both seconds, rising), at
/// `sound`'s rate and length. A click starts at the sample nearest to its beat; a sum with the sound is not clipped.
///
/// # Errors
/// [`Error::InvalidInput`] for a gain above 0 dB or not a number.
pub fn click_track(beats: &[f64], downbeats: &[f64], sound: &Audio, gain_db: f64, mix: Mix) -> Result<Audio> {
    if gain_db.is_nan() || gain_db > 0.0 {
        return Err(Error::invalid(format!("gain must be at most 0 dB, got {gain_db}: choose for example -6")));
    }
    let rate = f64::from(sound.sample_rate());
    let amplitude = 10_f64.powf(gain_db / 20.0);
    let mut channels = match mix {
        Mix::Over => sound.channels().to_vec(),
        Mix::Alone => vec![vec![0.0; sound.frames()]],
    };
    for &beat in beats {
        let next = downbeats.partition_point(|downbeat| *downbeat < beat - SAME);
        let is_downbeat = downbeats.get(next).is_some_and(|downbeat| *downbeat <= beat + SAME);
        let pitch = if is_downbeat { PITCH.1 } else { PITCH.0 };
        let start = (beat * rate).round().max(0.0) as usize;
        for channel in &mut channels {
            for (index, sample) in channel.iter_mut().skip(start).take((LENGTH * rate) as usize).enumerate() {
                let time = index as f64 / rate;
                *sample += (amplitude * (-DECAY * time).exp() * (TAU * pitch * time).sin()) as f32;
            }
        }
    }
    let unlimited = Limits { duration_seconds: f64::INFINITY, decoded_bytes: f64::INFINITY, ..Limits::default() };
    Audio::new(channels, sound.sample_rate(), &unlimited)
}

/// What the clicks are laid on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// The sound itself.
    Over,
    /// Silence, in one channel.
    Alone,
}
