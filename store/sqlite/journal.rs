//! The journal in SQLite's second file. The lock file admits one process, so a plain look at the
//! file tells what is there; uniqueness of an entry's place still decides.

use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    database::{Fields, all, big, change, first, from_big, micros_now, owner, shard_of},
    engine::AppendRequest,
};
use crate::{
    Journal, Result, StoreError, StoreErrorKind,
    journal::{Appended, ENTRY_BYTES_MAX, JournalEntry, Shard, Tail},
};

/// Bits of an entry's place that are its sequence; those before are its journal's number.
const SEQ_BITS: u32 = 40;
const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;
/// What one commit of a truncation deletes at most, so that appends get in between.
const TRUNCATED_COUNT_MAX: i64 = 2048;
const TRUNCATED_BYTES_MAX: u64 = 2 << 20;

#[async_trait::async_trait]
impl Journal for SqliteStore {
    async fn append(
        &self,
        shard: Shard,
        incarnation: u32,
        entry: &JournalEntry,
    ) -> Result<Appended> {
        self.engine.append(shard, incarnation, entry).await
    }

    async fn entries(
        &self,
        shard: Shard,
        incarnation: u32,
        after: u64,
        bytes_max: usize,
    ) -> Result<Vec<JournalEntry>> {
        self.engine.read(move |db| entries(db, shard, incarnation, after, bytes_max)).await
    }

    async fn tail(&self, shard: Shard) -> Result<Tail> {
        self.engine.read(move |db| tail(db, shard)).await
    }

    async fn is_free(&self, shard: Shard, incarnation: u32, seq: u64) -> Result<bool> {
        self.engine.read(move |db| is_free(db, shard, incarnation, seq)).await
    }

    async fn shards(&self) -> Result<Vec<Shard>> {
        let sql = "SELECT DISTINCT organization, environment FROM journals";
        let mut shards = self.engine.read(|db| all(db, sql, [], shard_of)).await?;
        shards.sort_unstable();
        Ok(shards)
    }

    async fn truncate(&self, shard: Shard, incarnation: u32, floor: u64) -> Result<()> {
        let begin = move |db: &Connection| raise_floor(db, shard, incarnation, floor);
        if !self.engine.write(begin).await? {
            return Ok(());
        }
        while self.engine.write(move |db| truncate_some(db, shard)).await? {}
        Ok(())
    }

    async fn begin_incarnation(
        &self,
        shard: Shard,
        from: u32,
        seq: u64,
        batch: u128,
    ) -> Result<bool> {
        self.engine.write(move |db| begin_incarnation(db, shard, from, seq, batch)).await
    }

    async fn store_time_micros(&self) -> Result<i64> {
        self.engine.read(micros_now).await
    }
}

/// A journal, one incarnation of it.
#[derive(Clone, Copy)]
struct JournalRow {
    number: i64,
    incarnation: u32,
    floor: u64,
    begun_after: u64,
    begun_after_batch: u128,
}

impl JournalRow {
    /// The row key of an entry.
    fn place(self, seq: u64) -> i64 {
        let seq = i64::try_from(seq.min(SEQ_MAX)).expect("40 bits fit");
        (self.number << SEQ_BITS) | seq
    }
}

/// Appends an entry as part of a commit with others. The outer error is the file's and ends
/// everything; the inner one is about this entry, of which nothing is written.
pub(super) fn append(db: &Connection, request: &AppendRequest) -> Result<Result<Appended>> {
    let AppendRequest { shard, incarnation, entry, .. } = request;
    if entry.bytes.len() > ENTRY_BYTES_MAX || entry.seq > SEQ_MAX {
        return Ok(Err(refused("an entry is too large")));
    }
    let stored = current(db, *shard)?;
    let journal = stored.unwrap_or(JournalRow {
        number: 0,
        incarnation: 1,
        floor: 0,
        begun_after: 0,
        begun_after_batch: 0,
    });
    if *incarnation != journal.incarnation || entry.seq <= journal.floor {
        return Ok(Ok(Appended::Void));
    }
    if stored.is_some()
        && let Some(batch) = batch_at(db, journal, entry.seq)?
    {
        let is_ours = batch == entry.batch;
        return Ok(Ok(if is_ours { Appended::Repeated } else { Appended::Taken }));
    }
    let before = entry.seq.saturating_sub(1);
    let previous = match stored {
        _ if before == journal.begun_after => Some(journal.begun_after_batch),
        Some(_) => batch_at(db, journal, before)?,
        None => None,
    };
    if previous != Some(entry.previous) {
        return Ok(Err(refused("an entry does not follow the one before it")));
    }
    let journal = match stored {
        Some(journal) => journal,
        None => begin(db, *shard, journal)?,
    };
    let sql = "INSERT INTO entries (place, batch, previous, bytes) VALUES (?, ?, ?, ?)";
    let place = journal.place(entry.seq);
    change(db, sql, params![place, big(entry.batch), big(entry.previous), entry.bytes])?;
    Ok(Ok(Appended::Stored))
}

