//! `manifest.json`: which models there are, what they take and give, and the digests of their files.

use std::collections::HashSet;

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::mel_embedding;
use super::parameters::fill_defaults;
pub use super::parameters::{Consistency, Gain, Parameters, SEPARATOR_CONTRACTS};
use crate::error::{Error, Result};
use crate::limits::SAMPLE_RATES;

/// The layout of `manifest.json` that is read here.
pub const SCHEMA: u64 = 1;
/// Values of `kind` that are read here.
pub const KINDS: [&str; 3] = [SEPARATOR, "beat", EMBEDDER];
const SEPARATOR: &str = "separator";
const EMBEDDER: &str = "embedder";
/// How many stems one network may give.
pub const STEM_COUNTS: std::ops::RangeInclusive<usize> = 1..=8;
/// Role of the graph of a model that has only one.
pub const SINGLE_ROLE: &str = "model";

/// Values of `contract` that are read here of a model of this kind.
#[must_use]
pub fn contracts(kind: &str) -> &'static [&'static str] {
    match kind {
        SEPARATOR => &SEPARATOR_CONTRACTS,
        "beat" => &["beat-activations", "beat-activations-causal"],
        EMBEDDER => &[mel_embedding::CONTRACT],
        _ => &[],
    }
}

/// All models of a manifest. Unknown keys are ignored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// Layout of the file, [`SCHEMA`].
    pub schema: u64,
    /// The models, each name once.
    pub models: Vec<Entry>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Name, `[a-z0-9][a-z0-9_-]*`, at most 64 characters.
    pub name: String,
    /// What it does, one of [`KINDS`].
    pub kind: String,
    /// Semantic version: major = other stems, contract or rate; minor = better weights; patch = the same within noise.
    pub model_version: String,
    /// File name of the only graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Length of that file. Absent only where a user brings the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of that file, lower-case hex. Absent only where a user brings the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The graphs of a model of several, in place of `file`, `bytes` and `sha256`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Graph>,
    /// ONNX operator set of the graphs.
    pub opset: u64,
    /// Oldest version of otolith that runs it.
    pub min_package_version: String,
    /// SPDX expression.
    pub licence: String,
    /// How sound becomes the network's input and what its output means, one of [`contracts`] of its kind.
    pub contract: String,
    /// Hertz that the network works at.
    pub sample_rate: u32,
    /// A separator's stems in the order of the network's output: 1..=8 unique names, `[a-z][a-z0-9_-]*`. Of contract `mdx`, which gives
    /// one, that one and the residual.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stems: Vec<String>,
    /// The stem that closes the sum to the mix. Default: the last. Beside a single stem it must be another name: that of the rest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub residual: String,
    /// Details of the contract. Those of beat networks are fixed, and what an entry says of them is not read.
    #[serde(default)]
    pub parameters: Parameters,
    /// Where it comes from, as its trainer wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Value>,
    /// Released versions before this one, newest first, that can be pinned.
    #[serde(default)]
    pub previous: Vec<Previous>,
}

/// One ONNX file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// Its part in the model.
    pub role: String,
    /// File name, without folders.
    pub file: String,
    /// Length in bytes.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// SHA-256, lower-case hex.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// An earlier release of a model: what differs from the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Semantic version.
    pub model_version: String,
    /// File name of the only graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Length of that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of that file, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The graphs of a model of several, in place of `file`, `bytes` and `sha256`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Graph>,
    /// Oldest version of otolith that runs it.
    pub min_package_version: String,
}

impl Manifest {
    /// Reads and checks a manifest for otolith of version `package_version`, and fills in defaults.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] naming the model, what was found and what is read: no JSON, a missing or wrong key, an unknown schema, kind
    /// or contract, a model that needs a newer otolith, a name given twice.
    pub fn parse(json: &str, package_version: &str) -> Result<Self> {
        let refuse = |what: String| Error::ModelLoad { name: "manifest".into(), what };
        let value: Value = serde_json::from_str(json).map_err(|error| refuse(format!("is no JSON: {error}")))?;
        match value.get("schema") {
            Some(schema) if schema.as_u64() == Some(SCHEMA) => {}
            Some(schema) => return Err(refuse(format!("schema is {schema}, read is {SCHEMA}: update otolith"))),
            None => return Err(refuse(format!("has no schema, read is {SCHEMA}: is this a manifest?"))),
        }
        let models = value.get("models").and_then(Value::as_array).ok_or_else(|| refuse("models must be a list".into()))?;
        let models = models.iter().map(|entry| Entry::from_value(entry, package_version)).collect::<Result<Vec<_>>>()?;
        let mut names = HashSet::new();
        match models.iter().find(|entry| !names.insert(&entry.name)) {
            Some(twice) => Err(twice.refuse("the name is given twice: rename one")),
            None => Ok(Self { schema: SCHEMA, models }),
        }
    }

