//! The auditor: reads the journal back from its first entry, decides everything again, keeps a
//! second set of books, and compares with what anybody was told and with the tables.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use engine::{Decision, Entry, Outcome, Request, State, Verdict, decide, due};
use shards::answer::answer;
use store::journal::Shard;

use crate::answers::{
    Claim, Decided, Journaled, claims, heard_wrongly, questions, untrue, wrong_answer,
};
use crate::faulty_store::Shared;
use crate::ledger::Ledger;
use crate::long_ago::LongAgo;
use crate::record::{Asked, QuestionAsked, Record, marked};
use crate::stored::StoredShard;
use crate::tables;

/// What the auditor found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What must hold and does not; nothing, if all is well.
    pub wrong: Vec<String>,
    /// How many entries and decisions were looked at.
    pub entry_count: usize,
    /// Decisions.
    pub decision_count: usize,
    /// Groups that were asked.
    pub group_count: usize,
    /// Questions that were answered.
    pub question_count: usize,
    /// Claims of answers that wrote nothing.
    pub claim_count: usize,
    /// Snapshots that were replayed from.
    pub snapshot_count: usize,
    /// Groups whose outcome nobody said.
    pub unknown_count: usize,
}

impl Findings {
    /// Of no run.
    pub const NOTHING: Findings = Findings {
        wrong: vec![],
        entry_count: 0,
        decision_count: 0,
        group_count: 0,
        question_count: 0,
        claim_count: 0,
        snapshot_count: 0,
        unknown_count: 0,
    };

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Findings) {
        self.entry_count += other.entry_count;
        self.decision_count += other.decision_count;
        self.group_count += other.group_count;
        self.question_count += other.question_count;
        self.claim_count += other.claim_count;
        self.snapshot_count += other.snapshot_count;
        self.unknown_count += other.unknown_count;
    }
}

/// Audits everything, after it has come to rest.
#[must_use]
pub fn audit(shared: &Shared, record: &Record) -> Findings {
    let mut all = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let asked = record.all();
    let mut findings = Findings {
        wrong: all.broken.iter().map(|broken| format!("SIM-0 {broken}")).collect(),
        group_count: asked.groups.len(),
        question_count: asked.questions.len(),
        ..Findings::default()
    };
    let unknown = asked
        .groups
        .iter()
        .filter(|group| matches!(group.heard, Some(Err(shards::ShardError::OutcomeUnknown))));
    findings.unknown_count = unknown.count();
    let mut journals = BTreeMap::new();
    for shard in all.with_journal() {
        let audited = Auditor::new(&asked, shard).run(all.shard(shard), &mut findings);
        journals.insert(shard, audited);
    }
    let nothing = Journaled::default();
    for (number, group) in asked.groups.iter().enumerate() {
        let journaled = journals.get(&group.shard).unwrap_or(&nothing);
        findings.wrong.extend(heard_wrongly(number, group, journaled));
    }
    findings
}

struct Auditor<'a> {
    asked: &'a Asked,
    shard: Shard,
    claims: Vec<Claim<'a>>,
    journaled: Journaled,
    ledger: Ledger,
    /// When entries became durable.
    landed_at: BTreeMap<u64, i64>,
    long_ago: LongAgo<'a>,
    wrong: Vec<String>,
}

