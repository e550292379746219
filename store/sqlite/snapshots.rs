//! Snapshots in SQLite's second file. Chunks are cut into pieces, each written and removed by a
//! commit of its own, so that appends get in between; nobody sees them before the manifest.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    database::{Fields, all, big, change, first, from_big, owner, stored_count},
};
use crate::{Result, Snapshots, journal::Shard, snapshots::Manifest};

const PIECE_BYTES: usize = 256 << 10;
/// How many pieces one commit removes.
const REMOVED_COUNT_MAX: i64 = 8;

#[async_trait::async_trait]
impl Snapshots for SqliteStore {
    async fn put_snapshot_chunk(
        &self,
        shard: Shard,
        incarnation: u32,
        seq: u64,
        index: u32,
        bytes: &[u8],
    ) -> Result<()> {
        let seq = stored_count(seq)?;
        let place = Place { shard, incarnation, seq };
        let bytes: Arc<[u8]> = bytes.into();
        let piece_count = bytes.len().div_ceil(PIECE_BYTES).max(1);
        for piece in 0..piece_count {
            let bytes = Arc::clone(&bytes);
            self.engine.write(move |db| put_piece(db, place, index, piece, &bytes)).await?;
        }
        Ok(())
    }

    async fn put_manifest(&self, shard: Shard, manifest: &Manifest) -> Result<()> {
        let place = Place { shard, incarnation: manifest.incarnation, seq: 0 };
        let place = Place { seq: stored_count(manifest.seq)?, ..place };
        let byte_count = stored_count(manifest.byte_count)?;
        let manifest = manifest.clone();
        let sql = "INSERT INTO manifests
                   (organization, environment, incarnation, seq, batch, format, chunk_count,
                    byte_count, sha256)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let work = move |db: &Connection| {
            let (organization, environment) = owner(place.shard);
            let Manifest { incarnation, batch, format, chunk_count, sha256, .. } = manifest;
            let row = params![
                organization,
                environment,
                incarnation,
                place.seq,
                big(batch),
                format,
                chunk_count,
                byte_count,
                sha256
            ];
            change(db, sql, row)?;
            Ok(())
        };
        self.engine.write(work).await
    }

    async fn newest_snapshot(&self, shard: Shard, incarnation: u32) -> Result<Option<Manifest>> {
        self.engine.read(move |db| newest(db, shard, incarnation)).await
    }

    async fn snapshot_chunk(
        &self,
        shard: Shard,
        incarnation: u32,
        seq: u64,
        index: u32,
    ) -> Result<Option<Vec<u8>>> {
        let place = Place { shard, incarnation, seq: stored_count(seq)? };
        self.engine.read(move |db| chunk(db, place, index)).await
    }

    async fn remove_snapshots_before(
        &self,
        shard: Shard,
        incarnation: u32,
        seq: u64,
    ) -> Result<()> {
        // Beyond the largest place there is nothing.
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        let before = Place { shard, incarnation, seq };
        let forgotten = self.engine.write(move |db| forget(db, before)).await?;
        let Some(before) = forgotten else { return Ok(()) };
        while self.engine.write(move |db| remove_pieces(db, before)).await? {}
        Ok(())
    }
}

/// Where a snapshot is.
#[derive(Clone, Copy)]
struct Place {
    shard: Shard,
    incarnation: u32,
    seq: i64,
}

fn put_piece(db: &Connection, place: Place, chunk: u32, piece: usize, all: &[u8]) -> Result<()> {
    if has_manifest(db, place)? {
        return Ok(());
    }
    let Place { shard, incarnation, seq } = place;
    let (organization, environment) = owner(shard);
    if piece == 0 {
        let sql = "DELETE FROM snapshot_pieces WHERE organization = ? AND environment = ?
                       AND incarnation = ? AND seq = ? AND chunk = ?";
        change(db, sql, params![organization, environment, incarnation, seq, chunk])?;
    }
    let bytes = all.chunks(PIECE_BYTES).nth(piece).unwrap_or_default();
    let piece = stored_count(piece)?;
    let sql = "INSERT OR REPLACE INTO snapshot_pieces
               (organization, environment, incarnation, seq, chunk, piece, bytes)
               VALUES (?, ?, ?, ?, ?, ?, ?)";
    change(db, sql, params![organization, environment, incarnation, seq, chunk, piece, bytes])?;
    Ok(())
}

fn has_manifest(db: &Connection, Place { shard, incarnation, seq }: Place) -> Result<bool> {
    let sql = "SELECT 1 FROM manifests
               WHERE organization = ? AND environment = ? AND incarnation = ? AND seq = ?";
    let (organization, environment) = owner(shard);
    let which = params![organization, environment, incarnation, seq];
    Ok(first(db, sql, which, |_| Ok(()))?.is_some())
}

fn newest(db: &Connection, shard: Shard, incarnation: u32) -> Result<Option<Manifest>> {
    let sql = "SELECT * FROM manifests
               WHERE organization = ? AND environment = ? AND incarnation = ?
               ORDER BY seq DESC LIMIT 1";
    let (organization, environment) = owner(shard);
    first(db, sql, params![organization, environment, incarnation], manifest_of)
}

fn manifest_of(row: &Fields<'_>) -> Result<Manifest> {
    Ok(Manifest {
        incarnation: row.get("incarnation")?,
        seq: row.count("seq")?,
        batch: from_big(row, "batch")?,
        format: row.get("format")?,
        chunk_count: row.get("chunk_count")?,
        byte_count: row.count("byte_count")?,
        sha256: row.get("sha256")?,
    })
}

fn chunk(db: &Connection, place: Place, chunk: u32) -> Result<Option<Vec<u8>>> {
    if !has_manifest(db, place)? {
        return Ok(None);
    }
    let sql = "SELECT bytes FROM snapshot_pieces WHERE organization = ? AND environment = ?
                   AND incarnation = ? AND seq = ? AND chunk = ? ORDER BY piece";
    let Place { shard, incarnation, seq } = place;
    let (organization, environment) = owner(shard);
    let which = params![organization, environment, incarnation, seq, chunk];
    let pieces: Vec<Vec<u8>> = all(db, sql, which, |row| row.get("bytes"))?;
    Ok((!pieces.is_empty()).then(|| pieces.concat()))
}

/// Removes the manifests of what is to go. Returns before which place pieces are to follow: those
/// of a place after the newest may be in the making.
fn forget(db: &Connection, before: Place) -> Result<Option<Place>> {
    let Place { shard, incarnation, seq } = before;
    let Some(newest) = newest(db, shard, incarnation)? else { return Ok(None) };
    let (organization, environment) = owner(shard);
    let sql = "DELETE FROM manifests WHERE organization = ? AND environment = ?
                   AND (incarnation < ? OR incarnation = ? AND seq < ?)";
    let seq = seq.min(stored_count(newest.seq)?);
    change(db, sql, params![organization, environment, incarnation, incarnation, seq])?;
    Ok(Some(Place { seq, ..before }))
}

/// Removes some pieces of former snapshots. Returns whether it removed any.
fn remove_pieces(db: &Connection, Place { shard, incarnation, seq }: Place) -> Result<bool> {
    let sql = "DELETE FROM snapshot_pieces WHERE rowid IN (
                   SELECT rowid FROM snapshot_pieces WHERE organization = ? AND environment = ?
                       AND (incarnation < ? OR incarnation = ? AND seq < ?)
                   LIMIT ?)";
    let (organization, environment) = owner(shard);
    let which =
        params![organization, environment, incarnation, incarnation, seq, REMOVED_COUNT_MAX];
    Ok(change(db, sql, which)? > 0)
}
