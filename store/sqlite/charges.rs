//! Charges in SQLite: batches, their blocks, and the blocks' columns.
//!
//! An account and a feed are stored once as a *stream*; a block is a short row under its stream and
//! day, and the two halves of its columns lie in tables of their own. So a year's blocks are found
//! in few pages.

use std::collections::HashMap;

use bytes::Bytes;
use domain::{
    Account, AuditEvent, BatchId, ConnectionId, Feed, FileId, IdError, OrganizationId, ProviderId,
};
use jiff::{Timestamp, civil::Date};
use rusqlite::{Connection, params};

use super::{
    SqliteStore, audit,
    database::{Fields, all, change, first, micros},
    files, schedule, syncs,
};
use crate::{
    Charges, Result, StoreError,
    charges::{
        BatchSource, Block, BlockInfo, BlockKey, ColumnGroup, Commit, CommitWith, Committed,
        NewBatch,
    },
};

#[async_trait::async_trait]
impl Charges for SqliteStore {
    async fn begin_batch(&self, batch: &NewBatch) -> Result<()> {
        let batch = batch.clone();
        self.write(move |db| {
            let NewBatch { id, organization, source, created_at } = &batch;
            change(
                db,
                "INSERT INTO charge_batches (id, organization, source, created_at)
                 VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                params![
                    id.to_string(),
                    organization.to_string(),
                    source_text(*source),
                    micros(*created_at)
                ],
            )?;
            Ok(())
        })
        .await
    }

