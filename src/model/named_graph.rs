//! Running an ONNX graph of several inputs and outputs with tract.

use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::dimension::Value as Size};
use tract_onnx::pb::{tensor_proto::DataLocation, tensor_shape_proto::Dimension, type_proto};
use tract_onnx::prelude::*;

use super::manifest::Entry;
use super::network::{Dim, Graph, GraphPlan};
use super::runtime::{check_metadata, guard, text, values};
use super::{fused, graph, integrity};
use crate::error::{Error, Result};

/// One ONNX file of a model, checked and read.
pub struct NamedGraph {
    name: String,
    proto: ModelProto,
    inputs: Vec<(String, Vec<Dim>)>,
    weight_hash: String,
    /// Where one of our own steps computes all of it, that step.
    whole: Option<fused::Whole>,
}

impl NamedGraph {
    /// Checks the bytes against the file of this role in `entry`, and reads the network. `None` is the only file of a model of one.
    ///
    /// # Errors
    /// [`Error::ModelIntegrity`] if the digest differs; [`Error::ModelLoad`] if there is no such file, if the length, the operator set or
    /// the file's metadata differ from the manifest, or if the graph cannot be read.
    pub fn load(entry: &Entry, role: Option<&str>, bytes: &[u8]) -> Result<Self> {
        let weight_hash = integrity::verify(&entry.name, &entry.graph(role)?, bytes)?;
        guard(&entry.name, || {
            let mut proto = tract_onnx::onnx().proto_model_for_read(&mut &bytes[..]).map_err(text)?;
            check_metadata(entry, &proto)?;
            let graph = proto.graph.as_mut().ok_or("holds no graph")?;
            if graph.initializer.iter().any(|weight| weight.data_location == Some(DataLocation::External as i32)) {
                return Err("keeps weights in another file: give a self-contained one".into());
            }
            graph::drop_weights_from_inputs(graph);
            let inputs =
                graph.input.iter().map(|input| Ok((input.name.clone(), shape_of(input)?))).collect::<std::result::Result<_, String>>()?;
            let whole = fused::Whole::find(graph);
            Ok(Self { name: entry.name.clone(), proto, inputs, weight_hash, whole })
        })
    }

    /// SHA-256 of the file, in hex.
    #[must_use]
    pub fn weight_hash(&self) -> &str {
        &self.weight_hash
    }

    /// The graph with its inputs and outputs as asked for, in order.
    fn arranged(&self, inputs: &[(&str, &[usize])], outputs: &[&str]) -> std::result::Result<ModelProto, String> {
        let mut proto = self.proto.clone();
        let graph = proto.graph.as_mut().ok_or("holds no graph")?;
        if let Some((left_out, _)) = self.inputs.iter().find(|(name, _)| !inputs.iter().any(|(given, _)| given == name)) {
            return Err(format!("has an input {left_out} that its contract does not give it"));
        }
        graph.input = inputs.iter().map(|(name, shape)| with_shape(graph, name, shape)).collect::<std::result::Result<_, _>>()?;
        graph.output = outputs.iter().map(|name| found(&graph.output, name, "output")).collect::<std::result::Result<_, _>>()?;
        Ok(proto)
    }
}

impl Graph for NamedGraph {
    fn inputs(&self) -> &[(String, Vec<Dim>)] {
        &self.inputs
    }

    fn plan(&self, inputs: &[(&str, &[usize])], outputs: &[&str]) -> Result<Box<dyn GraphPlan>> {
        guard(&self.name, || {
            let proto = self.arranged(inputs, outputs)?;
            if let (Some(whole), &[(_, shape)]) = (&self.whole, inputs)
                && outputs.len() == 1
                && let Some((ready, output)) = whole.ready(shape)
            {
                let plan = WholePlan { input: shape.iter().product(), output_shapes: vec![output], ready };
                return Ok(Box::new(plan) as Box<dyn GraphPlan>);
            }
            let framework = tract_onnx::onnx().with_ignore_value_info(true);
            let model = framework.model_for_proto_model(&proto).and_then(|model| model.into_optimized()).map_err(text)?;
            let output_shapes = (0..outputs.len())
                .map(|index| {
                    let fact = model.output_fact(index).map_err(text)?;
                    let shape = fact.shape.as_concrete().ok_or("has an output whose shape its inputs do not fix")?;
                    Ok(shape.to_vec())
                })
                .collect::<std::result::Result<_, String>>()?;
            let plan = NamedPlan {
                name: self.name.clone(),
                input_shapes: inputs.iter().map(|(_, shape)| shape.to_vec()).collect(),
                output_shapes,
                runnable: TypedSimplePlan::new(model).map_err(text)?,
            };
            Ok(Box::new(plan) as Box<dyn GraphPlan>)
        })
    }
}

