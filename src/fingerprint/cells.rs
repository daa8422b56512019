//! Cells of embeddings: which of many stored ones may lie near a given one, without looking at all.
//!
//! An inverted file (Jégou, Douze, Schmid, "Product quantization for nearest neighbor search", IEEE PAMI 33, 2011, section IV) of 4 sqrt(n)
//! cells, at most 4 096, by spherical k-means in two levels: embeddings are first shared out among about sqrt of the cells' number of
//! groups, then within each group, so that finding the cells of one does not take all products. Each lies in the three nearest. A query
//! looks at the cells whose centres lie nearest, over all groups. Learning them takes seconds where there are millions; it goes on in
//! bounded steps, with a [`Pace`] that lets others in between.

use super::embedder::quantise;
use crate::dsp::kernel;

/// Embeddings up to which all are looked at.
pub const EXHAUSTIVE: usize = 20_000;
/// Cells that a query looks at.
pub const PROBED: usize = 16;
/// Most cells.
const CELLS: usize = 4_096;
/// Embeddings for each cell that its centre is learnt from.
const LEARNT_FROM: usize = 12;
/// Rounds of k-means.
const ROUNDS: usize = 5;
/// Groups among which the cells of an embedding are sought.
const GROUPS_SOUGHT: usize = 12;
/// Cells that an embedding lies in: those of the nearest centres, since one alone is missed by queries from across its border.
pub const CELLS_OF_ONE: usize = 3;

/// Products of two bytes between two pauses: some tens of milliseconds.
const STEP: usize = 1 << 27;

/// Cuts long work into bounded steps: pauses whenever as much as a step has been done.
pub struct Pace<P> {
    pause: P,
    products: usize,
}

impl<P: AsyncFn()> Pace<P> {
    /// Steps with this pause between them.
    pub fn new(pause: P) -> Self {
        Self { pause, products: 0 }
    }

    /// Tells that so many products of two bytes have been computed.
    async fn did(&mut self, products: usize) {
        self.products += products;
        if self.products >= STEP {
            self.products = 0;
            (self.pause)().await;
        }
    }
}

/// Centres of cells, in groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    dimensions: usize,
    /// Centres of the groups.
    groups: Vec<i8>,
    /// First cell of each group, and the number of all.
    starts: Vec<usize>,
    /// Centres of the cells, group by group.
    centres: Vec<i8>,
    learnt_from: usize,
}

