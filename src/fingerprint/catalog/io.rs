//! Input and output without doing any: a call asks for what it needs and is resumed with the answer.
//!
//! Calls are written as asynchronous functions that own the catalogue while they run. [`Machine`] steps one: until its next requests,
//! its next pause, or its end. No runtime, no thread and no callback is involved; whoever steps it does the reading and writing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::error::{Error, Result};

/// A file of a stored catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum File {
    /// One of the two slots that the manifest is written to in turn.
    Manifest(u8),
    /// Enrolments and removals since a manifest.
    Log(u32),
    /// Sorted postings and the tracks they are of.
    Segment(u32),
}

impl std::fmt::Display for File {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Manifest(slot) => write!(formatter, "manifest-{slot}"),
            Self::Log(number) => write!(formatter, "log-{number}"),
            Self::Segment(number) => write!(formatter, "segment-{number}"),
        }
    }
}

/// What a call needs done. Requests are carried out in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Tell how many bytes a file has, or that there is none: [`Reply::Length`].
    Lookup {
        /// The file.
        file: File,
    },
    /// Read exactly these bytes: [`Reply::Bytes`].
    Read {
        /// The file.
        file: File,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: usize,
    },
    /// Write these bytes; the file is made if there is none, and ends behind them: [`Reply::Done`].
    Write {
        /// The file.
        file: File,
        /// Where they go: at most the length of the file.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// See that all that was written to a file survives a power cut: [`Reply::Done`].
    Flush {
        /// The file.
        file: File,
    },
    /// Remove a file; that there is none is no error: [`Reply::Done`].
    Remove {
        /// The file.
        file: File,
    },
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Bytes of a file, nothing if there is no such file.
    Length(Option<u64>),
    /// The bytes read.
    Bytes(Vec<u8>),
    /// It is done.
    Done,
}

/// What a call is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It waits for these requests: carry them out, then [`Machine::answer`], or [`Machine::fail`].
    Requests(Vec<Request>),
    /// It has more to do: step on.
    Working,
    /// It gives a piece of its result: step on.
    Piece(Vec<u8>),
    /// It wants a piece of its input: [`Machine::give`].
    Wants,
    /// It has ended.
    Done,
}

/// What a call's code and its machine hand each other.
#[derive(Debug, Default)]
struct Mailbox {
    requests: Vec<Request>,
    replies: Option<Result<Vec<Reply>>>,
    pieces_out: VecDeque<Vec<u8>>,
    wants: bool,
    /// The outer option says whether something was given, the inner one what; nothing is the end.
    piece_in: Option<Option<Vec<u8>>>,
    /// Why the rest of the result or of the input is not coming.
    abandoned: Option<Error>,
}

/// A call's way to ask.
#[derive(Debug, Clone, Default)]
pub struct Io {
    mailbox: Rc<RefCell<Mailbox>>,
}

