//! Signal building blocks that more than one room needs. Nothing here knows what it is used for.

pub mod activity;
pub mod activity_classifier;
pub mod biquad;
pub mod constant_q;
pub mod half_band;
pub mod kernel;
pub mod lanes;
pub mod mel;
pub mod products;
pub mod running;
pub mod spectral_flux;
pub mod stft;
pub mod window;
