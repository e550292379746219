//! Writes runs: of the ids of a projected chunk, in whichever order they come, or of entries that
//! are in order already.

use super::{
    Entry, Filter, Identity, PAGE_ENTRIES, RUN_IDS_MAX, RunError, RunHeader, RunMeta,
    id_run::{KEY_BYTES, PageKey},
};

/// A run, complete: to be stored, and to be looked up in.
#[derive(Debug, Clone)]
pub struct BuiltRun {
    /// What the run covers, as [`RunHeader::read`] reads it from `bytes`.
    pub header: RunHeader,
    /// The run, header first.
    pub bytes: Vec<u8>,
    /// Its filter.
    pub filter: Filter,
    /// Ids left out because they were there already, at an earlier position. More than none means
    /// that an event was counted twice.
    pub doubled_count: usize,
}

/// Gathers the ids of a chunk.
#[derive(Debug, Clone)]
pub struct RunBuilder {
    from: u64,
    to: u64,
    meta: Option<RunMeta>,
    entries: Vec<Entry>,
}

impl RunBuilder {
    /// For a chunk of the journal positions after `from`, up to and with `to`.
    #[must_use]
    pub fn new(from: u64, to: u64) -> RunBuilder {
        RunBuilder { from, to, meta: None, entries: Vec::new() }
    }

    /// Adds an event that was decided at a position and arrived at an instant (microseconds since
    /// 1970); `v7_day` is its id's own day, if it has one.
    pub fn push(&mut self, entry: Entry, v7_day: Option<u32>, arrived_at_micros: i64) {
        let own = RunMeta {
            from: self.from,
            to: self.to,
            v7_days: v7_day.map(|day| (day, day)),
            has_other: v7_day.is_none(),
            arrived_at_min_micros: arrived_at_micros,
            arrived_at_max_micros: arrived_at_micros,
        };
        self.meta = Some(self.meta.map_or(own, |meta| meta.union(&own)));
        self.entries.push(entry);
    }

    /// The run; `None` where no event was added. The same events in any order give the same bytes.
    ///
    /// # Errors
    /// `TooMany`; `OutOfPlace` where a position lies outside of the chunk's.
    pub fn finish(self) -> Result<Option<BuiltRun>, RunError> {
        let RunBuilder { meta, mut entries, .. } = self;
        let Some(meta) = meta else { return Ok(None) };
        // Within one identity the earliest position comes first, and the first is kept.
        entries.sort_unstable();
        let mut writer = RunWriter::new(meta, entries.len())?;
        for entry in &entries {
            writer.push(entry)?;
        }
        writer.finish().map(Some)
    }
}

/// Takes entries in order and encodes them as they come.
pub(super) struct RunWriter {
    meta: RunMeta,
    position_bytes: usize,
    pages: Vec<PageKey>,
    body: Vec<u8>,
    page_start: usize,
    identities: Vec<Identity>,
    doubled_count: usize,
}

impl RunWriter {
    /// For at most `count` entries.
    pub(super) fn new(meta: RunMeta, count: usize) -> Result<RunWriter, RunError> {
        if !meta.is_valid() {
            return Err(RunError::OutOfPlace { from: meta.from, to: meta.to });
        }
        if count > RUN_IDS_MAX {
            return Err(RunError::TooMany);
        }
        let position_bytes = meta.position_bytes();
        Ok(RunWriter {
            meta,
            position_bytes,
            pages: Vec::with_capacity(count.div_ceil(PAGE_ENTRIES)),
            body: Vec::with_capacity(count * (KEY_BYTES + position_bytes)),
            page_start: 0,
            identities: Vec::with_capacity(count),
            doubled_count: 0,
        })
    }

    /// Adds the next entry. An identity that was there already is left out and counted.
    pub(super) fn push(&mut self, entry: &Entry) -> Result<(), RunError> {
        let RunMeta { from, to, .. } = self.meta;
        let is_inside = from < entry.position && entry.position <= to;
        let last = self.identities.last();
        if !is_inside || last.is_some_and(|last| *last > entry.identity) {
            return Err(RunError::OutOfPlace { from, to });
        }
        if last == Some(&entry.identity) {
            self.doubled_count += 1;
            return Ok(());
        }
        if self.identities.len() == RUN_IDS_MAX {
            return Err(RunError::TooMany);
        }
        if self.identities.len().is_multiple_of(PAGE_ENTRIES) {
            self.end_page();
            self.pages.push(PageKey { first: entry.identity, checksum: 0 });
        }
        let after = entry.position - from - 1;
        self.body.extend(entry.identity.0);
        self.body.extend(entry.body.0);
        self.body.extend(&after.to_le_bytes()[..self.position_bytes]);
        self.identities.push(entry.identity);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<BuiltRun, RunError> {
        if self.identities.is_empty() {
            return Err(RunError::Empty);
        }
        self.end_page();
        let mut header = RunHeader {
            meta: self.meta,
            count: self.identities.len(),
            pages: self.pages.into_boxed_slice(),
            checksum: 0,
        };
        let mut bytes = header.covered();
        header.checksum = crc32fast::hash(&bytes);
        bytes.extend(header.checksum.to_le_bytes());
        bytes.append(&mut self.body);
        let filter = Filter::of(&header, &self.identities);
        Ok(BuiltRun { header, bytes, filter, doubled_count: self.doubled_count })
    }

    fn end_page(&mut self) {
        if let Some(page) = self.pages.last_mut() {
            page.checksum = crc32fast::hash(&self.body[self.page_start..]);
        }
        self.page_start = self.body.len();
    }
}
