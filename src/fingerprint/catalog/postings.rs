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
pub fn places(bytes: &[u8]) -> impl Iterator<Item = (u32, u16)> + Clone + '_ {
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
}

/// The first place in `from..length` of which `is_before` does not hold, which holds up to there: steps of double length, then of half.
/// What lies near is found at once.
pub fn gallop(from: usize, length: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut step) = (from, 1);
    while low + step <= length && is_before(low + step - 1) {
        low += step;
        step *= 2;
    }
    let mut high = length.min(low + step - 1).max(low);
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
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
    use super::{Posting, Runs, gallop, places, put_place};
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
            let mut found: Vec<Posting> = runs.iter().flatten().copied().collect();
            found.sort_unstable();
            prop_assert_eq!(found, all);
            prop_assert!(runs.iter().all(|run| run.is_sorted()));
        }
    }

    proptest! {
        #[test]
        fn galloping_finds_what_a_search_by_halves_finds(numbers in prop::collection::vec(0u32..60, 0..200), wanted in 0u32..62, from in 0usize..200) {
            let mut numbers = numbers;
            numbers.sort_unstable();
            let from = from.min(numbers.partition_point(|&number| number < wanted));
            prop_assert_eq!(gallop(from, numbers.len(), |place| numbers[place] < wanted), numbers.partition_point(|&number| number < wanted));
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
