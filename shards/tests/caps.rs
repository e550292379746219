//! The runtime on a real store: what many callers at once are granted, what a restart keeps, what a
//! repeat hears.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::{Clock, OrganizationId, organization::Environment};
use engine::command::{Commit, Identity, Reserve};
use engine::policy::{Mode, PolicyRecord, Unit, Window};
use engine::{Command, Event, Measures, Once, Refusal, Request};
use jiff::Timestamp;
use shards::{Answered, Caps, Done, Group, Lane, Limits, Parts, Question, Said, Shards};
use store::{journal::Shard, snapshots::Snapshots, sqlite::SqliteStore};
use uuid::Uuid;

struct Fixed(AtomicU64);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        let micros = i64::try_from(self.0.load(Ordering::SeqCst)).unwrap();
        Timestamp::from_microsecond(micros).unwrap()
    }
}

const NOON: u64 = 1_800_014_400_000_000;

struct World {
    folder: tempfile::TempDir,
    clock: Arc<Fixed>,
}

impl World {
    fn new() -> World {
        let clock = Arc::new(Fixed(AtomicU64::new(NOON)));
        World { folder: tempfile::tempdir().unwrap(), clock }
    }

    async fn store(&self) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(&self.folder.path().join("a.db")).await.unwrap())
    }

    async fn start(&self) -> Arc<Shards> {
        self.start_on(self.store().await, Limits::default())
    }

    fn start_on(&self, store: Arc<SqliteStore>, limits: Limits) -> Arc<Shards> {
        Arc::new(Shards::new(Parts {
            store,
            clock: self.clock.clone(),
            random: Arc::new(|| Uuid::new_v4().as_u128()),
            limits,
            formats: Default::default(),
        }))
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
        with_blocked: true,
    }
}

fn policy(id: u128, path: &str, limit: i128, mode: Mode) -> Command {
    Command::CreatePolicy(PolicyRecord {
        id,
        path: path.to_owned(),
        service: String::new(),
        model: String::new(),
        unit: Unit::Usd,
        limit,
        window: Window::Calendar(2),
        mode,
        allow_on_unavailable: false,
        alerts: vec![],
        created_at: 0,
    })
}

fn reserve(id: u128, path: &str, cost: i128) -> Command {
    Command::Reserve(Reserve {
        reservation: id,
        path: path.to_owned(),
        service: String::new(),
        model: String::new(),
        estimate: Measures { cost, requests: 1, ..Measures::default() },
        ttl: 60_000_000,
    })
}

fn event(path: &str, cost: i128) -> Event {
    let measures = Measures { cost, requests: 1, ..Measures::default() };
    Event { measures, ..Event::empty(i64::try_from(NOON).unwrap(), path) }
}

async fn ask_one(shards: &Shards, command: Command, once: Option<Identity>) -> Answered {
    let done: Done = shards.submit(shard(), group(command, once)).await.unwrap();
    done.answers.into_iter().next().unwrap().result
}

async fn standing(shards: &Shards, id: u128) -> (i128, i128, bool) {
    let reply = shards.ask(shard(), Question::Policy(id), None).await.unwrap();
    let Said::Policies(found) = reply.said else { panic!("{reply:?}") };
    (found[0].used, found[0].held, found[0].is_opening)
}

