//! What a whole sound is from moment to moment: music, speech or silence.

use serde::{Deserialize, Serialize};

use super::intake::Intake;
use crate::audio::Audio;
use crate::audio::channels::mono;
use crate::dsp::activity::SilenceGate;
use crate::dsp::activity_classifier::{ActivityClassifier, MIN_DURATION, SAMPLE_RATE, STEP_SECONDS};
use crate::error::{Error, Result};

/// Level in dBFS of RMS below which a sound is silent, unless said otherwise.
const SILENCE: f64 = -60.0;
/// Judgements before and after one that have a say in it: 1 s each.
const NEIGHBOURS: usize = 2;
/// Places at which the gate is asked about a judgement's part.
const GATE_POINTS: u64 = 16;
/// Frames that a step reads.
const STEP_FRAMES: usize = 1 << 18;

/// How a sound is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActivityOptions {
    /// Level in dBFS of RMS, -100..=-20, below which it is silent (see [`SilenceGate`]). Default -60.
    pub silence: f64,
}

impl Default for ActivityOptions {
    fn default() -> Self {
        Self { silence: SILENCE }
    }
}

/// What a sound is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SoundKind {
    /// Music, with or without singing.
    Music,
    /// Speech.
    Speech,
    /// Silence.
    Silence,
}

/// A stretch of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActivitySegment {
    /// Where it begins, in seconds.
    pub start: f64,
    /// Where it ends, in seconds.
    pub end: f64,
    /// What it is.
    pub kind: SoundKind,
    /// Mean probability of its kind, 0.5..1; 1 for silence.
    pub confidence: f64,
}

/// The listening to one sound, step by step. It borrows nothing, so that the sound is given at each step: always the same one.
pub struct ActivityScan {
    intake: Intake,
    gate: SilenceGate,
    classifier: ActivityClassifier,
    /// Odds of speech, nothing for silence, every [`STEP_SECONDS`].
    heard: Vec<Option<f64>>,
    position: usize,
    duration: f64,
}

impl ActivityScan {
    /// Prepares to listen to `audio`.
    ///
    /// # Errors
    /// [`Error::TooShort`] below [`MIN_DURATION`]; [`Error::InvalidInput`] for a level out of range.
    pub fn new(options: ActivityOptions, audio: &Audio) -> Result<Self> {
        if audio.duration() < MIN_DURATION {
            return Err(Error::TooShort { capability: "activity", given: audio.duration(), needed: MIN_DURATION });
        }
        Ok(Self {
            intake: Intake::new(audio.sample_rate(), SAMPLE_RATE)?,
            gate: SilenceGate::new(SAMPLE_RATE, options.silence)?,
            classifier: ActivityClassifier::default(),
            heard: Vec::new(),
            position: 0,
            duration: audio.duration(),
        })
    }

    /// Reads on in `audio`. Returns whether there is more.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn step(&mut self, audio: &Audio) -> Result<bool> {
        let end = audio.frames().min(self.position + STEP_FRAMES);
        let piece: Vec<&[f32]> = audio.channels().iter().map(|channel| &channel[self.position..end]).collect();
        let samples = mono(&piece)?;
        let Self { intake, gate, classifier, heard, .. } = self;
        intake.push(&samples, |samples| listen(gate, classifier, heard, samples))?;
        self.position = end;
        if end == audio.frames() {
            intake.end(|samples| listen(gate, classifier, heard, samples))?;
        }
        Ok(end < audio.frames())
    }

    /// Share of the sound that is heard, 0..1.
    #[must_use]
    pub fn progress(&self, audio: &Audio) -> f64 {
        self.position as f64 / audio.frames().max(1) as f64
    }

    /// The sound in stretches of one kind, without holes. The first and the last reach to its ends.
    #[must_use]
    pub fn finish(self) -> Vec<ActivitySegment> {
        // The first judgement speaks for a part that begins behind its window's first half.
        let lead = self.classifier.lead_seconds();
        let mut segments: Vec<ActivitySegment> = Vec::new();
        let mut start = 0.0;
        let kinds = kinds(&self.heard);
        for (index, same) in runs(&kinds) {
            let end = if index + same.len() == kinds.len() { self.duration } else { lead + (index + same.len()) as f64 * STEP_SECONDS };
            let confidence = same.iter().map(|&(_, probability)| probability).sum::<f64>() / same.len() as f64;
            segments.extend(same.first().map(|&(kind, _)| ActivitySegment { start, end, kind, confidence }));
            start = end;
        }
        segments
    }
}

/// Kind and probability of it from moment to moment: the mean of the odds within [`NEIGHBOURS`] decides.
fn kinds(heard: &[Option<f64>]) -> Vec<(SoundKind, f64)> {
    let kind = |(index, odds): (usize, &Option<f64>)| {
        if odds.is_none() {
            return (SoundKind::Silence, 1.0);
        }
        let near = &heard[index.saturating_sub(NEIGHBOURS)..heard.len().min(index + NEIGHBOURS + 1)];
        let odds: Vec<f64> = near.iter().copied().flatten().collect();
        let mean = odds.iter().sum::<f64>() / odds.len() as f64;
        let kind = if mean >= 0.0 { SoundKind::Speech } else { SoundKind::Music };
        (kind, 1.0 / (1.0 + libm::exp(-libm::fabs(mean))))
    };
    heard.iter().enumerate().map(kind).collect()
}

/// Runs of one kind, with the place of each.
fn runs(heard: &[(SoundKind, f64)]) -> impl Iterator<Item = (usize, &[(SoundKind, f64)])> {
    let mut index = 0;
    heard.chunk_by(|a, b| a.0 == b.0).map(move |run| {
        index += run.len();
        (index - run.len(), run)
    })
}

fn listen(gate: &mut SilenceGate, classifier: &mut ActivityClassifier, heard: &mut Vec<Option<f64>>, samples: &[f32]) -> Result<()> {
    gate.push(samples);
    let length = (STEP_SECONDS * f64::from(SAMPLE_RATE)) as u64;
    for judgement in classifier.push(samples)? {
        let silent = (0..GATE_POINTS).filter(|point| gate.is_silent(judgement.start + (2 * point + 1) * length / (2 * GATE_POINTS)));
        heard.push((2 * silent.count() as u64 <= GATE_POINTS).then_some(judgement.odds));
        gate.forget_before(judgement.start);
    }
    Ok(())
}
