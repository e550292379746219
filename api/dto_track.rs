//! What became of reported events, as plain data.

use domain::fixed;
use engine::Refusal;
use serde::Serialize;
use shards::{Answer, Answered, BookedAnswer, PolicyStanding};
use utoipa::ToSchema;

use crate::{
    asking::refused,
    dto_policy::StandingView,
    error::{ApiError, Code, FieldError},
    schemas,
};

/// What became of a batch of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrackView {
    /// How many were booked.
    accepted: usize,
    /// How many were booked before.
    duplicates: usize,
    /// How many could not be booked.
    rejected: usize,
    /// One for each event, in order.
    results: Vec<EventResult>,
    /// Policies of the paths that were booked on under which nothing more may be begun.
    blocked: Vec<StandingView>,
}

/// What became of one event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventResult {
    /// Its id as it was sent; null where none could be read.
    id: Option<String>,
    #[schema(value_type = schemas::EventStatus)]
    status: &'static str,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    /// What is wrong and what would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Each wrong value, with its place within the event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// What was booked, in dollars; of an unpriced event the part that has a price, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
    /// True where something of it has no price, so that `cost` is not the whole.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unpriced: bool,
    /// What people should know: `unreserved`, `late`, `path_limit`, `inconsistent`,
    /// `body_too_large`, `body_not_kept`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
}

/// What was booked: its cost, whether that is not the whole, and flags.
pub(crate) struct CostTold {
    pub(crate) cost: Option<String>,
    pub(crate) unpriced: bool,
    pub(crate) flags: Vec<String>,
}

impl CostTold {
    /// Of a booking, with marks of its reading.
    pub(crate) fn new(booked: BookedAnswer, marks: Vec<String>) -> CostTold {
        let mut flags = booked.flags;
        flags.retain(|flag| flag != "unpriced");
        for mark in marks {
            if !flags.contains(&mark) {
                flags.push(mark);
            }
        }
        // No price is not a price of zero.
        let is_said = !booked.is_unpriced || booked.cost != 0;
        CostTold {
            cost: is_said.then(|| dollars(booked.cost)),
            unpriced: booked.is_unpriced,
            flags,
        }
    }
}

/// Femtodollars as decimal text.
pub(crate) fn dollars(femtos: i128) -> String {
    let mut text = String::new();
    fixed::write_decimal(femtos, &mut text).expect("memory takes what is written");
    text
}

impl EventResult {
    fn new(id: Option<String>, status: &'static str) -> EventResult {
        EventResult {
            id,
            status,
            code: None,
            detail: None,
            errors: vec![],
            cost: None,
            unpriced: false,
            flags: vec![],
        }
    }

    /// An event that could not be booked.
    pub(crate) fn rejected(id: Option<String>, error: ApiError) -> EventResult {
        let code = error.code();
        let (detail, errors) = error.told();
        let (code, detail) = (Some(code), Some(detail));
        EventResult { code, detail, errors, ..EventResult::new(id, "rejected") }
    }

    /// What a shard said of an event, with marks of its reading.
    pub(crate) fn answered(id: String, answer: Answer, marks: Vec<String>) -> EventResult {
        let status = if answer.is_repeat { "duplicate" } else { "accepted" };
        match answer.result {
            Answered::Booked(booked) => {
                let CostTold { cost, unpriced, flags } = CostTold::new(booked, marks);
                EventResult { cost, unpriced, flags, ..EventResult::new(Some(id), status) }
            }
            Answered::Duplicate => EventResult::new(Some(id), "duplicate"),
            Answered::Refused(refusal) => EventResult::rejected(Some(id), event_refused(&refusal)),
            Answered::Fault => {
                EventResult::rejected(Some(id), ApiError::internal(crate::asking::Undecided))
            }
            Answered::Held(_)
            | Answered::Released
            | Answered::Extended { .. }
            | Answered::Done
            | Answered::Unchanged => EventResult::new(Some(id), status),
        }
    }

    /// Whether it was rejected, and why.
    pub(crate) fn rejection(&self) -> Option<&str> {
        self.code.and(self.detail.as_deref())
    }
}

/// The problem that a refused event is.
fn event_refused(refusal: &Refusal) -> ApiError {
    refused(refusal)
}

impl TrackView {
    /// The whole of a batch.
    pub(crate) fn new(results: Vec<EventResult>, blocked: &[PolicyStanding]) -> TrackView {
        let count = |status| results.iter().filter(|result| result.status == status).count();
        TrackView {
            accepted: count("accepted"),
            duplicates: count("duplicate"),
            rejected: count("rejected"),
            blocked: blocked.iter().map(StandingView::from).collect(),
            results,
        }
    }
}
