//! Graphs that are run as one step from input to output: found in the file by what they compute, run without a runtime between.

use std::collections::HashMap;

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};

use super::dilated::{DilatedStack, Level};
use super::pooled::{PooledLayer, PooledStack};

/// Weights of a convolution, row-major, and its bias for each output.
#[derive(Debug, Clone, PartialEq)]
pub struct Convolution {
    /// `[out][in]` and the sizes of the kernel.
    pub shape: Vec<usize>,
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
}

/// A graph that one of our steps computes whole.
#[derive(Debug, Clone)]
pub enum Whole {
    /// [`PooledStack`] over rows of this many bands.
    Pooled(Vec<PooledLayer>),
    /// [`DilatedStack`].
    Dilated(Vec<Level>, Vec<Convolution>),
}

/// A [`Whole`] that is ready for an input's shape.
pub enum Ready {
    Pooled(PooledStack),
    Dilated(DilatedStack, usize),
}

impl Whole {
    /// What this graph is, if it is one of ours: of one input and one output, with f32 weights.
    pub fn find(graph: &GraphProto) -> Option<Self> {
        let ([input], [output]) = (graph.input.as_slice(), graph.output.as_slice()) else { return None };
        let view = View::new(graph, &input.name);
        view.pooled(&output.name).or_else(|| view.dilated(&output.name))
    }

    /// Readies it for an input of this shape; gives the output's shape too. `None` if it cannot take it.
    pub fn ready(&self, shape: &[usize]) -> Option<(Ready, Vec<usize>)> {
        match (self, shape) {
            (Self::Pooled(layers), &[1, 1, rows, bands]) => {
                let stack = PooledStack::new(layers, bands)?;
                let [features, frames] = stack.output_shape(rows)?;
                Some((Ready::Pooled(stack), vec![1, features, frames]))
            }
            (Self::Dilated(levels, heads), &[1, features, frames]) if frames > 0 => {
                let stack = DilatedStack::new(levels.clone(), heads.clone())?;
                let outputs = stack.outputs();
                (stack.features() == features).then_some((Ready::Dilated(stack, frames), vec![1, outputs, frames]))
            }
            _ => None,
        }
    }
}

impl Ready {
    /// Values of the output, row-major, from those of the input.
    pub fn run(&self, input: &[f32]) -> Vec<f32> {
        match self {
            Self::Pooled(stack) => stack.run(input),
            Self::Dilated(stack, frames) => stack.run(input, *frames),
        }
    }
}

/// A graph, to be read from its output back to its input.
struct View<'a> {
    input: &'a str,
    makers: HashMap<&'a str, &'a NodeProto>,
    weights: HashMap<&'a str, (Vec<usize>, Vec<f32>)>,
    integers: HashMap<&'a str, Vec<i64>>,
}

