//! Spectral peaks: the local maxima of a power spectrogram, thinned to a density that depends on their neighbourhood alone.
//!
//! A cell of the spectrogram is a candidate if it is the maximum of a box of `2 half_bins + 1` by `2 half_frames + 1` cells around it;
//! of equal cells the first is (earlier row, then lower bin). A candidate is kept if fewer than `rank_max` stronger ones lie within
//! `rank_frames` rows of it. The rule is local: where in a track an excerpt begins changes nothing further than `rank_frames` from its
//! ends. After A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003, section 2.1, which leaves density control open.

use std::collections::VecDeque;

use bytemuck::{Pod, Zeroable};

use crate::dsp::kernel;
use crate::dsp::running::RunningMax;

/// A spectral peak as stored: 8 bytes, little-endian on disk.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Peak {
    /// Time in eighths of a frame, refined by a parabola.
    pub t: u32,
    /// Frequency in eighths of a bin, refined by a parabola.
    pub f: u16,
    /// Power: the upper 16 value bits of its `f32`, monotone without a logarithm.
    pub level: u16,
}

impl Peak {
    /// The frame it falls in, to the nearest.
    #[must_use]
    pub fn frame(self) -> u32 {
        (self.t >> 3) + ((self.t & 7) >> 2)
    }

    /// The bin it falls in, to the nearest.
    #[must_use]
    pub fn bin(self) -> u16 {
        (self.f >> 3) + ((self.f & 7) >> 2)
    }

    /// Power to 2^-8 relative, where a full-scale sine has 1.
    #[must_use]
    pub fn power(self) -> f32 {
        f32::from_bits(u32::from(self.level) << 15)
    }

    /// The level of a power, the inverse of [`Peak::power`]. A power is not negative.
    #[must_use]
    pub fn level_of(power: f32) -> u16 {
        // A non-negative float has a zero sign bit, so that 31 - 15 = 16 bits remain.
        (power.to_bits() >> 15) as u16
    }

    /// Whether this peak outranks the other: higher level; at equal levels the earlier, then the lower one.
    #[must_use]
    pub fn is_stronger_than(self, other: Self) -> bool {
        (other.level, self.t, self.f) < (self.level, other.t, other.f)
    }
}

/// What a [`PeakPicker`] looks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeakConfig {
    /// Bin of the first value of a row.
    pub first_bin: u16,
    /// Values per row, 1 to 4 096.
    pub bins: usize,
    /// Bins on either side that a peak is the maximum of.
    pub half_bins: usize,
    /// Rows on either side that a peak is the maximum of.
    pub half_frames: usize,
    /// Least power of a peak.
    pub floor: f32,
    /// Rows on either side in which peaks are ranked.
    pub rank_frames: usize,
    /// Peaks with at least this many stronger ones within `rank_frames` are dropped.
    pub rank_max: usize,
}

/// Finds peaks in a spectrogram that arrives row by row.
#[derive(Debug, Clone)]
pub struct PeakPicker {
    config: PeakConfig,
    /// Row number of the next row.
    next_row: u64,
    /// Row number of the first row since the start or the last reset.
    first_row: u64,
    /// Powers of the latest `2 half_frames + 2` rows, a ring.
    power: Vec<f32>,
    /// Maxima along bins of the rows of the current block; suffix maxima, along rows, of the block before.
    block: Vec<f32>,
    suffix: Vec<f32>,
    /// Maximum along rows from the start of the block.
    prefix: Vec<f32>,
    along_bins: Vec<f32>,
    /// Maximum of the box around each cell of the row in hand.
    highest: Vec<f32>,
    running: RunningMax,
    /// Candidates of the latest `2 rank_frames + 1` rows with their row.
    candidates: VecDeque<(u64, Peak)>,
    found: Vec<Peak>,
}

