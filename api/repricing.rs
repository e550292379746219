//! What a new price makes of stored events: each is priced once more, at its own time and from its
//! own quantities, and the difference to what it amounts to now is a correction.

use std::{collections::BTreeMap, sync::Arc};

use engine::{Measures, Request, command::AMOUNT_MAX, decision::flag};
use shards::{
    detail::Source,
    facts::{EventBlock, EventRow},
};
use store::{
    Store,
    facts::{BlockQuery, FactsBlock},
    journal::Shard,
};

use crate::{
    auth::Caller,
    corrections::{Standing, standings},
    dto_correction::{RepricedModelView, RepricedView},
    dto_track::dollars,
    pricing::Books,
    reported_events::EventQuery,
    reported_sums::failed,
    reports::ReportError,
    stored_call::stored_call,
};

/// Blocks that are in memory at once.
const BLOCKS_AT_ONCE: usize = 16;
/// Blocks that one page looks through at most.
const BLOCKS_MAX: usize = 256;
/// A page ends with the blocks that bring it so many events.
const EVENTS_MAX: usize = 2_000;

/// Events whose price is asked for again.
pub(crate) struct RepriceQuery {
    /// Which events; pages begin before the entry `before`.
    pub(crate) events: EventQuery,
    /// Only those without a whole price.
    pub(crate) only_unpriced: bool,
}

/// What becomes of an event.
pub(crate) enum Repriced {
    /// It is never repriced.
    Skipped,
    /// Its price is what it was.
    Unchanged,
    /// A correction.
    Changed(Box<Change>),
}

/// A correction to be booked.
pub(crate) struct Change {
    pub(crate) service: String,
    pub(crate) model: String,
    /// In femtodollars.
    pub(crate) difference: i128,
    /// Whether it was unpriced and is not any more.
    pub(crate) is_priced_now: bool,
    pub(crate) request: Request,
}

/// A page of events, the newest entries first, and before which entry the next one begins.
pub(crate) async fn events_to_reprice(
    store: &dyn Store,
    shard: Shard,
    query: &RepriceQuery,
) -> Result<(Vec<EventRow>, Option<u64>), ReportError> {
    let mut rows = vec![];
    let mut asked = BlockQuery {
        start: query.events.window.start.as_microsecond(),
        end: query.events.window.end.as_microsecond(),
        before_seq: query.events.before.map_or(u64::MAX, |(seq, _)| seq),
        limit: BLOCKS_AT_ONCE,
    };
    for _ in 0..BLOCKS_MAX / BLOCKS_AT_ONCE {
        let mut blocks = store.event_blocks(shard, asked).await.map_err(ReportError::Store)?;
        let mut is_last = blocks.len() < asked.limit;
        // Whole blocks only, but not many more events than a page has.
        let mut row_count = rows.len();
        let fitting = blocks.iter().take_while(|block| {
            let fits = row_count < EVENTS_MAX;
            row_count = row_count.saturating_add(usize::try_from(block.row_count).unwrap_or(0));
            fits
        });
        let fitting = fitting.count();
        is_last &= fitting == blocks.len();
        blocks.truncate(fitting);
        if let Some(oldest) = blocks.last() {
            asked.before_seq = oldest.first_seq;
        }
        rows.extend(rows_of(query, blocks).await?);
        if is_last {
            return Ok((rows, None));
        }
        if rows.len() >= EVENTS_MAX {
            break;
        }
    }
    Ok((rows, Some(asked.before_seq)))
}

async fn rows_of(
    query: &RepriceQuery,
    blocks: Vec<FactsBlock>,
) -> Result<Vec<EventRow>, ReportError> {
    let (events, only_unpriced) = (query.events.clone(), query.only_unpriced);
    let decoding = tokio::task::spawn_blocking(move || {
        let mut rows = vec![];
        for block in blocks {
            let found = EventBlock::decode(&block.bytes).map_err(failed)?.events;
            rows.extend(found.into_iter().filter(|row| {
                row.corrects.is_none()
                    && (row.measures.unpriced || !only_unpriced)
                    && events.asks_for(row)
            }));
        }
        Ok(rows)
    });
    decoding.await.map_err(failed)?
}

