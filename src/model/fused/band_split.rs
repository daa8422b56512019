//! The two ends of a band-split network, encoder and head, as tract's operators.

use tract_onnx::model::Onnx;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::Cost;
use tract_onnx::tract_hir::internal::{Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, expand};

use super::band_encoder::{self, BandEncoder};
use super::band_head::{self, BandHead};
use super::tile::Shape;
use super::{BAND_ENCODER, BAND_HEAD};

/// Lets `framework` read both.
pub fn register(framework: &mut Onnx) {
    framework.op_register.insert(BAND_ENCODER, |_, node| read(node, Side::Encoder));
    framework.op_register.insert(BAND_HEAD, |_, node| read(node, Side::Head));
}

fn read(node: &NodeProto, side: Side) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let end = End {
        side,
        channels: node.get_attr("channels")?,
        columns: node.get_attr("columns")?,
        epsilon_bits: node.get_attr::<f32>("epsilon")?.to_bits(),
    };
    Ok((expand(end), vec![]))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    /// `[1, planes, frames, bins]` to `[1, features, frames, bands]`; of each band gain, weights and bias.
    Encoder,
    /// `[1, features, frames, bands]` to `[1, planes, frames, bins]`; of each band gain, weights and bias of the hidden layer, weights and
    /// bias of the output layer.
    Head,
}

/// One end. Its first input is what it works on, the others the weights of each band.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct End {
    side: Side,
    /// The output's features or planes.
    channels: usize,
    /// The output's bands or bins.
    columns: usize,
    epsilon_bits: u32,
}

impl Expansion for End {
    fn name(&self) -> StaticName {
        "OtolithBandSplit".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        if let (Some(x), Some(out)) = (inputs.first(), outputs.first()) {
            solver.equals(&x.datum_type, &out.datum_type)?;
            solver.equals(&out.rank, 4)?;
            solver.equals(&out.shape[0], 1.to_dim())?;
            solver.equals(&out.shape[1], self.channels.to_dim())?;
            solver.equals(&out.shape[2], &x.shape[2])?;
            solver.equals(&out.shape[3], self.columns.to_dim())?;
        }
        Ok(())
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for End {
    fn name(&self) -> StaticName {
        "OtolithBandSplit".into()
    }

    op_as_typed_op!();
}

impl EvalOp for End {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let views = inputs.iter().map(|input| input.try_as_plain_ram()).collect::<TractResult<TVec<_>>>()?;
        let slices = views.iter().map(|view| view.as_slice::<f32>()).collect::<TractResult<TVec<_>>>()?;
        let (Some((x, weights)), &[1, channels, frames, columns]) = (slices.split_first(), inputs.first().map_or(&[][..], |x| x.shape()))
        else {
            bail!("an end of a band-split network needs an input of four axes, the first of length 1");
        };
        ensure!(channels > 0 && frames > 0 && columns > 0 && self.channels > 1, "an end of a band-split network has nothing to work on");
        let mut output = Tensor::zero::<f32>(&[1, self.channels, frames, self.columns])?;
        let fits = {
            let mut plain = output.try_as_plain_ram_mut()?;
            let out = plain.as_slice_mut::<f32>()?;
            match self.side {
                Side::Encoder => self.encode(x, [channels, frames, columns], weights, out),
                Side::Head => self.mask(x, Shape { features: channels, frames, bands: columns }, weights, out),
            }
        };
        ensure!(fits.is_some(), "the weights of a band-split network's {:?} do not belong together", self.side);
        Ok(tvec![output.into_tvalue()])
    }
}

impl End {
    /// `None` if the weights do not fit.
    fn encode(&self, x: &[f32], shape: [usize; 3], weights: &[&[f32]], out: &mut [f32]) -> Option<()> {
        let bands = weights.chunks(3).map(|of| match *of {
            [gain, linear, bias] => {
                let fits = !gain.is_empty()
                    && gain.len().is_multiple_of(shape[0])
                    && bias.len() == self.channels
                    && Some(linear.len()) == gain.len().checked_mul(bias.len());
                fits.then_some(band_encoder::Band { gain, linear: (linear, bias) })
            }
            _ => None,
        });
        let encoder = BandEncoder { epsilon: f32::from_bits(self.epsilon_bits), bands: bands.collect::<Option<_>>()? };
        let values: usize = encoder.bands.iter().map(|band| band.gain.len()).sum();
        let fits = encoder.bands.len() == self.columns && values == shape[0] * shape[2] && self.channels.is_multiple_of(8);
        fits.then(|| encoder.run(x, shape, out))
    }

