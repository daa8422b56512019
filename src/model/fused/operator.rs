//! The fused parts as tract's operators.

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::Cost;
use tract_onnx::tract_hir::internal::{Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, expand};

use super::attention::{Attention, Rotary};
use super::band_split;
use super::feed_forward::FeedForward;
use super::tile::Shape;
use super::{ATTENTION, FEED_FORWARD};

/// Lets `framework` read the operators that [`super::fuse`] puts into a graph.
pub fn register(framework: &mut Onnx) {
    framework.op_register.insert(FEED_FORWARD, read);
    framework.op_register.insert(ATTENTION, read);
    band_split::register(framework);
}

type Read = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

fn read(_: &ParsingContext, node: &NodeProto) -> Read {
    let size = |key: &str| node.get_attr::<usize>(key);
    let part = Part {
        kind: match (node.op_type == FEED_FORWARD, size("over_time")? == 1) {
            (true, true) => Kind::FeedForwardOverTime,
            (true, false) => Kind::FeedForwardOverBands,
            (false, true) => Kind::AttentionOverTime { heads: size("heads")? },
            (false, false) => Kind::AttentionOverBands { heads: size("heads")? },
        },
        groups: size("groups")?,
        epsilon_bits: node.get_attr::<f32>("epsilon")?.to_bits(),
    };
    Ok((expand(part), vec![]))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    FeedForwardOverTime,
    FeedForwardOverBands,
    AttentionOverTime { heads: usize },
    AttentionOverBands { heads: usize },
}

/// A fused part. Inputs: `x`, `[1, features, frames, bands]`, the gain, and the weights in the order of [`super::pattern`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Part {
    kind: Kind,
    groups: usize,
    epsilon_bits: u32,
}