impl Cells {
    /// Cells for `count` embeddings, learnt from some of them that `sample` picks: those whose number is a multiple of a step.
    pub async fn learn<'a>(
        count: usize,
        dimensions: usize,
        embeddings: impl Iterator<Item = &'a [i8]>,
        pace: &mut Pace<impl AsyncFn()>,
    ) -> Self {
        let wanted = ((4.0 * libm::sqrt(count as f64)) as usize).clamp(1, CELLS);
        let step = (count / (wanted * LEARNT_FROM)).max(1);
        let sample: Vec<&[i8]> = embeddings.step_by(step).collect();
        let group_count = (libm::sqrt(wanted as f64) as usize).max(1);
        let groups = k_means(&sample, group_count, dimensions, pace).await;
        let mut members: Vec<Vec<&[i8]>> = vec![Vec::new(); group_count];
        for embedding in &sample {
            if let Some(members) = members.get_mut(nearest(&groups, embedding)) {
                members.push(embedding);
            }
            pace.did(groups.len()).await;
        }
        let (mut starts, mut centres) = (vec![0], Vec::new());
        for members in &members {
            // In proportion to the group's share, so that cells are about equally full.
            let own = (wanted * members.len()).div_ceil(sample.len().max(1)).max(1).min(members.len());
            centres.extend(k_means(members, own, dimensions, pace).await);
            starts.push(centres.len() / dimensions);
        }
        Self { dimensions, groups, starts, centres, learnt_from: count }
    }

    /// Number of embeddings that there were when they were learnt.
    pub fn learnt_from(&self) -> usize {
        self.learnt_from
    }

    /// Number of cells, fewer than 2^16.
    pub fn count(&self) -> usize {
        self.centres.len() / self.dimensions
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.groups.len() + self.centres.len() + self.starts.len() * size_of::<usize>()
    }

    /// The cells of an embedding, the nearest first; the last one again where there are fewer.
    pub fn cells_of(&self, embedding: &[i8]) -> [u16; CELLS_OF_ONE] {
        let mut best: Vec<(i32, usize)> = Vec::new();
        for group in most_alike(&self.groups, embedding, GROUPS_SOUGHT) {
            let (Some(&start), Some(&end)) = (self.starts.get(group), self.starts.get(group + 1)) else { continue };
            let centres = self.centres.get(start * self.dimensions..end * self.dimensions).unwrap_or_default();
            for (centre, cell) in centres.chunks_exact(self.dimensions).zip(start..) {
                keep_if_better(&mut best, (kernel::dot_i8(centre, embedding), cell), CELLS_OF_ONE);
            }
        }
        std::array::from_fn(|place| best.get(place).or(best.last()).map_or(0, |&(_, cell)| cell as u16))
    }

    /// The cells of each of some embeddings (see [`Cells::cells_of`]).
    pub async fn sorted<'a>(
        &self,
        embeddings: impl Iterator<Item = &'a [i8]>,
        pace: &mut Pace<impl AsyncFn()>,
    ) -> Vec<[u16; CELLS_OF_ONE]> {
        // All groups, and on average as large a share of the cells as that of the groups that are sought.
        let groups = self.starts.len() - 1;
        let products = self.groups.len() + self.centres.len() * GROUPS_SOUGHT.min(groups) / groups.max(1);
        let mut sorted = Vec::new();
        for embedding in embeddings {
            sorted.push(self.cells_of(embedding));
            pace.did(products).await;
        }
        sorted
    }

    /// The cells that a query looks at for an embedding.
    pub fn probed(&self, embedding: &[i8]) -> Vec<usize> {
        most_alike(&self.centres, embedding, PROBED)
    }
}

/// Numbers of the `count` centres most alike to an embedding, the most alike first.
fn most_alike(centres: &[i8], embedding: &[i8], count: usize) -> Vec<usize> {
    let mut best: Vec<(i32, usize)> = Vec::with_capacity(count + 1);
    for (number, centre) in centres.chunks_exact(embedding.len().max(1)).enumerate() {
        let likeness = kernel::dot_i8(centre, embedding);
        keep_if_better(&mut best, (likeness, number), count);
    }
    best.into_iter().map(|(_, number)| number).collect()
}

/// Puts one among the best, best first, if it is one of the best `count`.
fn keep_if_better(best: &mut Vec<(i32, usize)>, one: (i32, usize), count: usize) {
    if best.len() < count || best.last().is_some_and(|worst| worst.0 < one.0) {
        let place = best.partition_point(|other| other.0 >= one.0);
        best.insert(place, one);
        best.truncate(count);
    }
}

fn nearest(centres: &[i8], embedding: &[i8]) -> usize {
    most_alike(centres, embedding, 1).first().copied().unwrap_or(0)
}

/// `count` centres of unit vectors by cosine; the first are embeddings at equal steps. One that loses all its members stays.
async fn k_means(embeddings: &[&[i8]], count: usize, dimensions: usize, pace: &mut Pace<impl AsyncFn()>) -> Vec<i8> {
    let mut centres: Vec<i8> = Vec::with_capacity(count * dimensions);
    for number in 0..count {
        centres.extend(embeddings.get(number * embeddings.len() / count).copied().unwrap_or_default());
    }
    let mut sums = vec![0.0f32; centres.len()];
    for _ in 0..ROUNDS {
        sums.fill(0.0);
        for embedding in embeddings {
            let place = nearest(&centres, embedding) * dimensions;
            for (sum, &value) in sums.iter_mut().skip(place).zip(*embedding) {
                *sum += f32::from(value);
            }
            pace.did(centres.len()).await;
        }
        for (centre, sum) in centres.chunks_exact_mut(dimensions).zip(sums.chunks_exact(dimensions)) {
            if sum.iter().any(|&value| value != 0.0) {
                quantise(sum, centre);
            }
        }
    }
    centres
}
