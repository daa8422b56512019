//! What a catalogue holds while it is open: sealed segments, oldest first, and the recent enrolments that no segment has yet.

use std::collections::{BTreeMap, BTreeSet};

use super::postings::{Posting, Runs};
use super::roster::{Part, Roster, Track};
use super::rows::RowForm;
use super::segment::Segment;
use super::{KeyCount, Replace, check_id, check_metadata};
use crate::error::{Error, Result};
use crate::fingerprint::cells::Cells;
use crate::fingerprint::matching::PART_TICKS;
use crate::fingerprint::print::{Print, Scheme};

/// Number of parts that numbers exist for.
const PARTS: usize = 1 << 24;
/// Stands for the recent enrolments where a segment's number is asked for.
const RECENT: u32 = u32::MAX;

/// A track that an [`Index`] is ready to take.
pub struct Prepared {
    track: Track,
    parts: Vec<Part>,
    /// By part of the track, from 0.
    postings: Vec<Posting>,
    row_form: RowForm,
}

/// The catalogue's content.
#[derive(Debug, Clone)]
pub struct Index {
    scheme: Scheme,
    row_form: RowForm,
    /// Cells of the rows, where they are sorted into some.
    cells: Option<Cells>,
    segments: Vec<Segment>,
    recent: Roster,
    runs: Runs,
    /// Segment and track number by id.
    live: BTreeMap<String, (u32, u32)>,
    dead_postings: usize,
    /// Parts of live tracks, and the sum of their lengths in ticks.
    live_parts: usize,
    live_ticks: u64,
}

