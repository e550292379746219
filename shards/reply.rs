//! Replies: what everybody of a round hears once its entry is durable.

use std::collections::BTreeSet;

use engine::{Command, Decision};
use store::StoreError;

use crate::answer::{Answer, Answered, answer};
use crate::caps::{Done, Position};
use crate::draft::{Draft, Pending};
use crate::error::ShardError;
use crate::live::Live;
use crate::question::{PolicyStanding, standing};
use crate::queue::Waiting;

/// Answers groups that are finished; the others go back to the head of their queues.
pub(crate) async fn finish(live: &Live, waiting: &mut Vec<Waiting>, draft: Draft) {
    let Draft { decisions, pending, .. } = draft;
    let mut unfinished = vec![];
    for (mut waiting, pending) in waiting.drain(..).zip(pending) {
        let mut is_known = true;
        for pending in pending {
            let request = &waiting.group.requests[waiting.answers.len()];
            let answered = match pending {
                Pending::Written(place) => {
                    first(answer(&live.core().loaded.state, &decisions[place]))
                }
                Pending::Repeat(seq) => {
                    let identity = request.once.map(|once| once.identity);
                    let is_event = matches!(request.command, Command::Track(_));
                    match repeat(live, seq, identity.filter(|_| !is_event)).await {
                        Ok(answer) => answer,
                        Err(error) => {
                            tracing::warn!(shard = ?live.shard, error = %error, "not repeated");
                            is_known = false;
                            break;
                        }
                    }
                }
                Pending::Unchanged => first(Answered::Unchanged),
                Pending::Refused(refusal) => first(Answered::Refused(refusal)),
                Pending::Fault => first(Answered::Fault),
            };
            waiting.answers.push(answered);
        }
        match waiting.answers.len() < waiting.group.requests.len() {
            // The same again gets all answers.
            _ if !is_known => drop(waiting.reply.send(Err(ShardError::OutcomeUnknown))),
            true => unfinished.push(waiting),
            false => send(live, waiting),
        }
    }
    for waiting in unfinished.into_iter().rev() {
        live.queue.put_back(waiting);
    }
}

/// Tells groups why nothing was done. What was decided of them in earlier rounds stays; the same
/// ids again get those answers.
pub(crate) fn refuse(waiting: Vec<Waiting>, error: &ShardError) {
    for waiting in waiting {
        let error = match waiting.answers.is_empty() {
            true => error.clone(),
            false => ShardError::OutcomeUnknown,
        };
        // Nobody listens any more where this fails.
        let _gone = waiting.reply.send(Err(error));
    }
}

fn first(result: Answered) -> Answer {
    Answer { result, is_repeat: false }
}

fn send(live: &Live, waiting: Waiting) {
    let now = live.parts.now();
    let core = live.core();
    let state = &core.loaded.state;
    let position = Position { incarnation: core.loaded.incarnation, seq: state.seq() };
    let mut blocked: Vec<PolicyStanding> = vec![];
    let mut met = BTreeSet::new();
    let mut asked = BTreeSet::new();
    let requests = waiting.group.requests.iter().filter(|_| waiting.group.with_blocked);
    for request in requests {
        let event = match &request.command {
            Command::Track(event) => event,
            Command::Commit(commit) => &commit.event,
            _ => continue,
        };
        if !asked.insert((&event.path, &event.service, &event.model)) {
            continue;
        }
        for view in state.policies_met(&event.path, &event.service, &event.model, now) {
            if view.is_exhausted && met.insert(view.number) {
                blocked.push(standing(&view));
            }
        }
    }
    drop(core);
    // Nobody listens any more where this fails.
    let _gone = waiting.reply.send(Ok(Done { answers: waiting.answers, position, blocked }));
}

/// The first answer again, from its stored decision. An event needs to hear only that it was
/// counted; so does whoever asks when the entry is gone.
async fn repeat(live: &Live, seq: u64, identity: Option<[u8; 16]>) -> Result<Answer, StoreError> {
    let found = match identity {
        Some(identity) => find(live, seq, identity).await?,
        None => None,
    };
    let result = match found {
        Some(decision) => answer(&live.core().loaded.state, &decision),
        None => Answered::Duplicate,
    };
    Ok(Answer { result, is_repeat: true })
}

async fn find(live: &Live, seq: u64, identity: [u8; 16]) -> Result<Option<Decision>, StoreError> {
    let incarnation = live.core().loaded.incarnation;
    let before = seq.saturating_sub(1);
    let entries = live.parts.store.entries(live.shard, incarnation, before, 1).await?;
    let entry = entries.into_iter().find(|entry| entry.seq == seq);
    let decoded = entry.and_then(|entry| live.parts.formats.decode(&entry.bytes).ok());
    let decisions = decoded.map_or(vec![], |entry| entry.decisions);
    let is_it = |decision: &Decision| decision.once.is_some_and(|(of, _)| of == identity);
    Ok(decisions.into_iter().find(is_it))
}
