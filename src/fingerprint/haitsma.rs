//! Sub-fingerprints: 32 bits every 11.6 ms, signs of differences of band energies in frequency and time.
//!
//! J. Haitsma and T. Kalker, "A highly robust audio fingerprinting system", ISMIR 2002. 5 512.5 Hz, frames of 2 048 samples (371.5 ms)
//! every 64 (11.61 ms, one tick), 33 bands of equal ratio from 300 to 2 000 Hz. Bit b of frame n is set if
//! `[E(n,b) - E(n,b+1)] - [E(n-1,b) - E(n-1,b+1)] > 0`. Frame 0, frames that are silent and the first behind a hole have no bit set.

use super::extraction::{Extraction, Recipe};
use super::intake::Intake;
use super::print::{Algorithm, Print, Profile, Reference, Scheme};
use super::{Extract, ExtractStream, Mix};
use crate::audio::Audio;
use crate::dsp::activity::SilenceGate;
use crate::dsp::stft::FrameSpectrum;
use crate::error::Result;

/// Rate before decimation by two, in hertz.
const INTAKE_RATE: u32 = 11_025;
/// Rate of the frames, in hertz.
pub const SAMPLE_RATE: f64 = INTAKE_RATE as f64 / 2.0;
/// Samples per frame.
pub const FRAME_LENGTH: usize = 2_048;
/// Samples from frame to frame.
pub const HOP_LENGTH: usize = 64;
/// Seconds of a tick, from frame to frame.
pub const TICK_SECONDS: f64 = HOP_LENGTH as f64 / SAMPLE_RATE;
/// Shortest sound: 16 sub-fingerprints, in seconds.
pub const MIN_DURATION: f64 = 0.56;
/// Bands.
pub const BANDS: usize = 33;
/// Edges of the lowest and the highest band, in hertz.
pub const EDGES: (f64, f64) = (300.0, 2_000.0);
/// Bits that a query takes to be doubtful.
pub const WEAK_BITS: u32 = 8;
/// Bytes of a stored sub-fingerprint.
pub const ROW_BYTES: usize = 4;
/// Frames from one stored key to the next.
const TABLE_STEP: usize = 2;
/// Taps of the half-band filter on either side of its middle: pass band to 2 000 Hz, aliases into it 80 dB down.
const HALF_BAND: usize = 19;
/// Shape of the filter's Kaiser window for 80 dB (J. F. Kaiser 1974).
const KAISER_BETA: f64 = 7.857;

/// What must agree for two prints to mix: rate, frames, bands and what is stored.
pub(super) const PARAMETERS: [u32; 7] =
    [INTAKE_RATE, FRAME_LENGTH as u32, HOP_LENGTH as u32, BANDS as u32, EDGES.0 as u32, EDGES.1 as u32, TABLE_STEP as u32];

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
    mix: Mix,
    silence: Option<f64>,
}

impl Haitsma {
    /// An extractor with one layer per channel that `mix` makes.
    #[must_use]
    pub fn new(mix: Mix) -> Self {
        Self { mix, silence: None }
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
        MIN_DURATION
    }

    fn extract(&self, audio: &Audio) -> Result<Print> {
        let scheme = Scheme::new(Algorithm::Haitsma, Profile::Default)?;
        Extraction::whole(Recipe { scheme, mix: self.mix, silence: self.silence }, audio)
    }

    fn stream(&self, sample_rate: u32) -> Result<HaitsmaStream> {
        HaitsmaStream::new(sample_rate, self.silence)
    }
}

