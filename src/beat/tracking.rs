//! One sound being tracked, in steps short enough to stay responsive between them.

use std::borrow::Borrow;
use std::sync::Arc;

use super::activation::{ActivationAnalysis, Activations, BeatNetwork};
use super::bar::{UNSURE_BY_FLUX, UNSURE_BY_NETWORK, downbeat_evidence, find_bars};
use super::dynamic_programming::BeatSequence;
use super::octave::{height, other_range};
use super::onset::{FRAMES_PER_SECOND, Novelty, ONSET_LEAD, OnsetAnalysis, Onsets, SILENCE, seconds_of};
use super::state_space::StateSpace;
use super::tempo::{Tempo, TempoEvidence, median};
use super::tempogram::{TempoPath, Tempogram};
use super::tracker::BeatDecoder;
use super::{BeatConfig, BeatMethod, BeatNotice, BeatTrack, ModelName, SHORTEST};
use crate::audio::Audio;
use crate::error::{Error, Result};

/// Frames, windows and frames again that one step takes on: some 20 ms each.
const ONSET_FRAMES: usize = 500;
const TEMPO_WINDOWS: usize = 100;
const SEQUENCE_FRAMES: usize = 50_000;
const DECODED_FRAMES: usize = 2_000;
/// Share of the progress that the network takes.
const NETWORK_SHARE: f64 = 0.9;
/// Frames around a beat in which a downbeat's activation counts as its own.
const DOWNBEAT_REACH: usize = 2;
/// Shares of the progress that onsets and tempogram take.
const ONSET_SHARE: f64 = 0.9;
const TEMPO_SHARE: f64 = 0.08;
/// Beats are dropped in silences longer than this, in seconds.
const LONGEST_SILENCE: f64 = 2.0;
/// Share of the usual activation that a beat needs for the track to begin or end with it.
const WEAK_END: f64 = 0.3;
/// Confidence of the tempo below which its beats are too doubtful to be counted into bars.
const DOUBTFUL: f64 = 0.2;

/// A sound on its way to a [`BeatTrack`]. `A` owns or borrows the sound, which is let go of as soon as its onsets are known.
pub struct BeatTracking<A: Borrow<Audio>> {
    config: BeatConfig,
    notice: Option<BeatNotice>,
    model: Option<ModelName>,
    phase: Phase<A>,
}

enum Phase<A> {
    Network {
        audio: A,
        analysis: Box<ActivationAnalysis>,
    },
    Decoding {
        activations: Activations,
        decoder: Box<BeatDecoder>,
        /// Whether these are the beats of another reading than the one first found.
        is_second: bool,
    },
    Onsets {
        audio: A,
        analysis: Box<OnsetAnalysis>,
    },
    Tempo {
        onsets: Onsets,
        novelty: Novelty,
        low_novelty: Novelty,
        tempogram: Box<Tempogram>,
    },
    Sequence {
        onsets: Onsets,
        novelty: Novelty,
        tempogram: Box<Tempogram>,
        path: TempoPath,
        sequence: BeatSequence,
    },
    Done(BeatTrack),
    /// Between two phases; never seen from outside.
    Moving,
}

impl<A: Borrow<Audio>> BeatTracking<A> {
    pub(super) fn new(config: BeatConfig, network: &std::result::Result<Arc<BeatNetwork>, BeatNotice>, audio: A) -> Result<Self> {
        let duration = audio.borrow().duration();
        if duration < SHORTEST {
            return Err(Error::TooShort { capability: "beats", given: duration, needed: SHORTEST });
        }
        match (config.method, network) {
            (BeatMethod::Auto | BeatMethod::Tcn, Ok(network)) => {
                let analysis = Box::new(ActivationAnalysis::new(audio.borrow(), Arc::clone(network))?);
                Ok(Self { config, notice: None, model: Some(network.model().clone()), phase: Phase::Network { audio, analysis } })
            }
            (BeatMethod::Tcn, Err(_)) => {
                let what = "method tcn needs a beat network and none was given: give one, or use method auto or flux".to_owned();
                Err(Error::ModelLoad { name: "beat-tcn".into(), what })
            }
            (method, reason) => {
                let notice = if method == BeatMethod::Auto { reason.as_ref().err().copied() } else { None };
                let analysis = Box::new(OnsetAnalysis::new(audio.borrow())?);
                Ok(Self { config, notice, model: None, phase: Phase::Onsets { audio, analysis } })
            }
        }
    }

