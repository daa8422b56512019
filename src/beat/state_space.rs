//! Where in a beat of what length: the states of the bar pointer model, and how likely one beat length follows another.

use super::onset::FRAMES_PER_SECOND;

/// The states (position, interval) of the bar pointer model, and the transitions at a beat's end.
///
/// Within a beat the position moves on by one frame a frame; at its end interval i becomes i' with a probability proportional to
/// exp(-λ |i'/i - 1|). The first part of a beat, one `observation_lambda`-th, is where its onset is heard.
///
/// Source: Krebs, Böck, Widmer, "An efficient state-space model for joint tempo and meter tracking", ISMIR 2015, sections 3.1 and 3.2.
#[derive(Debug, Clone)]
pub struct StateSpace {
    /// Beat lengths in frames, rising by one.
    intervals: Vec<usize>,
    /// Frames of each interval's beat region.
    regions: Vec<usize>,
    /// For each interval, the intervals it may follow and their probabilities.
    origins: Vec<Vec<(usize, f64)>>,
}

impl StateSpace {
    /// States for tempos of `bpm` beats per minute. `transition_lambda` is how firmly a tempo is kept, `observation_lambda` the parts of a
    /// beat of which the first is its region.
    #[must_use]
    pub fn new(bpm: std::ops::Range<f64>, transition_lambda: f64, observation_lambda: f64) -> Self {
        let frames = |bpm: f64| (60.0 * FRAMES_PER_SECOND / bpm).round().max(1.0) as usize;
        let intervals: Vec<usize> = (frames(bpm.end)..=frames(bpm.start)).collect();
        let regions = intervals.iter().map(|&interval| (interval as f64 / observation_lambda).ceil().max(1.0) as usize).collect();
        let mut origins = vec![Vec::new(); intervals.len()];
        for (from, &before) in intervals.iter().enumerate() {
            let weight = |after: usize| (-transition_lambda * (after as f64 / before as f64 - 1.0).abs()).exp();
            let kept = || intervals.iter().enumerate().map(|(to, &after)| (to, weight(after))).filter(|(_, weight)| *weight > f64::EPSILON);
            let total: f64 = kept().map(|(_, weight)| weight).sum();
            for (to, weight) in kept() {
                if let Some(origins) = origins.get_mut(to) {
                    origins.push((from, weight / total));
                }
            }
        }
        Self { intervals, regions, origins }
    }

    /// Beat lengths in frames, rising by one.
    #[must_use]
    pub fn intervals(&self) -> &[usize] {
        &self.intervals
    }

    /// Frames of each interval's beat region, `[intervals]`.
    #[must_use]
    pub fn regions(&self) -> &[usize] {
        &self.regions
    }

    /// For each interval, the intervals it may follow and their probabilities, `[intervals]`.
    #[must_use]
    pub fn origins(&self) -> &[Vec<(usize, f64)>] {
        &self.origins
    }

    /// Number of states.
    #[must_use]
    pub fn len(&self) -> usize {
        self.intervals.iter().sum()
    }

    /// Whether there is no state; there always is one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }
}

/// One value for each state, so laid out that moving on by a frame moves nothing: position p of interval i lies at (now - p) mod i.
#[derive(Debug, Clone)]
pub struct Positions {
    values: Vec<f64>,
    /// Each interval's stretch of `values`, and where in it position 0 is.
    columns: Vec<Column>,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    start: usize,
    length: usize,
    head: usize,
}

impl Positions {
    /// `value` in every state of `space`.
    #[must_use]
    pub fn new(space: &StateSpace, value: f64) -> Self {
        let mut start = 0;
        let columns = space
            .intervals()
            .iter()
            .map(|&length| {
                let column = Column { start, length, head: 0 };
                start += length;
                column
            })
            .collect();
        Self { values: vec![value; start], columns }
    }

