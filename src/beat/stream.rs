//! Beats of a sound while it is heard.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;

use super::bar::{BarFilter, logistic};
use super::beat_filter::BeatFilter;
use super::causal_activation::{CausalActivation, CausalNetwork};
use super::causal_flux::CausalFlux;
use super::onset::{FRAMES_PER_SECOND, ONSET_LEAD, SILENCE, seconds_of};
use super::state_space::StateSpace;
use super::tempo::CHANCE;
use super::tracker::refine;
use super::{BeatConfig, BeatMethod, BeatNotice, ModelName};
use crate::error::{Error, Result};
use crate::limits::SAMPLE_RATES;

/// A beat as it was heard.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BeatEvent {
    /// Seconds from the stream's first sample to the beat.
    pub time: f64,
    /// Whether it begins a bar, as far as the bars before it tell.
    pub downbeat: bool,
    /// Tempo of the last beats, in beats per minute.
    pub bpm: f64,
    /// How sure the tempo is, 0..1.
    pub confidence: f64,
    /// Whether nothing was heard there: the beat is where the tempo puts it.
    pub extrapolated: bool,
    /// Seconds from the stream's first sample to the last one that was needed to tell.
    pub emitted_at: f64,
}

/// What one frame says.
pub(super) struct Heard {
    /// How likely a beat is, 0..1.
    pub(super) activation: f64,
    /// Natural logarithm of how much likelier this sound is where a beat begins than elsewhere in a beat.
    pub(super) gain: f64,
    /// For a network, how likely a downbeat is, 0..1; by flux, strength of the onset in the low bands.
    pub(super) downbeat: f64,
    /// Root mean square, full scale 1.
    pub(super) level: f32,
    /// Samples of the stream that were needed.
    pub(super) end: u64,
    /// What a look at the tempo told, in frames where there was one.
    pub(super) tempo: Option<TempoLook>,
}

/// What the onsets of the last seconds say about each interval of the filter, `[intervals]`.
pub(super) struct TempoLook {
    /// Logarithm of how likely it is, up to a constant.
    pub(super) scores: Vec<f64>,
    /// How well the onsets repeat at it: 1 perfectly, 0 not at all.
    pub(super) periodicities: Vec<f64>,
}

/// Probability of the beat region from which on a beat is there, and at which a peak of it is one.
const CERTAIN: f64 = 0.4;
const PEAK: f64 = 0.15;
/// Share of a beat that must have passed since the last one.
const SHORTEST_BEAT: f64 = 0.55;
/// Frames before the newest in which a beat's onset may lie.
const REACH: usize = 4;
/// Seconds from the centre of the first frame that is not silent to the onset in it, by flux: less than the half window by which the frame
/// reaches ahead, and more than that of the silent frame 10 ms before.
const EDGE: f64 = 0.0165;
/// Frames after a beat that are heard before it is given.
const PEAK_FRAMES: u64 = 1;
/// Activation from which on an onset was heard, by flux. For a network it is the threshold of the options.
const HEARD: f64 = 0.3;
/// Beats go on without onsets for this many frames.
const PATIENCE: u64 = 2 * FRAMES_PER_SECOND as u64;
/// Beats over which the tempo of an event is measured.
const TEMPO_BEATS: usize = 8;
/// Probability from which on a beat is taken to begin a bar: bars of three and of six, or of two and of four, may share what is certain.
const DOWNBEAT: f64 = 0.35;
/// Beats over which low onsets are compared.
const ACCENT_BEATS: usize = 32;
/// Weight, a frame, of the tempo evidence.
const TEMPO_WEIGHT: f64 = 0.03;
/// Samples taken at once: bounds what is kept.
const PIECE: usize = 16_384;

/// Beats of one channel of sound, pushed piece by piece.
///
/// By the causal network where there is one, else by spectral flux. The forward algorithm of the bar pointer model ([`BeatFilter`]) follows
/// tempo and phase; a beat is given when the probability of its region has passed 0.4. What is kept does not grow with the stream, and
/// events do not depend on how the samples were cut.
pub struct BeatStream {
    sample_rate: u32,
    source: Source,
    notice: Option<BeatNotice>,
    ear: Ear,
    received: u64,
    replaced: u64,
    has_ended: bool,
}

