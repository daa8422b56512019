//! Sub-fingerprints: 32 bits every 11.6 ms, signs of differences of band energies in frequency and time.
//!
//! J. Haitsma and T. Kalker, "A highly robust audio fingerprinting system", ISMIR 2002. 5 512.5 Hz, frames of 2 048 samples (371.5 ms)
//! every 64 (11.61 ms, one tick), 33 bands of equal ratio from 300 to 2 000 Hz. Bit b of frame n is set if
//! `[E(n,b) - E(n,b+1)] - [E(n-1,b) - E(n-1,b+1)] > 0`. Frame 0, frames that are silent and the first behind a hole have no bit set.
//! Profile `5k` has frames of the same length at 5 000 Hz, which is the grid of the Rust crate audiofp.

use super::analysis_stream::{Analysis, AnalysisStream};
use super::extraction::{Extraction, Recipe};
use super::intake::Intake;
use super::print::{Algorithm, Print, Profile, Reference, Scheme};
use super::{Extract, Mix};
use crate::audio::Audio;
use crate::dsp::activity::SilenceGate;
use crate::dsp::half_band::half_band;
use crate::dsp::stft::FrameSpectrum;
use crate::error::Result;

/// Samples per frame.
pub const FRAME_LENGTH: usize = 2_048;
/// Samples from frame to frame.
pub const HOP_LENGTH: usize = 64;
/// Seconds of a tick, from frame to frame, but for profile `5k`.
pub const TICK_SECONDS: f64 = Grid::PAPER.tick_seconds();
/// Bands.
pub const BANDS: usize = 33;
/// Edges of the lowest and the highest band, in hertz.
pub const EDGES: (f64, f64) = (300.0, 2_000.0);
/// Bits that a query takes to be doubtful.
pub const WEAK_BITS: u32 = 8;
/// Bytes of a stored sub-fingerprint.
pub const ROW_BYTES: usize = 4;

/// What a profile changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Rate before decimation by two, in hertz.
    pub intake_rate: u32,
    /// Taps of the half-band filter on either side of its middle, odd: pass band to 2 000 Hz, aliases into it 80 dB down.
    half_band: usize,
    /// Frames from one stored key to the next.
    table_step: usize,
}

impl Grid {
    /// The rate of the paper, a key every second frame.
    const PAPER: Self = Self { intake_rate: 11_025, half_band: 19, table_step: 2 };

    /// The grid of a profile.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Paper => Self { table_step: 1, ..Self::PAPER },
            Profile::FiveKilohertz => Self { intake_rate: 10_000, half_band: 27, table_step: 2 },
            _ => Self::PAPER,
        }
    }

    /// Rate of the frames, in hertz.
    #[must_use]
    pub const fn sample_rate(self) -> f64 {
        self.intake_rate as f64 / 2.0
    }

    /// Seconds of a tick, from frame to frame.
    #[must_use]
    pub const fn tick_seconds(self) -> f64 {
        HOP_LENGTH as f64 / self.sample_rate()
    }

    /// Shortest sound: 16 sub-fingerprints, in seconds, to a hundredth above.
    #[must_use]
    pub fn min_duration(self) -> f64 {
        libm::ceil((FRAME_LENGTH + 16 * HOP_LENGTH) as f64 / self.sample_rate() * 100.0) / 100.0
    }

    /// What must agree for two prints to mix: rate, frames, bands and what is stored.
    #[must_use]
    pub fn parameters(self) -> [u32; 7] {
        let (low, high) = EDGES;
        [self.intake_rate, FRAME_LENGTH as u32, HOP_LENGTH as u32, BANDS as u32, low as u32, high as u32, self.table_step as u32]
    }
}

/// The bits of a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubFingerprint {
    /// Bit b belongs to bands b and b + 1.
    pub bits: u32,
    /// The eight bits whose differences lie closest to 0: those that noise flips first. None where no bit is set.
    pub weak: u32,
}

/// A sub-fingerprint and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedBits {
    /// Tick: number of the frame.
    pub tick: u64,
    /// Its bits.
    pub sub: SubFingerprint,
}

/// The extractor of sub-fingerprints.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Haitsma {
    profile: Profile,
    mix: Mix,
    silence: Option<f64>,
}

impl Haitsma {
    /// An extractor with one layer per channel that `mix` makes.
    #[must_use]
    pub fn new(mix: Mix) -> Self {
        Self { profile: Profile::Default, mix, silence: None }
    }

    /// The same with another profile, `paper` or `5k`. Any other is `default`.
    #[must_use]
    pub fn with_profile(self, profile: Profile) -> Self {
        let is_own = Scheme::new(Algorithm::Haitsma, profile).is_ok();
        Self { profile: if is_own { profile } else { Profile::Default }, ..self }
    }

