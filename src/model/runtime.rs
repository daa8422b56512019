//! Running an ONNX network with tract.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::pb::{ModelProto, tensor_proto::DataLocation};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::Cost;
use tract_onnx::tract_core::plan::eval;

use super::integrity;
use super::manifest::Entry;
use super::network::{Dim, Network, Run, Slice};
use super::{fused, graph};
use crate::error::{Error, Result};

/// Operator sets that tract is tested with.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=18;
/// Runnable plans kept: that of full chunks and that of a short file.
const CACHED_PLANS: usize = 2;
/// Longest run of frames that the head works on at once: the output of a whole chunk never exists.
const HEAD_FRAMES: usize = 128;
/// Cost of one output value of an operator that counts no multiply-adds, in multiply-adds. On an x86 core matrix products take 0.04 ns
/// a multiply-add and norms, softmax and copies 1 to 2 ns a value.
const VALUE_COST: f64 = 32.0;

/// A network that is ready to run.
pub struct Model {
    name: String,
    weight_hash: String,
    input: Vec<Dim>,
    body: Stage,
    head: Option<Head>,
    /// Least recently used first.
    plans: Vec<(usize, Arc<Plans>)>,
}

/// One part of the network, its frame count open.
struct Stage {
    model: TypedModel,
}

struct Head {
    stage: Stage,
    /// The dimension of the features that counts frames.
    axis: usize,
}

struct Plans {
    body: Plan,
    head: Option<(usize, Plan)>,
}

/// One part of the network for one frame count.
struct Plan {
    runnable: Arc<TypedSimplePlan>,
    /// Estimated work by node id.
    costs: Vec<f64>,
}

impl Model {
    /// Checks the bytes against `entry`, and reads the network.
    ///
    /// # Errors
    /// [`Error::ModelIntegrity`] if the digest differs; [`Error::ModelLoad`] if the length, the operator set or the file's metadata differ
    /// from the manifest, or if the graph cannot be read.
    pub fn load(entry: &Entry, bytes: &[u8]) -> Result<Self> {
        let weight_hash = integrity::verify(&entry.name, &entry.graph(None)?, bytes)?;
        guard(&entry.name, || {
            let mut proto = tract_onnx::onnx().proto_model_for_read(&mut &bytes[..]).map_err(text)?;
            check_metadata(entry, &proto)?;
            let graph = proto.graph.as_mut().ok_or("holds no graph")?;
            if graph.initializer.iter().any(|weight| weight.data_location == Some(DataLocation::External as i32)) {
                return Err("keeps weights in another file: give a self-contained one".into());
            }
            let input = graph::normalise_input(graph)?;
            let (body, head) = match &entry.parameters.features {
                None => (Stage::new(proto)?, None),
                Some(features) => {
                    let body = Stage::new(graph::body(&proto, features)?)?;
                    let shape = body.output_shape()?;
                    let axis = shape.iter().position(|dim| *dim == Dim::Dynamic);
                    let axis = axis.ok_or_else(|| format!("tensor {features} has no dimension that counts frames"))?;
                    let stage = Stage::new(graph::head(&proto, features, &shape)?)?;
                    (body, Some(Head { stage, axis }))
                }
            };
            Ok(Self { name: entry.name.clone(), weight_hash, input, body, head, plans: Vec::new() })
        })
    }

    /// SHA-256 of the file, in hex.
    #[must_use]
    pub fn weight_hash(&self) -> &str {
        &self.weight_hash
    }

    fn plans(&mut self, frames: usize) -> Result<Arc<Plans>> {
        if let Some(place) = self.plans.iter().position(|(cached, _)| *cached == frames) {
            let found = self.plans.remove(place);
            self.plans.push(found);
        } else {
            let plans = guard(&self.name, || {
                let slice = slice_length(frames);
                let head = self.head.as_ref().map(|head| Ok::<_, String>((slice, head.stage.plan(slice)?))).transpose()?;
                Ok(Plans { body: self.body.plan(frames)?, head })
            })?;
            if self.plans.len() == CACHED_PLANS {
                self.plans.remove(0);
            }
            self.plans.push((frames, Arc::new(plans)));
        }
        let newest = self.plans.last().map(|(_, plans)| Arc::clone(plans));
        newest.ok_or_else(|| Error::internal("the plan just made is gone"))
    }
}

impl Network for Model {
    fn input(&self) -> &[Dim] {
        &self.input
    }

    /// Where the graph is cut, the head runs on equal slices of at most 128 frames.
    fn run(&mut self, shape: &[usize], run: Run<'_>) -> Result<()> {
        let frames = self.input.iter().zip(shape).find(|(dim, _)| **dim == Dim::Dynamic).map_or(0, |(_, size)| *size);
        let plans = self.plans(frames)?;
        let name = &self.name;
        let mut input = guard(name, || Tensor::zero::<f32>(shape).map_err(text))?;
        fill(name, &mut input, run.fill)?;
        let input = input.into_tvalue();
        let mut done = 0.0;
        let total = plans.total(frames);
        let mut step = |cost: f64| {
            done += cost;
            (run.progress)((done / total).min(1.0));
        };
        let features = guard(name, || plans.body.run(input.clone(), &mut step))?;
        let Some((length, head)) = &plans.head else {
            return (run.output)(values(name, &input)?, Slice { start: 0, shape: features.shape(), values: values(name, &features)? });
        };
        let axis = self.head.as_ref().map_or(0, |head| head.axis);
        for start in slice_starts(frames, *length) {
            let part = guard(name, || {
                let features = features.slice(axis, start, start + length).map_err(text)?;
                head.run(features.into_tvalue(), &mut step)
            })?;
            (run.output)(values(name, &input)?, Slice { start, shape: part.shape(), values: values(name, &part)? })?;
        }
        Ok(())
    }
}

