//! Choosing: what a request does to the state, or why it does nothing. Nothing is changed here.

use crate::command::{Command, Once, Request};
use crate::decision::{Decision, Outcome, Refusal, Verdict};
use crate::state::State;

/// Most reservations that one decision ends because their time is over.
pub const EXPIRED_MAX: usize = 1_000;

/// What to do about a request, at the time of the batch that was begun. The caller has let happen
/// what was due: see [`due`].
///
/// A refusal that does not write anything is true only if the state is the newest one; whoever
/// answers with it makes sure of that.
#[must_use]
pub fn decide(state: &State, request: &Request) -> Verdict {
    if let Some(once) = &request.once
        && let Some(verdict) = repeated(state, once)
    {
        return verdict;
    }
    if state.closed {
        return match request.command == Command::Close {
            true => Verdict::Unchanged,
            false => Verdict::Refuse(Refusal::Closed),
        };
    }
    let chosen = match &request.command {
        Command::Track(event) => state.decide_track(event),
        Command::Reserve(reserve) => state.decide_reserve(reserve),
        Command::Commit(commit) => state.decide_commit(commit),
        Command::Release { reservation, ended } => state.decide_release(*reservation, *ended),
        Command::Extend { reservation, ttl, ended } => {
            state.decide_extend(*reservation, *ttl, *ended)
        }
        Command::Correct(correct) => state.decide_correct(correct),
        Command::Adjust(adjust) => state.decide_adjust(adjust),
        Command::PutPath(put) => state.decide_put_path(put),
        Command::ArchivePath { path, archived } => state.decide_archive(path, *archived),
        Command::CreatePolicy(policy) => state.decide_create_policy(policy),
        Command::EnterBase { policy, made_seq, parts } => {
            state.decide_base((*policy, *made_seq), parts)
        }
        Command::ChangePolicy { policy, change } => state.decide_change_policy(*policy, change),
        Command::RemovePolicy { policy } => state.decide_remove_policy(*policy),
        Command::Configure(settings) => state.decide_configure(settings),
        Command::Tick => Ok(due(state).map(|decision| decision.outcome)),
        Command::Close => Ok(Some(Outcome::Closed)),
    };
    let write = |outcome| {
        Verdict::Write(Box::new(Decision {
            once: request.once.map(|once| (once.identity, once.body)),
            actor: request.actor.clone(),
            outcome,
        }))
    };
    match chosen {
        Ok(Some(outcome)) => write(outcome),
        Ok(None) => Verdict::Unchanged,
        Err(refusal) if request.is_refusal_kept() => write(Outcome::Refused(refusal)),
        Err(refusal) => Verdict::Refuse(refusal),
    }
}

/// What happens by itself at the batch's time: reservations whose time is over end, in the order in
/// which they were due, [`EXPIRED_MAX`] at a time. None where nothing is due. Where more is due
/// than one batch may end, the rest goes first in the next ones: what has not been ended holds
/// nothing any more, but every look at it costs. In a journal that is closed nothing is due.
#[must_use]
pub fn due(state: &State) -> Option<Decision> {
    if state.closed {
        return None;
    }
    let until = (state.time, u128::MAX);
    let expired = state.due.range(..=until).take(EXPIRED_MAX).map(|(_, id)| *id);
    let reservations: Vec<u128> = expired.collect();
    (!reservations.is_empty()).then(|| Decision {
        once: None,
        actor: vec![],
        outcome: Outcome::Expired { reservations },
    })
}

/// What an identity that was seen before leads to.
fn repeated(state: &State, once: &Once) -> Option<Verdict> {
    let remembered = state.remembered(&once.identity).map(|found| (found.body, found.seq));
    let (body, seq) = remembered.or(once.seen.map(|seen| (seen.body, seen.seq)))?;
    Some(match body == once.body {
        true => Verdict::Repeat { seq },
        false => Verdict::Refuse(Refusal::Conflict),
    })
}

impl Request {
    /// A refused event is not kept: sent again it may be right. A refused call about a reservation
    /// under a key is, so that its repeat hears the same.
    fn is_refusal_kept(&self) -> bool {
        match self.command {
            Command::Reserve(_)
            | Command::Commit(_)
            | Command::Release { .. }
            | Command::Extend { .. } => self.once.is_some(),
            Command::Track(_)
            | Command::Correct(_)
            | Command::Adjust(_)
            | Command::PutPath(_)
            | Command::ArchivePath { .. }
            | Command::CreatePolicy(_)
            | Command::EnterBase { .. }
            | Command::ChangePolicy { .. }
            | Command::RemovePolicy { .. }
            | Command::Configure(_)
            | Command::Tick
            | Command::Close => false,
        }
    }
}
