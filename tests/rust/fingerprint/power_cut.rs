//! Kill tests: a stored catalogue whose writing stops at any request and any byte opens in the state before the change or after it.

use otolith::fingerprint::catalog::io::Request;

use super::disk::{Change, Disk, SMALL, drive, export, open, prints};
use super::music::Random;

const HISTORIES: u64 = 200;
const CHANGES: usize = 14;

/// A history of changes and the disk's, with the state, as its export, and the requests so far after each change.
struct History {
    requests: Vec<Request>,
    /// Requests made, and the state, after each change; the first is before all.
    states: Vec<(usize, Vec<u8>)>,
}

impl History {
    fn random(seed: u64, prints: &[otolith::fingerprint::Print]) -> Self {
        let mut random = Random::new(seed);
        let mut below = |count: usize| (random.next() * count as f64) as usize % count;
        let mut disk = Disk::default();
        let mut store = open(&mut disk, SMALL).unwrap();
        let mut states = vec![(0, export(&mut store, &mut disk).unwrap())];
        for _ in 0..CHANGES {
            let change = match below(20) {
                0..=13 => Change::Enrol(format!("id {}", below(9)), below(prints.len())),
                14..=17 => Change::Remove(format!("id {}", below(9))),
                18 => Change::Compact,
                _ => Change::Import(states[below(states.len())].1.clone()),
            };
            change.make(&mut store, &mut disk, prints).unwrap();
            states.push((disk.history.len(), export(&mut store, &mut disk).unwrap()));
        }
        Self { requests: disk.history, states }
    }

    /// Opens a disk that was left after `count` requests, and perhaps in the middle of the next one.
    fn check(&self, mut disk: Disk, count: usize, what: &str) {
        let mut store = open(&mut disk, SMALL).unwrap_or_else(|error| panic!("{what}: lost: {error}"));
        let state = export(&mut store, &mut disk).unwrap_or_else(|error| panic!("{what}: lost: {error}"));
        let after = self.states.iter().position(|(requests, _)| *requests > count).unwrap_or(self.states.len() - 1);
        let allowed = [&self.states[after.saturating_sub(1)].1, &self.states[after].1];
        assert!(allowed.contains(&&state), "{what}: neither the state before change {after} nor the one after it");
    }
}

#[test]
fn a_catalogue_stopped_at_any_request_or_byte_opens_before_or_after_the_change() {
    let prints = prints(7);
    let mut tried = 0usize;
    let (mut seals, mut writes) = (0, 0);
    for seed in 0..HISTORIES {
        let history = History::random(seed, &prints);
        let count = history.requests.len();
        seals += history.requests.iter().filter(|request| request_names(request, "segment")).count();
        let whole = (seed as usize * 7) % count;
        for stop in 0..=count {
            let disk = Disk::after(&history.requests, stop);
            history.check(disk.without_unflushed(), stop, &format!("history {seed}, request {stop}, unflushed writes lost"));
            history.check(disk.clone(), stop, &format!("history {seed}, request {stop}"));
            tried += 2;
            let Some(Request::Write { file, offset, bytes }) = history.requests.get(stop) else { continue };
            writes += 1;
            // Every byte of one write of each history and of its last block, three cuts of the others.
            let cuts: Vec<usize> = if stop >= whole && stop < whole + 3 || stop + 4 > count {
                (0..bytes.len()).collect()
            } else {
                vec![0, bytes.len() / 2, bytes.len() - 1]
            };
            for cut in cuts {
                let mut torn = disk.clone();
                torn.change(&Request::Write { file: *file, offset: *offset, bytes: bytes[..cut].to_vec() });
                history.check(torn, stop, &format!("history {seed}, request {stop}, cut at byte {cut} of {}", bytes.len()));
                tried += 1;
            }
        }
    }
    assert!(seals > 1_000 && writes > 5_000 && tried > 50_000, "{seals} requests of segments, {writes} writes, {tried} stops");
    println!("{tried} interrupted writes tried, 0 catalogues lost");
}

#[test]
fn a_catalogue_that_was_cut_off_goes_on_where_it_was() {
    let prints = prints(5);
    for seed in 500..520 {
        let history = History::random(seed, &prints);
        for stop in 0..=history.requests.len() {
            let mut disk = Disk::after(&history.requests, stop);
            if let Some(Request::Write { file, offset, bytes }) = history.requests.get(stop) {
                disk.change(&Request::Write { file: *file, offset: *offset, bytes: bytes[..bytes.len() / 2].to_vec() });
            }
            let mut store = open(&mut disk, SMALL).unwrap();
            for number in 0..6 {
                Change::Enrol(format!("later {number}"), number % 5).make(&mut store, &mut disk, &prints).unwrap();
            }
            let state = export(&mut store, &mut disk).unwrap();
            let mut again = open(&mut disk, SMALL).unwrap();
            assert!((0..6).all(|number| again.has(&format!("later {number}")).unwrap()), "history {seed}, request {stop}");
            assert!(export(&mut again, &mut disk).unwrap() == state, "history {seed}, request {stop}");
        }
    }
}

#[test]
fn files_that_nothing_needs_are_removed() {
    let prints = prints(5);
    let mut disk = Disk::default();
    let mut store = open(&mut disk, SMALL).unwrap();
    for number in 0..150 {
        Change::Enrol(format!("id {}", number % 40), number % 5).make(&mut store, &mut disk, &prints).unwrap();
    }
    let stats = store.stats().unwrap();
    // Two generations of segments and logs, two manifests.
    assert!(disk.files.len() <= 2 * (stats.segments + 4) + 4, "{:?}", disk.files.keys());
    assert!(stats.overdue.is_none() && stats.recovered == Default::default(), "{stats:?}");
    store.begin(otolith::fingerprint::catalog::store::Command::Compact).unwrap();
    drive(&mut store, &mut disk, &[]).unwrap();
    assert_eq!((store.stats().unwrap().segments, store.stats().unwrap().dead_postings), (1, 0));
}

fn request_names(request: &Request, name: &str) -> bool {
    matches!(request, Request::Write { file, .. } | Request::Flush { file } if file.to_string().starts_with(name))
}
