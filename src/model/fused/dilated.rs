//! A stack of levels with two dilated convolutions each, and the heads over it, as one step: the trunk of a temporal convolutional network.
//!
//! Rows have zeros before and after them, so that a convolution is one product however far apart its taps are, and eight frames go through
//! a whole level at a time. Source of the levels: Böck, Davies, ISMIR 2020, section 3.

use super::whole::Convolution;
use crate::dsp::lanes::{F32x4, LANES};
use crate::dsp::products::{COLUMNS, ROWS, Taps, gathered, pack};

/// One level: `skip(elu([near(x), far(x)]))`, and its output, that plus `straight(x)`.
#[derive(Debug, Clone)]
pub struct Level {
    /// Weights `[features][features][taps]` and dilation in frames.
    pub near: (Convolution, usize),
    /// The same, further apart.
    pub far: (Convolution, usize),
    /// Weights `[features][2 * features][1]`.
    pub skip: Convolution,
    /// Weights `[features][features][1]`.
    pub straight: Convolution,
}

/// The levels, and the convolutions `[1][features][1]` whose sigmoids come first in the output; the sum of the skips follows.
#[derive(Debug)]
pub struct DilatedStack {
    levels: Vec<Level>,
    heads: Vec<Convolution>,
    features: usize,
    /// Frames beyond either end that a level reads, at most.
    reach: usize,
}

/// A convolution over rows, as it is multiplied.
struct Prepared<'a> {
    weights: Vec<f32>,
    bias: &'a [f32],
    taps: Taps,
    /// Values from a column to the first one that it reads.
    first: usize,
}

impl DilatedStack {
    /// `None` if the levels and heads do not fit together.
    pub fn new(levels: Vec<Level>, heads: Vec<Convolution>) -> Option<Self> {
        let features = levels.first()?.straight.shape.first().copied()?;
        let dilated = |(convolution, dilation): &(Convolution, usize)| {
            matches!(convolution.shape.as_slice(), &[out, depth, taps] if (out, depth) == (features, features) && taps % 2 == 1)
                && *dilation > 0
        };
        let fits = |level: &Level| {
            dilated(&level.near)
                && dilated(&level.far)
                && level.skip.shape == [features, 2 * features, 1]
                && level.straight.shape == [features, features, 1]
        };
        let is_whole = features > 0 && features.is_multiple_of(ROWS) && levels.iter().all(fits);
        if !is_whole || heads.iter().any(|head| head.shape != [1, features, 1]) {
            return None;
        }
        let reach = levels.iter().flat_map(|level| [&level.near, &level.far]).map(reach).max()?;
        Some(Self { levels, heads, features, reach })
    }

    /// Rows of the input.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Rows of the output.
    pub fn outputs(&self) -> usize {
        self.heads.len() + self.features
    }

    /// `[features][frames]` to `[heads + features][frames]`.
    pub fn run(&self, input: &[f32], frames: usize) -> Vec<f32> {
        let features = self.features;
        // An odd number of cache lines: rows that lie a power of two apart would share few lines of the cache.
        let line = 16;
        let row = ((2 * self.reach + frames.next_multiple_of(COLUMNS)).div_ceil(line) | 1) * line;
        let mut values = vec![0.0; features * row];
        for (from, to) in input.chunks_exact(frames).zip(values.chunks_exact_mut(row)) {
            to[self.reach..self.reach + frames].copy_from_slice(from);
        }
        let mut next = vec![0.0; features * row];
        let mut skips = vec![0.0; features * row];
        let mut hidden = vec![0.0; 2 * features * COLUMNS];
        for level in &self.levels {
            let dilated = [&level.near, &level.far].map(|convolution| Prepared::new(&convolution.0, row, convolution.1));
            let skip = Prepared::new(&level.skip, COLUMNS, 1);
            let straight = Prepared::new(&level.straight, row, 1);
            for start in (0..frames).step_by(COLUMNS) {
                let at = self.reach + start;
                for (convolution, hidden) in dilated.iter().zip(hidden.chunks_exact_mut(features * COLUMNS)) {
                    convolution.run(&values, at, |lane, column, value| value.elu().store(&mut hidden[lane * COLUMNS + column..]));
                }
                skip.run(&hidden, 0, |lane, column, value| {
                    let place = lane * row + at + column;
                    value.store(&mut next[place..]);
                    (F32x4::load(&skips[place..]) + value).store(&mut skips[place..]);
                });
                straight.run(&values, at, |lane, column, value| {
                    let place = lane * row + at + column;
                    (F32x4::load(&next[place..]) + value).store(&mut next[place..]);
                });
            }
            // What lies past the last frame stays zero for the level that follows.
            for row in next.chunks_exact_mut(row) {
                row[self.reach + frames..].fill(0.0);
            }
            std::mem::swap(&mut values, &mut next);
        }
        let mut output = vec![0.0; self.outputs() * frames];
        let (activations, sums) = output.split_at_mut(self.heads.len() * frames);
        for (head, to) in self.heads.iter().zip(activations.chunks_exact_mut(frames)) {
            self.head(head, &values, row, to);
        }
        for (from, to) in skips.chunks_exact(row).zip(sums.chunks_exact_mut(frames)) {
            to.copy_from_slice(&from[self.reach..self.reach + frames]);
        }
        output
    }

    /// Sigmoid of one row of weights over all features.
    fn head(&self, head: &Convolution, values: &[f32], row: usize, to: &mut [f32]) {
        let one = F32x4::splat(1.0);
        for (vector, to) in to.chunks_mut(LANES).enumerate() {
            let mut sum = F32x4::splat(head.bias[0]);
            for (weight, values) in head.weights.iter().zip(values.chunks_exact(row)) {
                sum = sum + F32x4::splat(*weight) * F32x4::load(&values[self.reach + vector * LANES..]);
            }
            let sigmoid = one / (one + (F32x4::splat(0.0) - sum).exp());
            to.copy_from_slice(&sigmoid.to_array()[..to.len()]);
        }
    }
}