    /// The model of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.models.iter().find(|entry| entry.name == name)
    }
}

impl Entry {
    /// Reads and checks one model's entry, as [`Manifest::parse`] does.
    ///
    /// # Errors
    /// [`Error::ModelLoad`], as there.
    pub fn parse(json: &str, package_version: &str) -> Result<Self> {
        let value = serde_json::from_str(json)
            .map_err(|error| Error::ModelLoad { name: "manifest entry".into(), what: format!("is no JSON: {error}") })?;
        Self::from_value(&value, package_version)
    }

    fn from_value(value: &Value, package_version: &str) -> Result<Self> {
        let name = value.get("name").and_then(Value::as_str).unwrap_or("without a name").to_owned();
        let refuse = |what: String| Error::ModelLoad { name: name.clone(), what };
        // Before anything else: a kind or contract of a later version may have other keys.
        known(value, "kind", &KINDS).map_err(refuse)?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, contract) = (text("kind"), text("contract"));
        known(value, "contract", contracts(&kind)).map_err(refuse)?;
        let mut value = value.clone();
        if let Some(keys) = value.as_object_mut() {
            if kind == EMBEDDER {
                let none = Map::new();
                let parameters = keys.get("parameters").and_then(Value::as_object).unwrap_or(&none);
                mel_embedding::check(parameters).map_err(refuse)?;
            }
            if kind == "beat" {
                keys.remove("parameters");
            } else {
                fill_defaults(&contract, keys);
            }
        }
        let mut entry = Self::deserialize(&value).map_err(|error| refuse(format!("its manifest entry is wrong: {error}")))?;
        if entry.residual.is_empty() {
            entry.residual = entry.stems.last().cloned().unwrap_or_default();
        }
        entry.check(package_version).map_err(refuse)?;
        Ok(entry)
    }

    /// The graphs of this model; the only one of most has [`SINGLE_ROLE`].
    #[must_use]
    pub fn graphs(&self) -> Vec<Graph> {
        graphs(&self.file, self.bytes, &self.sha256, &self.files)
    }

    /// The graph of this role, or the only one.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] naming the roles there are.
    pub fn graph(&self, role: Option<&str>) -> Result<Graph> {
        let graphs = self.graphs();
        let roles = graphs.iter().map(|graph| graph.role.as_str()).collect::<Vec<_>>().join(", ");
        let found = match role {
            Some(role) => graphs.iter().find(|graph| graph.role == role),
            None if graphs.len() == 1 => graphs.first(),
            None => None,
        };
        found.cloned().ok_or_else(|| self.refuse(&format!("no graph of role {}: it has {roles}", role.unwrap_or("(none given)"))))
    }

    /// Names of the stems that the network gives, in its order.
    #[must_use]
    pub fn outputs(&self) -> Vec<String> {
        let is_target_only = self.contract == "mdx";
        self.stems.iter().filter(|stem| !(is_target_only && **stem == self.residual)).cloned().collect()
    }

    /// Names of the stems that a separation gives: those of the entry, and last the residual if it is not among them.
    #[must_use]
    pub fn stem_names(&self) -> Vec<String> {
        let rest = (!self.stems.contains(&self.residual)).then(|| self.residual.clone());
        self.stems.iter().cloned().chain(rest).collect()
    }

    /// Place of the residual stem in [`Entry::stem_names`].
    #[must_use]
    pub fn residual_index(&self) -> usize {
        self.stems.iter().position(|stem| *stem == self.residual).unwrap_or(self.stems.len())
    }

    /// An [`Error::ModelLoad`] about this model.
    #[must_use]
    pub fn refuse(&self, what: &str) -> Error {
        Error::ModelLoad { name: self.name.clone(), what: what.to_owned() }
    }

    fn check(&self, package_version: &str) -> std::result::Result<(), String> {
        if !is_name(&self.name, |first| first.is_ascii_lowercase() || first.is_ascii_digit()) {
            return Err(format!("name must match [a-z0-9][a-z0-9_-]{{0,63}}, got {:?}", self.name));
        }
        version("model_version", &self.model_version)?;
        check_minimum(&self.min_package_version, package_version)?;
        if self.licence.trim().is_empty() {
            return Err("licence must be an SPDX expression, got none".into());
        }
        if self.opset == 0 {
            return Err("opset must be 1 or more, got 0".into());
        }
        if !SAMPLE_RATES.contains(&self.sample_rate) {
            let (low, high) = (SAMPLE_RATES.start(), SAMPLE_RATES.end());
            return Err(format!("sample_rate must be in {low}..{high} Hz, got {}", self.sample_rate));
        }
        self.check_files()?;
        if self.kind == EMBEDDER && self.sample_rate != mel_embedding::SAMPLE_RATE {
            let wanted = mel_embedding::SAMPLE_RATE;
            return Err(format!("sample_rate must be {wanted} Hz for contract {}, got {}", mel_embedding::CONTRACT, self.sample_rate));
        }
        if self.kind != SEPARATOR {
            return Ok(());
        }
        self.check_stems()?;
        self.parameters.check(&self.contract, self.outputs().len(), self.sample_rate)
    }

    fn check_files(&self) -> std::result::Result<(), String> {
        check_graphs(&self.file, &self.files, &self.graphs())?;
        for previous in &self.previous {
            version("previous.model_version", &previous.model_version)?;
            version("previous.min_package_version", &previous.min_package_version)?;
            let Previous { file, bytes, sha256, files, .. } = previous;
            let graphs = graphs(file, *bytes, sha256, files);
            check_graphs(file, files, &graphs).map_err(|what| format!("previous version {}: {what}", previous.model_version))?;
            if let Some(graph) = graphs.iter().find(|graph| graph.bytes.is_none() || graph.sha256.is_none()) {
                return Err(format!("previous version {}: {} needs bytes and sha256", previous.model_version, graph.file));
            }
        }
        Ok(())
    }

    fn check_stems(&self) -> std::result::Result<(), String> {
        if !STEM_COUNTS.contains(&self.stems.len()) {
            return Err(format!("stems must be {}..{} names, got {}", STEM_COUNTS.start(), STEM_COUNTS.end(), self.stems.len()));
        }
        let mut names = HashSet::new();
        for stem in self.stems.iter().chain([&self.residual]) {
            if !is_name(stem, |first| first.is_ascii_lowercase()) {
                return Err(format!("a stem's name must match [a-z][a-z0-9_-]{{0,63}}, got {stem:?}"));
            }
        }
        if let Some(twice) = self.stems.iter().find(|stem| !names.insert(*stem)) {
            return Err(format!("stem {twice} is given twice"));
        }
        if let [only] = &self.stems[..] {
            return if *only == self.residual {
                Err(format!("stems is {only} alone: give residual a name for the rest of the mix"))
            } else {
                Ok(())
            };
        }
        if !names.contains(&self.residual) {
            return Err(format!("residual is {:?}, which is none of its stems {}", self.residual, self.stems.join(", ")));
        }
        Ok(())
    }
}