impl PeakPicker {
    /// A picker for rows of `config.bins` powers.
    #[must_use]
    pub fn new(config: PeakConfig) -> Self {
        let window = 2 * config.half_frames + 1;
        Self {
            config,
            next_row: 0,
            first_row: 0,
            power: vec![0.0; (window + 1) * config.bins],
            block: vec![f32::NEG_INFINITY; window * config.bins],
            suffix: vec![f32::NEG_INFINITY; window * config.bins],
            prefix: vec![f32::NEG_INFINITY; config.bins],
            along_bins: vec![0.0; config.bins],
            highest: vec![0.0; config.bins],
            running: RunningMax::new(config.half_bins),
            candidates: VecDeque::new(),
            found: Vec::new(),
        }
    }

    /// Rows between a row's arrival and the peaks of it being settled.
    #[must_use]
    pub fn delay_rows(&self) -> usize {
        self.config.half_frames + self.config.rank_frames
    }

    /// Bytes held, whatever the length of the input.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        let floats =
            self.power.len() + self.block.len() + self.suffix.len() + self.prefix.len() + self.along_bins.len() + self.highest.len();
        floats * size_of::<f32>() + self.candidates.capacity() * size_of::<(u64, Peak)>() + self.found.capacity() * size_of::<Peak>()
    }

    /// Forgets all rows; the next one has the number `row`.
    pub fn restart(&mut self, row: u64) {
        self.next_row = row;
        self.first_row = row;
        self.suffix.fill(f32::NEG_INFINITY);
        self.candidates.clear();
    }

    /// Takes the next row of powers and appends the peaks that are settled by it, ordered by time.
    ///
    /// A row shorter than `config.bins` counts as silent above its end.
    pub fn push(&mut self, row: &[f32], peaks: &mut Vec<Peak>) {
        let bins = self.config.bins;
        let start = self.slot(self.next_row);
        let stored = &mut self.power[start..start + bins];
        stored.fill(0.0);
        for (slot, &power) in stored.iter_mut().zip(row) {
            *slot = power;
        }
        self.running.apply(stored, &mut self.along_bins);
        let rows_end = self.next_row + 1;
        self.advance(rows_end, peaks);
    }

    /// Ends the input: appends the remaining peaks.
    pub fn flush(&mut self, peaks: &mut Vec<Peak>) {
        let rows_end = self.next_row;
        self.along_bins.fill(f32::NEG_INFINITY);
        for _ in 0..self.config.half_frames {
            self.advance(rows_end, peaks);
        }
        let unsettled = self.next_row.saturating_sub(self.delay_rows() as u64).max(self.first_row);
        for row in unsettled..rows_end {
            self.settle(row, peaks);
        }
        self.restart(rows_end);
    }

    /// Offset of a row in the ring of powers.
    fn slot(&self, row: u64) -> usize {
        let rows = 2 * self.config.half_frames as u64 + 2;
        (row % rows) as usize * self.config.bins
    }

    /// Takes `along_bins` as the maxima of row `next_row` and looks for peaks `half_frames` rows back. Rows from `rows_end` on do not
    /// exist.
    fn advance(&mut self, rows_end: u64, peaks: &mut Vec<Peak>) {
        let bins = self.config.bins;
        let window = 2 * self.config.half_frames + 1;
        let place = ((self.next_row - self.first_row) % window as u64) as usize;
        self.block[place * bins..(place + 1) * bins].copy_from_slice(&self.along_bins);
        if place == 0 {
            self.prefix.copy_from_slice(&self.along_bins);
        } else {
            kernel::raise(&mut self.prefix, &self.along_bins);
        }
        // The window of the centre row begins behind `place` in the block before, or with this block.
        if let Some(centre) = (self.next_row - self.first_row).checked_sub(self.config.half_frames as u64) {
            let centre = self.first_row + centre;
            if centre < rows_end {
                self.find_candidates(centre, place, rows_end);
            }
        }
        if place + 1 == window {
            std::mem::swap(&mut self.block, &mut self.suffix);
            for row in (0..window - 1).rev() {
                let (upper, lower) = self.suffix.split_at_mut((row + 1) * bins);
                kernel::raise(&mut upper[row * bins..], &lower[..bins]);
            }
        }
        if self.next_row >= self.first_row + self.delay_rows() as u64 {
            self.settle(self.next_row - self.delay_rows() as u64, peaks);
        }
        self.next_row += 1;
    }

    /// Appends the candidates of row `centre`, whose window ends at `place` of the current block.
    fn find_candidates(&mut self, centre: u64, place: usize, rows_end: u64) {
        let bins = self.config.bins;
        let start = self.slot(centre);
        let row = &self.power[start..start + bins];
        let floor = self.config.floor;
        let before = (place + 1) * bins;
        // With the window at a block's end the block before has no share in it.
        let suffix = self.suffix.get(before..before + bins).unwrap_or(&self.prefix);
        kernel::larger_of(suffix, &self.prefix, &mut self.highest);
        self.found.clear();
        let mut next = 0;
        while let Some(bin) = kernel::first_reaching(row, &self.highest, next) {
            let power = row[bin];
            if power >= floor && self.is_first_of_its_plateau(centre, bin, power) {
                self.found.push(self.refine(centre, bin, rows_end));
            }
            next = bin + 1;
        }
        self.found.sort_unstable_by_key(|peak| (peak.t, peak.f));
        self.candidates.extend(self.found.iter().map(|&peak| (centre, peak)));
    }

    /// Whether no earlier cell of the box equals its maximum.
    fn is_first_of_its_plateau(&self, row: u64, bin: usize, power: f32) -> bool {
        let low = bin.saturating_sub(self.config.half_bins);
        let high = (bin + self.config.half_bins + 1).min(self.config.bins);
        let start = self.slot(row);
        let lower_bins = &self.power[start + low..start + bin];
        let first = row.saturating_sub(self.config.half_frames as u64).max(self.first_row);
        !lower_bins.contains(&power)
            && (first..row).all(|earlier| {
                let start = self.slot(earlier);
                !self.power[start + low..start + high].contains(&power)
            })
    }

    /// The peak at a cell, placed by parabolas through its neighbours in bins and in rows.
    fn refine(&self, row: u64, bin: usize, rows_end: u64) -> Peak {
        let start = self.slot(row);
        let power = self.power[start + bin];
        let mut along_bins = 0;
        if bin > 0 && bin + 1 < self.config.bins {
            along_bins = vertex_in_eighths(self.power[start + bin - 1], power, self.power[start + bin + 1]);
        }
        let mut along_rows = 0;
        if row > self.first_row && row + 1 < rows_end {
            along_rows = vertex_in_eighths(self.power[self.slot(row - 1) + bin], power, self.power[self.slot(row + 1) + bin]);
        }
        let f = (i64::from(self.config.first_bin) + bin as i64) * 8 + along_bins;
        // 2^32 eighths of a 16 ms frame are 99 days; a stream that runs on wraps.
        Peak { t: (row as i64 * 8 + along_rows) as u32, f: f as u16, level: Peak::level_of(power) }
    }

    /// Appends the peaks of `row` that rank high enough and forgets candidates that rank no later row.
    fn settle(&mut self, row: u64, peaks: &mut Vec<Peak>) {
        let reach = self.config.rank_frames as u64;
        while self.candidates.front().is_some_and(|&(earlier, _)| earlier + reach < row) {
            self.candidates.pop_front();
        }
        for &(at, peak) in self.candidates.iter().filter(|&&(at, _)| at == row) {
            let stronger = self.candidates.iter().filter(|&&(other, rival)| other <= at + reach && rival.is_stronger_than(peak)).count();
            if stronger < self.config.rank_max {
                peaks.push(peak);
            }
        }
    }
}

