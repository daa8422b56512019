//! Peaks of a mono stream, whatever spectrum they are picked in.

use super::analysis_stream::{Analysis, AnalysisStream};
use super::intake::Intake;
use super::peaks::{Peak, PeakConfig, PeakPicker};
use crate::dsp::activity::SilenceGate;
use crate::error::Result;

/// A spectrogram that arrives row by row: what peaks are picked in.
pub trait Rows {
    /// Rate of the samples it takes, in hertz.
    const RATE: u32;
    /// Samples from row to row.
    const HOP: usize;
    /// Samples from a row's place in the grid to the middle of what it shows.
    const CENTRE: usize;
    /// How peaks are picked in it.
    const PEAKS: PeakConfig;

    /// Takes samples; calls `row` with each row that they complete.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] only.
    fn push(&mut self, samples: &[f32], row: &mut dyn FnMut(&[f32])) -> Result<()>;

    /// Ends the sound: zeros follow. Calls `row` with each remaining row that begins inside it.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] only.
    fn finish(&mut self, row: &mut dyn FnMut(&[f32])) -> Result<()>;

    /// Goes on at sample `sample`, with nothing before it. Returns the number of the next row.
    fn restart(&mut self, sample: u64) -> u64;

    /// Most samples between a sound and the rows that begin at it.
    fn delay(&self) -> usize;

    /// Bytes held, tables left out.
    fn state_bytes(&self) -> usize;
}

/// Peaks of a mono stream in the spectrogram `R`.
pub type PeakStream<R> = AnalysisStream<PeakAnalysis<R>>;

/// Picks peaks in the spectrogram `R`.
pub struct PeakAnalysis<R> {
    rows: R,
    next_row: u64,
    picker: PeakPicker,
    gate: Option<SilenceGate>,
    peaks: Vec<Peak>,
}

impl<R: Rows> PeakStream<R> {
    /// A stream of samples at `sample_rate` hertz. Below `silence`, in dBFS of RMS, there are no peaks.
    ///
    /// # Errors
    /// [`crate::Error::InvalidInput`] for a rate outside 8..192 kHz or a gate out of range.
    pub fn new(rows: R, sample_rate: u32, silence: Option<f64>) -> Result<Self> {
        let gate = silence.map(|level| SilenceGate::new(R::RATE, level)).transpose()?;
        let picker = PeakPicker::new(R::PEAKS);
        let analysis = PeakAnalysis { rows, next_row: 0, picker, gate, peaks: Vec::new() };
        Ok(Self { intake: Intake::new(sample_rate, R::RATE)?, analysis })
    }

    /// The peaks that the last call settled, ordered by time.
    #[must_use]
    pub fn peaks(&self) -> &[Peak] {
        &self.analysis.peaks
    }

    /// Number of the row from which on peaks are still to come.
    #[must_use]
    pub fn settled_rows(&self) -> u64 {
        self.analysis.next_row.saturating_sub(self.analysis.picker.delay_rows() as u64)
    }

    /// Frames at the input's rate between a sound and the peaks in the rows that begin `rows` rows after it.
    #[must_use]
    pub fn latency_behind(&self, rows: usize) -> u64 {
        self.intake.latency(self.analysis.delay() + rows * R::HOP)
    }
}

impl<R: Rows> Analysis for PeakAnalysis<R> {
    type Item = Peak;

    fn take(&mut self, samples: &[f32]) -> Result<()> {
        if let Some(gate) = &mut self.gate {
            gate.push(samples);
        }
        let before = self.peaks.len();
        let Self { rows, next_row, picker, peaks, .. } = self;
        rows.push(samples, &mut |row| {
            picker.push(row, peaks);
            *next_row += 1;
        })?;
        self.drop_silent(before);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let before = self.peaks.len();
        let Self { rows, next_row, picker, peaks, .. } = self;
        rows.finish(&mut |row| {
            picker.push(row, peaks);
            *next_row += 1;
        })?;
        picker.flush(peaks);
        self.drop_silent(before);
        Ok(())
    }

    fn restart(&mut self, sample: u64) {
        if let Some(gate) = &mut self.gate {
            gate.restart(sample);
        }
        self.next_row = self.rows.restart(sample);
        self.picker.restart(self.next_row);
    }

    fn found(&self) -> &[Peak] {
        &self.peaks
    }

    fn clear(&mut self) {
        self.peaks.clear();
    }

    fn delay(&self) -> usize {
        self.rows.delay() + self.picker.delay_rows() * R::HOP
    }

    fn state_bytes(&self) -> usize {
        let gate = self.gate.as_ref().map_or(0, SilenceGate::state_bytes);
        self.rows.state_bytes() + self.picker.state_bytes() + gate + self.peaks.capacity() * size_of::<Peak>()
    }
}

impl<R: Rows> PeakAnalysis<R> {
    /// Drops the peaks from number `first` on that lie where the gate is shut.
    fn drop_silent(&mut self, first: usize) {
        let Some(gate) = &mut self.gate else { return };
        let mut index = 0;
        self.peaks.retain(|peak| {
            index += 1;
            index <= first || !gate.is_silent(u64::from(peak.frame()) * R::HOP as u64 + R::CENTRE as u64)
        });
        let settled = self.next_row.saturating_sub(self.picker.delay_rows() as u64 + 1);
        gate.forget_before(settled * R::HOP as u64);
    }
}
