//! Corrections of events that were booked: what an event amounts to with everything that corrected
//! it since, and the command that corrects it once more.
//!
//! An event's corrections are numbered, and a correction's identity is the event and its number.
//! Whoever has not seen the newest one yet asks for a number that is taken, and is refused: so two
//! that are made at the same time, on one node or on two, never both count.

use std::collections::BTreeMap;

use engine::{
    Command, Event, Measures, Request,
    command::{Correct, Identity, Micros, Once},
};
use shards::{
    EventDetail,
    detail::Source,
    facts::{EventBlock, EventRow, event_id},
    ids::{self, BodyHash},
};
use store::{
    Store,
    facts::{BlockQuery, FactsBlock},
    journal::Shard,
};

use crate::{asking::request, auth::Caller, reported_sums::failed, reports::ReportError};

/// Blocks that are in memory at once.
const BLOCKS_AT_ONCE: usize = 16;

/// An event as it stands.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// As it was booked.
    pub(crate) row: EventRow,
    /// What it amounts to now, everything that corrected it included.
    pub(crate) now: Measures,
    /// What took it back, where something did.
    pub(crate) reversal: Option<Box<EventRow>>,
    correction_count: u32,
}

/// What a correction is told apart by.
type Corrected = (Identity, Micros);

impl Standing {
    fn new(row: EventRow) -> Standing {
        let now = row.measures;
        Standing { row, now, reversal: None, correction_count: 0 }
    }

    fn add(&mut self, correction: EventRow) {
        let added = correction.measures;
        self.now.cost = self.now.cost.saturating_add(added.cost);
        self.now.credits = self.now.credits.saturating_add(added.credits);
        self.now.requests = self.now.requests.saturating_add(added.requests);
        self.now.tokens = self.now.tokens.saturating_add(added.tokens);
        // A correction with that mark takes it back.
        self.now.unpriced &= !added.unpriced;
        self.correction_count = self.correction_count.saturating_add(1);
        if correction.detail.source == Source::Reversal {
            self.reversal = Some(Box::new(correction));
        }
    }

    /// Everything about the event that a correction of it shares, so that their sums meet.
    pub(crate) fn detail(&self, source: Source, reason: String) -> EventDetail {
        EventDetail {
            source,
            reason: Some(reason),
            latency_ms: None,
            time_to_first_token_ms: None,
            body: None,
            marks: vec![],
            ..self.row.detail.clone()
        }
    }

    /// What books the next correction. `body` tells it from another one with the same number.
    pub(crate) fn correct(
        &self,
        caller: &Caller,
        difference: Measures,
        detail: &EventDetail,
        body: &[u8],
    ) -> Request {
        let row = &self.row;
        let event = Event {
            service: row.service.clone(),
            model: row.model.clone(),
            measures: difference,
            detail: detail.encode(),
            ..Event::empty(row.at, &row.path)
        };
        let id = event_id(row.arrived_at, row.seq, row.index);
        let numbered = format!("{id}/{}", self.correction_count);
        let identity = ids::Identity::of(b"correction", numbered.as_bytes()).0;
        let once = Once { identity, body: BodyHash::of(body).0, seen: None };
        let (of, windows) = (row.identity, row.counted.clone());
        request(caller, Some(once), Command::Correct(Correct { event, of, windows }))
    }
}

/// Events as they stand, in the order of the rows. None of the rows is a correction.
///
/// A correction has the time of what it corrects, and comes after it in the journal: only blocks
/// where both fit are looked through.
pub(crate) async fn standings(
    store: &dyn Store,
    shard: Shard,
    rows: Vec<EventRow>,
) -> Result<Vec<Standing>, ReportError> {
    let ats = || rows.iter().map(|row| row.at);
    let Some((start, last)) = ats().min().zip(ats().max()) else { return Ok(vec![]) };
    let oldest = rows.iter().map(|row| row.seq).min().unwrap_or(0);
    let places: BTreeMap<Corrected, usize> =
        rows.iter().enumerate().map(|(place, row)| ((row.identity, row.at), place)).collect();
    let mut standings: Vec<Standing> = rows.into_iter().map(Standing::new).collect();
    let end = last.saturating_add(1);
    let mut asked = BlockQuery { start, end, before_seq: u64::MAX, limit: BLOCKS_AT_ONCE };
    loop {
        let blocks = store.event_blocks(shard, asked).await.map_err(ReportError::Store)?;
        let is_full = blocks.len() >= asked.limit;
        if let Some(block) = blocks.last() {
            asked.before_seq = block.first_seq;
        }
        let is_last = !is_full || asked.before_seq <= oldest;
        for correction in corrections_in(blocks).await? {
            let of = correction.corrects.map(|of| (of, correction.at));
            let place = of.and_then(|of| places.get(&of));
            if let Some(standing) = place.and_then(|place| standings.get_mut(*place)) {
                standing.add(correction);
            }
        }
        if is_last {
            return Ok(standings);
        }
    }
}

async fn corrections_in(blocks: Vec<FactsBlock>) -> Result<Vec<EventRow>, ReportError> {
    let decoding = tokio::task::spawn_blocking(move || {
        let mut corrections = vec![];
        for block in blocks {
            let rows = EventBlock::decode(&block.bytes).map_err(failed)?.events;
            corrections.extend(rows.into_iter().filter(|row| row.corrects.is_some()));
        }
        Ok(corrections)
    });
    decoding.await.map_err(failed)?
}