    /// The same, with no bits where the sound is quieter than `level`, in dBFS of RMS (see [`SilenceGate`]).
    #[must_use]
    pub fn with_silence(self, level: f64) -> Self {
        Self { silence: Some(level), ..self }
    }
}

impl Extract for Haitsma {
    type Stream = HaitsmaStream;

    fn name(&self) -> &'static str {
        "haitsma-1"
    }

    fn min_duration(&self) -> f64 {
        Grid::of(self.profile).min_duration()
    }

    fn extract(&self, audio: &Audio) -> Result<Print> {
        let scheme = Scheme::new(Algorithm::Haitsma, self.profile)?;
        Extraction::whole(Recipe { scheme, mix: self.mix, silence: self.silence }, audio)
    }

    fn stream(&self, sample_rate: u32) -> Result<HaitsmaStream> {
        HaitsmaStream::new(self.profile, sample_rate, self.silence)
    }
}

/// What a catalogue stores of a layer under keys: every second frame, with profile `paper` every one, that says something and does not
/// repeat the one before.
#[must_use]
pub fn references(frames: &[SubFingerprint], profile: Profile) -> Vec<Reference> {
    let Grid { table_step, .. } = Grid::of(profile);
    let mut before = 0;
    let mut references = Vec::with_capacity(frames.len() / table_step);
    for (frame, tick) in frames.iter().zip(0u32..) {
        if (tick as usize).is_multiple_of(table_step) && frame.bits != 0 && frame.bits != before {
            references.push(Reference { key: frame.bits, tick });
        }
        before = frame.bits;
    }
    references
}

/// What a catalogue stores of a layer tick by tick: the bits, little-endian.
#[must_use]
pub fn rows(frames: &[SubFingerprint]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.bits.to_le_bytes()).collect()
}

/// Sub-fingerprints of a mono stream.
pub type HaitsmaStream = AnalysisStream<BitAnalysis>;

/// Finds sub-fingerprints.
pub struct BitAnalysis {
    grid: Grid,
    filter: Vec<f32>,
    /// Samples at the intake's rate from `half_band` before the next decimated one.
    buffer: Vec<f32>,
    /// Decimated samples from the start of the next frame on.
    decimated: Vec<f32>,
    /// Decimated samples to drop before that, up to the frame grid.
    to_skip: usize,
    next_frame: u64,
    spectrum: FrameSpectrum,
    power: Vec<f32>,
    /// First bin of each band, and the end of the last.
    edges: Vec<usize>,
    /// Differences of neighbouring bands of the frame before; none behind a hole.
    before: Option<[f32; BANDS - 1]>,
    gate: Option<SilenceGate>,
    found: Vec<TimedBits>,
}

impl HaitsmaStream {
    /// A stream of samples at `sample_rate` hertz. Below `silence`, in dBFS of RMS, no bits are set.
    ///
    /// # Errors
    /// [`crate::Error::InvalidInput`] for a rate outside 8..192 kHz or a gate out of range.
    pub fn new(profile: Profile, sample_rate: u32, silence: Option<f64>) -> Result<Self> {
        let grid = Grid::of(profile);
        let spectrum = FrameSpectrum::new(FRAME_LENGTH);
        let ratio = EDGES.1 / EDGES.0;
        let edge = |band: usize| EDGES.0 * libm::pow(ratio, band as f64 / BANDS as f64);
        let analysis = BitAnalysis {
            grid,
            filter: half_band(grid.half_band),
            buffer: vec![0.0; grid.half_band],
            decimated: Vec::new(),
            to_skip: 0,
            next_frame: 0,
            power: vec![0.0; spectrum.bins()],
            spectrum,
            edges: (0..=BANDS).map(|band| (edge(band) * FRAME_LENGTH as f64 / grid.sample_rate()).ceil() as usize).collect(),
            before: None,
            gate: silence.map(|level| SilenceGate::new(grid.intake_rate, level)).transpose()?,
            found: Vec::new(),
        };
        Ok(Self { intake: Intake::new(sample_rate, grid.intake_rate)?, analysis })
    }
}

impl Analysis for BitAnalysis {
    type Item = TimedBits;

    fn take(&mut self, samples: &[f32]) -> Result<()> {
        if let Some(gate) = &mut self.gate {
            gate.push(samples);
        }
        self.buffer.extend_from_slice(samples);
        self.decimate(usize::MAX);
        let mut start = 0;
        while start + FRAME_LENGTH <= self.decimated.len() {
            self.analyse(start)?;
            start += HOP_LENGTH;
        }
        self.decimated.drain(..start);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        // The samples of the sound itself that still wait for their neighbours.
        let waiting = self.buffer.len().saturating_sub(self.grid.half_band).div_ceil(2);
        self.buffer.resize(self.buffer.len() + self.grid.half_band + 1, 0.0);
        self.decimate(waiting);
        let mut start = 0;
        while start < self.decimated.len() {
            self.analyse(start)?;
            start += HOP_LENGTH;
        }
        self.decimated.clear();
        self.before = None;
        Ok(())
    }

