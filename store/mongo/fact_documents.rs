//! The documents of facts. Fields of an `_id` have a fixed order and fixed types, because the
//! server compares it as a whole.

use mongodb::bson::{Binary, Document, doc};
use serde::{Deserialize, Serialize};

use super::stored::{binary, bound, corrupt, count, known, shard_id, stored_count};
use crate::{
    Result,
    facts::{Checkpoint, CrossingRecord, FactsBlock, IdRunRecord, WindowRecord, i128_from_stored},
    journal::Shard,
};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredCheckpoint {
    #[serde(rename = "_id")]
    pub(super) shard: String,
    pub(super) incarnation: i64,
    pub(super) seq: i64,
}

impl StoredCheckpoint {
    pub(super) fn read(self) -> Result<Checkpoint> {
        let incarnation = known(u32::try_from(self.incarnation).ok(), "a checkpoint")?;
        Ok(Checkpoint { incarnation, seq: count(self.seq)? })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct PieceId {
    pub(super) body: String,
    pub(super) piece: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredPiece {
    #[serde(rename = "_id")]
    pub(super) id: PieceId,
    pub(super) bytes: Binary,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BlockId {
    pub(super) shard: String,
    pub(super) kind: String,
    pub(super) last_seq: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredBlock {
    #[serde(rename = "_id")]
    pub(super) id: BlockId,
    pub(super) first_seq: i64,
    pub(super) row_count: i64,
    pub(super) at_min: i64,
    pub(super) at_max: i64,
    pub(super) arrived_min: i64,
    pub(super) arrived_max: i64,
    pub(super) body: String,
}

impl StoredBlock {
    pub(super) fn new(
        shard: Shard,
        kind: Kind,
        block: &FactsBlock,
        body: String,
    ) -> Result<StoredBlock> {
        let last_seq = stored_count(block.last_seq)?;
        Ok(StoredBlock {
            id: BlockId { shard: shard_id(shard), kind: kind.as_str().to_owned(), last_seq },
            first_seq: stored_count(block.first_seq)?,
            row_count: i64::from(block.row_count),
            at_min: block.at_min,
            at_max: block.at_max,
            arrived_min: block.arrived_min,
            arrived_max: block.arrived_max,
            body,
        })
    }

    pub(super) fn read(&self, bytes: Vec<u8>) -> Result<FactsBlock> {
        Ok(FactsBlock {
            first_seq: count(self.first_seq)?,
            last_seq: count(self.id.last_seq)?,
            row_count: known(u32::try_from(self.row_count).ok(), "a block's count of rows")?,
            at_min: self.at_min,
            at_max: self.at_max,
            arrived_min: self.arrived_min,
            arrived_max: self.arrived_max,
            bytes,
        })
    }

    pub(super) fn is_within(&self, first_seq: u64, last_seq: u64) -> bool {
        self.first_seq >= bound(first_seq) && self.id.last_seq <= bound(last_seq)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct RunId {
    pub(super) shard: String,
    pub(super) last_seq: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredRun {
    #[serde(rename = "_id")]
    pub(super) id: RunId,
    pub(super) first_seq: i64,
    pub(super) arrived_max: i64,
    pub(super) body: String,
    pub(super) body_bytes: i64,
    pub(super) head: Binary,
}

impl StoredRun {
    pub(super) fn read(self) -> Result<IdRunRecord> {
        Ok(IdRunRecord {
            last_seq: count(self.id.last_seq)?,
            first_seq: count(self.first_seq)?,
            arrived_max: self.arrived_max,
            head: self.head.bytes,
            body: Vec::new(),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct WindowId {
    pub(super) shard: String,
    pub(super) policy: i64,
    pub(super) start_at: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredWindow {
    #[serde(rename = "_id")]
    pub(super) id: WindowId,
    pub(super) end_at: i64,
    pub(super) used: Binary,
    pub(super) late: Binary,
}

impl StoredWindow {
    pub(super) fn read(&self) -> Result<WindowRecord> {
        let number = |stored: &Binary| {
            let bytes = stored.bytes.as_slice().try_into().map_err(|_| corrupt("a sum"))?;
            Result::Ok(i128_from_stored(bytes))
        };
        Ok(WindowRecord {
            start_at: self.id.start_at,
            end_at: self.end_at,
            used: number(&self.used)?,
            late: number(&self.late)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct CrossingId {
    pub(super) shard: String,
    pub(super) seq: i64,
    pub(super) number: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredCrossing {
    #[serde(rename = "_id")]
    pub(super) id: CrossingId,
    pub(super) at: i64,
    pub(super) bytes: Binary,
}

impl StoredCrossing {
    pub(super) fn new(shard: Shard, crossing: &CrossingRecord) -> Result<StoredCrossing> {
        let (seq, number) = (stored_count(crossing.seq)?, i64::from(crossing.index));
        Ok(StoredCrossing {
            id: CrossingId { shard: shard_id(shard), seq, number },
            at: crossing.at,
            bytes: binary(&crossing.bytes),
        })
    }

    pub(super) fn read(self) -> Result<CrossingRecord> {
        Ok(CrossingRecord {
            seq: count(self.id.seq)?,
            index: known(u32::try_from(self.id.number).ok(), "a crossing's number")?,
            at: self.at,
            bytes: self.bytes.bytes,
        })
    }
}

/// Which blocks.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Events,
    Sums,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Kind::Events => "events",
            Kind::Sums => "sums",
        }
    }
}

pub(super) fn block_place(shard: Shard, kind: Kind, last_seq: u64) -> Document {
    doc! { "shard": shard_id(shard), "kind": kind.as_str(), "last_seq": bound(last_seq) }
}

pub(super) fn run_place(shard: Shard, last_seq: u64) -> Document {
    doc! { "shard": shard_id(shard), "last_seq": bound(last_seq) }
}

pub(super) fn window_place(shard: Shard, policy: u32, start_at: i64) -> Document {
    doc! { "shard": shard_id(shard), "policy": i64::from(policy), "start_at": start_at }
}

pub(super) fn crossing_place(shard: Shard, (seq, index): (u64, u32)) -> Document {
    doc! { "shard": shard_id(shard), "seq": bound(seq), "number": i64::from(index) }
}

pub(super) fn piece_place(body: &str, piece: i64) -> Document {
    doc! { "body": body, "piece": piece }
}
