//! `Catalog`: a catalogue whose files JavaScript reads and writes.

use js_sys::{Array, Object, Reflect, Uint8Array};
use serde::Deserialize;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::fingerprint::{Print, plain};
use super::options;
use crate::error::{Error, Result};
use crate::fingerprint::MatchOptions;
use crate::fingerprint::catalog::Replace;
use crate::fingerprint::catalog::io::{Progress, Reply, Request};
use crate::fingerprint::catalog::store::{Command, Enrolled, Outcome, Sizes, Store};
use crate::fingerprint::print::{Algorithm, Profile, Scheme};

/// What a catalogue is opened with.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct CatalogOptions {
    algorithm: Option<Algorithm>,
    profile: Option<Profile>,
    /// Whether it has files.
    is_stored: bool,
    /// Bytes of postings kept in memory.
    resident_bytes: Option<f64>,
}

/// A catalogue. A call is begun, then stepped until it is done; what it asks for on the way is answered.
#[wasm_bindgen]
pub struct Catalog {
    store: Store,
    requests: Vec<Request>,
    outcome: Option<Outcome>,
}

#[wasm_bindgen]
impl Catalog {
    /// Begins to open a catalogue: step it. Options: `{ algorithm, profile, isStored, residentBytes }`. Without algorithm and profile a
    /// stored one is opened whatever it holds.
    #[wasm_bindgen(constructor)]
    pub fn new(options: Option<Object>) -> Result<Self> {
        let options: CatalogOptions = options::parse("options", options)?;
        let asked = match (options.algorithm, options.profile) {
            (None, None) => None,
            (algorithm, profile) => Some(Scheme::new(algorithm.unwrap_or_default(), profile.unwrap_or_default())?),
        };
        let mut sizes = Sizes::default();
        if let Some(bytes) = options.resident_bytes {
            sizes.resident_bytes = bytes as usize;
        }
        let store = if options.is_stored { Store::open(asked, sizes) } else { Store::memory(asked.unwrap_or_default()) };
        Ok(Self { store, requests: Vec::new(), outcome: None })
    }

    /// Begins to enrol a fingerprint under an id, with metadata as JSON.
    pub fn enrol(&mut self, id: String, metadata: String, print: &Print, replace: bool) -> Result<()> {
        let print = Enrolled::Print(print.inner().clone());
        self.store.begin(Command::Enrol { id, metadata, print, replace: replaced(replace) })
    }

    /// Begins to enrol a fingerprint of the crate audiofp. The outcome is the number of its hashes that have no place here.
    #[wasm_bindgen(js_name = enrolAudiofp)]
    pub fn enrol_audiofp(&mut self, id: String, metadata: String, blob: Vec<u8>, replace: bool) -> Result<()> {
        self.store.begin(Command::Enrol { id, metadata, print: Enrolled::AudioFp(blob), replace: replaced(replace) })
    }

    /// Begins to remove a track. The outcome is whether there was one.
    pub fn remove(&mut self, id: String) -> Result<()> {
        self.store.begin(Command::Remove { id })
    }

    /// Begins to find a fingerprint. Options: those of a match. The outcome is the hits, best first.
    #[wasm_bindgen(js_name = match)]
    pub fn find(&mut self, print: &Print, options: Option<Object>) -> Result<()> {
        let options: MatchOptions = options::parse("options", options)?;
        self.store.begin(Command::Find { print: print.inner().clone(), options })
    }

    /// Begins to drop what removed tracks left behind.
    pub fn compact(&mut self) -> Result<()> {
        self.store.begin(Command::Compact)
    }

    /// Begins to give all of it as pieces.
    pub fn export(&mut self) -> Result<()> {
        self.store.begin(Command::Export)
    }

    /// Begins to take pieces of an export in place of what it holds.
    pub fn import(&mut self) -> Result<()> {
        self.store.begin(Command::Import)
    }

    /// Moves the call on: `{ kind: "requests" }`, `"working"`, `"piece"`, `"wants"` or `"done"`.
    pub fn step(&mut self) -> Result<JsValue> {
        let (kind, name, value) = match self.store.step()? {
            Progress::Requests(requests) => {
                let list: Array = requests.iter().map(request).collect();
                self.requests = requests;
                ("requests", "requests", list.into())
            }
            Progress::Working => ("working", "", JsValue::UNDEFINED),
            Progress::Piece(piece) => ("piece", "piece", Uint8Array::from(piece.as_slice()).into()),
            Progress::Wants => ("wants", "", JsValue::UNDEFINED),
            Progress::Done => {
                self.outcome = self.store.take_outcome();
                ("done", "", JsValue::UNDEFINED)
            }
        };
        let step = Object::new();
        set(&step, "kind", &kind.into());
        if !name.is_empty() {
            set(&step, name, &value);
        }
        Ok(step.into())
    }

