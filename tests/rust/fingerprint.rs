//! Fingerprints and the catalogue, through the public API.

#[path = "fingerprint/enrolment.rs"]
mod enrolment;
#[path = "fingerprint/evaluation.rs"]
mod evaluation;
#[path = "fingerprint/input.rs"]
mod input;
#[path = "fingerprint/music.rs"]
mod music;
#[path = "fingerprint/recognition.rs"]
mod recognition;
#[path = "fingerprint/recordings.rs"]
mod recordings;
#[path = "fingerprint/stored.rs"]
mod stored;
#[path = "fingerprint/streaming.rs"]
mod streaming;
