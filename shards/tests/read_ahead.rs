//! A long journal is decoded on other threads while it is followed: it leads to the same state, and
//! stops at the same entry.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, OrganizationId, organization::Environment};
use engine::policy::{Mode, PolicyRecord, Unit, Window};
use engine::{Command, Event, Measures, Once, Request};
use jiff::Timestamp;
use shards::{
    Answered, Caps, EventDetail, Group, Lane, Limits, Parts, Question, Said, ShardError, Shards,
};
use store::journal::{Appended, Journal, JournalEntry, Shard};
use store::sqlite::SqliteStore;
use uuid::Uuid;

const BATCH: usize = 500;
const BATCHES: usize = 8;
/// More than what is decoded where it is followed.
const LONG_BYTES: usize = 256 << 10;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_014_400).unwrap()
    }
}

fn shard() -> Shard {
    let organization = OrganizationId::from_uuid(Uuid::from_u128(1));
    Shard { organization, environment: Environment::Live }
}

fn start(store: &Arc<SqliteStore>) -> Shards {
    Shards::new(Parts {
        store: store.clone(),
        clock: Arc::new(Noon),
        random: Arc::new(|| Uuid::new_v4().as_u128()),
        formats: Default::default(),
        limits: Limits::default(),
    })
}

fn group(requests: Vec<Request>) -> Group {
    let (lane, patience) = (Lane::Bulk, Duration::from_secs(60));
    Group { requests, id_days: vec![], lane, patience, with_blocked: false }
}

fn cap() -> Request {
    let policy = PolicyRecord {
        id: 7,
        path: "acme".to_owned(),
        service: String::new(),
        model: String::new(),
        unit: Unit::Requests,
        limit: 1_000_000,
        window: Window::Total,
        mode: Mode::Block,
        allow_on_unavailable: false,
        alerts: vec![],
        created_at: 0,
    };
    Request { once: None, actor: vec![], command: Command::CreatePolicy(policy) }
}

fn report(identity: u128) -> Request {
    let noise = || Uuid::new_v4().simple().to_string();
    let detail = EventDetail {
        id: noise(),
        provider_request_id: Some([noise(), noise(), noise()].concat()),
        ..EventDetail::default()
    };
    let measures = Measures { requests: 1, ..Measures::default() };
    let event = Event { measures, detail: detail.encode(), ..Event::empty(0, "acme/search") };
    let once = Once { identity: identity.to_be_bytes(), body: [1; 4], seen: None };
    Request { once: Some(once), actor: vec![], command: Command::Track(event) }
}

async fn used(shards: &Shards) -> Result<i128, ShardError> {
    let reply = shards.ask(shard(), Question::Policy(7), None).await?;
    let Said::Policies(found) = reply.said else { panic!("{reply:?}") };
    Ok(found[0].used)
}

/// Entries of the whole journal.
async fn journal(store: &SqliteStore) -> Vec<JournalEntry> {
    store.entries(shard(), 1, 0, usize::MAX).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_journal_leads_to_what_was_left_and_stops_where_it_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let shards = start(&store);
    shards.submit(shard(), group(vec![cap()])).await.unwrap();
    let all = BATCHES * BATCH;
    for first in (0..all).step_by(BATCH) {
        let reports = (first..first + BATCH).map(|number| report(u128::try_from(number).unwrap()));
        shards.submit(shard(), group(reports.collect())).await.unwrap();
    }
    shards.settle(shard(), Duration::from_secs(60)).await.unwrap();
    assert_eq!(used(&shards).await, Ok(i128::try_from(all).unwrap()));
    shards.stop().await;
    drop(shards);

    let entries = journal(&store).await;
    assert!(entries.iter().map(|entry| entry.bytes.len()).sum::<usize>() > LONG_BYTES);
    let again = start(&store);
    assert_eq!(used(&again).await, Ok(i128::try_from(all).unwrap()));
    let done = again.submit(shard(), group(vec![report(3), report(u128::MAX)])).await.unwrap();
    let results: Vec<_> = done.answers.into_iter().map(|answer| answer.result).collect();
    assert!(matches!(&results[..], [Answered::Duplicate, Answered::Booked(_)]), "{results:?}");
    again.stop().await;
    drop(again);

    // Another journal, the same up to its middle, and damaged there.
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.path().join("b.db")).await.unwrap());
    let damaged = entries.len() / 2;
    for (place, mut entry) in entries.into_iter().enumerate() {
        if place == damaged {
            *entry.bytes.last_mut().unwrap() ^= 1;
        }
        assert_eq!(store.append(shard(), 1, &entry).await.unwrap(), Appended::Stored);
    }
    let stopped = used(&start(&store)).await;
    let at = u64::try_from(damaged).unwrap() + 1;
    assert!(matches!(&stopped, Err(ShardError::Stopped { seq, .. }) if *seq == at), "{stopped:?}");
}
