//! What a catalogue accepts, replaces, removes and returns.

use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::{Catalog, Extract, MatchOptions, Mix, Print, Profile, Wang};
use otolith::{Audio, Limits};

use super::music::{Random, music};

fn print_of(samples: Vec<f32>, profile: Profile) -> Print {
    Wang::new(profile, Mix::Mean).extract(&Audio::new(vec![samples], 8_000, &Limits::default()).unwrap()).unwrap()
}

fn print(seed: u64) -> Print {
    print_of(music(seed, 12.0, 8_000), Profile::Default)
}

fn clip(seed: u64) -> Print {
    print_of(music(seed, 12.0, 8_000)[24_000..64_000].to_vec(), Profile::Default)
}

fn best(catalog: &Catalog, query: &Print) -> Option<String> {
    catalog.find(query, &MatchOptions::default()).unwrap().into_iter().next().map(|hit| hit.id)
}

#[test]
fn a_known_id_is_refused_unless_it_is_replaced() {
    let mut catalog = Catalog::new(Profile::Default);
    catalog.enrol("a", "null", &print(1), Replace::No).unwrap();
    let error = catalog.enrol("a", "null", &print(2), Replace::No).unwrap_err();
    assert!(error.kind() == "invalid-input" && error.to_string().contains("replace: true"), "{error}");
    assert_eq!(best(&catalog, &clip(1)).as_deref(), Some("a"));
    assert_eq!(best(&catalog, &clip(2)), None);
    catalog.enrol("a", "null", &print(2), Replace::Yes).unwrap();
    assert_eq!((best(&catalog, &clip(1)), best(&catalog, &clip(2)).as_deref(), catalog.len()), (None, Some("a"), 1));
}

#[test]
fn ids_and_metadata_out_of_range_are_refused_and_change_nothing() {
    let mut catalog = Catalog::new(Profile::Default);
    let print = print(1);
    let long_id = "x".repeat(257);
    let long_metadata = format!("\"{}\"", "x".repeat(4_095));
    for (id, metadata) in [("", "null"), (long_id.as_str(), "null"), ("a", long_metadata.as_str()), ("a", "{"), ("a", "")] {
        assert_eq!(catalog.enrol(id, metadata, &print, Replace::No).unwrap_err().kind(), "invalid-input");
    }
    assert!(catalog.is_empty() && catalog.stats().postings == 0);
    catalog.enrol(&long_id[..256], &format!("\"{}\"", "x".repeat(4_094)), &print, Replace::No).unwrap();
    assert_eq!(catalog.len(), 1);
}

