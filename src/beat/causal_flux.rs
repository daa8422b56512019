//! Onsets of a stream by spectral flux, without a look ahead: activation, tempo evidence, low-band strength.

use std::collections::VecDeque;

use super::onset::{FRAMES_PER_SECOND, FluxAnalysis, RIPPLE, seconds_of};
use super::spectrum::RecentSamples;
use super::stream::{Heard, TempoLook};
use super::tempogram::{Autocorrelation, score};

/// Frames that onsets are compared with, those before them: their mean is not an onset.
const NEAR: usize = 2 * FRAMES_PER_SECOND as usize;
/// Frames that give the usual strength of onsets, and in which tempo is looked for.
const WIDE: usize = 8 * FRAMES_PER_SECOND as usize;
/// Frames from one look at the tempo to the next, and before the first.
const TEMPO_EVERY: u64 = 25;
const TEMPO_FROM: usize = 150;
/// Past onsets count for the tempo by half after this many seconds.
const MEMORY: f64 = 2.5;

/// Gain of an onset of strength s, in natural logarithms: GAIN * s - ABSENCE. With the activation of the flux in its place, which tells
/// strong onsets from weak ones far less, the mean F of the evaluation set is 0.72 and not 0.99.
const GAIN: f64 = 1.0;
const ABSENCE: f64 = 0.8;

/// Flux of a stream, frame by frame.
pub(super) struct CausalFlux {
    analysis: FluxAnalysis,
    recent: RecentSamples,
    sample_rate: f64,
    frame: u64,
    all: CausalNovelty,
    low: CausalNovelty,
    autocorrelation: Autocorrelation,
    /// Beat lengths, in frames, whose likelihood is wanted.
    intervals: Vec<usize>,
}

impl CausalFlux {
    pub(super) fn new(sample_rate: u32, intervals: Vec<usize>) -> Self {
        Self {
            analysis: FluxAnalysis::new(sample_rate),
            recent: RecentSamples::default(),
            sample_rate: f64::from(sample_rate),
            frame: 0,
            all: CausalNovelty::default(),
            low: CausalNovelty::default(),
            autocorrelation: Autocorrelation::new(Vec::new()),
            intervals,
        }
    }

    /// Samples after a frame's centre that the frame needs.
    pub(super) fn reach(&self) -> u64 {
        (self.analysis.frame_length() / 2) as u64
    }

    /// Takes samples, and gives to `hear` what the frames that are now complete say.
    pub(super) fn push(&mut self, samples: &[f32], hear: &mut dyn FnMut(Heard)) {
        self.recent.push(samples);
        while self.next_end() <= self.recent.heard() as i64 {
            hear(self.take_frame());
        }
    }

    /// Gives the frames up to the last sample, as if silence followed.
    pub(super) fn flush(&mut self, hear: &mut dyn FnMut(Heard)) {
        let end = self.recent.heard() as f64 / self.sample_rate;
        while seconds_of(self.frame as f64) <= end {
            hear(self.take_frame());
        }
    }

    fn next_start(&self) -> i64 {
        (seconds_of(self.frame as f64) * self.sample_rate).round() as i64 - self.reach() as i64
    }

    fn next_end(&self) -> i64 {
        self.next_start() + self.analysis.frame_length() as i64
    }

    fn take_frame(&mut self) -> Heard {
        let (start, end) = (self.next_start(), self.next_end());
        let (channel, offset) = self.recent.frame(start);
        let flux = self.analysis.push(&channel, offset);
        let activation = self.all.push(flux.flux);
        let gain = GAIN * self.all.strength.back().copied().unwrap_or(0.0) - ABSENCE;
        self.low.push(flux.low_flux);
        self.frame += 1;
        self.recent.forget_before(self.next_start());
        let tempo = (self.frame.is_multiple_of(TEMPO_EVERY) && self.all.strength.len() >= TEMPO_FROM).then(|| self.look_at_tempo());
        Heard {
            activation,
            gain,
            downbeat: self.low.strength.back().copied().unwrap_or(0.0),
            level: flux.level,
            end: end.max(0) as u64,
            tempo,
        }
    }

    fn look_at_tempo(&mut self) -> TempoLook {
        let length = self.all.strength.len();
        if self.autocorrelation.length() != length {
            let weight = |age: usize| (-(age as f64) / FRAMES_PER_SECOND / MEMORY * std::f64::consts::LN_2).exp() as f32;
            self.autocorrelation.set_window((0..length).map(|index| weight(length - 1 - index)).collect());
        }
        let correlations = [&self.all, &self.low].map(|novelty| {
            let curve: Vec<f64> = novelty.strength.iter().copied().collect();
            self.autocorrelation.of(&curve)
        });
        let [all, _] = &correlations;
        let periods = || self.intervals.iter().map(|&interval| interval as f64);
        TempoLook {
            scores: periods().map(|period| score(&correlations, period)).collect(),
            periodicities: periods().map(|period| self.autocorrelation.comb(all, period)).collect(),
        }
    }
}

/// [`super::onset::Novelty`] with windows that end at the present frame.
#[derive(Default)]
struct CausalNovelty {
    /// The newest flux.
    flux: VecDeque<f64>,
    /// The newest onsets, what rises above the mean flux.
    onsets: VecDeque<f64>,
    /// The newest onset strengths: roots of the onsets over their level.
    strength: VecDeque<f64>,
}

impl CausalNovelty {
    /// Takes the flux of the next frame and gives its activation, 0..1.
    fn push(&mut self, flux: f32) -> f64 {
        keep(&mut self.flux, f64::from(flux), NEAR);
        let onset = (f64::from(flux) - mean(self.flux.iter().copied()) - RIPPLE).max(0.0);
        keep(&mut self.onsets, onset, WIDE);
        let level = mean(self.onsets.iter().map(|onset| onset * onset)).sqrt();
        keep(&mut self.strength, (onset / (level + RIPPLE)).sqrt(), WIDE);
        onset / (onset + mean(self.onsets.iter().copied()) + RIPPLE)
    }
}

fn keep(values: &mut VecDeque<f64>, value: f64, most: usize) {
    values.push_back(value);
    if values.len() > most {
        values.pop_front();
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}
