//! The chunk grid and its joins.

use otolith::separate::ChunkGrid;
use otolith::separate::overlap_add::OverlapAdd;
use proptest::prelude::*;

use crate::signal::noise;

const CHUNK: usize = 793_800;
const OVERLAP: usize = 77_175;

fn check_grid(grid: &ChunkGrid) {
    let (length, count) = (grid.length(), grid.count());
    let mut covered = 0;
    for index in 0..count {
        let (samples, segment) = (grid.samples(index), grid.segment(index));
        assert_eq!(segment.start, covered, "segments tile");
        assert!(!segment.is_empty() && samples.start <= segment.start && segment.end <= samples.end);
        if length > grid.chunk() {
            assert_eq!(samples.len(), grid.chunk(), "every chunk is full of the sound");
        }
        if index > 0 {
            // The join lies at the end of the older chunk and inside the newer one.
            assert_eq!(segment.start + grid.overlap(), grid.samples(index - 1).end);
            assert!(segment.len() >= grid.overlap(), "no sample belongs to two joins");
        }
        covered = segment.end;
    }
    assert_eq!(covered, length);
    assert!(grid.padded() >= length.min(grid.chunk()) && grid.padded() <= grid.chunk());
}

#[test]
fn a_minute_is_four_chunks_and_three_minutes_are_eleven() {
    for (seconds, chunks) in [(18, 1), (19, 2), (60, 4), (180, 11)] {
        assert_eq!(ChunkGrid::new(seconds * 44_100, CHUNK, OVERLAP).unwrap().count(), chunks, "{seconds} s");
    }
    assert_eq!(ChunkGrid::from_seconds(1, 44_100, 18.0, 1.75).unwrap(), ChunkGrid::new(1, CHUNK, OVERLAP).unwrap());
}

#[test]
fn the_grid_holds_around_every_multiple_of_chunk_and_hop() {
    let hop = CHUNK - OVERLAP;
    for base in [0, hop, CHUNK, CHUNK + hop, 2 * CHUNK, CHUNK + 2 * hop, 3 * CHUNK] {
        for length in base.saturating_sub(2)..base + 3 {
            if length > 0 {
                check_grid(&ChunkGrid::new(length, CHUNK, OVERLAP).unwrap());
            }
        }
    }
}

proptest! {
    #[test]
    fn the_grid_holds_for_any_length(length in 1..3 * CHUNK) {
        check_grid(&ChunkGrid::new(length, CHUNK, OVERLAP).unwrap());
    }

    #[test]
    fn the_grid_holds_for_any_chunk(length in 1_usize..10_000, chunk in 2_usize..1_000, part in 1_usize..500) {
        check_grid(&ChunkGrid::new(length, chunk, part.min(chunk / 2)).unwrap());
    }
}

#[test]
fn short_files_have_one_of_few_lengths() {
    let lengths: std::collections::BTreeSet<usize> =
        (1..CHUNK).step_by(1_000).map(|length| ChunkGrid::new(length, CHUNK, OVERLAP).unwrap().padded()).collect();
    assert_eq!(lengths.len(), 13, "12 multiples of 65 536 and the chunk itself: {lengths:?}");
    assert!(lengths.iter().all(|length| length % 65_536 == 0 || *length == CHUNK));
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    for (chunk, overlap, name) in [
        (5.9, 1.0, "options.chunk"),
        (30.1, 1.0, "options.chunk"),
        (f64::NAN, 1.0, "options.chunk"),
        (18.0, 0.4, "options.overlap"),
        (18.0, 4.1, "options.overlap"),
        (6.0, 3.1, "options.overlap"),
        (18.0, -1.0, "options.overlap"),
    ] {
        let error = ChunkGrid::from_seconds(1, 44_100, chunk, overlap).unwrap_err();
        assert_eq!(error.kind(), "invalid-input");
        assert!(error.to_string().starts_with(name), "{error}");
    }
}

#[test]
fn chunks_that_agree_pass_unchanged_to_the_bit() {
    let (length, chunk, overlap) = (10_000, 3_000, 700);
    let grid = ChunkGrid::new(length, chunk, overlap).unwrap();
    let signal = [noise(1, 1.0, length), noise(2, 1.0, length)];
    let mut join = OverlapAdd::new(grid.clone(), 2);
    let mut joined = [Vec::new(), Vec::new()];
    for index in 0..grid.count() {
        let samples = grid.samples(index);
        let both: Vec<f32> = signal.iter().flat_map(|track| track[samples.clone()].to_vec()).collect();
        let out = join.push(index, Some(&both)).unwrap();
        joined.iter_mut().zip(out).for_each(|(whole, part)| whole.extend(part));
    }
    assert!(joined == signal);
}

#[test]
fn the_fades_of_a_join_sum_to_one_within_an_ulp() {
    let (chunk, overlap) = (4_000, 1_000);
    let grid = ChunkGrid::new(7_000, chunk, overlap).unwrap();
    let join = |values: [f32; 2]| {
        let mut join = OverlapAdd::new(grid.clone(), 1);
        join.push(0, Some(&vec![values[0]; chunk])).unwrap();
        join.push(1, Some(&vec![values[1]; chunk])).unwrap().remove(0)
    };
    let (fade_in, fade_out) = (join([0.0, 1.0]), join([1.0, 0.0]));
    for k in 0..overlap {
        let expected = 0.5 - 0.5 * (std::f64::consts::PI * k as f64 / overlap as f64).cos();
        assert!((f64::from(fade_in[k]) - expected).abs() <= f64::from(f32::EPSILON));
        assert!((fade_in[k] + fade_out[k] - 1.0).abs() <= f32::EPSILON, "{k}: {} {}", fade_in[k], fade_out[k]);
    }
    assert!(fade_in[overlap..].iter().all(|sample| *sample == 1.0));
}

#[test]
fn chunks_out_of_order_are_a_fault_and_a_wrong_length_is_refused() {
    let mut join = OverlapAdd::new(ChunkGrid::new(7_000, 4_000, 1_000).unwrap(), 1);
    assert_eq!(join.push(1, None).unwrap_err().kind(), "internal");
    assert_eq!(join.push(0, Some(&[0.0; 3_999])).unwrap_err().kind(), "invalid-input");
    join.push(0, None).unwrap();
    assert_eq!(join.push(0, None).unwrap_err().kind(), "internal");
    join.push(1, None).unwrap();
    assert_eq!(join.push(2, None).unwrap_err().kind(), "internal");
}