    /// Answers the requests in their order: a length or nothing, bytes, or nothing.
    pub fn answer(&mut self, replies: &Array) -> Result<()> {
        let requests = std::mem::take(&mut self.requests);
        let replies: Result<Vec<Reply>> = requests.iter().zip(replies.iter()).map(|(request, value)| reply(request, &value)).collect();
        match replies {
            Ok(replies) => self.store.answer(replies),
            Err(error) => self.store.fail(error),
        }
        Ok(())
    }

    /// Tells that a request failed, and whether for want of room.
    pub fn fail(&mut self, what: String, #[wasm_bindgen(js_name = isFull)] is_full: bool) {
        self.store.fail(Error::Storage { what, is_full });
    }

    /// Tells that the rest of the input is not coming, or that nobody takes the rest of the result.
    pub fn abandon(&mut self, what: String) {
        self.store.abandon(Error::invalid(what));
    }

    /// Gives a piece of the input; nothing is its end.
    pub fn give(&mut self, piece: Option<Vec<u8>>) {
        self.store.give(piece);
    }

    /// What the call gave.
    pub fn outcome(&mut self) -> Result<JsValue> {
        match self.outcome.take() {
            Some(Outcome::Removed(removed)) => Ok(removed.into()),
            Some(Outcome::Dropped(dropped)) => Ok((dropped as f64).into()),
            Some(Outcome::Hits(hits)) => plain(&hits),
            Some(Outcome::Nothing) | None => Ok(JsValue::UNDEFINED),
        }
    }

    /// Name of the algorithm.
    #[wasm_bindgen(getter)]
    pub fn algorithm(&self) -> Result<String> {
        Ok(self.store.scheme()?.algorithm().name().to_owned())
    }

    /// Name of the profile.
    #[wasm_bindgen(getter)]
    pub fn profile(&self) -> Result<String> {
        Ok(self.store.scheme()?.profile().name().to_owned())
    }

    /// Whether a track has this id.
    pub fn has(&self, id: &str) -> Result<bool> {
        self.store.has(id)
    }

    /// The ids in their order.
    pub fn ids(&self) -> Result<Vec<String>> {
        self.store.ids()
    }

    /// Its tracks by id, as plain objects.
    pub fn tracks(&self) -> Result<JsValue> {
        plain(&self.store.tracks()?)
    }

    /// Figures about it as a plain object.
    pub fn stats(&self) -> Result<JsValue> {
        plain(&self.store.stats()?)
    }
}

fn replaced(replace: bool) -> Replace {
    if replace { Replace::Yes } else { Replace::No }
}

fn request(request: &Request) -> JsValue {
    let object = Object::new();
    let (kind, file) = match request {
        Request::Lookup { file } => ("length", file),
        Request::Read { file, offset, length } => {
            set(&object, "offset", &(*offset as f64).into());
            set(&object, "length", &(*length as f64).into());
            ("read", file)
        }
        Request::Write { file, offset, bytes } => {
            set(&object, "offset", &(*offset as f64).into());
            set(&object, "bytes", &Uint8Array::from(bytes.as_slice()).into());
            ("write", file)
        }
        Request::Flush { file } => ("flush", file),
        Request::Remove { file } => ("remove", file),
    };
    set(&object, "kind", &kind.into());
    set(&object, "file", &file.to_string().into());
    object.into()
}

fn reply(request: &Request, value: &JsValue) -> Result<Reply> {
    match request {
        Request::Lookup { file } => match value.as_f64() {
            Some(length) if length >= 0.0 => Ok(Reply::Length(Some(length as u64))),
            None if value.is_undefined() => Ok(Reply::Length(None)),
            _ => Err(wrong_answer(format!("{file}: the storage gave {value:?} as its length"))),
        },
        Request::Read { file, .. } => match value.dyn_ref::<Uint8Array>() {
            Some(bytes) => Ok(Reply::Bytes(bytes.to_vec())),
            None => Err(wrong_answer(format!("{file}: the storage gave {value:?} instead of bytes"))),
        },
        _ => Ok(Reply::Done),
    }
}

fn wrong_answer(what: String) -> Error {
    Error::Storage { what, is_full: false }
}

/// Sets a property of an object made here: such an object is not frozen, so this cannot fail.
fn set(object: &Object, key: &str, value: &JsValue) {
    let _ = Reflect::set(object, &JsValue::from_str(key), value);
}
