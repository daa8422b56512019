//! A stack of convolutions over time and bands, each followed by pooling over bands and ELU, as one step.
//!
//! Eight frames go through all layers at a time, so what lies between two layers is a few rows in the nearest cache, and pooling, bias and
//! ELU (which commute, ELU being monotone) are done on a third of the values.

use super::whole::Convolution;
use crate::dsp::lanes::{F32x4, LANES};
use crate::dsp::products::{COLUMNS, ROWS, Taps, gathered, pack};

/// One convolution, its pooling and its ELU.
#[derive(Debug, Clone)]
pub struct PooledLayer {
    /// Weights `[out][in][frames][bands]`.
    pub convolution: Convolution,
    /// Neighbouring bands of which the largest is kept.
    pub pool: usize,
}

/// The stack for a number of bands.
#[derive(Debug)]
pub struct PooledStack {
    layers: Vec<Prepared>,
    bands: usize,
    features: usize,
}

#[derive(Debug)]
struct Prepared {
    /// `[out / 4][taps][4]`.
    weights: Vec<f32>,
    bias: Vec<f32>,
    taps: Taps,
    pool: usize,
    inputs: usize,
    bands: usize,
    /// Frames before the newest that a value needs.
    history: usize,
    out_bands: usize,
}

impl Prepared {
    /// Values from one band to the next: the frames kept, and the eight new ones.
    fn row(&self) -> usize {
        self.history + COLUMNS
    }
}

impl PooledStack {
    /// Prepares layers for `bands` bands; the last layer must leave one. `None` if they do not fit together.
    pub fn new(layers: &[PooledLayer], bands: usize) -> Option<Self> {
        let (mut inputs, mut left) = (1, bands);
        let mut prepared = Vec::new();
        for PooledLayer { convolution, pool } in layers {
            let &[outputs, depth, frames, width] = convolution.shape.as_slice() else { return None };
            let out_bands = (left + 1).checked_sub(width)? / pool;
            if depth != inputs || outputs == 0 || !outputs.is_multiple_of(ROWS) || frames == 0 || out_bands == 0 {
                return None;
            }
            let row = frames - 1 + COLUMNS;
            let places = (0..depth)
                .flat_map(|input| (0..frames).flat_map(move |frame| (0..width).map(move |band| (input * left + band) * row + frame)));
            prepared.push(Prepared {
                weights: pack(&convolution.weights, depth * frames * width, 0..outputs),
                bias: convolution.bias.clone(),
                taps: Taps::new(places.collect()),
                pool: *pool,
                inputs,
                bands: left,
                history: frames - 1,
                out_bands,
            });
            (inputs, left) = (outputs, out_bands);
        }
        (left == 1 && !prepared.is_empty()).then_some(Self { layers: prepared, bands, features: inputs })
    }

    /// Shape of what [`PooledStack::run`] gives for so many rows, `[features][frames]`; `None` below the stack's context.
    pub fn output_shape(&self, rows: usize) -> Option<[usize; 2]> {
        let frames = rows.checked_sub(self.context()).filter(|frames| *frames > 0)?;
        Some([self.features, frames])
    }

    /// Rows more than frames.
    fn context(&self) -> usize {
        self.layers.iter().map(|layer| layer.history).sum()
    }

    /// Rows `[rows][bands]` to `[features][frames]`.
    pub fn run(&self, rows: &[f32]) -> Vec<f32> {
        let count = rows.len() / self.bands;
        let frames = count.saturating_sub(self.context());
        let mut buffers: Vec<Vec<f32>> = self.layers.iter().map(|layer| vec![0.0; layer.inputs * layer.bands * layer.row()]).collect();
        let mut newest = vec![0.0; self.features * COLUMNS];
        let mut output = vec![0.0; self.features * frames];
        for start in (0..count).step_by(COLUMNS) {
            if let (Some(layer), Some(buffer)) = (self.layers.first(), buffers.first_mut()) {
                let (row, history) = (layer.row(), layer.history);
                for (frame, values) in rows[start * self.bands..].chunks_exact(self.bands).take(COLUMNS).enumerate() {
                    values.iter().enumerate().for_each(|(band, value)| buffer[band * row + history + frame] = *value);
                }
            }
            for (index, layer) in self.layers.iter().enumerate() {
                let (before, after) = buffers.split_at_mut(index + 1);
                let (to, row, offset) = match (after.first_mut(), self.layers.get(index + 1)) {
                    (Some(buffer), Some(next)) => (buffer, next.row(), next.history),
                    _ => (&mut newest, COLUMNS, 0),
                };
                layer.run(&before[index], to, row, offset);
                for kept in before[index].chunks_exact_mut(layer.row()) {
                    kept.copy_within(COLUMNS.., 0);
                }
            }
            // The first frames lack the context before them.
            let first = start.max(self.context());
            let last = (start + COLUMNS).min(count);
            for (values, to) in newest.chunks_exact(COLUMNS).zip(output.chunks_exact_mut(frames.max(1))) {
                if first < last {
                    to[first - self.context()..last - self.context()].copy_from_slice(&values[first - start..last - start]);
                }
            }
        }
        output
    }
}

