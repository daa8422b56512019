//! A look inside: prints as JSON.

use serde::{Deserialize, Serialize};

use super::catalog::Catalog;
use super::landmark::{Fields, reference_landmarks};
use super::peaks::Peak;
use super::print::{Algorithm, Print, Profile, Warning};
use super::wang::{BIN_HERTZ, TICK_SECONDS};
use super::wire;
use crate::error::{Error, Result};
use crate::header::Header;

/// Seconds of an eighth of a frame, hertz of an eighth of a bin: the units of peaks.
const EIGHTH_SECONDS: f64 = TICK_SECONDS / 8.0;
const EIGHTH_HERTZ: f64 = BIN_HERTZ / 8.0;
/// Frames and bins per bin of the histograms.
const FRAME_STEPS: usize = 4;
const BIN_STEPS: usize = 8;

/// How much of a print to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InspectOptions {
    /// Landmarks of each layer, from its start. Default 0.
    pub hashes: usize,
    /// Peaks of each layer, from its start. Default 0.
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
    /// Landmarks that a catalogue stores.
    pub hash_count: usize,
    /// Peaks.
    pub peak_count: usize,
    /// What to know about it.
    pub warnings: Vec<Warning>,
    /// Landmarks per second.
    pub density: f64,
    /// Landmarks by frames from anchor to target, four to a bin from 0.
    pub frame_step_histogram: Vec<usize>,
    /// Landmarks by bins from anchor to target, eight to a bin from -64.
    pub bin_step_histogram: Vec<usize>,
    /// The layers.
    pub layers: Vec<InspectedLayer>,
}

/// A layer of a print.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InspectedLayer {
    /// Its peaks in all.
    pub peak_count: usize,
    /// As many landmarks as asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<InspectedLandmark>,
    /// As many peaks as asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peaks: Vec<InspectedPeak>,
}

/// A landmark.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InspectedLandmark {
    /// The hash.
    pub hash: u32,
    /// When its anchor sounds, in seconds.
    pub time: f64,
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
        let mut frame_step_histogram = vec![0; 64 / FRAME_STEPS];
        let mut bin_step_histogram = vec![0; 128 / BIN_STEPS];
        let mut hash_count = 0;
        let mut layers = Vec::with_capacity(self.layers().len());
        for peaks in self.layers() {
            let landmarks = reference_landmarks(peaks, self.profile());
            hash_count += landmarks.len();
            for landmark in &landmarks {
                let fields = Fields::unpack(landmark.hash);
                frame_step_histogram[usize::from(fields.frame_step) / FRAME_STEPS] += 1;
                bin_step_histogram[(fields.bin_step + 64) as usize / BIN_STEPS] += 1;
            }
            let shown = landmarks.iter().take(options.hashes).map(|landmark| {
                let Fields { anchor_bin, bin_step, frame_step, context } = Fields::unpack(landmark.hash);
                let time = f64::from(landmark.frame) * TICK_SECONDS;
                InspectedLandmark { hash: landmark.hash, time, anchor_bin, bin_step, frame_step, context }
            });
            layers.push(InspectedLayer {
                peak_count: peaks.len(),
                hashes: shown.collect(),
                peaks: peaks.iter().take(options.peaks).map(|&peak| InspectedPeak::of(peak)).collect(),
            });
        }
        Inspection {
            algorithm: self.algorithm(),
            version: self.algorithm().version(),
            profile: self.profile(),
            duration: self.duration(),
            hash_count,
            peak_count: self.layers().iter().map(Vec::len).sum(),
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
        let mut layers = Vec::with_capacity(inspection.layers.len());
        for (layer, inspected) in inspection.layers.iter().enumerate() {
            if inspected.peaks.len() != inspected.peak_count {
                return Err(Error::invalid(format!(
                    "layers[{layer}] shows {} of {} peaks: write the JSON with all of them",
                    inspected.peaks.len(),
                    inspected.peak_count
                )));
            }
            let mut peaks = Vec::with_capacity(inspected.peaks.len());
            for (index, peak) in inspected.peaks.iter().enumerate() {
                let peak = peak.to_peak();
                if let Some(fault) = wire::fault(&peaks, peak) {
                    return Err(Error::invalid(format!("layers[{layer}].peaks[{index}] is {fault}")));
                }
                peaks.push(peak);
            }
            layers.push(peaks);
        }
        let print = Self::new(inspection.profile, inspection.duration, inspection.warnings, layers);
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

impl InspectedPeak {
    fn of(peak: Peak) -> Self {
        Self { time: f64::from(peak.t) * EIGHTH_SECONDS, frequency: f64::from(peak.f) * EIGHTH_HERTZ, level: peak.power() }
    }

    fn to_peak(self) -> Peak {
        // Casts saturate; what was out of range is then refused as a fault.
        let t = (self.time / EIGHTH_SECONDS).round() as u32;
        let f = (self.frequency / EIGHTH_HERTZ).round() as u16;
        Peak { t, f, level: Peak::level_of(self.level) }
    }
}
