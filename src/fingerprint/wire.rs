//! Prints as bytes, and comparisons that take the same time whatever the content.
//!
//! A print is a [`Header`] and its payload: duration in seconds f64 | warnings u32 | layers u32 | per layer: number of peaks u32, peaks of
//! 8 bytes. Little-endian.

use super::landmark::{Density, RANK_FRAMES, RANK_MAX, TARGET_BINS, TARGET_FRAMES};
use super::peaks::Peak;
use super::print::{Algorithm, Print, Profile, Warning};
use super::wang::{FRAME_LENGTH, HOP_LENGTH, PEAKS, SAMPLE_RATE};
use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES, Header};
use crate::limits::CHANNELS;

/// Magic of prints and catalogues.
pub const MAGIC: [u8; 4] = *b"OTFP";
/// Kind of a print.
pub const KIND_PRINT: u8 = 1;
/// Kind of an exported catalogue.
pub const KIND_EXPORT: u8 = 5;

/// Bytes of a peak.
const PEAK_BYTES: usize = 8;
/// Between a peak and the `RANK_MAX`-th after it lie more eighths of a frame than this: `RANK_MAX + 1` peaks of rows that are all within
/// [`RANK_FRAMES`] of each other could not all rank below it. Refinement moves each by half a frame at most.
const CROWD_EIGHTHS: u32 = 8 * RANK_FRAMES - 8;

impl Print {
    /// The print as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let peaks: usize = self.layers().iter().map(Vec::len).sum();
        let mut payload = Vec::with_capacity(16 + 4 * self.layers().len() + PEAK_BYTES * peaks);
        payload.extend_from_slice(&self.duration().to_le_bytes());
        payload.extend_from_slice(&self.warnings().iter().map(|warning| warning.bit()).sum::<u32>().to_le_bytes());
        payload.extend_from_slice(&(self.layers().len() as u32).to_le_bytes());
        for layer in self.layers() {
            payload.extend_from_slice(&(layer.len() as u32).to_le_bytes());
            for peak in layer {
                payload.extend_from_slice(&peak.t.to_le_bytes());
                payload.extend_from_slice(&peak.f.to_le_bytes());
                payload.extend_from_slice(&peak.level.to_le_bytes());
            }
        }
        let mut bytes = header(KIND_PRINT, self.algorithm(), self.profile()).for_payload(&payload).to_bytes().to_vec();
        bytes.append(&mut payload);
        bytes
    }

    /// Reads a print.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the byte offset for anything but the bytes of a print of a version that is read here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (header, payload) = Header::read(bytes, MAGIC)?;
        check_kind(&header, KIND_PRINT)?;
        let profile = check_algorithm(&header)?;
        header.check_payload(payload)?;
        let mut reader = Reader::new(payload, HEADER_BYTES);
        let duration = f64::from_le_bytes(reader.take()?);
        if !(0.0..=1e9).contains(&duration) {
            return Err(reader.damaged(8, format!("a duration of {duration} s")));
        }
        let bits = u32::from_le_bytes(reader.take()?);
        let warnings: Vec<Warning> = Warning::ALL.into_iter().filter(|warning| bits & warning.bit() != 0).collect();
        if warnings.iter().map(|warning| warning.bit()).sum::<u32>() != bits {
            return Err(reader.damaged(4, format!("unknown warnings {bits:#x}")));
        }
        let layer_count = u32::from_le_bytes(reader.take()?) as usize;
        if !CHANNELS.contains(&layer_count) {
            return Err(reader.damaged(4, format!("{layer_count} layers")));
        }
        let mut layers = Vec::with_capacity(layer_count);
        for _ in 0..layer_count {
            layers.push(read_peaks(&mut reader)?);
        }
        if reader.left() > 0 {
            return Err(reader.damaged(0, format!("{} bytes behind the last peak", reader.left())));
        }
        Ok(Self::new(profile, duration, warnings, layers))
    }
}

fn read_peaks(reader: &mut Reader<'_>) -> Result<Vec<Peak>> {
    let count = u32::from_le_bytes(reader.take()?) as usize;
    if count > reader.left() / PEAK_BYTES {
        return Err(reader.damaged(4, format!("{count} peaks, but room for {}", reader.left() / PEAK_BYTES)));
    }
    let mut peaks: Vec<Peak> = Vec::with_capacity(count);
    for index in 0..count {
        let [a, b, c, d, e, f, g, h] = reader.take()?;
        let peak = Peak { t: u32::from_le_bytes([a, b, c, d]), f: u16::from_le_bytes([e, f]), level: u16::from_le_bytes([g, h]) };
        if let Some(fault) = fault(&peaks, peak) {
            return Err(reader.damaged(PEAK_BYTES, format!("peak {index} {fault}")));
        }
        peaks.push(peak);
    }
    Ok(peaks)
}

