//! A disk in memory for stored catalogues, which remembers what was done to it and can fail.

use std::collections::BTreeMap;

use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::catalog::io::{File, Progress, Reply, Request};
use otolith::fingerprint::catalog::store::{Command, Enrolled, Outcome, Sizes, Store};
use otolith::fingerprint::{Extract, Mix, Print, Profile, Wang};
use otolith::{Audio, Error, Limits, Result};

use super::music::music;

/// Small enough that a dozen enrolments of a second seal, merge and compact.
pub const SMALL: Sizes = Sizes { resident_bytes: 2_000, seal_postings: 60, seal_log_bytes: 3_000 };

/// How a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing of it is done.
    Clean,
    /// Half of it is done.
    Torn,
    /// All of it is done, and yet it is reported as failed.
    Late,
}

/// Files, and what was written to them.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub files: BTreeMap<File, Vec<u8>>,
    /// What a power cut leaves of them: their content at the last flush.
    pub durable: BTreeMap<File, Vec<u8>>,
    /// Every write, flush and removal.
    pub history: Vec<Request>,
    /// Number of the change that fails, and how; later ones succeed again.
    pub failing: Option<(usize, Failure)>,
    /// Bytes that all files together may have; a write that finds less room is torn.
    pub room: Option<usize>,
}

impl Disk {
    /// The disk after the first `count` changes of a history.
    pub fn after(history: &[Request], count: usize) -> Self {
        let mut disk = Self::default();
        for request in &history[..count] {
            disk.change(request);
        }
        disk
    }

    /// The same without what was not flushed.
    pub fn without_unflushed(&self) -> Self {
        Self { files: self.durable.clone(), durable: self.durable.clone(), ..Self::default() }
    }

    pub fn carry_out(&mut self, request: &Request) -> Result<Reply> {
        match request {
            Request::Lookup { file } => return Ok(Reply::Length(self.files.get(file).map(|bytes| bytes.len() as u64))),
            Request::Read { file, offset, length } => {
                let start = *offset as usize;
                let bytes = self.files.get(file).and_then(|bytes| bytes.get(start..start + length));
                return Ok(Reply::Bytes(bytes.unwrap_or_default().to_vec()));
            }
            _ => {}
        }
        let number = self.history.len();
        self.history.push(request.clone());
        match self.failing {
            Some((failing, failure)) if failing == number => {
                match (failure, request) {
                    (Failure::Clean, _) => {}
                    (Failure::Torn, Request::Write { file, offset, bytes }) => {
                        let bytes = bytes[..bytes.len() / 2].to_vec();
                        self.change(&Request::Write { file: *file, offset: *offset, bytes });
                    }
                    (Failure::Torn, _) => {}
                    (Failure::Late, _) => self.change(request),
                }
                Err(full())
            }
            _ => self.fit(request),
        }
    }

    /// Makes a change as far as there is room.
    fn fit(&mut self, request: &Request) -> Result<Reply> {
        if let (Request::Write { file, offset, bytes }, Some(room)) = (request, self.room) {
            let others: usize = self.files.iter().filter(|&(other, _)| other != file).map(|(_, content)| content.len()).sum();
            let fits = room.saturating_sub(others + *offset as usize);
            if fits < bytes.len() {
                let torn = Request::Write { file: *file, offset: *offset, bytes: bytes[..fits].to_vec() };
                self.change(&torn);
                // What was done of it is what a history tells.
                *self.history.last_mut().unwrap() = torn;
                return Err(full());
            }
        }
        self.change(request);
        Ok(Reply::Done)
    }

    pub fn change(&mut self, request: &Request) {
        match request {
            Request::Write { file, offset, bytes } => {
                let content = self.files.entry(*file).or_default();
                assert!(*offset as usize <= content.len(), "a hole is written in {file}");
                content.truncate(*offset as usize);
                content.extend_from_slice(bytes);
            }
            Request::Flush { file } => {
                if let Some(content) = self.files.get(file) {
                    self.durable.insert(*file, content.clone());
                }
            }
            Request::Remove { file } => {
                self.files.remove(file);
                self.durable.remove(file);
            }
            Request::Lookup { .. } | Request::Read { .. } => {}
        }
    }
}

fn full() -> Error {
    Error::Storage { what: "the disk is full: 100 bytes are needed, 0 are free".to_string(), is_full: true }
}

/// Steps a store until its call has ended. Gives what the call gave, and its pieces.
pub fn drive(store: &mut Store, disk: &mut Disk, input: &[u8]) -> Result<(Outcome, Vec<u8>)> {
    let mut pieces = Vec::new();
    let mut rest = input.chunks(1_000);
    loop {
        match store.step()? {
            Progress::Requests(requests) => {
                let mut replies = Vec::new();
                let failed = requests.iter().find_map(|request| match disk.carry_out(request) {
                    Ok(reply) => {
                        replies.push(reply);
                        None
                    }
                    Err(error) => Some(error),
                });
                match failed {
                    Some(error) => store.fail(error),
                    None => store.answer(replies),
                }
            }
            Progress::Working => {}
            Progress::Piece(piece) => {
                assert!(piece.len() <= 65_536);
                pieces.extend(piece);
            }
            Progress::Wants => store.give(rest.next().map(<[u8]>::to_vec)),
            Progress::Done => return Ok((store.take_outcome().unwrap_or(Outcome::Nothing), pieces)),
        }
    }
}

/// Opens what is on the disk.
pub fn open(disk: &mut Disk, sizes: Sizes) -> Result<Store> {
    let mut store = Store::open(None, sizes);
    drive(&mut store, disk, &[])?;
    Ok(store)
}

/// What a store holds, as its export.
pub fn export(store: &mut Store, disk: &mut Disk) -> Result<Vec<u8>> {
    store.begin(Command::Export)?;
    Ok(drive(store, disk, &[])?.1)
}

/// A change of a catalogue.
#[derive(Debug, Clone)]
pub enum Change {
    Enrol(String, usize),
    Remove(String),
    Compact,
    Import(Vec<u8>),
}

impl Change {
    /// Makes the change.
    pub fn make(&self, store: &mut Store, disk: &mut Disk, prints: &[Print]) -> Result<()> {
        let mut input: &[u8] = &[];
        store.begin(match self {
            Self::Enrol(id, print) => Command::Enrol {
                id: id.clone(),
                metadata: format!("{{\"print\":{print}}}"),
                print: Enrolled::Print(prints[*print].clone()),
                replace: Replace::Yes,
            },
            Self::Remove(id) => Command::Remove { id: id.clone() },
            Self::Compact => Command::Compact,
            Self::Import(bytes) => {
                input = bytes;
                Command::Import
            }
        })?;
        drive(store, disk, input).map(|_| ())
    }
}

/// Prints of `count` different sounds of a second.
pub fn prints(count: usize) -> Vec<Print> {
    let wang = Wang::new(Profile::Default, Mix::Mean);
    let sound = |seed: usize| Audio::new(vec![music(seed as u64, 1.0, 8_000)], 8_000, &Limits::default()).unwrap();
    (0..count).map(|seed| wang.extract(&sound(seed)).unwrap()).collect()
}
