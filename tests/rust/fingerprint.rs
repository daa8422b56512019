//! Fingerprints and the catalogue, through the public API.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's failure, in its helpers too

#[path = "fingerprint/activity.rs"]
mod activity;
#[path = "fingerprint/bits.rs"]
mod bits;
#[path = "fingerprint/disk.rs"]
mod disk;
#[path = "fingerprint/enrolment.rs"]
mod enrolment;
#[path = "fingerprint/evaluation.rs"]
mod evaluation;
#[path = "fingerprint/input.rs"]
mod input;
#[path = "fingerprint/music.rs"]
mod music;
#[cfg(feature = "neural")]
#[path = "fingerprint/neural.rs"]
mod neural;
#[path = "fingerprint_parity.rs"]
mod parity;
#[path = "fingerprint/power_cut.rs"]
mod power_cut;
#[path = "fingerprint/prints.rs"]
mod prints;
#[path = "fingerprint/recognition.rs"]
mod recognition;
#[path = "fingerprint/recordings.rs"]
mod recordings;
#[path = "fingerprint/scale.rs"]
mod scale;
#[cfg(feature = "neural")]
#[path = "fingerprint/shipped_embedder.rs"]
mod shipped_embedder;
#[path = "fingerprint/spectrum.rs"]
mod spectrum;
#[path = "fingerprint/storage_faults.rs"]
mod storage_faults;
#[path = "fingerprint/stored.rs"]
mod stored;
#[path = "fingerprint/streaming.rs"]
mod streaming;
#[path = "fingerprint/streams.rs"]
mod streams;
#[path = "fingerprint/triples.rs"]
mod triples;
