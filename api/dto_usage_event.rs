//! Reported events as plain data.

use std::collections::BTreeMap;

use domain::{KeyId, ReservationId};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use shards::{
    detail::CallSite,
    facts::{EventRow, event_id},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    end_users::EndUserNames,
    json_number::Number,
    reported_events::flags_of,
    reported_sums::{money, quantity},
    reports::ReportError,
    schemas,
};

/// What an application reported of one call, or a correction of it. Null is "not said", never zero.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageEventView {
    /// Outlay's id of it: `evt_…`.
    id: String,
    /// Its id as it was sent; a reservation's own for its commit.
    event_id: Option<String>,
    /// When it happened.
    #[schema(format = DateTime)]
    timestamp: String,
    /// When it was received.
    #[schema(format = DateTime)]
    received_at: String,
    /// By which door it came.
    #[schema(value_type = schemas::EventSource)]
    source: &'static str,
    /// Where it belongs.
    path: String,
    /// Who sold it.
    service: Option<String>,
    /// The canonical model.
    model: Option<String>,
    /// The model as it was named, where that differs.
    named_model: Option<String>,
    /// Decimal; of what has a price. Null where nothing has.
    cost: Option<String>,
    /// ISO 4217 code.
    currency: &'static str,
    /// Whether something has no price, so that the cost is not the whole. Of a correction: whether
    /// it takes that mark back.
    unpriced: bool,
    /// What was consumed, by unit; negative in a correction that takes it back.
    usage: BTreeMap<String, Number>,
    /// What else changed the rate.
    context: BTreeMap<String, String>,
    /// The price that was used.
    price: Option<PriceUsedView>,
    /// Marks: `unreserved`, `late`, `unpriced`, …
    flags: Vec<String>,
    /// Whether it corrects an event that came before.
    correction: bool,
    /// Why, where it is a correction.
    reason: Option<String>,
    /// The reservation that ended with it.
    reservation_id: Option<String>,
    /// The API key that reported it.
    api_key: Option<String>,
    /// For whom it was made; `erased:` and a number, where nobody knows any more.
    end_user: Option<String>,
    /// From the request to the last byte.
    latency_ms: Option<u32>,
    /// From the request to the first token.
    time_to_first_token_ms: Option<u32>,
    /// Where in the code the call was made.
    call_site: Option<CallSiteView>,
    /// What the provider calls the request.
    provider_request_id: Option<String>,
    /// Tags.
    tags: BTreeMap<String, String>,
    /// Whether its body was kept; the event by its id shows it.
    has_body: bool,
}

/// An event with its body.
// Without `Debug`: prompts are nobody's to log.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageEventDetailView {
    #[serde(flatten)]
    pub(crate) event: UsageEventView,
    /// Prompt and answer, as they were sent, while they are kept.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(crate) body: Option<Box<RawValue>>,
}

/// Where in the code a call was made.
#[derive(Debug, Serialize, ToSchema)]
struct CallSiteView {
    file: Option<String>,
    function: Option<String>,
    line: Option<u32>,
}

/// The price that was used.
#[derive(Debug, Serialize, ToSchema)]
struct PriceUsedView {
    /// The row's name in its catalogue.
    row: String,
    /// The catalogue.
    catalogue: Option<String>,
}

impl UsageEventView {
    /// An event with the name of its end user.
    ///
    /// # Errors
    /// Where an amount is none: the facts are damaged.
    pub(crate) fn new(
        row: EventRow,
        end_users: &EndUserNames,
    ) -> Result<UsageEventView, ReportError> {
        let flags = flags_of(&row);
        let (measures, detail) = (row.measures, row.detail);
        let has_cost = !measures.unpriced || measures.cost != 0;
        let cost = has_cost.then(|| money(measures.cost)).transpose()?;
        let mut usage = BTreeMap::new();
        for (unit, micros) in &detail.quantities {
            usage.insert(unit.name(), Number(quantity(*micros)?));
        }
        let said = |text: String| (!text.is_empty()).then_some(text);
        let catalogue = detail.catalogue;
        let reservation = |id| ReservationId::from_uuid(Uuid::from_u128(id)).to_string();
        Ok(UsageEventView {
            id: event_id(row.arrived_at, row.seq, row.index).to_string(),
            event_id: said(detail.id),
            timestamp: instant(row.at),
            received_at: instant(row.arrived_at),
            source: detail.source.as_str(),
            path: row.path,
            service: said(row.service),
            model: said(row.model),
            named_model: detail.named_model,
            cost: cost.map(|cost| cost.to_string()),
            currency: "USD",
            unpriced: measures.unpriced,
            usage,
            context: detail.context.into_iter().collect(),
            price: detail.price_row.map(|row| PriceUsedView { row, catalogue }),
            flags,
            correction: row.corrects.is_some(),
            reason: detail.reason,
            reservation_id: row.settled.map(reservation),
            api_key: detail.key.map(|key| KeyId::from_uuid(Uuid::from_u128(key)).to_string()),
            end_user: detail.end_user.map(|number| end_users.shown(number)),
            latency_ms: detail.latency_ms,
            time_to_first_token_ms: detail.time_to_first_token_ms,
            call_site: detail.call_site.map(CallSiteView::from),
            provider_request_id: detail.provider_request_id,
            tags: detail.tags,
            has_body: detail.body.is_some(),
        })
    }
}

impl From<CallSite> for CallSiteView {
    fn from(site: CallSite) -> CallSiteView {
        let said = |text: String| (!text.is_empty()).then_some(text);
        let CallSite { file, function, line } = site;
        CallSiteView { file: said(file), function: said(function), line }
    }
}

fn instant(micros: i64) -> String {
    let at = Timestamp::from_microsecond(micros);
    at.unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}
