//! A catalogue with its files, without doing input or output.
//!
//! [`Store::begin`] begins a call, [`Store::step`] moves it on until [`Progress::Done`]. What it asks for on the way is carried out by
//! whoever steps it and answered. One call runs at a time; one that fails leaves the catalogue as it was.

use serde::Serialize;

use super::core::Core;
use super::io::{Io, Machine, Progress, Reply};
use super::{Replace, Stats};
use crate::error::{Error, Result};
use crate::fingerprint::matching::{Hit, MatchOptions};
use crate::fingerprint::print::{Print, Scheme};

/// When a catalogue does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of postings that are kept in memory; the others are read from their files by every query. Default 64 MiB, about 1 500 tracks.
    pub resident_bytes: usize,
    /// Postings at which recent enrolments become a segment. Default 262 144, about 31 tracks.
    pub seal_postings: usize,
    /// Bytes of the log at which they do, for prints without postings. Default 8 MiB.
    pub seal_log_bytes: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { resident_bytes: 64 << 20, seal_postings: 262_144, seal_log_bytes: 8 << 20 }
    }
}

/// What a store is asked to do.
pub enum Command {
    /// Enrol a print.
    Enrol {
        /// The track's id.
        id: String,
        /// JSON.
        metadata: String,
        /// The print, or a blob of audiofp's.
        print: Enrolled,
        /// Whether a track of that id makes room.
        replace: Replace,
    },
    /// Remove a track: [`Outcome::Removed`].
    Remove {
        /// The track's id.
        id: String,
    },
    /// Find a print: [`Outcome::Hits`].
    Find {
        /// The print.
        print: Print,
        /// How.
        options: MatchOptions,
    },
    /// Drop what removed tracks left behind and pack everything in one segment.
    Compact,
    /// Give all of it as pieces.
    Export,
    /// Take pieces of an export, and then have its content in place of the own.
    Import,
}

/// What is enrolled.
#[derive(Debug, Clone)]
pub enum Enrolled {
    /// A print.
    Print(Print),
    /// A version 1 blob of the crate audiofp.
    AudioFp(Vec<u8>),
}

/// What a call gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing.
    Nothing,
    /// Whether there was such a track.
    Removed(bool),
    /// Hits, best first.
    Hits(Vec<Hit>),
    /// Number of a blob's landmarks that have no place here.
    Dropped(usize),
}

/// A track as a catalogue lists it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackEntry {
    /// Its id.
    pub id: String,
    /// What was enrolled with it.
    pub metadata: serde_json::Value,
    /// Seconds.
    pub duration: f64,
    /// Postings.
    pub hash_count: usize,
}

type Ended = (Core, Result<Outcome>);

/// A catalogue whose files somebody else reads and writes.
pub struct Store {
    core: Option<Core>,
    machine: Option<Machine<'static, Result<Ended>>>,
    outcome: Option<Outcome>,
}

impl Store {
    /// A catalogue in memory, which asks for nothing.
    #[must_use]
    pub fn memory(scheme: Scheme) -> Self {
        Self { core: Some(Core::memory(scheme)), machine: None, outcome: None }
    }

    /// Begins to open the stored catalogue of the scheme asked for, or of whatever scheme is stored; an empty one if nothing is. Step it
    /// until it is done.
    #[must_use]
    pub fn open(asked: Option<Scheme>, sizes: Sizes) -> Self {
        let machine = Machine::new(move |io| async move {
            let core = Core::open(&io, asked, sizes).await?;
            Ok((core, Ok(Outcome::Nothing)))
        });
        Self { core: None, machine: Some(machine), outcome: None }
    }

    /// Begins a call.
    ///
    /// # Errors
    /// [`Error::Internal`] while another one runs, or if opening failed.
    pub fn begin(&mut self, command: Command) -> Result<()> {
        let Some(core) = self.core.take() else { return Err(Error::internal("a call of a catalogue begins while another one runs")) };
        self.outcome = None;
        self.machine = Some(Machine::new(move |io| run(core, io, command)));
        Ok(())
    }

