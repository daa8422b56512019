//! Networks that embed a second of sound, and which of them made a print.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::wire::Reader;
use crate::error::{Error, Result};
use crate::model::mel_embedding::{DIMENSIONS, FRAMES, MELS};
use crate::model::{Entry, Graph, GraphPlan};

/// Bytes of a SHA-256.
const DIGEST_BYTES: usize = 32;
/// Most bytes of a model's name, and of its version.
const NAME_BYTES: usize = 64;
/// Norm below which an embedding has no direction.
pub const LEAST_NORM: f32 = 1e-6;
/// Value of 1 in a stored embedding.
pub const UNIT: f32 = 127.0;

/// Which network made a print. Embeddings of two networks, or of two versions of one, do not compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderId {
    /// Name of the model.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file, lower-case hex: this alone decides, with the dimensions.
    pub sha256: String,
    /// Numbers of an embedding, 16..=2048.
    pub dimensions: usize,
}

impl EmbedderId {
    /// Whether embeddings compare: the same file with as many dimensions, whatever it is called.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        (&self.sha256, self.dimensions) == (&other.sha256, other.dimensions)
    }

    /// What is wrong with it, in words.
    pub(super) fn fault(&self) -> Option<String> {
        if digest_bytes(&self.sha256).is_none() {
            return Some(format!("a model's SHA-256 of {:?}", self.sha256));
        }
        if !DIMENSIONS.contains(&self.dimensions) {
            return Some(format!("embeddings of {} numbers, allowed are {}..{}", self.dimensions, DIMENSIONS.start(), DIMENSIONS.end()));
        }
        let is_fit = |text: &str| !text.is_empty() && text.len() <= NAME_BYTES;
        (!is_fit(&self.name) || !is_fit(&self.version)).then(|| format!("a model called {:?} of version {:?}", self.name, self.version))
    }

    /// Appends it as bytes: name and version, each with its length u8 in front, SHA-256, dimensions u16.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        for text in [&self.name, &self.version] {
            bytes.push(text.len().min(NAME_BYTES) as u8);
            bytes.extend(text.bytes().take(NAME_BYTES));
        }
        bytes.extend_from_slice(&digest_bytes(&self.sha256).unwrap_or_default());
        bytes.extend_from_slice(&(self.dimensions as u16).to_le_bytes());
    }

    /// Reads what [`EmbedderId::encode`] wrote.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the byte for anything else.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let mut text = || {
            let [length] = reader.take()?;
            let bytes = reader.slice(usize::from(length))?;
            String::from_utf8(bytes.to_vec()).map_err(|error| reader.damaged(bytes.len(), error.to_string()))
        };
        let (name, version) = (text()?, text()?);
        let digest: [u8; DIGEST_BYTES] = reader.take()?;
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = Self { name, version, sha256, dimensions: usize::from(u16::from_le_bytes(reader.take()?)) };
        match id.fault() {
            Some(fault) => Err(reader.damaged(2, fault)),
            None => Ok(id),
        }
    }
}

impl fmt::Display for EmbedderId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.sha256.get(..8).unwrap_or_default();
        write!(formatter, "{} {} ({} dimensions, SHA-256 {digest}...)", self.name, self.version, self.dimensions)
    }
}

fn digest_bytes(hex: &str) -> Option<[u8; DIGEST_BYTES]> {
    let mut digest = [0; DIGEST_BYTES];
    if hex.len() != 2 * DIGEST_BYTES || !hex.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// A network of contract `mel-embedding`, ready for batches of any size.
///
/// Source of the idea: Chang et al., "Neural audio fingerprint for high-specific audio retrieval based on contrastive learning", ICASSP
/// 2021.
pub struct Embedder {
    graph: Box<dyn Graph>,
    id: EmbedderId,
}

impl fmt::Debug for Embedder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Embedder").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Embedder {
    /// Takes the graph of the model that `entry` describes; `sha256` is the digest of its file. It is made ready once, for one window, to
    /// see that it keeps the contract.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] for an entry of another contract or a graph that does not keep its own.
    pub fn new(entry: &Entry, sha256: &str, graph: Box<dyn Graph>) -> Result<Self> {
        let dimensions = entry.parameters.dimensions.filter(|_| entry.kind == "embedder");
        let dimensions = dimensions
            .ok_or_else(|| entry.refuse(&format!("is of kind {}, a neural fingerprint needs an embedder: name one", entry.kind)))?;
        let id = EmbedderId { name: entry.name.clone(), version: entry.model_version.clone(), sha256: sha256.to_owned(), dimensions };
        if let Some(fault) = id.fault() {
            return Err(entry.refuse(&fault));
        }
        let embedder = Self { graph, id };
        embedder.plan(1)?;
        Ok(embedder)
    }

    /// Which network it is.
    #[must_use]
    pub fn id(&self) -> &EmbedderId {
        &self.id
    }

    /// The network, ready for `batch` windows at once.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] if the graph does not keep its contract.
    pub fn plan(&self, batch: usize) -> Result<Box<dyn GraphPlan>> {
        let plan = self.graph.plan(&[("mels", &[batch, 1, MELS, FRAMES])], &["embedding"])?;
        let wanted = [vec![batch, self.id.dimensions]];
        if plan.output_shapes() == wanted {
            return Ok(plan);
        }
        let found = plan.output_shapes();
        let what =
            format!("gives {found:?} for {batch} windows, its contract and manifest say {wanted:?}: use the manifest that belongs to it");
        Err(Error::ModelLoad { name: self.id.name.clone(), what })
    }
}

/// An embedding as it is stored: of length 1, times 127, rounded; zeros where it has no direction.
pub fn quantise(embedding: &[f32], stored: &mut [i8]) {
    let norm = embedding.iter().map(|value| value * value).sum::<f32>().sqrt();
    if !(LEAST_NORM..f32::INFINITY).contains(&norm) {
        stored.fill(0);
        return;
    }
    for (stored, value) in stored.iter_mut().zip(embedding) {
        *stored = (UNIT * value / norm).round() as i8;
    }
}
