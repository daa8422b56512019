//! What is done to samples before and after the network: gain, filters at the low end, silence.
//!
//! The filters run inside one chunk and keep no state, so any worker gives the same bits.

use std::f64::consts::{PI, SQRT_2};

/// Below this standard deviation a file is silent, and nothing is inferred.
pub const SILENT_FILE: f32 = 1e-7;
/// A chunk whose RMS is under this part of the file's standard deviation (-60 dB) is silent.
pub const SILENT_CHUNK: f32 = 1e-3;
/// Vocals are moved to the residual below this frequency, in Hz.
pub const VOCALS_HIGH_PASS: f64 = 30.0;
/// Bass is mono below this frequency, in Hz.
pub const BASS_MONO: f64 = 120.0;

/// Level that normalisation brings a stem's peak to: -1 dBFS.
pub const NORMALIZED_PEAK: f32 = 0.891;
/// Largest factor of normalisation: 24 dB.
pub const LARGEST_GAIN: f32 = 15.848_932;
/// A stem with a peak under this (-60 dBFS) is left alone.
pub const SMALLEST_PEAK: f32 = 1e-3;

/// The factor that brings a stem of this peak to [`NORMALIZED_PEAK`], as far as normalisation goes.
#[must_use]
pub fn peak_gain(peak: f32) -> f32 {
    if peak < SMALLEST_PEAK { 1.0 } else { (NORMALIZED_PEAK / peak).min(LARGEST_GAIN) }
}

/// The largest magnitude.
#[must_use]
pub fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Samples whose moments are taken together.
const MOMENT_BLOCK: usize = 4_096;

/// The population's standard deviation over all samples of all channels, in one pass.
///
/// Not that of the mono sum: a file with channels in antiphase is not silence. Each block's mean and sum of squared deviations are taken
/// in two passes and joined to those before it by the formula of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm
/// for computing sample variances", 1979), so that a large mean costs no precision. Blocks lie on the channel's own grid and sums run in
/// f64 and in order: the result does not depend on how the sound was cut, and scaling the input by a power of two scales it to the bit.
#[derive(Debug, Clone, Default)]
pub struct StandardDeviation {
    moments: Moments,
    block: Vec<f32>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    /// Sum of the squared deviations from the mean.
    squares: f64,
}

impl Moments {
    fn of(samples: &[f32]) -> Self {
        let count = samples.len() as f64;
        let mean = samples.iter().fold(0.0, |sum, sample| sum + f64::from(*sample)) / count.max(1.0);
        let squares = samples.iter().fold(0.0, |sum, sample| sum + (f64::from(*sample) - mean).powi(2));
        Self { count, mean, squares }
    }

    fn join(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let step = other.mean - self.mean;
        let share = other.count / count;
        Self { count, mean: self.mean + step * share, squares: self.squares + other.squares + step * step * self.count * share }
    }
}

impl StandardDeviation {
    /// Takes the next samples of the channel.
    pub fn add(&mut self, samples: &[f32]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(MOMENT_BLOCK - self.block.len()));
            self.block.extend_from_slice(now);
            if self.block.len() == MOMENT_BLOCK {
                self.moments = self.moments.join(Moments::of(&self.block));
                self.block.clear();
            }
            rest = later;
        }
    }

    /// The deviation over all `channels`, 0 for no samples.
    #[must_use]
    pub fn over(channels: &[Self]) -> f32 {
        let whole = channels.iter().map(|channel| channel.moments.join(Moments::of(&channel.block)));
        let Moments { count, squares, .. } = whole.fold(Moments::default(), Moments::join);
        (squares / count.max(1.0)).sqrt() as f32
    }
}

/// Whether channels are so quiet that nothing is inferred from them: RMS under [`SILENT_CHUNK`] of the file's standard deviation.
#[must_use]
pub fn is_silent(channels: [&[f32]; 2], deviation: f32) -> bool {
    if deviation < SILENT_FILE {
        return true;
    }
    let squares: f64 = channels.iter().flat_map(|channel| channel.iter()).map(|sample| f64::from(*sample).powi(2)).sum();
    let count: usize = channels.iter().map(|channel| channel.len()).sum();
    let threshold = f64::from(deviation) * f64::from(SILENT_CHUNK);
    squares < threshold * threshold * count as f64
}

/// The part of `samples` below `frequency` hertz: a Butterworth low-pass of second order, run forward and backward in f64. Zero phase,
/// gain `f^4 / (f^4 + v^4)` at frequency v: -6 dB at f, -25 dB at 2 f.
///
/// The filter comes from the analogue prototype by the bilinear transform with its corner prewarped (A. V. Oppenheim and
/// R. W. Schafer, "Discrete-Time Signal Processing", 7.2.2).
#[must_use]
pub fn low_part(samples: &[f32], frequency: f64, sample_rate: u32) -> Vec<f64> {
    let corner = (PI * frequency / f64::from(sample_rate)).tan();
    let scale = 1.0 / (1.0 + SQRT_2 * corner + corner * corner);
    let gain = corner * corner * scale;
    let (a1, a2) = (2.0 * (corner * corner - 1.0) * scale, (1.0 - SQRT_2 * corner + corner * corner) * scale);
    let mut low: Vec<f64> = samples.iter().map(|sample| f64::from(*sample)).collect();
    let run = |order: &mut dyn Iterator<Item = &mut f64>| {
        let (mut first, mut second) = (0.0, 0.0);
        for value in order {
            let input = *value;
            let output = gain * input + first;
            first = 2.0 * gain * input - a1 * output + second;
            second = gain * input - a2 * output;
            *value = output;
        }
    };
    run(&mut low.iter_mut());
    run(&mut low.iter_mut().rev());
    low
}

/// Takes what lies below 30 Hz out of a vocal stem's channel.
pub fn high_pass_vocals(channel: &mut [f32], sample_rate: u32) {
    let low = low_part(channel, VOCALS_HIGH_PASS, sample_rate);
    for (sample, low) in channel.iter_mut().zip(low) {
        *sample = (f64::from(*sample) - low) as f32;
    }
}

/// Makes a bass stem mono below 120 Hz.
pub fn narrow_bass(left: &mut [f32], right: &mut [f32], sample_rate: u32) {
    let side: Vec<f32> = left.iter().zip(right.iter()).map(|(left, right)| (left - right) / 2.0).collect();
    let low = low_part(&side, BASS_MONO, sample_rate);
    for ((left, right), low) in left.iter_mut().zip(right).zip(low) {
        *left = (f64::from(*left) - low) as f32;
        *right = (f64::from(*right) + low) as f32;
    }
}
