//! A world: nodes over one store, clients, and misfortunes; all of it from one seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{OrganizationId, organization::Environment};
use shards::{Caps, Question};
use store::journal::Shard;
use uuid::Uuid;

use crate::auditor::{Findings, audit};
use crate::client::{Client, Desk};
use crate::dice::Dice;
use crate::faulty_store::Shared;
use crate::node::{Node, SimClock};
use crate::record::Record;
use crate::trace::Trace;
use crate::weather::Rates;
use crate::wishes::{Known, Wishes};

/// Instants around which calendars do something, in seconds since 1970.
const STARTS: [i64; 6] = [
    1_774_744_200, // 29 March 2026, 0:30 UTC: half an hour before Berlin's clocks go forward
    1_792_888_200, // 25 October 2026, 0:30 UTC: half an hour before they go back
    1_769_900_400, // 31 January 2026, 23:00 UTC
    1_772_316_000, // 28 February 2026, 22:00 UTC
    1_798_756_200, // 31 December 2026, 22:30 UTC
    1_780_315_200, // 1 June 2026, 12:00 UTC
];

/// What a run was.
#[derive(Debug)]
pub struct Played {
    /// Its seed.
    pub seed: u64,
    /// How many lines its trace has, and the hash of them all.
    pub trace: (u64, String),
    /// What was wrong; nothing, if all is well.
    pub findings: Findings,
    /// The last lines of the trace.
    pub last: Trace,
}

/// The shard of an environment.
#[must_use]
pub fn shard(environment: Environment) -> Shard {
    Shard { organization: OrganizationId::from_uuid(Uuid::from_u128(1)), environment }
}

/// Plays a seed.
#[must_use]
pub fn play(seed: u64) -> Played {
    in_simulated_time(async move { World::new(seed).run().await })
}

/// Runs to the end in simulated time, on this thread alone.
pub fn in_simulated_time<T>(world: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing from the machine");
    runtime.block_on(async {
        // Timers tick in milliseconds from the runtime's own beginning: begin on a tick.
        tokio::time::sleep(Duration::from_millis(1)).await;
        world.await
    })
}

struct World {
    seed: u64,
    dice: Dice,
    desk: Desk,
    known: Arc<Mutex<Known>>,
    shards: Vec<Shard>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let start = *dice.pick(&STARTS) * 1_000_000;
        let (clock, trace) = (SimClock::new(start), Trace::begin());
        let shared = Shared::default();
        let rates = Rates::of(&mut dice);
        let node = |number| {
            let node = Node::new(number, &shared, &clock, &trace, dice.fork(), rates);
            node.clock.set_skew(dice.signed(-900_000, 900_000));
            node.start();
            Arc::new(node)
        };
        let count = [1, 2, 2, 3][usize::try_from(seed % 4).expect("below four")];
        let nodes = (0..count).map(node).collect();
        let mut shards = vec![shard(Environment::Live)];
        if dice.happens(300) {
            shards.push(shard(Environment::Test));
        }
        let (record, known) = (Record::default(), Arc::default());
        let desk = Desk { nodes, shared, clock, record, trace };
        World { seed, dice, desk, known, shards }
    }

    async fn run(mut self) -> Played {
        let mut supervisors = vec![];
        for node in self.desk.nodes.clone() {
            supervisors.push(tokio::spawn(supervise(node, self.dice.fork())));
        }
        let misfortunes = tokio::spawn(misfortunes(self.desk.nodes.clone(), self.dice.fork()));
        let count = self.dice.between(2, 6);
        let clients: Vec<_> = (0..count).map(|_| self.client()).collect();
        futures::future::join_all(clients.into_iter().map(Client::run)).await;
        misfortunes.abort();
        self.calm_down().await;
        self.ask_everything().await;
        for supervisor in supervisors {
            supervisor.abort();
        }
        let findings = audit(&self.desk.shared, &self.desk.record);
        let last = self.desk.trace.clone();
        Played { seed: self.seed, trace: last.sum(), findings, last }
    }

    fn client(&mut self) -> Client {
        let known = Arc::clone(&self.known);
        Client {
            desk: self.desk.clone(),
            wishes: Wishes::new(self.dice.fork(), known, self.desk.clock.clone()),
            dice: self.dice.fork(),
            shards: self.shards.clone(),
            step_count: self.dice.between(15, 60),
        }
    }

    /// Good weather, until everything that was under way has landed and every hold is over.
    async fn calm_down(&mut self) {
        for node in &self.desk.nodes {
            let mut weather = node.weather();
            weather.rates = Rates::CALM;
            weather.crash_in = None;
            weather.cut_until = tokio::time::Instant::now();
        }
        // Only who serves a shard lets happen what is due in it.
        tokio::time::sleep(Duration::from_secs(60)).await;
        for shard in &self.shards {
            for node in &self.desk.nodes {
                let question = Question::Path(String::new());
                // Whoever cannot answer now will be asked again below.
                let _asked = node.ask(*shard, question, None).await;
            }
        }
        tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
        for shard in &self.shards {
            for node in &self.desk.nodes {
                let settled = match node.running() {
                    Some(running) => {
                        // Whoever was asked nothing for long may not have heard of the newest.
                        let question = Question::Path(String::new());
                        let asked = running.shards.ask(*shard, question, None).await.map(drop);
                        let settled = running.shards.settle(*shard, Duration::from_secs(60)).await;
                        asked.and(settled)
                    }
                    None => continue,
                };
                if let Err(error) = settled {
                    let number = node.number;
                    let broken = format!("node {number} does not settle: {error}");
                    let mut all = self.desk.shared.lock().expect("nobody panics with it");
                    all.broken.push(broken);
                }
            }
        }
    }

    /// Everybody must say the same now.
    async fn ask_everything(&mut self) {
        let reservations = self.known.lock().expect("nobody panics with it").reservations.clone();
        for shard in self.shards.clone() {
            for node in 0..self.desk.nodes.len() {
                for question in
                    [Question::Policies { path: None }, Question::Paths { below: String::new() }]
                {
                    self.desk.ask(node, shard, question, None).await;
                }
                for reservation in reservations.iter().rev().take(20) {
                    let question = Question::Reservation(*reservation);
                    self.desk.ask(node, shard, question, None).await;
                }
            }
        }
    }
}

/// Begins a node's process anew whenever it is gone.
async fn supervise(node: Arc<Node>, mut dice: Dice) {
    loop {
        if let Some(running) = node.running() {
            running.store.ended().await;
        }
        node.kill();
        let millis = dice.between(0, 5_000);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        node.start();
    }
}

/// Things go wrong.
async fn misfortunes(nodes: Vec<Arc<Node>>, mut dice: Dice) {
    loop {
        let millis = dice.between(10, 120_000);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        let node = dice.pick(&nodes);
        match dice.between(0, 8) {
            0..=3 => node.weather().crash_in = Some(dice.between(0, 60)),
            4 => {
                let millis = dice.between(200, 25_000);
                let until = tokio::time::Instant::now() + Duration::from_millis(millis);
                node.weather().cut_until = until;
            }
            5 => node.clock.set_skew(dice.signed(-900_000, 900_000)),
            6 => {
                if let Some(running) = node.running() {
                    running.shards.stop().await;
                    running.store.end();
                }
            }
            _ => {
                for node in &nodes {
                    if let Some(running) = node.running() {
                        running.store.end();
                    }
                }
            }
        }
    }
}