impl Index {
    /// An empty index.
    pub fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            row_form: RowForm::default(),
            cells: None,
            segments: Vec::new(),
            recent: Roster::default(),
            runs: Runs::default(),
            live: BTreeMap::new(),
            dead_postings: 0,
            live_parts: 0,
            live_ticks: 0,
        }
    }

    /// An index of segments, oldest first, some of whose tracks may be dead. Its rows are not sorted into cells yet.
    pub fn of_segments(scheme: Scheme, row_form: RowForm, segments: Vec<Segment>) -> Self {
        let mut index = Self { row_form, segments, ..Self::new(scheme) };
        index.register();
        index
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What its rows are.
    pub fn row_form(&self) -> &RowForm {
        &self.row_form
    }

    /// The cells of its rows, if they are sorted into some.
    pub fn cells(&self) -> Option<&Cells> {
        self.cells.as_ref()
    }

    pub(super) fn take_cells(&mut self) -> Option<Cells> {
        self.cells.take()
    }

    pub(super) fn set_cells(&mut self, cells: Option<Cells>) {
        self.cells = cells;
    }

    pub(super) fn rosters_mut(&mut self) -> impl Iterator<Item = &mut Roster> {
        self.segments.iter_mut().map(|segment| &mut segment.roster).chain([&mut self.recent])
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The tracks that no segment has yet.
    pub fn recent(&self) -> &Roster {
        &self.recent
    }

    /// Their postings.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// All rosters, oldest first.
    pub fn rosters(&self) -> impl Iterator<Item = &Roster> {
        self.segments.iter().map(|segment| &segment.roster).chain([&self.recent])
    }

    /// Number of live tracks.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    pub fn has(&self, id: &str) -> bool {
        self.live.contains_key(id)
    }

    /// Live ids in their order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.live.keys().map(String::as_str)
    }

    /// Live tracks by id.
    pub fn live_tracks(&self) -> impl Iterator<Item = &Track> {
        let numbered: BTreeMap<u32, &Roster> = self.segments.iter().map(|segment| (segment.number, &segment.roster)).collect();
        self.live.values().filter_map(move |&(segment, track)| {
            let roster = if segment == RECENT { &self.recent } else { numbered.get(&segment)? };
            roster.tracks.get(track as usize)
        })
    }

    /// Number of postings, dead ones included.
    pub fn postings(&self) -> usize {
        self.segments.iter().map(Segment::len).sum::<usize>() + self.runs.len()
    }

    /// Parts of live tracks.
    pub fn live_parts(&self) -> usize {
        self.live_parts
    }

    /// Sum of their lengths, in ticks.
    pub fn live_ticks(&self) -> u64 {
        self.live_ticks
    }

    /// Number of postings of removed tracks.
    pub fn dead_postings(&self) -> usize {
        self.dead_postings
    }

    /// Checks that a print fits.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a print of another scheme or by another network.
    pub fn check_print(&self, print: &Print) -> Result<()> {
        if print.scheme() != self.scheme {
            let (given, own) = (print.scheme(), self.scheme);
            return Err(Error::invalid(format!(
                "the print is {given}, the catalogue holds {own}: extract it with the catalogue's options"
            )));
        }
        self.row_form.check(print)
    }

    /// Checks an enrolment and cuts its print; the index stays as it is.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for an id that is empty, too long or taken, metadata too long or no JSON, a print that does not fit;
    /// [`Error::Limit`] when the numbers of parts are used up.
    pub fn prepare(&self, id: &str, metadata: &str, print: &Print, replace: Replace) -> Result<Prepared> {
        check_id(id)?;
        check_metadata(metadata)?;
        self.check_print(print)?;
        if replace == Replace::No && self.has(id) {
            return Err(Error::invalid(format!("id {id:?} is enrolled already: choose another, or replace it with replace: true")));
        }
        let (parts, postings, row_bytes) = cut(print);
        self.checked(id, metadata, print.duration(), parts, postings, RowForm::of(print, row_bytes))
    }

    fn checked(
        &self,
        id: &str,
        metadata: &str,
        duration: f64,
        parts: Vec<Part>,
        postings: Vec<Posting>,
        row_form: RowForm,
    ) -> Result<Prepared> {
        let given = self.rosters().map(|roster| roster.parts.len()).sum::<usize>() + parts.len();
        if given > PARTS {
            return Err(Error::Limit { what: "number of track parts", name: "", given: given as f64, allowed: PARTS as f64 });
        }
        let track = Track {
            id: id.to_string(),
            metadata: metadata.to_string(),
            duration,
            is_live: true,
            postings: postings.len(),
            first_part: 0,
            part_count: 0,
        };
        Ok(Prepared { track, parts, postings, row_form })
    }

    /// As [`Index::prepare`] for landmarks that are no print: key and tick each, in the order of ticks.
    ///
    /// # Errors
    /// As [`Index::prepare`].
    pub fn prepare_landmarks(
        &self,
        id: &str,
        metadata: &str,
        duration: f64,
        landmarks: impl IntoIterator<Item = (u32, u32)>,
        replace: Replace,
    ) -> Result<Prepared> {
        check_id(id)?;
        check_metadata(metadata)?;
        if replace == Replace::No && self.has(id) {
            return Err(Error::invalid(format!("id {id:?} is enrolled already: choose another, or replace it with replace: true")));
        }
        let (mut parts, mut postings) = (Vec::new(), Vec::new());
        for (key, tick) in landmarks {
            place(&mut parts, &mut postings, 0, key, tick);
        }
        self.checked(id, metadata, duration, parts, postings, RowForm::default())
    }

    /// Takes a prepared track; a live one of its id makes room. Its rows are not sorted into cells yet.
    pub fn commit(&mut self, prepared: Prepared) {
        let Prepared { track, parts, mut postings, row_form } = prepared;
        self.bury(&track.id);
        let base = self.recent.parts.len() as u32;
        for posting in &mut postings {
            posting.part += base;
        }
        if self.row_form.bytes == 0 && row_form.bytes > 0 {
            self.row_form = row_form;
        }
        self.live.insert(track.id.clone(), (RECENT, self.recent.tracks.len() as u32));
        self.live_parts += parts.len();
        self.live_ticks += ticks_of(&parts);
        self.recent.add(track, parts);
        self.runs.add(postings);
    }

    /// Marks a track as removed. Returns whether there was one.
    pub fn bury(&mut self, id: &str) -> bool {
        let Some((segment, track)) = self.live.remove(id) else { return false };
        let roster = if segment == RECENT {
            Some(&mut self.recent)
        } else {
            self.segments.iter_mut().find(|own| own.number == segment).map(|own| &mut own.roster)
        };
        let Some(roster) = roster else { return true };
        if let Some(track) = roster.tracks.get_mut(track as usize) {
            track.is_live = false;
            self.dead_postings += track.postings;
        }
        if let Some(track) = roster.tracks.get(track as usize) {
            let parts = roster.parts_of(track);
            self.live_parts -= parts.len();
            self.live_ticks -= ticks_of(parts);
        }
        true
    }

    /// Segment and number of every dead track of the segments, by the segment's position.
    pub fn tombstones(segments: &[&Segment]) -> Vec<(u32, u32)> {
        let mut dead = Vec::new();
        for (segment, position) in segments.iter().zip(0..) {
            dead.extend(segment.roster.tracks.iter().zip(0..).filter(|(track, _)| !track.is_live).map(|(_, number)| (position, number)));
        }
        dead
    }

    /// Puts `segment`, which holds their live tracks, in place of the segments from position `first` on, and with `with_recent` of the
    /// recent enrolments too.
    pub fn replace_from(&mut self, first: usize, segment: Option<Segment>, with_recent: bool) {
        self.segments.truncate(first);
        self.segments.extend(segment);
        if with_recent {
            self.recent = Roster::default();
            self.runs = Runs::default();
        }
        self.register();
    }

    /// Finds out which tracks are live and where.
    fn register(&mut self) {
        let sealed = self.segments.iter().map(|segment| (segment.number, &segment.roster));
        let mut live = BTreeMap::new();
        let (mut dead, mut parts, mut ticks) = (0, 0, 0);
        for (number, roster) in sealed.chain([(RECENT, &self.recent)]) {
            for (track, place) in roster.tracks.iter().zip(0..) {
                if track.is_live {
                    live.insert(track.id.clone(), (number, place));
                    parts += roster.parts_of(track).len();
                    ticks += ticks_of(roster.parts_of(track));
                } else {
                    dead += track.postings;
                }
            }
        }
        self.live = live;
        self.dead_postings = dead;
        (self.live_parts, self.live_ticks) = (parts, ticks);
    }

    /// Bytes held in memory.
    pub fn bytes(&self) -> usize {
        let text: usize = self.live.keys().map(|id| id.len() + 48).sum();
        let segments: usize = self.segments.iter().map(Segment::bytes).sum();
        text + segments + self.cells.as_ref().map_or(0, Cells::bytes) + self.runs.bytes() + self.rosters().map(Roster::bytes).sum::<usize>()
    }

    /// Bytes of postings and directories, in memory and in files.
    pub fn posting_bytes(&self) -> usize {
        let sealed: usize = self.segments.iter().map(|segment| segment.place_bytes() + segment.directory.bytes()).sum();
        sealed + self.runs.bytes()
    }

    /// The ten keys with most postings.
    pub fn heaviest_keys(&self) -> Vec<KeyCount> {
        // Counted per segment in key order, so that no list of all keys is needed.
        let mut counts: Vec<std::iter::Peekable<Box<dyn Iterator<Item = u32> + '_>>> = Vec::new();
        for segment in &self.segments {
            counts.push((Box::new(segment.directory.all_keys()) as Box<dyn Iterator<Item = u32>>).peekable());
        }
        for run in self.runs.iter() {
            counts.push((Box::new(run.iter().map(|posting| posting.key)) as Box<dyn Iterator<Item = u32>>).peekable());
        }
        let mut heaviest: BTreeSet<(usize, u32)> = BTreeSet::new();
        while let Some(key) = counts.iter_mut().filter_map(|keys| keys.peek().copied()).min() {
            let count = counts.iter_mut().map(|keys| std::iter::from_fn(|| keys.next_if_eq(&key)).count()).sum();
            heaviest.insert((count, key));
            if heaviest.len() > 10 {
                heaviest.pop_first();
            }
        }
        heaviest.into_iter().rev().map(|(postings, key)| KeyCount { key, postings }).collect()
    }
}

