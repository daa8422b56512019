//! The catalogue: prints under ids, and the search for them.
//!
//! A track is cut in parts of 65 536 ticks (17.5 min), so that a posting's time fits two bytes; each layer of its print has parts of its
//! own. Removing a track leaves its postings behind until they are a fifth of all. Queries do not depend on the order of merges.

mod archive;
pub mod postings;
mod segment;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use self::postings::Posting;
use self::segment::Segments;
use super::matching::{Hit, MatchOptions, PART_TICKS, Probe, Query, Searched};
use super::print::{Algorithm, Print, Profile, Scheme};
use crate::error::{Error, Result};

/// Longest id, in bytes of UTF-8.
pub const ID_BYTES: usize = 256;
/// Longest metadata, in bytes of JSON.
pub const METADATA_BYTES: usize = 4_096;
/// Number of parts that numbers exist for.
const PARTS: usize = 1 << 24;
/// Most votes of a query.
const VOTES: usize = 1 << 20;
/// Keys with more postings than this, and than one in `HEAVY_SHARE` of all, are not read unless fewer than `LEAST_KEYS` others are.
const HEAVY_POSTINGS: usize = 256;
const HEAVY_SHARE: usize = 4_096;
const LEAST_KEYS: usize = 32;
/// Share of dead postings above which they are dropped: one in five.
const DEAD_SHARE: usize = 5;

/// A track as the catalogue keeps it.
#[derive(Debug, Clone, PartialEq)]
struct Track {
    id: String,
    /// JSON as it was given.
    metadata: String,
    duration: f64,
    is_live: bool,
    postings: usize,
}

/// A part of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    track: u32,
    layer: u8,
    /// Parts of the same layer before it.
    index: u32,
    /// Ticks up to its last landmark.
    ticks: u32,
}

/// Prints in memory that can be searched.
#[derive(Debug, Clone)]
pub struct Catalog {
    scheme: Scheme,
    tracks: Vec<Track>,
    parts: Vec<Part>,
    /// The rows of each part, where the algorithm has any.
    rows: Vec<Vec<u8>>,
    live: BTreeMap<String, u32>,
    segments: Segments,
    dead_postings: usize,
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
    /// Bytes of postings and directories in memory.
    pub bytes: usize,
    /// Share of directory buckets that are not empty, 0..1.
    pub directory_fill: f64,
    /// The ten keys with most postings.
    pub heaviest_keys: Vec<KeyCount>,
}

/// A key and its number of postings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KeyCount {
    /// Upper bits of the hash.
    pub key: u32,
    /// Postings.
    pub postings: usize,
}

impl Catalog {
    /// An empty catalogue of prints of one scheme; a profile stands for landmarks of it.
    #[must_use]
    pub fn new(scheme: impl Into<Scheme>) -> Self {
        Self {
            scheme: scheme.into(),
            tracks: Vec::new(),
            parts: Vec::new(),
            rows: Vec::new(),
            live: BTreeMap::new(),
            segments: Segments::default(),
            dead_postings: 0,
        }
    }

