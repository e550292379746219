//! Corrections as plain data: what was taken back, and what a new price changes.

use domain::EventId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::dto_track::dollars;

/// An event that was taken back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReversedView {
    /// The event.
    reversed: String,
    /// What its correction books, in dollars: what the event amounted to, negative.
    cost: String,
    /// Where.
    path: String,
    /// Marks of the correction. `unpriced`: that mark of the event is taken back too.
    flags: Vec<String>,
}

/// What a new price changes, or would change, of the events of one page.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct RepricedView {
    /// Whether nothing was booked.
    pub(crate) dry_run: bool,
    /// Events that were asked for.
    pub(crate) examined: u64,
    /// Of them: those whose cost changes, or that have a price now.
    pub(crate) changed: u64,
    /// Of them: those that were unpriced and have a price now.
    pub(crate) priced: u64,
    /// Of the examined ones: those that stay as they are.
    pub(crate) unchanged: u64,
    /// Those that are never repriced: taken back, with a cost that was stated, incomplete, or with
    /// something that prices do not know.
    pub(crate) skipped: u64,
    /// Those that somebody else corrected at the same time: ask again.
    pub(crate) conflicts: u64,
    /// By how much the costs change, in dollars.
    pub(crate) difference: String,
    /// The same by service and model.
    pub(crate) changes: Vec<RepricedModelView>,
    /// Where to go on, as `cursor`; null where this was the last page.
    pub(crate) next_cursor: Option<String>,
}

/// What a new price changes of one model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RepricedModelView {
    /// Who sold it.
    pub(crate) service: String,
    /// The canonical model.
    pub(crate) model: String,
    /// Events.
    pub(crate) events: u64,
    /// In dollars.
    pub(crate) difference: String,
}

impl ReversedView {
    /// Of an event and its correction.
    pub(crate) fn new(id: EventId, cost: i128, path: String, flags: Vec<String>) -> ReversedView {
        ReversedView { reversed: id.to_string(), cost: dollars(cost), path, flags }
    }
}