impl Io {
    /// Has requests carried out in order.
    ///
    /// # Errors
    /// What kept one of them from being done; those behind it are not.
    pub async fn request(&self, requests: Vec<Request>) -> Result<Vec<Reply>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let count = requests.len();
        self.mailbox.borrow_mut().requests = requests;
        let replies = poll_fn(|_| match self.mailbox.borrow_mut().replies.take() {
            Some(replies) => Poll::Ready(replies),
            None => Poll::Pending,
        })
        .await?;
        if replies.len() != count {
            return Err(Error::internal(format!("{} answers to {count} requests", replies.len())));
        }
        Ok(replies)
    }

    /// Length of a file, nothing if there is none.
    ///
    /// # Errors
    /// As [`Io::request`].
    pub async fn length(&self, file: File) -> Result<Option<u64>> {
        match self.request(vec![Request::Lookup { file }]).await?.pop() {
            Some(Reply::Length(length)) => Ok(length),
            _ => Err(Error::internal("a look-up was not answered by a length")),
        }
    }

    /// Bytes of a file.
    ///
    /// # Errors
    /// As [`Io::request`]; [`Error::Storage`] if fewer or more came.
    pub async fn read(&self, file: File, offset: u64, length: usize) -> Result<Vec<u8>> {
        match self.request(vec![Request::Read { file, offset, length }]).await?.pop() {
            Some(Reply::Bytes(bytes)) if bytes.len() == length => Ok(bytes),
            Some(Reply::Bytes(bytes)) => Err(Error::damaged_file(file, offset, format!("{} bytes of {length} could be read", bytes.len()))),
            _ => Err(Error::internal("a read was not answered by bytes")),
        }
    }

    /// Lets whoever steps the call do something else.
    pub async fn pause(&self) {
        let mut paused = false;
        poll_fn(|_| if std::mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Gives a piece of the result.
    ///
    /// # Errors
    /// Why nobody takes it.
    pub async fn put(&self, piece: Vec<u8>) -> Result<()> {
        self.mailbox.borrow_mut().pieces_out.push_back(piece);
        self.pause().await;
        self.mailbox.borrow_mut().abandoned.take().map_or(Ok(()), Err)
    }

    /// Takes a piece of the input; nothing at its end.
    ///
    /// # Errors
    /// Why nothing more comes.
    pub async fn take(&self) -> Result<Option<Vec<u8>>> {
        self.mailbox.borrow_mut().wants = true;
        poll_fn(|_| {
            let mut mailbox = self.mailbox.borrow_mut();
            match (mailbox.abandoned.take(), mailbox.piece_in.take()) {
                (Some(error), _) => Poll::Ready(Err(error)),
                (None, Some(piece)) => Poll::Ready(Ok(piece)),
                (None, None) => Poll::Pending,
            }
        })
        .await
    }
}

impl Error {
    /// The error of a stored file whose content is not what was written.
    pub(super) fn damaged_file(file: File, offset: u64, found: impl std::fmt::Display) -> Self {
        Self::Storage {
            what: format!("{file}, byte {offset}: {found}: the stored catalogue is damaged, import a copy of it or enrol anew"),
            is_full: false,
        }
    }

    /// Whether a storage had no room.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Storage { is_full: true, .. })
    }
}

/// A call under way.
pub struct Machine<'a, T> {
    mailbox: Rc<RefCell<Mailbox>>,
    call: Pin<Box<dyn Future<Output = T> + 'a>>,
    is_asking: bool,
}

impl<'a, T> Machine<'a, T> {
    /// Begins the call that `start` makes.
    pub fn new<F: Future<Output = T> + 'a>(start: impl FnOnce(Io) -> F) -> Self {
        let io = Io::default();
        let mailbox = io.mailbox.clone();
        Self { mailbox, call: Box::pin(start(io)), is_asking: false }
    }

    /// Steps on to the next thing to be told. At [`Progress::Done`] the result comes along.
    ///
    /// # Errors
    /// [`Error::Internal`] while requests are unanswered.
    pub fn step(&mut self) -> Result<(Progress, Option<T>)> {
        if let Some(piece) = self.mailbox.borrow_mut().pieces_out.pop_front() {
            return Ok((Progress::Piece(piece), None));
        }
        if self.is_asking {
            return Err(Error::internal("a call is stepped while it waits for an answer"));
        }
        let poll = self.call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(result) = poll {
            return Ok((Progress::Done, Some(result)));
        }
        let mut mailbox = self.mailbox.borrow_mut();
        if !mailbox.requests.is_empty() {
            self.is_asking = true;
            return Ok((Progress::Requests(std::mem::take(&mut mailbox.requests)), None));
        }
        if std::mem::take(&mut mailbox.wants) {
            self.is_asking = true;
            return Ok((Progress::Wants, None));
        }
        match mailbox.pieces_out.pop_front() {
            Some(piece) => Ok((Progress::Piece(piece), None)),
            None => Ok((Progress::Working, None)),
        }
    }

    /// Answers the requests.
    pub fn answer(&mut self, replies: Vec<Reply>) {
        self.mailbox.borrow_mut().replies = Some(Ok(replies));
        self.is_asking = false;
    }

    /// Tells that a request failed: the call leaves everything as it was and ends with this error.
    pub fn fail(&mut self, error: Error) {
        self.mailbox.borrow_mut().replies = Some(Err(error));
        self.is_asking = false;
    }

    /// Tells that the rest of the input is not coming, or that nobody takes the rest of the result.
    pub fn abandon(&mut self, error: Error) {
        self.mailbox.borrow_mut().abandoned = Some(error);
        self.is_asking = false;
    }

    /// Gives a piece of the input; nothing is its end.
    pub fn give(&mut self, piece: Option<Vec<u8>>) {
        self.mailbox.borrow_mut().piece_in = Some(piece);
        self.is_asking = false;
    }
}
