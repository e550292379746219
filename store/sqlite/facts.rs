//! Facts in SQLite. A chunk and the checkpoint that says it is in are one transaction of one file,
//! so neither is ever there without the other.

use rusqlite::{Connection, params};

use super::{
    SqliteStore, audit,
    database::{Fields, all, change, first, owner, stored_count},
};
use crate::{
    Facts, Result, StoreError, StoreErrorKind,
    facts::{
        BlockQuery, Checkpoint, CrossingRecord, FactsBlock, FactsChunk, IdRunRecord, Projected,
        WindowChange, WindowRecord, i128_from_stored, is_after, stored_i128,
    },
    journal::Shard,
};

/// Bodies are stored in pieces of this size: SQLite reads a whole value to give a part of it.
const PIECE_BYTES: usize = 64 << 10;
/// How many blocks one transaction removes.
const REMOVED_COUNT_MAX: usize = 16;

#[async_trait::async_trait]
impl Facts for SqliteStore {
    async fn checkpoint(&self, shard: Shard) -> Result<Checkpoint> {
        self.read(move |db| checkpoint(db, shard)).await
    }

    async fn project(
        &self,
        shard: Shard,
        from: Checkpoint,
        to: Checkpoint,
        chunk: &FactsChunk,
    ) -> Result<Projected> {
        let chunk = chunk.clone();
        self.write(move |db| project(db, shard, from, to, &chunk)).await
    }

    async fn event_blocks(&self, shard: Shard, query: BlockQuery) -> Result<Vec<FactsBlock>> {
        self.read(move |db| blocks(db, shard, Kind::Events, query)).await
    }

    async fn event_block_of(&self, shard: Shard, seq: u64) -> Result<Option<FactsBlock>> {
        self.read(move |db| block_of(db, shard, Kind::Events, seq)).await
    }

    async fn sum_blocks(&self, shard: Shard, query: BlockQuery) -> Result<Vec<FactsBlock>> {
        self.read(move |db| blocks(db, shard, Kind::Sums, query)).await
    }

    async fn merge_sums(
        &self,
        shard: Shard,
        replaced: &[u64],
        merged: &FactsBlock,
    ) -> Result<bool> {
        let (replaced, merged) = (replaced.to_vec(), merged.clone());
        self.write(move |db| merge_sums(db, shard, &replaced, &merged)).await
    }

    async fn remove_event_blocks(&self, shard: Shard, arrived_before: i64) -> Result<u64> {
        let mut removed_count = 0;
        loop {
            let removed = self.write(move |db| remove_events(db, shard, arrived_before)).await?;
            removed_count += u64::try_from(removed).expect("a count fits");
            if removed < REMOVED_COUNT_MAX {
                return Ok(removed_count);
            }
        }
    }

    async fn id_runs(&self, shard: Shard) -> Result<(Checkpoint, Vec<IdRunRecord>)> {
        self.read(move |db| id_runs(db, shard)).await
    }

    async fn id_run_piece(
        &self,
        shard: Shard,
        entries: (u64, u64),
        offset: usize,
        length: usize,
    ) -> Result<Option<Vec<u8>>> {
        self.read(move |db| id_run_piece(db, shard, entries, offset, length)).await
    }

    async fn merge_id_runs(
        &self,
        shard: Shard,
        replaced: &[u64],
        merged: Option<&IdRunRecord>,
    ) -> Result<bool> {
        let (replaced, merged) = (replaced.to_vec(), merged.cloned());
        self.write(move |db| merge_id_runs(db, shard, &replaced, merged.as_ref())).await
    }

    async fn windows(
        &self,
        shard: Shard,
        policy: u32,
        before: i64,
        limit: usize,
    ) -> Result<Vec<WindowRecord>> {
        let limit = stored_count(limit)?;
        let sql = "SELECT * FROM fact_windows WHERE shard = ? AND policy = ? AND start_at < ?
                   ORDER BY start_at DESC LIMIT ?";
        self.read(move |db| {
            all(db, sql, params![number_of(db, shard)?, policy, before, limit], window_of)
        })
        .await
    }