fn ticks_of(parts: &[Part]) -> u64 {
    parts.iter().map(|part| u64::from(part.ticks)).sum()
}

/// The parts and postings of a print, numbered from 0, and the bytes of a row.
fn cut(print: &Print) -> (Vec<Part>, Vec<Posting>, usize) {
    let (mut parts, mut postings, mut row_bytes) = (Vec::new(), Vec::new(), 0);
    for layer in 0..print.layers().len() {
        let first = parts.len();
        let number = u8::try_from(layer).unwrap_or(u8::MAX);
        for reference in print.references(layer) {
            place(&mut parts, &mut postings, number, reference.key, reference.tick);
        }
        let rows = print.rows(layer);
        if rows.row_bytes == 0 {
            continue;
        }
        row_bytes = rows.row_bytes;
        for (chunk, index) in rows.bytes.chunks(PART_TICKS as usize * row_bytes).zip(0u32..) {
            let ticks = (chunk.len() / row_bytes) as u32;
            let part = match parts[first..].iter_mut().find(|part: &&mut Part| part.index == index) {
                Some(part) => part,
                None => {
                    parts.push(Part { track: 0, layer: number, index, ticks: 0, rows: Vec::new(), cells: Vec::new() });
                    let Some(last) = parts.last_mut() else { continue };
                    last
                }
            };
            part.ticks = part.ticks.max(ticks);
            part.rows = chunk.to_vec();
        }
    }
    order(&mut parts, &mut postings);
    (parts, postings, row_bytes)
}

/// Puts the parts in the order of layer and index, which rows without postings may have broken.
fn order(parts: &mut Vec<Part>, postings: &mut [Posting]) {
    let key = |part: &Part| (part.layer, part.index);
    if parts.is_sorted_by_key(key) {
        return;
    }
    let mut places: Vec<usize> = (0..parts.len()).collect();
    places.sort_by_key(|&place| key(&parts[place]));
    let mut numbers = vec![0; parts.len()];
    for (&place, number) in places.iter().zip(0u32..) {
        numbers[place] = number;
    }
    for posting in postings {
        posting.part = numbers.get(posting.part as usize).copied().unwrap_or(0);
    }
    *parts = places.iter().map(|&place| parts[place].clone()).collect();
}

/// Appends a posting, and a part if it begins one.
fn place(parts: &mut Vec<Part>, postings: &mut Vec<Posting>, layer: u8, key: u32, tick: u32) {
    let (index, time) = (tick / PART_TICKS, tick % PART_TICKS);
    if parts.last().is_none_or(|part| (part.layer, part.index) != (layer, index)) {
        parts.push(Part { track: 0, layer, index, ticks: 0, rows: Vec::new(), cells: Vec::new() });
    }
    if let Some(part) = parts.last_mut() {
        part.ticks = part.ticks.max(time + 1);
    }
    postings.push(Posting { key, part: (parts.len() - 1) as u32, time: time as u16 });
}
