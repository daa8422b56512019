//! Landmarks: pairs of peaks, packed into hashes.
//!
//! A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003, section 2.2. Two densities are derived from one list of peaks:
//! a catalogue stores few strong pairs, a query asks for nearly all pairs that it might have stored, and for their neighbours in cells
//! whose edge lies near. Robustness so costs time at the query, not memory.

use super::peaks::{Peak, strong_peaks};
use super::print::Profile;

/// Frames from the anchor to the target zone and to its end: 32 to 640 ms.
pub const TARGET_FRAMES: std::ops::RangeInclusive<u32> = 2..=40;
/// Bins from the anchor that the target zone spans: 500 Hz down and up.
pub const TARGET_BINS: std::ops::RangeInclusive<i32> = -64..=63;
/// Frames on either side in which the peaks of a print are ranked.
pub const RANK_FRAMES: u32 = 20;
/// Peaks that a print keeps, of any `RANK_FRAMES` on either side.
pub const RANK_MAX: usize = 24;

/// Targets per anchor that a query asks for.
const QUERY_TARGETS: usize = 12;
/// Third peaks per target that a query of the profile `large` tries.
const QUERY_THIRDS: usize = 3;
/// Hashes that a query asks for instead of one where cell edges are near.
const PROBES: usize = 4;
/// Eighths of a cell from its lower edge, counted as its own, at which the neighbouring cell is near: within 0.15 of the edge.
const NEAR_LOWER_EDGE: u32 = 1;
const NEAR_UPPER_EDGE: u32 = 7;
/// Value of a context whose target has no target of its own; the frame step of a real one stays below it.
const NO_THIRD: u16 = 31;

/// How a profile thins and packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Density {
    /// Rank below which a peak takes part in stored pairs.
    pub reference_rank: usize,
    /// Stored targets per anchor.
    pub reference_targets: usize,
    /// Whether the hash holds the target's own first target.
    pub has_context: bool,
}

impl Density {
    /// The density of a profile.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Dense => Self { reference_rank: RANK_MAX, reference_targets: 6, has_context: false },
            Profile::Large => Self { reference_rank: 13, reference_targets: 2, has_context: true },
            _ => Self { reference_rank: 13, reference_targets: 2, has_context: false },
        }
    }

    /// Upper bits of a hash that carry information.
    #[must_use]
    pub fn key_bits(self) -> u32 {
        if self.has_context { 32 } else { 22 }
    }
}

/// The fields of a hash: `anchor_bin` in bits 31..23, `bin_step + 64` in 22..16, `frame_step` in 15..10, `context` in 9..0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// Bin of the anchor, 0..=511.
    pub anchor_bin: u16,
    /// Bins from anchor to target, -64..=63.
    pub bin_step: i16,
    /// Frames from anchor to target, 0..=63.
    pub frame_step: u16,
    /// The third peak, 0..=1023; 0 where the profile has none.
    pub context: u16,
}

impl Fields {
    /// The hash of these fields; nothing if one is out of range.
    #[must_use]
    pub fn pack(self) -> Option<u32> {
        let in_range = self.anchor_bin < 512 && (-64..64).contains(&self.bin_step) && self.frame_step < 64 && self.context < 1024;
        in_range.then(|| {
            u32::from(self.anchor_bin) << 23
                | ((i32::from(self.bin_step) + 64) as u32) << 16
                | u32::from(self.frame_step) << 10
                | u32::from(self.context)
        })
    }

    /// The fields of a hash.
    #[must_use]
    pub fn unpack(hash: u32) -> Self {
        Self {
            anchor_bin: (hash >> 23) as u16,
            bin_step: (hash >> 16 & 127) as i16 - 64,
            frame_step: (hash >> 10 & 63) as u16,
            context: (hash & 1023) as u16,
        }
    }
}

/// A hash and when its anchor sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landmark {
    /// Packed [`Fields`].
    pub hash: u32,
    /// Frame of the anchor.
    pub frame: u32,
}

