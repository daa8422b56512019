//! Postings, packed: who has which key when.
//!
//! Sorted by key, part and time. A directory in the manner of compressed sparse rows leads from the upper bits of a key to its bucket:
//! one byte per bucket counts its postings (255 = see the list of escapes), one sum per 64 buckets tells where they begin. The remaining
//! key bits are packed per posting, part and time take five bytes. With n / 8 to n / 4 buckets that is 5.3 to 6 bytes per posting.

use std::ops::Range;

use crate::error::{Error, Result};

/// A landmark of the catalogue. Ordered by key, part, time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Posting {
    /// The bits of the hash that carry information.
    pub key: u32,
    /// Number of the part of a track, below 2^24.
    pub part: u32,
    /// Tick in the part.
    pub time: u16,
}

/// Buckets per sum.
const BLOCK: usize = 64;
/// Count that says: see the escapes.
const ESCAPE: u8 = u8::MAX;
/// Bytes of part and time.
pub const ROW_BYTES: usize = 5;
/// Bytes behind the packed bits, so that eight can be read anywhere.
const PADDING: usize = 8;

/// Bucket counts, escapes, packed keys and rows of [`Postings`].
pub type Parts<'a> = (&'a [u8], &'a [(u32, u32)], &'a [u8], &'a [u8]);

/// An immutable, sorted list of postings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postings {
    key_bits: u32,
    /// Upper key bits that choose a bucket.
    bucket_bits: u32,
    counts: Vec<u8>,
    /// Buckets with 255 postings or more, with their counts, by bucket.
    escapes: Vec<(u32, u32)>,
    /// Postings before every 64th bucket.
    sums: Vec<u32>,
    /// The lower key bits, packed.
    low_keys: Vec<u8>,
    rows: Vec<u8>,
}

impl Postings {
    /// Packs `count` postings with keys of `key_bits` bits, which come sorted.
    ///
    /// # Errors
    /// [`Error::Limit`] for 2^32 postings or more; [`Error::OutOfMemory`] if there is no room for them; [`Error::Internal`] if they are
    /// not sorted, not `count`, or out of range.
    pub fn pack(key_bits: u32, count: usize, postings: impl IntoIterator<Item = Posting>) -> Result<Self> {
        if count > u32::MAX as usize {
            return Err(Error::Limit { what: "number of postings", name: "", given: count as f64, allowed: f64::from(u32::MAX) });
        }
        let bucket_bits = (count / 4).checked_ilog2().unwrap_or(0).min(key_bits);
        let low_bits = key_bits - bucket_bits;
        let packed = (count * low_bits as usize).div_ceil(8) + PADDING;
        let mut packed_postings = Self {
            key_bits,
            bucket_bits,
            counts: zeros(1 << bucket_bits)?,
            escapes: Vec::new(),
            sums: Vec::new(),
            low_keys: zeros(packed)?,
            rows: zeros(count * ROW_BYTES)?,
        };
        let mut filled = 0;
        let mut previous = None;
        let mut bucket_counts = BucketCounts { bucket: 0, count: 0 };
        for posting in postings {
            let in_range = posting.part < 1 << 24 && u64::from(posting.key) < 1 << key_bits && filled < count;
            if !in_range || previous.is_some_and(|previous| previous > posting) {
                return Err(Error::internal(format!("posting {filled} of {count} out of order: {posting:?} after {previous:?}")));
            }
            previous = Some(posting);
            bucket_counts.add((u64::from(posting.key) >> low_bits) as u32, &mut packed_postings);
            packed_postings.put(filled, low_bits, posting);
            filled += 1;
        }
        bucket_counts.close(&mut packed_postings);
        if filled != count {
            return Err(Error::internal(format!("{filled} postings came instead of {count}")));
        }
        packed_postings.sums = packed_postings.block_sums();
        Ok(packed_postings)
    }