    /// The values at the last position of each interval, `[intervals]`: those whose beat ends with the coming frame.
    pub fn ends<'a>(&'a self) -> impl Iterator<Item = f64> + 'a {
        self.columns.iter().map(|column| self.at(column, column.length - 1))
    }

    /// Moves on by a frame: every value to the next position, and `beginnings` (`[intervals]`) into position 0.
    pub fn advance(&mut self, beginnings: impl Iterator<Item = f64>) {
        for (column, beginning) in self.columns.iter_mut().zip(beginnings) {
            column.head = if column.head + 1 < column.length { column.head + 1 } else { 0 };
            if let Some(slot) = self.values.get_mut(column.start + column.head) {
                *slot = beginning;
            }
        }
    }

    /// Changes the values in each interval's first `regions` positions.
    pub fn change_regions(&mut self, regions: &[usize], mut change: impl FnMut(&mut f64)) {
        for (column, &region) in self.columns.iter().zip(regions) {
            let region = region.min(column.length);
            let values = self.values.get_mut(column.start..column.start + column.length).unwrap_or_default();
            // From the head back, and on from the end where the region wraps.
            let (before, rest) = ((column.head + 1).min(region), region.saturating_sub(column.head + 1));
            values.get_mut(column.head + 1 - before..=column.head).unwrap_or_default().iter_mut().for_each(&mut change);
            values.get_mut(column.length - rest..).unwrap_or_default().iter_mut().for_each(&mut change);
        }
    }

    /// Values of one interval, by position.
    pub fn row<'a>(&'a self, interval: usize) -> impl Iterator<Item = f64> + 'a {
        let column = self.columns.get(interval).copied();
        (0..column.map_or(0, |column| column.length)).map(move |position| column.map_or(0.0, |column| self.at(&column, position)))
    }

    /// The values of each interval, `[intervals][positions]`, in no order of positions.
    pub fn columns(&self) -> impl Iterator<Item = &[f64]> {
        self.columns.iter().map(|column| self.values.get(column.start..column.start + column.length).unwrap_or(&[]))
    }

    /// All values, in no order of positions.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// All values, to be changed: interval after interval, each in no order of positions.
    pub fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    fn at(&self, column: &Column, position: usize) -> f64 {
        let place = if position <= column.head { column.head - position } else { column.head + column.length - position };
        self.values.get(column.start + place).copied().unwrap_or(f64::NEG_INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::{Positions, StateSpace};

    #[test]
    fn the_default_range_has_82_intervals_5617_states_and_3399_transitions() {
        let space = StateSpace::new(55.0..215.0, 100.0, 16.0);
        assert_eq!(space.intervals().len(), 82);
        assert_eq!((space.intervals()[0], space.intervals()[81]), (28, 109));
        assert_eq!(space.len(), 5617);
        assert_eq!(space.origins().iter().map(Vec::len).sum::<usize>(), 3399);
    }

    #[test]
    fn what_leaves_an_interval_adds_up_to_one() {
        let space = StateSpace::new(55.0..215.0, 100.0, 16.0);
        let mut sums = vec![0.0; 82];
        for (from, probability) in space.origins().iter().flatten() {
            sums[*from] += probability;
        }
        assert!(sums.iter().all(|sum: &f64| (sum - 1.0).abs() < 1e-12), "{sums:?}");
    }

    #[test]
    fn a_value_comes_to_the_end_after_as_many_frames_as_its_interval_has() {
        let space = StateSpace::new(100.0..200.0, 100.0, 16.0);
        let mut positions = Positions::new(&space, 0.0);
        positions.advance((0..31).map(f64::from));
        for _ in 0..29 {
            positions.advance(std::iter::repeat(0.0));
        }
        let ends: Vec<f64> = positions.ends().collect();
        assert_eq!(space.intervals()[0], 30);
        assert_eq!((ends[0], ends[1]), (0.0, 0.0), "interval 30's value was 0, that of 31 is a frame away");
        positions.advance(std::iter::repeat(0.0));
        assert_eq!(positions.ends().nth(1), Some(1.0));
        assert_eq!(positions.row(4).nth(30), Some(4.0));
    }
}
