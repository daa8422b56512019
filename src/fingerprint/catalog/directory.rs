//! The directory of sorted postings: from a key to the places of its postings.
//!
//! Compressed sparse rows: the upper bits of a key choose a bucket, one byte per bucket counts its postings (255 = see the list of
//! escapes), one sum per 64 buckets tells where they begin, and the remaining key bits are packed per posting. With n / 8 to n / 4
//! buckets it takes 0.3 to 1 byte per posting, so that it stays in memory where the postings themselves do not.

use std::ops::Range;

use super::postings::gallop;
use crate::error::{Error, Result};
use crate::fingerprint::wire::Reader;

/// Buckets per sum.
const BLOCK: usize = 64;
/// Count that says: see the escapes.
const ESCAPE: u8 = u8::MAX;
/// Bytes behind the packed bits, so that eight can be read anywhere.
const PADDING: usize = 8;

/// Where the postings of every key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    key_bits: u32,
    /// Upper key bits that choose a bucket.
    bucket_bits: u32,
    len: usize,
    counts: Vec<u8>,
    /// Buckets with 255 postings or more, with their counts, by bucket.
    escapes: Vec<(u32, u32)>,
    /// Postings before every 64th bucket.
    sums: Vec<u32>,
    /// The lower key bits, packed.
    low_keys: Vec<u8>,
}