impl<'a> View<'a> {
    fn new(graph: &'a GraphProto, input: &'a str) -> Self {
        let makers = graph.node.iter().flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node))).collect();
        let (mut weights, mut integers) = (HashMap::new(), HashMap::new());
        for tensor in &graph.initializer {
            let shape: Vec<usize> = tensor.dims.iter().map(|size| *size as usize).collect();
            if tensor.data_type == 1 {
                let raw = tensor.raw_data.chunks_exact(4).filter_map(|word| Some(f32::from_le_bytes(word.try_into().ok()?)));
                let values: Vec<f32> = if tensor.raw_data.is_empty() { tensor.float_data.clone() } else { raw.collect() };
                if values.len() == shape.iter().product::<usize>() {
                    weights.insert(tensor.name.as_str(), (shape, values));
                }
            } else if tensor.data_type == 7 {
                let raw = tensor.raw_data.chunks_exact(8).filter_map(|word| Some(i64::from_le_bytes(word.try_into().ok()?)));
                integers.insert(tensor.name.as_str(), if tensor.raw_data.is_empty() { tensor.int64_data.clone() } else { raw.collect() });
            }
        }
        Self { input, makers, weights, integers }
    }

    /// The node that makes `tensor`, if it is an `operator`, and what it reads.
    fn made<const N: usize>(&self, tensor: &str, operator: &str) -> Option<(&'a NodeProto, [&'a str; N])> {
        let node = self.makers.get(tensor).copied().filter(|node| node.op_type == operator && node.domain.is_empty())?;
        let inputs = <[&str; N]>::try_from(node.input.iter().map(String::as_str).collect::<Vec<_>>()).ok()?;
        Some((node, inputs))
    }

    /// What an ELU of `tensor` reads.
    fn elu(&self, tensor: &str) -> Option<&'a str> {
        let (node, [from]) = self.made(tensor, "Elu")?;
        node.attribute.iter().all(|attribute| attribute.name == "alpha" && attribute.f == 1.0).then_some(from)
    }

    /// A convolution with no attribute but these: what it reads, its weights, and its attributes' values in order, 1 or 0 where absent.
    fn convolution(&self, tensor: &str, allowed: &[&str]) -> Option<(&'a str, Convolution, &'a NodeProto)> {
        let (node, [from, weights, bias]) = self.made(tensor, "Conv")?;
        if node.attribute.iter().any(|attribute| !allowed.contains(&attribute.name.as_str())) {
            return None;
        }
        let ((shape, weights), (_, bias)) = (self.weights.get(weights)?, self.weights.get(bias)?);
        let convolution = Convolution { shape: shape.clone(), weights: weights.clone(), bias: bias.clone() };
        (shape.first() == Some(&bias.len())).then_some((from, convolution, node))
    }

    /// `squeeze(elu(pool(conv(..))))` of the input.
    fn pooled(&self, output: &str) -> Option<Whole> {
        let (_, [mut tensor, axes]) = self.made(output, "Squeeze")?;
        if self.integers.get(axes)? != &[3] {
            return None;
        }
        let mut layers = Vec::new();
        while tensor != self.input {
            let (node, [pooled]) = self.made(self.elu(tensor)?, "MaxPool")?;
            let &[1, pool] = integers(node, "kernel_shape")? else { return None };
            let plain = node.attribute.iter().all(|attribute| ["kernel_shape", "strides"].contains(&attribute.name.as_str()));
            if !plain || integers(node, "strides")? != [1, pool] || pool < 1 {
                return None;
            }
            let (from, convolution, _) = self.convolution(pooled, &[])?;
            layers.push(PooledLayer { convolution, pool: pool as usize });
            tensor = from;
        }
        layers.reverse();
        Some(Whole::Pooled(layers))
    }

    /// Heads and the sum of skips over levels.
    fn dilated(&self, output: &str) -> Option<Whole> {
        let node = self.makers.get(output).copied().filter(|node| node.op_type == "Concat" && is_axis_1(node))?;
        let (total, heads) = node.input.split_last()?;
        let heads = heads.iter().map(|head| {
            let (_, [logits]) = self.made(head, "Sigmoid")?;
            let (from, convolution, _) = self.convolution(logits, &[])?;
            Some((from, convolution))
        });
        let heads = heads.collect::<Option<Vec<_>>>()?;
        let mut tensor = heads.first()?.0;
        if heads.iter().any(|(from, _)| *from != tensor) {
            return None;
        }
        let (mut levels, mut skips) = (Vec::new(), Vec::new());
        while tensor != self.input {
            let (level, from, skip) = self.level(tensor)?;
            levels.push(level);
            skips.push(skip);
            tensor = from;
        }
        levels.reverse();
        // From the last skip back: total = (((first + second) + ..) + last).
        let mut sum = total.as_str();
        for (place, skip) in skips.iter().enumerate() {
            if place + 1 == skips.len() {
                return (sum == *skip).then(|| Whole::Dilated(levels, heads.into_iter().map(|(_, head)| head).collect()));
            }
            let (_, [before, last]) = self.made(sum, "Add")?;
            if last != *skip {
                return None;
            }
            sum = before;
        }
        None
    }

    /// The level whose output `tensor` is, what it reads, and the tensor of its skip.
    fn level(&self, tensor: &str) -> Option<(Level, &'a str, &'a str)> {
        let (_, [skip_tensor, straight]) = self.made(tensor, "Add")?;
        let (from, straight, _) = self.convolution(straight, &[])?;
        let (activated, skip, _) = self.convolution(skip_tensor, &[])?;
        let (node, [near, far]) = self.made(self.elu(activated)?, "Concat")?;
        let (near, far) = (self.centred(near)?, self.centred(far)?);
        let fits = is_axis_1(node) && near.0 == from && far.0 == from;
        fits.then_some((Level { near: (near.1, near.2), far: (far.1, far.2), skip, straight }, from, skip_tensor))
    }

    /// A dilated convolution that keeps the number of frames: what it reads, its weights, its dilation.
    fn centred(&self, tensor: &str) -> Option<(&'a str, Convolution, usize)> {
        let (from, convolution, node) = self.convolution(tensor, &["dilations", "pads"])?;
        let (&[dilation], &[before, after]) = (integers(node, "dilations")?, integers(node, "pads")?) else { return None };
        let &[_, _, taps] = convolution.shape.as_slice() else { return None };
        let reach = (taps as i64 - 1) * dilation;
        (dilation > 0 && before == after && 2 * before == reach).then_some((from, convolution, dilation as usize))
    }
}

