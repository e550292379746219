//! Events read from the facts, block by block, the newest first, decoded off the async threads.

use domain::{Path, Window};
use jiff::Timestamp;
use shards::answer::flag_names;
use shards::facts::{EventBlock, EventPlace, EventRow};
use store::{
    Store,
    facts::{BlockQuery, FactsBlock},
    journal::Shard,
};

use crate::{reported_sums::failed, reports::ReportError};

/// Blocks that are in memory at once.
const BLOCKS_AT_ONCE: usize = 16;
/// Blocks that one request looks through at most; where they have too few events the page ends.
const BLOCKS_MAX: usize = 512;

/// Which events.
#[derive(Debug, Clone)]
pub(crate) struct EventQuery {
    /// When they happened.
    pub(crate) window: Window,
    /// That path and below.
    pub(crate) path: Path,
    pub(crate) service: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) key: Option<u128>,
    pub(crate) end_user: Option<u64>,
    pub(crate) flag: Option<String>,
    /// Most rows.
    pub(crate) limit: usize,
    /// Only those in front of this place of the journal.
    pub(crate) before: Option<(u64, u32)>,
}

/// A page of events, the newest first.
#[derive(Debug, Default)]
pub(crate) struct EventPage {
    pub(crate) rows: Vec<EventRow>,
    /// Where the next page begins: in front of this place.
    pub(crate) next: Option<(u64, u32)>,
}

/// Lists events. Pages follow the journal, so new events do not move them.
pub(crate) async fn list_events(
    store: &dyn Store,
    shard: Shard,
    query: EventQuery,
) -> Result<EventPage, ReportError> {
    let mut page = EventPage::default();
    let mut asked = BlockQuery {
        start: query.window.start.as_microsecond(),
        end: query.window.end.as_microsecond(),
        before_seq: u64::MAX,
        limit: BLOCKS_AT_ONCE,
    };
    if let Some((seq, _)) = query.before {
        asked.before_seq = seq;
        // The block that the page before ended in.
        let block = store.event_block_of(shard, seq).await.map_err(ReportError::Store)?;
        if let Some(block) = block {
            asked.before_seq = block.first_seq;
            page = add_blocks(&query, page, vec![block]).await?;
        }
    }
    for _ in 0..BLOCKS_MAX / BLOCKS_AT_ONCE {
        if page.next.is_some() {
            return Ok(page);
        }
        let blocks = store.event_blocks(shard, asked).await.map_err(ReportError::Store)?;
        let is_last = blocks.len() < asked.limit;
        if let Some(oldest) = blocks.last() {
            asked.before_seq = oldest.first_seq;
        }
        page = add_blocks(&query, page, blocks).await?;
        if is_last {
            return Ok(page);
        }
    }
    page.next.get_or_insert((asked.before_seq, 0));
    Ok(page)
}

/// The event at a place.
pub(crate) async fn find_event(
    store: &dyn Store,
    shard: Shard,
    place: EventPlace,
) -> Result<Option<EventRow>, ReportError> {
    let block = store.event_block_of(shard, place.seq).await.map_err(ReportError::Store)?;
    let Some(block) = block else { return Ok(None) };
    let decoding = tokio::task::spawn_blocking(move || EventBlock::decode(&block.bytes));
    let rows = decoding.await.map_err(failed)?.map_err(failed)?.events;
    // A journal that was begun anew may have another event at the place of one that was lost.
    let is_it = |row: &EventRow| {
        (row.seq, row.index) == (place.seq, place.index)
            && row.arrived_at.div_euclid(1000) == place.arrived_at_ms
    };
    Ok(rows.into_iter().find(is_it))
}

async fn add_blocks(
    query: &EventQuery,
    mut page: EventPage,
    blocks: Vec<FactsBlock>,
) -> Result<EventPage, ReportError> {
    let query = query.clone();
    let adding = tokio::task::spawn_blocking(move || {
        for block in blocks {
            let rows = EventBlock::decode(&block.bytes).map_err(failed)?.events;
            for row in rows.into_iter().rev().filter(|row| query.asks_for(row)) {
                if let Some(last) = page.rows.get(query.limit.saturating_sub(1)) {
                    page.next = Some((last.seq, last.index));
                    return Ok(page);
                }
                page.rows.push(row);
            }
        }
        Ok(page)
    });
    adding.await.map_err(failed)?
}

/// All marks of an event: those of its booking, and those of the reading of its usage.
pub(crate) fn flags_of(row: &EventRow) -> Vec<String> {
    let mut flags = flag_names(row.flags);
    flags.extend(row.detail.marks.iter().cloned());
    flags
}

impl EventQuery {
    /// Whether it is one of them.
    pub(crate) fn asks_for(&self, row: &EventRow) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let at = Timestamp::from_microsecond(row.at);
        self.before.is_none_or(|before| (row.seq, row.index) < before)
            && at.is_ok_and(|at| self.window.contains(at))
            && self.path.holds(&row.path)
            && is(&self.service, &row.service)
            && is(&self.model, &row.model)
            && self.key.is_none_or(|key| row.detail.key == Some(key))
            && self.end_user.is_none_or(|number| row.detail.end_user == Some(number))
            && self.flag.as_ref().is_none_or(|flag| flags_of(row).contains(flag))
    }
}
