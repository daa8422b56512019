//! Full disks, damaged files, other versions: typed errors, and the catalogue as it was.

use otolith::fingerprint::catalog::io::File;
use otolith::fingerprint::catalog::store::{Command, Outcome, Sizes, Store};
use otolith::fingerprint::print::Scheme;
use otolith::fingerprint::{Catalog, Extract, MatchOptions, Mix, Print, Profile, Wang};
use otolith::{Audio, Limits};

use super::disk::{Change, Disk, Failure, SMALL, drive, export, open, prints};
use super::music::{Random, music};

/// A disk with segments of several tiers, both manifests and a log with records.
fn stored(prints: &[Print]) -> Disk {
    let mut disk = Disk::default();
    let mut store = open(&mut disk, SMALL).unwrap();
    for number in 0..19 {
        Change::Enrol(format!("id {number}"), number % prints.len()).make(&mut store, &mut disk, prints).unwrap();
    }
    Change::Remove("id 3".to_string()).make(&mut store, &mut disk, prints).unwrap();
    disk
}

#[test]
fn a_disk_that_is_full_at_any_write_leaves_the_catalogue_unchanged_and_usable() {
    let prints = prints(4);
    let before = stored(&prints);
    for change in [
        Change::Enrol("new".to_string(), 1),
        Change::Enrol("id 2".to_string(), 3),
        Change::Remove("id 5".to_string()),
        Change::Compact,
        Change::Import(Catalog::new(Profile::Default).export().unwrap()),
    ] {
        for failure in [Failure::Clean, Failure::Torn, Failure::Late] {
            for number in 0.. {
                let mut disk = Disk { history: Vec::new(), failing: Some((number, failure)), ..before.clone() };
                let mut store = open(&mut disk, SMALL).unwrap();
                let opening = disk.history.len();
                let old = export(&mut store, &mut disk).unwrap();
                let result = change.make(&mut store, &mut disk, &prints);
                let what = format!("{failure:?} at change {number} of {change:?}");
                if disk.history.len() <= number {
                    assert!(result.is_ok() && number > opening, "{what}");
                    break;
                }
                let new = export(&mut store, &mut disk).unwrap();
                match &result {
                    Err(error) => assert!(error.kind() == "storage" && error.to_string().contains("needed"), "{what}: {error}"),
                    Ok(()) => assert!(new != old || matches!(change, Change::Compact), "{what}"),
                }
                assert!(result.is_ok() || new == old, "{what}: a failed change shows");
                // What was promised holds for whoever opens it next; a change that failed late may have been made.
                let mut reopened = open(&mut disk.clone(), SMALL).unwrap();
                let kept = export(&mut reopened, &mut disk.clone()).unwrap();
                assert!(kept == new || result.is_err(), "{what}: a change that was made is lost");
                disk.failing = None;
                Change::Enrol("later".to_string(), 0).make(&mut store, &mut disk, &prints).unwrap();
                let state = export(&mut store, &mut disk).unwrap();
                assert!(export(&mut open(&mut disk, SMALL).unwrap(), &mut disk).unwrap() == state, "{what}: what came later is lost");
            }
        }
    }
}