impl Stage {
    /// Fuses what it finds: after the cut, so that no part has the cut inside.
    fn new(mut proto: ModelProto) -> std::result::Result<Self, String> {
        proto.graph.as_mut().into_iter().for_each(fused::fuse);
        let mut framework = tract_onnx::onnx().with_ignore_value_info(true);
        fused::register(&mut framework);
        let model = framework.model_for_proto_model(&proto).and_then(|model| model.into_typed()).map_err(text)?;
        Ok(Self { model: model.into_decluttered().map_err(text)? })
    }

    fn output_shape(&self) -> std::result::Result<Vec<Dim>, String> {
        let fact = self.model.output_fact(0).map_err(text)?;
        let open = self.model.symbols.get(graph::FRAMES).map(TDim::from);
        let dims = fact.shape.iter().map(|dim| match dim.to_i64() {
            Ok(size) => Ok(Dim::Fixed(size as usize)),
            Err(_) if Some(dim) == open.as_ref() => Ok(Dim::Dynamic),
            Err(_) => Err(format!("parameters.features names a tensor with a dimension of {dim}: it must be fixed or the frames'")),
        });
        dims.collect()
    }

    fn plan(&self, frames: usize) -> std::result::Result<Plan, String> {
        let model = match self.model.symbols.get(graph::FRAMES) {
            Some(symbol) => self.model.set_symbols(&[(symbol, TDim::from(frames as i64))].into_iter().collect()),
            None => Ok(self.model.clone()),
        };
        let model = model.and_then(|model| model.into_decluttered()).and_then(|model| model.into_optimized()).map_err(text)?;
        let costs = model.nodes().iter().map(|node| cost(&model, node)).collect();
        Ok(Plan { runnable: TypedSimplePlan::new(model).map_err(text)?, costs })
    }
}

impl Plans {
    fn total(&self, frames: usize) -> f64 {
        let head = self.head.as_ref().map_or(0.0, |(length, head)| head.total() * slice_starts(frames, *length).count() as f64);
        self.body.total() + head
    }
}

impl Plan {
    fn run(&self, input: TValue, step: &mut dyn FnMut(f64)) -> std::result::Result<TValue, String> {
        let mut state = self.runnable.spawn().map_err(text)?;
        let outputs = state.run_plan_with_eval(tvec![input], |context, op_state, node, inputs| {
            let outputs = eval(context, op_state, node, inputs);
            step(self.costs.get(node.id).copied().unwrap_or(0.0));
            outputs
        });
        outputs.map_err(text)?.into_iter().next().ok_or_else(|| "gave no output".into())
    }

    fn total(&self) -> f64 {
        self.runnable.order_without_consts().iter().filter_map(|node| self.costs.get(*node)).sum()
    }
}

/// Estimated work of a node, in multiply-adds.
fn cost(model: &TypedModel, node: &TypedNode) -> f64 {
    let Ok(inputs) = model.node_input_facts(node.id) else { return 0.0 };
    let counted = node.op.cost(&inputs).unwrap_or_default();
    let products: f64 =
        counted.iter().filter(|(kind, _)| matches!(kind, Cost::FMA(_))).filter_map(|(_, n)| n.to_i64().ok()).map(|n| n as f64).sum();
    if products > 0.0 {
        return products;
    }
    let values = node.outputs.iter().filter_map(|output| output.fact.shape.volume().to_i64().ok()).sum::<i64>();
    values as f64 * VALUE_COST
}

/// Frames of each of the fewest equal slices of at most 128 frames.
fn slice_length(frames: usize) -> usize {
    frames.div_ceil(frames.div_ceil(HEAD_FRAMES).max(1)).max(1)
}

/// First frames of the slices; the last one is pulled back so that it is as long as the others.
fn slice_starts(frames: usize, length: usize) -> impl Iterator<Item = usize> {
    (0..frames.div_ceil(length)).map(move |slice| (slice * length).min(frames.saturating_sub(length)))
}

pub(super) fn check_metadata(entry: &Entry, proto: &ModelProto) -> std::result::Result<(), String> {
    let opset = graph::opset(proto);
    if !OPSETS.contains(&opset) {
        return Err(format!("is written in ONNX opset {opset}, read are {} to {}: export it again", OPSETS.start(), OPSETS.end()));
    }
    let own = |key: &str| proto.metadata_props.iter().find(|property| property.key == key).map(|property| property.value.as_str());
    let found = opset.to_string();
    let pairs = [
        ("opset", Some(found.as_str()), entry.opset.to_string()),
        ("name", own("name"), entry.name.clone()),
        ("model_version", own("model_version"), entry.model_version.clone()),
        ("licence", own("licence"), entry.licence.clone()),
    ];
    for (key, found, wanted) in pairs {
        if let Some(found) = found
            && found != wanted
        {
            return Err(format!("its file says {key} is {found:?}, its manifest {wanted:?}: use the manifest that belongs to the file"));
        }
    }
    Ok(())
}

