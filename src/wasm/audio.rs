//! `Sound`, `Decoder` and `encodeWav`.

use std::io;

use js_sys::{Float32Array, Object, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::options;
use crate::audio::decode::Output;
use crate::audio::source::ByteSource;
use crate::audio::wav::{SampleFormat, encode_wav as encode};
use crate::audio::{self, Audio};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Decoded sound: planar 32-bit samples in linear memory. Passing it to a capability consumes it.
#[wasm_bindgen]
#[derive(Clone)]
pub struct Sound {
    audio: Audio,
    warnings: Vec<String>,
}

impl Sound {
    /// Gives the samples away.
    pub fn into_audio(self) -> Audio {
        self.audio
    }

    /// The samples.
    pub fn audio(&self) -> &Audio {
        &self.audio
    }
}

impl From<Audio> for Sound {
    fn from(audio: Audio) -> Self {
        Self { audio, warnings: Vec::new() }
    }
}

#[wasm_bindgen]
impl Sound {
    /// Copies planar channels of one length, at `sampleRate` hertz: a whole sound, or a block of one that begins at its frame `first`.
    #[wasm_bindgen(constructor)]
    pub fn new(
        channels: Vec<Float32Array>,
        #[wasm_bindgen(js_name = sampleRate)] sample_rate: f64,
        limits: Option<Object>,
        first: Option<f64>,
    ) -> Result<Self> {
        let limits: Limits = options::parse("limits", limits)?;
        let rate = whole_rate(sample_rate)?;
        let frames = channels.first().map_or(0, Float32Array::length);
        limits.check_shape(channels.len(), rate, frames.into())?;
        let channels = channels.iter().map(copy).collect::<Result<Vec<_>>>()?;
        Ok(Self { audio: Audio::block(channels, rate, first.unwrap_or(0.0) as u64, &limits)?, warnings: Vec::new() })
    }

    /// Hertz.
    #[wasm_bindgen(getter, js_name = sampleRate)]
    pub fn sample_rate(&self) -> u32 {
        self.audio.sample_rate()
    }

    /// Number of channels, 1..8.
    #[wasm_bindgen(getter, js_name = channelCount)]
    pub fn channel_count(&self) -> usize {
        self.audio.channels().len()
    }

    /// Samples per channel.
    #[wasm_bindgen(getter)]
    pub fn frames(&self) -> usize {
        self.audio.frames()
    }

    /// Length in seconds.
    #[wasm_bindgen(getter)]
    pub fn duration(&self) -> f64 {
        self.audio.duration()
    }

    /// What the decoder had to skip or found missing, a sentence each. Empty for an undamaged file.
    #[wasm_bindgen(getter)]
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    /// A copy of one channel.
    pub fn channel(&self, index: usize) -> Result<Float32Array> {
        let channel = self.audio.channels().get(index).ok_or_else(|| {
            Error::invalid(format!("channel must be in 0..{}, got {index}", self.audio.channels().len().saturating_sub(1)))
        })?;
        Ok(Float32Array::from(channel.as_slice()))
    }

    /// A copy of the whole sound.
    #[wasm_bindgen(js_name = clone)]
    pub fn copy(&self) -> Self {
        self.clone()
    }
}

#[wasm_bindgen]
extern "C" {
    /// An encoded file that lies outside linear memory.
    pub type EncodedFile;

    #[wasm_bindgen(method, getter)]
    fn size(this: &EncodedFile) -> f64;

    /// The `length` bytes from `at` on. It throws if they cannot be read.
    #[wasm_bindgen(method, catch)]
    fn read(this: &EncodedFile, at: f64, length: f64) -> std::result::Result<Uint8Array, JsValue>;
}

impl ByteSource for EncodedFile {
    fn size(&self) -> u64 {
        EncodedFile::size(self) as u64
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let bytes = self.read(at as f64, into.len() as f64).map_err(|thrown| {
            let message = thrown.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{thrown:?}"), |error| String::from(error.message()));
            io::Error::other(message)
        })?;
        if bytes.length() as usize != into.len() {
            return Err(io::Error::other("it has become shorter"));
        }
        bytes.copy_to(into);
        Ok(())
    }
}

/// Decodes an encoded file step by step.
#[wasm_bindgen]
pub struct Decoder {
    inner: audio::decode::Decoder,
}

#[wasm_bindgen]
impl Decoder {
    /// Finds the format of `file`, which is read as it is decoded. `hint` is a file name, an extension, a MIME type or "". With
    /// `inBlocks` the sound is to be taken by `block` after each step.
    #[wasm_bindgen(constructor)]
    pub fn new(file: EncodedFile, hint: &str, limits: Option<Object>, #[wasm_bindgen(js_name = inBlocks)] in_blocks: bool) -> Result<Self> {
        let limits: Limits = options::parse("limits", limits)?;
        let output = if in_blocks { Output::Blocks } else { Output::Whole };
        Ok(Self { inner: audio::decode::Decoder::open(Box::new(file), hint, limits, output)? })
    }

    /// What was decoded since the last call, in a decoder that gives blocks; nothing if that is no sound.
    pub fn block(&mut self) -> Option<Sound> {
        self.inner.block().map(Sound::from)
    }

    /// Frames of the whole sound by the container's word, which need not be true.
    #[wasm_bindgen(getter, js_name = declaredFrames)]
    pub fn declared_frames(&self) -> Option<f64> {
        self.inner.declared_frames().map(|frames| frames as f64)
    }

    /// Decodes some packets. True while there is more.
    pub fn step(&mut self) -> Result<bool> {
        self.inner.step()
    }

    /// Share done, 0..1.
    pub fn progress(&self) -> f64 {
        self.inner.progress()
    }

    /// The sound, or the last block of it. Call it when `step` has returned false.
    pub fn finish(self) -> Result<Sound> {
        let decoded = self.inner.finish()?;
        Ok(Sound { audio: decoded.audio, warnings: decoded.warnings })
    }
}

/// A WAV file of planar channels: `format` is "wav16", "wav24" or "wav32f".
#[wasm_bindgen(js_name = encodeWav)]
pub fn encode_wav(channels: Vec<Float32Array>, #[wasm_bindgen(js_name = sampleRate)] sample_rate: f64, format: &str) -> Result<Vec<u8>> {
    let format: SampleFormat = format.parse()?;
    let rate = whole_rate(sample_rate)?;
    let channels = channels.iter().map(copy).collect::<Result<Vec<_>>>()?;
    Ok(encode(&channels, rate, format)?.bytes)
}

fn copy(channel: &Float32Array) -> Result<Vec<f32>> {
    let length = channel.length() as usize;
    let mut samples = Vec::new();
    let bytes = length as u64 * size_of::<f32>() as u64;
    samples.try_reserve_exact(length).map_err(|_| Error::OutOfMemory { what: "a channel of samples", bytes })?;
    samples.resize(length, 0.0);
    channel.copy_to(&mut samples);
    Ok(samples)
}

/// Sample rates are whole hertz here; a cast alone would round 44100.5 and turn NaN into 0 unseen.
fn whole_rate(sample_rate: f64) -> Result<u32> {
    let rate = sample_rate as u32;
    if f64::from(rate) == sample_rate {
        Ok(rate)
    } else {
        Err(Error::invalid(format!("sampleRate must be a whole number of hertz in 8000..192000, got {sample_rate}: resample first")))
    }
}
