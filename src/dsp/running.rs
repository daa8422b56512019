//! Running maximum and median.
//!
//! Both use a centred window of `2 * half_width + 1` values that is cut off at the ends of the input: the value at index `i` looks at
//! `i - half_width ..= i + half_width` as far as these exist.

use super::kernel;

/// Running maximum by doubling: the maxima of windows of 1, 2, 4 ... values, each from two of the one before, until two of them cover the
/// window. log2(window) passes of vector instructions, where van Herk (1992) and Gil and Werman (1993) need three comparisons a value that
/// each wait for the one before.
///
/// Keeps its scratch memory, so that repeated use on inputs of one length does not allocate. Values are taken to be numbers; where a
/// NaN lies in a window its result is unspecified.
#[derive(Debug, Clone)]
pub struct RunningMax {
    half_width: usize,
    /// Maxima from each place on of the width reached, and those of the width to come.
    reached: Vec<f32>,
    wider: Vec<f32>,
}

impl RunningMax {
    /// A running maximum over `2 * half_width + 1` values.
    #[must_use]
    pub fn new(half_width: usize) -> Self {
        Self { half_width, reached: Vec::new(), wider: Vec::new() }
    }

    /// Writes the running maximum of `input` to `output`, over the shorter of both lengths.
    pub fn apply(&mut self, input: &[f32], output: &mut [f32]) {
        let length = input.len().min(output.len());
        let window = 2 * self.half_width + 1;
        // The input between `half_width` borders of minus infinity.
        let padded = length + 2 * self.half_width;
        self.reached.resize(padded, f32::NEG_INFINITY);
        self.reached[..self.half_width].fill(f32::NEG_INFINITY);
        self.reached[self.half_width..self.half_width + length].copy_from_slice(&input[..length]);
        self.reached[self.half_width + length..].fill(f32::NEG_INFINITY);
        self.wider.resize(padded, f32::NEG_INFINITY);
        let mut width = 1;
        while 2 * width <= window {
            kernel::larger_of(&self.reached, &self.reached[width..], &mut self.wider);
            std::mem::swap(&mut self.reached, &mut self.wider);
            width *= 2;
        }
        kernel::larger_of(&self.reached, &self.reached[window - width..], &mut output[..length]);
    }
}

/// The larger of two numbers as one comparison and a choice, which compiles to a single instruction; [`f32::max`] pays for NaN.
#[inline]
#[must_use]
pub fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The running maximum of `input`, as long as the input.
#[must_use]
pub fn running_max(input: &[f32], half_width: usize) -> Vec<f32> {
    let mut output = vec![0.0; input.len()];
    RunningMax::new(half_width).apply(input, &mut output);
    output
}

/// The running median of `input`, as long as the input; where the cut-off window holds an even number of values, the mean of the two
/// in the middle.
///
/// A sorted window with one insertion and one removal per value: time grows with the window, which is short everywhere here. NaN
/// sorts after every number ([`f32::total_cmp`]).
#[must_use]
pub fn running_median(input: &[f32], half_width: usize) -> Vec<f32> {
    let mut sorted: Vec<f32> = Vec::with_capacity((2 * half_width + 1).min(input.len()));
    let mut output = Vec::with_capacity(input.len());
    let mut entered = 0;
    for centre in 0..input.len() {
        while let Some(&value) = input.get(entered).filter(|_| entered <= centre + half_width) {
            let place = sorted.partition_point(|kept| kept.total_cmp(&value).is_lt());
            sorted.insert(place, value);
            entered += 1;
        }
        if let Some(&value) = centre.checked_sub(half_width + 1).and_then(|left| input.get(left)) {
            let place = sorted.partition_point(|kept| kept.total_cmp(&value).is_lt());
            sorted.remove(place);
        }
        let middle = sorted.len() / 2;
        output.push(if sorted.len() % 2 == 1 { sorted[middle] } else { 0.5 * (sorted[middle - 1] + sorted[middle]) });
    }
    output
}

#[cfg(test)]
mod tests {
    use super::{RunningMax, running_max, running_median};
    use proptest::prelude::*;

    fn window(input: &[f32], centre: usize, half_width: usize) -> &[f32] {
        &input[centre.saturating_sub(half_width)..(centre + half_width + 1).min(input.len())]
    }

    proptest! {
        #[test]
        fn the_running_maximum_equals_the_maximum_of_each_window(
            input in prop::collection::vec(-4i8..4, 0..200), half_width in 0usize..70
        ) {
            let input: Vec<f32> = input.into_iter().map(f32::from).collect();
            let expected: Vec<f32> = (0..input.len())
                .map(|centre| window(&input, centre, half_width).iter().copied().fold(f32::NEG_INFINITY, f32::max))
                .collect();
            prop_assert_eq!(running_max(&input, half_width), expected);
        }

        #[test]
        fn the_running_median_equals_the_median_of_each_window(
            input in prop::collection::vec(-100i8..100, 0..120), half_width in 0usize..40
        ) {
            let input: Vec<f32> = input.into_iter().map(f32::from).collect();
            let expected: Vec<f32> = (0..input.len())
                .map(|centre| {
                    let mut values = window(&input, centre, half_width).to_vec();
                    values.sort_by(f32::total_cmp);
                    let middle = values.len() / 2;
                    if values.len() % 2 == 1 { values[middle] } else { 0.5 * (values[middle - 1] + values[middle]) }
                })
                .collect();
            prop_assert_eq!(running_median(&input, half_width), expected);
        }
    }

    #[test]
    fn a_second_use_with_a_shorter_input_is_not_disturbed_by_the_first() {
        let mut running = RunningMax::new(2);
        let mut output = [0.0; 8];
        running.apply(&[9.0; 8], &mut output);
        running.apply(&[1.0, 2.0, 3.0], &mut output[..3]);
        assert_eq!(output[..3], [3.0, 3.0, 3.0]);
    }
}