/// The graphs of a model, given as one file or as several.
fn graphs(file: &Option<String>, bytes: Option<u64>, sha256: &Option<String>, files: &[Graph]) -> Vec<Graph> {
    match file {
        Some(file) => vec![Graph { role: SINGLE_ROLE.into(), file: file.clone(), bytes, sha256: sha256.clone() }],
        None => files.to_vec(),
    }
}

fn check_graphs(file: &Option<String>, files: &[Graph], graphs: &[Graph]) -> std::result::Result<(), String> {
    if file.is_some() != files.is_empty() {
        return Err("needs either file or files, got both or none".into());
    }
    let mut roles = HashSet::new();
    for graph in graphs {
        check_file(&graph.file, graph.sha256.as_deref())?;
        if !roles.insert(&graph.role) {
            return Err(format!("role {:?} is given twice in files", graph.role));
        }
    }
    Ok(())
}

/// Refuses a string that is not among those read, naming both.
fn known(value: &Value, key: &str, read: &[&str]) -> std::result::Result<(), String> {
    match value.get(key).and_then(Value::as_str) {
        Some(found) if read.contains(&found) => Ok(()),
        Some(found) => Err(format!("{key} is {found:?}, read are {}: update otolith or use another model", read.join(", "))),
        None => Err(format!("{key} must be one of {}, got none", read.join(", "))),
    }
}

fn is_name(name: &str, is_first: impl Fn(char) -> bool) -> bool {
    name.len() <= 64
        && name.starts_with(is_first)
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

fn version(key: &str, text: &str) -> std::result::Result<Version, String> {
    Version::parse(text).map_err(|error| format!("{key} must be a semantic version, got {text:?}: {error}"))
}

fn check_minimum(minimum: &str, package_version: &str) -> std::result::Result<(), String> {
    let (needed, ours) = (version("min_package_version", minimum)?, version("the package's version", package_version)?);
    if needed <= ours { Ok(()) } else { Err(format!("needs otolith {needed} or newer, this is {ours}: update otolith")) }
}

fn check_file(file: &str, sha256: Option<&str>) -> std::result::Result<(), String> {
    // The name is joined to a base address: it must not leave it.
    let is_plain = !file.starts_with('.') && file.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'));
    if file.is_empty() || !is_plain {
        return Err(format!("file must be a plain file name of letters, digits, '.', '_', '-' and '+', got {file:?}"));
    }
    match sha256 {
        Some(hex) if hex.len() != 64 || !hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) => {
            Err(format!("sha256 must be 64 lower-case hexadecimal digits, got {hex:?}"))
        }
        _ => Ok(()),
    }
}
