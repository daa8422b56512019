//! The 32-byte header that every stored format of otolith begins with.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic of the room, such as `OTFP` |
//! | 4..6 | schema of this header, u16 = 1 |
//! | 6 | kind of file, u8 |
//! | 7 | algorithm, u8 |
//! | 8..10 | algorithm version, u16 |
//! | 10..12 | profile, u16 |
//! | 12..16 | CRC-32 of the algorithm's parameters, u32 |
//! | 16..24 | payload length in bytes, u64; all ones for a stream of unknown length |
//! | 24..28 | CRC-32 of the payload, u32; 0 where the payload carries its own checksums |
//! | 28..32 | CRC-32 of bytes 0..28, u32 |
//!
//! All little-endian. CRC-32 is the one of IEEE 802.3 (polynomial 0x04C11DB7, reflected).

use std::ops::RangeInclusive;

use crate::error::{Error, Result};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 32;
/// The schema written and read here.
pub const SCHEMA: u16 = 1;
/// Payload length that says "a stream: read to the end".
pub const STREAM: u64 = u64::MAX;

/// Bytes that the header's own checksum covers.
const CHECKED_BYTES: usize = 28;

/// What a stored file is. Versions and checksums are in [`Header::to_bytes`] and [`Header::read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Four letters that name the room.
    pub magic: [u8; 4],
    /// Kind of file, by the room's own numbering.
    pub kind: u8,
    /// Algorithm, by the room's own numbering.
    pub algorithm: u8,
    /// Version of the algorithm: rises when any output byte changes for any input.
    pub algorithm_version: u16,
    /// Profile of the algorithm, by the room's own numbering.
    pub profile: u16,
    /// CRC-32 of the algorithm's parameters.
    pub parameter_crc: u32,
    /// Bytes that follow the header, or [`STREAM`].
    pub payload_length: u64,
    /// CRC-32 of the payload, or 0 where it carries its own checksums.
    pub payload_crc: u32,
}

impl Header {
    /// This header with length and checksum of `payload`.
    #[must_use]
    pub fn for_payload(self, payload: &[u8]) -> Self {
        Self { payload_length: payload.len() as u64, payload_crc: crc32fast::hash(payload), ..self }
    }

    /// The header's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.magic);
        bytes[4..6].copy_from_slice(&SCHEMA.to_le_bytes());
        bytes[6] = self.kind;
        bytes[7] = self.algorithm;
        bytes[8..10].copy_from_slice(&self.algorithm_version.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.profile.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.parameter_crc.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.payload_length.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of a file of the room `magic` and gives it with the bytes that follow.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the byte offset of what is wrong: too few bytes, another magic, a checksum that does not agree; or
    /// an unknown schema, naming the one found and the one read.
    pub fn read(bytes: &[u8], magic: [u8; 4]) -> Result<(Self, &[u8])> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Error::invalid(format!("byte {}: the file ends inside its {HEADER_BYTES}-byte header", bytes.len())));
        };
        let found: [u8; 4] = field(head, 0);
        if found != magic {
            return Err(Error::invalid(format!(
                "byte 0: the file begins with \"{}\", not \"{}\"",
                found.escape_ascii(),
                magic.escape_ascii()
            )));
        }
        if crc32fast::hash(&head[..CHECKED_BYTES]) != u32::from_le_bytes(field(head, CHECKED_BYTES)) {
            return Err(Error::invalid(format!(
                "byte {CHECKED_BYTES}: the header is damaged, its checksum does not agree: get the file again"
            )));
        }
        let schema = u16::from_le_bytes(field(head, 4));
        if schema != SCHEMA {
            return Err(Error::invalid(format!(
                "byte 4: the file has schema version {schema}, read here is {SCHEMA}: use a newer otolith"
            )));
        }
        let header = Self {
            magic,
            kind: head[6],
            algorithm: head[7],
            algorithm_version: u16::from_le_bytes(field(head, 8)),
            profile: u16::from_le_bytes(field(head, 10)),
            parameter_crc: u32::from_le_bytes(field(head, 12)),
            payload_length: u64::from_le_bytes(field(head, 16)),
            payload_crc: u32::from_le_bytes(field(head, 24)),
        };
        Ok((header, rest))
    }

    /// Checks that `payload` is what the header describes, for kinds with one checksum over all of it.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the byte offset (counted from the start of the file) of the end or the checksum.
    pub fn check_payload(&self, payload: &[u8]) -> Result<()> {
        if self.payload_length != payload.len() as u64 {
            return Err(Error::invalid(format!(
                "byte {}: {} bytes follow the header, it announces {}: get the file again",
                HEADER_BYTES + payload.len(),
                payload.len(),
                self.payload_length
            )));
        }
        if self.payload_crc != crc32fast::hash(payload) {
            return Err(Error::invalid(format!(
                "byte {HEADER_BYTES}: the content is damaged, its checksum does not agree: get the file again"
            )));
        }
        Ok(())
    }

    /// Checks the version of the algorithm called `name`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the version found and those read.
    pub fn check_algorithm_version(&self, name: &str, read: &RangeInclusive<u16>) -> Result<()> {
        if read.contains(&self.algorithm_version) {
            return Ok(());
        }
        let (first, last) = (read.start(), read.end());
        let read = if first == last { format!("version {first}") } else { format!("versions {first} to {last}") };
        Err(Error::invalid(format!(
            "byte 8: the file was made by {name} version {}, read here is {read}: make it anew",
            self.algorithm_version
        )))
    }
}

