//! Events as one block: every column by itself, what repeats only once, all of it compressed.
//!
//! Beside events it has the reservations that ended without spend, so that a commit that comes days
//! later still finds which windows had admitted it. Format 1; a new one gets another number.

use engine::Measures;
use engine::command::{Ended, EndedHow, Identity, Micros, PathNo, PolicyNo, WindowNo};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::row_columns::{Column, Numbers, at, from_steps, steps};
use super::run_record::event_identity;
use super::{FactsError, sealed};
use crate::detail::{CallSite, EventDetail, Source, UnitName};

const FORMAT: u8 = 1;

/// One event, or a correction of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The journal entry.
    pub seq: u64,
    /// Its place among the entry's decisions.
    pub index: u32,
    /// When it happened.
    pub at: Micros,
    /// When it was decided.
    pub arrived_at: Micros,
    /// What a correction of it names.
    pub identity: Identity,
    /// Where it belongs, as the engine numbers it.
    pub path_no: PathNo,
    /// Where it belongs.
    pub path: String,
    /// Who sold it.
    pub service: String,
    /// The canonical model.
    pub model: String,
    /// What was booked.
    pub measures: Measures,
    /// Windows that counted it.
    pub counted: Vec<(PolicyNo, WindowNo)>,
    /// The reservation that ended with it.
    pub settled: Option<u128>,
    /// What it corrects.
    pub corrects: Option<Identity>,
    /// Marks, as [`engine::decision::flag`] has them.
    pub flags: u32,
    /// Everything else.
    pub detail: EventDetail,
}

/// A reservation that ended without spend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRow {
    /// The journal entry.
    pub seq: u64,
    /// Which reservation.
    pub reservation: u128,
    /// How and where.
    pub ended: Ended,
}

/// A block's rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventBlock {
    /// Events in the order of the journal.
    pub events: Vec<EventRow>,
    /// Reservations that ended without spend, in the order of the journal.
    pub ended: Vec<EndedRow>,
}

/// How a reservation ended, by the block that has the entry in which it did.
///
/// # Errors
/// [`FactsError`] where the block is damaged.
pub fn find_ended(block: &[u8], reservation: u128) -> Result<Option<Ended>, FactsError> {
    let block = EventBlock::decode(block)?;
    // A late commit may be in the block of the expiry that it follows, and is the last word.
    let settled = block.events.into_iter().find(|row| row.settled == Some(reservation));
    if let Some(EventRow { seq, arrived_at, path_no, service, model, counted, .. }) = settled {
        let how = EndedHow::Committed;
        let (at, path, windows) = (arrived_at, path_no, counted);
        // What was to be consumed matters only while it may still be committed.
        let estimate = Measures::default();
        return Ok(Some(Ended { how, at, path, service, model, estimate, windows, seq }));
    }
    let ended = block.ended.into_iter().find(|row| row.reservation == reservation);
    Ok(ended.map(|row| row.ended))
}

/// The block in columns.
#[derive(Serialize, Deserialize)]
struct Columns {
    seqs: Vec<i64>,
    indexes: Vec<i64>,
    arrived_ats: Vec<i64>,
    /// How long before its arrival it happened.
    ages: Vec<i64>,
    identities: Column<Named>,
    other_identities: Vec<Identity>,
    paths: Column<(PathNo, String)>,
    services: Column<String>,
    models: Column<String>,
    costs: Numbers,
    are_unpriced: Column<bool>,
    credits: Numbers,
    requests: Column<i64>,
    tokens: Vec<i64>,
    counted: Column<Vec<(PolicyNo, WindowNo)>>,
    settled: Vec<(u32, [u8; 16])>,
    corrects: Vec<(u32, Identity)>,
    flags: Column<u32>,
    details: DetailColumns,
    ended: Vec<EndedRow>,
}

/// Whether an identity follows from the event's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Named {
    /// It does.
    ById,
    /// It does not: the next of the other identities.
    Otherwise,
}

/// Details in columns.
#[derive(Serialize, Deserialize)]
struct DetailColumns {
    sources: Column<Source>,
    ids: Vec<IdText>,
    keys: Column<Option<u128>>,
    named_models: Column<Option<String>>,
    units: Column<Vec<UnitName>>,
    /// Row after row, unit after unit.
    quantities: Numbers,
    price_rows: Column<Option<String>>,
    catalogues: Column<Option<String>>,
    contexts: Column<Vec<(String, String)>>,
    latencies_ms: Vec<Option<u32>>,
    times_to_first_token_ms: Vec<Option<u32>>,
    call_sites: Column<Option<CallSite>>,
    end_users: Column<Option<u64>>,
    provider_request_ids: Vec<Option<IdText>>,
    tags: Column<Vec<(String, String)>>,
    bodies: Vec<Option<u128>>,
    marks: Column<Vec<String>>,
    reasons: Column<Option<String>>,
}

