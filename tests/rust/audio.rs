//! The audio room: decoding, resampling, WAV files, limits.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's failure, in its helpers too

mod audio_damage;
mod audio_reference;
mod audio_resample;
mod audio_wav;
mod signal;
