//! Captured bodies: prompts and answers of reported calls, sealed; the vault has the meaning.
//!
//! A body is written before the entry that refers to it, so an entry never refers to what is not
//! there yet. One that no entry came to refer to is an orphan: nothing leads to it, and it is
//! removed after a day.

use jiff::Timestamp;

use crate::{Result, journal::Shard};

/// One sealed body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedBody {
    /// What its event calls it.
    pub id: u128,
    /// When it was sealed, in whole microseconds.
    pub sealed_at: Timestamp,
    /// The data key that sealed it.
    pub data_key_version: u32,
    /// Nonce and ciphertext, as the vault made them.
    pub ciphertext: Vec<u8>,
}

/// Bodies of one organization's environment each.
#[async_trait::async_trait]
pub trait Bodies {
    /// Stores bodies, durably before it answers; those that are there already stay as they are.
    async fn put_bodies(&self, shard: Shard, bodies: &[SealedBody]) -> Result<()>;

    /// A body, while it is kept.
    async fn body(&self, shard: Shard, id: u128) -> Result<Option<SealedBody>>;

    /// Ids and instants of bodies sealed before `before` of which nobody has said yet that an
    /// event has them, the oldest first.
    async fn unclaimed_bodies(
        &self,
        shard: Shard,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(u128, Timestamp)>>;

    /// Notes that events have those `claimed`, and removes the `orphaned`, unless they are claimed.
    async fn settle_bodies(&self, shard: Shard, claimed: &[u128], orphaned: &[u128]) -> Result<()>;

    /// Removes bodies sealed before `before`, claimed or not; how many.
    async fn remove_bodies(&self, shard: Shard, before: Timestamp) -> Result<u64>;
}