/// An id: a UUID in its usual form takes less than half of its text.
#[derive(Serialize, Deserialize)]
enum IdText {
    Text(String),
    Uuid([u8; 16]),
}

impl EventBlock {
    /// The block's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        sealed::seal(FORMAT, &Columns::of(self))
    }

    /// Reads a block.
    ///
    /// # Errors
    /// [`FactsError`] where it is damaged, or of another release.
    pub fn decode(bytes: &[u8]) -> Result<EventBlock, FactsError> {
        sealed::open::<Columns>(FORMAT, bytes)?.rows()
    }
}

impl Columns {
    fn of(block: &EventBlock) -> Columns {
        let rows = || block.events.iter();
        let named = |row: &EventRow| match row.identity == event_identity(&row.detail.id).0 {
            true => Named::ById,
            false => Named::Otherwise,
        };
        let identities: Vec<_> = rows().map(named).collect();
        let others = rows().zip(&identities).filter(|(_, named)| **named == Named::Otherwise);
        let paths: Vec<_> = rows().map(|row| (row.path_no, row.path.clone())).collect();
        let numbered = || (0_u32..).zip(rows());
        let settled =
            numbered().filter_map(|(place, row)| Some((place, row.settled?.to_be_bytes())));
        Columns {
            seqs: steps(rows().map(|row| row.seq.cast_signed())),
            indexes: steps(rows().map(|row| i64::from(row.index))),
            arrived_ats: steps(rows().map(|row| row.arrived_at)),
            ages: rows().map(|row| row.arrived_at.wrapping_sub(row.at)).collect(),
            other_identities: others.map(|(row, _)| row.identity).collect(),
            identities: Column::of(identities.iter()),
            paths: Column::of(paths.iter()),
            services: Column::of(rows().map(|row| &row.service)),
            models: Column::of(rows().map(|row| &row.model)),
            costs: Numbers::of(rows().map(|row| row.measures.cost)),
            are_unpriced: Column::of(rows().map(|row| &row.measures.unpriced)),
            credits: Numbers::of(rows().map(|row| row.measures.credits)),
            requests: Column::of(rows().map(|row| &row.measures.requests)),
            tokens: rows().map(|row| row.measures.tokens).collect(),
            counted: Column::of(rows().map(|row| &row.counted)),
            settled: settled.collect(),
            corrects: numbered().filter_map(|(place, row)| Some((place, row.corrects?))).collect(),
            flags: Column::of(rows().map(|row| &row.flags)),
            details: DetailColumns::of(&rows().map(|row| &row.detail).collect::<Vec<_>>()),
            ended: block.ended.clone(),
        }
    }

    fn rows(self) -> Result<EventBlock, FactsError> {
        let (seqs, indexes) = (from_steps(&self.seqs), from_steps(&self.indexes));
        let arrived_ats = from_steps(&self.arrived_ats);
        let mut others = self.other_identities.iter();
        let details = self.details.rows(seqs.len())?;
        let mut events = Vec::with_capacity(seqs.len());
        for (row, detail) in details.into_iter().enumerate() {
            let (path_no, path) = self.paths.get(row)?.clone();
            let arrived_at = at(&arrived_ats, row)?;
            let identity = match self.identities.get(row)? {
                Named::ById => event_identity(&detail.id).0,
                Named::Otherwise => {
                    *others.next().ok_or(FactsError::Damaged("an identity is missing"))?
                }
            };
            let index = u32::try_from(at(&indexes, row)?);
            events.push(EventRow {
                seq: at(&seqs, row)?.cast_unsigned(),
                index: index.map_err(|_| FactsError::Damaged("a place is impossible"))?,
                at: arrived_at.wrapping_sub(at(&self.ages, row)?),
                arrived_at,
                identity,
                path_no,
                path,
                service: self.services.get(row)?.clone(),
                model: self.models.get(row)?.clone(),
                measures: self.measures(row)?,
                counted: self.counted.get(row)?.clone(),
                settled: of_row(&self.settled, row).map(u128::from_be_bytes),
                corrects: of_row(&self.corrects, row),
                flags: *self.flags.get(row)?,
                detail,
            });
        }
        Ok(EventBlock { events, ended: self.ended })
    }

