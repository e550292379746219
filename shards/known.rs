//! What the tables know of requests, beyond what the state remembers: ids that were seen before,
//! and reservations that ended.

use std::collections::{BTreeMap, BTreeSet};

use engine::command::{Ended, Seen};

use crate::error::ShardError;
use crate::facts::{find_ended, late_commit_identity, reservation_identity};
use crate::ids::Lookup;
use crate::live::Live;

/// What the tables know.
#[derive(Default)]
pub(crate) struct Known {
    /// For each identity that was looked up, in order, what it was seen with.
    pub(crate) seen: Vec<Option<Seen>>,
    /// Reservations that ended so long ago that the state has forgotten them.
    pub(crate) ended: BTreeMap<u128, Ended>,
    /// The place in the journal as of which this is known.
    pub(crate) as_of: u64,
}

impl Live {
    /// Looks up identities, and reservations that the state has forgotten.
    pub(crate) async fn look_up_all(
        &self,
        mut lookups: Vec<Lookup>,
        forgotten: BTreeSet<u128>,
    ) -> Result<Known, ShardError> {
        let once_count = lookups.len();
        // Of one that expired and was committed late, the commit is the last word.
        for id in &forgotten {
            for identity in [late_commit_identity(*id), reservation_identity(*id)] {
                lookups.push(Lookup { identity, v7_day: None });
            }
        }
        let (mut seen, as_of) = self.look_up(&lookups, self.parts.now()).await?;
        let places = seen.split_off(once_count);
        let mut ended = BTreeMap::new();
        for (id, places) in forgotten.into_iter().zip(places.chunks(2)) {
            let Some(place) = places.iter().flatten().next() else { continue };
            let block = self.parts.store.event_block_of(self.shard, place.seq).await?;
            let Some(block) = block else { continue };
            let found = find_ended(&block.bytes, id);
            let damaged = |error| ShardError::Internal(format!("a block of events: {error}"));
            ended.extend(found.map_err(damaged)?.map(|found| (id, found)));
        }
        Ok(Known { seen, ended, as_of })
    }

    /// How a reservation ended of which the state knew nothing after it had forgotten entries up to
    /// `forgotten_seq`.
    pub(crate) async fn ended_long_ago(
        &self,
        id: u128,
        forgotten_seq: u64,
    ) -> Result<Option<Ended>, ShardError> {
        let known = self.look_up_all(vec![], BTreeSet::from([id])).await?;
        if known.as_of >= forgotten_seq {
            return Ok(known.ended.into_values().next());
        }
        self.reload_ids().await?;
        let known = self.look_up_all(vec![], BTreeSet::from([id])).await?;
        Ok(known.ended.into_values().next())
    }
}