    fn restart(&mut self, sample: u64) {
        if let Some(gate) = &mut self.gate {
            gate.restart(sample);
        }
        // The first decimated sample that is not before the hole's end, and the first frame of the grid behind it.
        let first = sample.div_ceil(2);
        self.buffer.clear();
        self.buffer.resize(self.grid.half_band - (2 * first - sample) as usize, 0.0);
        self.next_frame = first.div_ceil(HOP_LENGTH as u64).max(self.next_frame);
        self.to_skip = (self.next_frame * HOP_LENGTH as u64).saturating_sub(first) as usize;
        self.decimated.clear();
        self.before = None;
    }

    fn found(&self) -> &[TimedBits] {
        &self.found
    }

    fn clear(&mut self) {
        self.found.clear();
    }

    fn delay(&self) -> usize {
        2 * FRAME_LENGTH + self.grid.half_band
    }

    fn state_bytes(&self) -> usize {
        let floats = self.buffer.capacity() + self.decimated.capacity() + self.power.capacity();
        let gate = self.gate.as_ref().map_or(0, SilenceGate::state_bytes);
        floats * size_of::<f32>() + self.found.capacity() * size_of::<TimedBits>() + gate
    }
}

impl BitAnalysis {
    /// Filters the samples whose neighbours are all there, `most` at most.
    fn decimate(&mut self, most: usize) {
        let half_band = self.grid.half_band;
        let window = 2 * half_band + 1;
        let mut start = 0;
        let mut count = 0;
        while start + window <= self.buffer.len() && count < most {
            let samples = &self.buffer[start..start + window];
            let mut sum = 0.5 * samples[half_band];
            // Every second tap but the middle one is 0.
            for (weight, place) in self.filter.iter().zip((1..).step_by(2)) {
                sum += weight * (samples[half_band - place] + samples[half_band + place]);
            }
            if self.to_skip > 0 {
                self.to_skip -= 1;
            } else {
                self.decimated.push(sum);
            }
            start += 2;
            count += 1;
        }
        self.buffer.drain(..start);
    }

    fn analyse(&mut self, start: usize) -> Result<()> {
        self.spectrum.power(&self.decimated, start as isize, &mut self.power)?;
        let mut energies = [0.0f32; BANDS];
        for (energy, edges) in energies.iter_mut().zip(self.edges.windows(2)) {
            *energy = self.power.get(edges[0]..edges[1]).unwrap_or_default().iter().sum();
        }
        let mut differences = [0.0f32; BANDS - 1];
        for (difference, pair) in differences.iter_mut().zip(energies.windows(2)) {
            *difference = pair[0] - pair[1];
        }
        let mut sub = SubFingerprint::default();
        let centre = 2 * (self.next_frame * HOP_LENGTH as u64 + FRAME_LENGTH as u64 / 2);
        let is_silent = self.gate.as_ref().is_some_and(|gate| gate.is_silent(centre));
        if let Some(before) = self.before.filter(|_| !is_silent) {
            let mut changes = differences;
            for (change, before) in changes.iter_mut().zip(before) {
                *change -= before;
            }
            sub = SubFingerprint::of(&changes);
        }
        self.before = Some(differences);
        self.found.push(TimedBits { tick: self.next_frame, sub });
        self.next_frame += 1;
        if let Some(gate) = &mut self.gate {
            gate.forget_before(2 * self.next_frame * HOP_LENGTH as u64);
        }
        Ok(())
    }
}

impl SubFingerprint {
    /// The bits of 32 differences, and which of them are weak.
    #[must_use]
    pub fn of(changes: &[f32; BANDS - 1]) -> Self {
        let bits = changes.iter().enumerate().map(|(bit, &change)| u32::from(change > 0.0) << bit).sum();
        if bits == 0 {
            return Self::default();
        }
        let mut order: [usize; BANDS - 1] = std::array::from_fn(|bit| bit);
        order.sort_by(|&a, &b| changes[a].abs().total_cmp(&changes[b].abs()).then(a.cmp(&b)));
        let weak = order.iter().take(WEAK_BITS as usize).map(|bit| 1 << bit).sum();
        Self { bits, weak }
    }

    /// The bits with any of the weak ones flipped: 256 keys.
    pub fn probes_of_weak_errors(self) -> impl Iterator<Item = u32> {
        let Self { bits, weak } = self;
        // Every subset of a mask, after the one before: its bits counted down through the holes of the mask.
        let subsets = std::iter::successors(Some(weak), move |&subset| (subset > 0).then(|| (subset - 1) & weak));
        subsets.map(move |flipped| bits ^ flipped)
    }

