//! Segments: the catalogue's postings in immutable pieces, merged as they become many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::postings::{Posting, Postings};
use crate::error::Result;

/// Postings at which recent enrolments become a segment: about 31 tracks.
const SEAL_AT: usize = 262_144;
/// Segments of a tier that become one of the next.
const MERGE: usize = 8;

/// All postings of a catalogue: sealed segments by tier, and the recent ones as a sorted list.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    /// Tier and postings.
    sealed: Vec<(u32, Postings)>,
    recent: Vec<Posting>,
}

impl Segments {
    /// A catalogue's postings in one segment.
    #[must_use]
    pub fn of(postings: Postings) -> Self {
        let mut tier = 0;
        let mut holds = SEAL_AT;
        while postings.len() > holds {
            tier += 1;
            holds = holds.saturating_mul(MERGE);
        }
        let sealed = if postings.is_empty() { Vec::new() } else { vec![(tier, postings)] };
        Self { sealed, recent: Vec::new() }
    }

    /// Adds postings, in any order.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`], before which nothing is changed.
    pub fn add(&mut self, key_bits: u32, mut postings: Vec<Posting>) -> Result<()> {
        postings.sort_unstable();
        let merged: Vec<Posting> = merge(vec![Box::new(self.recent.iter().copied()), Box::new(postings.into_iter())]).collect();
        if merged.len() < SEAL_AT {
            self.recent = merged;
            return Ok(());
        }
        let sealed = Postings::pack(key_bits, merged.len(), merged)?;
        self.sealed.push((0, sealed));
        self.recent = Vec::new();
        self.merge_full_tiers(key_bits)
    }

    /// Number of postings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recent.len() + self.sealed.iter().map(|(_, postings)| postings.len()).sum::<usize>()
    }

    /// The sealed segments' postings.
    pub fn sealed(&self) -> impl Iterator<Item = &Postings> {
        self.sealed.iter().map(|(_, postings)| postings)
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.recent.capacity() * size_of::<Posting>() + self.sealed().map(Postings::bytes).sum::<usize>()
    }

    /// Number of postings with keys `low..=high`.
    #[must_use]
    pub fn count(&self, low: u32, high: u32) -> usize {
        self.recent_range(low, high).len() + self.sealed().map(|postings| postings.range(low, high).len()).sum::<usize>()
    }

    /// Calls `visit` with key, part and time of each posting with keys `low..=high`.
    pub fn visit(&self, low: u32, high: u32, mut visit: impl FnMut(u32, u32, u16)) {
        for postings in self.sealed() {
            for key in low..=high {
                for place in postings.range(key, key) {
                    let (part, time) = postings.row(place);
                    visit(key, part, time);
                }
            }
        }
        for posting in self.recent_range(low, high) {
            visit(posting.key, posting.part, posting.time);
        }
    }

    /// All postings in their order.
    pub fn iter(&self) -> impl Iterator<Item = Posting> + '_ {
        let mut lists: Vec<Box<dyn Iterator<Item = Posting> + '_>> = vec![Box::new(self.recent.iter().copied())];
        for postings in self.sealed() {
            lists.push(Box::new(postings.iter()));
        }
        merge(lists)
    }

    fn recent_range(&self, low: u32, high: u32) -> &[Posting] {
        let start = self.recent.partition_point(|posting| posting.key < low);
        let end = start + self.recent[start..].partition_point(|posting| posting.key <= high);
        &self.recent[start..end]
    }

    /// Merges while any tier holds eight segments.
    fn merge_full_tiers(&mut self, key_bits: u32) -> Result<()> {
        let full = |sealed: &[(u32, Postings)]| {
            sealed.iter().map(|&(tier, _)| tier).find(|&tier| sealed.iter().filter(|&&(other, _)| other == tier).count() >= MERGE)
        };
        while let Some(tier) = full(&self.sealed) {
            let of_tier: Vec<&Postings> = self.sealed.iter().filter(|&&(other, _)| other == tier).map(|(_, postings)| postings).collect();
            let count = of_tier.iter().map(|postings| postings.len()).sum();
            let lists = of_tier.iter().map(|postings| Box::new(postings.iter()) as Box<dyn Iterator<Item = Posting>>).collect();
            let merged = Postings::pack(key_bits, count, merge(lists))?;
            self.sealed.retain(|&(other, _)| other != tier);
            self.sealed.push((tier + 1, merged));
        }
        Ok(())
    }
}

/// Merges sorted lists.
fn merge<'a>(mut lists: Vec<Box<dyn Iterator<Item = Posting> + 'a>>) -> impl Iterator<Item = Posting> + 'a {
    let mut heads: BinaryHeap<Reverse<(Posting, usize)>> =
        lists.iter_mut().enumerate().filter_map(|(index, list)| list.next().map(|head| Reverse((head, index)))).collect();
    std::iter::from_fn(move || {
        let Reverse((posting, index)) = heads.pop()?;
        if let Some(next) = lists.get_mut(index).and_then(|list| list.next()) {
            heads.push(Reverse((next, index)));
        }
        Some(posting)
    })
}
