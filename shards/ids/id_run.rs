//! A run: identities in order, with what was seen under each, encoded once and never changed.
//!
//! ```text
//! header   48 bytes: format 1, flags, bytes of a position, 0, count u32,
//!          first and last own day u32 u32, first and last arrival i64 i64, from u64, to u64
//!          20 bytes for each page: its first identity, CRC-32 of its bytes
//!          CRC-32 of all of the header before it
//! pages    256 entries each, the last one fewer: identity 16, body hash 4, position - from - 1
//! ```
//! Little-endian. The header vouches for every page, so a page of another run is found out too.

use std::ops::Range;

use super::{BodyHash, Identity};

/// Entries of a page; the last page of a run may hold fewer.
pub const PAGE_ENTRIES: usize = 256;
/// Ids that a run holds at most.
pub const RUN_IDS_MAX: usize = 1 << 20;
/// Bytes from which [`RunHeader::length`] can tell how long a header is.
pub const RUN_FIXED_BYTES: usize = 48;

pub(super) const FORMAT: u8 = 1;
pub(super) const FLAG_V7: u8 = 1;
pub(super) const FLAG_OTHER: u8 = 2;
pub(super) const KEY_BYTES: usize = 20;
const PAGE_INDEX_BYTES: usize = 20;
const CHECKSUM_BYTES: usize = 4;

/// One event of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Which event.
    pub identity: Identity,
    /// The journal position at which it was decided.
    pub position: u64,
    /// Its body's hash.
    pub body: BodyHash,
}

/// What was seen under an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The hash of the body that was counted.
    pub body: BodyHash,
    /// The journal position at which it was.
    pub position: u64,
}

/// What a run covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunMeta {
    /// The journal position before the first that the run covers.
    pub from: u64,
    /// The last journal position that the run covers.
    pub to: u64,
    /// The first and last own day of its `UUIDv7`s, in days since 1970; `None` without any.
    pub v7_days: Option<(u32, u32)>,
    /// Whether it has ids without an own day.
    pub has_other: bool,
    /// When the first of its ids arrived, in microseconds since 1970.
    pub arrived_at_min_micros: i64,
    /// When the last did.
    pub arrived_at_max_micros: i64,
}

/// A run's header: what it covers and where each identity would lie. Kept in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunHeader {
    pub(super) meta: RunMeta,
    pub(super) count: usize,
    pub(super) pages: Box<[PageKey]>,
    /// Of all above; what a filter knows its run by.
    pub(super) checksum: u32,
}

/// What a header says of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageKey {
    pub(super) first: Identity,
    pub(super) checksum: u32,
}

/// Why a run cannot be read or made. Nothing of a damaged page is believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Fewer bytes than the run says it has.
    #[error("a run of ids is cut short: {needed} bytes are needed, {got} are there")]
    Truncated {
        /// Bytes that there must be.
        needed: usize,
        /// Bytes that there are.
        got: usize,
    },
    /// Written by a release that knows more.
    #[error("a run of ids has the unknown format {0}: start the release that wrote it")]
    UnknownFormat(u8),
    /// The header is not what was written.
    #[error("the header of a run of ids is damaged: make the run again from its raw events")]
    DamagedHeader,
    /// A page is not what was written.
    #[error("page {0} of a run of ids is damaged: make the run again from its raw events")]
    DamagedPage(usize),
    /// A filter is not what was written, or is another run's.
    #[error("the filter of a run of ids is damaged: make it again from its run")]
    DamagedFilter,
    /// More ids than [`RUN_IDS_MAX`].
    #[error("more than {RUN_IDS_MAX} ids for one run: cut the chunk")]
    TooMany,
    /// A run to be made has no ids.
    #[error("a run of no ids: keep none instead")]
    Empty,
    /// Ids out of order, outside of the run's positions, or runs that overlap.
    #[error(
        "a run of ids at journal positions ({from}, {to}] was given something outside or \
             out of order"
    )]
    OutOfPlace {
        /// The position before the run's first.
        from: u64,
        /// The run's last position.
        to: u64,
    },
}