/// The peaks, of a list ordered by time, with fewer than `rank_max` stronger ones within `rank_frames` rows.
#[must_use]
pub fn strong_peaks(peaks: &[Peak], rank_frames: u32, rank_max: usize) -> Vec<Peak> {
    let reach = rank_frames * 8;
    let mut first = 0;
    let mut strong = Vec::with_capacity(peaks.len());
    for &peak in peaks {
        while peaks.get(first).is_some_and(|earlier| earlier.t.saturating_add(reach) < peak.t) {
            first += 1;
        }
        let rivals = peaks[first..].iter().take_while(|rival| rival.t <= peak.t.saturating_add(reach));
        if rivals.filter(|rival| rival.is_stronger_than(peak)).count() < rank_max {
            strong.push(peak);
        }
    }
    strong
}

/// Where a parabola through three equidistant values, the middle one the largest, has its vertex: -4..=4 eighths from the middle, half
/// up.
fn vertex_in_eighths(left: f32, centre: f32, right: f32) -> i64 {
    let curvature = left - 2.0 * centre + right;
    if curvature == 0.0 {
        return 0;
    }
    let offset = (left - right) / (2.0 * curvature);
    (offset.clamp(-0.5, 0.5) * 8.0 + 0.5).floor() as i64
}

#[cfg(test)]
mod tests {
    use super::{Peak, PeakConfig, PeakPicker};
    use proptest::prelude::*;