/// What is wrong with a peak after others, in words. Such peaks come out of no picker, and pairing them could take very long.
pub(super) fn fault(before: &[Peak], peak: Peak) -> Option<String> {
    let bins = PEAKS.first_bin..PEAKS.first_bin + PEAKS.bins as u16 + 1;
    if !bins.contains(&peak.bin()) {
        return Some(format!("at bin {}, peaks lie in {}..{}", peak.bin(), bins.start, bins.end - 1));
    }
    if !peak.power().is_finite() {
        return Some("with a level that is no number".to_string());
    }
    if before.last().is_some_and(|last| last.t > peak.t) {
        return Some("earlier than the one before it".to_string());
    }
    let crowd = before.len().checked_sub(RANK_MAX).and_then(|first| before.get(first));
    crowd.filter(|first| peak.t - first.t <= CROWD_EIGHTHS).map(|_| format!("among more than {RANK_MAX} within {RANK_FRAMES} frames"))
}

/// A header for content of this kind, without its length and checksum.
pub(super) fn header(kind: u8, algorithm: Algorithm, profile: Profile) -> Header {
    Header {
        magic: MAGIC,
        kind,
        algorithm: algorithm.code(),
        algorithm_version: algorithm.version(),
        profile: profile.code(),
        parameter_crc: parameter_checksum(profile),
        payload_length: 0,
        payload_crc: 0,
    }
}

/// Checks that the content is of the kind that is asked for.
pub(super) fn check_kind(header: &Header, wanted: u8) -> Result<()> {
    if header.kind == wanted {
        return Ok(());
    }
    let name = |kind| match kind {
        KIND_PRINT => "a fingerprint",
        KIND_EXPORT => "an exported catalogue",
        _ => "nothing that this build reads",
    };
    Err(Error::invalid(format!("byte 6: kind {} is {}, wanted is {}", header.kind, name(header.kind), name(wanted))))
}

/// Checks that the content is of an algorithm and version that is read here; returns its profile.
pub(super) fn check_algorithm(header: &Header) -> Result<Profile> {
    let own = Algorithm::Wang;
    if header.algorithm != own.code() {
        return Err(Error::invalid(format!(
            "byte 7: algorithm {} is unknown, read here is {} ({}): use a newer otolith",
            header.algorithm,
            own.code(),
            own.name()
        )));
    }
    header.check_algorithm_version(own.name(), &(own.version()..=own.version()))?;
    let Some(profile) = Profile::from_code(header.profile) else {
        let known = Profile::ALL.map(|profile| format!("{} ({})", profile.code(), profile.name())).join(", ");
        return Err(Error::invalid(format!("byte 10: profile {} is unknown, read here are {known}: use a newer otolith", header.profile)));
    };
    let own_parameters = parameter_checksum(profile);
    if header.parameter_crc != own_parameters {
        return Err(Error::invalid(format!(
            "byte 12: the parameters have checksum {:08x}, those of {} with profile {:?} {own_parameters:08x}: extract it again",
            header.parameter_crc,
            own.name(),
            profile.name(),
        )));
    }
    Ok(profile)
}

/// CRC-32 of everything that must agree for two prints to mix.
fn parameter_checksum(profile: Profile) -> u32 {
    let density = Density::of(profile);
    let numbers = [
        SAMPLE_RATE,
        FRAME_LENGTH as u32,
        HOP_LENGTH as u32,
        u32::from(PEAKS.first_bin),
        PEAKS.bins as u32,
        PEAKS.half_bins as u32,
        PEAKS.half_frames as u32,
        PEAKS.floor.to_bits(),
        PEAKS.rank_frames as u32,
        PEAKS.rank_max as u32,
        *TARGET_FRAMES.start(),
        *TARGET_FRAMES.end(),
        *TARGET_BINS.start() as u32,
        *TARGET_BINS.end() as u32,
        density.reference_rank as u32,
        density.reference_targets as u32,
        density.key_bits(),
    ];
    let mut hasher = crc32fast::Hasher::new();
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize()
}

/// Reads bytes front to back and knows where it is.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// Bytes of the whole file before `bytes`.
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`, which begin at byte `offset` of a file.
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset }
    }

    /// Bytes not yet read.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    /// The next `N` bytes.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((&taken, rest)) = self.bytes.split_first_chunk::<N>() else {
            return Err(self.damaged(0, format!("{N} bytes are missing")));
        };
        self.bytes = rest;
        self.offset += N;
        Ok(taken)
    }

    /// The next `count` bytes.
    pub fn slice(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.bytes.split_at_checked(count) else {
            return Err(self.damaged(0, format!("{count} bytes are announced, {} follow", self.bytes.len())));
        };
        self.bytes = rest;
        self.offset += count;
        Ok(taken)
    }

    /// The error for what was found `back` bytes before the next one.
    pub fn damaged(&self, back: usize, found: String) -> Error {
        Error::invalid(format!("byte {}: {found}: the file is damaged", self.offset.saturating_sub(back)))
    }
}

/// Whether two byte strings are equal, reading every byte of both whatever they hold. Their lengths are public: unequal ones return at
/// once. Best effort where a just-in-time compiler has the last word.
#[must_use]
pub fn equal_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |difference, (a, b)| difference | std::hint::black_box(a ^ b))) == 0
}

/// Number of bits in which two byte strings of one length differ, reading every byte whatever they hold; nothing if the lengths differ.
#[must_use]
pub fn hamming_constant_time(a: &[u8], b: &[u8]) -> Option<u64> {
    if a.len() != b.len() {
        return None;
    }
    Some(a.iter().zip(b).map(|(a, b)| u64::from(std::hint::black_box(a ^ b).count_ones())).sum())
}
