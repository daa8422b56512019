//! The files of a stored catalogue: what is written when, so that a power cut at any byte leaves the state before or the state after.
//!
//! A change is a record of the log, flushed before the call that made it ends. A checkpoint writes new segments and, where recent
//! enrolments went into them, begins a new log; flushes both; then writes the manifest into the older of two slots, and flushes that.
//! Nothing is renamed. The files of the previous manifest stay until the next checkpoint: should the newest manifest or a segment of
//! its be damaged, the one before it and all logs since give the same state. In a full storage they go earlier, when a removal or a
//! merge has no room: after those there is some.

use std::collections::BTreeSet;

use super::audiofp;
use super::index::Index;
use super::io::{File, Io, Request};
use super::log::{Record, Records, check_log_header, log_header};
use super::manifest::{Entry, Manifest};
use super::rows::RowForm;
use super::segment::Segment;
use super::{Recovered, Replace};
use crate::error::{Error, Result};
use crate::fingerprint::print::{Print, Scheme};
use crate::header::HEADER_BYTES;

/// The log of a catalogue that has no manifest yet.
const FIRST_LOG: u32 = 1;
/// Bytes of a log that are read at once.
const READ_BYTES: usize = 1 << 20;

/// Where a stored catalogue stands.
#[derive(Debug, Clone, Default)]
pub struct Volume {
    /// That of the last manifest; 0 while there is none.
    generation: u64,
    /// The log that is written.
    log: u32,
    /// Its length; 0 while there is none.
    log_bytes: u64,
    /// Its records.
    log_records: u32,
    /// The log that the last manifest begins with, and the one before it.
    first_log: u32,
    previous_first_log: u32,
    next_segment: u32,
    manifest_bytes: u64,
    /// Segments' files of the last manifest and of the one before it.
    files: BTreeSet<File>,
    previous_files: BTreeSet<File>,
    /// Files that nothing needs any more and that could not be removed yet.
    obsolete: BTreeSet<File>,
    is_short_of_room: bool,
    /// What made it impossible to tell which manifest the files will be opened with.
    fault: Option<String>,
}

impl Volume {
    /// Bytes of the log.
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// Bytes of manifest and log.
    pub fn bytes(&self) -> u64 {
        self.log_bytes + self.manifest_bytes
    }

    /// Number for a segment that is about to be written.
    pub fn next_segment(&self) -> u32 {
        self.next_segment
    }

    /// Appends a record to the log and flushes it. A removal in a full storage takes the room of the previous state: else nothing could
    /// be removed there.
    ///
    /// # Errors
    /// What keeps it from being written; the log is then as before.
    pub async fn append(&mut self, io: &Io, scheme: Scheme, record: &Record) -> Result<()> {
        let is_removal = matches!(record, Record::Removal { .. });
        match self.try_append(io, scheme, record).await {
            Err(error) if error.is_full() => {
                self.is_short_of_room = true;
                if is_removal && self.give_up_previous(io).await { self.try_append(io, scheme, record).await } else { Err(error) }
            }
            result => {
                self.is_short_of_room &= is_removal || result.is_err();
                result
            }
        }
    }

    /// Whether a write has found no room, and no enrolment since.
    pub fn is_short_of_room(&self) -> bool {
        self.is_short_of_room
    }

    async fn try_append(&mut self, io: &Io, scheme: Scheme, record: &Record) -> Result<()> {
        self.check()?;
        self.begin_log(io, scheme).await?;
        let (file, offset, bytes) = (File::Log(self.log), self.log_bytes, record.encode(self.log_records));
        let length = bytes.len() as u64;
        io.request(vec![Request::Write { file, offset, bytes }, Request::Flush { file }]).await?;
        self.log_bytes = offset + length;
        self.log_records += 1;
        Ok(())
    }

    /// Writes the log's header if there is none yet: before any record, and before a first manifest that might be cut off.
    async fn begin_log(&mut self, io: &Io, scheme: Scheme) -> Result<()> {
        if self.log_bytes == 0 {
            let (file, bytes) = (File::Log(self.log), log_header(scheme));
            let length = bytes.len() as u64;
            io.request(vec![Request::Write { file, offset: 0, bytes }, Request::Flush { file }]).await?;
            self.log_bytes = length;
        }
        Ok(())
    }