    async fn put_blocks(
        &self,
        organization: OrganizationId,
        batch: BatchId,
        blocks: &[Block],
    ) -> Result<()> {
        let blocks = blocks.to_vec();
        self.write(move |db| {
            // A batch that is gone, or was committed by an earlier try, takes nothing; its commit
            // says so.
            let staged = batch_of(db, organization, batch)?.filter(|batch| !batch.is_committed);
            let Some(staged) = staged else { return Ok(()) };
            blocks.iter().try_for_each(|block| put_block(db, organization, staged.number, block))
        })
        .await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed> {
        let commit = commit.clone();
        self.write(move |db| commit_batch(db, &commit)).await
    }

    async fn abandon_batch(&self, organization: OrganizationId, batch: BatchId) -> Result<()> {
        self.write(move |db| {
            let staged = batch_of(db, organization, batch)?.filter(|batch| !batch.is_committed);
            staged.map_or(Ok(()), |staged| drop_batch(db, staged.number))
        })
        .await
    }

    async fn abandon_staged(&self, source: BatchSource, before: Timestamp) -> Result<u64> {
        self.write(move |db| {
            let sql = "SELECT number FROM charge_batches
                       WHERE source = ? AND generation IS NULL AND created_at < ?";
            let left = params![source_text(source), micros(before)];
            let numbers: Vec<i64> = all(db, sql, left, |row| row.at(0))?;
            numbers.iter().try_for_each(|number| drop_batch(db, *number))?;
            Ok(u64::try_from(numbers.len()).expect("a count of rows fits"))
        })
        .await
    }

    async fn remove_batches(
        &self,
        organization: OrganizationId,
        source: BatchSource,
        audit: &AuditEvent,
    ) -> Result<u64> {
        let audit = audit.clone();
        self.write(move |db| {
            let removed = remove(db, organization, source)?;
            if removed.batch_count > 0 {
                audit::append(db, &audit)?;
            }
            Ok(removed.visible_count)
        })
        .await
    }

    async fn visible_blocks(
        &self,
        organization: OrganizationId,
        first: Date,
        last: Date,
    ) -> Result<Vec<BlockInfo>> {
        self.read(move |db| visible_blocks(db, organization, first, last)).await
    }

    async fn block_columns(
        &self,
        organization: OrganizationId,
        blocks: &[(BatchId, BlockKey)],
        group: ColumnGroup,
    ) -> Result<Vec<Option<Bytes>>> {
        let blocks = blocks.to_vec();
        self.read(move |db| block_columns(db, organization, &blocks, group)).await
    }
}

/// What was removed of a source.
pub(super) struct Removed {
    batch_count: usize,
    visible_count: u64,
}

/// Removes all batches of a source.
pub(super) fn remove(
    db: &Connection,
    organization: OrganizationId,
    source: BatchSource,
) -> Result<Removed> {
    let sql = "SELECT number, generation IS NOT NULL FROM charge_batches
               WHERE source = ? AND organization = ?";
    let batches: Vec<(i64, bool)> =
        all(db, sql, [source_text(source), organization.to_string()], |row| {
            Ok((row.at(0)?, row.at(1)?))
        })?;
    let mut removed = Removed { batch_count: batches.len(), visible_count: 0 };
    for (number, is_visible) in batches {
        drop_batch(db, number)?;
        removed.visible_count = removed.visible_count.saturating_add(is_visible.into());
    }
    Ok(removed)
}

fn commit_batch(db: &Connection, commit: &Commit) -> Result<Committed> {
    let batch = match commit.batch {
        None => None,
        Some(id) => match batch_of(db, commit.organization, id)? {
            Some(batch) if batch.is_committed => return Ok(Committed::Committed),
            Some(batch) => Some(batch),
            None => return Ok(Committed::Refused),
        },
    };
    // Progress before the batch: where it is refused nothing has been written.
    if !schedule::is_held(db, &commit.lease)? || !progress(db, commit)? {
        return Ok(Committed::Refused);
    }
    if let Some(batch) = batch {
        let sql = "INSERT INTO charge_generations (organization, generation) VALUES (?, 1)
                   ON CONFLICT (organization) DO UPDATE SET generation = generation + 1
                   RETURNING generation";
        let organization = [commit.organization.to_string()];
        let generation: Option<i64> = first(db, sql, organization, |row| row.at(0))?;
        let sql = "UPDATE charge_batches SET generation = ? WHERE number = ?";
        change(db, sql, params![generation, batch.number])?;
    }
    Ok(Committed::Committed)
}

/// Writes what else the commit changes; `false`, and nothing changes, where that is no longer
/// possible.
fn progress(db: &Connection, commit: &Commit) -> Result<bool> {
    let organization = commit.organization;
    match &commit.with {
        CommitWith::Sync { sync, feed, done_through, charges_written } => syncs::advance(
            db,
            &syncs::Advance {
                organization,
                sync: *sync,
                feed,
                done_through: *done_through,
                charges_written: *charges_written,
                has_batch: commit.batch.is_some(),
            },
        ),
        CommitWith::File { file, report, finished_at } => {
            files::finish(db, organization, *file, report, *finished_at)
        }
    }
}

struct StoredBatch {
    number: i64,
    is_committed: bool,
}

fn batch_of(
    db: &Connection,
    organization: OrganizationId,
    id: BatchId,
) -> Result<Option<StoredBatch>> {
    let sql = "SELECT number, generation IS NOT NULL FROM charge_batches
               WHERE id = ? AND organization = ?";
    first(db, sql, [id.to_string(), organization.to_string()], |row| {
        Ok(StoredBatch { number: row.at(0)?, is_committed: row.at(1)? })
    })
}

fn drop_batch(db: &Connection, number: i64) -> Result<()> {
    for sql in [
        "DELETE FROM charge_cores WHERE number IN
             (SELECT content FROM charge_blocks WHERE batch = ?)",
        "DELETE FROM charge_details WHERE number IN
             (SELECT content FROM charge_blocks WHERE batch = ?)",
        "DELETE FROM charge_blocks WHERE batch = ?",
        "DELETE FROM charge_batches WHERE number = ?",
    ] {
        change(db, sql, [number])?;
    }
    Ok(())
}

fn put_block(
    db: &Connection,
    organization: OrganizationId,
    batch: i64,
    block: &Block,
) -> Result<()> {
    let BlockKey { account, feed, day, part } = &block.key;
    let stream = match stream_of(db, organization, account, feed)? {
        Some(stream) => stream,
        None => insert_stream(db, organization, account, feed)?,
    };
    let sql = "SELECT content FROM charge_blocks
               WHERE stream = ? AND day = ? AND part = ? AND batch = ?";
    let stored: Option<i64> =
        first(db, sql, params![stream, day_number(*day), part, batch], |row| row.at(0))?;
    let (core, detail): (&[u8], &[u8]) = (&block.core, &block.detail);
    // No number yet: the table gives the next one.
    let sql = "INSERT OR REPLACE INTO charge_cores (number, bytes) VALUES (?, ?)";
    change(db, sql, params![stored, core])?;
    let content = db.last_insert_rowid();
    let sql = "INSERT OR REPLACE INTO charge_details (number, bytes) VALUES (?, ?)";
    change(db, sql, params![content, detail])?;
    change(
        db,
        "INSERT OR REPLACE INTO charge_blocks
         (stream, day, part, batch, row_count, is_complete, digest, content)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            stream,
            day_number(*day),
            part,
            batch,
            block.row_count,
            block.is_complete,
            block.digest,
            content
        ],
    )?;
    Ok(())
}

