//! Unites a shard's blocks of sums, as part of its projector's upkeep. Sizes are kept in memory, so
//! that each time only what is new is read.

use store::facts::{BlockQuery, FactsBlock};

use crate::error::ShardError;
use crate::facts::{self, SumBlockSize, sums_to_merge};
use crate::live::Live;
use crate::load::Loaded;
use crate::upkeep::MERGED_HERE_BYTES;

/// New blocks that are looked at in one read; mostly there is one.
const NEW_AT_ONCE: usize = 4;

/// What is known of a shard's blocks of sums.
#[derive(Default)]
pub(crate) struct SumBlocks {
    /// In the order of their entries.
    sizes: Vec<SumBlockSize>,
}

impl SumBlocks {
    /// Unites until there is nothing to unite.
    pub(crate) async fn merge(&mut self, live: &Live, shadow: &Loaded) -> Result<(), ShardError> {
        self.read_new(live, shadow.state.seq()).await?;
        let opening = shadow.state.policies().filter(|(_, policy)| policy.opening);
        let kept_apart: Vec<u64> = opening.map(|(_, policy)| policy.made_seq).collect();
        while let Some(range) = sums_to_merge(&self.sizes, &kept_apart) {
            let known = &self.sizes[range.clone()];
            let Some(merged) = merge(live, known).await? else {
                // Somebody else did something: look at all of them the next time.
                self.sizes.clear();
                return Ok(());
            };
            self.sizes.splice(range, [merged]);
        }
        Ok(())
    }

    /// Reads what came after the newest block that is known, up to the entry `to`: of what comes
    /// later nobody here knows which policies it makes.
    async fn read_new(&mut self, live: &Live, to: u64) -> Result<(), ShardError> {
        let known = self.sizes.last().map_or(0, |size| size.last_seq);
        let mut new = vec![];
        let before_seq = to.saturating_add(1);
        let mut query = BlockQuery { before_seq, ..all(NEW_AT_ONCE) };
        loop {
            let blocks = live.parts.store.sum_blocks(live.shard, query).await?;
            let is_last = blocks.len() < query.limit;
            let fresh = blocks.iter().take_while(|block| block.last_seq > known);
            let before = new.len();
            new.extend(fresh.map(SumBlockSize::from));
            if is_last || new.len() - before < blocks.len() {
                break;
            }
            query.before_seq = new.last().map_or(0, |oldest| oldest.last_seq);
        }
        self.sizes.extend(new.into_iter().rev());
        Ok(())
    }
}

/// Unites blocks in the store. `None` where they are not what was known.
async fn merge(live: &Live, known: &[SumBlockSize]) -> Result<Option<SumBlockSize>, ShardError> {
    let Some(newest) = known.last() else { return Ok(None) };
    let query = BlockQuery { before_seq: newest.last_seq.saturating_add(1), ..all(known.len()) };
    let mut blocks = live.parts.store.sum_blocks(live.shard, query).await?;
    blocks.reverse();
    if !blocks.iter().map(SumBlockSize::from).eq(known.iter().copied()) {
        return Ok(None);
    }
    let failed = |error: String| ShardError::Internal(format!("blocks of sums: {error}"));
    // What is little is not worth a thread.
    let is_little = blocks.iter().map(|block| block.bytes.len()).sum::<usize>() < MERGED_HERE_BYTES;
    let merged = match is_little {
        true => facts::merge_sums(&blocks),
        false => tokio::task::spawn_blocking(move || facts::merge_sums(&blocks))
            .await
            .map_err(|error| failed(error.to_string()))?,
    };
    let merged: FactsBlock = merged.map_err(|error| failed(error.to_string()))?;
    let replaced: Vec<u64> = known.iter().map(|size| size.last_seq).collect();
    let is_done = live.parts.store.merge_sums(live.shard, &replaced, &merged).await?;
    Ok(is_done.then(|| SumBlockSize::from(&merged)))
}

fn all(limit: usize) -> BlockQuery {
    BlockQuery { start: i64::MIN, end: i64::MAX, before_seq: u64::MAX, limit }
}