enum Source {
    Flux(Box<CausalFlux>),
    Network(Box<CausalActivation>, ModelName),
}

impl BeatStream {
    /// A stream of `sample_rate` hertz. Without a network method auto means flux.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the option that is out of range, or a rate outside 8..192 kHz; [`Error::ModelLoad`] for method tcn
    /// without a network.
    pub fn new(config: BeatConfig, sample_rate: u32, network: std::result::Result<Arc<CausalNetwork>, BeatNotice>) -> Result<Self> {
        config.check()?;
        if !SAMPLE_RATES.contains(&sample_rate) {
            let (low, high) = (SAMPLE_RATES.start(), SAMPLE_RATES.end());
            return Err(Error::invalid(format!("sampleRate must be in {low}..{high} Hz, got {sample_rate}")));
        }
        let space = StateSpace::new(config.min_bpm..config.max_bpm, config.transition_lambda, config.observation_lambda);
        let (source, notice) = match (config.method, network) {
            (BeatMethod::Auto | BeatMethod::Tcn, Ok(network)) => {
                let model = network.model().clone();
                (Source::Network(Box::new(CausalActivation::new(network, sample_rate, config.observation_lambda)?), model), None)
            }
            (BeatMethod::Tcn, Err(_)) => {
                let what = "method tcn needs a causal beat network and none was given: give one, or use method auto or flux".to_owned();
                return Err(Error::ModelLoad { name: "beat-causal".into(), what });
            }
            (method, reason) => {
                let notice = if method == BeatMethod::Auto { reason.err() } else { None };
                (Source::Flux(Box::new(CausalFlux::new(sample_rate, space.intervals().to_vec()))), notice)
            }
        };
        let ear = Ear::new(&config, space, sample_rate, matches!(source, Source::Flux(_)));
        Ok(Self { sample_rate, source, notice, ear, received: 0, replaced: 0, has_ended: false })
    }

    /// What the beats are found by.
    #[must_use]
    pub fn method(&self) -> BeatMethod {
        if matches!(self.source, Source::Flux(_)) { BeatMethod::Flux } else { BeatMethod::Tcn }
    }

    /// The network at work; `None` by flux.
    #[must_use]
    pub fn model(&self) -> Option<&ModelName> {
        if let Source::Network(_, model) = &self.source { Some(model) } else { None }
    }

    /// What the caller should know.
    #[must_use]
    pub fn notice(&self) -> Option<BeatNotice> {
        self.notice
    }

    /// Most samples from a beat to the one that lets it be told: half a frame, the frames of a block, those in which a peak is recognised,
    /// and the resampler's own delay.
    #[must_use]
    pub fn latency(&self) -> u64 {
        let frame = f64::from(self.sample_rate) / FRAMES_PER_SECOND;
        let reach = match &self.source {
            Source::Flux(flux) => flux.reach(),
            Source::Network(network, _) => network.reach(),
        };
        reach + (frame * (REACH as u64 + PEAK_FRAMES) as f64).ceil() as u64
    }

    /// Samples so far that were no finite numbers and taken as 0.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Takes the next samples, of any number, and gives the beats that they complete, in order of time.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] after [`BeatStream::flush`]; [`Error::ModelLoad`] if the network cannot be run.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<BeatEvent>> {
        if self.has_ended {
            return Err(Error::invalid("the stream was flushed and takes no more samples: open a new one"));
        }
        let mut events = Vec::new();
        let mut finite = Vec::new();
        for piece in samples.chunks(PIECE) {
            finite.clear();
            finite.extend(piece.iter().map(|&sample| if sample.is_finite() { sample } else { 0.0 }));
            self.replaced += piece.iter().filter(|sample| !sample.is_finite()).count() as u64;
            self.received += piece.len() as u64;
            let Self { source, ear, .. } = self;
            let mut hear = |frame: Heard| events.extend(ear.hear(frame));
            match source {
                Source::Flux(flux) => flux.push(&finite, &mut hear),
                Source::Network(network, _) => network.push(&finite, &mut hear)?,
            }
        }
        Ok(events)
    }

    /// Ends the stream and gives the beats still to come.
    ///
    /// # Errors
    /// As [`BeatStream::push`].
    pub fn flush(&mut self) -> Result<Vec<BeatEvent>> {
        if self.has_ended {
            return Ok(Vec::new());
        }
        self.has_ended = true;
        let mut events = Vec::new();
        let Self { source, ear, .. } = self;
        let mut hear = |frame: Heard| events.extend(ear.hear(frame));
        match source {
            Source::Flux(flux) => flux.flush(&mut hear),
            Source::Network(network, _) => network.flush(&mut hear)?,
        }
        let end = self.received as f64 / f64::from(self.sample_rate);
        events.retain(|event| event.time <= end);
        events.iter_mut().for_each(|event| event.emitted_at = event.emitted_at.min(end));
        Ok(events)
    }

    /// Hertz.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }
}

