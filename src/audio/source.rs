//! Where the bytes of an encoded file come from: memory, or anything that can be read at a place, a stretch at a time. A file on disk or
//! in a page's hands then never lies in memory whole.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, OnceLock};

use symphonia::core::io::MediaSource;

use crate::error::{Error, Result};

/// Bytes read at once, and kept: a reader of a format asks for a few kB at a time.
const READ_AHEAD: usize = 1 << 18;

/// Bytes that can be read at any place.
pub trait ByteSource: Send + Sync {
    /// Bytes in all.
    fn size(&self) -> u64;

    /// Fills `into` with the bytes from `at` on. Only what lies within the size is asked for.
    ///
    /// # Errors
    /// Whatever hinders reading: the file was moved or changed.
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<()>;
}

impl ByteSource for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let bytes = usize::try_from(at).ok().and_then(|at| self.get(at..at.checked_add(into.len())?));
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Why a source could not be read, once it could not. Readers of formats take a failed read for the file's end, which it is not.
#[derive(Clone, Default)]
pub(super) struct ReadFailure(Arc<OnceLock<String>>);

impl ReadFailure {
    /// # Errors
    /// [`Error::InvalidInput`] if the source has failed.
    pub(super) fn check(&self) -> Result<()> {
        self.0.get().map_or(Ok(()), |why| Err(Error::invalid(format!("the file could not be read: {why}"))))
    }
}

/// An encoded file: its source, read ahead, with a few words replaced.
pub(super) struct File {
    source: Box<dyn ByteSource>,
    size: u64,
    position: u64,
    /// Words that stand in place of the file's own.
    patches: Vec<(u64, [u8; 4])>,
    /// The bytes from `start` on.
    ahead: Vec<u8>,
    start: u64,
    failure: ReadFailure,
}

impl File {
    pub(super) fn new(source: Box<dyn ByteSource>) -> Self {
        let size = source.size();
        Self { source, size, position: 0, patches: Vec::new(), ahead: Vec::new(), start: 0, failure: ReadFailure::default() }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether it can still be read, also after it has been given away.
    pub(super) fn failure(&self) -> ReadFailure {
        self.failure.clone()
    }

    /// The `count` bytes from `at` on, or those up to the end.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the source cannot be read, [`Error::OutOfMemory`].
    pub(super) fn span(&mut self, at: u64, count: usize) -> Result<Vec<u8>> {
        let count = self.size.saturating_sub(at).min(count as u64) as usize;
        let failure = self.failure();
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(count).map_err(|_| Error::OutOfMemory { what: "a part of the encoded file", bytes: count as u64 })?;
        while bytes.len() < count {
            let next = at + bytes.len() as u64;
            let ready = Self::read_or_tell(&failure, self.ready(next))?;
            bytes.extend_from_slice(ready.get(..count - bytes.len()).unwrap_or(ready));
        }
        Ok(bytes)
    }

    /// The `N` bytes at `at`, if they are there.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the source cannot be read.
    pub(super) fn word<const N: usize>(&mut self, at: u64) -> Result<Option<[u8; N]>> {
        let failure = self.failure();
        let mut word = [0; N];
        let mut filled = 0;
        while filled < N {
            let ready = Self::read_or_tell(&failure, self.ready(at.saturating_add(filled as u64)))?;
            if ready.is_empty() {
                return Ok(None);
            }
            let count = ready.len().min(N - filled);
            word.iter_mut().skip(filled).zip(ready).for_each(|(to, from)| *to = *from);
            filled += count;
        }
        Ok(Some(word))
    }

    /// Lets `word` stand at `at`, if that lies in the file.
    pub(super) fn replace(&mut self, at: u64, word: [u8; 4]) {
        if at.saturating_add(4) <= self.size {
            self.patches.push((at, word));
            self.ahead.clear();
        }
    }

    /// At least one of the bytes from `at` on, none at the end.
    fn ready(&mut self, at: u64) -> io::Result<&[u8]> {
        if at >= self.size {
            return Ok(&[]);
        }
        if at < self.start || at >= self.start + self.ahead.len() as u64 {
            self.read_ahead(at)?;
        }
        Ok(self.ahead.get((at - self.start) as usize..).unwrap_or_default())
    }

    fn read_ahead(&mut self, at: u64) -> io::Result<()> {
        self.ahead.resize((self.size - at).min(READ_AHEAD as u64) as usize, 0);
        self.start = at;
        if let Err(error) = self.source.read_at(at, &mut self.ahead) {
            self.ahead.clear();
            let _ = self.failure.0.set(error.to_string());
            return Err(error);
        }
        for (place, word) in &self.patches {
            for (place, byte) in (*place..).zip(word) {
                let target = place.checked_sub(at).and_then(|place| self.ahead.get_mut(usize::try_from(place).ok()?));
                target.into_iter().for_each(|target| *target = *byte);
            }
        }
        Ok(())
    }

    fn read_or_tell<'a>(failure: &ReadFailure, read: io::Result<&'a [u8]>) -> Result<&'a [u8]> {
        read.map_err(|error| failure.check().err().unwrap_or_else(|| Error::internal(format!("reading the file: {error}"))))
    }
}