fn refused(message: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Bug, true, message)
}

/// Writes a journal's row, with the next number.
fn begin(db: &Connection, shard: Shard, journal: JournalRow) -> Result<JournalRow> {
    let (organization, environment) = owner(shard);
    let JournalRow { incarnation, floor, begun_after, begun_after_batch, .. } = journal;
    let sql = "INSERT INTO journals
               (organization, environment, incarnation, floor, begun_after, begun_after_batch)
               VALUES (?, ?, ?, ?, ?, ?)";
    let (floor, begun_after) = (stored_seq(floor), stored_seq(begun_after));
    let batch = big(begun_after_batch);
    change(db, sql, params![organization, environment, incarnation, floor, begun_after, batch])?;
    Ok(JournalRow { number: db.last_insert_rowid(), ..journal })
}

fn stored_seq(seq: u64) -> i64 {
    i64::try_from(seq.min(SEQ_MAX)).expect("40 bits fit")
}

/// The journal that counts.
fn current(db: &Connection, shard: Shard) -> Result<Option<JournalRow>> {
    let sql = "SELECT * FROM journals WHERE organization = ? AND environment = ?
               ORDER BY incarnation DESC LIMIT 1";
    first(db, sql, owner(shard), journal_of)
}

fn of_incarnation(db: &Connection, shard: Shard, incarnation: u32) -> Result<Option<JournalRow>> {
    let sql = "SELECT * FROM journals
               WHERE organization = ? AND environment = ? AND incarnation = ?";
    let (organization, environment) = owner(shard);
    first(db, sql, params![organization, environment, incarnation], journal_of)
}

fn journal_of(row: &Fields<'_>) -> Result<JournalRow> {
    Ok(JournalRow {
        number: row.get("number")?,
        incarnation: row.get("incarnation")?,
        floor: row.count("floor")?,
        begun_after: row.count("begun_after")?,
        begun_after_batch: from_big(row, "begun_after_batch")?,
    })
}

fn batch_at(db: &Connection, journal: JournalRow, seq: u64) -> Result<Option<u128>> {
    let sql = "SELECT batch FROM entries WHERE place = ?";
    first(db, sql, [journal.place(seq)], |row| from_big(row, "batch"))
}

fn entries(
    db: &Connection,
    shard: Shard,
    incarnation: u32,
    after: u64,
    bytes_max: usize,
) -> Result<Vec<JournalEntry>> {
    let Some(journal) = of_incarnation(db, shard, incarnation)? else { return Ok(Vec::new()) };
    let sql = "SELECT * FROM entries WHERE place > ? AND place <= ? ORDER BY place";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([journal.place(after), journal.place(SEQ_MAX)])?;
    let (mut found, mut bytes_count) = (Vec::new(), 0_usize);
    while let Some(row) = rows.next()? {
        let entry = entry_of(&Fields::of(row))?;
        bytes_count = bytes_count.saturating_add(entry.bytes.len());
        if bytes_count > bytes_max && !found.is_empty() {
            break;
        }
        found.push(entry);
    }
    Ok(found)
}

fn entry_of(row: &Fields<'_>) -> Result<JournalEntry> {
    Ok(JournalEntry {
        seq: seq_of(row)?,
        batch: from_big(row, "batch")?,
        previous: from_big(row, "previous")?,
        bytes: row.get("bytes")?,
    })
}

fn seq_of(row: &Fields<'_>) -> Result<u64> {
    Ok(row.count("place")? & SEQ_MAX)
}

