//! The stream of every algorithm: sound is brought to one rate, and an analysis of its own turns it into items.

use super::ExtractStream;
use super::intake::Intake;
use crate::error::Result;

/// What an algorithm does with mono sound at the rate that it works at.
pub trait Analysis {
    /// What comes out.
    type Item;

    /// Takes samples.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] only.
    fn take(&mut self, samples: &[f32]) -> Result<()>;

    /// Ends the sound, as if silence followed.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] only.
    fn finish(&mut self) -> Result<()>;

    /// Goes on at sample `sample`, with nothing before it.
    fn restart(&mut self, sample: u64);

    /// What has come out since this was emptied.
    fn found(&self) -> &[Self::Item];

    /// Forgets what has come out.
    fn clear(&mut self);

    /// Most samples between a sound and the items that it settles.
    fn delay(&self) -> usize;

    /// Bytes held, tables left out.
    fn state_bytes(&self) -> usize;
}

/// A stream of mono sound at any rate through an [`Analysis`].
pub struct AnalysisStream<A> {
    pub(super) intake: Intake,
    pub(super) analysis: A,
}

impl<A: Analysis> ExtractStream for AnalysisStream<A> {
    type Item = A::Item;

    fn push(&mut self, samples: &[f32]) -> Result<&[A::Item]> {
        let analysis = &mut self.analysis;
        analysis.clear();
        self.intake.push(samples, |samples| analysis.take(samples))?;
        Ok(self.analysis.found())
    }

    fn flush(&mut self) -> Result<&[A::Item]> {
        let analysis = &mut self.analysis;
        analysis.clear();
        self.intake.end(|samples| analysis.take(samples))?;
        self.analysis.finish()?;
        Ok(self.analysis.found())
    }

    fn gap(&mut self, frames: u64) -> Result<&[A::Item]> {
        self.flush()?;
        self.analysis.restart(self.intake.skip(frames));
        Ok(self.analysis.found())
    }

    fn latency(&self) -> u64 {
        self.intake.latency(self.analysis.delay())
    }

    fn state_bytes(&self) -> usize {
        self.intake.state_bytes() + self.analysis.state_bytes()
    }

    fn replaced(&self) -> u64 {
        self.intake.replaced()
    }
}