/// What becomes of each event by today's prices.
pub(crate) async fn reprice(
    store: &dyn Store,
    shard: Shard,
    rows: Vec<EventRow>,
    books: Arc<Books>,
    caller: &Caller,
) -> Result<Vec<Repriced>, ReportError> {
    let standings = standings(store, shard, rows).await?;
    let caller = caller.clone();
    let pricing = tokio::task::spawn_blocking(move || {
        let one = |standing: Standing| reprice_one(&standing, &books, &caller);
        standings.into_iter().map(one).collect()
    });
    pricing.await.map_err(failed)
}

fn reprice_one(standing: &Standing, books: &Books, caller: &Caller) -> Repriced {
    let row = &standing.row;
    let is_told = |mark: &str| row.detail.marks.iter().any(|told| told == mark);
    let is_other = standing.reversal.is_some()
        || row.flags & flag::INCOMPLETE != 0
        || is_told("stated_cost")
        || is_told("inconsistent");
    let call = if is_other { None } else { stored_call(row) };
    let Some(Ok(priced)) = call.as_ref().map(|call| call.priced(books)) else {
        return Repriced::Skipped;
    };
    let (cost, is_whole) = priced.dollars();
    let now = standing.now;
    let is_priced_now = now.unpriced && is_whole;
    let difference = cost.saturating_sub(now.cost);
    let fits = cost <= AMOUNT_MAX && difference.saturating_abs() <= AMOUNT_MAX;
    match is_whole {
        // A price that is gone makes nothing unpriced that had one.
        false if !now.unpriced => return Repriced::Skipped,
        // What was held for it stands until everything has a price.
        false if row.settled.is_some() => return Repriced::Unchanged,
        _ if !fits => return Repriced::Skipped,
        _ if difference == 0 && !is_priced_now => return Repriced::Unchanged,
        _ => {}
    }
    let used = priced.estimate.used;
    let mut detail = standing.detail(Source::Reprice, "a price came or changed".to_owned());
    detail.quantities = vec![];
    detail.price_row = used.map(|used| used.row_name());
    detail.catalogue = used.map(|_| books.catalogue.id().to_owned());
    let measures = Measures { cost: difference, unpriced: is_priced_now, ..Measures::default() };
    let body = format!("reprice {cost} {is_whole}");
    let request = standing.correct(caller, measures, &detail, body.as_bytes());
    let (service, model) = (row.service.clone(), row.model.clone());
    Repriced::Changed(Box::new(Change { service, model, difference, is_priced_now, request }))
}

/// What changes, added up.
#[derive(Default)]
pub(crate) struct Tally {
    view: RepricedView,
    total: i128,
    by_model: BTreeMap<(String, String), (u64, i128)>,
}

impl Tally {
    pub(crate) fn examined(&mut self) {
        self.view.examined += 1;
    }

    pub(crate) fn skipped(&mut self) {
        self.view.skipped += 1;
    }

    pub(crate) fn unchanged(&mut self) {
        self.view.unchanged += 1;
    }

    pub(crate) fn conflict(&mut self) {
        self.view.conflicts += 1;
    }

    pub(crate) fn changed(&mut self, change: Change) {
        self.view.changed += 1;
        self.view.priced += u64::from(change.is_priced_now);
        self.total = self.total.saturating_add(change.difference);
        let (events, sum) = self.by_model.entry((change.service, change.model)).or_default();
        *events += 1;
        *sum = sum.saturating_add(change.difference);
    }

    pub(crate) fn finish(self, dry_run: bool, next_cursor: Option<String>) -> RepricedView {
        let changes = self.by_model.into_iter().map(|((service, model), (events, difference))| {
            RepricedModelView { service, model, events, difference: dollars(difference) }
        });
        RepricedView {
            dry_run,
            difference: dollars(self.total),
            changes: changes.collect(),
            next_cursor,
            ..self.view
        }
    }
}
