//! The separating room and what it stands on: kernels, transform, models.
#![allow(clippy::unwrap_used)] // a helper's failed expectation is the failure of the test that called it

mod kernel_list;
mod kernels;
mod lanes;
mod lanes_check;
mod mask_network;
mod model_manifest;
#[cfg(feature = "neural")]
mod model_runtime;
mod separate_condition;
#[cfg(feature = "neural")]
mod separate_contracts;
mod separate_grid;
#[cfg(feature = "neural")]
mod separate_models;
mod separate_stems;
mod signal;
mod stft;
