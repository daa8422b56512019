//! Beat activations of a stream by the causal network, two frames at a time.

use std::sync::Arc;

use super::ModelName;
use super::activation::{BANDS, BandAnalysis, HOP, SAMPLE_RATE, SKIPS, expect};
use super::spectrum::RecentSamples;
use super::stream::Heard;
use super::tracker::beat_gain;
use crate::audio::resample::Resampler;
use crate::error::{Error, Result};
use crate::model::network::Dim;
use crate::model::{Graph, GraphPlan};

/// Frames of a block.
pub(super) const BLOCK: usize = 2;
/// Frames before a block that the front looks at.
const CONTEXT: usize = 4;

/// The graph of a beat network with contract `beat-activations-causal`.
///
/// `block` turns the bands of four past and two new frames, `bands` `[1, 1, 6, 81]`, and what it remembers, `state`, into `activations`
/// `[1, 22, 2]`, of which the first two channels are beat and downbeat, and `next_state`.
pub struct CausalNetwork {
    block: Box<dyn GraphPlan>,
    state_length: usize,
    model: ModelName,
}

impl CausalNetwork {
    /// Takes the graph of a model.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] if it does not keep the contract.
    pub fn new(block: &dyn Graph, model: ModelName) -> Result<Self> {
        let state = block.inputs().iter().find(|(name, _)| name == "state").map(|(_, shape)| shape.as_slice()).unwrap_or(&[]);
        let sizes: Option<Vec<usize>> = state.iter().map(|dim| if let Dim::Fixed(size) = dim { Some(*size) } else { None }).collect();
        let Some(shape) = sizes.filter(|shape| !shape.is_empty()) else {
            let what = "has no input state of fixed shape, which its contract asks for: use a model of this contract".to_owned();
            return Err(Error::ModelLoad { name: model.name, what });
        };
        let plan = block.plan(&[("bands", &[1, 1, CONTEXT + BLOCK, BANDS]), ("state", &shape)], &["activations", "next_state"])?;
        expect(plan.output_shapes(), &[vec![1, SKIPS.end, BLOCK], shape.clone()])?;
        Ok(Self { block: plan, state_length: shape.iter().product(), model })
    }

    /// Name and version of the model.
    #[must_use]
    pub fn model(&self) -> &ModelName {
        &self.model
    }
}

impl std::fmt::Debug for CausalNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CausalNetwork").field("model", &self.model).finish_non_exhaustive()
    }
}

/// The network's activations of a stream, block by block.
pub(super) struct CausalActivation {
    network: Arc<CausalNetwork>,
    observation_lambda: f64,
    analysis: BandAnalysis,
    resampler: Resampler,
    recent: RecentSamples,
    /// Bands of the frames that the next block needs, oldest first.
    rows: Vec<Vec<f32>>,
    /// Level of the newest frames.
    levels: [f32; BLOCK],
    frame: u64,
    state: Vec<f32>,
    /// Samples of a second of the stream.
    sample_rate: u32,
    heard: u64,
}

impl CausalActivation {
    pub(super) fn new(network: Arc<CausalNetwork>, sample_rate: u32, observation_lambda: f64) -> Result<Self> {
        let state = vec![0.0; network.state_length];
        Ok(Self {
            network,
            observation_lambda,
            analysis: BandAnalysis::new(),
            resampler: Resampler::new(sample_rate, SAMPLE_RATE, 1)?,
            recent: RecentSamples::default(),
            rows: Vec::new(),
            levels: [0.0; BLOCK],
            frame: 0,
            state,
            sample_rate,
            heard: 0,
        })
    }

    /// Samples of the stream after a frame's centre that the frame's block needs, at most.
    pub(super) fn reach(&self) -> u64 {
        let frames = self.analysis.frame_length() / 2 + (BLOCK - 1) * HOP;
        (frames as f64 * f64::from(self.sample_rate) / f64::from(SAMPLE_RATE)).ceil() as u64 + self.resampler.latency() as u64
    }