    /// Makes `segments`, whose files are written and flushed, the catalogue's. With `new_log` the records so far are in them.
    ///
    /// # Errors
    /// What keeps it from being written; the catalogue is then as before.
    pub async fn checkpoint(&mut self, io: &Io, index: &Index, segments: &[&Segment], new_log: bool) -> Result<()> {
        self.check()?;
        let log = if new_log { self.log + 1 } else { self.log };
        let scheme = index.scheme();
        self.begin_log(io, scheme).await?;
        if new_log {
            let file = File::Log(log);
            let bytes = log_header(scheme);
            io.request(vec![Request::Write { file, offset: 0, bytes }, Request::Flush { file }]).await?;
        }
        let entry = |segment: &Segment| Entry {
            number: segment.number,
            tier: segment.tier,
            postings: segment.len() as u64,
            file_bytes: segment.file_bytes,
        };
        let manifest = Manifest {
            scheme,
            row_form: index.row_form().clone(),
            generation: self.generation + 1,
            log: if new_log { log } else { self.first_log },
            next_segment: segments.iter().map(|segment| segment.number + 1).fold(self.next_segment, u32::max),
            segments: segments.iter().copied().map(entry).collect(),
            tombstones: Index::tombstones(segments),
        };
        let (file, bytes) = (manifest.slot(), manifest.encode());
        let manifest_bytes = bytes.len() as u64;
        if let Err(error) = io.request(vec![Request::Write { file, offset: 0, bytes }, Request::Flush { file }]).await {
            // It may have reached the disk all the same. It must not be opened: what is enrolled from now on goes to the old log.
            if io.request(vec![Request::Remove { file }]).await.is_err() {
                self.fault = Some(error.to_string());
            }
            return Err(error);
        }
        let files = manifest.files();
        self.obsolete.extend(self.previous_files.iter().filter(|file| !files.contains(file) && !self.files.contains(file)));
        self.obsolete.extend((self.previous_first_log..self.first_log).map(File::Log));
        self.previous_files = std::mem::replace(&mut self.files, files);
        self.previous_first_log = self.first_log;
        self.first_log = manifest.log;
        self.generation = manifest.generation;
        self.next_segment = manifest.next_segment;
        self.manifest_bytes = manifest_bytes;
        if new_log {
            self.log = log;
            self.log_bytes = HEADER_BYTES as u64;
            self.log_records = 0;
        }
        self.remove_obsolete(io).await;
        Ok(())
    }

    /// Removes what nothing needs any more. What cannot be removed now is tried again at the next checkpoint.
    async fn remove_obsolete(&mut self, io: &Io) {
        for file in std::mem::take(&mut self.obsolete) {
            if io.request(vec![Request::Remove { file }]).await.is_err() {
                self.obsolete.insert(file);
            }
        }
    }

    /// Removes the files that only the previous state needs, for the room they take. Returns whether there were any.
    pub async fn give_up_previous(&mut self, io: &Io) -> bool {
        let logs = (self.previous_first_log..self.first_log).map(File::Log);
        let files: Vec<File> = self.previous_files.difference(&self.files).copied().chain(logs).collect();
        if files.is_empty() || self.fault.is_some() {
            return false;
        }
        // Its manifest goes first: it must never be opened without its files.
        let file = File::Manifest(((self.generation + 1) % 2) as u8);
        if io.request(vec![Request::Remove { file }]).await.is_err() {
            return false;
        }
        self.previous_files.clone_from(&self.files);
        self.previous_first_log = self.first_log;
        self.obsolete.extend(files);
        self.remove_obsolete(io).await;
        true
    }

    /// Removes what was written of a segment that has not become the catalogue's for this error. Should that fail, the next one is
    /// written over it.
    pub async fn take_back(&mut self, io: &Io, number: u32, error: &Error) {
        self.is_short_of_room |= error.is_full();
        // A manifest that names it may be on the disk.
        if self.fault.is_none() {
            let _ = io.request(vec![Request::Remove { file: File::Segment(number) }]).await;
        }
    }

    /// Finds out whether there is room for so many bytes.
    ///
    /// # Errors
    /// What keeps them from being written.
    pub async fn find_room(&self, io: &Io, bytes: usize) -> Result<()> {
        self.check()?;
        let number = self.next_segment;
        let write = Request::Write { file: File::Segment(number), offset: 0, bytes: vec![0; bytes] };
        let result = io.request(vec![write]).await.map(|_| ());
        let _ = io.request(vec![Request::Remove { file: File::Segment(number) }]).await;
        result
    }

    fn check(&self) -> Result<()> {
        match &self.fault {
            Some(fault) => Err(Error::Storage {
                what: format!("an earlier write failed and could not be taken back ({fault}): close the catalogue and open it again"),
                is_full: false,
            }),
            None => Ok(()),
        }
    }
}

