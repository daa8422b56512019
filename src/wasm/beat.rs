//! `BeatStepper`, `BeatStream` and `clickTrack`; with feature `neural` also `BeatModel` and `CausalBeatModel`.

use js_sys::{Float32Array, Float64Array, Object, Reflect};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::audio::Sound;
use super::options;
use crate::audio::Audio;
use crate::audio::channels::mono;
use crate::beat::click_track::{Mix, click_track};
use crate::beat::{self, BeatConfig, BeatNotice, BeatTracker, BeatTracking};
use crate::error::{Error, Result};

/// Beats of a sound, step by step.
#[wasm_bindgen]
pub struct BeatStepper {
    inner: BeatTracking<Audio>,
}

#[wasm_bindgen]
impl BeatStepper {
    /// Takes the sound and the options `method` ("auto", "tcn" or "flux"), `minBpm`, `maxBpm`, `meters`, `downbeats`, `transitionLambda`,
    /// `observationLambda`, `threshold`; and, for method auto, why there is no network: "model-missing" (default), "model-refused" or
    /// "model-integrity". Use `withNetwork` for method tcn.
    #[wasm_bindgen(constructor)]
    pub fn new(sound: Sound, options: Option<Object>, notice: Option<String>) -> Result<Self> {
        let tracker = BeatTracker::new(options::parse("options", options)?)?.without_network(read_notice(notice)?);
        Ok(Self { inner: tracker.start(sound.into_audio())? })
    }

    /// Does some 20 ms of work, or runs the network over one block or window. True while there is more.
    pub fn step(&mut self) -> Result<bool> {
        self.inner.step()
    }

    /// Share done, 0..1.
    pub fn progress(&self) -> f64 {
        self.inner.progress()
    }

    /// `{ beats, downbeats, tempo: { bpm, confidence, alternatives: [{ bpm, confidence }], phase, steady, range }, meter:
    /// { beatsPerBar, confidence } | null, method, model: { name, version } | null, notice }`, times as Float64Array in seconds. Call it
    /// when `step` has returned false.
    pub fn finish(self) -> Result<Object> {
        let track = self.inner.finish()?;
        let result = Object::new();
        set(&result, "beats", Float64Array::from(track.beats.as_slice()).into());
        set(&result, "downbeats", Float64Array::from(track.downbeats.as_slice()).into());
        set(&result, "tempo", plain(&track.tempo)?);
        set(&result, "meter", plain(&track.meter)?);
        set(&result, "method", plain(&track.method)?);
        set(&result, "model", plain(&track.model)?);
        set(&result, "notice", plain(&track.notice)?);
        Ok(result)
    }
}

/// Beats of one channel while it is heard.
#[wasm_bindgen]
pub struct BeatStream {
    inner: beat::BeatStream,
}

#[wasm_bindgen]
impl BeatStream {
    /// Takes the rate in hertz, options and notice as `BeatStepper` does. Use `withNetwork` for method tcn.
    #[wasm_bindgen(constructor)]
    pub fn new(#[wasm_bindgen(js_name = sampleRate)] sample_rate: f64, options: Option<Object>, notice: Option<String>) -> Result<Self> {
        let config: BeatConfig = options::parse("options", options)?;
        Ok(Self { inner: beat::BeatStream::new(config, whole_rate(sample_rate)?, Err(read_notice(notice)?))? })
    }

    /// Takes the next samples, their channels' mean, and gives the beats that they complete: `[{ time, downbeat, bpm, confidence,
    /// extrapolated, emittedAt }]`.
    pub fn push(&mut self, channels: Vec<Float32Array>) -> Result<JsValue> {
        let channels: Vec<Vec<f32>> = channels.iter().map(Float32Array::to_vec).collect();
        plain(&self.inner.push(&mono(&channels)?)?)
    }

    /// Ends the stream and gives the beats still to come.
    pub fn flush(&mut self) -> Result<JsValue> {
        plain(&self.inner.flush()?)
    }

    /// Most seconds from a beat to the sample that lets it be told.
    #[wasm_bindgen(getter)]
    pub fn latency(&self) -> f64 {
        self.inner.latency() as f64 / f64::from(self.inner.sample_rate())
    }

    /// Samples so far that were no finite numbers and taken as 0.
    #[wasm_bindgen(getter)]
    pub fn replaced(&self) -> f64 {
        self.inner.replaced() as f64
    }

    /// "tcn" or "flux".
    #[wasm_bindgen(getter)]
    pub fn method(&self) -> Result<JsValue> {
        plain(&self.inner.method())
    }