#[test]
fn a_full_disk_has_room_again_when_tracks_are_removed() {
    // Records of a kilobyte and more, as those of songs are larger than what else is written.
    let wang = Wang::new(Profile::Default, Mix::Mean);
    let sound = |seed| Audio::new(vec![music(seed, 10.0, 8_000)], 8_000, &Limits::default()).unwrap();
    let prints: Vec<Print> = (0..4).map(|seed| wang.extract(&sound(seed)).unwrap()).collect();
    let sizes = Sizes { seal_postings: 1_200, ..SMALL };
    let mut cuts = 0;
    for room in (60_000..300_000).step_by(17_171) {
        let mut disk = Disk { room: Some(room), ..Disk::default() };
        let mut store = open(&mut disk, sizes).unwrap();
        let fill = |store: &mut Store, disk: &mut Disk, round: usize| {
            for number in 0.. {
                match Change::Enrol(format!("{number:04} {round}"), number % 4).make(store, disk, &prints) {
                    Ok(()) => {}
                    Err(error) => {
                        assert_eq!(error.kind(), "storage");
                        return number;
                    }
                }
            }
            0
        };
        let check = |store: &mut Store, disk: &mut Disk, what: &str| {
            let now = export(store, disk).unwrap();
            let found = export(&mut open(&mut disk.clone(), sizes).unwrap(), disk).unwrap();
            assert!(now == found, "{what}, room for {room}: the files say something else");
        };
        let first = fill(&mut store, &mut disk, 0);
        check(&mut store, &mut disk, "full");
        for (round, one_in) in [(1, Some(2)), (2, Some(5)), (3, Some(10)), (4, None)] {
            let ids = store.ids().unwrap();
            let is_kept = |place: usize| one_in.is_some_and(|one_in| place.is_multiple_of(one_in));
            let removed: Vec<&String> = ids.iter().enumerate().filter(|&(place, _)| !is_kept(place)).map(|(_, id)| id).collect();
            for id in &removed {
                let (began, before) = (disk.history.len(), store.ids().unwrap());
                let result = Change::Remove((*id).clone()).make(&mut store, &mut disk, &prints);
                assert!(result.is_ok(), "round {round}, room for {room}: {id} cannot be removed");
                if room == 94_342 && round < 3 {
                    let after = store.ids().unwrap();
                    for count in began..=disk.history.len() {
                        let cut = Disk::after(&disk.history, count);
                        for mut left in [cut.without_unflushed(), cut] {
                            let ids = open(&mut left, sizes).unwrap().ids().unwrap();
                            assert!(ids == before || ids == after, "round {round}: a power cut after change {count} leaves {ids:?}");
                        }
                        cuts += 1;
                    }
                }
            }
            check(&mut store, &mut disk, "removed");
            store = open(&mut disk, sizes).unwrap();
            let enrolled = fill(&mut store, &mut disk, round);
            check(&mut store, &mut disk, "full again");
            // Half of it may be too few: packing needs room for what stays.
            let expected = if round == 1 { 0 } else { removed.len() * 4 / 5 };
            assert!(enrolled >= expected, "round {round}, room for {room}: {enrolled} enrolled after {} removed", removed.len());
        }
        assert!(store.ids().unwrap().len() == first, "an emptied catalogue has room for as many as a new one");
    }
    assert!(cuts > 200, "{cuts} power cuts");
}

#[test]
fn flipped_bits_are_found_or_leave_an_earlier_state_and_never_a_wrong_one() {
    let prints = prints(4);
    let mut disk = Disk::default();
    let mut store = open(&mut disk, SMALL).unwrap();
    let mut states = vec![export(&mut store, &mut disk).unwrap()];
    for number in 0..19 {
        Change::Enrol(format!("id {number}"), number % prints.len()).make(&mut store, &mut disk, &prints).unwrap();
        states.push(export(&mut store, &mut disk).unwrap());
    }
    let (mut found, mut recovered, mut random) = (0, 0, Random::new(77));
    for (file, content) in disk.files.clone() {
        let header_bits = 0..32 * 8;
        let body_bits = (0..1_000).map(|_| (random.next() * (content.len() * 8) as f64) as usize).collect::<Vec<_>>();
        for bit in header_bits.chain(body_bits) {
            let mut flipped = Disk { files: disk.files.clone(), ..Disk::default() };
            flipped.files.get_mut(&file).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let what = format!("bit {bit} of {file}");
            let opened = open(&mut flipped, SMALL).and_then(|mut store| {
                let state = export(&mut store, &mut flipped)?;
                Ok((store.stats()?, state))
            });
            match opened {
                Err(error) => {
                    assert!(error.kind() == "storage" && error.to_string().contains("byte"), "{what}: {error}");
                    found += 1;
                }
                Ok((stats, state)) => {
                    let place = states.iter().position(|known| *known == state);
                    let is_whole = place == Some(states.len() - 1);
                    assert!(place.is_some(), "{what}: a state that never was");
                    assert!(is_whole || stats.recovered.dropped_bytes > 0, "{what}: older, and nothing is said of it");
                    recovered += 1;
                }
            }
        }
    }
    assert!(found > 1_000 && recovered > 1_000, "{found} {recovered}");
}