/// Opens the stored catalogue of the scheme asked for, or of whatever scheme; an empty one if nothing is stored. Files keep their postings' places where those of all segments
/// together take more than `resident_bytes`.
///
/// # Errors
/// [`Error::Storage`] if no state can be opened, naming file and byte; [`Error::InvalidInput`] if it is of another scheme or version.
pub async fn open(io: &Io, asked: Option<Scheme>, resident_bytes: usize) -> Result<(Index, Volume, Recovered)> {
    let mut recovered = Recovered::default();
    let mut manifests = Vec::new();
    let mut first_error: Option<Error> = None;
    let mut slots = 0;
    for slot in 0..2 {
        let file = File::Manifest(slot);
        let Some(length) = io.length(file).await? else { continue };
        slots += 1;
        let bytes = io.read(file, 0, usize::try_from(length).unwrap_or(usize::MAX)).await?;
        match Manifest::decode(&bytes) {
            Ok(manifest) if manifest.slot() == file => manifests.push((manifest, length)),
            Ok(_) => {}
            Err(error) => {
                recovered.damaged_files.push(file.to_string());
                first_error.get_or_insert(Error::damaged_file(file, 0, error));
            }
        }
    }
    manifests.sort_by_key(|(manifest, _)| std::cmp::Reverse(manifest.generation));
    let stored = match manifests.first() {
        Some((manifest, _)) => Some(manifest.scheme),
        None => scheme_of_log(io).await?,
    };
    let scheme = asked.or(stored).unwrap_or_default();
    check_scheme(stored.unwrap_or(scheme), scheme)?;
    let all: Vec<Manifest> = manifests.iter().map(|(manifest, _)| manifest.clone()).collect();
    for (position, (manifest, length)) in manifests.into_iter().enumerate() {
        let mut attempt = Recovered::default();
        match load(io, &manifest, scheme, resident_bytes, &mut attempt).await {
            Ok((index, mut volume)) => {
                let other = all.iter().enumerate().find(|&(other, _)| other != position).map(|(_, other)| other);
                volume.adopt(&manifest, length, other);
                volume.remove_obsolete(io).await;
                recovered.dropped_bytes += attempt.dropped_bytes;
                return Ok((index, volume, recovered));
            }
            Err(error) => {
                recovered.damaged_files.push(manifest.slot().to_string());
                first_error.get_or_insert(error);
            }
        }
    }
    // Before its first manifest a catalogue is what its first log says.
    let first = io.length(File::Log(FIRST_LOG)).await?;
    if first.is_none() && slots > 0 {
        return Err(first_error.unwrap_or_else(|| Error::internal("a catalogue without a state")));
    }
    let nothing = Manifest {
        scheme,
        row_form: RowForm::default(),
        generation: 0,
        log: FIRST_LOG,
        next_segment: 1,
        segments: Vec::new(),
        tombstones: Vec::new(),
    };
    let (index, mut volume) = load(io, &nothing, scheme, resident_bytes, &mut recovered).await?;
    volume.adopt(&nothing, 0, None);
    Ok((index, volume, recovered))
}

impl Volume {
    /// Takes over what a manifest says, and the files that only `other`, an earlier one, needs.
    fn adopt(&mut self, manifest: &Manifest, manifest_bytes: u64, other: Option<&Manifest>) {
        self.generation = manifest.generation;
        self.first_log = manifest.log;
        self.next_segment = manifest.next_segment;
        self.manifest_bytes = manifest_bytes;
        self.files = manifest.files();
        match other {
            // The other one could not be loaded, or its logs were not needed: what it alone refers to goes at the next checkpoint.
            Some(other) if other.generation < manifest.generation => {
                self.previous_files = other.files();
                self.previous_first_log = other.log;
            }
            Some(other) => {
                // A newer one that is damaged is written over by the next, whose number must not fall behind it.
                self.obsolete = other.files().difference(&self.files).copied().collect();
                self.next_segment = self.next_segment.max(other.next_segment);
                self.previous_first_log = manifest.log;
            }
            // A checkpoint begins one log at most.
            None => self.previous_first_log = manifest.log.saturating_sub(1).max(FIRST_LOG),
        }
    }
}

