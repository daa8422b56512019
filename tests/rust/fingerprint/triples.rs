//! Triples: packing, and that a changed and shaken triple is still looked up.

use otolith::fingerprint::MatchOptions;
use otolith::fingerprint::matching::Neighbours;
use otolith::fingerprint::peaks::Peak;
use otolith::fingerprint::triple::{Fields, Triple, probes, references};
use proptest::prelude::*;

use super::music::Random;

proptest! {
    #[test]
    fn fields_in_range_survive_packing_and_others_are_refused(ratio in 0u8..32, first_step in any::<u8>(), second_step in any::<u8>(), place in any::<u8>()) {
        let fields = Fields { ratio, first_step, second_step, place };
        let fits = ratio < 16 && first_step < 128 && second_step < 128 && place < 128;
        match fields.pack() {
            Some(hash) => prop_assert_eq!((true, Fields::unpack(hash)), (fits, Some(fields))),
            None => prop_assert!(!fits),
        }
    }

    #[test]
    fn every_hash_of_25_bits_packs_back_to_itself(hash in any::<u32>()) {
        let packed = Fields::unpack(hash).map(|fields| fields.pack());
        prop_assert_eq!(packed, (hash < 1 << 25).then_some(Some(hash)));
    }
}

fn normal(random: &mut Random) -> f64 {
    (-2.0 * random.next().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * random.next()).cos()
}

/// Share of triples with random tempo and pitch whose changed form, with errors of these deviations in rows and bands, looks up the key
/// of the form that was stored.
fn probed(rows: f64, bands: f64) -> f64 {
    let mut random = Random::new(1);
    let options = MatchOptions::default();
    let rounds = 4_000;
    let found = (0..rounds).filter(|_| {
        let span = 48.0 + 144.0 * random.next();
        let middle = 8.0 + (span - 16.0) * random.next();
        let start = 200.0 + 1_000.0 * random.next();
        let first = 150.0 + 200.0 * random.next();
        let second = first + 120.0 * (2.0 * random.next() - 1.0);
        // Partners lie within 128 bands of the anchor.
        let third = (second + 120.0 * (2.0 * random.next() - 1.0)).clamp(first - 127.0, first + 127.0);
        let points = [(start, first), (start + middle, second), (start + span, third)];
        let peak = |(time, band): (f64, f64)| Peak { t: (8.0 * time).round() as u32, f: (8.0 * band).round() as u16, level: 20_000 };
        let stored = references(&points.map(peak));
        let (tempo, shift) = (0.84 + 0.32 * random.next(), -21.0 + 39.0 * random.next());
        let changed = points.map(|(time, band)| {
            let (time, band) = (time / tempo + rows * normal(&mut random), band + shift + bands * normal(&mut random));
            peak((time, band.clamp(0.0, 510.0)))
        });
        let ranges = probes(&[Triple { anchor: 0, peaks: changed }], &options);
        stored.first().is_some_and(|stored| ranges.iter().any(|(range, _)| (range.low..=range.high).contains(&stored.key)))
    });
    found.count() as f64 / f64::from(rounds)
}

#[test]
fn scaled_shifted_and_shaken_triples_stay_probed() {
    for (rows, bands, least) in [(0.5, 0.25, 0.98), (1.0, 0.25, 0.95), (1.0, 0.5, 0.82)] {
        let share = probed(rows, bands);
        assert!(share >= least, "errors of {rows} rows and {bands} bands: {share}");
    }
}

#[test]
fn ranges_are_1_or_about_4_or_27_and_each_spans_the_pitches_that_are_asked_for() {
    let mut random = Random::new(2);
    let triples: Vec<Triple> = (0..500)
        .map(|anchor| {
            let mut peak = |time: f64| Peak { t: (8.0 * time) as u32, f: (8.0 * (200.0 + 100.0 * random.next())) as u16, level: 9 };
            Triple { anchor, peaks: [peak(100.0), peak(130.3), peak(200.7)] }
        })
        .collect();
    let count = |neighbours| probes(&triples, &MatchOptions { neighbours, ..MatchOptions::default() }).len();
    assert_eq!((count(Neighbours::None), count(Neighbours::All)), (500, 13_500));
    let near = count(Neighbours::Near) as f64 / 500.0;
    assert!((2.0..=8.0).contains(&near), "{near}");
    for max_change in [0.0, 0.16, 0.25] {
        let bands = (85.0 * -f64::log2(1.0 - max_change)).ceil().max(1.0);
        for (range, number) in probes(&triples, &MatchOptions { max_change, ..MatchOptions::default() }) {
            let band = f64::from(triples[number as usize].peaks[0].f) / 8.0;
            let cells = ((band - bands) / 4.0).floor() as u32..=((band + bands) / 4.0).floor() as u32;
            assert_eq!((range.low & 127, range.high & 127), (*cells.start(), *cells.end()));
        }
    }
}