    /// `None` if the weights do not fit.
    fn mask(&self, x: &[f32], shape: Shape, weights: &[&[f32]], out: &mut [f32]) -> Option<()> {
        let bands = weights.chunks(5).map(|of| match *of {
            [gain, hidden, hidden_bias, output, output_bias] => {
                let (units, outputs) = (hidden_bias.len(), output_bias.len());
                let fits = gain.len() == shape.features
                    && units > 0
                    && units.is_multiple_of(4)
                    && Some(hidden.len()) == gain.len().checked_mul(units)
                    && outputs.is_multiple_of(self.channels)
                    && outputs / self.channels >= 8
                    && Some(output.len()) == units.checked_mul(outputs);
                fits.then_some(band_head::Band { gain, hidden: (hidden, hidden_bias), output: (output, output_bias) })
            }
            _ => None,
        });
        let head = BandHead { epsilon: f32::from_bits(self.epsilon_bits), planes: self.channels, bands: bands.collect::<Option<_>>()? };
        let bins: usize = head.bands.iter().map(|band| band.output.1.len() / self.channels).sum();
        let fits = head.bands.len() == shape.bands && bins == self.columns;
        fits.then(|| head.run(x, shape, out))
    }
}

impl TypedOp for End {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let x = inputs.first().ok_or_else(|| format_err!("an end of a band-split network has an input"))?;
        Ok(tvec!(f32::fact([1.to_dim(), self.channels.to_dim(), x.shape[2].clone(), self.columns.to_dim()])))
    }

    fn cost(&self, inputs: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let Some((x, weights)) = inputs.split_first() else { return Ok(tvec!()) };
        let products: TDim = weights.iter().map(|weights| weights.shape.volume()).sum();
        Ok(tvec!((Cost::FMA(f32::datum_type()), products * &x.shape[2])))
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Shape, Side};

    const FRAMES: usize = 5;

    /// Whether an end with weights of these lengths runs; see the test of the other parts.
    fn runs(end: &End, x: [usize; 2], weights: &[usize]) -> bool {
        let [channels, columns] = x;
        let x = vec![0.5; channels * FRAMES * columns];
        let weights: Vec<Vec<f32>> = weights.iter().map(|length| vec![0.1; *length]).collect();
        let weights: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
        let mut out = vec![f32::NAN; end.channels * FRAMES * end.columns];
        let fits = match end.side {
            Side::Encoder => end.encode(&x, [channels, FRAMES, columns], &weights, &mut out),
            Side::Head => end.mask(&x, Shape { features: channels, frames: FRAMES, bands: columns }, &weights, &mut out),
        };
        assert!(fits.is_none() || out.iter().all(|value| value.is_finite()), "{weights:?}");
        fits.is_some()
    }

    #[test]
    fn weights_that_do_not_belong_together_are_refused() {
        let end = |side, channels, columns| End { side, channels, columns, epsilon_bits: 1e-5_f32.to_bits() };
        // Two planes of 3 and 4 bins to eight features; eight features to two planes of 8 and 9 bins.
        let encoder = (end(Side::Encoder, 8, 2), [2, 7], vec![6, 6 * 8, 8, 8, 8 * 8, 8]);
        let head = (end(Side::Head, 2, 17), [8, 2], vec![8, 8 * 4, 4, 4 * 16, 16, 8, 8 * 4, 4, 4 * 18, 18]);
        for (end, x, lengths) in [encoder, head] {
            assert!(runs(&end, x, &lengths));
            assert!(!runs(&end, x, &lengths[..lengths.len() - 1]) && !runs(&end, x, &lengths[..lengths.len() / 2]) && !runs(&end, x, &[]));
            assert!(!runs(&end, [x[0], x[1] + 1], &lengths) && !runs(&end, [x[0] + 1, x[1]], &lengths));
            assert!(!runs(&End { columns: end.columns + 1, ..end.clone() }, x, &lengths));
            assert!(!runs(&End { channels: end.channels + 1, ..end.clone() }, x, &lengths));
            for place in 0..lengths.len() {
                for wrong in [0, lengths[place] - 1, lengths[place] + 1, lengths[place] / 2, lengths[place] * 2] {
                    let wrong: Vec<_> = lengths.iter().enumerate().map(|(n, own)| if n == place { wrong } else { *own }).collect();
                    assert!(!runs(&end, x, &wrong), "{:?}: weights of {wrong:?}", end.side);
                }
            }
        }
    }
}