struct NamedPlan {
    name: String,
    input_shapes: Vec<Vec<usize>>,
    output_shapes: Vec<Vec<usize>>,
    runnable: Arc<TypedSimplePlan>,
}

impl GraphPlan for NamedPlan {
    fn output_shapes(&self) -> &[Vec<usize>] {
        &self.output_shapes
    }

    fn run(&self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        if inputs.len() != self.input_shapes.len() {
            return Err(Error::internal(format!("a network of {} inputs was given {}", self.input_shapes.len(), inputs.len())));
        }
        let outputs = guard(&self.name, || {
            let tensors = inputs.iter().zip(&self.input_shapes).map(|(values, shape)| Ok(Tensor::from_shape(shape, values)?.into_tvalue()));
            let tensors = tensors.collect::<TractResult<TVec<TValue>>>().map_err(text)?;
            self.runnable.run(tensors).map_err(text)
        })?;
        outputs.iter().map(|output| Ok(values(&self.name, output)?.to_vec())).collect()
    }
}

/// A plan for a graph that one of our own steps computes.
struct WholePlan {
    /// Values of the input.
    input: usize,
    output_shapes: Vec<Vec<usize>>,
    ready: fused::Ready,
}

impl GraphPlan for WholePlan {
    fn output_shapes(&self) -> &[Vec<usize>] {
        &self.output_shapes
    }

    fn run(&self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        match inputs {
            [input] if input.len() == self.input => Ok(vec![self.ready.run(input)]),
            _ => Err(Error::internal(format!("a network of one input of {} values was given {}", self.input, inputs.len()))),
        }
    }
}

fn found(infos: &[ValueInfoProto], name: &str, kind: &str) -> std::result::Result<ValueInfoProto, String> {
    infos.iter().find(|info| info.name == name).cloned().ok_or_else(|| {
        let names = infos.iter().map(|info| info.name.as_str()).collect::<Vec<_>>().join(", ");
        format!("has no {kind} {name}: it has {names}")
    })
}

fn with_shape(graph: &GraphProto, name: &str, shape: &[usize]) -> std::result::Result<ValueInfoProto, String> {
    let mut info = found(&graph.input, name, "input")?;
    let declared = shape_of(&info)?;
    let fits = declared.len() == shape.len()
        && declared.iter().zip(shape).all(|(dim, size)| matches!(dim, Dim::Dynamic) || *dim == Dim::Fixed(*size));
    if !fits {
        let declared = declared.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(format!("input {name} has the shape [{declared}], its contract gives it {shape:?}"));
    }
    if let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_mut().and_then(|kind| kind.value.as_mut()) {
        let dims = shape.iter().map(|&size| Dimension { value: Some(Size::DimValue(size as i64)), ..Dimension::default() }).collect();
        tensor.shape = Some(tract_onnx::pb::TensorShapeProto { dim: dims });
    }
    Ok(info)
}

fn shape_of(info: &ValueInfoProto) -> std::result::Result<Vec<Dim>, String> {
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return Err(format!("input {} is no tensor", info.name));
    };
    if tensor.elem_type != DataType::Float as i32 {
        return Err(format!("input {} must be f32, has ONNX element type {}", info.name, tensor.elem_type));
    }
    let dims = &tensor.shape.as_ref().ok_or_else(|| format!("input {} has no shape", info.name))?.dim;
    let size = |dim: &Dimension| match dim.value {
        Some(Size::DimValue(size)) if size > 0 => Dim::Fixed(size as usize),
        _ => Dim::Dynamic,
    };
    Ok(dims.iter().map(size).collect())
}