fn stream_of(
    db: &Connection,
    organization: OrganizationId,
    account: &Account,
    feed: &Feed,
) -> Result<Option<i64>> {
    let sql = "SELECT number FROM charge_streams
               WHERE organization = ? AND provider = ? AND account = ? AND feed = ?";
    let organization = organization.to_string();
    let stream = params![organization, account.provider.as_str(), account.id, feed.as_str()];
    first(db, sql, stream, |row| row.at(0))
}

fn insert_stream(
    db: &Connection,
    organization: OrganizationId,
    account: &Account,
    feed: &Feed,
) -> Result<i64> {
    let sql = "INSERT INTO charge_streams (organization, provider, account, feed)
               VALUES (?, ?, ?, ?)";
    let organization = organization.to_string();
    let stream = params![organization, account.provider.as_str(), account.id, feed.as_str()];
    change(db, sql, stream)?;
    Ok(db.last_insert_rowid())
}

fn visible_blocks(
    db: &Connection,
    organization: OrganizationId,
    first: Date,
    last: Date,
) -> Result<Vec<BlockInfo>> {
    // The order of a key's parts; SQLite compares text by bytes, as Rust does.
    let sql = "SELECT number, provider, account, feed FROM charge_streams WHERE organization = ?
               ORDER BY provider, account, feed";
    let streams = all(db, sql, [organization.to_string()], |row| {
        let provider = row.parsed("provider", ProviderId::parse)?;
        let account = Account { provider, id: row.get("account")? };
        Ok((row.at::<i64>(0)?, account, row.parsed("feed", Feed::parse)?))
    })?;
    let sql = "SELECT day, part, batch, row_count, is_complete, digest FROM charge_blocks
               WHERE stream = ? AND day BETWEEN ? AND ? ORDER BY day, part";
    let mut origins = HashMap::new();
    let mut found = Vec::new();
    for (stream, account, feed) in streams {
        let days = params![stream, day_number(first), day_number(last)];
        let blocks = all(db, sql, days, |row| {
            let Some(origin) = origin_of(db, row.at(2)?, &mut origins)? else { return Ok(None) };
            let day = day_of(row.at(0)?)?;
            let key =
                BlockKey { account: account.clone(), feed: feed.clone(), day, part: row.at(1)? };
            let Origin { batch, generation, source } = origin;
            let (row_count, is_complete, digest) = (row.at(3)?, row.at(4)?, row.at(5)?);
            Ok(Some(BlockInfo { batch, generation, source, key, row_count, is_complete, digest }))
        })?;
        let start = found.len();
        found.extend(blocks.into_iter().flatten());
        found[start..].sort_by_key(|block| (block.key.day, block.key.part, block.generation));
    }
    Ok(found)
}

#[derive(Clone, Copy)]
struct Origin {
    batch: BatchId,
    generation: u64,
    source: BatchSource,
}

