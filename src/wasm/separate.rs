//! `Separation` and `Segment`.

use js_sys::{Float32Array, Object, Reflect};
use serde::Deserialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::audio::Sound;
use super::model::parse_entry;
use super::options;
use crate::dsp::kernel;
use crate::error::Error;
use crate::separate::{self, ChunkGrid, OutputRate, SeparationOptions};

/// The options of `Separation`, as they are written in TypeScript. `conditioning` is for `ChunkTask`; it is listed so that both sides
/// can be given the same object.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Options {
    chunk: Option<f64>,
    overlap: Option<f64>,
    #[serde(rename = "conditioning")]
    _conditioning: Option<bool>,
    sample_rate: Rate,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Rate {
    Hertz(f64),
    Name(String),
}

impl Default for Rate {
    fn default() -> Self {
        Self::Name(INPUT_RATE.to_owned())
    }
}

/// The `sampleRate` that keeps the input's.
const INPUT_RATE: &str = "input";

impl Options {
    fn read(self, model_rate: u32) -> Result<SeparationOptions, Error> {
        let output_rate = match self.sample_rate {
            Rate::Name(name) if name == INPUT_RATE => Ok(OutputRate::Input),
            Rate::Hertz(rate) if rate == f64::from(model_rate) => Ok(OutputRate::Model),
            Rate::Name(name) => Err(format!("{name:?}")),
            Rate::Hertz(rate) => Err(rate.to_string()),
        };
        let output_rate = output_rate
            .map_err(|given| Error::invalid(format!("options.sampleRate must be \"{INPUT_RATE}\" or {model_rate}, got {given}")))?;
        Ok(SeparationOptions { chunk: self.chunk, overlap: self.overlap, output_rate })
    }
}

/// The home side of a separation: `measure` the whole sound in blocks, `finishMeasuring`, then for each chunk in order `feed` it from the
/// start again while it `needsSound`, hand the chunk out, and push the stems back in order.
#[wasm_bindgen]
pub struct Separation {
    separation: separate::Separation,
}

#[wasm_bindgen]
impl Separation {
    /// Takes the shape of the sound, a model's manifest entry as JSON, and the options `chunk`, `overlap` and `sampleRate`.
    #[wasm_bindgen(constructor)]
    pub fn new(sound: &Sound, #[wasm_bindgen(js_name = entryJson)] entry: &str, options: Option<Object>) -> Result<Self, JsValue> {
        let entry = parse_entry(entry)?;
        let options = options::parse::<Options>("options", options)?.read(entry.sample_rate)?;
        let audio = sound.audio();
        Ok(Self { separation: separate::Separation::new(audio.channels().len(), audio.sample_rate(), entry, options)? })
    }

    /// Hears the next block for the first time; with `keep`, gives a copy of its mix, which may be fed in its place.
    pub fn measure(&mut self, block: Sound, keep: bool) -> Result<Vec<Float32Array>, JsValue> {
        let mix = self.separation.measure(block.into_audio().into_channels())?;
        Ok(if keep { mix.iter().map(|channel| Float32Array::from(channel.as_slice())).collect() } else { Vec::new() })
    }

    /// Says that the whole sound has been measured.
    #[wasm_bindgen(js_name = finishMeasuring)]
    pub fn finish_measuring(&mut self) -> Result<(), JsValue> {
        Ok(self.separation.finish_measuring()?)
    }

    /// Whether more must be fed before the next chunk can be taken.
    #[wasm_bindgen(getter, js_name = needsSound)]
    pub fn needs_sound(&self) -> bool {
        self.separation.needs_sound()
    }

    /// Hears the next block for the second time.
    pub fn feed(&mut self, block: Sound) -> Result<(), JsValue> {
        Ok(self.separation.feed(block.into_audio().into_channels())?)
    }

    /// Number of chunks; 0 until the sound is measured.
    #[wasm_bindgen(getter, js_name = chunkCount)]
    pub fn chunk_count(&self) -> usize {
        self.separation.grid().map_or(0, ChunkGrid::count)
    }

    /// Samples of a full chunk at the model's rate; 0 until the sound is measured.
    #[wasm_bindgen(getter, js_name = chunkSize)]
    pub fn chunk_size(&self) -> usize {
        self.separation.grid().map_or(0, ChunkGrid::chunk)
    }

    /// Samples by which chunks overlap; 0 until the sound is measured.
    #[wasm_bindgen(getter, js_name = overlapSize)]
    pub fn overlap_size(&self) -> usize {
        self.separation.grid().map_or(0, ChunkGrid::overlap)
    }

