//! A journal that is begun anew, as after a restore: nothing that was acknowledged is lost, ids
//! still count once, and a process that serves the journal as it was before notices.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{Clock, OrganizationId, organization::Environment};
use engine::command::Identity;
use engine::policy::{Mode, PolicyRecord, Unit, Window};
use engine::{Command, Event, Measures, Once, Request};
use jiff::Timestamp;
use shards::{
    Answered, Caps, Group, Lane, Limits, Parts, Position, Question, Said, ShardError, Shards,
    begin_anew,
};
use store::journal::{Appended, JournalEntry, Shard};
use store::{Facts, Journal, sqlite::SqliteStore};
use uuid::Uuid;

struct Fixed(AtomicI64);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

const NOON: i64 = 1_800_014_400_000_000;

struct World {
    // In this order: the store goes before its folder.
    store: Arc<SqliteStore>,
    clock: Arc<Fixed>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("a.db")).await.unwrap());
        World { store, clock: Arc::new(Fixed(AtomicI64::new(NOON))), _folder: folder }
    }

    fn parts(&self) -> Parts {
        Parts {
            store: self.store.clone(),
            clock: self.clock.clone(),
            random: Arc::new(|| Uuid::new_v4().as_u128()),
            limits: Limits::default(),
            formats: Default::default(),
        }
    }
}

fn shard() -> Shard {
    let organization = OrganizationId::from_uuid(Uuid::from_u128(1));
    Shard { organization, environment: Environment::Live }
}

fn group(command: Command, once: Option<Identity>) -> Group {
    let once = once.map(|identity| Once { identity, body: [1; 4], seen: None });
    Group {
        requests: vec![Request { once, actor: vec![], command }],
        id_days: vec![],
        lane: Lane::Interactive,
        patience: Duration::from_secs(20),
        with_blocked: false,
    }
}

fn policy() -> Command {
    Command::CreatePolicy(PolicyRecord {
        id: 7,
        path: String::new(),
        service: String::new(),
        model: String::new(),
        unit: Unit::Usd,
        limit: 1_000_000,
        window: Window::Calendar(2),
        mode: Mode::Strict,
        allow_on_unavailable: false,
        alerts: vec![],
        created_at: 0,
    })
}

/// An event of 10 under an id of its own.
async fn track(shards: &Shards, id: u8) -> (Answered, Position) {
    let measures = Measures { cost: 10, requests: 1, ..Measures::default() };
    let event = Event { measures, ..Event::empty(NOON, "acme") };
    let done = shards.submit(shard(), group(Command::Track(event), Some([id; 16]))).await.unwrap();
    (done.answers.into_iter().next().unwrap().result, done.position)
}

/// Whoever makes a policy enters what came before it, in an entry of its own.
async fn until_open(shards: &Shards) {
    loop {
        let reply = shards.ask(shard(), Question::Policy(7), None).await.unwrap();
        let Said::Policies(found) = reply.said else { panic!("{reply:?}") };
        if !found[0].is_opening {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn used(shards: &Shards, least: Option<Position>) -> i128 {
    let reply = shards.ask(shard(), Question::Policy(7), least).await.unwrap();
    let Said::Policies(found) = reply.said else { panic!("{reply:?}") };
    found[0].used
}

async fn settled(shards: &Shards) {
    shards.settle(shard(), Duration::from_secs(20)).await.unwrap();
}

/// A node that has counted five events, all of them in the tables.
async fn filled(world: &World) -> Shards {
    let shards = Shards::new(world.parts());
    shards.submit(shard(), group(policy(), None)).await.unwrap();
    until_open(&shards).await;
    for id in 0..5 {
        assert!(matches!(track(&shards, id).await.0, Answered::Booked(_)));
    }
    settled(&shards).await;
    shards
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_serves_the_journal_as_it_was_is_void_and_goes_on_with_the_new_one() {
    let world = World::new().await;
    let stale = filled(&world).await;
    let before = world.store.tail(shard()).await.unwrap();
    begin_anew(&world.parts(), shard()).await.unwrap();
    let after = world.store.tail(shard()).await.unwrap();
    assert_eq!((after.incarnation, after.seq, after.floor), (2, before.seq, before.seq));
    let (seq, previous) = (before.seq + 1, before.batch);
    let late = JournalEntry { seq, batch: 1, previous, bytes: vec![] };
    assert_eq!(world.store.append(shard(), 1, &late).await.unwrap(), Appended::Void);

    let (answer, position) = track(&stale, 50).await;
    assert!(matches!(answer, Answered::Booked(_)), "{answer:?}");
    assert_eq!(position, Position { incarnation: 2, seq });
    assert_eq!(track(&stale, 3).await.0, Answered::Duplicate);
    let once_told = Position { incarnation: 1, seq: 1_000 };
    assert_eq!(used(&stale, Some(once_told)).await, 60);
    settled(&stale).await;
    let checkpoint = world.store.checkpoint(shard()).await.unwrap();
    assert_eq!((checkpoint.incarnation, checkpoint.seq), (2, seq));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_counted_is_counted_once_after_a_new_start() {
    let world = World::new().await;
    let first = filled(&world).await;
    first.kill();
    drop(first);
    for incarnation in 2..=3 {
        begin_anew(&world.parts(), shard()).await.unwrap();
        assert_eq!(world.store.tail(shard()).await.unwrap().incarnation, incarnation);
    }
    let shards = Shards::new(world.parts());
    for id in 0..5 {
        assert_eq!(track(&shards, id).await.0, Answered::Duplicate);
    }
    assert_eq!(used(&shards, None).await, 50);
    track(&shards, 5).await;
    settled(&shards).await;
    assert_eq!(used(&shards, None).await, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_nobody_wrote_to_begins_anew_too() {
    let world = World::new().await;
    begin_anew(&world.parts(), shard()).await.unwrap();
    let shards = filled(&world).await;
    assert_eq!(used(&shards, None).await, 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_cannot_be_followed_stays_as_it_was() {
    let world = World::new().await;
    filled(&world).await.stop().await;
    let before = world.store.tail(shard()).await.unwrap();
    let (seq, previous) = (before.seq + 1, before.batch);
    let unreadable = JournalEntry { seq, batch: 1, previous, bytes: vec![255] };
    assert_eq!(world.store.append(shard(), 1, &unreadable).await.unwrap(), Appended::Stored);
    let begun = begin_anew(&world.parts(), shard()).await;
    assert!(matches!(begun, Err(ShardError::Stopped { seq: at, .. }) if at == seq), "{begun:?}");
    assert_eq!(world.store.tail(shard()).await.unwrap().incarnation, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_behind_the_journal_is_asked_about_and_then_accepted() {
    let world = World::new().await;
    filled(&world).await.kill();
    world.clock.0.fetch_sub(61_000_000, Ordering::SeqCst);
    let shards = Shards::new(world.parts());
    let asked = shards.ask(shard(), Question::Policy(7), None).await;
    let Err(ShardError::Unavailable(why)) = asked else { panic!("{asked:?}") };
    assert!(why.contains("outlay clock accept"), "{why}");
    shards.accept_clock();
    assert_eq!(used(&shards, None).await, 50);
    assert!(matches!(track(&shards, 50).await.0, Answered::Booked(_)));
}
