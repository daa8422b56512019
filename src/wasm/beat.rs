//! `BeatStepper` and `clickTrack`.

use js_sys::{Float64Array, Object, Reflect};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::audio::Sound;
use super::options;
use crate::audio::Audio;
use crate::beat::click_track::{Mix, click_track};
use crate::beat::{BeatConfig, BeatTracker, BeatTracking};
use crate::error::{Error, Result};

/// Beats of a sound, step by step.
#[wasm_bindgen]
pub struct BeatStepper {
    inner: BeatTracking<Audio>,
}

#[wasm_bindgen]
impl BeatStepper {
    /// Takes the sound and the options `method` ("auto" or "flux"), `minBpm`, `maxBpm`, `meters`, `downbeats`.
    #[wasm_bindgen(constructor)]
    pub fn new(sound: Sound, options: Option<Object>) -> Result<Self> {
        let config: BeatConfig = options::parse("options", options)?;
        Ok(Self { inner: BeatTracker::new(config)?.start(sound.into_audio())? })
    }

    /// Does some 20 ms of work. True while there is more.
    pub fn step(&mut self) -> Result<bool> {
        self.inner.step()
    }

    /// Share done, 0..1.
    pub fn progress(&self) -> f64 {
        self.inner.progress()
    }

    /// `{ beats, downbeats, tempo: { bpm, confidence, alternatives: [{ bpm, confidence }], phase, steady, range }, meter:
    /// { beatsPerBar, confidence } | null, method, notice }`, times as Float64Array in seconds. Call it when `step` has returned false.
    pub fn finish(self) -> Result<Object> {
        let track = self.inner.finish()?;
        let result = Object::new();
        set(&result, "beats", Float64Array::from(track.beats.as_slice()).into());
        set(&result, "downbeats", Float64Array::from(track.downbeats.as_slice()).into());
        set(&result, "tempo", plain(&track.tempo)?);
        set(&result, "meter", plain(&track.meter)?);
        set(&result, "method", plain(&track.method)?);
        set(&result, "notice", plain(&track.notice)?);
        Ok(result)
    }
}

/// Options of [`click_track_over`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ClickOptions {
    /// Amplitude in dBFS.
    gain: f64,
    /// Whether the sound is under the clicks.
    mix: bool,
}

impl Default for ClickOptions {
    fn default() -> Self {
        Self { gain: -6.0, mix: true }
    }
}

/// Clicks at `beats` (seconds, rising), higher ones at `downbeats`, over a copy of `sound`. Options: `gain` (dBFS, default -6), `mix`
/// (false: clicks alone, in one channel).
#[wasm_bindgen(js_name = clickTrack)]
pub fn click_track_over(sound: &Sound, beats: &[f64], downbeats: &[f64], options: Option<Object>) -> Result<Sound> {
    let options: ClickOptions = options::parse("options", options)?;
    let mix = if options.mix { Mix::Over } else { Mix::Alone };
    Ok(click_track(beats, downbeats, sound.audio(), options.gain, mix)?.into())
}

/// A plain object of `value`, with null for what is absent.
fn plain(value: &impl Serialize) -> Result<JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|error| Error::internal(format!("a beat track could not be handed over: {error}")))
}

/// Sets a property of an object made here: such an object is not frozen, so this cannot fail.
fn set(object: &Object, key: &str, value: JsValue) {
    let _ = Reflect::set(object, &JsValue::from_str(key), &value);
}