    const CONFIG: PeakConfig =
        PeakConfig { first_bin: 16, bins: 60, half_bins: 4, half_frames: 3, floor: 1e-3, rank_frames: 6, rank_max: 3 };

    fn pick(config: PeakConfig, rows: &[Vec<f32>]) -> Vec<Peak> {
        let mut picker = PeakPicker::new(config);
        let mut peaks = Vec::new();
        for row in rows {
            picker.push(row, &mut peaks);
        }
        picker.flush(&mut peaks);
        peaks
    }

    /// The definition, cell by cell.
    fn pick_by_definition(config: PeakConfig, rows: &[Vec<f32>]) -> Vec<Peak> {
        let cell = |row: usize, bin: usize| rows[row][bin];
        let mut candidates: Vec<(usize, Peak)> = Vec::new();
        for row in 0..rows.len() {
            let mut found = Vec::new();
            for bin in 0..config.bins {
                let power = cell(row, bin);
                let mut is_peak = power >= config.floor;
                for other_row in row.saturating_sub(config.half_frames)..(row + config.half_frames + 1).min(rows.len()) {
                    for other_bin in bin.saturating_sub(config.half_bins)..(bin + config.half_bins + 1).min(config.bins) {
                        let other = cell(other_row, other_bin);
                        is_peak &= match (other_row, other_bin).cmp(&(row, bin)) {
                            std::cmp::Ordering::Less => power > other,
                            std::cmp::Ordering::Equal => true,
                            std::cmp::Ordering::Greater => power >= other,
                        };
                    }
                }
                if is_peak {
                    let vertex = |left: f32, right: f32| {
                        let bend = left - 2.0 * power + right;
                        let shift = if bend == 0.0 { 0.0 } else { ((left - right) / (2.0 * bend)).clamp(-0.5, 0.5) };
                        if bend == 0.0 { 0 } else { (shift * 8.0 + 0.5).floor() as i64 }
                    };
                    let df = if bin > 0 && bin + 1 < config.bins { vertex(cell(row, bin - 1), cell(row, bin + 1)) } else { 0 };
                    let dt = if row > 0 && row + 1 < rows.len() { vertex(cell(row - 1, bin), cell(row + 1, bin)) } else { 0 };
                    let f = (i64::from(config.first_bin) + bin as i64) * 8 + df;
                    found.push(Peak { t: (row as i64 * 8 + dt) as u32, f: f as u16, level: (power.to_bits() >> 15) as u16 });
                }
            }
            found.sort_by_key(|peak| (peak.t, peak.f));
            candidates.extend(found.into_iter().map(|peak| (row, peak)));
        }
        let rank = |row: usize, peak: Peak| {
            candidates
                .iter()
                .filter(|&&(other_row, other)| {
                    let stronger = (std::cmp::Reverse(other.level), other.t, other.f) < (std::cmp::Reverse(peak.level), peak.t, peak.f);
                    other_row.abs_diff(row) <= config.rank_frames && stronger
                })
                .count()
        };
        candidates.iter().filter(|&&(row, peak)| rank(row, peak) < config.rank_max).map(|&(_, peak)| peak).collect()
    }

