//! Signals made from seeds: shared by the tests of all rooms.
#![allow(dead_code)] // each test file uses some of them

use std::f64::consts::TAU;

/// A seeded generator of uniform numbers: SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(u64);

impl Random {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0..`end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.uniform() * end as f64) as usize
    }
}

/// A sine of `amplitude` at `frequency` hertz, phase in radians at frame 0.
pub fn sine(frequency: f64, amplitude: f64, phase: f64, sample_rate: u32, frames: usize) -> Vec<f32> {
    let step = TAU * frequency / f64::from(sample_rate);
    (0..frames).map(|frame| (amplitude * (step * frame as f64 + phase).sin()) as f32).collect()
}

/// White noise, uniform in -`amplitude`..`amplitude`.
pub fn noise(seed: u64, amplitude: f64, frames: usize) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..frames).map(|_| (amplitude * (2.0 * random.uniform() - 1.0)) as f32).collect()
}

/// Decaying 1 kHz clicks of 10 ms, the first at `first` seconds, then every `period` seconds.
pub fn clicks(first: f64, period: f64, amplitude: f64, sample_rate: u32, frames: usize) -> Vec<f32> {
    let rate = f64::from(sample_rate);
    let mut samples = vec![0.0; frames];
    for beat in 0.. {
        let start = ((first + period * f64::from(beat)) * rate).round() as usize;
        if start >= frames {
            return samples;
        }
        for (index, sample) in samples.iter_mut().skip(start).take((0.01 * rate) as usize).enumerate() {
            let time = index as f64 / rate;
            *sample += (amplitude * (-time / 0.002).exp() * (TAU * 1_000.0 * time).sin()) as f32;
        }
    }
    samples
}

/// Equal sines at `frequencies` hertz with random phases, together at most `amplitude`.
pub fn chord(seed: u64, frequencies: &[f64], amplitude: f64, sample_rate: u32, frames: usize) -> Vec<f32> {
    let mut random = Random::new(seed);
    let mut samples = vec![0.0_f32; frames];
    for &frequency in frequencies {
        let voice = sine(frequency, amplitude / frequencies.len() as f64, TAU * random.uniform(), sample_rate, frames);
        samples.iter_mut().zip(voice).for_each(|(sum, sample)| *sum += sample);
    }
    samples
}

/// Chords of four random notes, a new one every half second, with a decay: music enough for spectral methods.
pub fn melody(seed: u64, amplitude: f64, sample_rate: u32, frames: usize) -> Vec<f32> {
    let mut random = Random::new(seed);
    let mut samples = Vec::with_capacity(frames);
    while samples.len() < frames {
        let notes: Vec<f64> = (0..4).map(|_| 110.0 * 2_f64.powf(random.below(48) as f64 / 12.0)).collect();
        let length = (sample_rate as usize / 2).min(frames - samples.len());
        let chord = chord(random.bits(), &notes, amplitude, sample_rate, length);
        samples.extend(chord.iter().enumerate().map(|(frame, sample)| sample * (-3.0 * frame as f32 / sample_rate as f32).exp()));
    }
    samples
}

/// Level of `measured - expected` against `expected`, in dB: minus infinity for equal signals.
pub fn error_db(measured: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(measured.len(), expected.len());
    let power = |samples: &mut dyn Iterator<Item = f64>| samples.map(|x| x * x).sum::<f64>();
    let error = power(&mut measured.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    10.0 * (error / power(&mut expected.iter().map(|x| f64::from(*x)))).log10()
}
