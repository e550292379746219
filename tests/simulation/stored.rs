//! A store in memory that keeps every promise of the journal's and the snapshots' traits, remembers
//! what it ever had, and notes whoever breaks a promise to it.

use std::collections::BTreeMap;

use engine::{Entry, FormatError, Outcome};
use shards::Formats;
use shards::packed::FORMAT;
use store::journal::{Appended, JournalEntry, Shard, Tail};
use store::nodes::Node;
use store::snapshots::Manifest;
use store::{Result, StoreError, StoreErrorKind};

use crate::stored_facts::StoredFacts;

/// All of a store.
#[derive(Default)]
pub struct Stored {
    shards: BTreeMap<Shard, StoredShard>,
    /// Heartbeats.
    pub nodes: BTreeMap<u128, Node>,
    /// What nodes know each other by.
    pub secret: Option<Vec<u8>>,
    /// Promises to the store that were broken.
    pub broken: Vec<String>,
}

/// What is stored of a shard.
pub struct StoredShard {
    incarnation: u32,
    floor: u64,
    begun_after: (u64, u128),
    entries: BTreeMap<(u32, u64), JournalEntry>,
    /// Every entry that was ever durable, with when it became so, truncated ones included.
    pub history: BTreeMap<(u32, u64), (i64, JournalEntry)>,
    snapshots: BTreeMap<(u32, u64), StoredSnapshot>,
    /// Every snapshot that ever counted.
    pub snapshot_history: BTreeMap<(u32, u64), Vec<u8>>,
    /// The facts.
    pub facts: StoredFacts,
}

#[derive(Default)]
struct StoredSnapshot {
    manifest: Option<Manifest>,
    chunks: BTreeMap<u32, Vec<u8>>,
}

impl Default for StoredShard {
    fn default() -> StoredShard {
        StoredShard {
            incarnation: 1,
            floor: 0,
            begun_after: (0, 0),
            entries: BTreeMap::new(),
            history: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            snapshot_history: BTreeMap::new(),
            facts: StoredFacts::default(),
        }
    }
}

impl Stored {
    /// What is stored of a shard.
    pub fn shard(&mut self, shard: Shard) -> &mut StoredShard {
        self.shards.entry(shard).or_default()
    }

    /// Shards that have a journal.
    #[must_use]
    pub fn with_journal(&self) -> Vec<Shard> {
        let begun = self.shards.iter().filter(|(_, stored)| !stored.history.is_empty());
        begun.map(|(shard, _)| *shard).collect()
    }

    /// See [`store::Journal::append`]; `at` is now.
    pub fn append(
        &mut self,
        shard: Shard,
        incarnation: u32,
        entry: &JournalEntry,
        at: i64,
    ) -> Result<Appended> {
        let stored = self.shards.entry(shard).or_default();
        if incarnation != stored.incarnation || entry.seq <= stored.floor {
            return Ok(Appended::Void);
        }
        let place = (incarnation, entry.seq);
        if let Some(there) = stored.entries.get(&place) {
            let is_ours = there.batch == entry.batch;
            return Ok(if is_ours { Appended::Repeated } else { Appended::Taken });
        }
        let last = stored.tail();
        if (last.seq + 1, last.batch) != (entry.seq, entry.previous) {
            self.broken.push(format!("entry {} does not follow {}", entry.seq, last.seq));
            return Err(bug("an entry does not follow the one before it"));
        }
        stored.entries.insert(place, entry.clone());
        stored.history.insert(place, (at, entry.clone()));
        Ok(Appended::Stored)
    }
}

/// A mistake of whoever calls; nothing was changed.
pub(crate) fn bug(message: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Bug, true, message)
}

impl StoredShard {
    /// All entries that were ever durable, as they are followed: one that a later one skips as if
    /// there were nothing in it.
    #[must_use]
    pub fn followed(&self) -> Vec<(u64, Entry)> {
        let all = self.history.iter();
        // Whoever looks back knows what the newest release knows.
        let formats = Formats::up_to(FORMAT + 1);
        let read = all.map(|((_, seq), (_, entry))| (*seq, formats.decode(&entry.bytes)));
        let mut read: BTreeMap<u64, _> = read.collect();
        let all = read.values().flatten().flat_map(|entry| &entry.decisions);
        let named = all.filter_map(|decision| match decision.outcome {
            Outcome::Skipped { seq, .. } => Some(seq),
            _ => None,
        });
        for seq in named.collect::<Vec<_>>() {
            read.insert(seq, Ok(Entry::nothing()));
        }
        let written = |entry: std::result::Result<Entry, FormatError>| {
            entry.expect("what was written is read")
        };
        read.into_iter().map(|(seq, entry)| (seq, written(entry))).collect()
    }