    /// Names of the stems, in the order of every segment.
    #[wasm_bindgen(getter, js_name = stemNames)]
    pub fn stem_names(&self) -> Vec<String> {
        self.separation.stem_names().to_vec()
    }

    /// Rate of the stems, in hertz.
    #[wasm_bindgen(getter, js_name = sampleRate)]
    pub fn sample_rate(&self) -> u32 {
        self.separation.sample_rate()
    }

    /// Rate of the sound, in hertz.
    #[wasm_bindgen(getter, js_name = inputRate)]
    pub fn input_rate(&self) -> u32 {
        self.separation.input_rate()
    }

    /// Frames of every stem, known when the sound is measured.
    #[wasm_bindgen(getter)]
    pub fn frames(&self) -> usize {
        self.separation.frames()
    }

    /// Chunks so far from which nothing was inferred.
    #[wasm_bindgen(getter, js_name = silentChunks)]
    pub fn silent_chunks(&self) -> usize {
        self.separation.silent_chunks()
    }

    /// Factors that bring the peaks of all segments so far to -1 dBFS, in the order of `stemNames`.
    #[wasm_bindgen(js_name = peakGains)]
    pub fn peak_gains(&self) -> Vec<f32> {
        self.separation.peak_gains()
    }

    /// Chunk `index`, which must be the next: `{ index, silent, gain, left, right }`.
    pub fn chunk(&mut self, index: usize) -> Result<Object, JsValue> {
        let chunk = self.separation.chunk(index)?;
        let [left, right] = chunk.channels;
        object([
            ("index", (chunk.index as f64).into()),
            ("silent", chunk.is_silent.into()),
            ("gain", chunk.gain.into()),
            ("left", Float32Array::from(left.as_slice()).into()),
            ("right", Float32Array::from(right.as_slice()).into()),
        ])
    }

    /// Takes what `ChunkTask.finish` gave for chunk `index`, in order, or nothing for a silent chunk; returns the segment it completes.
    pub fn push(&mut self, index: usize, stems: Option<Vec<f32>>) -> Result<Segment, JsValue> {
        let segment = self.separation.push(index, stems)?;
        Ok(Segment { start: segment.start as f64 / f64::from(self.separation.sample_rate()), segment })
    }
}

/// Multiplies samples in place, a stretch at a time: linear memory does not grow with them.
#[wasm_bindgen(js_name = scaleSamples)]
pub fn scale_samples(samples: &Float32Array, gain: f32) {
    let mut stretch = vec![0.0; SCALED_AT_ONCE];
    for start in (0..samples.length()).step_by(SCALED_AT_ONCE) {
        let view = samples.subarray(start, (start + SCALED_AT_ONCE as u32).min(samples.length()));
        if let Some(part) = stretch.get_mut(..view.length() as usize) {
            view.copy_to(part);
            kernel::scale(part, gain);
            view.copy_from(part);
        }
    }
}

/// Samples that [`scale_samples`] copies in and out at once.
const SCALED_AT_ONCE: usize = 1 << 16;

/// An object of these properties.
pub(super) fn object<const N: usize>(properties: [(&str, JsValue); N]) -> Result<Object, JsValue> {
    let object = Object::new();
    for (key, value) in properties {
        Reflect::set(&object, &key.into(), &value)?;
    }
    Ok(object)
}

/// A finished stretch of all stems.
#[wasm_bindgen]
pub struct Segment {
    segment: separate::Segment,
    start: f64,
}

#[wasm_bindgen]
impl Segment {
    /// Its place, from 0.
    #[wasm_bindgen(getter)]
    pub fn index(&self) -> usize {
        self.segment.index
    }

    /// Where it begins, in seconds.
    #[wasm_bindgen(getter)]
    pub fn start(&self) -> f64 {
        self.start
    }

    /// Frames of every channel.
    #[wasm_bindgen(getter)]
    pub fn frames(&self) -> usize {
        self.segment.frames()
    }

    /// Channels of every stem: 1 if the sound had one, else 2.
    #[wasm_bindgen(getter, js_name = channelCount)]
    pub fn channel_count(&self) -> usize {
        self.segment.stems.first().map_or(0, Vec::len)
    }

    /// A copy of one channel of one stem.
    pub fn stem(&self, stem: usize, channel: usize) -> Result<Float32Array, JsValue> {
        let samples = self.segment.stems.get(stem).and_then(|channels| channels.get(channel));
        let samples = samples.ok_or_else(|| Error::invalid(format!("the segment has no stem {stem} with channel {channel}")))?;
        Ok(Float32Array::from(samples.as_slice()))
    }
}