    /// Reads the parts that [`Postings::parts`] gives.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the place if they contradict each other, are not sorted, or name a part from `part_count` on.
    pub fn from_parts(
        key_bits: u32,
        counts: &[u8],
        escapes: Vec<(u32, u32)>,
        low_keys: &[u8],
        rows: &[u8],
        part_count: u32,
    ) -> Result<Self> {
        let damaged = |what: String| Error::invalid(format!("{what}: the catalogue is damaged, export it again"));
        let count = rows.len() / ROW_BYTES;
        let bucket_bits = (count / 4).checked_ilog2().unwrap_or(0).min(key_bits);
        if counts.len() != 1 << bucket_bits || !rows.len().is_multiple_of(ROW_BYTES) {
            return Err(damaged(format!("{} buckets do not fit {} bytes of postings", counts.len(), rows.len())));
        }
        let low_bits = key_bits - bucket_bits;
        if low_keys.len() != (count * low_bits as usize).div_ceil(8) {
            return Err(damaged(format!("{} bytes of packed keys do not fit {count} postings", low_keys.len())));
        }
        let escaped = counts.iter().enumerate().filter(|&(_, &count)| count == ESCAPE).map(|(bucket, _)| bucket as u32);
        if !escaped.eq(escapes.iter().map(|&(bucket, _)| bucket)) || escapes.iter().any(|&(_, count)| count < u32::from(ESCAPE)) {
            return Err(damaged("the escapes do not fit the bucket counts".to_string()));
        }
        let small: u64 = counts.iter().filter(|&&count| count != ESCAPE).map(|&count| u64::from(count)).sum();
        let total = small + escapes.iter().map(|&(_, count)| u64::from(count)).sum::<u64>();
        if total != count as u64 {
            return Err(damaged(format!("the buckets count {total} postings, there are {count}")));
        }
        let mut padded = zeros(low_keys.len() + PADDING)?;
        padded[..low_keys.len()].copy_from_slice(low_keys);
        let mut postings =
            Self { key_bits, bucket_bits, counts: copied(counts)?, escapes, sums: Vec::new(), low_keys: padded, rows: copied(rows)? };
        postings.sums = postings.block_sums();
        let mut previous = None;
        for (index, posting) in postings.iter().enumerate() {
            if previous.is_some_and(|previous| previous > posting) || posting.part >= part_count {
                return Err(damaged(format!("posting {index} is out of order or of no part")));
            }
            previous = Some(posting);
        }
        Ok(postings)
    }

