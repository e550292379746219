//! Blocks of sums while a shard lives: they are united behind the projector, and nothing is lost.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, OrganizationId, organization::Environment};
use engine::{Command, Event, Measures, Once, Request};
use jiff::Timestamp;
use shards::facts::merge_sums;
use shards::facts::sum_block::Sums;
use shards::{Caps, Group, Lane, Limits, Parts, Shards};
use store::facts::BlockQuery;
use store::{Facts, journal::Shard, sqlite::SqliteStore};
use uuid::Uuid;

const NOON: i64 = 1_800_014_400_000_000;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(NOON).unwrap()
    }
}

#[tokio::test]
async fn blocks_of_a_quiet_shard_are_united_and_keep_their_sums() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.path().join("a.db")).await.unwrap());
    let shards = Shards::new(Parts {
        store: store.clone(),
        clock: Arc::new(Noon),
        random: Arc::new(|| Uuid::new_v4().as_u128()),
        limits: Limits::default(),
        formats: Default::default(),
    });
    let organization = OrganizationId::from_uuid(Uuid::from_u128(1));
    let shard = Shard { organization, environment: Environment::Live };
    for number in 0..60_u8 {
        let measures = Measures { cost: 10, requests: 1, ..Measures::default() };
        let command = Command::Track(Event { measures, ..Event::empty(NOON, "a") });
        let once = Some(Once { identity: [number; 16], body: [1; 4], seen: None });
        let group = Group {
            requests: vec![Request { once, actor: vec![], command }],
            id_days: vec![],
            lane: Lane::Interactive,
            patience: Duration::from_secs(20),
            with_blocked: false,
        };
        shards.submit(shard, group).await.unwrap();
        shards.settle(shard, Duration::from_secs(10)).await.unwrap();
    }
    let query = BlockQuery { start: 0, end: i64::MAX, before_seq: u64::MAX, limit: 100 };
    let mut blocks = store.sum_blocks(shard, query).await.unwrap();
    assert!(blocks.len() < 12, "{} blocks", blocks.len());
    blocks.reverse();
    let whole = merge_sums(&blocks).unwrap();
    assert_eq!((whole.first_seq, whole.last_seq, whole.row_count), (1, 60, 1));
    let sums = Sums::decode(&whole.bytes).unwrap();
    let (_, sum) = sums.iter().next().unwrap();
    assert_eq!((sum.cost, sum.requests, sum.event_count), (600, 60, 60));
}