impl Expansion for Part {
    fn name(&self) -> StaticName {
        "OtolithPart".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        if let (Some(x), Some(out)) = (inputs.first(), outputs.first()) {
            solver.equals(&x.datum_type, &out.datum_type)?;
            solver.equals(&x.shape, &out.shape)?;
        }
        Ok(())
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for Part {
    fn name(&self) -> StaticName {
        "OtolithPart".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Part {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let views = inputs.iter().map(|input| input.try_as_plain_ram()).collect::<TractResult<TVec<_>>>()?;
        let slices = views.iter().map(|view| view.as_slice::<f32>()).collect::<TractResult<TVec<_>>>()?;
        let (Some(x), &[1, features, frames, bands]) = (inputs.first(), inputs.first().map_or(&[][..], |x| x.shape())) else {
            bail!("a fused part needs an input of four axes, the first of length 1");
        };
        let shape = Shape { features, frames, bands };
        let mut output = Tensor::zero::<f32>(x.shape())?;
        self.run(&slices, shape, output.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?)?;
        Ok(tvec![output.into_tvalue()])
    }
}

impl Part {
    fn run(&self, inputs: &[&[f32]], shape: Shape, out: &mut [f32]) -> TractResult<()> {
        let (groups, epsilon) = (self.groups, f32::from_bits(self.epsilon_bits));
        let features = shape.features;
        ensure!(
            groups > 0 && features > 0 && features.is_multiple_of(groups) && features.is_multiple_of(4) && shape.plane() > 0,
            "features do not make up groups, or there is nothing to work on"
        );
        match (self.kind, inputs) {
            (Kind::FeedForwardOverTime | Kind::FeedForwardOverBands, &[x, gain, widen, widen_bias, narrow, narrow_bias]) => {
                let width = widen_bias.len() / 2;
                let taps = (narrow.len() / features).checked_div(width).unwrap_or(0);
                let fits = width.is_multiple_of(2)
                    && widen_bias.len() == 2 * width
                    && (1..=8).contains(&taps)
                    && (gain.len(), narrow_bias.len()) == (features, features)
                    && Some(widen.len()) == narrow.len().checked_mul(2)
                    && narrow.len() == width * features * taps;
                ensure!(fits, "the weights of a feed-forward part do not belong together");
                let part = FeedForward { gain, groups, epsilon, taps, widen: (widen, widen_bias), narrow: (narrow, narrow_bias) };
                match self.kind {
                    Kind::FeedForwardOverTime => part.over_time(x, shape, out),
                    _ => part.over_bands(x, shape, out),
                }
            }
            (Kind::AttentionOverTime { heads }, &[x, gain, project, merge]) => {
                self.check_attention(heads, features, gain, project, merge)?;
                Attention { gain, groups, epsilon, heads, project, merge }.over_time(x, shape, out);
            }
            (Kind::AttentionOverBands { heads }, &[x, gain, project, merge, turn, cosines, sines]) => {
                let width = self.check_attention(heads, features, gain, project, merge)?;
                let tables = width * shape.bands;
                ensure!((turn.len(), cosines.len(), sines.len()) == (width * width, tables, tables), "rotary tables do not fit");
                let rotary = Rotary { turn, cosines, sines };
                Attention { gain, groups, epsilon, heads, project, merge }.over_bands(&rotary, x, shape, out);
            }
            _ => bail!("a fused part has {} inputs", inputs.len()),
        }
        Ok(())
    }

    /// The width of a head.
    fn check_attention(&self, heads: usize, features: usize, gain: &[f32], project: &[f32], merge: &[f32]) -> TractResult<usize> {
        let attention = merge.len() / features.max(1);
        let width = attention / heads.max(1);
        let fits =
            width > 0 && width.is_multiple_of(2) && attention.is_multiple_of(4) && width * heads == attention && gain.len() == features;
        ensure!(
            fits && project.len() == 3 * attention * features && merge.len() == attention * features,
            "the weights of an attention do not belong together"
        );
        Ok(width)
    }
}

impl TypedOp for Part {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(inputs.first().map(|x| f32::fact(x.shape.clone())).into_iter().collect())
    }

    fn cost(&self, inputs: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let Some(x) = inputs.first() else { return Ok(tvec!()) };
        let (frames, bands) = (x.shape[2].clone(), x.shape[3].clone());
        let weights: TDim = inputs.iter().skip(2).take(4).map(|weights| weights.shape.volume()).sum();
        let products = weights * &frames * &bands;
        let scores = match self.kind {
            Kind::AttentionOverTime { .. } => x.shape[1].clone() * &frames * &frames * &bands * 2,
            Kind::AttentionOverBands { .. } => x.shape[1].clone() * &frames * &bands * &bands * 2,
            _ => 0.to_dim(),
        };
        Ok(tvec!((Cost::FMA(f32::datum_type()), products + scores)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Part, Shape};

    const SHAPE: Shape = Shape { features: 8, frames: 5, bands: 3 };
    const ATTENTION: [usize; 3] = [8, 3 * 8 * 8, 8 * 8];

    /// Whether a part with inputs of these lengths runs. It must not panic in any case: where panics abort, that would end the worker.
    fn runs(kind: Kind, groups: usize, lengths: &[usize]) -> bool {
        let inputs: Vec<Vec<f32>> = lengths.iter().map(|length| vec![0.1; *length]).collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let mut out = vec![f32::NAN; SHAPE.features * SHAPE.plane()];
        let result = Part { kind, groups, epsilon_bits: 1e-5_f32.to_bits() }.run(&inputs, SHAPE, &mut out);
        assert!(result.is_err() || out.iter().all(|value| value.is_finite()), "{lengths:?}");
        result.is_ok()
    }

    #[test]
    fn weights_that_do_not_belong_together_are_refused() {
        let (x, (width, taps)) = (SHAPE.features * SHAPE.plane(), (4, 3));
        let feed_forward = vec![x, 8, 2 * width * 8 * taps, 2 * width, width * 8 * taps, 8];
        let over_time = [&[x][..], &ATTENTION].concat();
        let over_bands = [&over_time[..], &[4 * 4, 4 * 3, 4 * 3]].concat();
        for (kind, lengths) in [
            (Kind::FeedForwardOverTime, &feed_forward),
            (Kind::FeedForwardOverBands, &feed_forward),
            (Kind::AttentionOverTime { heads: 2 }, &over_time),
            (Kind::AttentionOverBands { heads: 2 }, &over_bands),
        ] {
            assert!(runs(kind, 2, lengths));
            assert!(!runs(kind, 0, lengths) && !runs(kind, 3, lengths) && !runs(kind, 2, &lengths[..lengths.len() - 1]), "{kind:?}");
            for place in 1..lengths.len() {
                let with =
                    |length: usize| lengths.iter().enumerate().map(|(n, own)| if n == place { length } else { *own }).collect::<Vec<_>>();
                for wrong in [0, lengths[place] - 1, lengths[place] + 1] {
                    assert!(!runs(kind, 2, &with(wrong)), "{kind:?}: input {place} of length {wrong}");
                }
                // Of another size that may make sense: run or refused.
                runs(kind, 2, &with(lengths[place] / 2));
                runs(kind, 2, &with(lengths[place] * 2));
            }
        }
        for heads in [0, 3, 8, 16, usize::MAX] {
            assert!(
                !runs(Kind::AttentionOverTime { heads }, 2, &over_time) && !runs(Kind::AttentionOverBands { heads }, 2, &over_bands),
                "{heads}"
            );
        }
    }
}
