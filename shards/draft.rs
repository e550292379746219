//! A draft: what a round becomes, decided and followed in memory, before it is durable.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::command::{Commit, Seen};
use engine::entry::{ENTRY_BYTES_MAX, ENTRY_DECISIONS_MAX, EntryBytes, Pushed};
use engine::{Command, Decision, Entry, Refusal, Request, State, Verdict, decide, due};
use store::journal::JournalEntry;

use crate::known::Known;
use crate::live::Live;
use crate::queue::Waiting;

/// What becomes of one request once the draft is durable.
#[derive(Debug)]
pub(crate) enum Pending {
    /// Answered from this decision.
    Written(usize),
    /// Answered from the decision in this entry.
    Repeat(u64),
    Unchanged,
    Refused(Refusal),
    /// A fault of ours.
    Fault,
}

/// A round that was decided.
pub(crate) struct Draft {
    pub(crate) decisions: Vec<Decision>,
    /// For each group what becomes of its next requests; fewer than it has where the entry is full.
    pub(crate) pending: Vec<Vec<Pending>>,
    pub(crate) entry: JournalEntry,
    pub(crate) looked_up_seq: u64,
    /// Whether an answer is only right if nothing newer is in the journal.
    pub(crate) is_unsure: bool,
}

/// Requests whose deciding failed by a fault of ours, by group and place.
#[derive(Default)]
pub(crate) struct Faults(BTreeSet<(usize, usize)>);

impl Draft {
    /// Decides a round on the newest state that this process has. None where that cannot be done
    /// with these look-ups or this state, and something must be read anew first.
    pub(crate) fn make(
        live: &Live,
        waiting: &[Waiting],
        known: &Known,
        faults: &mut Faults,
    ) -> Option<Draft> {
        let looked_up_seq = known.as_of;
        let mut core = live.core();
        if core.loaded.state.forgotten_seq() > looked_up_seq {
            return None;
        }
        let now = live.parts.now();
        core.loaded.state.begin(now);
        let mut drafting = Drafting::new(&mut core.loaded.state);
        let is_whole = drafting.decide_all(waiting, known, faults);
        let Drafting { decisions, bytes, pending, is_unsure, .. } = drafting;
        if !is_whole {
            // A fault left the state half changed; it is loaded anew.
            return None;
        }
        let state = &mut core.loaded.state;
        let mut entry = JournalEntry {
            seq: state.seq().saturating_add(1),
            batch: (live.parts.random)(),
            previous: 0,
            bytes: vec![],
        };
        if decisions.is_empty() {
            state.roll_back();
            return Some(Draft { decisions, pending, entry, looked_up_seq, is_unsure });
        }
        let content = Entry { time: state.time(), looked_up_seq, decisions };
        let plain = bytes.finish(content.time, looked_up_seq);
        entry.bytes = live.parts.formats.encode(&content, &plain);
        entry.previous = core.loaded.last_batch;
        let decisions = content.decisions;
        Some(Draft { decisions, pending, entry, looked_up_seq, is_unsure })
    }

    /// Whether nothing has to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }
}

/// The reservation that a command goes on with or ends.
pub(crate) fn reservation_of(command: &Command) -> Option<u128> {
    match command {
        Command::Track(event) => event.reservation,
        Command::Commit(commit) => Some(commit.reservation),
        Command::Release { reservation, .. } | Command::Extend { reservation, .. } => {
            Some(*reservation)
        }
        _ => None,
    }
}

/// What an entry has before its decisions, at most.
const HEAD_BYTES: usize = 64;

struct Drafting<'a> {
    state: &'a mut State,
    decisions: Vec<Decision>,
    pending: Vec<Vec<Pending>>,
    /// The decisions, encoded.
    bytes: EntryBytes,
    is_full: bool,
    is_unsure: bool,
}

