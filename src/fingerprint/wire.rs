//! Prints as bytes, and comparisons that take the same time whatever the content.
//!
//! A print is a [`Header`] and its payload: duration in seconds f64 | warnings u32 | layers u32 | per layer: number of entries u32, entries
//! of 8 bytes: peaks (t u32, f u16, level u16) or sub-fingerprints (bits u32, weak bits u32). Little-endian. A neural print tells before
//! its layers which network made it (see [`EmbedderId`]), and its entries are the embeddings, an i8 per dimension.

use super::embedder::{EmbedderId, UNIT};
use super::haitsma::{self, SubFingerprint, WEAK_BITS};
use super::landmark::{Density, TARGET_BINS, TARGET_FRAMES};
use super::peaks::{Peak, PeakConfig};
use super::print::{Algorithm, Layer, Print, Profile, Scheme, Warning};
use super::{neural, panako, triple, wang};
use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES, Header};
use crate::limits::CHANNELS;

/// Magic of prints and catalogues.
pub const MAGIC: [u8; 4] = *b"OTFP";
/// Kind of a print.
pub const KIND_PRINT: u8 = 1;
/// Kind of a catalogue's segment.
pub const KIND_SEGMENT: u8 = 2;
/// Kind of a catalogue's manifest.
pub const KIND_MANIFEST: u8 = 3;
/// Kind of a catalogue's log.
pub const KIND_LOG: u8 = 4;
/// Kind of an exported catalogue.
pub const KIND_EXPORT: u8 = 5;

/// Bytes of a peak, and of a sub-fingerprint.
const ENTRY_BYTES: usize = 8;

impl Print {
    /// The print as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        payload.extend_from_slice(&self.duration().to_le_bytes());
        payload.extend_from_slice(&self.warnings().iter().map(|warning| warning.bit()).sum::<u32>().to_le_bytes());
        payload.extend_from_slice(&(self.layers().len() as u32).to_le_bytes());
        if let Some(embedder) = self.embedder() {
            embedder.encode(&mut payload);
        }
        for layer in self.layers() {
            match layer {
                Layer::Peaks(peaks) => {
                    payload.extend_from_slice(&(peaks.len() as u32).to_le_bytes());
                    for peak in peaks {
                        payload.extend_from_slice(&peak.t.to_le_bytes());
                        payload.extend_from_slice(&peak.f.to_le_bytes());
                        payload.extend_from_slice(&peak.level.to_le_bytes());
                    }
                }
                Layer::Bits(frames) => {
                    payload.extend_from_slice(&(frames.len() as u32).to_le_bytes());
                    for frame in frames {
                        payload.extend_from_slice(&frame.bits.to_le_bytes());
                        payload.extend_from_slice(&frame.weak.to_le_bytes());
                    }
                }
                Layer::Embeddings(values) => {
                    payload.extend_from_slice(&((values.len() / self.dimensions()) as u32).to_le_bytes());
                    payload.extend_from_slice(bytemuck::cast_slice(values));
                }
            }
        }
        let header = Header { parameter_crc: self.parameter_checksum(), ..header(KIND_PRINT, self.scheme()) };
        let mut bytes = header.for_payload(&payload).to_bytes().to_vec();
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
        let scheme = check_algorithm(&header)?;
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
        let embedder = if scheme.algorithm() == Algorithm::Neural { Some(read_embedder(&mut reader, &header)?) } else { None };
        let mut layers = Vec::with_capacity(layer_count);
        for _ in 0..layer_count {
            layers.push(read_layer(&mut reader, scheme, embedder.as_ref())?);
        }
        if reader.left() > 0 {
            return Err(reader.damaged(0, format!("{} bytes behind the last layer", reader.left())));
        }
        Ok(Self::new(scheme, duration, warnings, layers).by(embedder))
    }
}

/// The network that made a print, which the header's checksum of parameters covers.
fn read_embedder(reader: &mut Reader<'_>, header: &Header) -> Result<EmbedderId> {
    let embedder = EmbedderId::decode(reader)?;
    let own_parameters = neural::parameter_checksum(&embedder);
    if header.parameter_crc == own_parameters {
        return Ok(embedder);
    }
    let found = header.parameter_crc;
    let what =
        format!("byte 12: the parameters have checksum {found:08x}, those of neural by {embedder} {own_parameters:08x}: extract it again");
    Err(Error::invalid(what))
}

