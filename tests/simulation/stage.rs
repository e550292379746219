//! A stage for single stories: a few nodes in good weather, and short words for what is asked.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use domain::organization::Environment;
use engine::command::{Commit, Reserve};
use engine::policy::{Mode, PolicyRecord, Unit, Window};
use engine::{Command, Entry, Event, Measures, Once, Request, State};
use shards::facts::event_identity;
use shards::{
    Answer, Answered, Caps, Done, EventDetail, Group, Lane, Limits, PolicyStanding, Question, Said,
    ShardError,
};
use store::journal::Shard;

use crate::auditor::{Findings, audit};
use crate::client::Desk;
use crate::dice::Dice;
use crate::faulty_store::Shared;
use crate::node::{LIMITS, Node, SimClock};
use crate::record::Record;
use crate::stored::Stored;
use crate::trace::Trace;
use crate::weather::{Fate, Rates};
use crate::world::shard;

/// A second in microseconds.
pub const SECOND: i64 = 1_000_000;
/// 1 June 2026, 12:00 UTC, in microseconds since 1970.
pub const NOON: i64 = 1_780_315_200 * SECOND;

/// A stage.
pub struct Stage {
    /// Nodes, store, clock and what was heard.
    pub desk: Desk,
}

impl Stage {
    /// So many nodes, and the time.
    #[must_use]
    pub fn set(node_count: usize, at: i64) -> Stage {
        Stage::with_limits(node_count, at, LIMITS)
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(node_count: usize, at: i64, limits: Limits) -> Stage {
        let (clock, trace) = (SimClock::new(at), Trace::begin());
        let shared = Shared::default();
        let mut dice = Dice::new(1);
        let node = |number| {
            let node = Node::new(number, &shared, &clock, &trace, dice.fork(), Rates::CALM);
            let node = node.with_limits(limits);
            node.start();
            Arc::new(node)
        };
        let nodes = (0..node_count).map(node).collect();
        Stage { desk: Desk { nodes, shared, clock, record: Record::default(), trace } }
    }

    /// What is stored.
    pub fn stored(&self) -> MutexGuard<'_, Stored> {
        self.desk.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node.
    #[must_use]
    pub fn node(&self, number: usize) -> &Node {
        &self.desk.nodes[number]
    }

    /// Says what becomes of a node's next call of a name.
    pub fn next(&self, node: usize, call: &'static str, fate: Fate) {
        self.node(node).weather().next(call, fate);
    }

    /// Ends a node's process and begins a new one.
    pub fn restart(&self, node: usize) {
        self.node(node).kill();
        self.node(node).start();
    }

    /// Asks a node for several things at once.
    ///
    /// # Errors
    /// What the node says.
    pub async fn ask_all(
        &self,
        node: usize,
        shard: Shard,
        requests: Vec<Request>,
    ) -> Result<Done, ShardError> {
        let group = Group {
            requests,
            id_days: vec![],
            lane: Lane::Interactive,
            patience: Duration::from_secs(30),
            with_blocked: false,
        };
        self.desk.submit(node, shard, group).await
    }

    /// Asks a node for one thing in the live environment.
    ///
    /// # Errors
    /// What the node says.
    pub async fn ask(&self, node: usize, request: Request) -> Result<Answer, ShardError> {
        let done = self.ask_all(node, live(), vec![request]).await?;
        Ok(done.answers.into_iter().next().expect("one answer for one request"))
    }

    /// The same where an answer is certain.
    pub async fn answered(&self, node: usize, request: Request) -> Answered {
        let answer = self.ask(node, request).await;
        answer.expect("the store works").result
    }

    /// Makes a policy and waits until it refuses.
    pub async fn policy(&self, node: usize, record: PolicyRecord) {
        let id = record.id;
        let made = self.answered(node, plain(Command::CreatePolicy(record))).await;
        assert_eq!(made, Answered::Done);
        while self.standing(node, id).await.is_opening {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How a policy stands, as a node says.
    pub async fn standing(&self, node: usize, id: u128) -> PolicyStanding {
        let running = self.node(node).running().expect("it runs");
        let reply = running.shards.ask(live(), Question::Policy(id), None).await;
        let Said::Policies(found) = reply.expect("the store works").said else {
            panic!("a policy was asked for");
        };
        found.into_iter().next().expect("it was made")
    }

    /// Waits until everything is in the tables.
    ///
    /// # Errors
    /// What the node says.
    pub async fn settle(&self, node: usize) -> Result<(), ShardError> {
        let running = self.node(node).running().expect("it runs");
        running.shards.settle(live(), Duration::from_secs(60)).await
    }

    /// All entries of the live journal, in order, as they are followed.
    #[must_use]
    pub fn entries(&self) -> Vec<(u64, Entry)> {
        self.stored().shard(live()).followed()
    }

    /// The state that the journal leads to.
    #[must_use]
    pub fn replayed(&self) -> State {
        let mut state = State::default();
        for (seq, entry) in self.entries() {
            state.replay(seq, &entry);
        }
        state
    }

    /// Lets every hold end, and audits.
    pub async fn audited(&self) -> Findings {
        tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
        for node in 0..self.desk.nodes.len() {
            self.desk.ask(node, live(), Question::Policies { path: None }, None).await;
            self.settle(node).await.expect("the tables follow");
        }
        audit(&self.desk.shared, &self.desk.record)
    }

    /// The same, and nothing may be wrong.
    pub async fn all_is_well(&self) {
        let findings = self.audited().await;
        assert!(findings.wrong.is_empty(), "{:#?}", findings.wrong);
    }
}

/// The live environment.
#[must_use]
pub fn live() -> Shard {
    shard(Environment::Live)
}

/// A request without an id.
#[must_use]
pub fn plain(command: Command) -> Request {
    Request { once: None, actor: vec![], command }
}

fn once(id: &str) -> Option<Once> {
    Some(Once { identity: event_identity(id).0, body: [1; 4], seen: None })
}

fn dollars(cost: i128) -> Measures {
    Measures { cost, requests: 1, ..Measures::default() }
}

/// An event with an id.
#[must_use]
pub fn event(id: &str, path: &str, cost: i128, at: i64) -> Event {
    let detail = EventDetail { id: id.to_owned(), ..EventDetail::default() }.encode();
    Event { measures: dollars(cost), detail, ..Event::empty(at, path) }
}

/// A report.
#[must_use]
pub fn track(id: &str, path: &str, cost: i128, at: i64) -> Request {
    Request { once: once(id), ..plain(Command::Track(event(id, path, cost, at))) }
}

/// A reservation for so many seconds, without a key.
#[must_use]
pub fn reserve(reservation: u128, path: &str, cost: i128, seconds: i64) -> Request {
    plain(Command::Reserve(Reserve {
        reservation,
        path: path.to_owned(),
        service: String::new(),
        model: String::new(),
        estimate: dollars(cost),
        ttl: seconds * SECOND,
    }))
}

/// The same under a key.
#[must_use]
pub fn keyed(key: &str, request: Request) -> Request {
    Request { once: once(key), ..request }
}

/// The end of a reservation.
#[must_use]
pub fn commit(id: &str, reservation: u128, cost: i128, at: i64) -> Request {
    let commit = Commit { reservation, event: event(id, "", cost, at), incomplete: false };
    Request { once: once(id), ..plain(Command::Commit(commit)) }
}

/// A policy on dollars.
#[must_use]
pub fn policy(id: u128, path: &str, limit: i128, window: Window, mode: Mode) -> PolicyRecord {
    PolicyRecord {
        id,
        path: path.to_owned(),
        service: String::new(),
        model: String::new(),
        unit: Unit::Usd,
        limit,
        window,
        mode,
        allow_on_unavailable: false,
        alerts: vec![],
        created_at: 0,
    }
}
