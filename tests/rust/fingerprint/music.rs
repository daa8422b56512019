//! Music from a seed: three voices of decaying harmonics, a bass, a beat and a room, detuned and at a tempo of its own.

use std::f64::consts::TAU;

/// A generator of numbers in 0..1 (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() * count as f64) as usize % count
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.next().max(1e-300).ln()).sqrt() * (TAU * self.next()).cos()
    }
}

/// Harmonics of a note.
const HARMONICS: usize = 8;

const SCALES: [[u8; 7]; 3] = [[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10], [0, 2, 3, 5, 7, 9, 10]];

/// `seconds` of music at `rate` hertz. Detuned by up to 50 cents and varied in tempo, so that no two seeds share a grid.
pub fn music(seed: u64, seconds: f64, rate: u32) -> Vec<f32> {
    rendition(seed, 0.0..seconds, rate, 1.0, 1.0)
}

/// The part `score` (in seconds) of the score of [`music`], played at `tempo` times its tempo and `pitch` times its pitch: no artefacts.
pub fn rendition(seed: u64, score: std::ops::Range<f64>, rate: u32, tempo: f64, pitch: f64) -> Vec<f32> {
    let seed = seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ 0xA5A5;
    let mut random = Random::new(seed);
    let rate = f64::from(rate);
    let seconds = score.end;
    // The room sounds on for 0.3 s from before.
    let before = (0.3 * rate) as usize;
    let first = (score.start / tempo * rate).round() as usize;
    let origin = first.saturating_sub(before);
    let end = ((score.end / tempo * rate) as usize).max(first);
    let length = end - origin;
    let mut sound = Excerpt { rate, origin, samples: vec![0.0f64; length] };
    let beat = 60.0 / ((80.0 + 60.0 * random.next()) * (0.92 + 0.16 * random.next()));
    let tuning = pitch * 440.0 * 2f64.powf((random.next() - 0.5) / 12.0);
    let scale = SCALES[random.below(SCALES.len())];
    let root = random.below(12) as f64;
    for voice in 0..4 {
        // Chance of its own for each voice, so that its notes do not depend on where another one's end.
        let mut random = Random::new(seed ^ ((voice as u64 + 1) << 40));
        let harmonics: [f64; HARMONICS] = std::array::from_fn(|h| random.next() / ((h + 1) as f64).powf(0.6 + random.next()));
        let low = [33.0, 45.0, 57.0, 64.0][voice] + root;
        let mut degree = random.below(7) as i64;
        let mut time = 0.0;
        while time < seconds {
            let notes = beat * [0.5, 1.0, 1.0, 2.0, 0.25][random.below(5)] * if voice == 0 { 2.0 } else { 1.0 };
            degree = (degree + random.below(5) as i64 - 2).clamp(-3, 10);
            if random.next() < 0.85 {
                let octave = degree.div_euclid(7) as f64 * 12.0;
                let pitch = low + octave + f64::from(scale[degree.rem_euclid(7) as usize]);
                let frequency = tuning * 2f64.powf((pitch - 69.0) / 12.0);
                let level = 0.04 + 0.08 * random.next();
                sound.note(time / tempo, notes / tempo, frequency, level, &harmonics);
            }
            time += notes;
        }
    }
    let mut time = 0.0;
    let mut count = 0;
    while time < seconds {
        sound.drum(time / tempo, count % 2 == 1, &mut random);
        time += beat * 0.5;
        count += 1;
    }
    // A room: four decaying echoes.
    for (delay, gain) in [(0.029, 0.35), (0.053, 0.28), (0.083, 0.2), (0.131, 0.14)] {
        let frames = (delay * rate) as usize;
        for index in frames..length {
            sound.samples[index] += gain * 0.5 * sound.samples[index - frames];
        }
    }
    sound.samples[first - origin..].iter().map(|&value| (value * 0.5) as f32).collect()
}

/// Samples from number `origin` on.
struct Excerpt {
    rate: f64,
    origin: usize,
    samples: Vec<f64>,
}