/// Follows the beats of one curve of activations.
struct Ear {
    filter: BeatFilter,
    bars: BarFilter,
    sample_rate: f64,
    is_flux: bool,
    /// Activation from which on an onset was heard.
    threshold: f64,
    frame: u64,
    /// The newest activations and downbeat values, the newest last.
    activations: VecDeque<f64>,
    downbeats: VecDeque<f64>,
    levels: VecDeque<f32>,
    periodicities: Vec<f64>,
    /// Probability of the beat region in the last two frames.
    before: [f64; 2],
    /// Frames until the beat that was recognised is given.
    pending: Option<u64>,
    /// Times of the last beats in seconds, and their positions in frames.
    beats: VecDeque<f64>,
    last_beat: f64,
    /// Frame of the last onset that was heard.
    last_onset: Option<u64>,
    accents: VecDeque<f64>,
}

impl Ear {
    fn new(config: &BeatConfig, space: StateSpace, sample_rate: u32, is_flux: bool) -> Self {
        Self {
            filter: BeatFilter::new(space),
            bars: BarFilter::new(&config.meters),
            sample_rate: f64::from(sample_rate),
            is_flux,
            threshold: if is_flux { HEARD } else { config.threshold },
            frame: 0,
            activations: VecDeque::new(),
            downbeats: VecDeque::new(),
            levels: VecDeque::new(),
            periodicities: Vec::new(),
            before: [0.0; 2],
            pending: None,
            beats: VecDeque::new(),
            last_beat: f64::NEG_INFINITY,
            last_onset: None,
            accents: VecDeque::new(),
        }
    }

    /// Takes the next frame; gives a beat if it tells one.
    fn hear(&mut self, heard: Heard) -> Option<BeatEvent> {
        const KEPT: usize = REACH + 3;
        keep(&mut self.activations, heard.activation, KEPT);
        keep(&mut self.downbeats, heard.downbeat, KEPT);
        keep(&mut self.levels, heard.level, KEPT);
        if let Some(look) = heard.tempo {
            self.filter.set_tempo(&look.scores, TEMPO_WEIGHT);
            self.periodicities = look.periodicities;
        }
        self.filter.push(heard.gain);
        if heard.activation >= self.threshold && heard.level >= SILENCE {
            self.last_onset = Some(self.frame);
        }
        let (now, _) = self.filter.beat();
        let [earlier, before] = self.before;
        self.before = [before, now];
        let recognised = match self.pending {
            Some(left) => {
                self.pending = left.checked_sub(1);
                self.pending.is_none()
            }
            None if now < PEAK && before < PEAK => false,
            None => {
                let (interval, _) = self.filter.tempo();
                let is_due = self.frame as f64 - self.last_beat >= SHORTEST_BEAT * interval;
                if is_due && now >= CERTAIN {
                    self.pending = Some(PEAK_FRAMES - 1);
                }
                is_due && now < CERTAIN && before >= PEAK && before > now && before > earlier
            }
        };
        let event = if recognised { self.beat(heard.end) } else { None };
        self.frame += 1;
        event
    }

