//! The manifest: what is read, what is refused, and how.

use otolith::model::manifest::{Consistency, Gain};
use otolith::model::{Entry, Manifest};
use serde_json::{Value, json};

/// An entry with everything a separator needs.
fn separator() -> Value {
    json!({
        "name": "separator-2", "kind": "separator", "model_version": "1.0.0", "file": "separator-2-1.0.0.onnx", "bytes": 4990000,
        "sha256": "ab".repeat(32), "opset": 17, "min_package_version": "0.1.0", "licence": "MIT OR Apache-2.0",
        "contract": "complex-mask", "sample_rate": 44100, "stems": ["vocals", "instrumental"],
    })
}

fn with(key: &str, value: Value) -> Value {
    let mut entry = separator();
    entry[key] = value;
    entry
}

fn refusal(entry: &Value) -> String {
    let error = Entry::parse(&entry.to_string(), "0.1.0").unwrap_err();
    assert_eq!(error.kind(), "model-load", "{error}");
    error.to_string()
}

#[test]
fn absent_keys_have_their_contracts_defaults_and_unknown_ones_are_ignored() {
    let mut value = with("colour", json!("green"));
    value["parameters"] = json!({ "features": "features", "taste": 3 });
    let entry = Entry::parse(&value.to_string(), "0.1.0").unwrap();
    let parameters = &entry.parameters;
    assert_eq!((parameters.n_fft, parameters.hop, parameters.gain, parameters.consistency), (4096, 1024, Gain::Std, Consistency::Energy));
    assert_eq!((entry.residual.as_str(), entry.residual_index()), ("instrumental", 1));
    assert_eq!(parameters.features.as_deref(), Some("features"));
}

#[test]
fn each_contract_has_its_own_defaults_and_bounds() {
    let of = |contract: &str, parameters: Value| {
        let mut value = with("contract", json!(contract));
        value["parameters"] = parameters;
        value
    };
    let read = |value: &Value| Entry::parse(&value.to_string(), "0.1.0").unwrap();
    let waveform = read(&of("waveform", json!({})));
    assert_eq!((waveform.parameters.gain, waveform.parameters.consistency), (Gain::None, Consistency::Residual));
    assert_eq!(waveform.outputs(), ["vocals", "instrumental"]);
    let mdx = read(&of("mdx", json!({ "gain": "std" })));
    let parameters = &mdx.parameters;
    assert_eq!((parameters.n_fft, parameters.hop, parameters.bins, parameters.frames), (6144, 1024, 3072, Some(256)));
    assert_eq!((parameters.gain, parameters.compensate), (Gain::Std, 1.0));
    assert_eq!((mdx.outputs(), mdx.stem_names()), (vec!["vocals".to_owned()], mdx.stems.clone()));
    for (contract, parameters, told) in [
        ("mdx", json!({ "bins": 3074 }), "3073"),
        ("mdx", json!({ "frames": null }), "frames"),
        ("mdx", json!({ "compensate": 0 }), "compensate"),
        ("mdx", json!({ "consistency": "energy" }), "residual"),
        ("waveform", json!({ "consistency": "energy" }), "residual"),
        ("waveform", json!({ "samples": 100 }), "0.25..60 s"),
        ("waveform", json!({ "samples": 44_100 * 61 }), "0.25..60 s"),
        ("waveform", json!({ "features": "features" }), "complex-mask"),
    ] {
        let refused = refusal(&of(contract, parameters));
        assert!(refused.contains(told), "{refused}");
    }
    let mut many = of("mdx", json!({}));
    many["stems"] = json!(["vocals", "drums", "rest"]);
    assert!(refusal(&many).contains("the target and the residual"));
}

#[test]
fn a_single_stem_needs_a_name_for_the_rest() {
    let mut value = with("stems", json!(["vocals"]));
    assert!(refusal(&value).contains("residual"));
    value["residual"] = json!("rest");
    let entry = Entry::parse(&value.to_string(), "0.1.0").unwrap();
    assert_eq!((entry.outputs(), entry.residual_index()), (vec!["vocals".to_owned()], 1));
    assert_eq!(entry.stem_names(), ["vocals", "rest"]);
}

#[test]
fn a_manifest_written_out_reads_back_as_itself() {
    let json = json!({ "schema": 1, "models": [separator()] }).to_string();
    let manifest = Manifest::parse(&json, "0.1.0").unwrap();
    assert_eq!(Manifest::parse(&serde_json::to_string(&manifest).unwrap(), "0.1.0").unwrap(), manifest);
    assert!(manifest.find("separator-2").is_some() && manifest.find("separator-5").is_none());
}

#[test]
fn a_schema_kind_or_contract_that_is_not_read_is_named_with_those_that_are() {
    for schema in [json!(2), json!("1"), Value::Null] {
        let error = Manifest::parse(&json!({ "schema": schema, "models": [] }).to_string(), "0.1.0").unwrap_err();
        assert_eq!(error.kind(), "model-load");
        assert!(error.to_string().contains("read is 1"), "{error}");
    }
    let told = refusal(&with("kind", json!("oracle")));
    assert!(told.contains("oracle") && told.contains("separator"), "{told}");
    let told = refusal(&with("contract", json!("quaternion-mask")));
    assert!(told.contains("quaternion-mask") && told.contains("complex-mask"), "{told}");
}

#[test]
fn a_model_for_a_newer_package_names_both_versions() {
    let told = refusal(&with("min_package_version", json!("9.1.0")));
    assert!(told.contains("9.1.0") && told.contains("0.1.0"), "{told}");
    assert!(Entry::parse(&with("min_package_version", json!("0.2.0")).to_string(), "0.10.0").is_ok(), "versions compare by number");
}

