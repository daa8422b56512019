//! What a network is to the rooms that use one, whatever runs it.

use crate::error::Result;

/// One dimension of a network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dim {
    /// So many.
    Fixed(usize),
    /// As many as the caller likes.
    Dynamic,
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Dynamic => f.write_str("dynamic"),
        }
    }
}

/// A run of the output along its frames: all of it, or what one slice of the network's head gives.
#[derive(Debug)]
pub struct Slice<'a> {
    /// First frame. A slice may begin before the end of the one before it; the frames that both have are equal.
    pub start: usize,
    /// Shape of the slice.
    pub shape: &'a [usize],
    /// Values in row-major order.
    pub values: &'a [f32],
}

/// What a caller does with one run of a network.
pub struct Run<'a> {
    /// Writes the input, row-major; it is zero before.
    pub fill: &'a mut dyn FnMut(&mut [f32]) -> Result<()>,
    /// Receives the input again, and the output slice by slice, in order.
    pub output: &'a mut dyn FnMut(&[f32], Slice<'_>) -> Result<()>,
    /// Receives the fraction that is done, 0..=1, never falling.
    pub progress: &'a mut dyn FnMut(f64),
}

/// A network of one input and one output, both f32.
pub trait Network {
    /// Shape of the input; at most one dimension is dynamic.
    fn input(&self) -> &[Dim];

    /// Runs the network on an input of `shape`.
    ///
    /// # Errors
    /// What `run`'s own functions return; [`crate::Error::ModelLoad`] if the network cannot be run on this shape.
    fn run(&mut self, shape: &[usize], run: Run<'_>) -> Result<()>;
}

/// A network of named inputs and outputs, all f32, whatever runs it.
pub trait Graph: Send + Sync {
    /// Names and shapes of the inputs, in the file's order.
    fn inputs(&self) -> &[(String, Vec<Dim>)];

    /// Makes the network ready for inputs of these shapes, given in the order of [`GraphPlan::run`], and for these outputs.
    ///
    /// # Errors
    /// [`crate::Error::ModelLoad`] for an input or output that it does not have, one of its inputs left out, or a shape it cannot take.
    fn plan(&self, inputs: &[(&str, &[usize])], outputs: &[&str]) -> Result<Box<dyn GraphPlan>>;
}

/// A [`Graph`] for inputs of known shapes. Running it changes nothing: the same inputs give the same bits.
pub trait GraphPlan: Send + Sync {
    /// Shapes of the outputs asked for, in order.
    fn output_shapes(&self) -> &[Vec<usize>];

    /// Values of the outputs asked for, each row-major, from those of the inputs in the order of [`Graph::plan`].
    ///
    /// # Errors
    /// [`crate::Error::ModelLoad`] if the network cannot be run or an input is of another length than its shape.
    fn run(&self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>>;
}
