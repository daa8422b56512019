//! `SeparatorModel` and `ChunkTask`, with feature `neural`.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Float32Array, Function, Object};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::model::parse_entry;
use super::separate::object;
use crate::error::Error;
use crate::model::Model;
use crate::separate::{self, Conditioning};

type Shared = Rc<RefCell<separate::SeparatorModel<Model>>>;

/// A model, loaded and checked. Tasks share it.
#[wasm_bindgen]
pub struct SeparatorModel {
    model: Shared,
}

#[wasm_bindgen]
impl SeparatorModel {
    /// Checks digest, contract and a trial run.
    #[wasm_bindgen(constructor)]
    pub fn new(#[wasm_bindgen(js_name = entryJson)] entry: &str, bytes: &[u8]) -> Result<Self, JsValue> {
        let entry = parse_entry(entry)?;
        let network = Model::load(&entry, bytes)?;
        Ok(Self { model: Rc::new(RefCell::new(separate::SeparatorModel::new(entry, network)?)) })
    }

    /// SHA-256 of the model's file.
    #[wasm_bindgen(getter, js_name = weightHash)]
    pub fn weight_hash(&self) -> String {
        self.model.borrow().network().weight_hash().to_owned()
    }

    /// The network's answer to fixed noise: `{ inputShape, input, outputShape, output }`, for comparison with another runtime's.
    pub fn probe(&self) -> Result<Object, JsValue> {
        let trial = self.model.borrow_mut().trial()?;
        object([
            ("inputShape", shape(&trial.input_shape)),
            ("input", Float32Array::from(trial.input.as_slice()).into()),
            ("outputShape", shape(&trial.output_shape)),
            ("output", Float32Array::from(trial.output.as_slice()).into()),
        ])
    }
}

/// The work on one chunk: either `run`, or `prepare` and `supply`; then `finish`.
#[wasm_bindgen]
pub struct ChunkTask {
    model: Shared,
    task: separate::ChunkTask,
}

#[wasm_bindgen]
impl ChunkTask {
    /// Takes the fields of a chunk.
    #[wasm_bindgen(constructor)]
    pub fn new(model: &SeparatorModel, left: Vec<f32>, right: Vec<f32>, gain: f32, conditioning: bool) -> Result<Self, JsValue> {
        let conditioning = if conditioning { Conditioning::On } else { Conditioning::Off };
        let task = separate::ChunkTask::new(&model.model.borrow(), [left, right], gain, conditioning)?;
        Ok(Self { model: Rc::clone(&model.model), task })
    }

    /// The network's input, `{ shape, values }`, for somebody else to run the network on.
    pub fn prepare(&mut self) -> Result<Object, JsValue> {
        let input = self.task.prepare(&mut self.model.borrow_mut())?;
        object([("shape", shape(&input.shape)), ("values", Float32Array::from(input.values.as_slice()).into())])
    }

    /// Runs the network here. `onProgress` is called with fractions at least 2 % apart; what it throws is thrown here once the network
    /// is done.
    pub fn run(&mut self, #[wasm_bindgen(js_name = onProgress)] on_progress: &Function) -> Result<(), JsValue> {
        let mut thrown = None;
        self.task.run(&mut self.model.borrow_mut(), &mut |fraction| {
            if let Err(error) = on_progress.call1(&JsValue::UNDEFINED, &fraction.into()) {
                thrown = Some(error);
            }
        })?;
        thrown.map_or(Ok(()), Err)
    }

    /// Takes the network's output from whoever ran it. After a refusal `run` may still be called.
    pub fn supply(&mut self, shape: Vec<usize>, values: &Float32Array) -> Result<(), JsValue> {
        let length = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        if length != Some(values.length() as usize) {
            let given = values.length();
            return Err(Error::invalid(format!("an output of shape {shape:?} cannot have {given} values")).into());
        }
        self.task.supply(&mut self.model.borrow_mut(), &shape, &mut |offset, part| {
            // Only the slice at hand is copied to linear memory.
            let (start, end) = (offset as u32, (offset + part.len()) as u32);
            values.subarray(start, end).copy_to(part);
            Ok(())
        })?;
        Ok(())
    }

    /// The stems other than the residual, `[stems - 1][2][frames]`, for `Separation.push`. Consumes the task.
    pub fn finish(self) -> Result<Vec<f32>, JsValue> {
        Ok(self.task.finish(&self.model.borrow())?)
    }
}

fn shape(sizes: &[usize]) -> JsValue {
    sizes.iter().map(|size| JsValue::from(*size as f64)).collect::<Array>().into()
}