impl Directory {
    /// Number of postings.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.counts.len() + self.escapes.len() * 8 + self.sums.len() * 4 + self.low_keys.len()
    }

    /// Buckets that hold a posting, and all buckets.
    pub fn fill(&self) -> (usize, usize) {
        (self.counts.iter().filter(|&&count| count > 0).count(), self.counts.len())
    }

    /// Places of the postings with keys `low..=high`.
    pub fn range(&self, low: u32, high: u32) -> Range<usize> {
        let start = self.lower_bound(u64::from(low));
        let end = if low == high { self.end_of_run(start, low) } else { self.lower_bound(u64::from(high) + 1) };
        start..end.max(start)
    }

    /// Keys of the places `range`, which begins with a posting of `low` or the first behind it.
    pub fn keys(&self, low: u32, range: Range<usize>) -> impl Iterator<Item = u32> + Clone + '_ {
        let low_bits = self.key_bits - self.bucket_bits;
        let mut bucket = (u64::from(low) >> low_bits) as usize;
        let mut bucket_end = if bucket < self.counts.len() { self.bucket_start(bucket) + self.bucket_count(bucket) } else { usize::MAX };
        range.map(move |place| {
            while place >= bucket_end && bucket + 1 < self.counts.len() {
                bucket += 1;
                bucket_end += self.bucket_count(bucket);
            }
            ((bucket as u64) << low_bits | self.low_key(place)) as u32
        })
    }

    /// All keys in their order, one per posting.
    pub fn all_keys(&self) -> impl Iterator<Item = u32> + '_ {
        self.keys(0, 0..self.len)
    }

    /// Appends it as bytes: buckets u32, escapes u32, then counts, escapes, packed low keys.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&(self.counts.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.escapes.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.counts);
        for (bucket, count) in &self.escapes {
            bytes.extend_from_slice(&bucket.to_le_bytes());
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes.extend_from_slice(&self.low_keys[..self.low_keys.len() - PADDING]);
    }

    /// Reads what [`Directory::encode`] wrote for `len` postings.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the byte offset for anything else.
    pub fn decode(reader: &mut Reader<'_>, key_bits: u32, len: usize) -> Result<Self> {
        let bucket_bits = bucket_bits(key_bits, len);
        let bucket_count = u32::from_le_bytes(reader.take()?) as usize;
        let escape_count = u32::from_le_bytes(reader.take()?) as usize;
        if bucket_count != 1 << bucket_bits {
            return Err(reader.damaged(8, format!("{bucket_count} buckets do not fit {len} postings")));
        }
        let counts = copied(reader.slice(bucket_count)?)?;
        let mut escapes = Vec::new();
        for _ in 0..escape_count {
            escapes.push((u32::from_le_bytes(reader.take()?), u32::from_le_bytes(reader.take()?)));
        }
        let escaped = counts.iter().enumerate().filter(|&(_, &count)| count == ESCAPE).map(|(bucket, _)| bucket as u32);
        if !escaped.eq(escapes.iter().map(|&(bucket, _)| bucket)) || escapes.iter().any(|&(_, count)| count < u32::from(ESCAPE)) {
            return Err(reader.damaged(0, "escapes that do not fit the bucket counts".to_string()));
        }
        let small: u64 = counts.iter().filter(|&&count| count != ESCAPE).map(|&count| u64::from(count)).sum();
        let total = small + escapes.iter().map(|&(_, count)| u64::from(count)).sum::<u64>();
        if total != len as u64 {
            return Err(reader.damaged(0, format!("buckets of {total} postings, there are {len}")));
        }
        let low_bits = key_bits - bucket_bits;
        let packed = reader.slice((len * low_bits as usize).div_ceil(8))?;
        let mut low_keys = zeros(packed.len() + PADDING)?;
        low_keys[..packed.len()].copy_from_slice(packed);
        let mut directory = Self { key_bits, bucket_bits, len, counts, escapes, sums: Vec::new(), low_keys };
        directory.sums = directory.block_sums();
        if !directory.all_keys().is_sorted() {
            return Err(reader.damaged(0, "keys out of order".to_string()));
        }
        Ok(directory)
    }

    /// First place whose key is at least `key`.
    fn lower_bound(&self, key: u64) -> usize {
        let low_bits = self.key_bits - self.bucket_bits;
        let bucket = (key >> low_bits) as usize;
        if bucket >= self.counts.len() {
            return self.len;
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
        if low_bits == 0 {
            return bucket_end;
        }
        let low_key = u64::from(key) & mask(low_bits);
        // Runs are short but for crowded keys.
        gallop(start, bucket_end, |place| self.low_key(place) == low_key)
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
}

/// A directory being filled with keys in their order.
#[derive(Debug)]
pub struct DirectoryBuilder {
    directory: Directory,
    filled: usize,
    bucket: u32,
    bucket_count: u32,
}

impl DirectoryBuilder {
    /// A directory of `len` postings with keys of `key_bits` bits.
    ///
    /// # Errors
    /// [`Error::Limit`] for 2^32 postings or more; [`Error::OutOfMemory`].
    pub fn new(key_bits: u32, len: usize) -> Result<Self> {
        if len > u32::MAX as usize {
            return Err(Error::Limit { what: "number of postings", name: "", given: len as f64, allowed: f64::from(u32::MAX) });
        }
        let bucket_bits = bucket_bits(key_bits, len);
        let packed = (len * (key_bits - bucket_bits) as usize).div_ceil(8) + PADDING;
        let directory = Directory {
            key_bits,
            bucket_bits,
            len,
            counts: zeros(1 << bucket_bits)?,
            escapes: Vec::new(),
            sums: Vec::new(),
            low_keys: zeros(packed)?,
        };
        Ok(Self { directory, filled: 0, bucket: 0, bucket_count: 0 })
    }

    /// Adds the key of the next posting.
    ///
    /// # Errors
    /// [`Error::Internal`] for one too many, out of range or out of order.
    pub fn push(&mut self, key: u32) -> Result<()> {
        let low_bits = self.directory.key_bits - self.directory.bucket_bits;
        let bucket = (u64::from(key) >> low_bits) as u32;
        if self.filled >= self.directory.len || u64::from(key) >= 1 << self.directory.key_bits || bucket < self.bucket {
            return Err(Error::internal(format!("posting {} of {} with key {key} is out of place", self.filled, self.directory.len)));
        }
        if bucket != self.bucket {
            self.close_bucket();
            self.bucket = bucket;
            self.bucket_count = 0;
        }
        self.bucket_count += 1;
        let bit = self.filled * low_bits as usize;
        let bits = (u64::from(key) & mask(low_bits)) << (bit % 8);
        for (slot, byte) in self.directory.low_keys[bit / 8..bit / 8 + 8].iter_mut().zip(bits.to_le_bytes()) {
            *slot |= byte;
        }
        self.filled += 1;
        Ok(())
    }

    /// The directory.
    ///
    /// # Errors
    /// [`Error::Internal`] if keys are missing.
    pub fn finish(mut self) -> Result<Directory> {
        if self.filled != self.directory.len {
            return Err(Error::internal(format!("{} postings came instead of {}", self.filled, self.directory.len)));
        }
        self.close_bucket();
        self.directory.sums = self.directory.block_sums();
        Ok(self.directory)
    }

    fn close_bucket(&mut self) {
        let small = u8::try_from(self.bucket_count).unwrap_or(ESCAPE);
        self.directory.counts[self.bucket as usize] = small;
        if small == ESCAPE {
            self.directory.escapes.push((self.bucket, self.bucket_count));
        }
    }
}

/// Upper key bits that choose a bucket of a directory of `len` postings.
fn bucket_bits(key_bits: u32, len: usize) -> u32 {
    (len / 4).checked_ilog2().unwrap_or(0).min(key_bits)
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

pub(super) fn zeros(length: usize) -> Result<Vec<u8>> {
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
    use super::{Directory, DirectoryBuilder};
    use crate::fingerprint::wire::Reader;
    use proptest::prelude::*;

    fn keys(key_bits: u32) -> impl Strategy<Value = Vec<u32>> {
        let key = prop_oneof![0..(1u64 << key_bits), 0..4u64.min(1 << key_bits)];
        prop::collection::vec(key.prop_map(|key| key as u32), 0..3000).prop_map(|mut keys| {
            keys.sort_unstable();
            keys
        })
    }

    fn directory(key_bits: u32, keys: &[u32]) -> Directory {
        let mut builder = DirectoryBuilder::new(key_bits, keys.len()).unwrap();
        for &key in keys {
            builder.push(key).unwrap();
        }
        builder.finish().unwrap()
    }

    fn equals_a_sorted_list(key_bits: u32, keys: &[u32]) {
        let built = directory(key_bits, keys);
        assert!(built.all_keys().eq(keys.iter().copied()));
        let mut bytes = Vec::new();
        built.encode(&mut bytes);
        assert_eq!(Directory::decode(&mut Reader::new(&bytes, 0), key_bits, keys.len()).unwrap(), built);
        let highest = ((1u64 << key_bits) - 1) as u32;
        for &low in keys.iter().chain(&[0, 1, 7, highest >> 1, highest]).step_by(keys.len() / 50 + 1) {
            for high in [low, low.saturating_add(1000).min(highest)] {
                let expected = keys.partition_point(|&key| key < low)..keys.partition_point(|&key| key <= high);
                let range = built.range(low, high);
                assert_eq!(range.len(), expected.len(), "keys {low}..={high}");
                assert!(range.is_empty() || range == expected);
                assert!(built.keys(low, range).eq(keys[expected].iter().copied()));
            }
        }
    }

    proptest! {
        #[test]
        fn a_directory_of_22_bit_keys_equals_the_sorted_list(keys in keys(22)) {
            equals_a_sorted_list(22, &keys);
        }

        #[test]
        fn a_directory_of_32_bit_keys_equals_the_sorted_list(keys in keys(32)) {
            equals_a_sorted_list(32, &keys);
        }

        #[test]
        fn random_bytes_are_no_directory_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), len in 0usize..100) {
            // What is accepted must at least be usable.
            if let Ok(directory) = Directory::decode(&mut Reader::new(&bytes, 0), 22, len) {
                prop_assert_eq!(directory.range(0, u32::MAX >> 10).len(), len);
            }
        }
    }

    #[test]
    fn a_directory_of_a_million_postings_takes_less_than_a_byte_each() {
        let mut keys: Vec<u32> = (0..1_000_000u32).map(|n| n.wrapping_mul(2_654_435_761) >> 10).collect();
        keys.sort_unstable();
        assert!(directory(22, &keys).bytes() < 1_000_000);
    }

    #[test]
    fn keys_out_of_order_or_range_are_refused() {
        let mut builder = DirectoryBuilder::new(22, 400).unwrap();
        builder.push(1 << 21).unwrap();
        assert_eq!(builder.push(0).unwrap_err().kind(), "internal");
        assert_eq!(builder.push(1 << 22).unwrap_err().kind(), "internal");
        assert_eq!(builder.finish().unwrap_err().kind(), "internal");
    }
}
