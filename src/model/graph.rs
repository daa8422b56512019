//! The ONNX graph before tract sees it: its input's shape, and the cut into body and head.

use std::collections::{HashMap, HashSet};

use super::network::Dim;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value as Size};
use tract_onnx::pb::{GraphProto, ModelProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_proto::DataType, type_proto};

/// Name of the one dynamic dimension.
pub(super) const FRAMES: &str = "frames";

/// Operator set that the model is written in.
pub(super) fn opset(model: &ModelProto) -> i64 {
    model.opset_import.iter().find(|set| set.domain.is_empty() || set.domain == "ai.onnx").map_or(0, |set| set.version)
}

/// Files written before opset 9 list the weights among the inputs.
pub(super) fn drop_weights_from_inputs(graph: &mut GraphProto) {
    let weights: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    graph.input.retain(|input| !weights.contains(input.name.as_str()));
}

/// Checks that there is one f32 input and one output, gives the input's dynamic dimension its name, and returns the input's shape.
/// A dynamic batch becomes 1.
pub(super) fn normalise_input(graph: &mut GraphProto) -> Result<Vec<Dim>, String> {
    drop_weights_from_inputs(graph);
    let names = |infos: &[ValueInfoProto]| infos.iter().map(|info| info.name.clone()).collect::<Vec<_>>().join(", ");
    if graph.input.len() != 1 || graph.output.len() != 1 {
        let (inputs, outputs) = (names(&graph.input), names(&graph.output));
        return Err(format!("must have one input and one output, has inputs [{inputs}] and outputs [{outputs}]"));
    }
    let input = &mut graph.input[0];
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_mut().and_then(|kind| kind.value.as_mut()) else {
        return Err(format!("input {} is no tensor", input.name));
    };
    if tensor.elem_type != DataType::Float as i32 {
        return Err(format!("input {} must be f32, has ONNX element type {}", input.name, tensor.elem_type));
    }
    let dims = tensor.shape.as_mut().map(|shape| &mut shape.dim).ok_or_else(|| format!("input {} has no shape", input.name))?;
    let shape = dims.iter().enumerate().map(|(axis, dim)| match dim.value {
        Some(Size::DimValue(size)) if size > 0 => Dim::Fixed(size as usize),
        _ if axis == 0 => Dim::Fixed(1),
        _ => Dim::Dynamic,
    });
    let shape: Vec<Dim> = shape.collect();
    if shape.iter().filter(|dim| **dim == Dim::Dynamic).count() > 1 {
        return Err(format!("input {} has more than one dynamic dimension", input.name));
    }
    *dims = shape.iter().map(|dim| dimension(*dim)).collect();
    Ok(shape)
}

/// The graph up to tensor `features`.
pub(super) fn body(model: &ModelProto, features: &str) -> Result<ModelProto, String> {
    let graph = model.graph.as_ref().ok_or("has no graph")?;
    let produced = graph.node.iter().any(|node| node.output.iter().any(|output| output == features));
    if !produced {
        return Err(format!("has no tensor named {features}, which its manifest gives as parameters.features"));
    }
    let output = ValueInfoProto { name: features.to_owned(), ..ValueInfoProto::default() };
    Ok(subgraph(model, graph, graph.input.clone(), vec![output]))
}

/// The graph from tensor `features`, of shape `shape`, to the output.
pub(super) fn head(model: &ModelProto, features: &str, shape: &[Dim]) -> Result<ModelProto, String> {
    let graph = model.graph.as_ref().ok_or("has no graph")?;
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: shape.iter().map(|dim| dimension(*dim)).collect() }),
    };
    let input = ValueInfoProto {
        name: features.to_owned(),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() }),
        ..ValueInfoProto::default()
    };
    let head = subgraph(model, graph, vec![input], graph.output.clone());
    let reads_input = head.graph.iter().flat_map(|graph| &graph.node).flat_map(|node| &node.input);
    match graph.input.iter().find(|input| reads_input.clone().any(|name| *name == input.name)) {
        Some(input) => Err(format!("tensor {features} does not cut the graph in two: what follows it reads input {} too", input.name)),
        None => Ok(head),
    }
}

/// The nodes and weights that `outputs` need, going back no further than `inputs`.
fn subgraph(model: &ModelProto, graph: &GraphProto, inputs: Vec<ValueInfoProto>, outputs: Vec<ValueInfoProto>) -> ModelProto {
    let makers: HashMap<&str, usize> =
        graph.node.iter().enumerate().flat_map(|(index, node)| node.output.iter().map(move |name| (name.as_str(), index))).collect();
    let mut seen: HashSet<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let mut wanted: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    let mut kept = HashSet::new();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name) {
            continue;
        }
        if let Some(index) = makers.get(name)
            && kept.insert(*index)
        {
            wanted.extend(graph.node[*index].input.iter().map(String::as_str));
        }
    }
    let part = GraphProto {
        node: graph.node.iter().enumerate().filter(|(index, _)| kept.contains(index)).map(|(_, node)| node.clone()).collect(),
        initializer: graph.initializer.iter().filter(|weight| seen.contains(weight.name.as_str())).cloned().collect(),
        name: graph.name.clone(),
        input: inputs,
        output: outputs,
        ..GraphProto::default()
    };
    ModelProto { graph: Some(part), opset_import: model.opset_import.clone(), ir_version: model.ir_version, ..ModelProto::default() }
}

fn dimension(dim: Dim) -> Dimension {
    let size = match dim {
        Dim::Fixed(size) => Size::DimValue(size as i64),
        Dim::Dynamic => Size::DimParam(FRAMES.to_owned()),
    };
    Dimension { value: Some(size), ..Dimension::default() }
}