/// A hash that a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    /// Packed [`Fields`].
    pub hash: u32,
    /// Index of the anchor among the query's peaks.
    pub anchor: u32,
}

/// What a catalogue stores of a list of peaks ordered by time, ordered by anchor.
#[must_use]
pub fn reference_landmarks(peaks: &[Peak], profile: Profile) -> Vec<Landmark> {
    let density = Density::of(profile);
    let strong = strong_peaks(peaks, RANK_FRAMES, density.reference_rank);
    let mut landmarks = Vec::with_capacity(strong.len() * density.reference_targets);
    let mut targets = Vec::new();
    let mut thirds = Vec::new();
    for index in 0..strong.len() {
        choose_targets(&strong, index, density.reference_targets, &mut targets);
        for &(target_index, target) in &targets {
            if density.has_context {
                choose_targets(&strong, target_index, 1, &mut thirds);
            }
            let context = if density.has_context { context(target, thirds.first().map(|&(_, third)| third)) } else { 0 };
            if let Some(hash) = fields(strong[index], target, context).pack() {
                landmarks.push(Landmark { hash, frame: strong[index].frame() });
            }
        }
    }
    landmarks
}

/// What a query asks for, without the neighbouring cells: the landmarks that a stream gives.
#[must_use]
pub fn query_landmarks(peaks: &[Peak], profile: Profile) -> Vec<Landmark> {
    let mut landmarks = Vec::new();
    let mut pairing = Pairing::new(profile);
    for index in 0..peaks.len() {
        pairing.landmarks_of(peaks, index, &mut landmarks);
    }
    landmarks
}

/// Pairs anchors with targets at a query's density.
#[derive(Debug, Clone)]
pub struct Pairing {
    density: Density,
    targets: Vec<(usize, Peak)>,
    thirds: Vec<(usize, Peak)>,
}

impl Pairing {
    /// Pairing for a profile.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self { density: Density::of(profile), targets: Vec::new(), thirds: Vec::new() }
    }

    /// Appends the landmarks of the anchor at `index` of `peaks`, which are ordered by time.
    pub fn landmarks_of(&mut self, peaks: &[Peak], index: usize, landmarks: &mut Vec<Landmark>) {
        let Some(&anchor) = peaks.get(index) else { return };
        choose_targets(peaks, index, QUERY_TARGETS, &mut self.targets);
        for &(target_index, target) in &self.targets {
            let context = if self.density.has_context {
                choose_targets(peaks, target_index, 1, &mut self.thirds);
                context(target, self.thirds.first().map(|&(_, third)| third))
            } else {
                0
            };
            landmarks.extend(fields(anchor, target, context).pack().map(|hash| Landmark { hash, frame: anchor.frame() }));
        }
    }

    /// Appends the probes of the anchor at `index` of `peaks`, which are ordered by time.
    pub fn probes_of(&mut self, peaks: &[Peak], index: usize, probes: &mut Vec<Probe>) {
        let Some(&anchor) = peaks.get(index) else { return };
        choose_targets(peaks, index, QUERY_TARGETS, &mut self.targets);
        for &(target_index, target) in &self.targets {
            let (cells, count) = neighbouring_cells(anchor, target);
            let mut contexts = [0; QUERY_THIRDS];
            let mut context_count = 1;
            if self.density.has_context {
                choose_targets(peaks, target_index, QUERY_THIRDS, &mut self.thirds);
                contexts[0] = context(target, None);
                for (slot, &(_, third)) in contexts.iter_mut().zip(&self.thirds) {
                    *slot = context(target, Some(third));
                }
                context_count = self.thirds.len().max(1);
            }
            for cell in &cells[..count] {
                for &context in &contexts[..context_count] {
                    let hash = Fields { context, ..*cell }.pack();
                    probes.extend(hash.map(|hash| Probe { hash, anchor: index as u32 }));
                }
            }
        }
    }
}