fn read_layer(reader: &mut Reader<'_>, scheme: Scheme, embedder: Option<&EmbedderId>) -> Result<Layer> {
    let count = u32::from_le_bytes(reader.take()?) as usize;
    let entry_bytes = embedder.map_or(ENTRY_BYTES, |embedder| embedder.dimensions);
    if count > reader.left() / entry_bytes {
        return Err(reader.damaged(4, format!("{count} entries, but room for {}", reader.left() / entry_bytes)));
    }
    match scheme.algorithm() {
        Algorithm::Wang => read_peaks(reader, count, &wang::PEAKS),
        Algorithm::Panako => read_peaks(reader, count, &panako::PEAKS),
        Algorithm::Haitsma => {
            let mut frames = Vec::with_capacity(count);
            for index in 0..count {
                let sub = SubFingerprint { bits: u32::from_le_bytes(reader.take()?), weak: u32::from_le_bytes(reader.take()?) };
                if let Some(fault) = bits_fault(sub) {
                    return Err(reader.damaged(ENTRY_BYTES, format!("sub-fingerprint {index} {fault}")));
                }
                frames.push(sub);
            }
            Ok(Layer::Bits(frames))
        }
        Algorithm::Neural => {
            let values = bytemuck::cast_slice(reader.slice(count * entry_bytes)?).to_vec();
            match embeddings_fault(&values, entry_bytes) {
                Some((entry, fault)) => Err(reader.damaged((count - entry) * entry_bytes, format!("embedding {entry} {fault}"))),
                None => Ok(Layer::Embeddings(values)),
            }
        }
    }
}

/// The first embedding that no extraction gives, and what is wrong with it, in words. Lengths that differ would not compare.
pub(super) fn embeddings_fault(values: &[i8], dimensions: usize) -> Option<(usize, String)> {
    let length = |embedding: &[i8]| embedding.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
    let unit = f64::from(UNIT);
    // Each number is rounded by up to a half.
    let rounding = (dimensions as f64).sqrt() / 2.0;
    let lengths = values.chunks_exact(dimensions).map(length).enumerate();
    let mut wrong = lengths.filter(|&(_, length)| length != 0.0 && (length - unit).abs() > rounding);
    wrong.next().map(|(entry, length)| (entry, format!("of length {length:.1}, not {unit}")))
}

fn read_peaks(reader: &mut Reader<'_>, count: usize, config: &PeakConfig) -> Result<Layer> {
    let mut peaks: Vec<Peak> = Vec::with_capacity(count);
    for index in 0..count {
        let [a, b, c, d, e, f, g, h] = reader.take()?;
        let peak = Peak { t: u32::from_le_bytes([a, b, c, d]), f: u16::from_le_bytes([e, f]), level: u16::from_le_bytes([g, h]) };
        if let Some(fault) = peak_fault(&peaks, peak, config) {
            return Err(reader.damaged(ENTRY_BYTES, format!("peak {index} {fault}")));
        }
        peaks.push(peak);
    }
    Ok(Layer::Peaks(peaks))
}

/// What is wrong with a sub-fingerprint, in words. More weak bits would be very many probes.
pub(super) fn bits_fault(sub: SubFingerprint) -> Option<String> {
    let weak = sub.weak.count_ones();
    let wanted = if sub.bits == 0 { 0 } else { WEAK_BITS };
    (weak != wanted).then(|| format!("with {weak} weak bits, {wanted} are to be"))
}

/// What is wrong with a peak after others, in words. Such peaks come out of no picker, and combining them could take very long.
pub(super) fn peak_fault(before: &[Peak], peak: Peak, config: &PeakConfig) -> Option<String> {
    let bins = config.first_bin..config.first_bin + config.bins as u16 + 1;
    if !bins.contains(&peak.bin()) || peak.f < 8 * config.first_bin {
        return Some(format!("at bin {}, peaks lie in {}..{}", peak.bin(), bins.start, bins.end - 1));
    }
    if !peak.power().is_finite() {
        return Some("with a level that is no number".to_string());
    }
    if before.last().is_some_and(|last| last.t > peak.t) {
        return Some("earlier than the one before it".to_string());
    }
    // Between a peak and the `rank_max`-th after it lie more eighths of a frame than this: `rank_max + 1` peaks of rows that are all within
    // `rank_frames` of each other could not all rank below it. Refinement moves each by half a frame at most.
    let (rank_max, rank_frames) = (config.rank_max, config.rank_frames);
    let crowd = before.len().checked_sub(rank_max).and_then(|first| before.get(first));
    let within = 8 * rank_frames as u32 - 8;
    crowd.filter(|first| peak.t - first.t <= within).map(|_| format!("among more than {rank_max} within {rank_frames} frames"))
}

