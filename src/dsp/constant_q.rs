//! Constant-Q power spectrum by slices.
//!
//! J. C. Brown, "Calculation of a constant Q spectral transform", JASA 89, 1991; in the form of a non-stationary Gabor transform by slices
//! (G. A. Velasco et al., "Constructing an invertible constant-Q transform with nonstationary Gabor frames", DAFx 2011): one real transform
//! per slice, then per band a frequency window and a short inverse transform.
//!
//! * 16 kHz, 511 bands, `f_k = 110 * 2^(k/85)` Hz: six octaves, 110 to 7 040 Hz.
//! * Window of band k: `(1 + cos(2 pi (f - f_k) / W_k)) / 2` for `|f - f_k| < W_k / 2`, with `W_k = max(4 a f_k, 12 Hz)`, `a = 2^(1/85) - 1`.
//! * Slices of 16 384 samples every 8 192, of which the middle half is kept: 64 rows of 128 samples (8 ms). The two top octaves are
//!   sampled every row, the next two every second, the lowest two every fourth, the rows between interpolated linearly in power. Windows
//!   wider than an inverse transform are folded modulo its length, which samples the band exactly.
//! * Power is scaled so that a full-scale sine at `f_k` has 1 in band k.

use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

use super::kernel;
use crate::error::{Error, Result};

/// Rate of the samples, in hertz.
pub const SAMPLE_RATE: u32 = 16_000;
/// Bands per octave.
pub const BANDS_PER_OCTAVE: u32 = 85;
/// Bands.
pub const BANDS: usize = 511;
/// Frequency of the lowest band, in hertz.
pub const LOWEST: f64 = 110.0;
/// Samples from row to row.
pub const STEP: usize = 128;
/// Samples per slice.
pub const SLICE_LENGTH: usize = 16_384;
/// Samples from slice to slice.
pub const ADVANCE: usize = SLICE_LENGTH / 2;
/// Samples of a slice before its first row.
pub const MARGIN: usize = SLICE_LENGTH / 4;
/// Rows per slice.
pub const ROWS: usize = ADVANCE / STEP;

/// Narrowest window, in hertz.
const NARROWEST: f64 = 12.0;
/// First band and length of the inverse transform, from the lowest bands up.
const GROUPS: [(usize, usize); 3] = [(0, 32), (170, 64), (340, 128)];
/// Bands whose powers are written at once: values of a row side by side, where one band at a time would touch every row for each.
const BLOCK: usize = 4;
/// `(2 / SLICE_LENGTH)^2`, a power of two.
const POWER_SCALE: f32 = 4.0 / (SLICE_LENGTH as f32 * SLICE_LENGTH as f32);

/// Frequency of a band, in hertz.
#[must_use]
pub fn frequency(band: f64) -> f64 {
    LOWEST * libm::exp2(band / f64::from(BANDS_PER_OCTAVE))
}

/// Band of a frequency in hertz, the inverse of [`frequency`].
#[must_use]
pub fn band(frequency: f64) -> f64 {
    f64::from(BANDS_PER_OCTAVE) * libm::log2(frequency / LOWEST)
}

/// The transform with its tables, 115 kB of windows.
pub struct ConstantQ {
    forward: Arc<dyn RealToComplex<f32>>,
    groups: Vec<Group>,
    /// The windows of all bands one behind the other.
    weights: Vec<f32>,
    slice: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    folded: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

/// Bands with one length of the inverse transform.
struct Group {
    first_band: usize,
    length: usize,
    inverse: Arc<dyn Fft<f32>>,
    windows: Vec<Window>,
}

struct Window {
    first_bin: usize,
    weights: Range<usize>,
}

impl Default for ConstantQ {
    fn default() -> Self {
        Self::new()
    }
}

impl ConstantQ {
    /// Plans the transforms.
    #[must_use]
    pub fn new() -> Self {
        let mut weights = Vec::new();
        let forward = RealFftPlanner::new().plan_fft_forward(SLICE_LENGTH);
        let mut planner = FftPlanner::new();
        let ends = GROUPS[1..].iter().map(|&(first_band, _)| first_band).chain([BANDS]);
        let groups: Vec<Group> = GROUPS
            .into_iter()
            .zip(ends)
            .map(|((first_band, length), end)| Group {
                first_band,
                length,
                inverse: planner.plan_fft_inverse(length),
                windows: (first_band..end).map(|band| Window::new(band, &mut weights)).collect(),
            })
            .collect();
        let folded = groups.iter().map(|group| group.windows.len() * group.length).max().unwrap_or(0);
        let scratch = groups.iter().map(|group| group.inverse.get_inplace_scratch_len()).chain([forward.get_scratch_len()]).max();
        Self {
            weights,
            slice: vec![0.0; SLICE_LENGTH],
            spectrum: vec![Complex::default(); SLICE_LENGTH / 2 + 1],
            folded: vec![Complex::default(); folded],
            scratch: vec![Complex::default(); scratch.unwrap_or(0)],
            forward,
            groups,
        }
    }