    fn measures(&self, row: usize) -> Result<Measures, FactsError> {
        Ok(Measures {
            cost: self.costs.get(row)?,
            unpriced: *self.are_unpriced.get(row)?,
            credits: self.credits.get(row)?,
            requests: *self.requests.get(row)?,
            tokens: at(&self.tokens, row)?,
        })
    }
}

impl DetailColumns {
    fn of(details: &[&EventDetail]) -> DetailColumns {
        let rows = || details.iter();
        let units: Vec<Vec<UnitName>> = rows()
            .map(|row| row.quantities.iter().map(|(unit, _)| unit.clone()).collect())
            .collect();
        let tags: Vec<Vec<_>> = rows()
            .map(|row| row.tags.iter().map(|(name, tag)| (name.clone(), tag.clone())).collect())
            .collect();
        let quantities = rows().flat_map(|row| row.quantities.iter().map(|(_, many)| *many));
        let requests = rows().map(|row| row.provider_request_id.as_deref().map(IdText::of));
        DetailColumns {
            sources: Column::of(rows().map(|row| &row.source)),
            ids: rows().map(|row| IdText::of(&row.id)).collect(),
            keys: Column::of(rows().map(|row| &row.key)),
            named_models: Column::of(rows().map(|row| &row.named_model)),
            units: Column::of(units.iter()),
            quantities: Numbers::of(quantities),
            price_rows: Column::of(rows().map(|row| &row.price_row)),
            catalogues: Column::of(rows().map(|row| &row.catalogue)),
            contexts: Column::of(rows().map(|row| &row.context)),
            latencies_ms: rows().map(|row| row.latency_ms).collect(),
            times_to_first_token_ms: rows().map(|row| row.time_to_first_token_ms).collect(),
            call_sites: Column::of(rows().map(|row| &row.call_site)),
            end_users: Column::of(rows().map(|row| &row.end_user)),
            provider_request_ids: requests.collect(),
            tags: Column::of(tags.iter()),
            bodies: rows().map(|row| row.body).collect(),
            marks: Column::of(rows().map(|row| &row.marks)),
            reasons: Column::of(rows().map(|row| &row.reason)),
        }
    }

    fn rows(&self, count: usize) -> Result<Vec<EventDetail>, FactsError> {
        let mut details = Vec::with_capacity(count);
        let mut next_quantity = 0;
        for row in 0..count {
            let mut quantities = Vec::new();
            for unit in self.units.get(row)? {
                quantities.push((unit.clone(), self.quantities.get(next_quantity)?));
                next_quantity += 1;
            }
            let id = self.ids.get(row).map(IdText::text);
            let request = self.provider_request_ids.get(row).and_then(Option::as_ref);
            details.push(EventDetail {
                source: *self.sources.get(row)?,
                id: id.ok_or(FactsError::Damaged("an id is missing"))?,
                key: *self.keys.get(row)?,
                named_model: self.named_models.get(row)?.clone(),
                quantities,
                price_row: self.price_rows.get(row)?.clone(),
                catalogue: self.catalogues.get(row)?.clone(),
                context: self.contexts.get(row)?.clone(),
                latency_ms: at(&self.latencies_ms, row)?,
                time_to_first_token_ms: at(&self.times_to_first_token_ms, row)?,
                call_site: self.call_sites.get(row)?.clone(),
                end_user: *self.end_users.get(row)?,
                provider_request_id: request.map(IdText::text),
                tags: self.tags.get(row)?.iter().cloned().collect(),
                body: at(&self.bodies, row)?,
                marks: self.marks.get(row)?.clone(),
                reason: self.reasons.get(row)?.clone(),
            });
        }
        Ok(details)
    }
}

impl IdText {
    fn of(text: &str) -> IdText {
        let uuid = Uuid::try_parse(text).ok().filter(|uuid| uuid.to_string() == text);
        uuid.map_or_else(|| IdText::Text(text.to_owned()), |uuid| IdText::Uuid(uuid.into_bytes()))
    }

    fn text(&self) -> String {
        match self {
            IdText::Text(text) => text.clone(),
            IdText::Uuid(bytes) => Uuid::from_bytes(*bytes).to_string(),
        }
    }
}

/// What a row has in a column of which most rows have nothing.
fn of_row<T: Copy>(column: &[(u32, T)], row: usize) -> Option<T> {
    let row = u32::try_from(row).ok()?;
    let place = column.binary_search_by_key(&row, |(row, _)| *row).ok()?;
    column.get(place).map(|(_, value)| *value)
}