/// A header for content of this kind, without its length and checksum.
pub(super) fn header(kind: u8, scheme: Scheme) -> Header {
    Header {
        magic: MAGIC,
        kind,
        algorithm: scheme.algorithm().code(),
        algorithm_version: scheme.algorithm().version(),
        profile: scheme.profile().code(),
        parameter_crc: scheme.parameter_checksum(),
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
        KIND_SEGMENT => "a segment of a catalogue",
        KIND_MANIFEST => "a manifest of a catalogue",
        KIND_LOG => "a log of a catalogue",
        KIND_EXPORT => "an exported catalogue",
        _ => "nothing that this build reads",
    };
    Err(Error::invalid(format!("byte 6: kind {} is {}, wanted is {}", header.kind, name(header.kind), name(wanted))))
}

/// Checks that the content is of an algorithm, version and parameters that are read here; returns its scheme.
pub(super) fn check_algorithm(header: &Header) -> Result<Scheme> {
    let Some(algorithm) = Algorithm::from_code(header.algorithm) else {
        let known = Algorithm::ALL.map(|algorithm| format!("{} ({})", algorithm.code(), algorithm.name())).join(", ");
        let found = header.algorithm;
        return Err(Error::invalid(format!("byte 7: algorithm {found} is unknown, read here are {known}: use a newer otolith")));
    };
    header.check_algorithm_version(algorithm.name(), &(algorithm.version()..=algorithm.version()))?;
    let scheme = Profile::from_code(header.profile).and_then(|profile| Scheme::new(algorithm, profile).ok());
    let Some(scheme) = scheme else {
        let known = Profile::ALL.into_iter().filter(|&profile| Scheme::new(algorithm, profile).is_ok());
        let known: Vec<String> = known.map(|profile| format!("{} ({})", profile.code(), profile.name())).collect();
        let (found, known) = (header.profile, known.join(", "));
        let name = algorithm.name();
        return Err(Error::invalid(format!("byte 10: profile {found} is unknown, read here are {known} of {name}: use a newer otolith")));
    };
    if scheme.algorithm() == Algorithm::Neural && header.kind == KIND_PRINT {
        // It covers the network, which the payload tells.
        return Ok(scheme);
    }
    let own_parameters = scheme.parameter_checksum();
    if header.parameter_crc != own_parameters {
        return Err(Error::invalid(format!(
            "byte 12: the parameters have checksum {:08x}, those of {} with profile {:?} {own_parameters:08x}: extract it again",
            header.parameter_crc,
            algorithm.name(),
            scheme.profile().name(),
        )));
    }
    Ok(scheme)
}

/// CRC-32 of everything that must agree for two prints of a scheme to mix.
pub(super) fn parameter_checksum(scheme: Scheme) -> u32 {
    let of_peaks = |config: &PeakConfig| {
        let PeakConfig { first_bin, bins, half_bins, half_frames, floor, rank_frames, rank_max } = *config;
        let sizes = [bins, half_bins, half_frames].map(|size| size as u32);
        let ranks = [rank_frames as u32, rank_max as u32];
        [&[u32::from(first_bin)][..], &sizes, &[floor.to_bits()], &ranks].concat()
    };
    let numbers = match scheme.algorithm() {
        Algorithm::Wang => {
            let density = Density::of(scheme.profile());
            let grid = [wang::SAMPLE_RATE, wang::FRAME_LENGTH as u32, wang::HOP_LENGTH as u32];
            let targets = [*TARGET_FRAMES.start(), *TARGET_FRAMES.end(), *TARGET_BINS.start() as u32, *TARGET_BINS.end() as u32];
            let stored = [density.reference_rank as u32, density.reference_targets as u32, density.key_bits()];
            [&grid[..], &of_peaks(&wang::PEAKS), &targets, &stored].concat()
        }
        Algorithm::Panako => [&of_peaks(&panako::PEAKS)[..], &triple::PARAMETERS].concat(),
        Algorithm::Haitsma => haitsma::Grid::of(scheme.profile()).parameters().to_vec(),
        Algorithm::Neural => neural::PARAMETERS.to_vec(),
    };
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