    /// Does some 20 ms of work, or runs the network over one block or window. True while there is more.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] if the network cannot be run, [`Error::OutOfMemory`].
    pub fn step(&mut self) -> Result<bool> {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Moving) {
            Phase::Network { audio, mut analysis } => {
                if analysis.step(audio.borrow())? {
                    Phase::Network { audio, analysis }
                } else {
                    let activations = analysis.finish();
                    let decoder = self.decoder(self.config.min_bpm..self.config.max_bpm, &activations)?;
                    Phase::Decoding { activations, decoder, is_second: false }
                }
            }
            Phase::Decoding { activations, mut decoder, is_second } => {
                let done = decoder.frames();
                activations.beat.iter().skip(done).take(DECODED_FRAMES).for_each(|&value| decoder.push(value));
                if decoder.frames() < activations.beat.len() {
                    Phase::Decoding { activations, decoder, is_second }
                } else {
                    let (positions, tempo) = self.beats_of_network(&activations, &decoder);
                    let allowed = self.config.min_bpm..self.config.max_bpm;
                    let other = if is_second { None } else { other_range(&positions, &activations.beat, &tempo, allowed) };
                    match other {
                        Some(range) => {
                            let decoder = self.decoder(range, &activations)?;
                            Phase::Decoding { activations, decoder, is_second: true }
                        }
                        None => Phase::Done(self.assemble_network(&activations, &positions, tempo)),
                    }
                }
            }
            Phase::Onsets { audio, mut analysis } => {
                if analysis.step(audio.borrow(), ONSET_FRAMES) {
                    Phase::Onsets { audio, analysis }
                } else {
                    let onsets = analysis.finish();
                    let (novelty, low_novelty) = (Novelty::new(&onsets.flux), Novelty::new(&onsets.low_flux));
                    let tempogram = Box::new(Tempogram::new(onsets.flux.len(), self.config.min_bpm..self.config.max_bpm));
                    Phase::Tempo { onsets, novelty, low_novelty, tempogram }
                }
            }
            Phase::Tempo { onsets, novelty, low_novelty, mut tempogram } => {
                if tempogram.step(&novelty.strength, &low_novelty.strength, TEMPO_WINDOWS) {
                    Phase::Tempo { onsets, novelty, low_novelty, tempogram }
                } else {
                    let path = tempogram.path(onsets.flux.len())?;
                    Phase::Sequence { sequence: BeatSequence::new(&novelty.strength), onsets, novelty, tempogram, path }
                }
            }
            Phase::Sequence { onsets, novelty, tempogram, path, mut sequence } => {
                if sequence.step(&novelty.strength, &path.periods, SEQUENCE_FRAMES) {
                    Phase::Sequence { onsets, novelty, tempogram, path, sequence }
                } else {
                    let frames = sequence.beats(&novelty.strength, &path.periods);
                    Phase::Done(self.assemble(&onsets, &novelty, &frames, &tempogram, &path))
                }
            }
            Phase::Done(track) => Phase::Done(track),
            Phase::Moving => return Err(Error::internal("a beat tracking step failed before and was called again")),
        };
        Ok(!matches!(self.phase, Phase::Done(_)))
    }

    /// Share done, 0..1.
    #[must_use]
    pub fn progress(&self) -> f64 {
        match &self.phase {
            Phase::Network { analysis, .. } => NETWORK_SHARE * analysis.progress(),
            Phase::Decoding { is_second: true, .. } => 1.0,
            Phase::Decoding { activations, decoder, .. } => {
                NETWORK_SHARE + (1.0 - NETWORK_SHARE) * decoder.frames() as f64 / activations.beat.len().max(1) as f64
            }
            Phase::Onsets { analysis, .. } => ONSET_SHARE * analysis.done() as f64 / analysis.frames().max(1) as f64,
            Phase::Tempo { tempogram, .. } => ONSET_SHARE + TEMPO_SHARE * tempogram.done() as f64 / tempogram.windows().max(1) as f64,
            Phase::Sequence { sequence, onsets, .. } => {
                let before = ONSET_SHARE + TEMPO_SHARE;
                before + (1.0 - before) * sequence.progress(onsets.flux.len())
            }
            Phase::Done(_) | Phase::Moving => 1.0,
        }
    }

    /// The result.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if [`BeatTracking::step`] still has something to do.
    pub fn finish(self) -> Result<BeatTrack> {
        match self.phase {
            Phase::Done(track) => Ok(track),
            _ => Err(Error::invalid("beats were asked for before the last step: call step until it returns false")),
        }
    }

    fn assemble(&self, onsets: &Onsets, novelty: &Novelty, frames: &[usize], tempogram: &Tempogram, path: &TempoPath) -> BeatTrack {
        let silent = silences(&onsets.level);
        let frames: Vec<usize> = frames.iter().copied().filter(|frame| !silent.iter().any(|span| span.contains(frame))).collect();
        let beats: Vec<f64> = frames.iter().map(|&frame| beat_time(&novelty.strength, frame).max(0.0)).collect();
        let tempo = Tempo::of(&beats, &TempoEvidence::of_flux(&novelty.activation, tempogram, path));
        self.finished(beats, tempo, BeatMethod::Flux, || downbeat_evidence(onsets, &frames))
    }

    /// A decoder over tempos of `bpm` beats per minute.
    fn decoder(&self, bpm: std::ops::Range<f64>, activations: &Activations) -> Result<Box<BeatDecoder>> {
        let BeatConfig { transition_lambda, observation_lambda, .. } = self.config;
        let space = StateSpace::new(bpm, transition_lambda, observation_lambda);
        Ok(Box::new(BeatDecoder::new(space, observation_lambda, activations.beat.len())?))
    }

    /// Frame positions of the beats on the best path, outside long silences, and their tempo.
    fn beats_of_network(&self, activations: &Activations, decoder: &BeatDecoder) -> (Vec<f64>, Tempo) {
        let silent = silences(&activations.level);
        let mut positions = decoder.beats(&activations.beat, self.config.threshold);
        positions.retain(|position| !silent.iter().any(|span| span.contains(&(position.round() as usize))));
        trim_ends(&mut positions, &activations.beat);
        let beats: Vec<f64> = positions.iter().map(|position| position / FRAMES_PER_SECOND).collect();
        let tempo = Tempo::of(&beats, &TempoEvidence::of_network(&activations.beat, &activations.tempo));
        (positions, tempo)
    }

    fn assemble_network(&self, activations: &Activations, positions: &[f64], tempo: Tempo) -> BeatTrack {
        let beats = positions.iter().map(|position| position / FRAMES_PER_SECOND).collect();
        let downbeat = |position: &f64| {
            let frame = position.round() as usize;
            let near = activations
                .downbeat
                .get(frame.saturating_sub(DOWNBEAT_REACH)..(frame + DOWNBEAT_REACH + 1).min(activations.downbeat.len()));
            near.unwrap_or(&[]).iter().copied().fold(0.0, f64::max)
        };
        self.finished(beats, tempo, BeatMethod::Tcn, || positions.iter().map(downbeat).collect())
    }

    /// Adds bars, unless nothing periodic was heard; `downbeats` gives the probability of each beat to begin one.
    fn finished(&self, beats: Vec<f64>, tempo: Tempo, method: BeatMethod, downbeats: impl FnOnce() -> Vec<f64>) -> BeatTrack {
        let (model, notice) = (self.model.clone(), self.notice);
        if tempo.bpm.is_none() || tempo.confidence == 0.0 {
            // A grid through it would be invented.
            return BeatTrack { beats: Vec::new(), downbeats: Vec::new(), tempo: Tempo::none(), meter: None, method, model, notice };
        }
        let unsure = if method == BeatMethod::Tcn { UNSURE_BY_NETWORK } else { UNSURE_BY_FLUX };
        let mut track = BeatTrack { beats, downbeats: Vec::new(), tempo, meter: None, method, model, notice };
        if self.config.downbeats
            && track.tempo.confidence >= DOUBTFUL
            && let Some((meter, indices)) = find_bars(&downbeats(), &self.config.meters, unsure)
        {
            track.meter = Some(meter);
            track.downbeats = indices.iter().filter_map(|&index| track.beats.get(index).copied()).collect();
        }
        track
    }
}

