//! Loading a shard: the newest snapshot, and every entry of the journal after it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::{Entry, FormatError, State};
use sha2::{Digest, Sha256};
use store::journal::{JournalEntry, Shard};
use store::snapshots::Manifest;
use tokio::task::JoinHandle;

use crate::error::ShardError;
use crate::formats::Formats;
use crate::ids::{IdIndex, LoadedRun};
use crate::parts::{Parts, ShardStore};
use crate::skip::{Skips, named};

/// Bytes of entries that are read at once.
pub(crate) const READ_BYTES: usize = 4 << 20;

/// A state with its place in the journal.
pub(crate) struct Loaded {
    pub(crate) state: State,
    pub(crate) incarnation: u32,
    /// The batch of the last entry, which the next one must name.
    pub(crate) last_batch: u128,
    /// The place of the snapshot that it was loaded from.
    snapshot_seq: u64,
    /// How many decisions were followed since that snapshot.
    pub(crate) followed_count: u64,
    /// Entries that are passed over.
    pub(crate) skips: Skips,
    formats: Formats,
}

/// Loads a shard as its journal has it now.
pub(crate) async fn load(parts: &Parts, shard: Shard) -> Result<Loaded, ShardError> {
    loop {
        let before = parts.store.tail(shard).await?;
        let loaded = load_until(parts, shard, u64::MAX).await;
        let Err(error @ ShardError::Stopped { .. }) = loaded else { return loaded };
        // A truncation may have overtaken the reading: then it is a newer snapshot's turn.
        let now = parts.store.tail(shard).await?;
        if (now.incarnation, now.floor) == (before.incarnation, before.floor) {
            return Err(error);
        }
    }
}

/// Loads a shard as it was at the entry `until`, without what is passed over, wherever in the
/// journal that is said.
pub(crate) async fn load_until(
    parts: &Parts,
    shard: Shard,
    until: u64,
) -> Result<Loaded, ShardError> {
    let mut skips = Skips::default();
    loop {
        let mut loaded = load_snapshot(parts, shard, until).await?;
        loaded.skips = skips;
        let followed = follow_all(parts, shard, &mut loaded, until).await;
        let (incarnation, at) = (loaded.incarnation, loaded.state.seq());
        let is_new = match &followed {
            // There was nothing after it.
            Ok(()) if until == u64::MAX => false,
            Ok(()) => loaded.skips.learn(parts, shard, incarnation, at, at).await?,
            Err(ShardError::Stopped { seq, .. }) if !loaded.skips.has(*seq) => {
                loaded.skips.learn(parts, shard, incarnation, *seq, *seq).await?
            }
            Err(_) => false,
        };
        if !is_new {
            return followed.map(|()| loaded);
        }
        skips = loaded.skips;
    }
}

async fn follow_all(
    parts: &Parts,
    shard: Shard,
    loaded: &mut Loaded,
    until: u64,
) -> Result<(), ShardError> {
    let incarnation = loaded.incarnation;
    let mut read = ReadAhead::read(parts, shard, incarnation, loaded.state.seq(), until).await?;
    while let Some(after) = read.last_seq {
        // The next ones are read and decoded while these are followed.
        let next = ReadAhead::read(parts, shard, incarnation, after, until);
        let (next, followed) = tokio::join!(next, read.follow(loaded));
        followed?;
        read = next?;
    }
    Ok(())
}

/// Entries of which many are decoded on other threads, while those before them are followed.
struct ReadAhead {
    pieces: Vec<Piece>,
    /// The last entry; none where there are none.
    last_seq: Option<u64>,
}

/// Some entries, in order.
enum Piece {
    /// Few: decoded when they are followed.
    Here(Vec<JournalEntry>),
    /// Decoded on another thread.
    Elsewhere(JoinHandle<Vec<(JournalEntry, Result<Entry, FormatError>)>>),
}

/// Bytes of entries that are read at once to be followed: decoded they are thirty times as much.
const AHEAD_BYTES: usize = 1 << 20;
/// What is read with fewer bytes is decoded where it is followed.
const DECODED_HERE_BYTES: usize = 256 << 10;
/// How many entries are decoded at once on another thread.
const PIECE_ENTRIES: usize = 8;

