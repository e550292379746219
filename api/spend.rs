//! Spend on its way to the books: what a call consumed and what else is known of it, priced and in
//! the form of the journal. Reports, commits and telemetry all pass through here.

use std::collections::BTreeMap;

use domain::{RateContext, Secret, Usage};
use engine::{
    Event, Measures,
    command::{AMOUNT_MAX, COUNT_MAX},
};
use jiff::Timestamp;
use shards::{
    EventDetail,
    detail::{CallSite, DETAIL_BYTES_MAX, Source, quantities},
};

use crate::{
    asking::key_of,
    auth::Caller,
    end_users::EndUserNumbers,
    error::FieldError,
    instants::micros_of,
    pricing::{AskedPrice, Books},
    stored_call::BEYOND,
};

/// A call that consumed something, in which everything is right.
pub(crate) struct Spend {
    /// When.
    pub(crate) at: Timestamp,
    /// Where it belongs.
    pub(crate) path: String,
    /// Who sold it, which model, what was consumed, and at which conditions.
    pub(crate) asked: Option<AskedPrice>,
    /// Who sold it, where nothing of it is priced by us; may be empty.
    pub(crate) service: String,
    /// What it costs by the caller's own word, in femtodollars.
    pub(crate) stated: Option<i128>,
    /// What it costs by the sender's word where we have no whole price.
    pub(crate) stated_if_unpriced: Option<i128>,
    /// Its sender cannot be asked: what does not add up is unpriced, and what is too long left out.
    pub(crate) is_kept: bool,
    /// The reservation that it was spent under.
    pub(crate) reservation: Option<u128>,
    /// What else is known.
    pub(crate) about: About,
}

/// What else is known of a call.
#[derive(Default)]
pub(crate) struct About {
    pub(crate) source: Source,
    pub(crate) id: String,
    pub(crate) latency_ms: Option<u32>,
    pub(crate) time_to_first_token_ms: Option<u32>,
    pub(crate) call_site: Option<CallSite>,
    /// The external id of whom it was made for.
    pub(crate) end_user: Option<String>,
    pub(crate) provider_request_id: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) marks: Vec<String>,
    /// Prompt and answer, as they were sent.
    pub(crate) sent_body: Option<Secret>,
    /// The id of the same, once it is sealed and stored.
    pub(crate) body: Option<u128>,
}

impl Spend {
    /// The event for the journal, and its marks for people. `end_users` has the number of its end
    /// user.
    pub(crate) fn event(
        self,
        books: &Books,
        caller: &Caller,
        end_users: &EndUserNumbers,
    ) -> Result<(Event, Vec<String>), FieldError> {
        let Spend { at, path, asked, service, stated, reservation, about, .. } = self;
        let mut detail = about.detail(key_of(caller), end_users);
        let mut event = Event { service, reservation, ..Event::empty(micros_of(at), &path) };
        event.measures = measures(&Usage::default(), 0, false);
        if let Some(asked) = &asked {
            event.service = asked.service.to_string();
            match price(asked, books, &mut event, &mut detail) {
                Ok(()) => {}
                Err(_) if self.is_kept => {
                    event.model.clone_from(&asked.model);
                    event.measures = measures(&asked.usage, 0, true);
                    detail.marks.push("inconsistent".to_owned());
                }
                Err(wrong) => return Err(wrong),
            }
        }
        if event.measures.cost > AMOUNT_MAX || event.measures.tokens > COUNT_MAX {
            let wrong = "this is too much for one call: up to 10^18 dollars and 2^53 tokens";
            return Err(FieldError::at("", wrong));
        }
        let fallback = self.stated_if_unpriced.filter(|_| event.measures.unpriced);
        if let Some(cost) = stated.or(fallback) {
            event.measures = Measures { cost, unpriced: false, ..event.measures };
            (detail.price_row, detail.catalogue) = (None, None);
            detail.marks.push("stated_cost".to_owned());
        }
        if self.is_kept && detail.encode().len() > DETAIL_BYTES_MAX {
            (detail.tags, detail.call_site) = (BTreeMap::new(), None);
            detail.marks.push("oversized".to_owned());
        }
        detail.marks.sort();
        detail.marks.dedup();
        event.detail = detail.encode();
        if event.detail.len() > DETAIL_BYTES_MAX {
            let wrong = format!(
                "what is said of the event takes more than {DETAIL_BYTES_MAX} bytes: send fewer \
                 or shorter tags and texts"
            );
            return Err(FieldError::at("", wrong));
        }
        Ok((event, detail.marks))
    }
}

impl About {
    fn detail(self, key: Option<u128>, end_users: &EndUserNumbers) -> EventDetail {
        EventDetail {
            source: self.source,
            id: self.id,
            key,
            latency_ms: self.latency_ms,
            time_to_first_token_ms: self.time_to_first_token_ms,
            call_site: self.call_site,
            end_user: self.end_user.and_then(|id| end_users.number_of(&id)),
            provider_request_id: self.provider_request_id,
            tags: self.tags,
            body: self.body,
            marks: self.marks,
            ..EventDetail::default()
        }
    }
}

/// Prices a call into its event.
fn price(
    asked: &AskedPrice,
    books: &Books,
    event: &mut Event,
    detail: &mut EventDetail,
) -> Result<(), FieldError> {
    detail.quantities = quantities(&asked.usage);
    detail.context = context_pairs(&asked.context);
    let beyond = asked.beyond.iter().map(|unit| (BEYOND.to_owned(), (*unit).to_owned()));
    detail.context.extend(beyond);
    let priced = asked.priced(books)?;
    event.model = priced.model_name().to_owned();
    detail.named_model = (priced.model != event.model).then(|| priced.model.to_owned());
    let (cost, is_whole) = priced.dollars();
    event.measures = measures(&asked.usage, cost, !is_whole);
    if let Some(used) = priced.estimate.used {
        detail.price_row = Some(used.row_name());
        detail.catalogue = Some(books.catalogue.id().to_owned());
    }
    Ok(())
}

/// What a usage counts for: one call unless it says more, and all tokens in and out.
pub(crate) fn measures(usage: &Usage, cost: i128, unpriced: bool) -> Measures {
    let tokens = usage.input_tokens.unwrap_or(0).saturating_add(usage.output_tokens.unwrap_or(0));
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let requests = count(usage.requests.unwrap_or(1));
    Measures { cost, unpriced, credits: 0, requests, tokens: count(tokens) }
}

fn context_pairs(context: &RateContext) -> Vec<(String, String)> {
    let known = [
        ("processing", context.processing.map(|word| word.as_str().to_owned())),
        ("service_tier", context.service_tier.map(|word| word.as_str().to_owned())),
        ("speed", context.speed.map(|word| word.as_str().to_owned())),
        ("data_residency", context.data_residency.as_ref().map(|at| at.as_str().to_owned())),
        ("vertex_location", context.vertex_location.as_ref().map(|at| at.as_str().to_owned())),
    ];
    let known = known.into_iter().filter_map(|(name, word)| Some((name.to_owned(), word?)));
    let unknown = context.unknown.iter().map(|word| (word.field.to_owned(), word.word.clone()));
    known.chain(unknown).collect()
}