impl RunHeader {
    /// Reads the header at the start of a run; what follows it may be missing.
    ///
    /// # Errors
    /// `Truncated` also says how many bytes would do, `UnknownFormat`, `DamagedHeader`.
    pub fn read(run: &[u8]) -> Result<RunHeader, RunError> {
        let length = RunHeader::length(run)?;
        let header =
            run.get(..length).ok_or(RunError::Truncated { needed: length, got: run.len() })?;
        let (covered, checksum) = header.split_at(length - CHECKSUM_BYTES);
        let checksum = u32::from_le_bytes(array(checksum));
        if crc32fast::hash(covered) != checksum {
            return Err(RunError::DamagedHeader);
        }
        let (fixed, index) = covered.split_at(RUN_FIXED_BYTES);
        let pages = index.chunks_exact(PAGE_INDEX_BYTES).map(|page| PageKey {
            first: Identity(array(page)),
            checksum: u32::from_le_bytes(array(&page[16..])),
        });
        let read = RunHeader {
            meta: meta_of(fixed),
            count: count_of(fixed)?,
            pages: pages.collect(),
            checksum,
        };
        // A header that would be written otherwise was not written by this code.
        let is_valid = read.meta.is_valid() && read.covered() == covered;
        if is_valid { Ok(read) } else { Err(RunError::DamagedHeader) }
    }

    /// How many bytes the header has, from a run's first [`RUN_FIXED_BYTES`] or more. At most
    /// 80 KB; the true length only if [`RunHeader::read`] then agrees.
    ///
    /// # Errors
    /// `Truncated`, `UnknownFormat`, `DamagedHeader`.
    pub fn length(run: &[u8]) -> Result<usize, RunError> {
        let needed = RUN_FIXED_BYTES;
        let fixed = run.get(..needed).ok_or(RunError::Truncated { needed, got: run.len() })?;
        if fixed[0] != FORMAT {
            return Err(RunError::UnknownFormat(fixed[0]));
        }
        Ok(header_length(count_of(fixed)?))
    }

    /// Which bytes of the run hold the page that an identity would lie on; `None` where it is
    /// before the first, so that the run does not have it.
    #[must_use]
    pub fn page_of(&self, identity: &Identity) -> Option<Range<usize>> {
        self.page_number_of(identity).map(|number| self.page_range(number))
    }