    /// The bits as they are, then with each of all flipped: the 33 keys of the paper.
    pub fn probes_of_one_error(self) -> impl Iterator<Item = u32> {
        std::iter::once(self.bits).chain((0..u32::BITS).map(move |bit| self.bits ^ 1 << bit))
    }

    /// The bits as they are, then with each of the weak ones flipped, then with each two of them: 37 keys.
    pub fn probes(self) -> impl Iterator<Item = u32> {
        let weak = (0..u32::BITS).filter(move |bit| self.weak >> bit & 1 == 1);
        let pairs = weak.clone().flat_map(move |first| {
            let others = (first + 1..u32::BITS).filter(move |bit| self.weak >> bit & 1 == 1);
            std::iter::once(1 << first).chain(others.map(move |second| 1 << first | 1 << second))
        });
        std::iter::once(0).chain(pairs).map(move |flipped: u32| self.bits ^ flipped)
    }
}

#[cfg(test)]
mod tests {
    use super::{BANDS, Grid, SubFingerprint, half_band};
    use crate::fingerprint::print::Profile;

    #[test]
    fn the_half_band_filters_pass_2000_hertz_and_stop_what_falls_below_them() {
        for profile in [Profile::Default, Profile::FiveKilohertz] {
            let grid = Grid::of(profile);
            let rate = f64::from(grid.intake_rate);
            let taps = half_band(grid.half_band);
            let response = |hertz: f64| {
                let step = std::f64::consts::TAU * hertz / rate;
                let sides: f64 =
                    taps.iter().zip((1..).step_by(2)).map(|(&tap, place)| f64::from(tap) * (step * f64::from(place)).cos()).sum();
                0.5 + 2.0 * sides
            };
            for hertz in (0..=2_000).step_by(50).map(f64::from) {
                assert!((response(hertz) - 1.0).abs() < 3e-4, "{profile:?} {hertz} Hz: {}", response(hertz));
                let folded = rate / 2.0 - hertz;
                assert!(response(folded).abs() < 3e-4, "{profile:?} {folded} Hz: {}", response(folded));
            }
        }
    }

    #[test]
    fn the_grids_are_those_of_the_paper_and_of_5_kilohertz() {
        let [paper, own] = [Profile::Paper, Profile::FiveKilohertz].map(Grid::of);
        assert_eq!((paper.sample_rate(), own.sample_rate(), own.tick_seconds()), (5_512.5, 5_000.0, 0.0128));
        assert_eq!((paper.min_duration(), own.min_duration()), (0.56, 0.62));
    }

    #[test]
    fn the_256_probes_of_weak_errors_are_distinct_and_leave_the_other_bits() {
        let sub = SubFingerprint { bits: 0xDEAD_BEEF, weak: 0x8421_00F0 };
        let mut probes: Vec<u32> = sub.probes_of_weak_errors().collect();
        assert!(probes.iter().all(|probe| (probe ^ sub.bits) & !sub.weak == 0));
        probes.sort_unstable();
        probes.dedup();
        assert_eq!(probes.len(), 256);
    }

    #[test]
    fn the_33_probes_of_the_paper_are_those_one_bit_away() {
        let sub = SubFingerprint { bits: 0xDEAD_BEEF, weak: 0 };
        let probes: Vec<u32> = sub.probes_of_one_error().collect();
        assert_eq!((probes.len(), probes[0]), (33, sub.bits));
        let mut flipped: Vec<u32> = probes[1..].iter().map(|probe| probe ^ sub.bits).collect();
        flipped.sort_unstable();
        assert!(flipped.into_iter().eq((0..32).map(|bit| 1 << bit)));
    }

    #[test]
    fn the_37_probes_are_distinct_and_hold_every_flip_of_two_weak_bits() {
        let changes: [f32; BANDS - 1] = std::array::from_fn(|bit| ((bit * 7 + 3) % 32) as f32 - 15.5);
        let sub = SubFingerprint::of(&changes);
        assert_eq!(sub.weak.count_ones(), 8);
        let weakest = (0..32).filter(|&bit| changes[bit].abs() < 4.0).map(|bit| 1u32 << bit).sum::<u32>();
        assert_eq!(sub.weak, weakest);
        let mut probes: Vec<u32> = sub.probes().collect();
        assert_eq!((probes.len(), probes[0]), (37, sub.bits));
        for first in 0..32 {
            for second in 0..32 {
                let flipped = sub.bits ^ (1 << first) ^ if first == second { 0 } else { 1 << second };
                let is_weak = sub.weak >> first & 1 == 1 && sub.weak >> second & 1 == 1;
                assert_eq!(probes.contains(&flipped), is_weak, "bits {first} and {second}");
            }
        }
        probes.sort_unstable();
        probes.dedup();
        assert_eq!(probes.len(), 37);
    }
}
