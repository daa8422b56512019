//! Fingerprints and the catalogue, through the public API.

#[path = "fingerprint/music.rs"]
mod music;
#[path = "fingerprint/recognition.rs"]
mod recognition;