    /// What was seen under an identity, from the bytes at [`RunHeader::page_of`] it.
    ///
    /// # Errors
    /// `DamagedPage` where the bytes are not those that were written there.
    pub fn find_in_page(&self, page: &[u8], identity: &Identity) -> Result<Option<Seen>, RunError> {
        let Some(number) = self.page_number_of(identity) else { return Ok(None) };
        self.verify_page(number, page)?;
        let (mut low, mut high) = (0, page.len() / self.entry_bytes());
        while low < high {
            let middle = low.midpoint(high);
            let at = middle * self.entry_bytes();
            match page[at..at + 16].cmp(&identity.0) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let entry = self.entry(&page[at..at + self.entry_bytes()]);
                    return Ok(Some(Seen { body: entry.body, position: entry.position }));
                }
            }
        }
        Ok(None)
    }

    /// All entries of a run, in order, each page verified before the first of its entries. After
    /// an error there is nothing more.
    pub fn entries<'a>(
        &'a self,
        run: &'a [u8],
    ) -> impl Iterator<Item = Result<Entry, RunError>> + 'a {
        let mut is_damaged = false;
        (0..self.count).map_while(move |index| {
            if is_damaged {
                return None;
            }
            let entry = self.entry_at(run, index);
            is_damaged = entry.is_err();
            Some(entry)
        })
    }

    /// What the run covers.
    #[must_use]
    pub fn meta(&self) -> &RunMeta {
        &self.meta
    }

    /// How many ids the run has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many bytes the whole run has, header and pages.
    #[must_use]
    pub fn run_bytes(&self) -> usize {
        header_length(self.count) + self.count * self.entry_bytes()
    }

    /// How many bytes of memory the header takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<RunHeader>() + self.pages.len() * size_of::<PageKey>()
    }

    /// The header's bytes, but for their checksum.
    pub(super) fn covered(&self) -> Vec<u8> {
        let RunMeta { from, to, v7_days, has_other, .. } = self.meta;
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(v7_days.is_some(), FLAG_V7) | flag(has_other, FLAG_OTHER);
        let position_bytes = u8::try_from(self.meta.position_bytes()).expect("at most 8");
        let count = u32::try_from(self.count).expect("a run's count fits 32 bits");
        let (first_day, last_day) = v7_days.unwrap_or_default();
        let mut bytes = Vec::with_capacity(header_length(self.count));
        bytes.extend([FORMAT, flags, position_bytes, 0]);
        bytes.extend(count.to_le_bytes());
        bytes.extend(first_day.to_le_bytes());
        bytes.extend(last_day.to_le_bytes());
        bytes.extend(self.meta.arrived_at_min_micros.to_le_bytes());
        bytes.extend(self.meta.arrived_at_max_micros.to_le_bytes());
        bytes.extend(from.to_le_bytes());
        bytes.extend(to.to_le_bytes());
        for page in &self.pages {
            bytes.extend(page.first.0);
            bytes.extend(page.checksum.to_le_bytes());
        }
        bytes
    }

    fn page_number_of(&self, identity: &Identity) -> Option<usize> {
        self.pages.partition_point(|page| page.first <= *identity).checked_sub(1)
    }

    fn page_range(&self, number: usize) -> Range<usize> {
        let start = header_length(self.count) + number * PAGE_ENTRIES * self.entry_bytes();
        let end = start + PAGE_ENTRIES * self.entry_bytes();
        start..end.min(self.run_bytes())
    }

    fn verify_page(&self, number: usize, page: &[u8]) -> Result<(), RunError> {
        let is_whole = page.len() == self.page_range(number).len();
        if is_whole && crc32fast::hash(page) == self.pages[number].checksum {
            return Ok(());
        }
        Err(RunError::DamagedPage(number))
    }

    fn entry_at(&self, run: &[u8], index: usize) -> Result<Entry, RunError> {
        let number = index / PAGE_ENTRIES;
        let range = self.page_range(number);
        let truncated = RunError::Truncated { needed: range.end, got: run.len() };
        let page = run.get(range).ok_or(truncated)?;
        if index.is_multiple_of(PAGE_ENTRIES) {
            self.verify_page(number, page)?;
        }
        let at = index % PAGE_ENTRIES * self.entry_bytes();
        Ok(self.entry(&page[at..at + self.entry_bytes()]))
    }

    fn entry(&self, bytes: &[u8]) -> Entry {
        let mut after = [0; 8];
        after[..bytes.len() - KEY_BYTES].copy_from_slice(&bytes[KEY_BYTES..]);
        // Saturating, because a checksum keeps out damage, not what a faulty writer wrote.
        let position = self.meta.from.saturating_add(1).saturating_add(u64::from_le_bytes(after));
        Entry { identity: Identity(array(bytes)), body: BodyHash(array(&bytes[16..])), position }
    }

    fn entry_bytes(&self) -> usize {
        KEY_BYTES + self.meta.position_bytes()
    }
}

impl RunMeta {
    /// What both runs together cover.
    #[must_use]
    pub fn union(&self, other: &RunMeta) -> RunMeta {
        let v7_days = match (self.v7_days, other.v7_days) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        RunMeta {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
            v7_days,
            has_other: self.has_other || other.has_other,
            arrived_at_min_micros: self.arrived_at_min_micros.min(other.arrived_at_min_micros),
            arrived_at_max_micros: self.arrived_at_max_micros.max(other.arrived_at_max_micros),
        }
    }