impl Excerpt {
    /// The samples `start..end` that are in it, with their numbers counted from `start`.
    fn between(&mut self, start: usize, end: usize) -> impl Iterator<Item = (usize, &mut f64)> {
        let origin = self.origin;
        let from = start.max(origin) - origin;
        let to = end.max(origin) - origin;
        self.samples.iter_mut().enumerate().take(to).skip(from).map(move |(index, sample)| (index + origin - start, sample))
    }

    fn note(&mut self, time: f64, seconds: f64, frequency: f64, level: f64, harmonics: &[f64; HARMONICS]) {
        let rate = self.rate;
        let (start, end) = ((time * rate) as usize, ((time + seconds * 1.2) * rate) as usize);
        let first = self.origin.saturating_sub(start) as f64;
        let attack = 1.0 / (0.008 * rate);
        // Sine and decay by recurrence, the harmonics beside each other: generation is most of an evaluation's time.
        let mut gain = [0.0; HARMONICS];
        let (mut sin, mut cos, mut turn_sin, mut turn_cos, mut fall) = (gain, gain, gain, gain, gain);
        for (order, strength) in harmonics.iter().enumerate() {
            let frequency = frequency * (order + 1) as f64;
            if frequency > 0.45 * rate {
                break;
            }
            let decay = (2.0 + order as f64) / (seconds * rate);
            (turn_sin[order], turn_cos[order]) = (TAU * frequency / rate).sin_cos();
            (sin[order], cos[order]) = (TAU * frequency / rate * first).sin_cos();
            fall[order] = (-decay).exp();
            gain[order] = level * strength * (-decay * first).exp();
        }
        for (index, value) in self.between(start, end) {
            let rise = (index as f64 * attack).min(1.0);
            for order in 0..HARMONICS {
                *value += gain[order] * rise * sin[order];
            }
            for order in 0..HARMONICS {
                let turned = sin[order] * turn_cos[order] + cos[order] * turn_sin[order];
                cos[order] = cos[order] * turn_cos[order] - sin[order] * turn_sin[order];
                sin[order] = turned;
                gain[order] *= fall[order];
            }
        }
    }

    fn drum(&mut self, time: f64, is_snare: bool, random: &mut Random) {
        let rate = self.rate;
        let start = (time * rate) as usize;
        for (index, value) in self.between(start, start + (0.12 * rate) as usize) {
            let since = index as f64 / rate;
            *value += if is_snare {
                0.08 * (-since / 0.03).exp() * random.normal()
            } else {
                0.3 * (-since / 0.04).exp() * (TAU * (50.0 + 60.0 * (-since / 0.02).exp()) * since).sin()
            };
        }
    }
}

/// `sound` with white noise `snr` decibels below its own power.
pub fn with_white_noise(sound: &[f32], snr: f64, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    let power = sound.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / sound.len() as f64;
    let gain = (power / 10f64.powf(snr / 10.0)).sqrt();
    sound.iter().map(|&value| (f64::from(value) + gain * random.normal()) as f32).collect()
}

/// `sound` with pink noise (P. Kellet's filter of white noise) `snr` decibels below its own power.
pub fn with_pink_noise(sound: &[f32], snr: f64, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    let mut state = [0.0f64; 3];
    let noise: Vec<f64> = sound
        .iter()
        .map(|_| {
            let white = random.normal();
            state[0] = 0.997_65 * state[0] + white * 0.099_046;
            state[1] = 0.963 * state[1] + white * 0.296_516_4;
            state[2] = 0.57 * state[2] + white * 1.052_691_3;
            state[0] + state[1] + state[2] + white * 0.1848
        })
        .collect();
    let power = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let own = power(&mut sound.iter().map(|&value| f64::from(value)));
    let gain = (own / power(&mut noise.iter().copied()) / 10f64.powf(snr / 10.0)).sqrt();
    sound.iter().zip(&noise).map(|(&value, &noise)| (f64::from(value) + gain * noise) as f32).collect()
}