    /// The algorithm of its prints.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.scheme.algorithm()
    }

    /// The profile of its prints.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.scheme.profile()
    }

    /// Number of tracks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether it has no track.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Whether a track has this id.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.live.contains_key(id)
    }

    /// The ids in their order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.live.keys().map(String::as_str)
    }

    /// Enrols a print under `id` with `metadata`, JSON of at most 4 096 bytes. With `replace` a track of that id makes room; else it is
    /// an error. A failed call changes nothing.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for an id that is empty, too long or taken, metadata that is too long or no JSON, or a print of another
    /// algorithm or profile; [`Error::Limit`] when the numbers of parts are used up; [`Error::OutOfMemory`].
    pub fn enrol(&mut self, id: &str, metadata: &str, print: &Print, replace: Replace) -> Result<()> {
        check_id(id)?;
        check_metadata(metadata)?;
        self.check_print(print)?;
        if replace == Replace::No && self.has(id) {
            return Err(Error::invalid(format!("id {id:?} is enrolled already: choose another, or replace it with replace: true")));
        }
        let track = u32::try_from(self.tracks.len()).map_err(|_| Error::internal("track numbers are used up"))?;
        let (parts, rows, postings) = self.cut(print, track);
        let given = self.parts.len() + parts.len();
        if given > PARTS {
            return Err(Error::Limit { what: "number of track parts", name: "", given: given as f64, allowed: PARTS as f64 });
        }
        let count = postings.len();
        self.segments.add(self.scheme.key_bits(), postings)?;
        self.bury(id);
        self.parts.extend(parts);
        self.rows.extend(rows);
        self.tracks.push(Track {
            id: id.to_string(),
            metadata: metadata.to_string(),
            duration: print.duration(),
            is_live: true,
            postings: count,
        });
        self.live.insert(id.to_string(), track);
        self.drop_many_dead()
    }

    /// Removes a track. Returns whether there was one of this id.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] while dropping dead postings.
    pub fn remove(&mut self, id: &str) -> Result<bool> {
        let is_buried = self.bury(id);
        self.drop_many_dead()?;
        Ok(is_buried)
    }

    /// The hits of a print, best first: by confidence, then votes, then id. An empty print has none.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for options out of range or a print of another algorithm or profile.
    pub fn find(&self, print: &Print, options: &MatchOptions) -> Result<Vec<Hit>> {
        options.check()?;
        self.check_print(print)?;
        let mut hits = Vec::new();
        for mut query in Query::cut(print, options)? {
            self.ask(&mut query)?;
            self.take_hits(&mut query, options, &mut hits)?;
        }
        hits.sort_by(|a, b| {
            let order = b.confidence.total_cmp(&a.confidence).then(b.votes.cmp(&a.votes));
            order.then_with(|| a.id.cmp(&b.id)).then(a.offset.total_cmp(&b.offset))
        });
        let mut kept: Vec<Hit> = Vec::new();
        for hit in hits {
            let same_track = || kept.iter().filter(|other| other.id == hit.id);
            let is_new = same_track().all(|other| (other.offset - hit.offset).abs() > 6.0 * self.algorithm().tick_seconds());
            if is_new && same_track().count() < options.per_track as usize {
                kept.push(hit);
            }
            if kept.len() == options.top as usize {
                break;
            }
        }
        Ok(kept)
    }

    /// Figures about it.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (full, all) =
            self.segments.sealed().map(postings::Postings::directory_fill).fold((0, 0), |sum, fill| (sum.0 + fill.0, sum.1 + fill.1));
        Stats {
            algorithm: self.algorithm().name(),
            profile: self.profile().name(),
            tracks: self.live.len(),
            parts: self.parts.iter().filter(|part| self.is_live(part)).count(),
            seconds: self.tracks.iter().filter(|track| track.is_live).map(|track| track.duration).sum(),
            postings: self.segments.len(),
            dead_postings: self.dead_postings,
            tombstones: self.tracks.len() - self.live.len(),
            segments: self.segments.sealed().count(),
            bytes: self.segments.bytes(),
            directory_fill: if all == 0 { 0.0 } else { full as f64 / all as f64 },
            heaviest_keys: self.heaviest_keys(),
        }
    }

    /// Drops what removed tracks left behind and packs everything in one segment.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], after which the catalogue is as before.
    pub fn compact(&mut self) -> Result<()> {
        let mut track_numbers = vec![None; self.tracks.len()];
        let mut tracks = Vec::with_capacity(self.live.len());
        for (number, track) in track_numbers.iter_mut().zip(&self.tracks) {
            if track.is_live {
                *number = Some(tracks.len() as u32);
                tracks.push(track.clone());
            }
        }
        let mut part_numbers = vec![None; self.parts.len()];
        let mut parts = Vec::with_capacity(self.parts.len());
        let mut rows = Vec::with_capacity(self.parts.len());
        for ((number, part), part_rows) in part_numbers.iter_mut().zip(&self.parts).zip(&self.rows) {
            if let Some(track) = track_numbers.get(part.track as usize).copied().flatten() {
                *number = Some(parts.len() as u32);
                parts.push(Part { track, ..*part });
                rows.push(part_rows.clone());
            }
        }
        // Numbers keep their order, so that the postings stay sorted.
        let number = |posting: Posting| {
            let part = part_numbers.get(posting.part as usize).copied().flatten()?;
            Some(Posting { part, ..posting })
        };
        let count = tracks.iter().map(|track| track.postings).sum();
        let postings = self.segments.iter().filter_map(number);
        let packed = postings::Postings::pack(self.scheme.key_bits(), count, postings)?;
        self.segments = Segments::of(packed);
        self.live = tracks.iter().zip(0..).map(|(track, number)| (track.id.clone(), number)).collect();
        self.tracks = tracks;
        self.parts = parts;
        self.rows = rows;
        self.dead_postings = 0;
        Ok(())
    }

    /// Marks a track as removed. Returns whether there was one.
    fn bury(&mut self, id: &str) -> bool {
        let Some(track) = self.live.remove(id) else { return false };
        if let Some(track) = self.tracks.get_mut(track as usize) {
            track.is_live = false;
            self.dead_postings += track.postings;
        }
        true
    }

    /// Drops the postings of removed tracks if they are many.
    fn drop_many_dead(&mut self) -> Result<()> {
        if self.dead_postings * DEAD_SHARE > self.segments.len() { self.compact() } else { Ok(()) }
    }

    fn is_live(&self, part: &Part) -> bool {
        self.tracks.get(part.track as usize).is_some_and(|track| track.is_live)
    }

    fn check_print(&self, print: &Print) -> Result<()> {
        if print.scheme() != self.scheme {
            return Err(Error::invalid(format!(
                "the print is {} with profile {:?}, the catalogue holds {} with profile {:?}: extract it with the catalogue's options",
                print.algorithm().name(),
                print.profile().name(),
                self.algorithm().name(),
                self.profile().name()
            )));
        }
        Ok(())
    }

    /// The parts with their rows, and the postings of a print, numbered behind those that exist.
    fn cut(&self, print: &Print, track: u32) -> (Vec<Part>, Vec<Vec<u8>>, Vec<Posting>) {
        let mut parts: Vec<Part> = Vec::new();
        let mut rows = Vec::new();
        let mut postings = Vec::new();
        for number in 0..print.layers().len() {
            let (layer, first) = (number as u8, parts.len());
            let references = print.references(number);
            let stored = print.rows(number);
            let row_count = stored.bytes.len().checked_div(stored.row_bytes).unwrap_or(0) as u32;
            let ticks = references.last().map_or(0, |last| last.tick + 1).max(row_count);
            for index in 0..ticks.div_ceil(PART_TICKS) {
                parts.push(Part { track, layer, index, ticks: (ticks - index * PART_TICKS).min(PART_TICKS) });
                let start = (index * PART_TICKS) as usize * stored.row_bytes;
                let end = stored.bytes.len().min(start + PART_TICKS as usize * stored.row_bytes);
                rows.push(stored.bytes.get(start..end).unwrap_or_default().to_vec());
            }
            let base = (self.parts.len() + first) as u32;
            let posting = |reference: super::print::Reference| Posting {
                key: reference.key,
                part: base + reference.tick / PART_TICKS,
                time: (reference.tick % PART_TICKS) as u16,
            };
            postings.extend(references.into_iter().map(posting));
        }
        (parts, rows, postings)
    }

    /// Looks up what a query asks for, light ranges first.
    fn ask(&self, query: &mut Query) -> Result<()> {
        // (postings, number of the probe)
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for (number, probe) in query.probes().iter().enumerate() {
            let count = self.segments.count(probe.low, probe.high);
            if count > 0 {
                ranges.push((count, number));
            }
        }
        ranges.sort_unstable();
        let heavy = HEAVY_POSTINGS.max(self.segments.len() / HEAVY_SHARE);
        let mut votes = 0;
        for (index, (count, number)) in ranges.into_iter().enumerate() {
            votes += count.saturating_mul(query.weight(number));
            if (count > heavy && index >= LEAST_KEYS) || votes > VOTES {
                break;
            }
            let Some(&Probe { low, high }) = query.probes().get(number) else { continue };
            self.segments.visit(low, high, |key, part, time| {
                if self.parts.get(part as usize).is_some_and(|part| self.is_live(part)) {
                    query.vote(number, key, part, time);
                }
            });
        }
        Ok(())
    }

    /// Appends what a query found.
    fn take_hits(&self, query: &mut Query, options: &MatchOptions, hits: &mut Vec<Hit>) -> Result<()> {
        let least = options.least_confidence(self.scheme);
        let part_seconds = f64::from(PART_TICKS) * self.algorithm().tick_seconds();
        for found in query.matches(self) {
            if found.confidence < least {
                continue;
            }
            let Some(part) = self.parts.get(found.part as usize) else { continue };
            let Some(track) = self.tracks.get(part.track as usize) else { continue };
            let start = f64::from(part.index) * part_seconds;
            let metadata = serde_json::from_str(&track.metadata).map_err(|error| Error::internal(format!("stored metadata: {error}")))?;
            let mut histogram = found.histogram;
            histogram.start += start;
            hits.push(Hit {
                id: track.id.clone(),
                metadata,
                confidence: found.confidence,
                evidence: found.evidence,
                votes: found.votes,
                offset: found.offset + start,
                time_scale: found.time_scale,
                pitch_scale: found.pitch_scale,
                query_start: found.query.0,
                query_end: found.query.1,
                ref_start: found.reference.0 + start,
                ref_end: found.reference.1 + start,
                histogram,
            });
        }
        Ok(())
    }

    fn heaviest_keys(&self) -> Vec<KeyCount> {
        let mut heaviest: BTreeSet<(usize, u32)> = BTreeSet::new();
        let mut run: Option<KeyCount> = None;
        let close = |run: Option<KeyCount>, heaviest: &mut BTreeSet<(usize, u32)>| {
            heaviest.extend(run.map(|run| (run.postings, run.key)));
            if heaviest.len() > 10 {
                heaviest.pop_first();
            }
        };
        for posting in self.segments.iter() {
            match &mut run {
                Some(run) if run.key == posting.key => run.postings += 1,
                _ => {
                    close(run, &mut heaviest);
                    run = Some(KeyCount { key: posting.key, postings: 1 });
                }
            }
        }
        close(run, &mut heaviest);
        heaviest.into_iter().rev().map(|(postings, key)| KeyCount { key, postings }).collect()
    }
}

impl Searched for Catalog {
    fn parts(&self) -> usize {
        self.parts.iter().filter(|part| self.is_live(part)).count()
    }

    fn ticks(&self) -> u64 {
        self.parts.iter().filter(|part| self.is_live(part)).map(|part| u64::from(part.ticks)).sum()
    }

    fn continues(&self, part: u32, next: u32) -> bool {
        match (self.parts.get(part as usize), self.parts.get(next as usize)) {
            (Some(part), Some(next)) => (part.track, part.layer, part.index + 1) == (next.track, next.layer, next.index),
            _ => false,
        }
    }

    fn rows(&self, part: u32) -> &[u8] {
        self.rows.get(part as usize).map_or(&[], Vec::as_slice)
    }
}

/// Whether an enrolment may replace a track of the same id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Replace {
    /// A known id is an error.
    #[default]
    No,
    /// The known track makes room.
    Yes,
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
