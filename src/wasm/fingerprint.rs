//! `Fingerprinter`, `Print` and `inspect`; with feature `neural` also `EmbedderModel`.

use js_sys::Object;
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::audio::Sound;
use super::options;
use crate::audio::Audio;
use crate::error::{Error, Result};
use crate::fingerprint::extraction::Extraction;
use crate::fingerprint::inspect::{InspectOptions, inspect_bytes};
use crate::fingerprint::{self as room, FingerprintOptions, Recipe};

/// Extracts the fingerprint of a sound step by step.
#[wasm_bindgen]
pub struct Fingerprinter {
    extraction: Extraction,
    audio: Audio,
}

#[wasm_bindgen]
impl Fingerprinter {
    /// Takes the sound. Options: `{ algorithm, profile, mix, silence, batch }`. Use `withNetwork` for algorithm neural.
    #[wasm_bindgen(constructor)]
    pub fn new(sound: Sound, options: Option<Object>) -> Result<Self> {
        let options: FingerprintOptions = options::parse("options", options)?;
        let audio = sound.into_audio();
        let extraction = Extraction::new(Recipe::new(&options)?, &audio)?;
        Ok(Self { extraction, audio })
    }

    /// Reads on. True while there is more.
    pub fn step(&mut self) -> Result<bool> {
        self.extraction.step(&self.audio)
    }

    /// Share done, 0..1.
    pub fn progress(&self) -> f64 {
        self.extraction.progress()
    }

    /// The fingerprint. Call it when `step` has returned false.
    pub fn finish(self) -> Result<Print> {
        Ok(Print { print: self.extraction.finish()? })
    }
}

/// The fingerprint of a sound.
#[wasm_bindgen]
pub struct Print {
    print: room::Print,
}

#[wasm_bindgen]
impl Print {
    /// Reads a stored fingerprint.
    #[wasm_bindgen(js_name = fromBytes)]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(Self { print: room::Print::from_bytes(bytes)? })
    }

    /// The fingerprint as bytes to store.
    pub fn bytes(&self) -> Vec<u8> {
        self.print.to_bytes()
    }

    /// Name of the algorithm.
    #[wasm_bindgen(getter)]
    pub fn algorithm(&self) -> String {
        self.print.algorithm().name().to_owned()
    }

    /// Name of the profile.
    #[wasm_bindgen(getter)]
    pub fn profile(&self) -> String {
        self.print.profile().name().to_owned()
    }

    /// Length of the sound, in seconds.
    #[wasm_bindgen(getter)]
    pub fn duration(&self) -> f64 {
        self.print.duration()
    }

    /// Landmarks that a catalogue stores of it.
    #[wasm_bindgen(getter, js_name = hashCount)]
    pub fn hash_count(&self) -> usize {
        self.print.hash_count()
    }

    /// What to know about it: `channels-cancel`.
    #[wasm_bindgen(getter)]
    pub fn warnings(&self) -> Vec<String> {
        self.print.warnings().iter().map(|warning| warning.name().to_owned()).collect()
    }

    /// The fingerprint in words and numbers, as JSON. Options: `{ hashes, peaks }`, how many to list.
    pub fn inspect(&self, options: Option<Object>) -> Result<String> {
        let options: InspectOptions = options::parse("options", options)?;
        self.print.to_json(options)
    }
}

impl Print {
    /// The fingerprint itself.
    pub(super) fn inner(&self) -> &room::Print {
        &self.print
    }
}

/// JSON about the bytes of a stored fingerprint or catalogue. Options: `{ hashes, peaks }`, how many of a fingerprint to list.
#[wasm_bindgen]
pub fn inspect(bytes: &[u8], options: Option<Object>) -> Result<String> {
    let options: InspectOptions = options::parse("options", options)?;
    inspect_bytes(bytes, options)
}

#[cfg(feature = "neural")]
mod neural {
    use std::sync::Arc;

    use js_sys::Object;
    use wasm_bindgen::JsValue;
    use wasm_bindgen::prelude::wasm_bindgen;

    use super::Fingerprinter;
    use crate::fingerprint::{Embedder, Extraction, FingerprintOptions, Recipe};
    use crate::model::NamedGraph;
    use crate::wasm::audio::Sound;
    use crate::wasm::model::parse_entry;
    use crate::wasm::options;

    /// The network of neural fingerprints, loaded and checked. Fingerprinters share it.
    #[wasm_bindgen]
    pub struct EmbedderModel {
        embedder: Arc<Embedder>,
    }

    #[wasm_bindgen]
    impl EmbedderModel {
        /// Takes the manifest entry as JSON and the bytes of its file; checks digest and contract.
        #[wasm_bindgen(constructor)]
        pub fn new(#[wasm_bindgen(js_name = entryJson)] entry: &str, bytes: &[u8]) -> Result<Self, JsValue> {
            let entry = parse_entry(entry)?;
            let graph = NamedGraph::load(&entry, None, bytes)?;
            let digest = graph.weight_hash().to_owned();
            Ok(Self { embedder: Arc::new(Embedder::new(&entry, &digest, Box::new(graph))?) })
        }
    }

    #[wasm_bindgen]
    impl Fingerprinter {
        /// A fingerprinter by the network that algorithm neural needs.
        #[wasm_bindgen(js_name = withNetwork)]
        pub fn with_network(sound: Sound, options: Option<Object>, model: &EmbedderModel) -> Result<Self, JsValue> {
            let options: FingerprintOptions = options::parse("options", options)?;
            let audio = sound.into_audio();
            let embedder = Arc::clone(&model.embedder);
            let extraction = Extraction::with_embedder(Recipe::new(&options)?, &audio, embedder, options.batch)?;
            Ok(Self { extraction, audio })
        }
    }
}

/// A result as a plain object.
pub(super) fn plain(value: &impl Serialize) -> Result<JsValue> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&serializer).map_err(|error| Error::internal(format!("a result as an object: {error}")))
}
