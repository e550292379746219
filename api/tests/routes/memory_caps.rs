//! Shards in memory: the real engine decides over a journal that is a list, so that routes are
//! tested against real decisions. What a policy's window had used is entered at once, unless a test
//! holds it back.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use domain::Clock;
use engine::{Command, Decision, Outcome, Refusal, Request, State, Verdict, decide, due};
use shards::{
    Answer, Answered, Caps, Done, Group, Position, Question, Reply, ShardError, answer::answer,
    question::standing,
};
use store::journal::Shard;

use crate::test_app::FakeClock;

pub(crate) struct MemoryCaps {
    clock: Arc<FakeClock>,
    shards: Mutex<BTreeMap<Shard, Journal>>,
    /// Policies stay in their opening.
    pub(crate) holds_bases: AtomicBool,
    /// The next call fails like this.
    pub(crate) fails: Mutex<Option<ShardError>>,
    /// The next call panics.
    pub(crate) panics: AtomicBool,
    /// No call ends.
    pub(crate) hangs: AtomicBool,
    /// Answers are so old.
    pub(crate) stale_ms: Mutex<Option<u64>>,
}

#[derive(Default)]
struct Journal {
    state: State,
    entries: Vec<Vec<Decision>>,
}

impl MemoryCaps {
    pub(crate) fn new(clock: Arc<FakeClock>) -> MemoryCaps {
        MemoryCaps {
            clock,
            shards: Mutex::default(),
            holds_bases: AtomicBool::new(false),
            fails: Mutex::default(),
            panics: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            stale_ms: Mutex::default(),
        }
    }

    /// All that was decided, in order.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        let shards = self.shards.lock().unwrap();
        shards.values().flat_map(|journal| journal.entries.iter().flatten().cloned()).collect()
    }

    /// Changes the settings of a shard.
    pub(crate) fn configure(&self, shard: Shard, settings: engine::Settings) {
        self.decide(shard, Command::Configure(settings));
    }

    /// Has something decided that no route asks for.
    pub(crate) fn decide(&self, shard: Shard, command: Command) {
        let request = Request { once: None, actor: vec![], command };
        let now = self.clock.now().as_microsecond();
        let mut shards = self.shards.lock().unwrap();
        shards.entry(shard).or_default().batch(now, &[request]);
    }

    async fn failure(&self) -> Result<(), ShardError> {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "a canary that nobody may see");
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.fails.lock().unwrap().take().map_or(Ok(()), Err)
    }
}

impl Journal {
    fn batch(&mut self, now: i64, requests: &[Request]) -> Vec<Answer> {
        let seq = u64::try_from(self.entries.len()).unwrap() + 1;
        self.state.begin(now);
        self.entries.push(vec![]);
        while let Some(decision) = due(&self.state) {
            self.follow(decision);
        }
        let answers = requests.iter().map(|request| self.one(request)).collect();
        if self.entries.last().unwrap().is_empty() {
            self.entries.pop();
            self.state.roll_back();
        } else {
            self.state.keep(seq, 0);
        }
        answers
    }

    fn one(&mut self, request: &Request) -> Answer {
        let first = |result| Answer { result, is_repeat: false };
        match decide(&self.state, request) {
            Verdict::Write(decision) => {
                self.follow((*decision).clone());
                first(answer(&self.state, &decision))
            }
            Verdict::Refuse(refusal) => first(Answered::Refused(refusal)),
            Verdict::Unchanged => first(Answered::Unchanged),
            Verdict::Repeat { seq } => {
                let entry = &self.entries[usize::try_from(seq).unwrap() - 1];
                let once = request.once.map(|once| (once.identity, once.body));
                let decision = entry.iter().find(|decision| decision.once == once).unwrap();
                Answer { result: answer(&self.state, decision), is_repeat: true }
            }
        }
    }

    fn follow(&mut self, decision: Decision) {
        self.state.apply(&decision);
        self.entries.last_mut().unwrap().push(decision);
    }

    /// Enters what the windows of new policies had used before.
    fn enter_bases(&mut self, now: i64) {
        let opening = self.state.policies().filter(|(_, policy)| policy.opening);
        let requests: Vec<_> = opening
            .map(|(_, policy)| {
                let window = policy.windows.first();
                let used = |start: i64, end: i64| {
                    let all = self.entries.iter().flatten();
                    let booked = all.filter_map(|decision| match &decision.outcome {
                        Outcome::Booked(booked) => Some(booked),
                        _ => None,
                    });
                    let mine = booked.filter(|booked| {
                        let path = &self.state.path(booked.path).name;
                        let fits = |scope: &str, name: &str| scope.is_empty() || scope == name;
                        domain::path::self_and_above(path).any(|at| at == policy.record.path)
                            && fits(&policy.record.service, &booked.service)
                            && fits(&policy.record.model, &booked.model)
                            && (start..end).contains(&booked.at)
                    });
                    mine.map(|booked| booked.measures.of(policy.record.unit)).sum()
                };
                let parts = window.map(|open| (open.number, used(open.start, open.end)));
                let (policy, made_seq) = (policy.record.id, policy.made_seq);
                let parts = parts.into_iter().collect();
                let command = Command::EnterBase { policy, made_seq, parts };
                Request { once: None, actor: vec![], command }
            })
            .collect();
        if !requests.is_empty() {
            self.batch(now, &requests);
        }
    }

    fn position(&self) -> Position {
        Position { incarnation: 1, seq: self.state.seq() }
    }
}

#[async_trait::async_trait]
impl Caps for MemoryCaps {
    async fn submit(&self, shard: Shard, group: Group) -> Result<Done, ShardError> {
        self.failure().await?;
        let now = self.clock.now().as_microsecond();
        let mut shards = self.shards.lock().unwrap();
        let journal = shards.entry(shard).or_default();
        let answers = journal.batch(now, &group.requests);
        if !self.holds_bases.load(Ordering::SeqCst) {
            journal.enter_bases(now);
        }
        let mut blocked: Vec<shards::PolicyStanding> = vec![];
        for answer in answers.iter().filter(|_| group.with_blocked) {
            let Answered::Booked(booked) = &answer.result else { continue };
            let met = journal.state.policies_met(&booked.path, &booked.service, &booked.model, now);
            for view in met.filter(|view| view.is_exhausted) {
                let found = standing(&view);
                if blocked.iter().all(|known| known.record.id != found.record.id) {
                    blocked.push(found);
                }
            }
        }
        Ok(Done { answers, position: journal.position(), blocked })
    }

    async fn ask(
        &self,
        shard: Shard,
        question: Question,
        least: Option<Position>,
    ) -> Result<Reply, ShardError> {
        self.failure().await?;
        let now = self.clock.now().as_microsecond();
        let mut shards = self.shards.lock().unwrap();
        let journal = shards.entry(shard).or_default();
        let position = journal.position();
        if least.is_some_and(|least| least > position) {
            return Err(ShardError::Unavailable("that place is not reached".to_owned()));
        }
        let stale_ms = *self.stale_ms.lock().unwrap();
        Ok(Reply { said: question.ask(&journal.state, now), position, stale_ms })
    }
}

/// A refusal that a test lays out is never one of these by accident.
#[test]
fn a_journal_that_refused_is_as_it_was() {
    let mut journal = Journal::default();
    let command = Command::Release { reservation: 7, ended: None };
    let answers = journal.batch(1, &[Request { once: None, actor: vec![], command }]);
    assert_eq!(answers[0].result, Answered::Refused(Refusal::NotFound));
    assert_eq!((journal.entries.len(), journal.state.seq()), (0, 0));
}