#[test]
fn prints_of_another_profile_are_refused_for_enrolment_and_query() {
    let mut catalog = Catalog::new(Profile::Default);
    let dense = print_of(music(1, 5.0, 8_000), Profile::Dense);
    for error in [catalog.enrol("a", "null", &dense, Replace::No).unwrap_err(), catalog.find(&dense, &MatchOptions::default()).unwrap_err()]
    {
        assert!(error.kind() == "invalid-input" && error.to_string().contains("dense"), "{error}");
    }
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let catalog = Catalog::new(Profile::Default);
    let good = MatchOptions::default();
    for (options, name) in [
        (MatchOptions { top: 0, ..good }, "top"),
        (MatchOptions { top: 101, ..good }, "top"),
        (MatchOptions { per_track: 11, ..good }, "perTrack"),
        (MatchOptions { min_confidence: Some(1.5), ..good }, "minConfidence"),
        (MatchOptions { min_confidence: Some(f64::NAN), ..good }, "minConfidence"),
    ] {
        let error = catalog.find(&clip(1), &options).unwrap_err();
        assert!(error.kind() == "invalid-input" && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn removal_forgets_a_track_and_compaction_changes_no_result() {
    let mut catalog = Catalog::new(Profile::Default);
    for seed in 0..12 {
        catalog.enrol(&seed.to_string(), "null", &print(seed), Replace::No).unwrap();
    }
    assert!(catalog.remove("3").unwrap());
    assert!(!catalog.remove("3").unwrap() && !catalog.has("3"));
    let before: Vec<_> = (0..12).map(|seed| catalog.find(&clip(seed), &MatchOptions::default()).unwrap()).collect();
    assert_eq!(before[3], []);
    assert!((0..12).filter(|&seed| seed != 3).all(|seed| before[seed][0].id == seed.to_string()));
    assert!(catalog.stats().dead_postings > 0);
    catalog.compact().unwrap();
    assert_eq!((catalog.stats().dead_postings, catalog.stats().tombstones), (0, 0));
    let after: Vec<_> = (0..12).map(|seed| catalog.find(&clip(seed), &MatchOptions::default()).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn the_dead_are_dropped_when_they_are_many() {
    let mut catalog = Catalog::new(Profile::Default);
    let print = print(1);
    for round in 0..40 {
        catalog.enrol("again", "null", &print, Replace::Yes).unwrap();
        catalog.enrol(&format!("kept {round}"), "null", &print, Replace::No).unwrap();
        let stats = catalog.stats();
        assert!(stats.dead_postings * 5 <= stats.postings, "{stats:?}");
    }
}

#[test]
fn an_export_does_not_depend_on_what_was_removed_before() {
    let mut straight = Catalog::new(Profile::Default);
    let mut detour = Catalog::new(Profile::Default);
    detour.enrol("gone", "null", &print(9), Replace::No).unwrap();
    for seed in 0..3 {
        straight.enrol(&seed.to_string(), "null", &print(seed), Replace::No).unwrap();
        detour.enrol(&seed.to_string(), "null", &print(seed), Replace::No).unwrap();
    }
    detour.remove("gone").unwrap();
    assert_eq!(straight.export().unwrap(), detour.export().unwrap());
}

#[test]
fn tracks_with_the_same_sound_are_all_returned_in_the_order_of_their_ids() {
    let mut catalog = Catalog::new(Profile::Default);
    for id in ["b", "a", "c"] {
        catalog.enrol(id, "null", &print(5), Replace::No).unwrap();
    }
    let hits = catalog.find(&clip(5), &MatchOptions::default()).unwrap();
    assert!(hits.iter().map(|hit| hit.id.as_str()).eq(["a", "b", "c"]), "{hits:?}");
    assert_eq!(catalog.find(&clip(5), &MatchOptions { top: 2, ..MatchOptions::default() }).unwrap().len(), 2);
}

#[test]
fn a_passage_that_comes_twice_gives_two_hits_where_two_per_track_are_asked_for() {
    let mut catalog = Catalog::new(Profile::Default);
    let mut twice = music(6, 8.0, 8_000);
    twice.extend(music(7, 8.0, 8_000));
    twice.extend(music(6, 8.0, 8_000));
    catalog.enrol("twice", "null", &print_of(twice, Profile::Default), Replace::No).unwrap();
    let query = print_of(music(6, 8.0, 8_000)[8_000..48_000].to_vec(), Profile::Default);
    assert_eq!(catalog.find(&query, &MatchOptions::default()).unwrap().len(), 1);
    let hits = catalog.find(&query, &MatchOptions { per_track: 2, ..MatchOptions::default() }).unwrap();
    let mut offsets: Vec<f64> = hits.iter().map(|hit| hit.offset).collect();
    offsets.sort_by(f64::total_cmp);
    assert!(offsets.len() == 2 && (offsets[0] - 1.0).abs() < 0.02 && (offsets[1] - 17.0).abs() < 0.02, "{offsets:?}");
}

#[test]
fn a_query_that_begins_before_its_track_has_a_negative_offset_and_a_hit_tells_its_extent() {
    let mut catalog = Catalog::new(Profile::Default);
    catalog.enrol("song", "{\"title\": \"Song\"}", &print(8), Replace::No).unwrap();
    let mut query = vec![0.0; 16_000];
    query.extend(music(8, 12.0, 8_000)[..40_000].iter());
    let hit = catalog.find(&print_of(query, Profile::Default), &MatchOptions::default()).unwrap().remove(0);
    assert!((hit.offset + 2.0).abs() < 0.02, "{hit:?}");
    assert!(hit.query_start >= 1.9 && hit.query_end <= 7.1 && hit.query_end - hit.query_start > 3.0, "{hit:?}");
    assert!((hit.ref_start - hit.query_start - hit.offset).abs() < 1e-9 && (hit.ref_end - hit.query_end - hit.offset).abs() < 1e-9);
    assert_eq!((hit.metadata["title"].as_str(), hit.time_scale, hit.pitch_scale), (Some("Song"), 1.0, 1.0));
    let highest = hit.histogram.counts.iter().zip(0u32..).max_by_key(|(count, _)| **count).unwrap().1;
    let at = hit.histogram.start + f64::from(highest) * hit.histogram.step;
    assert!(at <= hit.offset + 0.02 && hit.offset <= at + hit.histogram.step + 0.02, "the histogram peaks at {at}: {hit:?}");
}

#[test]
fn a_track_longer_than_a_part_is_found_throughout() {
    let mut long = Vec::new();
    // Noise with a new colour and level every quarter second has as many landmarks as music and costs less to make.
    let mut random = Random::new(700);
    for _ in 0..4_320 {
        let (colour, level) = (1.8 * random.next() - 0.9, 0.1 + 0.4 * random.next());
        let mut last = 0.0;
        long.extend((0..2_000).map(|_| {
            last = colour * last + level * (random.next() - 0.5);
            last as f32
        }));
    }
    let mut catalog = Catalog::new(Profile::Default);
    catalog.enrol("long", "null", &print_of(long.clone(), Profile::Default), Replace::No).unwrap();
    assert_eq!(catalog.stats().parts, 2);
    // A part ends at 1 048.576 s: before it, across it, behind it.
    for start in [3.0, 600.5, 1_042.0, 1_046.5, 1_050.0] {
        let from = (start * 8_000.0) as usize;
        let query = print_of(long[from..from + 40_000].to_vec(), Profile::Default);
        let hits = catalog.find(&query, &MatchOptions::default()).unwrap();
        assert!(hits.first().is_some_and(|hit| (hit.offset - start).abs() <= 0.02), "{start}: {hits:?}");
    }
    // The whole as a query of its own is longer than what is matched at once.
    let whole = catalog.find(&print_of(long, Profile::Default), &MatchOptions::default()).unwrap();
    assert!(whole[0].offset.abs() <= 0.02, "{whole:?}");
}

#[test]
fn a_hundred_thousand_tracks_of_one_sound_leave_a_query_bounded() {
    let mut catalog = Catalog::new(Profile::Default);
    let print = print_of(music(5, 1.0, 8_000), Profile::Default);
    for number in 0..100_000 {
        catalog.enrol(&format!("{number:06}"), "null", &print, Replace::No).unwrap();
    }
    let hits = catalog.find(&print, &MatchOptions { min_confidence: Some(0.0), ..MatchOptions::default() }).unwrap();
    // 4 096 postings of each of 32 crowded keys are read, whatever the number of tracks: those of the same tracks, which were first.
    assert!(hits.iter().map(|hit| hit.id.as_str()).eq(["000000", "000001", "000002", "000003", "000004"]), "{hits:?}");
    assert!(hits.iter().all(|hit| hit.histogram.counts.iter().sum::<u32>() < 100), "{hits:?}");
}
