//! Fingerprints and the catalogue that finds them again.

pub mod peaks;
