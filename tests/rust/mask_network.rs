//! A network without a runtime: masks from a function.

use otolith::Result;
use otolith::model::manifest::{Consistency, Entry, Parameters};
use otolith::model::network::{Dim, Network, Run, Slice};
use otolith::separate::SeparatorModel;

pub const BINS: usize = 2049;
/// Frames of a slice: no divisor of any chunk's, so that the last slice overlaps the one before.
const SLICE: usize = 50;

/// Real masks, the same for every bin, frame and channel: `mask(run, stem)`.
pub struct MaskNetwork<F> {
    pub stems: usize,
    pub mask: F,
    /// Runs so far; the trial run is the first.
    pub runs: usize,
}

impl<F: FnMut(usize, usize) -> f32> Network for MaskNetwork<F> {
    fn input(&self) -> &[Dim] {
        &[Dim::Fixed(1), Dim::Fixed(4), Dim::Dynamic, Dim::Fixed(BINS)]
    }

    fn run(&mut self, shape: &[usize], run: Run<'_>) -> Result<()> {
        let mut input = vec![0.0; shape.iter().product()];
        (run.fill)(&mut input)?;
        let length = SLICE.min(shape[2]);
        let plane = length * BINS;
        let mut output = vec![0.0; self.stems * 4 * plane];
        for (stem, planes) in output.chunks_exact_mut(4 * plane).enumerate() {
            let mask = (self.mask)(self.runs, stem);
            planes[..plane].fill(mask);
            planes[2 * plane..3 * plane].fill(mask);
        }
        self.runs += 1;
        let count = shape[2].div_ceil(length);
        for slice in 0..count {
            let start = (slice * length).min(shape[2] - length);
            (run.output)(&input, Slice { start, shape: &[1, self.stems * 4, length, BINS], values: &output })?;
            (run.progress)((slice + 1) as f64 / count as f64);
        }
        Ok(())
    }
}

/// A manifest entry with these stems.
pub fn entry(stems: &[&str], residual: &str) -> Entry {
    let json = serde_json::json!({
        "name": "masks", "kind": "separator", "model_version": "1.0.0", "file": "masks-1.0.0.onnx", "opset": 17,
        "min_package_version": "0.1.0", "licence": "MIT OR Apache-2.0", "contract": "complex-mask", "sample_rate": 44100,
        "stems": stems, "residual": residual,
    });
    Entry::parse(&json.to_string(), "0.1.0").unwrap()
}

/// A checked model with these stems and masks. Without mixture consistency, so that a stem is its mask times the mix whatever the
/// others are.
pub fn model<F: FnMut(usize, usize) -> f32>(stems: &[&str], residual: &str, mask: F) -> SeparatorModel<MaskNetwork<F>> {
    let mut entry = entry(stems, residual);
    entry.parameters = Parameters { consistency: Consistency::Residual, ..Parameters::default() };
    SeparatorModel::new(entry, MaskNetwork { stems: stems.len(), mask, runs: 0 }).unwrap()
}