impl Prepared {
    /// Eight frames of `values` to rows of `row` values, from `offset` on.
    fn run(&self, values: &[f32], to: &mut [f32], row: usize, offset: usize) {
        let from = self.row();
        for (group, weights) in self.weights.chunks_exact(self.taps.len() * ROWS).enumerate() {
            for band in 0..self.out_bands {
                let mut largest = gathered(weights, values, &self.taps, band * self.pool * from);
                for neighbour in 1..self.pool {
                    let other = gathered(weights, values, &self.taps, (band * self.pool + neighbour) * from);
                    for (largest, other) in largest.iter_mut().flatten().zip(other.iter().flatten()) {
                        *largest = largest.max(*other);
                    }
                }
                for (lane, sums) in largest.iter().enumerate() {
                    let output = group * ROWS + lane;
                    let bias = F32x4::splat(self.bias[output]);
                    let place = (output * self.out_bands + band) * row + offset;
                    for (column, sum) in sums.iter().enumerate() {
                        (*sum + bias).elu().store(&mut to[place + column * LANES..]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::whole::Convolution;
    use super::super::whole::tests::convolution;
    use super::{PooledLayer, PooledStack};

    /// One layer by its formula: `[in][frames][bands]` to `[out][frames][bands]`.
    fn layer(x: &[Vec<Vec<f64>>], PooledLayer { convolution, pool }: &PooledLayer) -> Vec<Vec<Vec<f64>>> {
        let Convolution { shape, weights, bias } = convolution;
        let (frames, bands) = (x[0].len() - (shape[2] - 1), (x[0][0].len() - (shape[3] - 1)) / pool);
        let one = |out: usize, frame: usize, band: usize| {
            let mut sum = f64::from(bias[out]);
            for input in 0..shape[1] {
                for time in 0..shape[2] {
                    for step in 0..shape[3] {
                        let weight = weights[((out * shape[1] + input) * shape[2] + time) * shape[3] + step];
                        sum += f64::from(weight) * x[input][frame + time][band + step];
                    }
                }
            }
            sum
        };
        let pooled = |out, frame, band: usize| {
            let largest = (0..*pool).map(|step| one(out, frame, band * pool + step)).fold(f64::MIN, f64::max);
            if largest > 0.0 { largest } else { largest.exp_m1() }
        };
        (0..shape[0]).map(|out| (0..frames).map(|frame| (0..bands).map(|band| pooled(out, frame, band)).collect()).collect()).collect()
    }

    #[test]
    fn a_stack_is_its_formula_for_any_number_of_rows() {
        let layers = [
            PooledLayer { convolution: convolution(&[8, 1, 3, 3], 1), pool: 3 },
            PooledLayer { convolution: convolution(&[4, 8, 1, 4], 2), pool: 2 },
            PooledLayer { convolution: convolution(&[8, 4, 2, 2], 3), pool: 1 },
        ];
        let bands = 23;
        let stack = PooledStack::new(&layers, bands).unwrap();
        for rows in [4, 5, 12, 15, 16, 27, 40] {
            let input = convolution(&[rows, bands], 4).weights;
            let [features, frames] = stack.output_shape(rows).unwrap();
            assert_eq!((features, frames), (8, rows - 3));
            let found = stack.run(&input);
            let rows: Vec<Vec<f64>> = input.chunks(bands).map(|row| row.iter().map(|value| f64::from(*value)).collect()).collect();
            let wanted = layers.iter().fold(vec![rows], |x, next| layer(&x, next));
            for feature in 0..features {
                for frame in 0..frames {
                    let (found, wanted) = (f64::from(found[feature * frames + frame]), wanted[feature][frame][0]);
                    assert!((found - wanted).abs() < 1e-5, "feature {feature}, frame {frame}: {found}, not {wanted}");
                }
            }
        }
        assert_eq!(stack.output_shape(3), None);
    }

    #[test]
    fn layers_that_do_not_fit_together_are_refused() {
        let first = PooledLayer { convolution: convolution(&[8, 1, 3, 3], 1), pool: 3 };
        assert!(PooledStack::new(std::slice::from_ref(&first), 5).is_some(), "one band is left");
        for bands in [2, 8] {
            assert!(PooledStack::new(std::slice::from_ref(&first), bands).is_none(), "{bands} bands");
        }
        let odd = PooledLayer { convolution: convolution(&[6, 1, 3, 3], 1), pool: 3 };
        assert!(PooledStack::new(&[odd], 5).is_none(), "six outputs make no blocks of four");
        assert!(PooledStack::new(&[first.clone(), first], 17).is_none(), "the second takes one input, not eight");
    }
}