/// Loads the state that a manifest and the logs from its on describe.
async fn load(io: &Io, manifest: &Manifest, scheme: Scheme, resident_bytes: usize, recovered: &mut Recovered) -> Result<(Index, Volume)> {
    let mut segments = Vec::with_capacity(manifest.segments.len());
    for entry in &manifest.segments {
        let Entry { number, tier, postings, file_bytes } = *entry;
        segments.push(Segment::open(io, number, tier, file_bytes, postings, scheme).await?);
    }
    // The smallest first: recent ones change soon, and being merged they are read whole.
    let mut order: Vec<usize> = (0..segments.len()).collect();
    order.sort_by_key(|&position| segments.get(position).map_or(0, Segment::len));
    let mut left = resident_bytes;
    for position in order {
        let Some(segment) = segments.get_mut(position) else { continue };
        if segment.place_bytes() > left {
            break;
        }
        left -= segment.place_bytes();
        segment.load_places(io).await?;
    }
    for &(position, track) in &manifest.tombstones {
        let track = segments.get_mut(position as usize).and_then(|segment| segment.roster.tracks.get_mut(track as usize));
        track.ok_or_else(|| Error::damaged_file(manifest.slot(), 0, "a removed track that is not there"))?.is_live = false;
    }
    let mut index = Index::of_segments(scheme, manifest.row_form.clone(), segments);
    let mut volume = Volume { log: manifest.log, ..Volume::default() };
    replay(io, manifest, &mut index, &mut volume, recovered).await?;
    Ok((index, volume))
}

/// Applies the records of a manifest's log and of those behind it, up to the first bad one.
async fn replay(io: &Io, manifest: &Manifest, index: &mut Index, volume: &mut Volume, recovered: &mut Recovered) -> Result<()> {
    let mut number = manifest.log;
    let mut is_cut = false;
    loop {
        let file = File::Log(number);
        let Some(length) = io.length(file).await? else {
            if number == manifest.log && manifest.generation > 0 {
                return Err(Error::damaged_file(file, 0, "the log is not there"));
            }
            return Ok(());
        };
        if is_cut {
            // Records behind a bad one have lost what they build on.
            recovered.dropped_bytes += length;
            io.request(vec![Request::Remove { file }]).await?;
            number += 1;
            continue;
        }
        let head = io.read(file, 0, HEADER_BYTES.min(usize::try_from(length).unwrap_or(usize::MAX))).await?;
        match check_log_header(&head) {
            Ok(found) => check_scheme(found, index.scheme())?,
            // A log without records may have been cut off while it was begun; it is begun again.
            Err(_) if length <= HEADER_BYTES as u64 => {
                recovered.dropped_bytes += length;
                if number == manifest.log {
                    volume.log = number;
                    volume.log_bytes = 0;
                }
                return Ok(());
            }
            Err(error) => return Err(Error::damaged_file(file, 0, error)),
        }
        let mut bytes = head;
        while (bytes.len() as u64) < length {
            let step = (length - bytes.len() as u64).min(READ_BYTES as u64) as usize;
            bytes.extend_from_slice(&io.read(file, bytes.len() as u64, step).await?);
        }
        let mut records = Records::new(&bytes);
        while let Some(record) = records.next() {
            apply(index, &record).map_err(|error| Error::damaged_file(file, records.good_bytes() as u64, error))?;
            io.pause().await;
        }
        volume.log = number;
        volume.log_bytes = records.good_bytes() as u64;
        volume.log_records = records.given();
        let dropped = length - volume.log_bytes;
        recovered.dropped_bytes += dropped;
        is_cut = dropped > 0;
        number += 1;
    }
}

/// The scheme of a catalogue that has no manifest yet; nothing if there is no whole header of a log.
async fn scheme_of_log(io: &Io) -> Result<Option<Scheme>> {
    let file = File::Log(FIRST_LOG);
    if io.length(file).await?.is_none_or(|length| length < HEADER_BYTES as u64) {
        return Ok(None);
    }
    // A damaged one is told when the log is read.
    Ok(check_log_header(&io.read(file, 0, HEADER_BYTES).await?).ok())
}

/// Applies a record of the log.
fn apply(index: &mut Index, record: &Record) -> Result<()> {
    match record {
        Record::Removal { id } => {
            index.bury(id);
        }
        Record::Enrolment { id, metadata, print } if audiofp::is_blob(print) => {
            let prepared = audiofp::prepare(index, id, metadata, print, Replace::Yes)?.0;
            index.commit(prepared);
        }
        Record::Enrolment { id, metadata, print } => {
            let prepared = index.prepare(id, metadata, &Print::from_bytes(print)?, Replace::Yes)?;
            index.commit(prepared);
        }
    }
    Ok(())
}

fn check_scheme(found: Scheme, wanted: Scheme) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::invalid(format!("the stored catalogue holds {}, asked for is {}: open it with those options", found, wanted)))
}