    /// See [`store::Journal::entries`].
    #[must_use]
    pub fn entries(&self, incarnation: u32, after: u64, bytes_max: usize) -> Vec<JournalEntry> {
        let from = (incarnation, after.saturating_add(1));
        let mut found: Vec<JournalEntry> = vec![];
        let mut byte_count = 0;
        for (_, entry) in self.entries.range(from..=(incarnation, u64::MAX)) {
            byte_count += entry.bytes.len();
            if byte_count > bytes_max && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        found
    }

    /// See [`store::Journal::tail`].
    #[must_use]
    pub fn tail(&self) -> Tail {
        let range = (self.incarnation, 0)..=(self.incarnation, u64::MAX);
        let last = self.entries.range(range).next_back();
        let (seq, batch) = last.map_or(self.begun_after, |((_, seq), entry)| (*seq, entry.batch));
        Tail { incarnation: self.incarnation, seq, batch, floor: self.floor }
    }

    /// See [`store::Journal::is_free`].
    #[must_use]
    pub fn is_free(&self, incarnation: u32, seq: u64) -> bool {
        let counts = incarnation == self.incarnation && seq > self.floor;
        counts && !self.entries.contains_key(&(incarnation, seq))
    }

    /// See [`store::Journal::truncate`].
    pub fn truncate(&mut self, incarnation: u32, floor: u64) {
        if incarnation != self.incarnation {
            return;
        }
        let last = self.tail().seq;
        self.floor = self.floor.max(floor.min(last));
        let floor = self.floor;
        self.entries.retain(|(of, seq), _| *of == incarnation && (*seq > floor || *seq == last));
    }

    /// See [`store::Journal::begin_incarnation`].
    pub fn begin_incarnation(&mut self, from: u32, seq: u64, batch: u128) -> bool {
        let counts = self.incarnation == from;
        if counts {
            self.incarnation = from + 1;
            self.floor = seq;
            self.begun_after = (seq, batch);
        }
        counts
    }

    /// See [`store::Snapshots::put_snapshot_chunk`].
    pub fn put_chunk(&mut self, place: (u32, u64), index: u32, bytes: Vec<u8>) {
        let snapshot = self.snapshots.entry(place).or_default();
        if snapshot.manifest.is_none() {
            snapshot.chunks.insert(index, bytes);
        }
    }

    /// See [`store::Snapshots::put_manifest`].
    pub fn put_manifest(&mut self, manifest: Manifest) {
        let place = (manifest.incarnation, manifest.seq);
        let newest = self.newest_snapshot(manifest.incarnation).map_or(0, |newest| newest.seq);
        let snapshot = self.snapshots.entry(place).or_default();
        if snapshot.manifest.is_some() {
            return;
        }
        let chunk_count = u32::try_from(snapshot.chunks.len()).expect("few chunks");
        if chunk_count != manifest.chunk_count && newest > manifest.seq {
            // A newer one has let go of it already; nobody will read it.
            snapshot.manifest = Some(manifest);
            return;
        }
        let bytes: Vec<u8> = snapshot.chunks.values().flatten().copied().collect();
        snapshot.manifest = Some(manifest);
        self.snapshot_history.insert(place, bytes);
    }

    /// See [`store::Snapshots::newest_snapshot`].
    #[must_use]
    pub fn newest_snapshot(&self, incarnation: u32) -> Option<Manifest> {
        let all = self.snapshots.range((incarnation, 0)..=(incarnation, u64::MAX));
        all.rev().find_map(|(_, snapshot)| snapshot.manifest.clone())
    }

    /// See [`store::Snapshots::snapshot_chunk`].
    #[must_use]
    pub fn chunk(&self, place: (u32, u64), index: u32) -> Option<Vec<u8>> {
        let snapshot = self.snapshots.get(&place)?;
        snapshot.manifest.as_ref()?;
        snapshot.chunks.get(&index).cloned()
    }

    /// See [`store::Snapshots::remove_snapshots_before`].
    pub fn remove_snapshots_before(&mut self, incarnation: u32, seq: u64) {
        let Some(newest) = self.newest_snapshot(incarnation) else { return };
        let before = seq.min(newest.seq);
        self.snapshots
            .retain(|(of, at), _| *of > incarnation || *of == incarnation && *at >= before);
    }
}