#[test]
fn every_required_key_is_required() {
    let keys = ["kind", "model_version", "file", "opset", "min_package_version", "licence", "contract", "sample_rate", "stems", "name"];
    for key in keys {
        let mut entry = separator();
        entry.as_object_mut().unwrap().remove(key);
        let told = refusal(&entry);
        assert!(told.contains(key), "without {key}: {told}");
    }
}

#[test]
fn a_value_out_of_range_is_refused_by_name() {
    let wrong = [
        ("name", json!("Separator")),
        ("name", json!("")),
        ("model_version", json!("1.0")),
        ("file", json!("../secret.onnx")),
        ("file", json!("https://example.org/model.onnx")),
        ("file", json!("")),
        ("sha256", json!("AB".repeat(32))),
        ("sha256", json!("ab")),
        ("bytes", json!(-1)),
        ("opset", json!(0)),
        ("licence", json!(" ")),
        ("sample_rate", json!(4_000)),
        ("stems", json!([])),
        ("stems", json!(["vocals"])),
        ("stems", json!(["vocals", "vocals"])),
        ("stems", json!(["vocals", "Rest"])),
        ("stems", json!(["a", "b", "c", "d", "e", "f", "g", "h", "i"])),
        ("residual", json!("drums")),
        ("parameters", json!({ "n_fft": 4096, "hop": 2049 })),
        ("parameters", json!({ "n_fft": 1_000_000, "hop": 1000 })),
        ("parameters", json!({ "frames": 1 })),
        ("parameters", json!({ "frames": 256, "features": "features" })),
        ("parameters", json!({ "gain": "loud" })),
        ("parameters", json!({ "n_fft": "4096" })),
        ("files", json!([{ "role": "a", "file": "a.onnx" }])),
        (
            "previous",
            json!([{ "model_version": "0.9", "file": "a.onnx", "bytes": 1, "sha256": "ab".repeat(32), "min_package_version": "0.1.0" }]),
        ),
    ];
    for (key, value) in wrong {
        refusal(&with(key, value));
    }
}

#[test]
fn names_are_unique_and_what_is_no_manifest_is_refused() {
    let twice = json!({ "schema": 1, "models": [separator(), separator()] }).to_string();
    for json in
        [twice.as_str(), "", "[]", "{}", "{\"schema\": 1}", "{\"schema\": 1, \"models\": {}}", "\u{0}", "{\"schema\": 1, \"models\": [3]}"]
    {
        assert_eq!(Manifest::parse(json, "0.1.0").unwrap_err().kind(), "model-load", "{json}");
    }
}

#[test]
fn graphs_are_found_by_role_and_a_model_of_one_graph_needs_none() {
    let single = Entry::parse(&separator().to_string(), "0.1.0").unwrap();
    assert_eq!(single.graph(None).unwrap(), single.graph(Some("model")).unwrap());
    let mut value = separator();
    for key in ["file", "bytes", "sha256"] {
        value.as_object_mut().unwrap().remove(key);
    }
    value["files"] = json!([{ "role": "front", "file": "a.onnx" }, { "role": "back", "file": "b.onnx" }]);
    let several = Entry::parse(&value.to_string(), "0.1.0").unwrap();
    assert_eq!(several.graph(Some("back")).unwrap().file, "b.onnx");
    for role in [None, Some("middle")] {
        assert!(several.graph(role).unwrap_err().to_string().contains("front, back"));
    }
}

/// An entry of a beat network, of several files and without stems.
fn beat_network() -> Value {
    let file = |role: &str| json!({ "role": role, "file": format!("beat-tcn-{role}-1.0.0.onnx"), "bytes": 9, "sha256": "cd".repeat(32) });
    json!({
        "name": "beat-tcn", "kind": "beat", "model_version": "1.0.0", "files": [file("front"), file("trunk"), file("tempo")],
        "opset": 17, "min_package_version": "0.1.0", "licence": "MIT", "contract": "beat-activations", "sample_rate": 44100,
        "parameters": { "hop": 441, "context": 2 },
    })
}

#[test]
fn a_beat_network_needs_no_stems_and_keeps_its_own_contract() {
    let entry = Entry::parse(&beat_network().to_string(), "0.1.0").unwrap();
    assert_eq!(entry.graphs().len(), 3);
    let mut wrong = beat_network();
    wrong["contract"] = json!("complex-mask");
    let told = refusal(&wrong);
    assert!(told.contains("complex-mask") && told.contains("beat-activations"), "{told}");
    assert_eq!(Entry::parse(&serde_json::to_string(&entry).unwrap(), "0.1.0").unwrap(), entry);
}

#[test]
fn an_earlier_version_of_several_files_is_kept_with_its_digests() {
    let mut value = beat_network();
    let mut earlier = json!({ "model_version": "0.9.0", "files": value["files"].clone(), "min_package_version": "0.1.0" });
    value["previous"] = json!([earlier.clone()]);
    assert_eq!(Entry::parse(&value.to_string(), "0.1.0").unwrap().previous[0].files.len(), 3);
    earlier["files"][1].as_object_mut().unwrap().remove("sha256");
    value["previous"] = json!([earlier]);
    let told = refusal(&value);
    assert!(told.contains("0.9.0") && told.contains("beat-tcn-trunk-1.0.0.onnx"), "{told}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = Manifest::parse(&text, "0.1.0");
        let _ = Entry::parse(&text, &text);
    }
}
