//! A look inside: prints as JSON.

use serde::{Deserialize, Serialize};

use super::catalog::Catalog;
use super::embedder::EmbedderId;
use super::haitsma::SubFingerprint;
use super::landmark::{Fields, reference_landmarks};
use super::peaks::{Peak, PeakConfig};
use super::print::{Algorithm, Layer, Print, Profile, Scheme, Warning};
use super::{neural, panako, triple, wang, wire};
use crate::dsp::constant_q;
use crate::error::{Error, Result};
use crate::header::Header;

/// Frames and bins per bin of the histograms.
const FRAME_STEPS: usize = 4;
const BIN_STEPS: usize = 8;

/// How much of a print to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InspectOptions {
    /// Hashes of each layer, from its start. Default 0.
    pub hashes: usize,
    /// Peaks, sub-fingerprints or embeddings of each layer, from its start. Default 0.
    pub peaks: usize,
}

/// A print in words and numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inspection {
    /// Name of the algorithm.
    pub algorithm: Algorithm,
    /// Its version.
    pub version: u16,
    /// Profile.
    pub profile: Profile,
    /// Length of the sound, in seconds.
    pub duration: f64,
    /// Neural: the network that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<EmbedderId>,
    /// Hashes that a catalogue stores.
    pub hash_count: usize,
    /// Peaks, sub-fingerprints or embeddings.
    pub peak_count: usize,
    /// What to know about it.
    pub warnings: Vec<Warning>,
    /// Hashes per second.
    pub density: f64,
    /// Wang: landmarks by frames from anchor to target, four to a bin from 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frame_step_histogram: Vec<usize>,
    /// Wang: landmarks by bins from anchor to target, eight to a bin from -64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bin_step_histogram: Vec<usize>,
    /// The layers.
    pub layers: Vec<InspectedLayer>,
}

/// A layer of a print.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectedLayer {
    /// Its peaks, sub-fingerprints or embeddings, in all.
    pub peak_count: usize,
    /// As many hashes as asked for. They follow from the rest and are not read back.
    #[serde(default, skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<InspectedHash>,
    /// As many peaks as asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peaks: Vec<InspectedPeak>,
    /// Haitsma and Kalker: as many sub-fingerprints as asked for, from tick 0 on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<InspectedBits>,
    /// Neural: as many embeddings as asked for, from tick 0 on, times 127; an empty one where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub embeddings: Vec<Vec<i8>>,
}

/// A hash that a catalogue stores, with what its algorithm packs in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum InspectedHash {
    /// Wang.
    Landmark(InspectedLandmark),
    /// Panako.
    Triple(InspectedTriple),
    /// Haitsma and Kalker.
    Bits(InspectedKey),
}

/// A triple.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectedTriple {
    /// The hash.
    pub hash: u32,
    /// When its first peak sounds, in seconds.
    pub time: f64,
    /// Place of the second peak between the others, 0..1, lower edge of its cell.
    pub ratio: f64,
    /// Bands of 1/85 octave from the first peak to the second, lower edge of the cell.
    pub first_step: i32,
    /// Bands from the second peak to the third, lower edge of the cell.
    pub second_step: i32,
    /// Band of the first peak, lower edge of its cell.
    pub band: u32,
}

/// A key of 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct InspectedKey {
    /// The bits.
    pub hash: u32,
    /// Seconds.
    pub time: f64,
}

/// A sub-fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectedBits {
    /// The bits.
    pub bits: u32,
    /// The doubtful ones among them.
    pub weak: u32,
}

/// A landmark.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectedLandmark {
    /// The hash.
    pub hash: u32,
    /// When its anchor sounds, in seconds, to the frame.
    pub time: f64,
    /// The anchor's frequency in hertz, to the bin.
    pub frequency: f64,
    /// When its target sounds, in seconds, to less than a frame more.
    pub target_time: f64,
    /// The target's frequency in hertz, to the bin.
    pub target_frequency: f64,
    /// Bin of the anchor.
    pub anchor_bin: u16,
    /// Bins to the target.
    pub bin_step: i16,
    /// Frames to the target.
    pub frame_step: u16,
    /// The third peak, 0 where the profile has none.
    pub context: u16,
}

/// A peak.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectedPeak {
    /// Seconds.
    pub time: f64,
    /// Hertz.
    pub frequency: f64,
    /// Power; a full-scale sine has 1.
    pub level: f32,
}