    /// Power of a slice, `SLICE_LENGTH` samples, into `rows`, `[ROWS][BANDS]`. Row r is centred on sample `MARGIN + r * STEP`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if a length is another one.
    pub fn power(&mut self, samples: &[f32], rows: &mut [f32]) -> Result<()> {
        if samples.len() != SLICE_LENGTH || rows.len() != ROWS * BANDS {
            return Err(Error::invalid(format!(
                "a slice has {SLICE_LENGTH} samples and {} powers, got {} and {}",
                ROWS * BANDS,
                samples.len(),
                rows.len()
            )));
        }
        self.slice.copy_from_slice(samples);
        self.forward
            .process_with_scratch(&mut self.slice, &mut self.spectrum, &mut self.scratch)
            .map_err(|error| Error::internal(format!("transform of {SLICE_LENGTH} samples: {error}")))?;
        for group in &self.groups {
            let folded = &mut self.folded[..group.windows.len() * group.length];
            folded.fill(Complex::default());
            for (window, folded) in group.windows.iter().zip(folded.chunks_exact_mut(group.length)) {
                window.fold(&self.spectrum, &self.weights, folded);
            }
            group.inverse.process_with_scratch(folded, &mut self.scratch);
            group.write(folded, rows);
        }
        Ok(())
    }
}

impl Window {
    /// The window of a band; appends its values at the bins to `weights`.
    fn new(band: usize, weights: &mut Vec<f32>) -> Self {
        let bin_hertz = f64::from(SAMPLE_RATE) / SLICE_LENGTH as f64;
        let centre = frequency(band as f64);
        let a = libm::exp2(1.0 / f64::from(BANDS_PER_OCTAVE)) - 1.0;
        let width = (4.0 * a * centre).max(NARROWEST);
        let first_bin = ((centre - width / 2.0) / bin_hertz).ceil() as usize;
        let last_bin = ((centre + width / 2.0) / bin_hertz).floor() as usize;
        let start = weights.len();
        weights.extend((first_bin..=last_bin).map(|bin| {
            let distance = bin as f64 * bin_hertz - centre;
            (0.5 + 0.5 * libm::cos(TAU * distance / width)) as f32
        }));
        Self { first_bin, weights: start..weights.len() }
    }

    /// Adds the windowed bins to `folded`, modulo its length.
    fn fold(&self, spectrum: &[Complex<f32>], weights: &[f32], folded: &mut [Complex<f32>]) {
        let weights = &weights[self.weights.clone()];
        let bins = &spectrum[self.first_bin..self.first_bin + weights.len()];
        let (mut done, mut place) = (0, self.first_bin % folded.len());
        while done < bins.len() {
            let count = (folded.len() - place).min(bins.len() - done);
            kernel::add_weighted(&mut folded[place..place + count], &bins[done..], &weights[done..]);
            done += count;
            place = 0;
        }
    }
}

impl Group {
    /// Writes the powers of the middle half of each band's samples to its column of `rows`.
    fn write(&self, samples: &[Complex<f32>], rows: &mut [f32]) {
        let mut columns = [[0.0; ROWS]; BLOCK];
        let mut band = self.first_band;
        for block in samples.chunks(BLOCK * self.length) {
            for (column, samples) in columns.iter_mut().zip(block.chunks_exact(self.length)) {
                self.powers(samples, column);
            }
            if block.len() == BLOCK * self.length {
                place(&columns, band, rows);
                band += BLOCK;
            } else {
                for column in &columns[..block.len() / self.length] {
                    place(&[*column], band, rows);
                    band += 1;
                }
            }
        }
    }