impl Read for File {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let ready = self.ready(self.position)?;
        let count = ready.len().min(into.len());
        into.iter_mut().zip(ready).for_each(|(to, from)| *to = *from);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl MediaSource for File {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.size)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Seek, SeekFrom};

    use super::{ByteSource, File, READ_AHEAD};

    /// Byte n is n modulo 251; from `good` on it cannot be read.
    struct Counting {
        size: u64,
        good: u64,
    }

    impl ByteSource for Counting {
        fn size(&self) -> u64 {
            self.size
        }

        fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
            if at + into.len() as u64 > self.good {
                return Err(io::Error::other("the disk was pulled out"));
            }
            into.iter_mut().zip(at..).for_each(|(byte, at)| *byte = (at % 251) as u8);
            Ok(())
        }
    }

    #[test]
    fn reads_across_what_was_read_ahead_and_seeks_back() {
        let size = 3 * READ_AHEAD as u64 + 5;
        let mut file = File::new(Box::new(Counting { size, good: u64::MAX }));
        let mut whole = Vec::new();
        file.read_to_end(&mut whole).unwrap();
        assert!(whole.len() as u64 == size && whole.iter().zip(0_u64..).all(|(byte, at)| u64::from(*byte) == at % 251));
        let place = READ_AHEAD as u64 - 2;
        file.seek(SeekFrom::Start(place)).unwrap();
        let mut four = [0; 4];
        file.read_exact(&mut four).unwrap();
        assert_eq!(four.map(u64::from), [0, 1, 2, 3].map(|offset| (place + offset) % 251));
        assert_eq!(file.word::<4>(size - 3).unwrap(), None);
        assert_eq!(file.span(size - 3, 10).unwrap().len(), 3);
    }

    #[test]
    fn a_replaced_word_is_read_wherever_the_reading_begins() {
        let place = READ_AHEAD as u64 - 2;
        let mut file = File::new(Box::new(vec![7; 2 * READ_AHEAD]));
        assert_eq!(file.word::<1>(place).unwrap(), Some([7]));
        file.replace(place, [1, 2, 3, 4]);
        file.replace(2 * READ_AHEAD as u64 - 3, [9; 4]);
        for from in [0, place + 1, place + 4] {
            let read = file.span(from, (place + 6 - from) as usize).unwrap();
            assert!([7, 7, 1, 2, 3, 4, 7, 7].ends_with(&read[read.len().saturating_sub(8)..]), "{from}: {read:?}");
        }
        assert_eq!(file.span(2 * READ_AHEAD as u64 - 3, 3).unwrap(), [7; 3]);
    }

    #[test]
    fn a_source_that_fails_is_remembered() {
        let mut file = File::new(Box::new(Counting { size: 2 * READ_AHEAD as u64, good: READ_AHEAD as u64 }));
        let failure = file.failure();
        assert_eq!(file.word::<2>(0).unwrap(), Some([0, 1]));
        failure.check().unwrap();
        let mut rest = Vec::new();
        assert!(file.read_to_end(&mut rest).is_err());
        assert!(failure.check().unwrap_err().to_string().contains("pulled out"));
        assert!(file.span(READ_AHEAD as u64, 1).unwrap_err().to_string().contains("pulled out"));
    }
}