impl<'a> Auditor<'a> {
    fn new(asked: &'a Asked, shard: Shard) -> Auditor<'a> {
        Auditor {
            asked,
            shard,
            claims: claims(asked, shard),
            journaled: Journaled::default(),
            ledger: Ledger::default(),
            landed_at: BTreeMap::new(),
            long_ago: LongAgo::new(asked, shard),
            wrong: vec![],
        }
    }

    fn run(mut self, stored: &StoredShard, findings: &mut Findings) -> Journaled {
        let entries = self.entries(stored);
        let questions = questions(self.asked, self.shard);
        let mut state = State::default();
        let mut snapshots: BTreeMap<u64, &Vec<u8>> =
            stored.snapshot_history.iter().map(|((_, seq), bytes)| (*seq, bytes)).collect();
        findings.snapshot_count += snapshots.len();
        self.between(&mut state, &questions, &mut snapshots);
        for (seq, entry) in &entries {
            self.follow(&mut state, *seq, entry);
            self.between(&mut state, &questions, &mut snapshots);
        }
        self.freshness(stored);
        self.replays(stored, &entries, &state);
        // What was held when a journal was closed counts for nobody any more.
        if self.ledger.holds_anything() && !state.is_closed() {
            self.wrong.push("SIM-7 something is held after every time is over".to_owned());
        }
        self.wrong.extend(tables::differences(&stored.facts, &entries, &state, &self.ledger));
        self.wrong.extend(untrue(&self.claims));
        self.wrong.extend(self.long_ago.wrong());
        for seq in snapshots.keys().chain(questions.keys().filter(|seq| **seq > state.seq())) {
            self.wrong.push(format!("SIM-5 something is of {seq}, which is beyond the journal"));
        }
        findings.entry_count += entries.len();
        findings.decision_count += entries.iter().map(|(_, of)| of.decisions.len()).sum::<usize>();
        findings.claim_count += self.claims.len();
        let about = self.shard.environment;
        findings.wrong.extend(self.wrong.into_iter().map(|wrong| format!("{about:?} {wrong}")));
        self.journaled
    }

    /// All entries, each of which must follow the one before.
    fn entries(&mut self, stored: &StoredShard) -> Vec<(u64, Entry)> {
        let mut batch = 0;
        for (expected, ((_, seq), (landed_at, stored))) in (1..).zip(&stored.history) {
            self.landed_at.insert(*seq, *landed_at);
            if (*seq, stored.previous) != (expected, batch) {
                self.wrong.push(format!("SIM-2 entry {seq} does not follow"));
            }
            batch = stored.batch;
        }
        stored.followed()
    }

    /// Follows an entry, deciding everything again.
    fn follow(&mut self, state: &mut State, seq: u64, entry: &Entry) {
        if entry.time < state.time() && !entry.decisions.is_empty() {
            self.wrong.push(format!("SIM-5 time goes back at {seq}"));
        }
        state.begin(entry.time);
        for decision in &entry.decisions {
            self.claims_within(state);
            self.decide_again(state, seq, decision);
            let wrong = self.ledger.wrong_base(state, decision);
            self.wrong.extend(wrong.map(|wrong| format!("SIM-4 at {seq}: {wrong}")));
            state.apply(decision);
            self.ledger.enter(state, decision);
            if let Some(over) = self.ledger.over_limit(state, decision) {
                self.wrong.push(format!("SIM-1 at {seq}: {over}"));
            }
        }
        self.claims_within(state);
        state.keep(seq, entry.looked_up_seq);
        let differences = self.ledger.differences(state);
        self.wrong.extend(differences.iter().map(|found| format!("SIM-4 at {seq}: {found}")));
        for decision in &entry.decisions {
            self.enter(state, seq, decision);
        }
    }

    fn claims_within(&mut self, state: &State) {
        for claim in &mut self.claims {
            claim.try_within(state, &self.journaled);
        }
    }

    fn request_of(&self, decision: &Decision) -> Option<&'a Request> {
        let (group, place) = marked(&decision.actor)?;
        self.asked.groups.get(group)?.requests.get(place)
    }

    /// The journal has what deciding gives, at that very place.
    fn decide_again(&mut self, state: &State, seq: u64, decision: &Decision) {
        if let Some((identity, _)) = decision.once
            && let Some((seen, mark)) = self.journaled.by_identity.get(&identity)
        {
            let again = marked(&decision.actor);
            let first = seen.seq;
            let wrong = format!("SIM-3 {mark:?} of {first} counts again as {again:?} at {seq}");
            self.wrong.push(wrong);
        }
        let expected = match (&decision.outcome, self.request_of(decision)) {
            (Outcome::Expired { .. }, None) => due(state),
            (Outcome::PolicyBased { .. } | Outcome::Skipped { .. }, None) => return,
            (_, None) => None,
            (_, Some(request)) => match decide(state, &self.journaled.with_ended(request)) {
                Verdict::Write(decided) => Some(*decided),
                _ => None,
            },
        };
        if expected.as_ref() != Some(decision) {
            let wrong = format!("SIM-5 at {seq}: {decision:?}, where deciding gives {expected:?}");
            self.wrong.push(wrong);
        }
    }