/// Frames beyond a column that a dilated convolution reads.
fn reach((convolution, dilation): &(Convolution, usize)) -> usize {
    convolution.shape.last().map_or(0, |taps| taps / 2 * dilation)
}

impl<'a> Prepared<'a> {
    /// Reads rows of `row` values, its taps `dilation` apart and centred.
    fn new(convolution: &'a Convolution, row: usize, dilation: usize) -> Self {
        let (depth, taps) = (convolution.shape[1], convolution.shape[2]);
        let places = (0..depth).flat_map(|input| (0..taps).map(move |tap| input * row + tap * dilation));
        Self {
            weights: pack(&convolution.weights, depth * taps, 0..convolution.shape[0]),
            bias: &convolution.bias,
            taps: Taps::new(places.collect()),
            first: taps / 2 * dilation,
        }
    }

    /// Eight columns from `at` on; `write` takes row, column and four values.
    #[inline(always)]
    fn run(&self, values: &[f32], at: usize, mut write: impl FnMut(usize, usize, F32x4)) {
        for (group, weights) in self.weights.chunks_exact(self.taps.len() * ROWS).enumerate() {
            let sums = gathered(weights, values, &self.taps, at - self.first);
            for (lane, sums) in sums.iter().enumerate() {
                let output = group * ROWS + lane;
                let bias = F32x4::splat(self.bias[output]);
                for (column, sum) in sums.iter().enumerate() {
                    write(output, column * LANES, *sum + bias);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::whole::Convolution;
    use super::super::whole::tests::convolution;
    use super::{DilatedStack, Level};

    /// A centred dilated convolution over `[in][frames]` by its formula, zeros outside.
    fn convolved(x: &[Vec<f64>], Convolution { shape, weights, bias }: &Convolution, dilation: usize) -> Vec<Vec<f64>> {
        let frames = x[0].len() as isize;
        let value = |input: usize, at: isize| if (0..frames).contains(&at) { x[input][at as usize] } else { 0.0 };
        let one = |out: usize, frame: isize| {
            let mut sum = f64::from(bias[out]);
            for input in 0..shape[1] {
                for tap in 0..shape[2] {
                    let at = frame + (tap as isize - (shape[2] / 2) as isize) * dilation as isize;
                    sum += f64::from(weights[(out * shape[1] + input) * shape[2] + tap]) * value(input, at);
                }
            }
            sum
        };
        (0..shape[0]).map(|out| (0..frames).map(|frame| one(out, frame)).collect()).collect()
    }

    fn sum(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
        a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
    }

    #[test]
    fn a_stack_is_its_formula_for_any_number_of_frames() {
        let features = 4;
        let level = |seed: u64, dilation: usize| Level {
            near: (convolution(&[features, features, 5], seed), dilation),
            far: (convolution(&[features, features, 5], seed + 1), 2 * dilation),
            skip: convolution(&[features, 2 * features, 1], seed + 2),
            straight: convolution(&[features, features, 1], seed + 3),
        };
        let (levels, head) = (vec![level(1, 1), level(5, 2), level(9, 16)], convolution(&[1, features, 1], 20));
        let stack = DilatedStack::new(levels.clone(), vec![head.clone()]).unwrap();
        for frames in [1, 7, 12, 30, 100] {
            let input = convolution(&[features, frames], 30).weights;
            let mut x: Vec<Vec<f64>> = input.chunks(frames).map(|row| row.iter().map(|value| f64::from(*value)).collect()).collect();
            let mut total = vec![vec![0.0; frames]; features];
            for Level { near, far, skip, straight } in &levels {
                let mut hidden = convolved(&x, &near.0, near.1);
                hidden.extend(convolved(&x, &far.0, far.1));
                hidden.iter_mut().flatten().for_each(|value| *value = if *value > 0.0 { *value } else { value.exp_m1() });
                let skips = convolved(&hidden, skip, 1);
                x = sum(&skips, &convolved(&x, straight, 1));
                total = sum(&total, &skips);
            }
            let beat = convolved(&x, &head, 1)[0].iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
            let wanted: Vec<f64> = std::iter::once(beat).chain(total).flatten().collect();
            let found = stack.run(&input, frames);
            assert_eq!(found.len(), wanted.len());
            for (place, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                assert!((f64::from(*found) - wanted).abs() < 1e-5, "{frames} frames, value {place}: {found}, not {wanted}");
            }
        }
    }

    #[test]
    fn levels_that_do_not_fit_together_are_refused() {
        let level = Level {
            near: (convolution(&[4, 4, 5], 1), 1),
            far: (convolution(&[4, 4, 5], 2), 2),
            skip: convolution(&[4, 8, 1], 3),
            straight: convolution(&[4, 4, 1], 4),
        };
        let head = convolution(&[1, 4, 1], 5);
        assert!(DilatedStack::new(vec![level.clone()], vec![head.clone()]).is_some());
        let narrow = Level { skip: convolution(&[4, 4, 1], 6), ..level.clone() };
        let even = Level { near: (convolution(&[4, 4, 4], 7), 1), ..level.clone() };
        for levels in [vec![], vec![narrow], vec![even]] {
            assert!(DilatedStack::new(levels, vec![head.clone()]).is_none());
        }
        assert!(DilatedStack::new(vec![level], vec![convolution(&[2, 4, 1], 8)]).is_none(), "a head has one output");
    }
}