    /// Bytes that every position within takes, counted from the first; none where there is one.
    pub(super) fn position_bytes(&self) -> usize {
        let largest = self.to.saturating_sub(self.from).saturating_sub(1);
        let bits = usize::try_from(u64::BITS - largest.leading_zeros()).expect("at most 64");
        bits.div_ceil(8)
    }

    pub(super) fn is_valid(&self) -> bool {
        let are_days_ordered = self.v7_days.is_none_or(|(first, last)| first <= last);
        let has_ids = self.has_other || self.v7_days.is_some();
        let is_time_ordered = self.arrived_at_min_micros <= self.arrived_at_max_micros;
        self.from < self.to && are_days_ordered && has_ids && is_time_ordered
    }
}

fn meta_of(fixed: &[u8]) -> RunMeta {
    let days = (u32::from_le_bytes(array(&fixed[8..])), u32::from_le_bytes(array(&fixed[12..])));
    RunMeta {
        from: u64::from_le_bytes(array(&fixed[32..])),
        to: u64::from_le_bytes(array(&fixed[40..])),
        v7_days: (fixed[1] & FLAG_V7 != 0).then_some(days),
        has_other: fixed[1] & FLAG_OTHER != 0,
        arrived_at_min_micros: i64::from_le_bytes(array(&fixed[16..])),
        arrived_at_max_micros: i64::from_le_bytes(array(&fixed[24..])),
    }
}

/// Read before the checksum is, so a damaged count must not make anyone read or hold much.
fn count_of(fixed: &[u8]) -> Result<usize, RunError> {
    let count = u32::from_le_bytes(array(&fixed[4..]));
    match usize::try_from(count) {
        Ok(count @ 1..=RUN_IDS_MAX) => Ok(count),
        _ => Err(RunError::DamagedHeader),
    }
}