impl<'a> Drafting<'a> {
    fn new(state: &'a mut State) -> Drafting<'a> {
        Drafting {
            state,
            decisions: vec![],
            pending: vec![],
            bytes: EntryBytes::default(),
            is_full: false,
            is_unsure: false,
        }
    }

    /// Decides everything that fits. False where a fault left the state half changed.
    fn decide_all(&mut self, waiting: &[Waiting], known: &Known, faults: &mut Faults) -> bool {
        if !self.let_happen_what_is_due() {
            return false;
        }
        let mut seen = known.seen.iter();
        for (group, waiting) in waiting.iter().enumerate() {
            // A group without requests asks whether the state is the newest.
            self.is_unsure |= waiting.group.requests.is_empty();
            let mut pending = vec![];
            let requests = waiting.group.requests.iter().enumerate().skip(waiting.answers.len());
            for (place, request) in requests {
                if self.is_full {
                    break;
                }
                let request = with_known(request, &mut seen, known);
                let decided = match faults.0.contains(&(group, place)) {
                    true => Ok(Some(Pending::Fault)),
                    false => self.decide_one(&request),
                };
                match decided {
                    Ok(Some(decided)) => pending.push(decided),
                    Ok(None) => break,
                    Err(()) => {
                        faults.0.insert((group, place));
                        return false;
                    }
                }
            }
            self.pending.push(pending);
        }
        true
    }

    /// What is due goes first. A flood of it fills a whole entry, and the round waits.
    fn let_happen_what_is_due(&mut self) -> bool {
        let Some(expired) = due(self.state) else { return true };
        self.bytes.push(&expired, usize::MAX, usize::MAX);
        let followed = catch_unwind(AssertUnwindSafe(|| self.state.apply(&expired)));
        self.decisions.push(expired);
        self.is_full = due(self.state).is_some();
        followed.is_ok()
    }

    /// Nothing where the entry is full; an error where following failed.
    fn decide_one(&mut self, request: &Request) -> Result<Option<Pending>, ()> {
        let Ok(verdict) = catch_unwind(AssertUnwindSafe(|| decide(self.state, request))) else {
            tracing::error!("a request could not be decided");
            return Ok(Some(Pending::Fault));
        };
        Ok(Some(match verdict {
            Verdict::Write(decision) => return self.follow(*decision, &request.command),
            Verdict::Repeat { seq } => Pending::Repeat(seq),
            Verdict::Unchanged => {
                self.is_unsure = true;
                Pending::Unchanged
            }
            Verdict::Refuse(refusal) => {
                self.is_unsure = true;
                Pending::Refused(refusal)
            }
        }))
    }

    fn follow(&mut self, decision: Decision, command: &Command) -> Result<Option<Pending>, ()> {
        let pushed = match self.decisions.len() < ENTRY_DECISIONS_MAX {
            true => self.bytes.push(&decision, ENTRY_BYTES_MAX / 2, ENTRY_BYTES_MAX - HEAD_BYTES),
            false => Pushed::Full,
        };
        match pushed {
            Pushed::Added => {}
            Pushed::TooLarge => return Ok(Some(Pending::Refused(Refusal::OutOfRange))),
            Pushed::Full => {
                self.is_full = true;
                return Ok(None);
            }
        }
        if catch_unwind(AssertUnwindSafe(|| self.state.apply(&decision))).is_err() {
            tracing::error!("a decision could not be followed");
            return Err(());
        }
        self.decisions.push(decision);
        // What its window had used before is summed up to exactly this entry.
        self.is_full |= matches!(command, Command::CreatePolicy(_));
        Ok(Some(Pending::Written(self.decisions.len() - 1)))
    }
}

/// The request with what the tables know of its identity and its reservation.
fn with_known<'r, 's>(
    request: &'r Request,
    seen: &mut impl Iterator<Item = &'s Option<Seen>>,
    known: &Known,
) -> Cow<'r, Request> {
    let seen = request.once.and_then(|_| seen.next().copied().flatten());
    let found = reservation_of(&request.command).and_then(|id| known.ended.get(&id));
    if seen.is_none() && found.is_none() {
        return Cow::Borrowed(request);
    }
    let mut request = request.clone();
    if let Some(once) = &mut request.once {
        once.seen = seen;
    }
    let Some(found) = found else { return Cow::Owned(request) };
    match &mut request.command {
        Command::Track(event) | Command::Commit(Commit { event, .. }) => {
            event.ended = Some(found.clone());
        }
        Command::Release { ended, .. } | Command::Extend { ended, .. } => *ended = Some(found.how),
        _ => {}
    }
    Cow::Owned(request)
}