    pub(super) fn push(&mut self, samples: &[f32], hear: &mut dyn FnMut(Heard)) -> Result<()> {
        // What a block of the resampler gives is heard when the block's last sample is: pieces never cross its end.
        let mut rest = samples;
        while let Some((first, others)) = split_at_most(rest, self.until_block_ends()) {
            rest = others;
            self.heard += first.len() as u64;
            let [resampled] = self.resampler.push(&[first])? else {
                return Err(Error::internal("a resampler of one channel gave several"));
            };
            self.recent.push(resampled);
            self.take_frames(self.recent.heard() as i64, hear)?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self, hear: &mut dyn FnMut(Heard)) -> Result<()> {
        if let Some(rest) = self.resampler.flush()?.first() {
            self.recent.push(rest);
        }
        let end = self.recent.heard();
        // Silence after the end, until the frames centred within the sound and their block are complete.
        let missing = (self.analysis.frame_length() / 2 + BLOCK * HOP) as i64;
        self.take_frames(end as i64 + missing, hear)
    }

    /// Samples of the stream until the resampler's block is full.
    fn until_block_ends(&self) -> usize {
        self.resampler.block().map_or(usize::MAX, |block| block - (self.heard % block as u64) as usize)
    }

    /// Takes every frame that ends at or before sample `available` at 44.1 kHz.
    fn take_frames(&mut self, available: i64, hear: &mut dyn FnMut(Heard)) -> Result<()> {
        let length = self.analysis.frame_length() as i64;
        loop {
            let start = self.frame as i64 * HOP as i64 - length / 2;
            if start + length > available {
                return Ok(());
            }
            let (channel, offset) = self.recent.frame(start);
            let (bands, level) = self.analysis.analyse(&channel, offset);
            let row = bands.to_vec();
            while self.rows.len() < CONTEXT {
                self.rows.push(row.clone());
            }
            self.rows.push(row);
            self.levels.rotate_left(1);
            let [.., newest] = &mut self.levels;
            *newest = level;
            self.frame += 1;
            self.recent.forget_before(start + HOP as i64);
            if self.rows.len() == CONTEXT + BLOCK {
                // Without a resampler the frame's own end is exact, however the samples came.
                let end = if self.resampler.block().is_some() { self.heard } else { (start + length).max(0) as u64 };
                self.run_block(end, hear)?;
                self.rows.drain(..BLOCK);
            }
        }
    }

    fn run_block(&mut self, end: u64, hear: &mut dyn FnMut(Heard)) -> Result<()> {
        let bands = self.rows.concat();
        let mut outputs = self.network.block.run(&[&bands, &self.state])?.into_iter();
        let activations = outputs.next().unwrap_or_default();
        self.state = outputs.next().unwrap_or_default();
        let value = |channel: usize, frame: usize| activations.get(channel * BLOCK + frame).copied().map_or(0.0, f64::from);
        for (frame, &level) in self.levels.iter().enumerate() {
            hear(Heard {
                activation: value(0, frame),
                gain: beat_gain(value(0, frame), self.observation_lambda),
                downbeat: value(1, frame),
                level,
                end,
                tempo: None,
            });
        }
        Ok(())
    }
}

fn split_at_most(samples: &[f32], count: usize) -> Option<(&[f32], &[f32])> {
    if samples.is_empty() { None } else { samples.split_at_checked(count.min(samples.len())) }
}

#[cfg(all(test, feature = "neural"))]
mod tests {
    use std::sync::Arc;

    use super::super::ModelName;
    use super::{CausalActivation, CausalNetwork};
    use crate::model::{Manifest, NamedGraph};

    /// Made by `tools/beat_network_fixtures.py`.
    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/beat_network");

    #[test]
    fn activations_are_those_of_onnxruntime() {
        let read = |file: &str| std::fs::read_to_string(format!("{FIXTURES}/{file}")).unwrap();
        let manifest = Manifest::parse(&read("manifest.json"), env!("CARGO_PKG_VERSION")).unwrap();
        let entry = manifest.find("beat-causal").unwrap();
        let bytes = std::fs::read(format!("{FIXTURES}/{}", entry.graph(Some("block")).unwrap().file)).unwrap();
        let graph = NamedGraph::load(entry, Some("block"), &bytes).unwrap();
        let model = ModelName { name: entry.name.clone(), version: entry.model_version.clone() };
        let network = Arc::new(CausalNetwork::new(&graph, model).unwrap());
        let mut source = CausalActivation::new(network, 44_100, 16.0).unwrap();
        let sample = |n: u64| {
            let noise = (n.wrapping_mul(2_654_435_761) % (1 << 32)) as f64 / f64::from(1_u32 << 31) - 1.0;
            (noise / 10.0 * (-((n % 22_050) as f64) / 2_000.0).exp()) as f32
        };
        let samples: Vec<f32> = (0..264_600).map(sample).collect();
        let mut heard = Vec::new();
        source.push(&samples, &mut |frame| heard.push((frame.activation, frame.downbeat))).unwrap();
        source.flush(&mut |frame| heard.push((frame.activation, frame.downbeat))).unwrap();
        let reference: serde_json::Value = serde_json::from_str(&read("beat-causal-0.0.1.json")).unwrap();
        let wanted = |key: &str| -> Vec<f64> { serde_json::from_value(reference[key].clone()).unwrap() };
        let (beat, downbeat) = (wanted("beat"), wanted("downbeat"));
        assert!(heard.len() >= beat.len());
        // Float32 sums of some thousand products in another order.
        for (frame, (found, wanted)) in heard.iter().zip(beat.iter().zip(&downbeat)).enumerate() {
            assert!((found.0 - wanted.0).abs() < 1e-4 && (found.1 - wanted.1).abs() < 1e-4, "frame {frame}: {found:?} against {wanted:?}");
        }
    }
}
