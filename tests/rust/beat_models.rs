//! Beat networks of a folder with a manifest, loaded as the product loads them.

use std::sync::Arc;

use otolith::beat::activation::BeatNetwork;
use otolith::beat::{CausalNetwork, ModelName};
use otolith::model::{Entry, Manifest, NamedGraph};

/// Those that the package ships.
pub const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
/// Small networks with random weights and what onnxruntime gives for them, by `tools/beat_network_fixtures.py`.
pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/beat_network");

/// The folder's manifest entry of this contract.
pub fn entry(folder: &str, contract: &str) -> Entry {
    let json = std::fs::read_to_string(format!("{folder}/manifest.json")).unwrap();
    let manifest = Manifest::parse(&json, env!("CARGO_PKG_VERSION")).unwrap();
    manifest.models.into_iter().find(|entry| entry.contract == contract).unwrap()
}

/// The graph of an entry that has this role.
pub fn graph(folder: &str, entry: &Entry, role: &str) -> NamedGraph {
    let file = entry.graph(Some(role)).unwrap().file;
    NamedGraph::load(entry, Some(role), &std::fs::read(format!("{folder}/{file}")).unwrap()).unwrap()
}

/// How results call an entry.
pub fn name(entry: &Entry) -> ModelName {
    ModelName { name: entry.name.clone(), version: entry.model_version.clone() }
}

/// The graphs of the network for whole files: front, trunk, tempo.
pub fn graphs(folder: &str, entry: &Entry) -> [NamedGraph; 3] {
    ["front", "trunk", "tempo"].map(|role| graph(folder, entry, role))
}

/// The network for whole files.
pub fn network(folder: &str) -> Arc<BeatNetwork> {
    let entry = entry(folder, "beat-activations");
    let [front, trunk, tempo] = graphs(folder, &entry);
    Arc::new(BeatNetwork::new(&front, Box::new(trunk), &tempo, name(&entry)).unwrap())
}

/// The network for streams.
pub fn causal_network(folder: &str) -> Arc<CausalNetwork> {
    let entry = entry(folder, "beat-activations-causal");
    Arc::new(CausalNetwork::new(&graph(folder, &entry, "block"), name(&entry)).unwrap())
}