async fn until_open(shards: &Shards, id: u128) {
    while standing(shards, id).await.2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_at_once_as_many_are_granted_as_fit() {
    let world = World::new();
    let shards = world.start().await;
    assert_eq!(
        ask_one(&shards, policy(7, "acme", 5_000, Mode::Strict), None).await,
        Answered::Done
    );
    until_open(&shards, 7).await;
    let asked = (0..1_000).map(|id| {
        let shards = Arc::clone(&shards);
        tokio::spawn(async move {
            let path = format!("acme/{}", id % 7);
            ask_one(&shards, reserve(1_000 + id, &path, 100), None).await
        })
    });
    let mut granted = 0;
    for answered in futures::future::join_all(asked).await {
        match answered.unwrap() {
            Answered::Held(held) => granted += held.held.iter().map(|on| on.amount).sum::<i128>(),
            Answered::Refused(Refusal::Policy(refusal)) => {
                assert_eq!((refusal.policy, refusal.limit), (7, 5_000));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(granted, 5_000);
    assert_eq!(standing(&shards, 7).await, (0, 5_000, false));
}

#[tokio::test]
async fn a_restart_keeps_what_was_acknowledged_and_a_repeat_counts_once() {
    let world = World::new();
    let shards = world.start().await;
    ask_one(&shards, policy(7, "", 1_000, Mode::Block), None).await;
    until_open(&shards, 7).await;
    for number in 0..50_u8 {
        let answered = ask_one(&shards, Command::Track(event("a/b", 10)), Some([number; 16])).await;
        assert!(matches!(answered, Answered::Booked(_)), "{answered:?}");
    }
    ask_one(&shards, reserve(99, "a", 20), None).await;
    shards.kill();
    drop(shards);

    let shards = world.start().await;
    assert_eq!(standing(&shards, 7).await, (500, 20, false));
    for number in 0..50_u8 {
        let answered = ask_one(&shards, Command::Track(event("a/b", 10)), Some([number; 16])).await;
        assert_eq!(answered, Answered::Duplicate);
    }
    let commit =
        Command::Commit(Commit { reservation: 99, event: event("", 25), incomplete: false });
    let first = ask_one(&shards, commit.clone(), Some([99; 16])).await;
    assert_eq!(first, ask_one(&shards, commit, Some([99; 16])).await);
    shards.settle(shard(), Duration::from_secs(10)).await.unwrap();
    assert_eq!(standing(&shards, 7).await, (525, 0, false));
}

async fn reservation(shards: &Shards, id: u128) -> Option<(String, String, String)> {
    let reply = shards.ask(shard(), Question::Reservation(id), None).await.unwrap();
    let Said::Reservation(found) = reply.said else { panic!("{reply:?}") };
    found.map(|seen| (seen.state, seen.path, seen.service))
}

/// Has the state forget everything so far.
async fn forget(shards: &Shards, turn: u8) {
    // The tables have what is there now, the writer is told so, and then it lets go of it.
    for step in 0..3_u8 {
        shards.settle(shard(), Duration::from_secs(10)).await.unwrap();
        let track = Command::Track(event("else", 0));
        ask_one(shards, track, Some([100 + 3 * turn + step; 16])).await;
    }
}

#[tokio::test]
async fn a_reservation_is_found_after_the_state_forgot_it() {
    let world = World::new();
    let shards = world.start().await;
    for id in [1, 2, 3] {
        let Command::Reserve(asked) = reserve(id, "a/b", 20) else { unreachable!() };
        let asked = Command::Reserve(Reserve { service: "openai".to_owned(), ..asked });
        assert!(matches!(ask_one(&shards, asked, None).await, Answered::Held(_)));
    }
    let commit = |event| Command::Commit(Commit { reservation: 1, event, incomplete: false });
    ask_one(&shards, commit(event("a/b", 25)), Some([1; 16])).await;
    let release = Command::Release { reservation: 2, ended: None };
    assert_eq!(ask_one(&shards, release, Some([2; 16])).await, Answered::Released);
    world.clock.0.fetch_add(61_000_000, Ordering::SeqCst);
    forget(&shards, 0).await;
    let is =
        |state: &str, service: &str| Some((state.to_owned(), "a/b".to_owned(), service.to_owned()));
    assert_eq!(reservation(&shards, 1).await, is("committed", "openai"));
    assert_eq!(reservation(&shards, 2).await, is("released", "openai"));
    assert_eq!(reservation(&shards, 3).await, is("expired", "openai"));
    assert_eq!(reservation(&shards, 4).await, None);

    let late =
        Command::Commit(Commit { reservation: 3, event: event("a/b", 5), incomplete: false });
    let Answered::Booked(_) = ask_one(&shards, late, Some([3; 16])).await else { panic!() };
    forget(&shards, 1).await;
    assert_eq!(
        reservation(&shards, 3).await,
        is("committed", "openai"),
        "the commit is the last word"
    );
    shards.kill();
    drop(shards);
    let shards = world.start().await;
    assert_eq!(reservation(&shards, 2).await, is("released", "openai"), "and after a restart");
}

#[tokio::test]
async fn what_was_used_before_a_policy_was_made_counts() {
    let world = World::new();
    let shards = world.start().await;
    for number in 0..5_u8 {
        ask_one(&shards, Command::Track(event("a/b", 10)), Some([number; 16])).await;
    }
    ask_one(&shards, policy(7, "a", 60, Mode::Block), None).await;
    until_open(&shards, 7).await;
    assert_eq!(standing(&shards, 7).await, (50, 0, false));
    let group = group(Command::Track(event("a/b", 10)), Some([77; 16]));
    let done = shards.submit(shard(), group).await.unwrap();
    assert_eq!(done.blocked.len(), 1);
    assert_eq!((done.blocked[0].used, done.blocked[0].is_exhausted), (60, true));
}

#[tokio::test]
async fn many_decisions_in_few_entries_bring_a_snapshot() {
    let world = World::new();
    let store = world.store().await;
    let limits = Limits { snapshot_decisions: 500, ..Limits::default() };
    let shards = world.start_on(store.clone(), limits);
    let mut batch = group(Command::Track(event("a", 1)), None);
    batch.requests = vec![batch.requests[0].clone(); 300];
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..2 {
        shards.submit(shard(), batch.clone()).await.unwrap();
        shards.settle(shard(), Duration::from_secs(20)).await.unwrap();
    }
    // The first entry alone is not enough: the snapshot is of the second.
    let snapshot = loop {
        if let Some(snapshot) = store.newest_snapshot(shard(), 1).await.unwrap() {
            break snapshot;
        }
        ticks.tick().await;
    };
    assert_eq!(snapshot.seq, 2);
}
