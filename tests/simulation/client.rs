//! A client: asks, waits, and asks another node the same again when it did not hear how it went.

use std::sync::Arc;
use std::time::Duration;

use engine::{Command, Request};
use shards::{Done, Group, Lane, Position, Question, ShardError};
use store::journal::Shard;

use crate::dice::Dice;
use crate::faulty_store::Shared;
use crate::node::{Node, SimClock};
use crate::record::{GroupAsked, QuestionAsked, Record, mark};
use crate::trace::Trace;
use crate::wishes::Wishes;

/// What every client works with.
#[derive(Clone)]
pub struct Desk {
    /// The nodes.
    pub nodes: Vec<Arc<Node>>,
    /// Whoever looks at the truth.
    pub shared: Shared,
    /// The true time.
    pub clock: SimClock,
    /// What was asked and heard.
    pub record: Record,
    /// What happened.
    pub trace: Trace,
}

impl Desk {
    fn tail(&self, shard: Shard) -> u64 {
        let mut all = self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.shard(shard).tail().seq
    }

    /// Asks one node, once, and notes it.
    ///
    /// # Errors
    /// What the node says.
    pub async fn submit(
        &self,
        node: usize,
        shard: Shard,
        mut group: Group,
    ) -> Result<Done, ShardError> {
        let of = &self.nodes[node];
        let number = {
            let mut all = self.record.all();
            let number = all.groups.len();
            for (place, request) in group.requests.iter_mut().enumerate() {
                request.actor = mark(number, place);
            }
            all.groups.push(GroupAsked {
                shard,
                node,
                requests: group.requests.clone(),
                tail_before: self.tail(shard),
                clock: (of.clock.micros(), 0),
                heard: None,
            });
            number
        };
        self.trace.note(|| format!("#{number} asks n{node} for {}", group.requests.len()));
        let heard = of.submit(shard, group).await;
        self.trace.note(|| match &heard {
            Ok(done) => {
                let results = done.answers.iter().map(|answer| &answer.result);
                format!("#{number} heard {} {:?}", done.position, results.collect::<Vec<_>>())
            }
            Err(error) => format!("#{number} heard {error}"),
        });
        let mut all = self.record.all();
        all.groups[number].clock.1 = of.clock.micros();
        all.groups[number].heard = Some(heard.clone());
        heard
    }

    /// Asks one node a question, and notes what it said.
    pub async fn ask(
        &self,
        node: usize,
        shard: Shard,
        question: Question,
        least: Option<Position>,
    ) {
        let of = &self.nodes[node];
        let asked_at = self.clock.micros();
        let heard = of.ask(shard, question.clone(), least).await;
        let answered_at = of.clock.micros();
        let word = if heard.is_ok() { "answers" } else { "does not answer" };
        self.trace.note(|| format!("n{node} {word} {question:?}"));
        if let Ok(reply) = heard {
            self.record.all().questions.push(QuestionAsked {
                shard,
                node,
                question,
                least,
                asked_at,
                answered_at,
                reply,
            });
        }
    }
}

/// A client.
pub struct Client {
    /// With what it works.
    pub desk: Desk,
    /// What it wishes.
    pub wishes: Wishes,
    /// Its choices.
    pub dice: Dice,
    /// The shards it knows.
    pub shards: Vec<Shard>,
    /// How often it wishes for something.
    pub step_count: u64,
}

impl Client {
    /// Lives.
    pub async fn run(mut self) {
        let mut least: Option<(Shard, Position)> = None;
        for _ in 0..self.step_count {
            self.pause().await;
            let shard = *self.dice.pick(&self.shards);
            let node = self.any_node();
            if self.dice.happens(200) {
                let question = self.wishes.question();
                let least = least.filter(|(of, _)| *of == shard && self.dice.happens(700));
                self.desk.ask(node, shard, question, least.map(|(_, position)| position)).await;
                continue;
            }
            if let Some(position) = self.until_done(node, shard).await {
                least = Some((shard, position));
            }
        }
    }

    async fn pause(&mut self) {
        let millis = match self.dice.between(0, 40) {
            0 => self.dice.between(0, 20 * 60_000),
            1..=4 => self.dice.between(0, 30_000),
            5..=20 => self.dice.between(0, 2_000),
            _ => self.dice.between(0, 20),
        };
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    fn any_node(&mut self) -> usize {
        let count = u64::try_from(self.desk.nodes.len()).expect("few nodes");
        usize::try_from(self.dice.between(0, count)).expect("few nodes")
    }

    /// Asks until somebody says how it went, or patience is over; at times once more.
    async fn until_done(&mut self, mut node: usize, shard: Shard) -> Option<Position> {
        let mut requests = self.wishes.requests();
        let lane = if self.dice.happens(200) { Lane::Bulk } else { Lane::Interactive };
        let mut position = None;
        for _ in 0..self.dice.between(1, 7) {
            let group = Group {
                requests: requests.clone(),
                id_days: self.wishes.id_days(&requests),
                lane,
                patience: Duration::from_millis(self.dice.between(200, 15_000)),
                with_blocked: self.dice.happens(300),
            };
            match self.desk.submit(node, shard, group).await {
                Ok(done) => {
                    position = Some(done.position);
                    if self.dice.happens(850) {
                        break;
                    }
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
            node = self.any_node();
            self.make_ids_anew(&mut requests);
        }
        position
    }

    /// The server makes an id for each call: only one under a key finds its reservation again.
    fn make_ids_anew(&mut self, requests: &mut [Request]) {
        for request in requests.iter_mut().filter(|request| request.once.is_none()) {
            if let Command::Reserve(reserve) = &mut request.command {
                reserve.reservation = self.dice.wide();
            }
        }
    }
}