    /// Random, constant, impulsive and integer-valued rows.
    fn rows() -> impl Strategy<Value = Vec<Vec<f32>>> {
        let cell = prop_oneof![
            (0u32..1_000_000).prop_map(|value| value as f32 * 1e-6).boxed(),
            (0u32..4).prop_map(|value| value as f32).boxed(),
            prop_oneof![20 => Just(0.0f32), 1 => Just(1.0f32)].boxed(),
        ];
        let row_of = |cell: BoxedStrategy<f32>| prop::collection::vec(prop::collection::vec(cell, CONFIG.bins), 0..40).boxed();
        prop_oneof![
            row_of(cell.boxed()),
            row_of((0u32..1_000_000).prop_map(|value| value as f32 * 1e-6).boxed()),
            row_of((0u32..3).prop_map(|value| value as f32).boxed()),
            (0usize..40, 0.0f32..2.0).prop_map(|(count, value)| vec![vec![value; CONFIG.bins]; count]).boxed(),
        ]
    }

    proptest! {
        #[test]
        fn the_picker_equals_its_definition_cell_by_cell(
            rows in rows(), half_frames in 1usize..5, half_bins in 1usize..8, rank_frames in 0usize..9
        ) {
            let config = PeakConfig { half_frames, half_bins, rank_frames, ..CONFIG };
            prop_assert_eq!(pick(config, &rows), pick_by_definition(config, &rows));
        }

        #[test]
        fn after_a_restart_the_picker_is_as_new_but_for_the_row_number(rows in rows(), offset in 0u64..1000) {
            let mut picker = PeakPicker::new(CONFIG);
            let mut peaks = Vec::new();
            for row in &rows {
                picker.push(row, &mut peaks);
            }
            picker.flush(&mut peaks);
            let expected: Vec<Peak> = peaks.iter().map(|&peak| Peak { t: peak.t + 8 * offset as u32, ..peak }).collect();
            peaks.clear();
            picker.restart(offset);
            for row in &rows {
                picker.push(row, &mut peaks);
            }
            picker.flush(&mut peaks);
            prop_assert_eq!(peaks, expected);
        }
    }

    #[test]
    fn a_plateau_larger_than_the_box_yields_peaks_a_box_apart() {
        let peaks = pick(CONFIG, &vec![vec![1.0; CONFIG.bins]; 2]);
        assert_eq!(peaks, pick_by_definition(CONFIG, &vec![vec![1.0; CONFIG.bins]; 2]));
        assert!(peaks.iter().any(|peak| (peak.t, peak.bin()) == (0, 16)), "the first cell of all is a peak: {peaks:?}");
    }

    #[test]
    fn a_level_orders_as_its_power_and_reads_back_within_a_256th() {
        let mut last = 0;
        for step in 0..4000 {
            let power = 1e-9 * 1.01f32.powi(step / 2);
            let level = Peak::level_of(power);
            assert!(level >= last);
            last = level;
            let back = Peak { t: 0, f: 0, level }.power();
            assert!(back <= power && power < back * (1.0 + 1.0 / 128.0), "{power} {back}");
        }
    }

    #[test]
    fn settled_peaks_come_after_the_published_delay() {
        let mut picker = PeakPicker::new(CONFIG);
        let mut peaks = Vec::new();
        for row in 0..=picker.delay_rows() {
            assert!(peaks.is_empty(), "settled at row {row} already");
            let mut powers = vec![0.0; CONFIG.bins];
            if row == 0 {
                powers[30] = 1.0;
            }
            picker.push(&powers, &mut peaks);
        }
        assert_eq!(peaks.len(), 1);
    }
}
