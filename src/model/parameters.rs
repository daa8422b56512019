//! A contract in its manifest entry: names, parameters and their defaults.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::mel_embedding;

/// Values of a separator's `contract` that are read here.
pub const SEPARATOR_CONTRACTS: [&str; 4] = ["complex-mask", "complex-map", "waveform", "mdx"];
/// Allowed lengths, in seconds, of the only chunk that a network takes.
const FIXED_SECONDS: std::ops::RangeInclusive<f64> = 0.25..=60.0;

/// Details of a contract; a key that is absent has its contract's default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// Samples of a transform frame. Default 4096, of `mdx` 6144, of `mel-embedding` 2048.
    pub n_fft: usize,
    /// Samples from frame to frame, of `mel-embedding` from window to window. Default 1024, of `mel-embedding` 4000.
    pub hop: usize,
    /// Of `mdx`: bins from 0 Hz on that the network sees. Default 3072.
    pub bins: usize,
    /// Frames of a network that takes no other number. Default: any number, of `mdx` 256, of `mel-embedding` 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<usize>,
    /// Of `waveform`: samples of a network that takes no other number. Default: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// Of `mdx`: factor of the target. Default 1.
    pub compensate: f32,
    /// Scale of the network's input. Default `std` for spectra, `none` for `waveform` and `mdx`.
    pub gain: Gain,
    /// Where what the estimates leave of the mix goes. Default `energy` for `complex-mask` and `complex-map`, else `residual`.
    pub consistency: Consistency,
    /// Name of a tensor that cuts the graph into a body and a head that works frame by frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<String>,
    /// Of `mel-embedding`: numbers of an embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            n_fft: 4096,
            hop: 1024,
            bins: 3072,
            frames: None,
            samples: None,
            compensate: 1.0,
            gain: Gain::Std,
            consistency: Consistency::Energy,
            features: None,
            dimensions: None,
        }
    }
}

/// Scale of a network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gain {
    /// Divided by the standard deviation of the whole file.
    Std,
    /// As it is.
    None,
}

/// How the estimates are made to sum to the mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// Each stem takes its share of the rest by energy, per bin.
    Energy,
    /// The residual stem takes the rest whole.
    Residual,
}

/// Adds those defaults of `contract` that differ from [`Parameters::default`] to the parameters of an entry.
pub(super) fn fill_defaults(contract: &str, entry: &mut Map<String, Value>) {
    let defaults = match contract {
        "waveform" => json!({ "gain": "none", "consistency": "residual" }),
        "mdx" => json!({ "n_fft": 6144, "frames": 256, "gain": "none", "consistency": "residual" }),
        mel_embedding::CONTRACT => json!({ "n_fft": mel_embedding::N_FFT, "hop": mel_embedding::HOP, "frames": mel_embedding::FRAMES }),
        _ => return,
    };
    let given = entry.entry("parameters").or_insert_with(|| json!({}));
    if let (Value::Object(given), Value::Object(defaults)) = (given, defaults) {
        for (key, value) in defaults {
            given.entry(key).or_insert(value);
        }
    }
}

impl Parameters {
    /// Checks the parameters of a separator of this contract that gives `outputs` stems at `sample_rate` hertz.
    pub(super) fn check(&self, contract: &str, outputs: usize, sample_rate: u32) -> Result<(), String> {
        let Self { n_fft, hop, .. } = *self;
        let is_spectral = contract != "waveform";
        if !(64..=65_536).contains(&n_fft) || !n_fft.is_multiple_of(2) || hop == 0 || hop > n_fft / 2 {
            return Err(format!("parameters.n_fft must be even, in 64..65536 and at least twice parameters.hop, got {n_fft} and {hop}"));
        }
        if contract == "mdx" {
            let bins = n_fft / 2 + 1;
            if self.bins == 0 || self.bins > bins {
                return Err(format!("parameters.bins must be in 1..{bins} for n_fft {n_fft}, got {}", self.bins));
            }
            if self.frames.is_none() {
                return Err("parameters.frames must be a number for contract mdx, got null".into());
            }
            if !(self.compensate.is_finite() && self.compensate > 0.0) {
                return Err(format!("parameters.compensate must be a positive number, got {}", self.compensate));
            }
            if outputs != 1 {
                return Err(format!("contract mdx gives one stem: stems must be the target and the residual, got {} names", outputs + 1));
            }
        }
        let fixed = if is_spectral { self.frames.map(|frames| hop.saturating_mul(frames.saturating_sub(1))) } else { self.samples };
        if let Some(samples) = fixed
            && !FIXED_SECONDS.contains(&(samples as f64 / f64::from(sample_rate)))
        {
            let key = if is_spectral { "frames" } else { "samples" };
            let (low, high) = (FIXED_SECONDS.start(), FIXED_SECONDS.end());
            return Err(format!("parameters.{key} must make a chunk of {low}..{high} s, got {samples} samples at {sample_rate} Hz"));
        }
        if self.consistency == Consistency::Energy && !contract.starts_with("complex") {
            return Err(format!("parameters.consistency \"energy\" works on whole spectra, {contract} has none: use \"residual\""));
        }
        if self.features.is_some() && (fixed.is_some() || !contract.starts_with("complex")) {
            return Err("parameters.features cuts a complex-mask or complex-map network of any length, and no other".into());
        }
        Ok(())
    }
}
