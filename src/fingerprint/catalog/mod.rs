//! The catalogue: prints under ids, and the search for them.
//!
//! A track is cut in parts of 65 536 ticks (17.5 min), so that a posting's time fits two bytes; each layer of its print has parts of its
//! own. Postings lie in immutable segments and a list of recent ones; removing a track leaves its postings behind until they are a fifth
//! of all. Queries do not depend on the order of merges. [`Catalog`] lives in memory; [`Store`] has files, which somebody else reads and
//! writes for it.

mod archive;
mod audiofp;
mod core;
mod directory;
mod index;
pub mod io;
mod log;
mod manifest;
mod postings;
mod roster;
mod rows;
mod search;
mod segment;
pub mod store;
mod volume;
mod writer;

use serde::Serialize;

use self::core::Core;
use self::io::{Io, Machine, Progress};
pub use self::store::Store;
use super::matching::{Hit, MatchOptions};
use super::print::{Print, Scheme};
use crate::error::{Error, Result};

/// Longest id, in bytes of UTF-8.
pub const ID_BYTES: usize = 256;
/// Longest metadata, in bytes of JSON.
pub const METADATA_BYTES: usize = 4_096;

/// Whether an enrolment may replace a track of the same id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Replace {
    /// A known id is an error.
    #[default]
    No,
    /// The known track makes room.
    Yes,
}

/// What a catalogue holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Name of the algorithm.
    pub algorithm: &'static str,
    /// Name of the profile.
    pub profile: &'static str,
    /// Tracks.
    pub tracks: usize,
    /// Parts of tracks.
    pub parts: usize,
    /// Sum of the tracks' lengths.
    pub seconds: f64,
    /// Postings, dead ones included.
    pub postings: usize,
    /// Postings of removed tracks.
    pub dead_postings: usize,
    /// Removed tracks that still have postings.
    pub tombstones: usize,
    /// Sealed segments.
    pub segments: usize,
    /// Bytes in memory, about.
    pub bytes: usize,
    /// Bytes of postings and directories, in memory or in files.
    pub posting_bytes: usize,
    /// Bytes of the files.
    pub stored_bytes: u64,
    /// Share of directory buckets that are not empty, 0..1.
    pub directory_fill: f64,
    /// The ten keys with most postings.
    pub heaviest_keys: Vec<KeyCount>,
    /// What opening it had to do without.
    pub recovered: Recovered,
    /// Why segments could not be merged when it was due; it is tried again after the next change.
    pub overdue: Option<String>,
}

/// What opening a stored catalogue had to do without.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovered {
    /// Bytes of the log that were no whole records: of changes that had not ended.
    pub dropped_bytes: u64,
    /// Files that are damaged; older ones gave the same state.
    pub damaged_files: Vec<String>,
}

/// A key and its number of postings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KeyCount {
    /// Upper bits of the hash.
    pub key: u32,
    /// Postings.
    pub postings: usize,
}

/// Prints in memory that can be searched.
#[derive(Debug, Clone)]
pub struct Catalog {
    core: Core,
}

impl Catalog {
    /// An empty catalogue of prints of one scheme.
    #[must_use]
    pub fn new(scheme: impl Into<Scheme>) -> Self {
        Self { core: Core::memory(scheme.into()) }
    }

    /// The algorithm and profile of its prints.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.core.index().scheme()
    }

    /// Number of tracks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.index().len()
    }

    /// Whether it has no track.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a track has this id.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.core.index().has(id)
    }

    /// The ids in their order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.core.index().ids()
    }

    /// Enrols a print under `id` with `metadata`, JSON of at most 4 096 bytes. With `replace` a track of that id makes room; else it is
    /// an error. A failed call changes nothing.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for an id that is empty, too long or taken, metadata that is too long or no JSON, or a print of another
    /// scheme; [`Error::Limit`] when the numbers of parts are used up; [`Error::OutOfMemory`].
    pub fn enrol(&mut self, id: &str, metadata: &str, print: &Print, replace: Replace) -> Result<()> {
        at_once(|io| async move { self.core.enrol(&io, id, metadata, print, replace).await })?
    }

    /// Enrols a version 1 blob of the crate audiofp. Returns how many of its hashes have no place here.
    ///
    /// # Errors
    /// As [`Catalog::enrol`]; [`Error::InvalidInput`] with the byte for a blob that is damaged or of another algorithm.
    pub fn enrol_audiofp(&mut self, id: &str, metadata: &str, blob: &[u8], replace: Replace) -> Result<usize> {
        at_once(|io| async move { self.core.enrol_audiofp(&io, id, metadata, blob.to_vec(), replace).await })?
    }

    /// Removes a track. Returns whether there was one of this id.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn remove(&mut self, id: &str) -> Result<bool> {
        at_once(|io| async move { self.core.remove(&io, id).await })?
    }

    /// The hits of a print, best first: by confidence, then votes, then id. An empty print has none.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for options out of range or a print of another scheme.
    pub fn find(&self, print: &Print, options: &MatchOptions) -> Result<Vec<Hit>> {
        at_once(|io| async move { self.core.find(&io, print, options).await })?
    }

    /// Figures about it.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// Drops what removed tracks left behind and packs everything in one segment.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], after which the catalogue is as before.
    pub fn compact(&mut self) -> Result<()> {
        at_once(|io| async move { self.core.compact(&io).await })?
    }

    /// The catalogue as bytes, removed tracks left out.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn export(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        run(|io| async move { self.core.export(&io).await }, |piece| bytes.extend_from_slice(&piece), || None)??;
        Ok(bytes)
    }

    /// Reads what [`Catalog::export`] wrote.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the byte offset for anything else; [`Error::OutOfMemory`].
    pub fn import(bytes: &[u8]) -> Result<Self> {
        let mut catalog = Self::new(archive::scheme_of(bytes)?);
        let mut pieces = bytes.chunks(1 << 16);
        let core = &mut catalog.core;
        run(|io| async move { core.import(&io).await }, |_| {}, || pieces.next().map(<[u8]>::to_vec))??;
        Ok(catalog)
    }
}

/// Runs a call of a catalogue in memory, which asks for nothing.
fn at_once<T, F: Future<Output = T>>(call: impl FnOnce(Io) -> F) -> Result<T> {
    run(call, |_| {}, || None)
}

/// Runs a call of a catalogue in memory with its pieces.
fn run<T, F: Future<Output = T>>(
    call: impl FnOnce(Io) -> F,
    mut take: impl FnMut(Vec<u8>),
    mut give: impl FnMut() -> Option<Vec<u8>>,
) -> Result<T> {
    let mut machine = Machine::new(call);
    loop {
        match machine.step()? {
            (Progress::Requests(_), _) => return Err(Error::internal("a catalogue in memory asks for files")),
            (Progress::Piece(piece), _) => take(piece),
            (Progress::Wants, _) => machine.give(give()),
            (_, Some(result)) => return Ok(result),
            _ => {}
        }
    }
}

fn check_id(id: &str) -> Result<()> {
    if id.is_empty() || id.len() > ID_BYTES {
        return Err(Error::invalid(format!("an id must have 1..{ID_BYTES} bytes of UTF-8, got {}: shorten it", id.len())));
    }
    Ok(())
}

fn check_metadata(metadata: &str) -> Result<()> {
    if metadata.len() > METADATA_BYTES {
        return Err(Error::invalid(format!(
            "metadata must have at most {METADATA_BYTES} bytes of JSON, got {}: keep the rest elsewhere, under the id",
            metadata.len()
        )));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(metadata).map_err(|error| Error::invalid(format!("metadata is no JSON: {error}")))?;
    Ok(())
}