pub(super) fn values<'a>(name: &str, tensor: &'a Tensor) -> Result<&'a [f32]> {
    tensor.try_as_plain_ram().and_then(|view| view.as_slice::<f32>()).map_err(|error| refuse(name, &text(error)))
}

fn fill(name: &str, tensor: &mut Tensor, write: &mut dyn FnMut(&mut [f32]) -> Result<()>) -> Result<()> {
    let mut view = tensor.try_as_plain_ram_mut().map_err(|error| refuse(name, &text(error)))?;
    write(view.as_slice_mut().map_err(|error| refuse(name, &text(error)))?)
}

fn refuse(name: &str, what: &str) -> Error {
    Error::ModelLoad { name: name.to_owned(), what: what.to_owned() }
}

/// tract's error with its causes.
pub(super) fn text(error: TractError) -> String {
    format!("{error:#}")
}

/// Runs `work` on a foreign network: what it refuses and, where panics unwind, what it panics on becomes [`Error::ModelLoad`].
pub(super) fn guard<T>(name: &str, work: impl FnOnce() -> std::result::Result<T, String>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|what| refuse(name, &what)),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(refuse(name, &format!("the network runtime gave up: {}", said.unwrap_or("no reason given"))))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tract_onnx::prelude::{Datum, DatumType, f16};
    use tract_onnx::tract_core::ops::cast::Cast;

    use super::{Model, Plan, Stage, slice_length, slice_starts};
    use crate::model::{Entry, Manifest};

    /// Shipped separators with their bytes.
    pub fn shipped() -> Vec<(Entry, Vec<u8>)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models/");
        let json = std::fs::read_to_string(format!("{folder}manifest.json")).unwrap();
        let manifest = Manifest::parse(&json, env!("CARGO_PKG_VERSION")).unwrap();
        let read = |entry: &Entry| std::fs::read(format!("{folder}{}", entry.file.as_ref().unwrap())).unwrap();
        let separators = manifest.models.into_iter().filter(|entry| entry.kind == "separator");
        separators.map(|entry| (entry.clone(), read(&entry))).collect()
    }

    #[test]
    fn half_precision_weights_are_cast_once_at_load_and_never_in_a_run() {
        for (entry, bytes) in shipped() {
            let mut model = Model::load(&entry, &bytes).unwrap();
            let plans = model.plans(65).unwrap();
            for Plan { runnable, .. } in [Some(&plans.body), plans.head.as_ref().map(|(_, head)| head)].into_iter().flatten() {
                for id in runnable.order_without_consts() {
                    let node = runnable.model().node(*id);
                    let half: DatumType = f16::datum_type();
                    assert!(!node.op_is::<Cast>(), "{}", node.name);
                    assert!(runnable.model().node_input_facts(*id).unwrap().iter().all(|fact| fact.datum_type != half), "{}", node.name);
                }
            }
        }
    }

    #[test]
    fn every_part_of_our_networks_is_found_and_fused() {
        for (entry, bytes) in shipped() {
            let model = Model::load(&entry, &bytes).unwrap();
            let names = |stage: &Stage| stage.model.nodes().iter().map(|node| node.op.name().into_owned()).collect::<Vec<_>>();
            let operators = names(&model.body);
            let fused = operators.iter().filter(|name| *name == "OtolithPart").count();
            // A block is two paths of two feed-forward parts and an attention; nothing of them may be left over.
            assert!(fused >= 18 && fused % 6 == 0, "{}: {fused}", entry.name);
            assert!(!operators.iter().any(|name| ["Conv", "Softmax", "Sigmoid"].contains(&name.as_str())), "{operators:?}");
            let head = names(&model.head.as_ref().unwrap().stage);
            for (end, operators) in [("encoder", &operators), ("head", &head)] {
                let products = operators.iter().filter(|name| ["MatMul", "EinSum"].contains(&name.as_str())).count();
                let ends = operators.iter().filter(|name| *name == "OtolithBandSplit").count();
                assert_eq!((ends, products), (1, 0), "{} of {}: {operators:?}", end, entry.name);
            }
        }
    }

    #[test]
    fn slices_are_equal_at_most_128_frames_long_and_cover_every_frame_in_order() {
        assert_eq!((slice_length(777), slice_length(65), slice_length(129)), (111, 65, 65));
        for frames in 1..1000 {
            let length = slice_length(frames);
            assert!((1..=128).contains(&length));
            let mut covered = 0;
            for start in slice_starts(frames, length) {
                assert!(start <= covered && start + length > covered, "{frames}: gap or repeat at {start}");
                covered = start + length;
            }
            assert_eq!(covered, frames);
        }
    }
}