    /// The beat around the present frame; `None` where nothing was heard for long or nothing is periodic.
    fn beat(&mut self, end: u64) -> Option<BeatEvent> {
        let newest = self.activations.len().saturating_sub(1);
        let curve: Vec<f64> = self.activations.iter().copied().collect();
        let reach = newest.saturating_sub(REACH)..newest + 1;
        let loudest = curve.get(reach.clone()).unwrap_or(&[]).iter().copied().fold(0.0, f64::max);
        let is_heard = loudest >= self.threshold && self.last_onset.is_some_and(|frame| self.frame - frame <= REACH as u64);
        let position = if is_heard { refine(&curve, reach) } else { newest as f64 - 1.0 - self.filter.beat().1 };
        let frame = self.frame as f64 + position - newest as f64;
        let time = match self.silence_ended() {
            Some(age) if is_heard => seconds_of((self.frame - age as u64) as f64) + EDGE,
            _ => self.seconds(frame),
        };
        self.pending = None;
        self.last_beat = frame;
        keep(&mut self.beats, time, TEMPO_BEATS + 1);
        let downbeat = self.is_downbeat();
        let (interval, share) = self.filter.tempo();
        let certainty = self.certainty(interval);
        let silence = self.last_onset.map_or(u64::MAX, |frame| self.frame - frame);
        if certainty == 0.0 || silence > PATIENCE || time < 0.0 {
            return None;
        }
        let emitted_at = end as f64 / self.sample_rate;
        Some(BeatEvent { time, downbeat, bpm: self.bpm(interval), confidence: share * certainty, extrapolated: !is_heard, emitted_at })
    }

    /// Frames ago, by flux, that the first frame after digital silence was: its flux is all of the onset's, however little of the onset its
    /// window holds, and says nothing of the moment.
    fn silence_ended(&self) -> Option<usize> {
        let is_silent = |level: Option<&f32>| level.is_some_and(|level| *level < SILENCE);
        let newest = self.levels.len().checked_sub(1)?;
        (0..REACH.min(newest))
            .find(|&age| is_silent(self.levels.get(newest - age - 1)) && !is_silent(self.levels.get(newest - age)))
            .filter(|_| self.is_flux)
    }

    fn seconds(&self, frame: f64) -> f64 {
        if self.is_flux { seconds_of(frame) + ONSET_LEAD } else { frame / FRAMES_PER_SECOND }
    }

    /// Beats per minute over the last beats, as far as they keep the filter's tempo.
    fn bpm(&self, interval: f64) -> f64 {
        let expected = interval / FRAMES_PER_SECOND;
        let times: Vec<f64> = self.beats.iter().rev().copied().collect();
        let even =
            times.iter().zip(times.iter().skip(1)).take_while(|&(late, early)| ((late - early) / expected - 1.0).abs() < 0.2).count();
        match (times.first(), times.get(even)) {
            (Some(last), Some(first)) if even >= 3 => 60.0 * even as f64 / (last - first),
            _ => 60.0 / expected,
        }
    }

    /// Certainty, 0..1, that there is a period at all.
    fn certainty(&self, interval: f64) -> f64 {
        if !self.is_flux {
            return 1.0;
        }
        let index = self.filter.intervals().iter().position(|&known| known as f64 >= interval.round()).unwrap_or(0);
        let near = self.periodicities.get(index.saturating_sub(2)..(index + 3).min(self.periodicities.len())).unwrap_or(&[]);
        let periodicity = near.iter().copied().fold(0.0, f64::max);
        ((periodicity - CHANCE.0) / (CHANCE.1 - CHANCE.0)).clamp(0.0, 1.0)
    }

    fn is_downbeat(&mut self) -> bool {
        let strongest = self.downbeats.iter().copied().fold(0.0, f64::max);
        let probability = if self.is_flux {
            keep(&mut self.accents, strongest, ACCENT_BEATS);
            let count = self.accents.len() as f64;
            let mean = self.accents.iter().sum::<f64>() / count;
            let deviation = (self.accents.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
            if deviation > 1e-9 { logistic((strongest - mean) / deviation) } else { 0.5 }
        } else {
            strongest
        };
        self.bars.push(probability) > DOWNBEAT
    }
}

fn keep<T>(values: &mut VecDeque<T>, value: T, most: usize) {
    values.push_back(value);
    if values.len() > most {
        values.pop_front();
    }
}