fn integers<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    node.attribute.iter().find(|attribute: &&AttributeProto| attribute.name == name).map(|attribute| attribute.ints.as_slice())
}

fn is_axis_1(node: &NodeProto) -> bool {
    matches!(node.attribute.as_slice(), [axis] if axis.name == "axis" && axis.i == 1)
}

#[cfg(test)]
pub mod tests {
    use tract_onnx::pb::GraphProto;
    use tract_onnx::prelude::Framework;

    use super::{Convolution, Whole};

    /// Random weights and bias of this shape.
    pub fn convolution(shape: &[usize], seed: u64) -> Convolution {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
        };
        let weights = (0..shape.iter().product()).map(|_| 0.6 * next()).collect();
        Convolution { shape: shape.to_vec(), weights, bias: (0..shape[0]).map(|_| next()).collect() }
    }

    fn graph(file: &str) -> GraphProto {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/beat_network/");
        let bytes = std::fs::read(format!("{folder}{file}")).unwrap();
        tract_onnx::onnx().proto_model_for_read(&mut bytes.as_slice()).unwrap().graph.unwrap()
    }

    #[test]
    fn the_graphs_of_a_beat_network_are_found_and_take_their_shapes() {
        let front = Whole::find(&graph("beat-tcn-front-0.0.1.onnx")).unwrap();
        assert!(matches!(&front, Whole::Pooled(layers) if layers.len() == 3));
        assert_eq!(front.ready(&[1, 1, 516, 81]).unwrap().1, [1, 20, 512]);
        assert!(front.ready(&[1, 1, 516, 120]).is_none() && front.ready(&[1, 1, 4, 81]).is_none() && front.ready(&[1, 20, 516]).is_none());
        let trunk = Whole::find(&graph("beat-tcn-trunk-0.0.1.onnx")).unwrap();
        assert!(matches!(&trunk, Whole::Dilated(levels, heads) if (levels.len(), heads.len()) == (3, 2)));
        assert_eq!(trunk.ready(&[1, 20, 77]).unwrap().1, [1, 22, 77]);
        assert!(trunk.ready(&[1, 24, 77]).is_none() && trunk.ready(&[1, 20, 0]).is_none());
    }

    #[test]
    fn a_graph_that_computes_anything_else_is_left_to_the_runtime() {
        for file in ["beat-causal-block-0.0.1.onnx", "beat-tcn-tempo-0.0.1.onnx"] {
            assert!(Whole::find(&graph(file)).is_none(), "{file}");
        }
        for file in ["beat-tcn-front-0.0.1.onnx", "beat-tcn-trunk-0.0.1.onnx"] {
            for node in 0..graph(file).node.len() {
                let mut changed = graph(file);
                changed.node[node].op_type = "Identity".into();
                assert!(Whole::find(&changed).is_none(), "{file} without its node {node}");
            }
            let mut changed = graph(file);
            let elu = changed.node.iter_mut().find(|node| node.op_type == "Elu").unwrap();
            elu.attribute[0].f = 0.5;
            assert!(Whole::find(&changed).is_none(), "{file} with another ELU");
        }
    }
}