/// `N` bytes at a fixed place of the header.
fn field<const N: usize>(head: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|index| head[at + index])
}

#[cfg(test)]
mod tests {
    use super::{HEADER_BYTES, Header};

    fn header() -> Header {
        Header {
            magic: *b"OTFP",
            kind: 1,
            algorithm: 2,
            algorithm_version: 3,
            profile: 4,
            parameter_crc: 0x0506_0708,
            payload_length: 0,
            payload_crc: 0,
        }
        .for_payload(b"123456789")
    }

    /// `bytes` with a header checksum that agrees again.
    fn sealed(mut bytes: [u8; HEADER_BYTES]) -> [u8; HEADER_BYTES] {
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let bytes = header().to_bytes();
        // 0xCBF43926 is the published check value of this CRC for "123456789".
        let expected = [b'O', b'T', b'F', b'P', 1, 0, 1, 2, 3, 0, 4, 0, 8, 7, 6, 5, 9, 0, 0, 0, 0, 0, 0, 0, 0x26, 0x39, 0xf4, 0xcb];
        assert_eq!(bytes[..28], expected);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut file = header().to_bytes().to_vec();
        file.extend_from_slice(b"123456789");
        let (read, payload) = Header::read(&file, *b"OTFP").unwrap();
        assert_eq!(read, header());
        read.check_payload(payload).unwrap();
        assert!(read.check_payload(b"12345678").unwrap_err().to_string().contains("byte 40"));
        assert!(read.check_payload(b"123456780").unwrap_err().to_string().contains("byte 32"));
    }

    #[test]
    fn every_single_bit_flip_is_found() {
        let bytes = header().to_bytes();
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::read(&flipped, *b"OTFP").unwrap_err().kind(), "invalid-input", "bit {bit}");
        }
    }

    #[test]
    fn unknown_versions_are_refused_naming_the_one_found_and_those_read() {
        let mut bytes = header().to_bytes();
        bytes[4] = 9;
        let message = Header::read(&sealed(bytes), *b"OTFP").unwrap_err().to_string();
        assert!(message.contains("version 9") && message.contains("here is 1"), "{message}");
        let message = header().check_algorithm_version("wang", &(1..=2)).unwrap_err().to_string();
        assert!(message.contains("version 3") && message.contains("1 to 2"), "{message}");
        header().check_algorithm_version("wang", &(3..=3)).unwrap();
    }

    #[test]
    fn a_short_file_and_another_magic_are_named_with_their_offset() {
        let bytes = header().to_bytes();
        assert!(Header::read(&bytes[..31], *b"OTFP").unwrap_err().to_string().starts_with("byte 31"));
        assert!(Header::read(&bytes, *b"OTFC").unwrap_err().to_string().starts_with("byte 0"));
    }
}
