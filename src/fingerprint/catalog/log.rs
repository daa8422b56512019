//! The log: what was enrolled and removed since a manifest.
//!
//! [`Header`] (kind 4, payload length "stream") | records: length u32 | CRC-32 u32 | content. The checksum covers the record's number in
//! its log (u32, from 0) and the content, so that no record can stand for another. Content: kind u8 | id | metadata | print, each with its
//! length in front; a removal has the id only.

use super::roster::{put_block, take_block, take_text};
use crate::error::Result;
use crate::fingerprint::print::Scheme;
use crate::fingerprint::wire::{KIND_LOG, MAGIC, Reader, check_algorithm, check_kind, header};
use crate::header::{HEADER_BYTES, Header, STREAM};

const ENROLMENT: u8 = 1;
const REMOVAL: u8 = 2;
/// Bytes before a record's content.
const RECORD_HEAD: usize = 8;

/// A change of a catalogue.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A track comes in, in place of one of its id.
    Enrolment {
        id: String,
        metadata: String,
        /// A print's bytes, or a blob of audiofp's.
        print: Vec<u8>,
    },
    /// A track goes.
    Removal { id: String },
}

impl Record {
    /// Its bytes as record `number` of a log.
    pub fn encode(&self, number: u32) -> Vec<u8> {
        let mut content = Vec::new();
        match self {
            Self::Enrolment { id, metadata, print } => {
                content.push(ENROLMENT);
                put_block(&mut content, id.as_bytes());
                put_block(&mut content, metadata.as_bytes());
                put_block(&mut content, print);
            }
            Self::Removal { id } => {
                content.push(REMOVAL);
                put_block(&mut content, id.as_bytes());
            }
        }
        let mut bytes = Vec::with_capacity(RECORD_HEAD + content.len());
        bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&checksum(number, &content).to_le_bytes());
        bytes.append(&mut content);
        bytes
    }

    fn decode(content: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(content, 0);
        let [kind] = reader.take()?;
        let id = take_text(&mut reader)?;
        let record = match kind {
            ENROLMENT => Self::Enrolment { id, metadata: take_text(&mut reader)?, print: take_block(&mut reader)?.to_vec() },
            REMOVAL => Self::Removal { id },
            _ => return Err(reader.damaged(0, format!("a record of kind {kind}"))),
        };
        if reader.left() > 0 {
            return Err(reader.damaged(0, format!("{} bytes behind a record", reader.left())));
        }
        Ok(record)
    }
}

/// The first bytes of a log.
pub fn log_header(scheme: Scheme) -> Vec<u8> {
    Header { payload_length: STREAM, ..header(KIND_LOG, scheme) }.to_bytes().to_vec()
}

/// Checks the first bytes of a log; gives its scheme.
///
/// # Errors
/// [`crate::Error::InvalidInput`] with the byte for anything else.
pub fn check_log_header(bytes: &[u8]) -> Result<Scheme> {
    let (header, _) = Header::read(bytes, MAGIC)?;
    check_kind(&header, KIND_LOG)?;
    check_algorithm(&header)
}

/// Reads the records of a whole log one by one, as far as they are good.
pub struct Records<'a> {
    bytes: &'a [u8],
    /// Bytes up to the next record.
    good: usize,
    number: u32,
}

impl<'a> Records<'a> {
    /// The records of a log whose header is checked.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, good: HEADER_BYTES.min(bytes.len()), number: 0 }
    }

    /// Bytes of the header and the records given so far.
    pub fn good_bytes(&self) -> usize {
        self.good
    }

    /// Number of records given so far.
    pub fn given(&self) -> u32 {
        self.number
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let rest = self.bytes.get(self.good..)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (own, rest) = rest.split_first_chunk::<4>()?;
        let content = rest.get(..u32::from_le_bytes(*length) as usize)?;
        if checksum(self.number, content) != u32::from_le_bytes(*own) {
            return None;
        }
        let record = Record::decode(content).ok()?;
        self.good += RECORD_HEAD + content.len();
        self.number += 1;
        Some(record)
    }
}

fn checksum(number: u32, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(content);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::{Record, Records};

    #[test]
    fn records_read_back_up_to_the_first_bad_byte() {
        let records = [
            Record::Enrolment { id: "a".into(), metadata: "null".into(), print: vec![1, 2, 3] },
            Record::Removal { id: "a".into() },
            Record::Enrolment { id: "b".into(), metadata: "{}".into(), print: Vec::new() },
        ];
        let mut log = vec![0; 32];
        let mut ends = Vec::new();
        for (record, number) in records.iter().zip(0..) {
            log.extend(record.encode(number));
            ends.push(log.len());
        }
        assert!(Records::new(&log).eq(records.iter().cloned()));
        for end in 32..log.len() {
            let mut read = Records::new(&log[..end]);
            let count = read.by_ref().count();
            assert_eq!(count, ends.iter().filter(|&&whole| whole <= end).count());
            assert_eq!(read.good_bytes(), if count == 0 { 32 } else { ends[count - 1] });
        }
        for byte in 32..log.len() {
            log[byte] ^= 4;
            assert_eq!(Records::new(&log).count(), ends.iter().filter(|&&whole| whole <= byte).count(), "byte {byte}");
            log[byte] ^= 4;
        }
        // A good record in another one's place is none.
        log.splice(32..ends[0], records[1].encode(1));
        assert_eq!(Records::new(&log).count(), 0);
    }
}