    async fn crossings(
        &self,
        shard: Shard,
        after: (u64, u32),
        limit: usize,
    ) -> Result<Vec<CrossingRecord>> {
        let (seq, number, limit) = (bound(after.0), after.1, stored_count(limit)?);
        let sql = "SELECT * FROM fact_crossings WHERE shard = ? AND (seq, number) > (?, ?)
                   ORDER BY seq, number LIMIT ?";
        self.read(move |db| {
            all(db, sql, params![number_of(db, shard)?, seq, number, limit], crossing_of)
        })
        .await
    }
}

/// Which blocks.
#[derive(Clone, Copy)]
enum Kind {
    Events,
    Sums,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Kind::Events => "events",
            Kind::Sums => "sums",
        }
    }
}

/// Whether anything was ever projected.
pub(super) fn has_any(db: &Connection) -> Result<bool> {
    Ok(first(db, "SELECT 1 FROM fact_checkpoints LIMIT 1", [], |_| Ok(()))?.is_some())
}

/// A bound for a query: beyond the largest sequence there is nothing.
fn bound(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn bug(message: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Bug, true, message)
}

/// A shard's number in these tables; one that nobody has where nothing was projected.
fn number_of(db: &Connection, shard: Shard) -> Result<i64> {
    let sql = "SELECT number FROM fact_checkpoints WHERE organization = ? AND environment = ?";
    Ok(first(db, sql, owner(shard), |row| row.at(0))?.unwrap_or(0))
}

fn checkpoint(db: &Connection, shard: Shard) -> Result<Checkpoint> {
    let sql = "SELECT incarnation, seq FROM fact_checkpoints
               WHERE organization = ? AND environment = ?";
    let found = first(db, sql, owner(shard), |row| {
        Ok(Checkpoint { incarnation: row.get("incarnation")?, seq: row.count("seq")? })
    })?;
    Ok(found.unwrap_or(Checkpoint::BEGINNING))
}

fn project(
    db: &Connection,
    shard: Shard,
    from: Checkpoint,
    to: Checkpoint,
    chunk: &FactsChunk,
) -> Result<Projected> {
    if !is_after(to, from) {
        return Err(bug("a checkpoint would move back"));
    }
    if !move_checkpoint(db, shard, from, to)? {
        return Ok(Projected::Elsewhere(checkpoint(db, shard)?));
    }
    let number = number_of(db, shard)?;
    if let Some(block) = &chunk.events {
        insert_block(db, number, Kind::Events, block)?;
    }
    if let Some(block) = &chunk.sums {
        insert_block(db, number, Kind::Sums, block)?;
    }
    if let Some(run) = &chunk.ids {
        insert_run(db, number, run)?;
    }
    chunk.windows.iter().try_for_each(|window| add_to_window(db, number, window))?;
    chunk.crossings.iter().try_for_each(|crossing| insert_crossing(db, number, crossing))?;
    chunk.audit.iter().try_for_each(|event| audit::append(db, event).map(drop))?;
    Ok(Projected::Done)
}

/// Moves the checkpoint, only where it is at `from`.
fn move_checkpoint(
    db: &Connection,
    shard: Shard,
    from: Checkpoint,
    to: Checkpoint,
) -> Result<bool> {
    let (organization, environment) = owner(shard);
    let (to_seq, from_seq) = (stored_count(to.seq)?, bound(from.seq));
    let sql = "UPDATE fact_checkpoints SET incarnation = ?, seq = ?
               WHERE organization = ? AND environment = ? AND incarnation = ? AND seq = ?";
    let which =
        params![to.incarnation, to_seq, organization, environment, from.incarnation, from_seq];
    if change(db, sql, which)? > 0 {
        return Ok(true);
    }
    if from != Checkpoint::BEGINNING {
        return Ok(false);
    }
    let sql = "INSERT INTO fact_checkpoints (organization, environment, incarnation, seq)
               VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    Ok(change(db, sql, params![organization, environment, to.incarnation, to_seq])? > 0)
}

