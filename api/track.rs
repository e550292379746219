//! Reported usage: every event by itself, so that one that is wrong never sinks its batch, and sent
//! again counts once.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use bytes::Bytes;
use domain::Path;
use engine::{Command, Event, Request, command::Once};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use shards::{
    Lane, PolicyStanding, Position, Question, Said,
    ids::{Identity, OwnDay, own_day},
};
use utoipa::ToSchema;

use crate::{
    Shared,
    allowed_path::{allowed_path, path_prefix},
    asking::{ask, at_position, request, submit},
    auth::{Authorized, Caller, Track},
    canonical_body::body_hash,
    dto_track::{EventResult, TrackView},
    error::{ApiError, Code},
    event_input::EventBody,
    extract::json,
    intake::IntakeBytes,
    pricing::Books,
    state::AppState,
};

/// Most events of a request.
const EVENTS_MAX: usize = 1000;
/// Bodies beyond this are read off the async threads.
const QUICK_BYTES_MAX: usize = 1 << 16;

/// Events to be booked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrackBody {
    /// Up to 1000 events.
    #[schema(value_type = Vec<EventBody>)]
    events: Vec<Box<RawValue>>,
}

/// An event on its way, or what is wrong with it.
pub(crate) enum Prepared {
    /// It can be asked for.
    Ready {
        /// Its id as it was sent.
        id: String,
        /// The own day of its id.
        day: Option<u32>,
        /// What is asked of the shard.
        request: Box<Request>,
        /// Marks of its reading.
        marks: Vec<String>,
    },
    /// It is rejected.
    Rejected(EventResult),
}

/// Books what applications report to have consumed. Each event is answered by itself, in order.
#[utoipa::path(post, path = "/v1/track", tag = "quota", request_body = TrackBody,
    responses((status = 200, body = TrackView)))]
pub(crate) async fn track_events(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Track>,
    body: IntakeBytes,
) -> Result<Response, ApiError> {
    let body = body.json()?;
    let books = Books::of(&state, &caller).await?;
    let now = state.now();
    let prepared = {
        let caller = caller.clone();
        off_thread(body.len(), move || prepare(&body, &books, &caller, now)).await??
    };
    let prepared = without_others(&state, &caller, prepared).await?;
    let lane = if prepared.len() > 1 { Lane::Bulk } else { Lane::Interactive };
    let (results, blocked, position) = book(&state, &caller, prepared, lane).await?;
    let answer = (StatusCode::OK, Json(TrackView::new(results, &blocked)));
    Ok(match position {
        Some(position) => at_position(position, answer),
        None => axum::response::IntoResponse::into_response(answer),
    })
}

/// Rejects events that would settle a reservation of a path that the caller's key is not for.
async fn without_others(
    state: &AppState,
    caller: &Caller,
    mut prepared: Vec<Prepared>,
) -> Result<Vec<Prepared>, ApiError> {
    if path_prefix(caller).is_none() {
        return Ok(prepared);
    }
    for event in &mut prepared {
        let Prepared::Ready { id, request, .. } = event else { continue };
        let Command::Track(Event { reservation: Some(reservation), .. }) = request.command else {
            continue;
        };
        let reply = ask(state, caller, Question::Reservation(reservation), None).await?;
        if let Said::Reservation(Some(seen)) = reply.said
            && let Err(error) =
                allowed_path(caller, &Path::parse(&seen.path).unwrap_or(Path::root()))
        {
            *event = Prepared::Rejected(EventResult::rejected(Some(id.clone()), error));
        }
    }
    Ok(prepared)
}

/// Does what takes long for much input beside the async threads.
pub(crate) async fn off_thread<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    match size <= QUICK_BYTES_MAX {
        true => Ok(work()),
        false => tokio::task::spawn_blocking(work).await.map_err(ApiError::internal),
    }
}

fn prepare(
    body: &Bytes,
    books: &Books,
    caller: &Caller,
    now: Timestamp,
) -> Result<Vec<Prepared>, ApiError> {
    let TrackBody { events } = json(body)?;
    if events.len() > EVENTS_MAX {
        let detail = format!("a request may have {EVENTS_MAX} events; send the rest in another");
        return Err(ApiError::new(Code::TooManyEvents, detail));
    }
    Ok(events.iter().map(|raw| prepare_one(raw, books, caller, now)).collect())
}

fn prepare_one(raw: &RawValue, books: &Books, caller: &Caller, now: Timestamp) -> Prepared {
    match read_one(raw, books, caller, now) {
        Ok((id, event, marks)) => {
            let identity = Identity::of(b"track", id.as_bytes()).0;
            let once = Once { identity, body: body_hash(raw), seen: None };
            let request = Box::new(request(caller, Some(once), Command::Track(event)));
            Prepared::Ready { day: day_of(&id, now), id, request, marks }
        }
        Err(error) => Prepared::Rejected(EventResult::rejected(id_of(raw), error)),
    }
}

/// The own day of an id, where it has one.
pub(crate) fn day_of(id: &str, now: Timestamp) -> Option<u32> {
    match own_day(id.as_bytes(), now.as_microsecond()) {
        OwnDay::Day(day) => Some(day),
        OwnDay::None | OwnDay::OutOfRange => None,
    }
}

fn read_one(
    raw: &RawValue,
    books: &Books,
    caller: &Caller,
    now: Timestamp,
) -> Result<(String, Event, Vec<String>), ApiError> {
    let body: EventBody = json(raw.get().as_bytes())?;
    let spend = body.check(books, now, path_prefix(caller))?.spend;
    allowed_path(caller, &Path::parse(&spend.path).unwrap_or(Path::root()))?;
    let id = spend.about.id.clone();
    let (event, marks) = spend.event(books, caller)?;
    Ok((id, event, marks))
}

/// The id of an event that cannot be read otherwise.
fn id_of(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct OnlyId {
        id: String,
    }
    serde_json::from_str::<OnlyId>(raw.get()).ok().map(|event| event.id)
}

/// Has prepared events booked: what became of each, in order.
pub(crate) async fn book(
    state: &AppState,
    caller: &Caller,
    prepared: Vec<Prepared>,
    lane: Lane,
) -> Result<(Vec<EventResult>, Vec<PolicyStanding>, Option<Position>), ApiError> {
    let (mut requests, mut days, mut waiting, mut results) = (vec![], vec![], vec![], vec![]);
    for event in prepared {
        match event {
            Prepared::Ready { id, day, request, marks } => {
                requests.push(*request);
                days.push(day);
                waiting.push((results.len(), id, marks));
                results.push(None);
            }
            Prepared::Rejected(result) => results.push(Some(result)),
        }
    }
    let (mut blocked, mut position) = (vec![], None);
    if !requests.is_empty() {
        let done = submit(state, caller, requests, days, lane).await?;
        for ((place, id, marks), answer) in waiting.into_iter().zip(done.answers) {
            results[place] = Some(EventResult::answered(id, answer, marks));
        }
        (blocked, position) = (done.blocked, Some(done.position));
    }
    let results = results.into_iter().flatten().collect();
    Ok((results, blocked, position))
}