fn header_length(count: usize) -> usize {
    RUN_FIXED_BYTES + count.div_ceil(PAGE_ENTRIES) * PAGE_INDEX_BYTES + CHECKSUM_BYTES
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("a run's fields lie within their lengths")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BuiltRun, RunBuilder};

    const FROM: u64 = 1_000;
    const TO: u64 = 1_700;

    fn identity(number: u64) -> Identity {
        Identity::of(b"seeded", &number.to_le_bytes())
    }

    /// The `number`th event lies at position `FROM + 1 + number / 2`.
    fn entry(number: u64) -> Entry {
        let body = BodyHash::of(&number.to_le_bytes());
        Entry { identity: identity(number), position: FROM + 1 + number / 2, body }
    }

    fn run_of(numbers: impl Iterator<Item = u64>) -> BuiltRun {
        let mut run = RunBuilder::new(FROM, TO);
        for number in numbers {
            run.push(entry(number), None, 5);
        }
        run.finish().unwrap().unwrap()
    }

    fn find(header: &RunHeader, run: &[u8], number: u64) -> Result<Option<Seen>, RunError> {
        let Some(range) = header.page_of(&identity(number)) else { return Ok(None) };
        header.find_in_page(run.get(range).unwrap_or_default(), &identity(number))
    }

    #[test]
    fn every_id_is_found_on_the_one_page_it_lies_on_and_no_other_is() {
        // Around one and two pages, where a page is full and where one entry begins the next.
        for count in [1, 2, 255, 256, 257, 511, 512, 513, 700] {
            let run = run_of(0..count);
            let header = RunHeader::read(&run.bytes).unwrap();
            assert_eq!(header, run.header);
            assert_eq!(header.run_bytes(), run.bytes.len());
            assert_eq!(
                RunHeader::length(&run.bytes[..RUN_FIXED_BYTES]).unwrap(),
                run.bytes.len() - usize::try_from(count).unwrap() * 22
            );
            for number in 0..count {
                let Entry { body, position, .. } = entry(number);
                let found = find(&header, &run.bytes, number).unwrap();
                assert_eq!(found, Some(Seen { body, position }), "{number} of {count}");
            }
            for number in count..2 * count + 20 {
                assert_eq!(find(&header, &run.bytes, number).unwrap(), None, "{number}");
            }
        }
    }

    #[test]
    fn equal_events_in_any_order_give_equal_bytes() {
        let (forth, back) = (run_of(0..600), run_of((0..600).rev()));
        assert_eq!(forth.bytes, back.bytes);
        assert_eq!(forth.filter.encode(), back.filter.encode());
    }

    #[test]
    fn an_id_given_twice_stays_at_its_earliest_position_and_is_told() {
        let mut run = RunBuilder::new(FROM, TO);
        let later = Entry { position: TO, body: BodyHash([9; 4]), ..entry(0) };
        for entry in [later, entry(0), entry(1)] {
            run.push(entry, None, 5);
        }
        let run = run.finish().unwrap().unwrap();
        assert_eq!((run.header.count(), run.doubled_count), (2, 1));
        let seen = Seen { body: entry(0).body, position: entry(0).position };
        assert_eq!(find(&run.header, &run.bytes, 0).unwrap(), Some(seen));
    }

    #[test]
    fn a_header_says_what_its_run_covers() {
        let table = [
            ("one other", vec![(None, 7)], (None, true, 7, 7)),
            ("one of its own day", vec![(Some(9), 7)], (Some((9, 9)), false, 7, 7)),
            ("both", vec![(None, 8), (Some(4), 7), (Some(6), -3)], (Some((4, 6)), true, -3, 8)),
        ];
        for (what, events, expected) in table {
            let mut run = RunBuilder::new(FROM, TO);
            for (number, (day, arrived_at)) in (0..).zip(events) {
                run.push(entry(number), day, arrived_at);
            }
            let bytes = run.finish().unwrap().unwrap().bytes;
            let meta = *RunHeader::read(&bytes).unwrap().meta();
            let (v7_days, has_other, arrived_at_min_micros, arrived_at_max_micros) = expected;
            let expected = RunMeta {
                from: FROM,
                to: TO,
                v7_days,
                has_other,
                arrived_at_min_micros,
                arrived_at_max_micros,
            };
            assert_eq!(meta, expected, "{what}");
        }
    }

    #[test]
    fn a_position_takes_as_many_bytes_as_its_run_is_long() {
        let table = [
            (0, 1, 0),
            (0, 2, 1),
            (0, 256, 1),
            (0, 257, 2),
            (5_000_000, 5_065_536, 2),
            (5_000_000, 5_065_537, 3),
            (0, u64::MAX, 8),
        ];
        for (from, to, position_bytes) in table {
            for position in [from + 1, to] {
                let mut run = RunBuilder::new(from, to);
                run.push(Entry { position, ..entry(0) }, None, 0);
                let run = run.finish().unwrap().unwrap();
                let length = 48 + 20 + 4 + 20 + position_bytes;
                assert_eq!(run.bytes.len(), length, "({from}, {to}]");
                let found = find(&run.header, &run.bytes, 0).unwrap().unwrap();
                assert_eq!(found.position, position, "({from}, {to}]");
            }
        }
    }

    #[test]
    fn a_run_of_a_million_ids_takes_24_bytes_an_id() {
        let meta = RunMeta { from: 0, to: 1 << 24, ..*run_of(0..1).header.meta() };
        let pages = vec![PageKey { first: identity(0), checksum: 0 }; RUN_IDS_MAX / PAGE_ENTRIES];
        let pages = pages.into_boxed_slice();
        let header = RunHeader { meta, count: RUN_IDS_MAX, pages, checksum: 0 };
        assert!(header.run_bytes() <= 24 * RUN_IDS_MAX, "{}", header.run_bytes());
    }

    #[test]
    fn what_does_not_belong_into_a_run_is_refused() {
        let finish = |from, to, position| {
            let mut run = RunBuilder::new(from, to);
            run.push(Entry { position, ..entry(0) }, None, 0);
            run.finish().map(|run| run.is_some())
        };
        let out_of_place = |from, to| Err(RunError::OutOfPlace { from, to });
        assert_eq!(finish(10, 20, 11), Ok(true));
        assert_eq!(finish(10, 20, 10), out_of_place(10, 20));
        assert_eq!(finish(10, 20, 21), out_of_place(10, 20));
        assert_eq!(finish(20, 20, 20), out_of_place(20, 20));
        assert!(RunBuilder::new(10, 20).finish().unwrap().is_none());
    }

    #[test]
    fn a_damaged_run_gives_an_error_or_the_right_answer() {
        let run = run_of(0..300);
        let right: Vec<_> =
            (0..320).map(|number| find(&run.header, &run.bytes, number).unwrap()).collect();
        let header_length = RunHeader::length(&run.bytes).unwrap();
        // Every look-up for some of the damage; for all of it, whether it is seen.
        let answers_of = |bytes: &[u8], header: &RunHeader, at: usize| {
            assert!(header.entries(bytes).any(|entry| entry.is_err()), "damage at {at}");
            if !at.is_multiple_of(61) {
                return;
            }
            let mut error_count = 0;
            for (number, right) in (0..).zip(&right) {
                match find(header, bytes, number) {
                    Ok(found) => assert_eq!(found, *right, "{number}, damage at {at}"),
                    Err(_) => error_count += 1,
                }
            }
            assert!(error_count > 0, "damage at {at}: no look-up meets it");
        };
        for at in 0..run.bytes.len() {
            let mut damaged = run.bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            match RunHeader::read(&damaged) {
                Ok(header) => {
                    assert!(at >= header_length, "the header is believed, damaged at {at}");
                    answers_of(&damaged, &header, at);
                }
                Err(_) => assert!(at < header_length, "damage at {at} is not the header's"),
            }
        }
        for length in 0..run.bytes.len() {
            let cut = &run.bytes[..length];
            match RunHeader::read(cut) {
                Ok(header) => {
                    assert!(length >= header_length);
                    answers_of(cut, &header, length);
                }
                Err(error) => assert!(matches!(error, RunError::Truncated { .. }), "{error}"),
            }
        }
    }

    #[test]
    fn a_page_of_another_place_or_run_is_not_believed() {
        let (run, other) = (run_of(0..600), run_of(600..1200));
        let page = run.header.page_of(&identity(0)).unwrap();
        let number = run.header.page_number_of(&identity(0)).unwrap();
        let damaged = Err(RunError::DamagedPage(number));
        let of_other = &other.bytes[page.clone()];
        assert_eq!(run.header.find_in_page(of_other, &identity(0)), damaged);
        for wrong in (0..3).filter(|wrong| *wrong != number) {
            let elsewhere = &run.bytes[run.header.page_range(wrong)];
            assert_eq!(run.header.find_in_page(elsewhere, &identity(0)), damaged, "page {wrong}");
        }
    }

    #[test]
    fn a_format_to_come_is_told_from_damage() {
        let mut bytes = run_of(0..1).bytes;
        bytes[0] = 2;
        assert_eq!(RunHeader::read(&bytes), Err(RunError::UnknownFormat(2)));
        assert_eq!(RunHeader::length(&bytes), Err(RunError::UnknownFormat(2)));
    }

    /// Stored runs and filters outlive releases: another sum here means a new format byte, and for
    /// the filter it may be the crate behind it that has changed.
    #[test]
    fn runs_and_filters_are_written_as_they_always_were() {
        let run = run_of(0..600);
        // Not CRC-32, which is the same for all bytes with their own CRC-32 behind them.
        let sums = [&run.bytes, &run.filter.encode()].map(|bytes| BodyHash::of(bytes).0);
        assert_eq!(sums, [[0xf8, 0xa8, 0x67, 0xab], [0xb4, 0x67, 0x09, 0x6e]]);
    }
}