impl Print {
    /// The print in words and numbers.
    #[must_use]
    pub fn inspect(&self, options: InspectOptions) -> Inspection {
        let is_wang = self.algorithm() == Algorithm::Wang;
        let mut frame_step_histogram = if is_wang { vec![0; 64 / FRAME_STEPS] } else { Vec::new() };
        let mut bin_step_histogram = if is_wang { vec![0; 128 / BIN_STEPS] } else { Vec::new() };
        let mut layers = Vec::with_capacity(self.layers().len());
        for (layer, number) in self.layers().iter().zip(0..) {
            let mut shown = InspectedLayer::default();
            match layer {
                Layer::Peaks(peaks) => {
                    shown.peak_count = peaks.len();
                    let units = Units::of(self.scheme());
                    shown.peaks = peaks.iter().take(options.peaks).map(|&peak| units.show(peak)).collect();
                }
                Layer::Bits(frames) => {
                    shown.peak_count = frames.len();
                    let frames = frames.iter().take(options.peaks);
                    shown.frames = frames.map(|frame| InspectedBits { bits: frame.bits, weak: frame.weak }).collect();
                }
                Layer::Embeddings(values) => {
                    let embeddings = values.chunks_exact(self.dimensions());
                    shown.peak_count = embeddings.len();
                    let shown_of =
                        |embedding: &[i8]| if embedding.iter().any(|&value| value != 0) { embedding.to_vec() } else { Vec::new() };
                    shown.embeddings = embeddings.take(options.peaks).map(shown_of).collect();
                }
            }
            if is_wang {
                let landmarks = reference_landmarks(layer.peaks(), self.profile());
                for landmark in &landmarks {
                    let fields = Fields::unpack(landmark.hash);
                    frame_step_histogram[usize::from(fields.frame_step) / FRAME_STEPS] += 1;
                    bin_step_histogram[(fields.bin_step + 64) as usize / BIN_STEPS] += 1;
                }
                shown.hashes = landmarks.iter().take(options.hashes).map(|landmark| show_landmark(landmark.hash, landmark.frame)).collect();
            } else {
                let references = self.references(number).into_iter().take(options.hashes);
                let tick = self.scheme().tick_seconds();
                shown.hashes = references
                    .map(|reference| {
                        let (hash, time) = (reference.key, f64::from(reference.tick) * tick);
                        let triple = if self.algorithm() == Algorithm::Panako { triple::Fields::unpack(hash) } else { None };
                        triple.map_or(InspectedHash::Bits(InspectedKey { hash, time }), |fields| show_triple(hash, time, fields))
                    })
                    .collect();
            }
            layers.push(shown);
        }
        let hash_count = self.hash_count();
        Inspection {
            algorithm: self.algorithm(),
            version: self.algorithm().version(),
            profile: self.profile(),
            duration: self.duration(),
            model: self.embedder().cloned(),
            hash_count,
            peak_count: layers.iter().map(|layer| layer.peak_count).sum(),
            warnings: self.warnings().to_vec(),
            density: if self.duration() > 0.0 { hash_count as f64 / self.duration() } else { 0.0 },
            frame_step_histogram,
            bin_step_histogram,
            layers,
        }
    }

    /// The print as JSON, see [`Inspection`].
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn to_json(&self, options: InspectOptions) -> Result<String> {
        serde_json::to_string(&self.inspect(options)).map_err(|error| Error::internal(format!("a fingerprint as JSON: {error}")))
    }

    /// Reads a print from JSON that holds all its peaks.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is no such JSON, or of another version.
    pub fn from_json(json: &str) -> Result<Self> {
        let inspection: Inspection =
            serde_json::from_str(json).map_err(|error| Error::invalid(format!("the JSON is no fingerprint: {error}")))?;
        if inspection.version != inspection.algorithm.version() {
            return Err(Error::invalid(format!(
                "the JSON has {} version {}, this build reads version {}: extract it again",
                inspection.algorithm.name(),
                inspection.version,
                inspection.algorithm.version()
            )));
        }
        let scheme = Scheme::new(inspection.algorithm, inspection.profile)?;
        let mut layers = Vec::with_capacity(inspection.layers.len());
        for (layer, inspected) in inspection.layers.iter().enumerate() {
            let entries = match scheme.algorithm() {
                Algorithm::Haitsma => inspected.frames.len(),
                Algorithm::Neural => inspected.embeddings.len(),
                Algorithm::Wang | Algorithm::Panako => inspected.peaks.len(),
            };
            if entries != inspected.peak_count {
                return Err(Error::invalid(format!(
                    "layers[{layer}] shows {entries} of {} peaks: write the JSON with all of them",
                    inspected.peak_count
                )));
            }
            layers.push(match (scheme.algorithm(), &inspection.model) {
                (Algorithm::Neural, Some(model)) => inspected.read_embeddings(layer, model)?,
                (Algorithm::Neural, None) => return Err(Error::invalid("model is missing: it must tell which network made the print")),
                _ => inspected.read(layer, scheme)?,
            });
        }
        let model = inspection.model.filter(|_| scheme.algorithm() == Algorithm::Neural);
        let print = Self::new(scheme, inspection.duration, inspection.warnings, layers).by(model);
        // The byte form knows the ranges of everything else.
        Self::from_bytes(&print.to_bytes())
    }
}

