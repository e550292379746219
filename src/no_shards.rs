//! Stands in for the shards where none are served: nobody can tell, and nothing is booked.

use shards::{Caps, Done, Group, Position, Question, Reply, ShardError};
use store::journal::Shard;

/// Answers to everything that it is unavailable.
pub(crate) struct NoShards;

fn unavailable() -> ShardError {
    ShardError::Unavailable("this server serves no shards".to_owned())
}

#[async_trait::async_trait]
impl Caps for NoShards {
    async fn submit(&self, _: Shard, _: Group) -> Result<Done, ShardError> {
        Err(unavailable())
    }

    async fn ask(&self, _: Shard, _: Question, _: Option<Position>) -> Result<Reply, ShardError> {
        Err(unavailable())
    }
}
