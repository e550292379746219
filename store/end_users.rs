//! End users: the customers of whoever asks, for whom calls were made.
//!
//! Journal and facts know an end user by a number, and only here is it said whose number that is.
//! Erasing somebody is removing that one row: what was booked stays, and is nobody's any more.

use domain::AuditEvent;

use crate::{Result, journal::Shard};

/// Numbers of end users. Each shard counts its own, from 1 on, with gaps. A number is given once:
/// whoever was forgotten and comes back gets another one.
#[async_trait::async_trait]
pub trait EndUsers {
    /// The numbers of end users by their external ids, in order; whoever has none gets one. It is
    /// durable before it is answered, so that an entry may refer to it.
    async fn end_user_numbers(&self, shard: Shard, external_ids: &[String]) -> Result<Vec<u64>>;

    /// The external ids of numbers, in order; `None` for those that are nobody's, or nobody's any
    /// more.
    async fn end_user_names(&self, shard: Shard, numbers: &[u64]) -> Result<Vec<Option<String>>>;

    /// The number of an end user that has one.
    async fn find_end_user(&self, shard: Shard, external_id: &str) -> Result<Option<u64>>;

    /// Forgets whose number it is. Returns whether there was one; a repeat changes nothing.
    async fn forget_end_user(
        &self,
        shard: Shard,
        external_id: &str,
        audit: &AuditEvent,
    ) -> Result<bool>;
}