fn insert_body(db: &Connection, bytes: &[u8]) -> Result<i64> {
    change(db, "INSERT INTO fact_bodies DEFAULT VALUES", [])?;
    let body = db.last_insert_rowid();
    let sql = "INSERT INTO fact_pieces (body, piece, bytes) VALUES (?, ?, ?)";
    for (piece, bytes) in (0_i64..).zip(bytes.chunks(PIECE_BYTES)) {
        change(db, sql, params![body, piece, bytes])?;
    }
    Ok(body)
}

fn remove_body(db: &Connection, body: i64) -> Result<()> {
    change(db, "DELETE FROM fact_pieces WHERE body = ?", [body])?;
    change(db, "DELETE FROM fact_bodies WHERE number = ?", [body])?;
    Ok(())
}

fn body_bytes(db: &Connection, body: i64) -> Result<Vec<u8>> {
    let sql = "SELECT bytes FROM fact_pieces WHERE body = ? ORDER BY piece";
    let pieces: Vec<Vec<u8>> = all(db, sql, [body], |row| row.get("bytes"))?;
    Ok(pieces.concat())
}

fn insert_block(db: &Connection, number: i64, kind: Kind, block: &FactsBlock) -> Result<()> {
    let FactsBlock { row_count, at_min, at_max, arrived_min, arrived_max, .. } = block;
    let (last, first) = (stored_count(block.last_seq)?, stored_count(block.first_seq)?);
    let body = insert_body(db, &block.bytes)?;
    change(
        db,
        "INSERT INTO fact_blocks
         (shard, kind, last_seq, first_seq, row_count, at_min, at_max, arrived_min, arrived_max,
          body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            number,
            kind.as_str(),
            last,
            first,
            row_count,
            at_min,
            at_max,
            arrived_min,
            arrived_max,
            body
        ],
    )?;
    Ok(())
}

/// A block without its bytes, and where those are.
fn block_head_of(row: &Fields<'_>) -> Result<(FactsBlock, i64)> {
    let block = FactsBlock {
        first_seq: row.count("first_seq")?,
        last_seq: row.count("last_seq")?,
        row_count: row.get("row_count")?,
        at_min: row.get("at_min")?,
        at_max: row.get("at_max")?,
        arrived_min: row.get("arrived_min")?,
        arrived_max: row.get("arrived_max")?,
        bytes: Vec::new(),
    };
    Ok((block, row.get("body")?))
}

fn with_bytes(db: &Connection, (head, body): (FactsBlock, i64)) -> Result<FactsBlock> {
    Ok(FactsBlock { bytes: body_bytes(db, body)?, ..head })
}

fn blocks(db: &Connection, shard: Shard, kind: Kind, query: BlockQuery) -> Result<Vec<FactsBlock>> {
    let sql = "SELECT * FROM fact_blocks
               WHERE shard = ? AND kind = ? AND last_seq < ? AND at_max >= ? AND at_min < ?
               ORDER BY last_seq DESC LIMIT ?";
    let (before, limit) = (bound(query.before_seq), stored_count(query.limit)?);
    let number = number_of(db, shard)?;
    let which = params![number, kind.as_str(), before, query.start, query.end, limit];
    let heads = all(db, sql, which, block_head_of)?;
    heads.into_iter().map(|head| with_bytes(db, head)).collect()
}

fn block_of(db: &Connection, shard: Shard, kind: Kind, seq: u64) -> Result<Option<FactsBlock>> {
    let sql = "SELECT * FROM fact_blocks WHERE shard = ? AND kind = ? AND last_seq >= ?
               ORDER BY last_seq LIMIT 1";
    let which = params![number_of(db, shard)?, kind.as_str(), bound(seq)];
    let next = first(db, sql, which, block_head_of)?;
    let found = next.filter(|(block, _)| block.first_seq <= seq);
    found.map(|head| with_bytes(db, head)).transpose()
}