/// Where a batch's blocks come from, read once for each batch; `None` while it is staged.
fn origin_of(
    db: &Connection,
    number: i64,
    known: &mut HashMap<i64, Option<Origin>>,
) -> Result<Option<Origin>> {
    if let Some(origin) = known.get(&number) {
        return Ok(*origin);
    }
    let sql = "SELECT id, source, generation FROM charge_batches
               WHERE number = ? AND generation IS NOT NULL";
    let origin = first(db, sql, [number], |row| {
        Ok(Origin {
            batch: row.parsed("id", BatchId::parse)?,
            generation: row.count("generation")?,
            source: source_of(row)?,
        })
    })?;
    known.insert(number, origin);
    Ok(origin)
}

fn block_columns(
    db: &Connection,
    organization: OrganizationId,
    blocks: &[(BatchId, BlockKey)],
    group: ColumnGroup,
) -> Result<Vec<Option<Bytes>>> {
    let sql = match group {
        ColumnGroup::Core => {
            "SELECT bytes FROM charge_blocks JOIN charge_cores ON number = content
             WHERE stream = ? AND day = ? AND part = ? AND batch = ?"
        }
        ColumnGroup::Detail => {
            "SELECT bytes FROM charge_blocks JOIN charge_details ON number = content
             WHERE stream = ? AND day = ? AND part = ? AND batch = ?"
        }
    };
    let mut batches = HashMap::new();
    let mut streams = HashMap::new();
    let mut columns = Vec::with_capacity(blocks.len());
    for (id, key) in blocks {
        let batch = match batches.get(id) {
            Some(batch) => *batch,
            None => {
                let visible = batch_of(db, organization, *id)?.filter(|batch| batch.is_committed);
                *batches.entry(*id).or_insert(visible.map(|batch| batch.number))
            }
        };
        let stream = match streams.get(&(&key.account, &key.feed)) {
            Some(stream) => *stream,
            None => {
                let stream = stream_of(db, organization, &key.account, &key.feed)?;
                *streams.entry((&key.account, &key.feed)).or_insert(stream)
            }
        };
        let bytes = match (stream, batch) {
            (Some(stream), Some(batch)) => {
                let place = params![stream, day_number(key.day), key.part, batch];
                first(db, sql, place, |row| row.at::<Vec<u8>>(0))?
            }
            _ => None,
        };
        columns.push(bytes.map(Bytes::from));
    }
    Ok(columns)
}

/// A day as a number that sorts like it and that people can read: 20261120.
fn day_number(day: Date) -> i64 {
    let (year, month) = (i64::from(day.year()), i64::from(day.month()));
    year * 10_000 + month * 100 + i64::from(day.day())
}

fn day_of(number: i64) -> Result<Date> {
    let part = |value: i64| i8::try_from(value).expect("two digits fit");
    let (month, day) = (part(number.rem_euclid(10_000) / 100), part(number.rem_euclid(100)));
    let year = i16::try_from(number.div_euclid(10_000)).ok();
    year.and_then(|year| Date::new(year, month, day).ok())
        .ok_or_else(|| StoreError::corrupt("a stored day cannot be read"))
}

fn source_text(source: BatchSource) -> String {
    match source {
        BatchSource::Connection(id) => id.to_string(),
        BatchSource::File(id) => id.to_string(),
    }
}

fn source_of(row: &Fields<'_>) -> Result<BatchSource> {
    row.parsed("source", |text| -> std::result::Result<BatchSource, IdError> {
        match FileId::parse(text) {
            Ok(file) => Ok(BatchSource::File(file)),
            Err(_) => ConnectionId::parse(text).map(BatchSource::Connection),
        }
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn days_keep_their_order_as_numbers_and_read_back() {
        let days = [
            Date::MIN,
            date(-1, 12, 31),
            date(0, 1, 1),
            date(1969, 12, 31),
            date(1970, 1, 1),
            date(2024, 2, 29),
            date(2026, 11, 20),
            Date::MAX,
        ];
        let numbers = days.map(day_number);
        assert!(numbers.is_sorted());
        assert_eq!(numbers[6], 20_261_120);
        for (day, number) in days.into_iter().zip(numbers) {
            assert_eq!(day_of(number).unwrap(), day);
        }
        assert!(day_of(20_261_332).is_err());
    }
}