/// Drops beats at either end that only the tempo puts there: those that are much weaker than the usual one.
fn trim_ends(positions: &mut Vec<f64>, activation: &[f64]) {
    let heights: Vec<f64> = positions.iter().map(|position| height(activation, *position)).collect();
    let least = WEAK_END * median(&mut heights.clone());
    let last = heights.iter().rposition(|height| *height >= least).map_or(0, |last| last + 1);
    positions.truncate(last);
    let first = heights.iter().position(|height| *height >= least).unwrap_or(0);
    positions.drain(..first.min(last));
}

/// Time of the onset peak next to `frame`, in seconds, between frames by a parabola.
fn beat_time(strength: &[f64], frame: usize) -> f64 {
    // The square is proportional to the flux again, whose peak is the parabola.
    let value = |at: usize| strength.get(at).map_or(0.0, |root| root * root);
    let reach = 2;
    let peak = (frame.saturating_sub(reach)..=frame + reach).max_by(|&a, &b| value(a).total_cmp(&value(b))).unwrap_or(frame);
    let (before, now, after) = (value(peak.saturating_sub(1)), value(peak), value(peak + 1));
    let curvature = before - 2.0 * now + after;
    let shift = if curvature < 0.0 { (0.5 * (before - after) / curvature).clamp(-0.5, 0.5) } else { 0.0 };
    seconds_of(peak as f64 + shift) + ONSET_LEAD
}

/// Spans of frames that are silent for long.
fn silences(level: &[f32]) -> Vec<std::ops::Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    for run in level.chunk_by(|a, b| (*a < SILENCE) == (*b < SILENCE)) {
        let is_silent = run.first().is_some_and(|level| *level < SILENCE);
        if is_silent && run.len() as f64 > LONGEST_SILENCE * FRAMES_PER_SECOND {
            spans.push(start..start + run.len());
        }
        start += run.len();
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::trim_ends;

    #[test]
    fn a_track_begins_and_ends_with_beats_that_are_heard() {
        let mut activation = vec![0.01; 700];
        (100..=600).step_by(50).for_each(|frame| activation[frame] = if frame == 350 { 0.02 } else { 0.8 });
        activation[650] = 0.1;
        let mut positions: Vec<f64> = (1..=13).map(|beat| 50.0 * f64::from(beat)).collect();
        trim_ends(&mut positions, &activation);
        assert_eq!(positions, (2..=12).map(|beat| 50.0 * f64::from(beat)).collect::<Vec<_>>());
        let mut none = Vec::new();
        trim_ends(&mut none, &activation);
        assert!(none.is_empty());
    }
}
