//! `ActivityScan`: music, speech and silence in a sound.

use js_sys::Object;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::audio::Sound;
use super::fingerprint::plain;
use super::options;
use crate::audio::Audio;
use crate::error::Result;
use crate::fingerprint::activity as room;

/// Tells music, speech and silence apart, step by step.
#[wasm_bindgen]
pub struct ActivityScan {
    scan: room::ActivityScan,
    audio: Audio,
}

#[wasm_bindgen]
impl ActivityScan {
    /// Takes the sound. Options: `{ silence }`.
    #[wasm_bindgen(constructor)]
    pub fn new(sound: Sound, options: Option<Object>) -> Result<Self> {
        let audio = sound.into_audio();
        let scan = room::ActivityScan::new(options::parse("options", options)?, &audio)?;
        Ok(Self { scan, audio })
    }

    /// Listens on. True while there is more.
    pub fn step(&mut self) -> Result<bool> {
        self.scan.step(&self.audio)
    }

    /// Share done, 0..1.
    pub fn progress(&self) -> f64 {
        self.scan.progress(&self.audio)
    }

    /// `[{ start, end, kind, confidence }]`. Call it when `step` has returned false.
    pub fn finish(self) -> Result<JsValue> {
        plain(&self.scan.finish())
    }
}