impl ReadAhead {
    /// The entries after `after`, up to `until`, as many as are read at once.
    async fn read(
        parts: &Parts,
        shard: Shard,
        incarnation: u32,
        after: u64,
        until: u64,
    ) -> Result<ReadAhead, ShardError> {
        let mut entries = parts.store.entries(shard, incarnation, after, AHEAD_BYTES).await?;
        entries.retain(|entry| entry.seq <= until);
        let last_seq = entries.last().map(|entry| entry.seq);
        let byte_count: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
        if byte_count < DECODED_HERE_BYTES {
            return Ok(ReadAhead { pieces: vec![Piece::Here(entries)], last_seq });
        }
        let mut pieces = vec![];
        while !entries.is_empty() {
            let later = entries.split_off(entries.len().min(PIECE_ENTRIES));
            let (piece, formats) = (std::mem::replace(&mut entries, later), parts.formats.clone());
            let decode = move |entry: JournalEntry| {
                let decoded = formats.decode_to_follow(&entry.bytes);
                (entry, decoded)
            };
            let decode_all = move || piece.into_iter().map(decode).collect();
            pieces.push(Piece::Elsewhere(tokio::task::spawn_blocking(decode_all)));
        }
        Ok(ReadAhead { pieces, last_seq })
    }

    async fn follow(self, loaded: &mut Loaded) -> Result<(), ShardError> {
        for piece in self.pieces {
            match piece {
                Piece::Here(entries) => {
                    entries.iter().try_for_each(|entry| loaded.follow(entry))?;
                }
                Piece::Elsewhere(decoding) => {
                    let decoded = decoding.await;
                    let decoded =
                        decoded.map_err(|error| ShardError::Internal(error.to_string()))?;
                    let mut followed = Vec::with_capacity(decoded.len());
                    for (entry, content) in decoded {
                        followed.push(loaded.follow_decoded(&entry, || content)?);
                    }
                    // Where they were made they are let go of in less time.
                    tokio::task::spawn_blocking(move || drop(followed));
                }
            }
        }
        Ok(())
    }
}

/// The newest snapshot, unless it is of a place after `until`; else the state before the first
/// entry.
async fn load_snapshot(parts: &Parts, shard: Shard, until: u64) -> Result<Loaded, ShardError> {
    let store = &*parts.store;
    let tail = store.tail(shard).await?;
    let newest = store.newest_snapshot(shard, tail.incarnation).await?;
    match newest.filter(|manifest| manifest.seq <= until) {
        Some(manifest) => {
            let state = read_snapshot(store, shard, &manifest).await?;
            Ok(Loaded::new(parts, state, tail.incarnation, manifest.batch))
        }
        None if tail.floor == 0 => Ok(Loaded::new(parts, State::default(), tail.incarnation, 0)),
        None => Err(stopped(tail.floor, "the entries before are gone, and so is the snapshot")),
    }
}

async fn read_snapshot(
    store: &dyn ShardStore,
    shard: Shard,
    manifest: &Manifest,
) -> Result<State, ShardError> {
    let gone = || ShardError::Unavailable("a newer snapshot took this one's place".to_owned());
    let mut bytes = vec![];
    for index in 0..manifest.chunk_count {
        let (incarnation, seq) = (manifest.incarnation, manifest.seq);
        let chunk = store.snapshot_chunk(shard, incarnation, seq, index).await?;
        bytes.extend(chunk.ok_or_else(gone)?);
    }
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    if sha256 != manifest.sha256 {
        return Err(stopped(manifest.seq, "its snapshot is damaged"));
    }
    State::decode(&bytes).map_err(|error| stopped(manifest.seq, &error.to_string()))
}

/// Follows the entries that are there after the state's place, up to `until`. Says whether there
/// were any.
pub(crate) async fn follow(
    parts: &Parts,
    shard: Shard,
    loaded: &mut Loaded,
    until: u64,
) -> Result<bool, ShardError> {
    let after = loaded.state.seq();
    let entries = parts.store.entries(shard, loaded.incarnation, after, READ_BYTES).await?;
    let mut followed = false;
    for entry in entries.iter().take_while(|entry| entry.seq <= until) {
        loaded.follow(entry)?;
        followed = true;
    }
    Ok(followed)
}

