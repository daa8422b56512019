//! Extraction of a whole sound, step by step.

use super::Mix;
use super::peaks::Peak;
use super::print::{Print, Warning};
use super::wang::{MIN_DURATION, PeakStream, Wang};
use crate::audio::Audio;
use crate::error::{Error, Result};

/// Frames per step at 44.1 kHz stereo about 6 s of sound: a few milliseconds of work.
const STEP_FRAMES: usize = 1 << 18;
/// Frames mixed at once.
const BLOCK_FRAMES: usize = 8_192;
/// The channels cancel where their mean has less than this share of their average energy: -20 dB.
const CANCELLED: f64 = 0.01;

/// The extraction of one sound. It borrows nothing, so that the sound is given at each step: always the same one.
pub struct Extraction {
    mix: Mix,
    print: Print,
    streams: Vec<PeakStream>,
    layers: Vec<Vec<Peak>>,
    block: Vec<f32>,
    position: usize,
    frames: usize,
    /// Energy of the mean and average energy of the channels.
    mean_energy: f64,
    channel_energy: f64,
}

impl Extraction {
    /// Prepares the extraction of `audio`.
    ///
    /// # Errors
    /// [`Error::TooShort`] below 0.5 s; [`Error::InvalidInput`] for the mix `mid-side` of anything but stereo.
    pub fn new(wang: Wang, audio: &Audio) -> Result<Self> {
        let channels = audio.channels().len();
        if audio.duration() < MIN_DURATION {
            return Err(Error::TooShort { capability: "fingerprint", given: audio.duration(), needed: MIN_DURATION });
        }
        let layers = match wang.mix() {
            Mix::Mean => 1,
            Mix::Each => channels,
            Mix::MidSide if channels == 2 => 2,
            Mix::MidSide => {
                return Err(Error::invalid(format!("options.mix \"mid-side\" needs 2 channels, got {channels}: use \"mean\" or \"each\"")));
            }
        };
        let streams = (0..layers).map(|_| PeakStream::new(audio.sample_rate())).collect::<Result<_>>()?;
        Ok(Self {
            mix: wang.mix(),
            print: Print::new(wang.profile(), audio.duration(), Vec::new(), Vec::new()),
            streams,
            layers: vec![Vec::new(); layers],
            block: vec![0.0; BLOCK_FRAMES],
            position: 0,
            frames: audio.frames(),
            mean_energy: 0.0,
            channel_energy: 0.0,
        })
    }

    /// Reads on in `audio`, the sound that [`Extraction::new`] was given. Returns whether there is more.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the sound is another one, as far as its shape tells.
    pub fn step(&mut self, audio: &Audio) -> Result<bool> {
        if audio.frames() != self.frames || (self.mix != Mix::Mean && audio.channels().len() != self.layers.len()) {
            return Err(Error::invalid(format!(
                "the sound has {} frames, the extraction began with {}: give the same sound at each step",
                audio.frames(),
                self.frames
            )));
        }
        let end = self.frames.min(self.position + STEP_FRAMES);
        while self.position < end {
            let block_end = end.min(self.position + BLOCK_FRAMES);
            self.read(audio, self.position..block_end)?;
            self.position = block_end;
        }
        Ok(self.position < self.frames)
    }

    /// Share of the sound that is read, 0..1.
    #[must_use]
    pub fn progress(&self) -> f64 {
        self.position as f64 / self.frames.max(1) as f64
    }

    /// The print.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if steps are missing.
    pub fn finish(mut self) -> Result<Print> {
        if self.position < self.frames {
            return Err(Error::invalid(format!("{} of {} frames are read: step to the end first", self.position, self.frames)));
        }
        for (stream, layer) in self.streams.iter_mut().zip(&mut self.layers) {
            layer.extend_from_slice(stream.flush()?);
        }
        let mut warnings = Vec::new();
        if self.mix == Mix::Mean && self.mean_energy < CANCELLED * self.channel_energy {
            warnings.push(Warning::ChannelsCancel);
        }
        Ok(Print::new(self.print.profile(), self.print.duration(), warnings, self.layers))
    }

    fn read(&mut self, audio: &Audio, range: std::ops::Range<usize>) -> Result<()> {
        let channels = audio.channels();
        let share = 1.0 / channels.len() as f32;
        for (index, (stream, layer)) in self.streams.iter_mut().zip(&mut self.layers).enumerate() {
            let block = &mut self.block[..range.len()];
            match self.mix {
                Mix::Each => block.copy_from_slice(&channels[index][range.clone()]),
                Mix::Mean => {
                    block.fill(0.0);
                    for channel in channels {
                        for (sum, &sample) in block.iter_mut().zip(&channel[range.clone()]) {
                            *sum += sample;
                        }
                    }
                    for sample in &mut *block {
                        *sample *= share;
                    }
                    self.mean_energy += energy(block);
                    self.channel_energy += channels.iter().map(|channel| energy(&channel[range.clone()])).sum::<f64>() * f64::from(share);
                }
                Mix::MidSide => {
                    let sign = if index == 0 { 0.5 } else { -0.5 };
                    let [left, right] = channels else { return Err(Error::internal("mid-side of a sound that is not stereo")) };
                    for ((sample, &left), &right) in block.iter_mut().zip(&left[range.clone()]).zip(&right[range.clone()]) {
                        *sample = 0.5 * left + sign * right;
                    }
                }
            }
            layer.extend_from_slice(stream.push(block)?);
        }
        Ok(())
    }
}

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|&sample| f64::from(sample) * f64::from(sample)).sum()
}
