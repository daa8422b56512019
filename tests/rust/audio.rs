//! The audio room: decoding, resampling, WAV files, limits.

mod audio_resample;
mod signal;