    /// `{ name, version }` of the network, or null.
    #[wasm_bindgen(getter)]
    pub fn model(&self) -> Result<JsValue> {
        plain(&self.inner.model())
    }

    /// Why there is no network, or null.
    #[wasm_bindgen(getter)]
    pub fn notice(&self) -> Result<JsValue> {
        plain(&self.inner.notice())
    }
}

fn read_notice(text: Option<String>) -> Result<BeatNotice> {
    let Some(text) = text else { return Ok(BeatNotice::ModelMissing) };
    serde_json::from_value(serde_json::Value::String(text)).map_err(|error| Error::internal(format!("a notice is not known: {error}")))
}

fn whole_rate(rate: f64) -> Result<u32> {
    if rate.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&rate) {
        return Ok(rate as u32);
    }
    Err(Error::invalid(format!("sampleRate must be a whole number of hertz, got {rate}")))
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

#[cfg(feature = "neural")]
mod neural {
    use std::sync::Arc;

    use js_sys::Object;
    use wasm_bindgen::JsValue;
    use wasm_bindgen::prelude::wasm_bindgen;

    use super::{BeatStepper, BeatStream, beat, whole_rate};
    use crate::beat::{BeatNetwork, BeatTracker, CausalNetwork, ModelName};
    use crate::model::{Entry, NamedGraph};
    use crate::wasm::audio::Sound;
    use crate::wasm::model::parse_entry;
    use crate::wasm::options;

    fn name_of(entry: &Entry) -> ModelName {
        ModelName { name: entry.name.clone(), version: entry.model_version.clone() }
    }

    /// The network for whole sounds, loaded and checked. Steppers share it.
    #[wasm_bindgen]
    pub struct BeatModel {
        network: Arc<BeatNetwork>,
    }

    #[wasm_bindgen]
    impl BeatModel {
        /// Takes the manifest entry as JSON and the bytes of its files; checks digests and contract.
        #[wasm_bindgen(constructor)]
        pub fn new(#[wasm_bindgen(js_name = entryJson)] entry: &str, front: &[u8], trunk: &[u8], tempo: &[u8]) -> Result<Self, JsValue> {
            let entry = parse_entry(entry)?;
            let front = NamedGraph::load(&entry, Some("front"), front)?;
            let trunk = NamedGraph::load(&entry, Some("trunk"), trunk)?;
            let tempo = NamedGraph::load(&entry, Some("tempo"), tempo)?;
            Ok(Self { network: Arc::new(BeatNetwork::new(&front, Box::new(trunk), &tempo, name_of(&entry))?) })
        }
    }

    #[wasm_bindgen]
    impl BeatStepper {
        /// A stepper with the network of methods tcn and auto.
        #[wasm_bindgen(js_name = withNetwork)]
        pub fn with_network(sound: Sound, options: Option<Object>, model: &BeatModel) -> Result<Self, JsValue> {
            let tracker = BeatTracker::new(options::parse("options", options)?)?.with_network(Arc::clone(&model.network));
            Ok(Self { inner: tracker.start(sound.into_audio())? })
        }
    }

    /// The network for streams, loaded and checked.
    #[wasm_bindgen]
    pub struct CausalBeatModel {
        network: Arc<CausalNetwork>,
    }

    #[wasm_bindgen]
    impl CausalBeatModel {
        /// Takes the manifest entry as JSON and the bytes of its block; checks digest and contract.
        #[wasm_bindgen(constructor)]
        pub fn new(#[wasm_bindgen(js_name = entryJson)] entry: &str, block: &[u8]) -> Result<Self, JsValue> {
            let entry = parse_entry(entry)?;
            let block = NamedGraph::load(&entry, Some("block"), block)?;
            Ok(Self { network: Arc::new(CausalNetwork::new(&block, name_of(&entry))?) })
        }
    }

    #[wasm_bindgen]
    impl BeatStream {
        /// A stream with the network of methods tcn and auto.
        #[wasm_bindgen(js_name = withNetwork)]
        pub fn with_network(
            #[wasm_bindgen(js_name = sampleRate)] sample_rate: f64,
            options: Option<Object>,
            model: &CausalBeatModel,
        ) -> Result<Self, JsValue> {
            let config = options::parse("options", options)?;
            Ok(Self { inner: beat::BeatStream::new(config, whole_rate(sample_rate)?, Ok(Arc::clone(&model.network)))? })
        }
    }
}
