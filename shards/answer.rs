//! Answers: what became of a request, with the names that people know instead of numbers.
//!
//! They are made from the decision and nothing else, so that a repeat hears the same.

use engine::command::{EndedHow, Micros};
use engine::decision::flag;
use engine::policy::Unit;
use engine::{Decision, Outcome, Refusal, State};
use serde::{Deserialize, Serialize};

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What.
    pub result: Answered,
    /// Whether it was decided before, and this is the first answer again.
    pub is_repeat: bool,
}

/// What.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answered {
    /// Spend is booked.
    Booked(BookedAnswer),
    /// An estimate is held.
    Held(HeldAnswer),
    /// A reservation ended without spend.
    Released,
    /// A reservation lives until then.
    Extended {
        /// When it ends by itself.
        expires_at: Micros,
    },
    /// Done.
    Done,
    /// It was as asked already: nothing was written.
    Unchanged,
    /// It was counted before. Where it was decided too long ago, that is all that is known.
    Duplicate,
    /// No, and why.
    Refused(Refusal),
    /// It could not be decided, by a fault of ours; nothing was done.
    Fault,
}

/// Spend that is booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedAnswer {
    /// Where.
    pub path: String,
    /// Femtodollars.
    pub cost: i128,
    /// Whether something has no price.
    pub is_unpriced: bool,
    /// `unreserved`, `late`, `path_limit`, `incomplete`, …
    pub flags: Vec<String>,
    /// The reservation that ended with it.
    pub settled: Option<u128>,
    /// Who sold it.
    pub service: String,
    /// The canonical model.
    pub model: String,
}

/// An estimate that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAnswer {
    /// The reservation.
    pub reservation: u128,
    /// What is held on each policy.
    pub held: Vec<HeldOn>,
    /// When it ends by itself.
    pub expires_at: Micros,
    /// `bypassed`.
    pub flags: Vec<String>,
}

/// What is held on one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOn {
    /// The policy.
    pub policy: u128,
    /// In this unit.
    pub unit: Unit,
    /// How much.
    pub amount: i128,
}

/// Names of marks, by their bits.
const FLAGS: [(u32, &str); 7] = [
    (flag::UNRESERVED, "unreserved"),
    (flag::LATE, "late"),
    (flag::PATH_LIMIT, "path_limit"),
    (flag::UNPRICED, "unpriced"),
    (flag::INCOMPLETE, "incomplete"),
    (flag::BYPASSED, "bypassed"),
    (flag::OVER_ESTIMATE, "over_estimate"),
];

/// The names of the marks that are set.
#[must_use]
pub fn flag_names(flags: u32) -> Vec<String> {
    let set = FLAGS.iter().filter(|(bit, _)| flags & bit != 0);
    set.map(|(_, name)| (*name).to_owned()).collect()
}

/// The answer that a decision gives.
#[must_use]
pub fn answer(state: &State, decision: &Decision) -> Answered {
    match &decision.outcome {
        Outcome::Booked(booked) => Answered::Booked(BookedAnswer {
            path: state.path(booked.path).name.to_string(),
            cost: booked.measures.cost,
            is_unpriced: booked.measures.unpriced,
            flags: flag_names(booked.flags),
            settled: booked.settled,
            service: booked.service.clone(),
            model: booked.model.clone(),
        }),
        Outcome::Held(held) => {
            let on = held.amounts.iter().filter_map(|held| {
                let record = &state.policy(held.policy)?.record;
                Some(HeldOn { policy: record.id, unit: record.unit, amount: held.amount })
            });
            Answered::Held(HeldAnswer {
                reservation: held.reservation,
                held: on.collect(),
                expires_at: held.expires_at,
                flags: flag_names(held.flags),
            })
        }
        Outcome::Released { .. } => Answered::Released,
        Outcome::Extended { expires_at, .. } => Answered::Extended { expires_at: *expires_at },
        Outcome::Refused(refusal) => Answered::Refused(refusal.clone()),
        Outcome::Expired { .. }
        | Outcome::Adjusted(_)
        | Outcome::PathPut { .. }
        | Outcome::PathArchived { .. }
        | Outcome::PolicyMade { .. }
        | Outcome::PolicyBased { .. }
        | Outcome::PolicyChanged { .. }
        | Outcome::PolicyRemoved { .. }
        | Outcome::Configured(_)
        | Outcome::Skipped { .. }
        | Outcome::Closed => Answered::Done,
    }
}

/// Why a commit, a release or an extension cannot be, for the API.
#[must_use]
pub fn ended_code(how: EndedHow) -> &'static str {
    match how {
        EndedHow::Committed => "already_committed",
        EndedHow::Released => "already_released",
        EndedHow::Expired => "reservation_expired",
    }
}
