//! Reported usage, event by event: newest first, and one by its id. Both read the facts only, which
//! have every acknowledged event within a second.

use axum::extract::State;
use domain::{EventId, KeyId, Path, Service};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use shards::facts::event_place;
use store::journal::Shard;

use crate::{
    Shared,
    auth::{Authorized, Caller, Read},
    costs::refused,
    dto_usage_event::UsageEventView,
    end_users::{EndUserNames, asked_number},
    error::{ApiError, FieldError},
    extract::{Id, Parameters, PathId},
    json_answer::Json,
    pages::{self, Asked, Page, refused_cursor},
    period,
    reported_events::{EventQuery, find_event, list_events},
    schemas,
};

/// How far ahead of our clock an event's own may be.
pub(crate) const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageEventsQuery {
    /// Date (of the organization's time zone) or instant at which it happened; 30 days before `to`
    /// if absent.
    #[param(inline, value_type = schemas::Moment, required = false)]
    from: Option<String>,
    /// Date or instant, exclusive; now if absent.
    #[param(inline, value_type = schemas::Moment, required = false)]
    to: Option<String>,
    /// This path and everything below.
    #[param(inline, value_type = schemas::PathText, required = false)]
    path: Option<String>,
    /// Who sells.
    #[param(inline, value_type = schemas::Slug, required = false)]
    service: Option<String>,
    /// The canonical model.
    #[param(value_type = String, required = false)]
    model: Option<String>,
    /// Id of the API key that reported it.
    #[param(inline, value_type = schemas::ApiKeyId, required = false)]
    api_key: Option<String>,
    /// For whom it was made, as it is shown: your own id of them.
    #[param(inline, value_type = schemas::EndUserId, required = false)]
    end_user: Option<String>,
    /// Only events with this mark, such as `unpriced` or `late`.
    #[param(value_type = String, required = false)]
    flag: Option<String>,
    /// Most items, 1 to 1000; 100 if absent. A page may have fewer, and still a next one.
    #[param(inline, value_type = schemas::Limit, required = false)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    #[param(inline, value_type = schemas::Cursor, required = false)]
    cursor: Option<String>,
}

impl PathId for EventId {
    fn of_text(text: &str) -> Option<Self> {
        EventId::parse(text).ok()
    }
}

/// The events that were reported, corrections included, those that arrived last first. New ones do
/// not move the pages after them.
#[utoipa::path(get, path = "/v1/usage-events", tag = "billing", params(UsageEventsQuery),
    responses((status = 200, body = Page<UsageEventView>)))]
pub(crate) async fn list_usage_events(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    Parameters(query): Parameters<UsageEventsQuery>,
) -> Result<Json<Page<UsageEventView>>, ApiError> {
    let asked = Asked::parse(query.limit.as_deref(), query.cursor.as_deref())?;
    let path = parse_path(query.path.as_deref())?;
    caller.may_use(&path)?;
    let zone = state.zone(caller.organization).await?;
    let mut window =
        period::window(query.from.as_deref(), query.to.as_deref(), state.now(), &zone)?;
    if query.to.is_none() {
        // A clock that is ahead must not hide what was just reported.
        window.end = window.end.checked_add(AHEAD_MAX).unwrap_or(Timestamp::MAX);
    }
    let after = asked.after.as_deref().map(place).transpose()?;
    let service = query.service.as_deref().map(Service::parse).transpose();
    let service = service.map_err(|error| wrong("service", error.to_string()))?;
    let key = query.api_key.as_deref().map(KeyId::parse).transpose();
    let key = key.map_err(|error| wrong("api_key", error.to_string()))?;
    let shard = shard_of(&caller);
    let end_user = match &query.end_user {
        Some(shown) => Some(asked_number(&*state.store, shard, shown).await?),
        None => None,
    };
    let query = EventQuery {
        window,
        path,
        service: service.map(|service| service.as_str().to_owned()),
        model: query.model,
        key: key.map(|key| key.uuid().as_u128()),
        end_user,
        flag: query.flag,
        limit: asked.limit,
        before: after,
    };
    let page = list_events(&*state.store, shard, query).await.map_err(refused)?;
    let end_users = page.rows.iter().filter_map(|row| row.detail.end_user).collect();
    let end_users = EndUserNames::of(&*state.store, shard, end_users).await?;
    let views = page.rows.into_iter().map(|row| UsageEventView::new(row, &end_users));
    let views = views.collect::<Result<_, _>>();
    Ok(Json(Page {
        data: views.map_err(refused)?,
        next_cursor: page.next.map(|(seq, index)| pages::cursor(&format!("{seq}/{index}"))),
    }))
}

/// One event by its id.
#[utoipa::path(get, path = "/v1/usage-events/{id}", tag = "billing",
    params(("id" = String, Path, description = "`evt_…`")),
    responses((status = 200, body = UsageEventView)))]
pub(crate) async fn get_usage_event(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    Id(id): Id<EventId>,
) -> Result<Json<UsageEventView>, ApiError> {
    let place = event_place(id).ok_or_else(ApiError::not_found)?;
    let found = find_event(&*state.store, shard_of(&caller), place).await.map_err(refused)?;
    let row = found.ok_or_else(ApiError::not_found)?;
    let path = Path::parse(&row.path).map_err(ApiError::internal)?;
    // Whoever may not see the path is not told that there is something.
    caller.may_use(&path).map_err(|_| ApiError::not_found())?;
    let end_user = row.detail.end_user.into_iter().collect();
    let end_user = EndUserNames::of(&*state.store, shard_of(&caller), end_user).await?;
    UsageEventView::new(row, &end_user).map(Json).map_err(refused)
}

/// Whose facts a caller sees.
pub(crate) fn shard_of(caller: &Caller) -> Shard {
    Shard { organization: caller.organization, environment: caller.environment }
}

/// The path of a query; without one everything.
pub(crate) fn parse_path(text: Option<&str>) -> Result<Path, FieldError> {
    let path = text.map_or(Ok(Path::root()), Path::parse);
    path.map_err(|error| wrong("path", error.to_string()))
}

fn wrong(name: &'static str, detail: String) -> FieldError {
    FieldError::parameter(name, format!("`{name}`: {detail}"))
}

fn place(text: &str) -> Result<(u64, u32), ApiError> {
    let place = || {
        let (seq, index) = text.split_once('/')?;
        Some((seq.parse().ok()?, index.parse().ok()?))
    };
    place().ok_or_else(refused_cursor)
}
