//! Repricing what was reported: events for which a price came later, or was corrected, cost by it
//! from then on. The events stay as they were booked; the differences are entries of their own.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use bytes::Bytes;
use domain::Service;
use engine::Refusal;
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shards::{Answered, Lane, Position};
use utoipa::ToSchema;

use crate::{
    Shared,
    asking::{Undecided, refused, shard_of, submit},
    auth::{Authorized, Caller, Write},
    costs,
    error::{ApiError, FieldError},
    extract::{JsonBytes, json},
    idempotency::{Once, OnceHeader, Reply},
    pages::{Asked, cursor, refused_cursor},
    period,
    pricing::Books,
    reported_events::EventQuery,
    repricing::{Change, RepriceQuery, Repriced, Tally, events_to_reprice, reprice},
    schemas,
    state::AppState,
    usage_events::{AHEAD_MAX, parse_path},
};

/// Corrections that are decided together.
const AT_ONCE: usize = 500;

/// Which events are repriced, and whether it is done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RepriceBody {
    /// Date (of the organization's time zone) or instant at which they happened; 30 days before
    /// `to` if absent.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Moment>)]
    from: Option<String>,
    /// Date or instant, exclusive; now if absent.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Moment>)]
    to: Option<String>,
    /// This path and everything below.
    #[serde(default)]
    #[schema(value_type = Option<schemas::PathText>)]
    path: Option<String>,
    /// Who sells.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Slug>)]
    service: Option<String>,
    /// The canonical model.
    #[serde(default)]
    model: Option<String>,
    /// Only events that had no price, or not for everything, when they were booked; true if absent.
    #[serde(default)]
    only_unpriced: Option<bool>,
    /// Whether it is only told what would change; true if absent.
    #[serde(default)]
    dry_run: Option<bool>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Cursor>)]
    cursor: Option<String>,
}

/// Prices events anew with the prices of now, each at its own time, page by page, and books the
/// differences. Nothing is booked unless `dry_run` is false. Done again it changes nothing more.
#[utoipa::path(post, path = "/v1/prices/reprice", tag = "quota", request_body = RepriceBody,
    params(OnceHeader),
    responses((status = 200, body = crate::dto_correction::RepricedView)))]
pub(crate) async fn reprice_events(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Write>,
    once: Once,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let work = {
        let (state, caller, body) = (Arc::clone(&state), caller.clone(), body.clone());
        move |_| reprice_page(state, caller, body)
    };
    once.run(&state, &caller, state.new_bits()?, Sha256::digest(&body).into(), work).await
}

async fn reprice_page(state: Shared, caller: Caller, body: Bytes) -> Result<Reply, ApiError> {
    let body: RepriceBody = json(&body)?;
    let is_dry = body.dry_run.unwrap_or(true);
    let query = body.check(&state, &caller).await?;
    let (store, shard) = (&*state.store, shard_of(&caller));
    let books = Arc::new(Books::of(&state, &caller).await?);
    let (rows, next) = events_to_reprice(store, shard, &query).await.map_err(costs::refused)?;
    let repriced = reprice(store, shard, rows, books, &caller).await.map_err(costs::refused)?;
    let (mut tally, mut changes) = (Tally::default(), vec![]);
    for one in repriced {
        tally.examined();
        match one {
            Repriced::Skipped => tally.skipped(),
            Repriced::Unchanged => tally.unchanged(),
            Repriced::Changed(change) if is_dry => tally.changed(*change),
            Repriced::Changed(change) => changes.push(*change),
        }
    }
    let position = book(&state, &caller, changes, &mut tally).await?;
    let next = next.map(|seq| cursor(&seq.to_string()));
    let reply = Reply::json(StatusCode::OK, &tally.finish(is_dry, next));
    Ok(match position {
        Some(position) => reply.at(position),
        None => reply,
    })
}

/// Books corrections, and tells how far the journal is then.
async fn book(
    state: &AppState,
    caller: &Caller,
    changes: Vec<Change>,
    tally: &mut Tally,
) -> Result<Option<Position>, ApiError> {
    let mut position = None;
    let mut changes = changes.into_iter().peekable();
    while changes.peek().is_some() {
        let some: Vec<Change> = changes.by_ref().take(AT_ONCE).collect();
        let requests = some.iter().map(|change| change.request.clone()).collect();
        let done = submit(state, caller, requests, vec![], Lane::Bulk).await?;
        for (change, answer) in some.into_iter().zip(done.answers) {
            match answer.result {
                Answered::Booked(_) if answer.is_repeat => tally.unchanged(),
                Answered::Booked(_) => tally.changed(change),
                Answered::Refused(Refusal::Conflict) | Answered::Duplicate => tally.conflict(),
                Answered::Refused(refusal) => return Err(refused(&refusal)),
                _ => return Err(ApiError::internal(Undecided)),
            }
        }
        position = Some(done.position);
    }
    Ok(position)
}

impl RepriceBody {
    async fn check(self, state: &AppState, caller: &Caller) -> Result<RepriceQuery, ApiError> {
        let path = parse_path(self.path.as_deref()).map_err(FieldError::in_body)?;
        caller.may_use(&path)?;
        let zone = state.zone(caller.organization).await?;
        let (from, to) = (self.from.as_deref(), self.to.as_deref());
        let window = period::window(from, to, state.now(), &zone);
        let mut window = window.map_err(FieldError::in_body)?;
        if self.to.is_none() {
            window.end = window.end.checked_add(AHEAD_MAX).unwrap_or(Timestamp::MAX);
        }
        let service = self.service.as_deref().map(Service::parse).transpose();
        let service = service.map_err(|error| FieldError::at("/service", error.to_string()))?;
        let place = Asked::parse(None, self.cursor.as_deref()).map_err(|_| refused_cursor())?;
        let before = place.after.map(|seq| seq.parse::<u64>().map_err(|_| refused_cursor()));
        let events = EventQuery {
            window,
            path,
            service: service.map(|service| service.as_str().to_owned()),
            model: self.model,
            key: None,
            end_user: None,
            flag: None,
            limit: usize::MAX,
            before: before.transpose()?.map(|seq| (seq, 0)),
        };
        Ok(RepriceQuery { events, only_unpriced: self.only_unpriced.unwrap_or(true) })
    }
}