impl Loaded {
    fn new(parts: &Parts, state: State, incarnation: u32, last_batch: u128) -> Loaded {
        let (snapshot_seq, skips) = (state.seq(), Skips::default());
        let formats = parts.formats.clone();
        Loaded { state, incarnation, last_batch, snapshot_seq, followed_count: 0, skips, formats }
    }

    /// Follows the next entry, or passes over it. A fault in it ends the shard.
    pub(crate) fn follow(&mut self, entry: &JournalEntry) -> Result<(), ShardError> {
        let formats = self.formats.clone();
        self.follow_decoded(entry, || formats.decode_to_follow(&entry.bytes)).map(drop)
    }

    /// The same of one that is decoded, or will be where it comes to that.
    fn follow_decoded(
        &mut self,
        entry: &JournalEntry,
        decoded: impl FnOnce() -> Result<Entry, FormatError>,
    ) -> Result<Entry, ShardError> {
        let content = self.admit(entry, self.state.seq(), self.last_batch, decoded)?;
        let state = &mut self.state;
        let followed = catch_unwind(AssertUnwindSafe(|| state.replay(entry.seq, &content)));
        followed.map_err(|_| stopped(entry.seq, "it cannot be followed"))?;
        self.last_batch = entry.batch;
        self.count_followed(&content);
        Ok(content)
    }

    /// Counts the decisions of an entry that the state has followed.
    pub(crate) fn count_followed(&mut self, entry: &Entry) {
        let count = u64::try_from(entry.decisions.len()).unwrap_or(u64::MAX);
        self.followed_count = self.followed_count.saturating_add(count);
    }

    /// What an entry is followed as that comes after the one with this place and batch: nothing,
    /// where it is passed over.
    pub(crate) fn read(
        &self,
        entry: &JournalEntry,
        after: u64,
        last_batch: u128,
    ) -> Result<Entry, ShardError> {
        self.admit(entry, after, last_batch, || self.formats.decode(&entry.bytes))
    }

    fn admit(
        &self,
        entry: &JournalEntry,
        after: u64,
        last_batch: u128,
        decoded: impl FnOnce() -> Result<Entry, FormatError>,
    ) -> Result<Entry, ShardError> {
        if entry.seq == after.saturating_add(1) && self.skips.has(entry.seq) {
            return Ok(Entry::nothing());
        }
        let content = checked(entry, after, last_batch, decoded)?;
        let is_passed = |seq: u64| self.skips.has(seq) && seq > self.snapshot_seq;
        let followed = named(&content).find(|seq| !is_passed(*seq));
        match followed {
            Some(seq) => Err(stopped(seq, &format!("it was followed, and {} skips it", entry.seq))),
            None => Ok(content),
        }
    }
}

/// An entry that comes right after the one with this place and batch.
pub(crate) fn checked(
    entry: &JournalEntry,
    after: u64,
    last_batch: u128,
    decoded: impl FnOnce() -> Result<Entry, FormatError>,
) -> Result<Entry, ShardError> {
    if entry.seq != after.saturating_add(1) {
        return Err(stopped(after.saturating_add(1), "the entry is missing"));
    }
    if entry.previous != last_batch {
        return Err(stopped(entry.seq, "it does not follow the entry before it"));
    }
    decoded().map_err(|error| stopped(entry.seq, &error.to_string()))
}

/// The runs of ids, as of the place that the facts are at.
pub(crate) async fn load_ids(parts: &Parts, shard: Shard) -> Result<IdIndex, ShardError> {
    let (checkpoint, records) = parts.store.id_runs(shard).await?;
    let damaged = |error: String| ShardError::Internal(format!("the index of ids: {error}"));
    let runs: Result<Vec<LoadedRun>, _> = records.iter().map(crate::facts::load_run).collect();
    let runs = runs.map_err(|error| damaged(error.to_string()))?;
    IdIndex::new(checkpoint.seq, runs).map_err(|error| damaged(error.to_string()))
}

pub(crate) fn stopped(seq: u64, why: &str) -> ShardError {
    ShardError::Stopped { seq, why: why.to_owned() }
}