fn merge_sums(
    db: &Connection,
    shard: Shard,
    replaced: &[u64],
    merged: &FactsBlock,
) -> Result<bool> {
    let sql = "SELECT * FROM fact_blocks
               WHERE shard = ? AND kind = ? AND last_seq >= ? AND first_seq <= ?
               ORDER BY last_seq";
    let (kind, number) = (Kind::Sums, number_of(db, shard)?);
    let which = params![number, kind.as_str(), bound(merged.first_seq), bound(merged.last_seq)];
    let stored = all(db, sql, which, block_head_of)?;
    let is_within = |(block, _): &(FactsBlock, i64)| {
        block.first_seq >= merged.first_seq && block.last_seq <= merged.last_seq
    };
    let are_these = stored.iter().map(|(block, _)| block.last_seq).eq(replaced.iter().copied());
    if replaced.is_empty() || !are_these || !stored.iter().all(is_within) {
        return Ok(false);
    }
    stored.iter().try_for_each(|(block, body)| remove_block(db, number, kind, block, *body))?;
    insert_block(db, number, kind, merged)?;
    Ok(true)
}

fn remove_block(
    db: &Connection,
    number: i64,
    kind: Kind,
    block: &FactsBlock,
    body: i64,
) -> Result<()> {
    remove_body(db, body)?;
    let sql = "DELETE FROM fact_blocks WHERE shard = ? AND kind = ? AND last_seq = ?";
    change(db, sql, params![number, kind.as_str(), stored_count(block.last_seq)?])?;
    Ok(())
}

/// Removes some blocks of events. Returns how many.
fn remove_events(db: &Connection, shard: Shard, arrived_before: i64) -> Result<usize> {
    let sql = "SELECT * FROM fact_blocks WHERE shard = ? AND kind = ? AND arrived_max < ?
               ORDER BY last_seq LIMIT ?";
    let (kind, number) = (Kind::Events, number_of(db, shard)?);
    let limit = stored_count(REMOVED_COUNT_MAX)?;
    let old = all(db, sql, params![number, kind.as_str(), arrived_before, limit], block_head_of)?;
    old.iter().try_for_each(|(block, body)| remove_block(db, number, kind, block, *body))?;
    Ok(old.len())
}

fn insert_run(db: &Connection, number: i64, run: &IdRunRecord) -> Result<()> {
    let (last, first) = (stored_count(run.last_seq)?, stored_count(run.first_seq)?);
    let body = insert_body(db, &run.body)?;
    let sql = "INSERT INTO fact_id_runs (shard, last_seq, first_seq, arrived_max, body, head)
               VALUES (?, ?, ?, ?, ?, ?)";
    change(db, sql, params![number, last, first, run.arrived_max, body, run.head])?;
    Ok(())
}

fn id_runs(db: &Connection, shard: Shard) -> Result<(Checkpoint, Vec<IdRunRecord>)> {
    let sql = "SELECT * FROM fact_id_runs WHERE shard = ? ORDER BY last_seq";
    let runs = all(db, sql, [number_of(db, shard)?], |row| {
        Ok(IdRunRecord {
            last_seq: row.count("last_seq")?,
            first_seq: row.count("first_seq")?,
            arrived_max: row.get("arrived_max")?,
            head: row.get("head")?,
            body: Vec::new(),
        })
    })?;
    Ok((checkpoint(db, shard)?, runs))
}

/// Where a run's body is, and its first entry.
fn run_body(db: &Connection, number: i64, last_seq: u64) -> Result<Option<(i64, u64)>> {
    let sql = "SELECT body, first_seq FROM fact_id_runs WHERE shard = ? AND last_seq = ?";
    first(db, sql, [number, bound(last_seq)], |row| Ok((row.get("body")?, row.count("first_seq")?)))
}