/// JSON about the bytes of a print or of an exported catalogue: an [`Inspection`] or [`super::catalog::Stats`].
///
/// # Errors
/// [`Error::InvalidInput`] with the byte offset if they are neither.
pub fn inspect_bytes(bytes: &[u8], options: InspectOptions) -> Result<String> {
    let (header, _) = Header::read(bytes, wire::MAGIC)?;
    if header.kind == wire::KIND_EXPORT {
        let stats = Catalog::import(bytes)?.stats();
        return serde_json::to_string(&stats).map_err(|error| Error::internal(format!("figures of a catalogue as JSON: {error}")));
    }
    Print::from_bytes(bytes)?.to_json(options)
}

fn show_landmark(hash: u32, frame: u32) -> InspectedHash {
    let Fields { anchor_bin, bin_step, frame_step, context } = Fields::unpack(hash);
    let seconds = |frame: u32| f64::from(frame) * wang::TICK_SECONDS;
    let hertz = |bin: i32| f64::from(bin) * wang::BIN_HERTZ;
    let bin = i32::from(anchor_bin);
    InspectedHash::Landmark(InspectedLandmark {
        hash,
        time: seconds(frame),
        frequency: hertz(bin),
        target_time: seconds(frame.saturating_add(u32::from(frame_step))),
        target_frequency: hertz(bin + i32::from(bin_step)),
        anchor_bin,
        bin_step,
        frame_step,
        context,
    })
}

fn show_triple(hash: u32, time: f64, fields: triple::Fields) -> InspectedHash {
    InspectedHash::Triple(InspectedTriple {
        hash,
        time,
        ratio: f64::from(fields.ratio) / 16.0,
        first_step: 2 * (i32::from(fields.first_step) - 64),
        second_step: 2 * (i32::from(fields.second_step) - 64),
        band: 4 * u32::from(fields.place),
    })
}

impl InspectedLayer {
    fn read_embeddings(&self, layer: usize, model: &EmbedderId) -> Result<Layer> {
        if let Some(fault) = model.fault() {
            return Err(Error::invalid(format!("model is {fault}")));
        }
        let mut values = Vec::with_capacity(self.embeddings.len() * model.dimensions);
        for (index, embedding) in self.embeddings.iter().enumerate() {
            if !embedding.is_empty() && embedding.len() != model.dimensions {
                let (found, wanted) = (embedding.len(), model.dimensions);
                return Err(Error::invalid(format!("layers[{layer}].embeddings[{index}] has {found} numbers, the model gives {wanted}")));
            }
            values.extend_from_slice(embedding);
            values.resize((index + 1) * model.dimensions, 0);
        }
        Ok(Layer::Embeddings(values))
    }

    fn read(&self, layer: usize, scheme: Scheme) -> Result<Layer> {
        let units = Units::of(scheme);
        let Some(config) = &units.peaks else {
            let mut frames = Vec::with_capacity(self.frames.len());
            for (index, frame) in self.frames.iter().enumerate() {
                let sub = SubFingerprint { bits: frame.bits, weak: frame.weak };
                if let Some(fault) = wire::bits_fault(sub) {
                    return Err(Error::invalid(format!("layers[{layer}].frames[{index}] is {fault}")));
                }
                frames.push(sub);
            }
            return Ok(Layer::Bits(frames));
        };
        let mut peaks = Vec::with_capacity(self.peaks.len());
        for (index, &peak) in self.peaks.iter().enumerate() {
            let peak = units.read(peak);
            if let Some(fault) = wire::peak_fault(&peaks, peak, config) {
                return Err(Error::invalid(format!("layers[{layer}].peaks[{index}] is {fault}")));
            }
            peaks.push(peak);
        }
        Ok(Layer::Peaks(peaks))
    }
}

/// What an algorithm's peaks are counted in.
struct Units {
    algorithm: Algorithm,
    /// Seconds of a row.
    row: f64,
    /// How peaks are picked; none of an algorithm that has none.
    peaks: Option<PeakConfig>,
}

impl Units {
    fn of(scheme: Scheme) -> Self {
        let (row, peaks) = match scheme.algorithm() {
            Algorithm::Wang => (wang::TICK_SECONDS, Some(wang::PEAKS)),
            Algorithm::Panako => (panako::STEP_SECONDS, Some(panako::PEAKS)),
            Algorithm::Haitsma => (scheme.tick_seconds(), None),
            Algorithm::Neural => (neural::STEP_SECONDS, None),
        };
        Self { algorithm: scheme.algorithm(), row, peaks }
    }

    fn show(&self, peak: Peak) -> InspectedPeak {
        let place = f64::from(peak.f) / 8.0;
        let frequency = if self.algorithm == Algorithm::Panako { constant_q::frequency(place) } else { place * wang::BIN_HERTZ };
        InspectedPeak { time: f64::from(peak.t) / 8.0 * self.row, frequency, level: peak.power() }
    }

    fn read(&self, peak: InspectedPeak) -> Peak {
        let place = if self.algorithm == Algorithm::Panako { constant_q::band(peak.frequency) } else { peak.frequency / wang::BIN_HERTZ };
        // Casts saturate; what was out of range is then refused as a fault.
        Peak { t: (peak.time / self.row * 8.0).round() as u32, f: (place * 8.0).round() as u16, level: Peak::level_of(peak.level) }
    }
}