    fn enter(&mut self, state: &State, seq: u64, decision: &Decision) {
        let ends: &[u128] = match &decision.outcome {
            Outcome::Booked(booked) => booked.settled.as_slice(),
            Outcome::Released { reservation } => std::slice::from_ref(reservation),
            Outcome::Expired { reservations } => reservations,
            _ => &[],
        };
        for id in ends {
            if let Some(ended) = state.ended(*id) {
                self.journaled.ended.insert(*id, ended.clone());
            }
        }
        if let Outcome::Skipped { seq, .. } = decision.outcome {
            self.journaled.skipped.insert(seq);
        }
        let Some(mark) = marked(&decision.actor) else { return };
        let decided = Decided {
            landed_at: self.landed_at.get(&seq).copied().unwrap_or_default(),
            seq,
            answer: answer(state, decision),
            names_policies: matches!(decision.outcome, Outcome::Held(_)),
        };
        self.journaled.by_mark.entry(mark).or_default().push(decided);
        if let Some((identity, body)) = decision.once {
            let seen = engine::command::Seen { body, seq };
            self.journaled.by_identity.entry(identity).or_insert((seen, mark));
        }
    }

    /// Looks at everything that is about the place between two entries.
    fn between(
        &mut self,
        state: &mut State,
        questions: &BTreeMap<u64, Vec<&'a QuestionAsked>>,
        snapshots: &mut BTreeMap<u64, &Vec<u8>>,
    ) {
        for claim in &mut self.claims {
            claim.try_after(state, &self.journaled);
        }
        self.long_ago.note(state);
        for question in questions.get(&state.seq()).into_iter().flatten() {
            if !self.long_ago.takes(question, state) {
                self.wrong.extend(wrong_answer(question, state));
            }
        }
        if let Some(snapshot) = snapshots.remove(&state.seq())
            && *snapshot != state.encode()
        {
            self.wrong.push(format!("SIM-5 the snapshot of {} differs", state.seq()));
        }
    }

    /// Who does not say how old an answer is answers with what was there two seconds before.
    fn freshness(&mut self, stored: &StoredShard) {
        let fresh_for = crate::node::LIMITS.fresh_for.as_micros();
        let fresh_for = i64::try_from(fresh_for).expect("seconds");
        let fresh = self.asked.questions.iter().filter(|asked| asked.reply.stale_ms.is_none());
        for asked in fresh.filter(|asked| asked.shard == self.shard) {
            let known = asked.reply.position.seq;
            let newer = stored.history.iter().find(|((_, seq), (landed_at, _))| {
                *seq > known && *landed_at < asked.asked_at - fresh_for
            });
            if let Some(((_, seq), _)) = newer {
                let (node, question) = (asked.node, &asked.question);
                self.wrong.push(format!(
                    "SIM-10 n{node} {question:?} is answered as of {known}, long after {seq}"
                ));
            }
        }
    }

    /// From every snapshot, the same state.
    fn replays(&mut self, stored: &StoredShard, entries: &[(u64, Entry)], state: &State) {
        let whole = state.encode();
        for ((_, seq), snapshot) in &stored.snapshot_history {
            let mut replayed = State::decode(snapshot).expect("what was written is read");
            for (seq, entry) in entries.iter().filter(|(of, _)| of > seq) {
                replayed.replay(*seq, entry);
            }
            if replayed.encode() != whole {
                self.wrong.push(format!("SIM-5 replaying from {seq} gives another state"));
            }
        }
    }
}