fn id_run_piece(
    db: &Connection,
    shard: Shard,
    (first_seq, last_seq): (u64, u64),
    offset: usize,
    length: usize,
) -> Result<Option<Vec<u8>>> {
    let run = run_body(db, number_of(db, shard)?, last_seq)?;
    let Some((body, _)) = run.filter(|(_, stored_first)| *stored_first == first_seq) else {
        return Ok(None);
    };
    let sql = "SELECT bytes FROM fact_pieces WHERE body = ? AND piece >= ? AND piece < ?
               ORDER BY piece";
    let (skipped, end) = (offset % PIECE_BYTES, offset.saturating_add(length));
    let (start_piece, end_piece) = (offset / PIECE_BYTES, end.div_ceil(PIECE_BYTES));
    let which = params![body, stored_count(start_piece)?, stored_count(end_piece)?];
    let pieces: Vec<Vec<u8>> = all(db, sql, which, |row| row.get("bytes"))?;
    Ok(Some(pieces.concat().into_iter().skip(skipped).take(length).collect()))
}

fn merge_id_runs(
    db: &Connection,
    shard: Shard,
    replaced: &[u64],
    merged: Option<&IdRunRecord>,
) -> Result<bool> {
    let number = number_of(db, shard)?;
    let mut bodies = Vec::new();
    for last_seq in replaced {
        let Some((body, first_seq)) = run_body(db, number, *last_seq)? else { return Ok(false) };
        if merged.is_some_and(|run| (run.first_seq, run.last_seq) == (first_seq, *last_seq)) {
            return Err(bug("a merged run of ids has the name of one that it replaces"));
        }
        bodies.push(body);
    }
    let sql = "DELETE FROM fact_id_runs WHERE shard = ? AND last_seq = ?";
    for (last_seq, body) in replaced.iter().zip(bodies) {
        remove_body(db, body)?;
        change(db, sql, [number, bound(*last_seq)])?;
    }
    if let Some(merged) = merged {
        insert_run(db, number, merged)?;
    }
    Ok(true)
}

/// SQL's integers are too small for the sum.
fn add_to_window(db: &Connection, number: i64, added: &WindowChange) -> Result<()> {
    let sql = "SELECT * FROM fact_windows WHERE shard = ? AND policy = ? AND start_at = ?";
    let stored = first(db, sql, params![number, added.policy, added.start_at], window_of)?;
    let sum = added.added_to(stored)?;
    change(
        db,
        "INSERT OR REPLACE INTO fact_windows (shard, policy, start_at, end_at, used, late)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![
            number,
            added.policy,
            sum.start_at,
            sum.end_at,
            stored_i128(sum.used),
            stored_i128(sum.late)
        ],
    )?;
    Ok(())
}

fn window_of(row: &Fields<'_>) -> Result<WindowRecord> {
    Ok(WindowRecord {
        start_at: row.get("start_at")?,
        end_at: row.get("end_at")?,
        used: i128_from_stored(row.get("used")?),
        late: i128_from_stored(row.get("late")?),
    })
}

fn insert_crossing(db: &Connection, number: i64, crossing: &CrossingRecord) -> Result<()> {
    let sql = "INSERT INTO fact_crossings (shard, seq, number, at, bytes) VALUES (?, ?, ?, ?, ?)";
    let CrossingRecord { index, at, bytes, .. } = crossing;
    change(db, sql, params![number, stored_count(crossing.seq)?, index, at, bytes])?;
    Ok(())
}

fn crossing_of(row: &Fields<'_>) -> Result<CrossingRecord> {
    Ok(CrossingRecord {
        seq: row.count("seq")?,
        index: row.get("number")?,
        at: row.get("at")?,
        bytes: row.get("bytes")?,
    })
}
