//! Postings: who has which key when.

use super::directory::zeros;
use crate::error::Result;

/// A landmark of the catalogue. Ordered by key, part, time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Posting {
    /// The bits of the hash that carry information.
    pub key: u32,
    /// Number of the part of a track, below 2^24, in its segment.
    pub part: u32,
    /// Tick in the part.
    pub time: u16,
}

/// Bytes of a place: part u24, time u16. The key is the directory's.
pub const PLACE_BYTES: usize = 5;
/// Places that share a checksum in a stored segment, and are read at once.
pub const PAGE_PLACES: usize = 819;
/// Bytes of such a page: as many whole places as fit 4 KiB.
pub const PAGE_BYTES: usize = PAGE_PLACES * PLACE_BYTES;

/// Appends a place.
pub fn put_place(bytes: &mut Vec<u8>, part: u32, time: u16) {
    let [a, b, c, _] = part.to_le_bytes();
    let [d, e] = time.to_le_bytes();
    bytes.extend_from_slice(&[a, b, c, d, e]);
}

/// Part and time of each place in `bytes`.
pub fn places(bytes: &[u8]) -> impl Iterator<Item = (u32, u16)> + '_ {
    bytes.chunks_exact(PLACE_BYTES).map(|place| match *place {
        [a, b, c, d, e] => (u32::from_le_bytes([a, b, c, 0]), u16::from_le_bytes([d, e])),
        _ => (0, 0),
    })
}

/// Postings in sorted runs of falling length: a new one is merged with those that are not much longer, so that each posting is moved
/// only as often as the list doubles.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    runs: Vec<Vec<Posting>>,
}

impl Runs {
    /// Adds postings, in any order.
    pub fn add(&mut self, mut postings: Vec<Posting>) {
        if postings.is_empty() {
            return;
        }
        postings.sort_unstable();
        while let Some(last) = self.runs.pop_if(|last| last.len() <= 2 * postings.len()) {
            postings = merged(&last, &postings);
        }
        self.runs.push(postings);
    }

    /// Number of postings.
    pub fn len(&self) -> usize {
        self.runs.iter().map(Vec::len).sum()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.runs.iter().map(|run| run.capacity() * size_of::<Posting>()).sum()
    }

    /// The runs.
    pub fn iter(&self) -> impl Iterator<Item = &[Posting]> {
        self.runs.iter().map(Vec::as_slice)
    }

    /// The postings of each run with keys `low..=high`.
    pub fn range(&self, low: u32, high: u32) -> impl Iterator<Item = &[Posting]> {
        self.runs.iter().map(move |run| {
            let start = run.partition_point(|posting| posting.key < low);
            let end = start + run[start..].partition_point(|posting| posting.key <= high);
            &run[start..end]
        })
    }
}

fn merged(a: &[Posting], b: &[Posting]) -> Vec<Posting> {
    let mut all = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(first), Some(second)) = (a.peek(), b.peek()) {
        let next = if first <= second { a.next() } else { b.next() };
        all.extend(next);
    }
    all.extend(a);
    all.extend(b);
    all
}

/// Room for the places of `count` postings.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn room_for_places(count: usize) -> Result<Vec<u8>> {
    let mut room = zeros(count.saturating_mul(PLACE_BYTES))?;
    room.clear();
    Ok(room)
}

#[cfg(test)]
mod tests {
    use super::{Posting, Runs, places, put_place};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_hold_what_was_added_and_stay_few(lists in prop::collection::vec(prop::collection::vec((0u32..50, 0u32..9, 0u16..9), 0..40), 0..40)) {
            let mut runs = Runs::default();
            let mut all = Vec::new();
            for list in lists {
                let postings: Vec<Posting> = list.into_iter().map(|(key, part, time)| Posting { key, part, time }).collect();
                all.extend(postings.iter().copied());
                runs.add(postings);
            }
            all.sort_unstable();
            prop_assert_eq!(runs.len(), all.len());
            prop_assert!(runs.iter().count() <= 11, "{} runs of {} postings", runs.iter().count(), all.len());
            for (low, high) in [(0, 49), (7, 7), (10, 20), (49, 60)] {
                let mut found: Vec<Posting> = runs.range(low, high).flatten().copied().collect();
                found.sort_unstable();
                let expected: Vec<Posting> = all.iter().copied().filter(|posting| (low..=high).contains(&posting.key)).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_place_reads_back() {
        let mut bytes = Vec::new();
        put_place(&mut bytes, 0x00fe_dcba, 0x9876);
        put_place(&mut bytes, 1, 2);
        assert!(bytes == [0xba, 0xdc, 0xfe, 0x76, 0x98, 1, 0, 0, 2, 0] && places(&bytes).eq([(0x00fe_dcba, 0x9876), (1, 2)]));
    }
}