    /// Moves the call on.
    ///
    /// # Errors
    /// What the call fails with; it is then over, and the catalogue as before. [`Error::Internal`] if none runs.
    pub fn step(&mut self) -> Result<Progress> {
        let Some(machine) = &mut self.machine else { return Err(Error::internal("no call of a catalogue runs")) };
        let (progress, ended) = machine.step()?;
        let Some(ended) = ended else { return Ok(progress) };
        self.machine = None;
        let (core, outcome) = ended?;
        self.core = Some(core);
        self.outcome = Some(outcome?);
        Ok(progress)
    }

    /// Answers the requests of the last step, in their order.
    pub fn answer(&mut self, replies: Vec<Reply>) {
        if let Some(machine) = &mut self.machine {
            machine.answer(replies);
        }
    }

    /// Tells that a request failed. Step on: the call leaves everything as it was and, unless it can do without, fails with this error.
    pub fn fail(&mut self, error: Error) {
        if let Some(machine) = &mut self.machine {
            machine.fail(error);
        }
    }

    /// Tells that the rest of the input is not coming, or that nobody takes the rest of the result. Step on: the call leaves everything
    /// as it was and fails with this error.
    pub fn abandon(&mut self, error: Error) {
        if let Some(machine) = &mut self.machine {
            machine.abandon(error);
        }
    }

    /// Gives a piece of the input that was wanted; nothing is its end.
    pub fn give(&mut self, piece: Option<Vec<u8>>) {
        if let Some(machine) = &mut self.machine {
            machine.give(piece);
        }
    }

    /// What the last call gave.
    pub fn take_outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// The algorithm and profile of its prints.
    ///
    /// # Errors
    /// [`Error::Internal`] while a call runs.
    pub fn scheme(&self) -> Result<Scheme> {
        Ok(self.core()?.index().scheme())
    }

    /// Whether a track has this id.
    ///
    /// # Errors
    /// [`Error::Internal`] while a call runs.
    pub fn has(&self, id: &str) -> Result<bool> {
        Ok(self.core()?.index().has(id))
    }

    /// The ids in their order.
    ///
    /// # Errors
    /// [`Error::Internal`] while a call runs.
    pub fn ids(&self) -> Result<Vec<String>> {
        Ok(self.core()?.index().ids().map(str::to_owned).collect())
    }

    /// Its tracks by id.
    ///
    /// # Errors
    /// [`Error::Internal`] while a call runs.
    pub fn tracks(&self) -> Result<Vec<TrackEntry>> {
        self.core()?
            .index()
            .live_tracks()
            .map(|track| {
                let metadata =
                    serde_json::from_str(&track.metadata).map_err(|error| Error::internal(format!("stored metadata: {error}")))?;
                Ok(TrackEntry { id: track.id.clone(), metadata, duration: track.duration, hash_count: track.postings })
            })
            .collect()
    }

    /// Figures about it.
    ///
    /// # Errors
    /// [`Error::Internal`] while a call runs.
    pub fn stats(&self) -> Result<Stats> {
        Ok(self.core()?.stats())
    }

    fn core(&self) -> Result<&Core> {
        self.core.as_ref().ok_or_else(|| Error::internal("a catalogue is asked while a call of it runs"))
    }
}

async fn run(mut core: Core, io: Io, command: Command) -> Result<Ended> {
    let result = match command {
        Command::Enrol { id, metadata, print, replace } => match print {
            Enrolled::Print(print) => core.enrol(&io, &id, &metadata, &print, replace).await.map(|()| Outcome::Nothing),
            Enrolled::AudioFp(blob) => core.enrol_audiofp(&io, &id, &metadata, blob, replace).await.map(Outcome::Dropped),
        },
        Command::Remove { id } => core.remove(&io, &id).await.map(Outcome::Removed),
        Command::Find { print, options } => core.find(&io, &print, &options).await.map(Outcome::Hits),
        Command::Compact => core.compact(&io).await.map(|()| Outcome::Nothing),
        Command::Export => core.export(&io).await.map(|()| Outcome::Nothing),
        Command::Import => core.import(&io).await.map(|()| Outcome::Nothing),
    };
    Ok((core, result))
}