    /// The powers of the middle half of a band's samples, a row each or interpolated to one.
    fn powers(&self, samples: &[Complex<f32>], column: &mut [f32; ROWS]) {
        let rows_per_sample = SLICE_LENGTH / self.length / STEP;
        let middle = &samples[self.length / 4..=3 * self.length / 4];
        if rows_per_sample == 1 {
            kernel::power(middle, column);
            kernel::scale(column, POWER_SCALE);
            return;
        }
        let share = 1.0 / rows_per_sample as f32;
        let mut powers = [0.0; ROWS];
        kernel::power(middle, &mut powers);
        kernel::scale(&mut powers[..middle.len()], POWER_SCALE);
        for (pair, rows) in powers.windows(2).zip(column.chunks_exact_mut(rows_per_sample)) {
            let (here, next) = (pair[0], pair[1]);
            for (part, row) in rows.iter_mut().enumerate() {
                *row = here + (next - here) * (part as f32 * share);
            }
        }
    }
}

/// Writes columns side by side from column `band` of `rows` on.
fn place<const COUNT: usize>(columns: &[[f32; ROWS]; COUNT], band: usize, rows: &mut [f32]) {
    for (number, row) in rows.chunks_exact_mut(BANDS).enumerate() {
        let Some(row) = row.get_mut(band..band + COUNT) else { return };
        for (value, column) in row.iter_mut().zip(columns) {
            *value = column[number];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ADVANCE, BANDS, ConstantQ, MARGIN, ROWS, SAMPLE_RATE, SLICE_LENGTH, STEP, frequency};

    fn power(samples: &[f32]) -> Vec<f32> {
        let mut rows = vec![0.0; ROWS * BANDS];
        ConstantQ::new().power(samples, &mut rows).unwrap();
        rows
    }

    #[test]
    fn sines_peak_in_their_band_with_power_one() {
        let mut transform = ConstantQ::new();
        let mut rows = vec![0.0; ROWS * BANDS];
        for number in 0..50 {
            // A low-discrepancy walk over the bands, 0.4 of a band off their centres at most.
            let band = 4.0 + 502.0 * (f64::from(number) * 0.618_034).fract();
            let band = band.round() + 0.8 * (f64::from(number) * 0.754_878).fract() - 0.4;
            let step = std::f64::consts::TAU * frequency(band) / f64::from(SAMPLE_RATE);
            let samples: Vec<f32> = (0..SLICE_LENGTH).map(|n| (step * n as f64 + f64::from(number)).sin() as f32).collect();
            transform.power(&samples, &mut rows).unwrap();
            let row = &rows[20 * BANDS..21 * BANDS];
            let peak = (0..BANDS).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
            assert!((peak as f64 - band).abs() <= 1.0, "band {band}: peak at {peak}");
            let level = 10.0 * row[peak].log10();
            assert!(level.abs() < 1.0, "band {band}: {level} dB");
        }
    }

    #[test]
    fn a_click_lies_in_its_row_above_1760_hertz() {
        for row in [3, 20, 41, 60] {
            let mut samples = vec![0.0; SLICE_LENGTH];
            samples[MARGIN + row * STEP] = 1.0;
            let rows = power(&samples);
            for band in 340..BANDS {
                let loudest = (0..ROWS).max_by(|&a, &b| rows[a * BANDS + band].total_cmp(&rows[b * BANDS + band])).unwrap();
                assert!(loudest.abs_diff(row) <= 1, "band {band}: row {loudest} instead of {row}");
            }
        }
    }

    #[test]
    fn a_delay_by_an_advance_gives_the_same_rows_a_slice_later() {
        // Two seconds of a sequence without period in them.
        let sound: Vec<f32> =
            (0..2 * SLICE_LENGTH as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect();
        let delayed: Vec<f32> = std::iter::repeat_n(0.0, ADVANCE).chain(sound.iter().copied()).collect();
        assert_eq!(power(&sound[..SLICE_LENGTH]), power(&delayed[ADVANCE..ADVANCE + SLICE_LENGTH]));
    }

    #[test]
    fn other_lengths_are_refused() {
        let mut transform = ConstantQ::new();
        assert!(transform.power(&[0.0; SLICE_LENGTH - 1], &mut vec![0.0; ROWS * BANDS]).is_err());
        assert!(transform.power(&[0.0; SLICE_LENGTH], &mut [0.0; BANDS]).is_err());
    }
}