#[test]
fn a_damaged_newest_manifest_or_segment_is_made_up_for_by_the_one_before_and_the_logs() {
    let prints = prints(4);
    let mut disk = stored(&prints);
    let whole = export(&mut open(&mut disk, SMALL).unwrap(), &mut disk).unwrap();
    for slot in 0..2 {
        let mut damaged = disk.clone();
        damaged.files.get_mut(&File::Manifest(slot)).unwrap()[40] ^= 1;
        let mut store = open(&mut damaged, SMALL).unwrap();
        assert!(export(&mut store, &mut damaged).unwrap() == whole);
        assert_eq!(store.stats().unwrap().recovered.damaged_files, [format!("manifest-{slot}")]);
    }
    let newest = *disk.files.keys().rfind(|file| matches!(file, File::Segment(_))).unwrap();
    let mut damaged = disk.clone();
    let tail = damaged.files[&newest].len() - 30;
    damaged.files.get_mut(&newest).unwrap()[tail] ^= 1;
    let mut store = open(&mut damaged, SMALL).unwrap();
    assert!(export(&mut store, &mut damaged).unwrap() == whole);
}

#[test]
fn a_file_that_is_gone_is_an_error_that_names_it_and_no_empty_catalogue() {
    let prints = prints(4);
    let disk = stored(&prints);
    let oldest = *disk.files.keys().find(|file| matches!(file, File::Segment(_))).unwrap();
    let mut without = disk.clone();
    without.files.remove(&oldest);
    let error = open(&mut without, SMALL).err().unwrap();
    assert!(error.kind() == "storage" && error.to_string().contains(&oldest.to_string()), "{error}");
    let mut without = disk.clone();
    without.files.retain(|file, _| !matches!(file, File::Log(_)));
    let error = open(&mut without, SMALL).err().unwrap();
    assert!(error.kind() == "storage" && error.to_string().contains("log-"), "{error}");
}

#[test]
fn a_catalogue_of_another_profile_is_refused_by_name() {
    let prints = prints(4);
    let mut disk = stored(&prints);
    let mut store = Store::open(Some(Scheme::from(Profile::Dense)), Sizes::default());
    let error = drive(&mut store, &mut disk, &[]).err().unwrap();
    assert!(error.kind() == "invalid-input" && error.to_string().contains("dense"), "{error}");
    assert_eq!(store.begin(Command::Compact).unwrap_err().kind(), "internal");
}

#[test]
fn queries_give_the_same_hits_in_memory_from_files_and_after_any_merges() {
    let prints = prints(6);
    let mut catalog = Catalog::new(Profile::Default);
    let mut stores: Vec<(Store, Disk)> = Vec::new();
    for sizes in [
        SMALL,
        Sizes { resident_bytes: 0, ..SMALL },
        Sizes { seal_postings: 1_000, ..SMALL },
        Sizes { resident_bytes: usize::MAX, ..SMALL },
        Sizes::default(),
    ] {
        let mut disk = Disk::default();
        stores.push((open(&mut disk, sizes).unwrap(), disk));
    }
    for number in 0..60 {
        let (id, print) = (format!("id {}", number % 45), number % prints.len());
        let metadata = format!("{{\"print\":{print}}}");
        catalog.enrol(&id, &metadata, &prints[print], otolith::fingerprint::catalog::Replace::Yes).unwrap();
        for (store, disk) in &mut stores {
            Change::Enrol(id.clone(), print).make(store, disk, &prints).unwrap();
        }
    }
    let options = MatchOptions { top: 20, min_confidence: Some(0.0), ..MatchOptions::default() };
    let whole = catalog.export().unwrap();
    for (store, disk) in &mut stores {
        for print in &prints {
            let expected = catalog.find(print, &options).unwrap();
            store.begin(Command::Find { print: print.clone(), options }).unwrap();
            let (outcome, _) = drive(store, disk, &[]).unwrap();
            assert_eq!(outcome, Outcome::Hits(expected.clone()));
            assert!(!expected.is_empty());
        }
        assert!(export(store, disk).unwrap() == whole);
    }
}