fn tail(db: &Connection, shard: Shard) -> Result<Tail> {
    let Some(journal) = current(db, shard)? else {
        return Ok(Tail { incarnation: 1, seq: 0, batch: 0, floor: 0 });
    };
    let last = last_entry(db, journal)?;
    let (seq, batch) = last.unwrap_or((journal.begun_after, journal.begun_after_batch));
    Ok(Tail { incarnation: journal.incarnation, seq, batch, floor: journal.floor })
}

fn last_entry(db: &Connection, journal: JournalRow) -> Result<Option<(u64, u128)>> {
    let sql = "SELECT place, batch FROM entries WHERE place > ? AND place <= ?
               ORDER BY place DESC LIMIT 1";
    let range = [journal.place(0), journal.place(SEQ_MAX)];
    first(db, sql, range, |row| Ok((seq_of(row)?, from_big(row, "batch")?)))
}

fn is_free(db: &Connection, shard: Shard, incarnation: u32, seq: u64) -> Result<bool> {
    let Some(journal) = current(db, shard)? else { return Ok(incarnation == 1 && seq > 0) };
    let can_be_free = incarnation == journal.incarnation && seq > journal.floor;
    Ok(can_be_free && batch_at(db, journal, seq)?.is_none())
}

/// Raises the floor, at most to the last entry. `false` for an incarnation that does not count.
fn raise_floor(db: &Connection, shard: Shard, incarnation: u32, floor: u64) -> Result<bool> {
    let Some(journal) = current(db, shard)?.filter(|found| found.incarnation == incarnation) else {
        return Ok(false);
    };
    let last = last_entry(db, journal)?.map_or(journal.floor, |(seq, _)| seq);
    let floor = floor.min(last).max(journal.floor);
    let sql = "UPDATE journals SET floor = ? WHERE number = ?";
    change(db, sql, [stored_seq(floor), journal.number])?;
    Ok(true)
}

/// Deletes some of what lies at or below the floor, oldest first. Returns whether there is more.
fn truncate_some(db: &Connection, shard: Shard) -> Result<bool> {
    let Some(journal) = current(db, shard)? else { return Ok(false) };
    let (organization, environment) = owner(shard);
    let sql = "SELECT * FROM journals WHERE organization = ? AND environment = ?
               AND incarnation < ? ORDER BY incarnation";
    let which = params![organization, environment, journal.incarnation];
    for former in all(db, sql, which, journal_of)? {
        if delete_some(db, former, former.place(SEQ_MAX))? {
            return Ok(true);
        }
    }
    let Some((last, _)) = last_entry(db, journal)? else { return Ok(false) };
    let to = journal.floor.min(last.saturating_sub(1));
    delete_some(db, journal, journal.place(to))
}

/// Deletes entries of a journal up to a place. Returns whether it deleted any.
fn delete_some(db: &Connection, journal: JournalRow, to: i64) -> Result<bool> {
    let sql = "SELECT place, length(bytes) AS size FROM entries
               WHERE place > ? AND place <= ? ORDER BY place LIMIT ?";
    let from = journal.place(0);
    let sizes = all(db, sql, [from, to, TRUNCATED_COUNT_MAX], |row| {
        Ok((row.get::<i64>("place")?, row.count("size")?))
    })?;
    let (mut last, mut bytes_count) = (None, 0_u64);
    for (place, size) in sizes {
        bytes_count = bytes_count.saturating_add(size);
        if bytes_count > TRUNCATED_BYTES_MAX && last.is_some() {
            break;
        }
        last = Some(place);
    }
    let Some(last) = last else { return Ok(false) };
    change(db, "DELETE FROM entries WHERE place > ? AND place <= ?", [from, last])?;
    Ok(true)
}

fn begin_incarnation(
    db: &Connection,
    shard: Shard,
    from: u32,
    seq: u64,
    batch: u128,
) -> Result<bool> {
    let current = current(db, shard)?.map_or(1, |journal| journal.incarnation);
    if current != from {
        return Ok(false);
    }
    let next = JournalRow {
        number: 0,
        incarnation: from.saturating_add(1),
        floor: seq,
        begun_after: seq,
        begun_after_batch: batch,
    };
    begin(db, shard, next)?;
    Ok(true)
}