    /// What is stored of it: counts, escapes, packed keys, rows.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        (&self.counts, &self.escapes, &self.low_keys[..self.low_keys.len() - PADDING], &self.rows)
    }

    /// Number of postings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() / ROW_BYTES
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.counts.len() + self.escapes.len() * 8 + self.sums.len() * 4 + self.low_keys.len() + self.rows.len()
    }

    /// Buckets that hold a posting, and all buckets.
    #[must_use]
    pub fn directory_fill(&self) -> (usize, usize) {
        (self.counts.iter().filter(|&&count| count > 0).count(), self.counts.len())
    }

    /// Places of the postings with keys `low..=high`.
    #[must_use]
    pub fn range(&self, low: u32, high: u32) -> Range<usize> {
        let start = self.lower_bound(u64::from(low));
        let end = if low == high { self.end_of_run(start, low) } else { self.lower_bound(u64::from(high) + 1) };
        start..end.max(start)
    }

    /// Part and time of the posting at a place.
    #[inline]
    #[must_use]
    pub fn row(&self, place: usize) -> (u32, u16) {
        match self.rows.get(place * ROW_BYTES..(place + 1) * ROW_BYTES) {
            Some(&[a, b, c, d, e]) => (u32::from_le_bytes([a, b, c, 0]), u16::from_le_bytes([d, e])),
            _ => (0, 0),
        }
    }

    /// All postings in their order.
    pub fn iter(&self) -> impl Iterator<Item = Posting> + '_ {
        let low_bits = self.key_bits - self.bucket_bits;
        let buckets = (0..self.counts.len()).flat_map(move |bucket| std::iter::repeat_n(bucket as u64, self.bucket_count(bucket)));
        buckets.enumerate().map(move |(place, bucket)| {
            let (part, time) = self.row(place);
            Posting { key: (bucket << low_bits | self.low_key(place)) as u32, part, time }
        })
    }

    /// First place whose key is at least `key`.
    fn lower_bound(&self, key: u64) -> usize {
        let low_bits = self.key_bits - self.bucket_bits;
        let bucket = (key >> low_bits) as usize;
        if bucket >= self.counts.len() {
            return self.len();
        }
        let mut start = self.bucket_start(bucket);
        let mut end = start + self.bucket_count(bucket);
        let low_key = key & mask(low_bits);
        while start < end {
            let middle = start.midpoint(end);
            if self.low_key(middle) < low_key {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        start
    }

    /// First place behind `start` with another key than `key`.
    fn end_of_run(&self, start: usize, key: u32) -> usize {
        let low_bits = self.key_bits - self.bucket_bits;
        let bucket = (u64::from(key) >> low_bits) as usize;
        if bucket >= self.counts.len() {
            return start;
        }
        let bucket_end = self.bucket_start(bucket) + self.bucket_count(bucket);
        let low_key = u64::from(key) & mask(low_bits);
        let mut end = start;
        while end < bucket_end && self.low_key(end) == low_key {
            end += 1;
        }
        end
    }

    fn bucket_count(&self, bucket: usize) -> usize {
        match self.counts.get(bucket) {
            Some(&ESCAPE) => {
                let place = self.escapes.partition_point(|&(escaped, _)| (escaped as usize) < bucket);
                self.escapes.get(place).map_or(0, |&(_, count)| count as usize)
            }
            Some(&count) => usize::from(count),
            None => 0,
        }
    }

    fn bucket_start(&self, bucket: usize) -> usize {
        let block = bucket / BLOCK;
        let counts = &self.counts[block * BLOCK..bucket];
        let mut start: usize = counts.iter().map(|&count| usize::from(count)).sum();
        if counts.contains(&ESCAPE) {
            let first = self.escapes.partition_point(|&(escaped, _)| (escaped as usize) < block * BLOCK);
            let escaped = self.escapes[first..].iter().take_while(|&&(escaped, _)| (escaped as usize) < bucket);
            start += escaped.map(|&(_, count)| count as usize - usize::from(ESCAPE)).sum::<usize>();
        }
        start + self.sums.get(block).map_or(0, |&sum| sum as usize)
    }

    fn block_sums(&self) -> Vec<u32> {
        let mut sum = 0;
        (0..self.counts.len())
            .step_by(BLOCK)
            .map(|block| {
                let before = sum;
                sum += (block..(block + BLOCK).min(self.counts.len())).map(|bucket| self.bucket_count(bucket) as u32).sum::<u32>();
                before
            })
            .collect()
    }

    #[inline]
    fn low_key(&self, place: usize) -> u64 {
        let low_bits = self.key_bits - self.bucket_bits;
        let bit = place * low_bits as usize;
        match self.low_keys.get(bit / 8..bit / 8 + 8) {
            Some(&[a, b, c, d, e, f, g, h]) => u64::from_le_bytes([a, b, c, d, e, f, g, h]) >> (bit % 8) & mask(low_bits),
            _ => 0,
        }
    }

    fn put(&mut self, place: usize, low_bits: u32, posting: Posting) {
        let [a, b, c, _] = posting.part.to_le_bytes();
        let [d, e] = posting.time.to_le_bytes();
        self.rows[place * ROW_BYTES..(place + 1) * ROW_BYTES].copy_from_slice(&[a, b, c, d, e]);
        let bit = place * low_bits as usize;
        let bits = (u64::from(posting.key) & mask(low_bits)) << (bit % 8);
        for (slot, byte) in self.low_keys[bit / 8..bit / 8 + 8].iter_mut().zip(bits.to_le_bytes()) {
            *slot |= byte;
        }
    }
}

/// Counts the postings of the bucket being filled.
struct BucketCounts {
    bucket: u32,
    count: u32,
}

impl BucketCounts {
    fn add(&mut self, bucket: u32, postings: &mut Postings) {
        if bucket != self.bucket {
            self.close(postings);
            *self = Self { bucket, count: 0 };
        }
        self.count += 1;
    }

    fn close(&self, postings: &mut Postings) {
        let small = u8::try_from(self.count).unwrap_or(ESCAPE);
        postings.counts[self.bucket as usize] = small;
        if small == ESCAPE {
            postings.escapes.push((self.bucket, self.count));
        }
    }
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

fn zeros(length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Error::OutOfMemory { what: "the catalogue", bytes: length as u64 })?;
    bytes.resize(length, 0);
    Ok(bytes)
}

fn copied(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = zeros(bytes.len())?;
    copy.copy_from_slice(bytes);
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::{Posting, Postings};
    use proptest::prelude::*;

    fn postings(key_bits: u32) -> impl Strategy<Value = Vec<Posting>> {
        let keys = prop_oneof![0..(1u64 << key_bits), 0..4u64.min(1 << key_bits)];
        let posting = (keys, 0u32..50, 0u16..500).prop_map(|(key, part, time)| Posting { key: key as u32, part, time });
        prop::collection::vec(posting, 0..3000).prop_map(|mut list| {
            list.sort_unstable();
            list
        })
    }

    fn equals_a_sorted_list(key_bits: u32, list: &[Posting]) {
        let packed = Postings::pack(key_bits, list.len(), list.iter().copied()).unwrap();
        assert!(packed.iter().eq(list.iter().copied()));
        let (counts, escapes, low_keys, rows) = packed.parts();
        let read = Postings::from_parts(key_bits, counts, escapes.to_vec(), low_keys, rows, 50).unwrap();
        assert_eq!(read, packed);
        let probes = list.iter().map(|posting| posting.key).chain([0, 1, 7, (mask_of(key_bits) >> 1) as u32, mask_of(key_bits) as u32]);
        for key in probes.step_by(list.len() / 50 + 1) {
            for high in [key, key.saturating_add(1000).min(mask_of(key_bits) as u32)] {
                let expected = list.partition_point(|posting| posting.key < key)..list.partition_point(|posting| posting.key <= high);
                let range = packed.range(key, high);
                assert_eq!(range.len(), expected.len(), "keys {key}..={high}");
                assert!(range.map(|place| packed.row(place)).eq(list[expected].iter().map(|posting| (posting.part, posting.time))));
            }
        }
    }

    fn mask_of(bits: u32) -> u64 {
        (1 << bits) - 1
    }

    proptest! {
        #[test]
        fn packed_postings_of_22_bit_keys_equal_the_sorted_list(list in postings(22)) {
            equals_a_sorted_list(22, &list);
        }

        #[test]
        fn packed_postings_of_32_bit_keys_equal_the_sorted_list(list in postings(32)) {
            equals_a_sorted_list(32, &list);
        }
    }

    #[test]
    fn a_million_postings_take_less_than_six_bytes_each() {
        // Keys of a multiplicative sequence spread over all buckets.
        let mut list: Vec<Posting> = (0..1_000_000u32)
            .map(|n| Posting { key: n.wrapping_mul(2_654_435_761) >> 10, part: n % 1_000, time: (n / 1_000) as u16 })
            .collect();
        list.sort_unstable();
        let packed = Postings::pack(22, list.len(), list).unwrap();
        assert!(packed.bytes() < 6_000_000, "{}", packed.bytes());
    }

    #[test]
    fn postings_out_of_order_are_refused() {
        let list = [Posting { key: 2, part: 0, time: 0 }, Posting { key: 1, part: 0, time: 0 }];
        assert_eq!(Postings::pack(22, 2, list).unwrap_err().kind(), "internal");
    }
}