/// The first `count` targets of the anchor at `index`, ordered by falling level, rising distance, rising frequency.
fn choose_targets(peaks: &[Peak], index: usize, count: usize, targets: &mut Vec<(usize, Peak)>) {
    targets.clear();
    let Some(&anchor) = peaks.get(index) else { return };
    let zone = peaks.iter().enumerate().skip(index + 1).take_while(|(_, peak)| frame_step(anchor, **peak) <= *TARGET_FRAMES.end());
    for (target_index, &target) in zone {
        let bin_step = i32::from(target.bin()) - i32::from(anchor.bin());
        if frame_step(anchor, target) < *TARGET_FRAMES.start() || !TARGET_BINS.contains(&bin_step) {
            continue;
        }
        let key = |peak: Peak| (std::cmp::Reverse(peak.level), frame_step(anchor, peak), peak.f);
        let place = targets.partition_point(|&(_, chosen)| key(chosen) <= key(target));
        if place < count {
            targets.truncate(count - 1);
            targets.insert(place, (target_index, target));
        }
    }
}

/// Frames from anchor to target, rounded from eighths: it does not depend on where in a frame the pair lies.
fn frame_step(anchor: Peak, target: Peak) -> u32 {
    target.t.saturating_sub(anchor.t).saturating_add(4) >> 3
}

fn fields(anchor: Peak, target: Peak, context: u16) -> Fields {
    Fields {
        anchor_bin: anchor.bin(),
        bin_step: target.bin() as i16 - anchor.bin() as i16,
        frame_step: frame_step(anchor, target) as u16,
        context,
    }
}

/// The third peak as ten bits: a quarter of the bin step, half the frame step.
fn context(target: Peak, third: Option<Peak>) -> u16 {
    match third {
        Some(third) => {
            let bin_step = (i32::from(third.bin()) - i32::from(target.bin()) + 64) as u16 >> 2;
            let frame_step = (frame_step(target, third) - 1) as u16 >> 1;
            bin_step << 5 | frame_step
        }
        None => NO_THIRD,
    }
}

/// The cell of a pair, then those that it may have fallen into with a little noise: one step over each edge that is near, nearest edge
/// first, then over the two nearest at once.
fn neighbouring_cells(anchor: Peak, target: Peak) -> ([Fields; PROBES], usize) {
    let own = fields(anchor, target, 0);
    // (distance in eighths, step of anchor bin, of bin step, of frame step)
    let mut edges = [(u32::MAX, 0, 0, 0); 3];
    if let Some((distance, step)) = near_edge(u32::from(anchor.f) + 4) {
        edges[0] = (distance, step, -step, 0);
    }
    if let Some((distance, step)) = near_edge(u32::from(target.f) + 4) {
        edges[1] = (distance, 0, step, 0);
    }
    if let Some((distance, step)) = near_edge(target.t.saturating_sub(anchor.t).saturating_add(4)) {
        edges[2] = (distance, 0, 0, step);
    }
    edges.sort_by_key(|&(distance, ..)| distance);
    let near = edges.iter().filter(|&&(distance, ..)| distance != u32::MAX).count();
    let stepped = |cell: Fields, (_, anchor_step, bin_step, frame_step): (u32, i16, i16, i16)| Fields {
        anchor_bin: cell.anchor_bin.wrapping_add_signed(anchor_step),
        bin_step: cell.bin_step + bin_step,
        frame_step: cell.frame_step.wrapping_add_signed(frame_step),
        context: 0,
    };
    let mut cells = [own; PROBES];
    for (cell, &edge) in cells[1..].iter_mut().zip(&edges[..near]) {
        *cell = stepped(own, edge);
    }
    if near == 2 {
        cells[3] = stepped(cells[1], edges[1]);
        return (cells, PROBES);
    }
    (cells, 1 + near)
}

/// The edge of its cell that a position in eighths (cell borders at multiples of 8) is near to: distance in eighths and direction.
fn near_edge(position: u32) -> Option<(u32, i16)> {
    match position & 7 {
        inside if inside <= NEAR_LOWER_EDGE => Some((inside, -1)),
        inside if inside >= NEAR_UPPER_EDGE => Some((8 - inside, 1)),
        _ => None,
    }
}