/// What a catalogue stores of a layer under keys: every second frame that says something and does not repeat the one before.
#[must_use]
pub fn references(frames: &[SubFingerprint]) -> Vec<Reference> {
    let mut before = 0;
    let mut references = Vec::with_capacity(frames.len() / TABLE_STEP);
    for (frame, tick) in frames.iter().zip(0u32..) {
        if (tick as usize).is_multiple_of(TABLE_STEP) && frame.bits != 0 && frame.bits != before {
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
pub struct HaitsmaStream {
    intake: Intake,
    analysis: Analysis,
}

struct Analysis {
    filter: [f32; HALF_BAND / 2 + 1],
    /// Samples at the intake's rate from `HALF_BAND` before the next decimated one.
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
    pub fn new(sample_rate: u32, silence: Option<f64>) -> Result<Self> {
        let spectrum = FrameSpectrum::new(FRAME_LENGTH);
        let ratio = EDGES.1 / EDGES.0;
        let edge = |band: usize| EDGES.0 * libm::pow(ratio, band as f64 / BANDS as f64);
        let analysis = Analysis {
            filter: half_band(),
            buffer: vec![0.0; HALF_BAND],
            decimated: Vec::new(),
            to_skip: 0,
            next_frame: 0,
            power: vec![0.0; spectrum.bins()],
            spectrum,
            edges: (0..=BANDS).map(|band| (edge(band) * FRAME_LENGTH as f64 / SAMPLE_RATE).ceil() as usize).collect(),
            before: None,
            gate: silence.map(|level| SilenceGate::new(INTAKE_RATE, level)).transpose()?,
            found: Vec::new(),
        };
        Ok(Self { intake: Intake::new(sample_rate, INTAKE_RATE)?, analysis })
    }
}

impl ExtractStream for HaitsmaStream {
    type Item = TimedBits;

    fn push(&mut self, samples: &[f32]) -> Result<&[TimedBits]> {
        let analysis = &mut self.analysis;
        analysis.found.clear();
        self.intake.push(samples, |samples| analysis.take(samples))?;
        Ok(&self.analysis.found)
    }

    fn flush(&mut self) -> Result<&[TimedBits]> {
        let analysis = &mut self.analysis;
        analysis.found.clear();
        self.intake.end(|samples| analysis.take(samples))?;
        self.analysis.finish()?;
        Ok(&self.analysis.found)
    }

    fn gap(&mut self, frames: u64) -> Result<&[TimedBits]> {
        self.flush()?;
        self.analysis.restart(self.intake.skip(frames));
        Ok(&self.analysis.found)
    }

    fn latency(&self) -> u64 {
        self.intake.latency(2 * FRAME_LENGTH + HALF_BAND)
    }

    fn state_bytes(&self) -> usize {
        let analysis = &self.analysis;
        let floats = analysis.buffer.capacity() + analysis.decimated.capacity() + analysis.power.capacity();
        let gate = analysis.gate.as_ref().map_or(0, SilenceGate::state_bytes);
        self.intake.state_bytes() + floats * size_of::<f32>() + analysis.found.capacity() * size_of::<TimedBits>() + gate
    }

    fn replaced(&self) -> u64 {
        self.intake.replaced()
    }
}

impl Analysis {
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

    /// Filters the samples whose neighbours are all there, `most` at most.
    fn decimate(&mut self, most: usize) {
        let window = 2 * HALF_BAND + 1;
        let mut start = 0;
        let mut count = 0;
        while start + window <= self.buffer.len() && count < most {
            let samples = &self.buffer[start..start + window];
            let mut sum = 0.5 * samples[HALF_BAND];
            // Every second tap but the middle one is 0.
            for (weight, place) in self.filter.iter().zip((1..).step_by(2)) {
                sum += weight * (samples[HALF_BAND - place] + samples[HALF_BAND + place]);
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

    fn finish(&mut self) -> Result<()> {
        // The samples of the sound itself that still wait for their neighbours.
        let waiting = self.buffer.len().saturating_sub(HALF_BAND).div_ceil(2);
        self.buffer.resize(self.buffer.len() + HALF_BAND + 1, 0.0);
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
        self.buffer.resize(HALF_BAND - (2 * first - sample) as usize, 0.0);
        self.next_frame = first.div_ceil(HOP_LENGTH as u64).max(self.next_frame);
        self.to_skip = (self.next_frame * HOP_LENGTH as u64).saturating_sub(first) as usize;
        self.decimated.clear();
        self.before = None;
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

/// Taps 1, 3, 5 ... of a low-pass filter at a quarter of the rate, a sinc under a Kaiser window; tap 0 is 1/2, the even ones are 0.
fn half_band() -> [f32; HALF_BAND / 2 + 1] {
    let bessel = |x: f64| {
        let (mut term, mut sum, mut index) = (1.0, 1.0, 1.0);
        while term > 1e-17 * sum {
            term *= (x / (2.0 * index)) * (x / (2.0 * index));
            sum += term;
            index += 1.0;
        }
        sum
    };
    let mut taps = [0.0f64; HALF_BAND / 2 + 1];
    for (tap, place) in taps.iter_mut().zip((1..).step_by(2)) {
        let place = f64::from(place);
        let share = place / (HALF_BAND + 1) as f64;
        let window = bessel(KAISER_BETA * libm::sqrt(1.0 - share * share)) / bessel(KAISER_BETA);
        *tap = libm::sin(std::f64::consts::FRAC_PI_2 * place) / (std::f64::consts::PI * place) * window;
    }
    // Unity at 0 Hz: both sides together have the other half.
    let sum: f64 = 4.0 * taps.iter().sum::<f64>();
    taps.map(|tap| (tap / sum) as f32)
}

#[cfg(test)]
mod tests {
    use super::{BANDS, HALF_BAND, SubFingerprint, half_band};

    #[test]
    fn the_half_band_filter_passes_2000_hertz_and_stops_what_falls_below_them() {
        let taps = half_band();
        let response = |hertz: f64| {
            let step = std::f64::consts::TAU * hertz / 11_025.0;
            let sides: f64 =
                taps.iter().zip((1..=HALF_BAND).step_by(2)).map(|(&tap, place)| f64::from(tap) * (step * place as f64).cos()).sum();
            0.5 + 2.0 * sides
        };
        for hertz in (0..=2_000).step_by(50) {
            assert!((response(f64::from(hertz)) - 1.0).abs() < 3e-4, "{hertz} Hz: {}", response(f64::from(hertz)));
        }
        for hertz in (3_513..=5_512).step_by(50) {
            assert!(response(f64::from(hertz)).abs() < 3e-4, "{hertz} Hz: {}", response(f64::from(hertz)));
        }
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
