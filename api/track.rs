//! Reported usage: every event by itself, so that one that is wrong never sinks its batch, and sent
//! again counts once.

use axum::{extract::State, http::StatusCode, response::Response};
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
    bodies::keep_bodies,
    canonical_body::body_hash,
    dto_track::{EventResult, TrackView},
    end_users::EndUserNumbers,
    error::{ApiError, Code},
    event_input::EventBody,
    extract::json,
    intake::IntakeBytes,
    json_answer::Json,
    pricing::Books,
    spend::Spend,
    state::AppState,
};

/// Most events of a request.
const EVENTS_MAX: usize = 1000;
/// Bodies beyond this are read off the async threads.
const QUICK_BYTES_MAX: usize = 1 << 16;

/// Events to be booked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrackBody<'a> {
    /// Up to 1000 events.
    #[serde(borrow)]
    #[schema(value_type = Vec<EventBody>)]
    events: Vec<&'a RawValue>,
}

/// An event in which everything is right so far, or what is wrong with it.
enum ReadEvent {
    /// Its spend, and the hash of how it was said.
    Read(Box<(Spend, [u8; 4])>),
    /// It is rejected.
    Rejected(EventResult),
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
    let books = Books::recent(&state, &caller).await?;
    let now = state.now();
    let (size, asking) = (body.len(), caller.clone());
    let reading = off_thread(size, move || (read_all(&body, &books, &asking, now), books));
    let (read, books) = reading.await?;
    let mut read = read?;
    keep_bodies(&state, &caller, read.iter_mut().filter_map(ReadEvent::spend)).await?;
    let of = read.iter().filter_map(ReadEvent::end_user).cloned().collect();
    let end_users = state.end_users.numbers(&state, &caller, of).await?;
    let asking = caller.clone();
    let preparing = move || {
        let prepared = read.into_iter().map(|read| read.prepare(&books, &asking, &end_users, now));
        prepared.collect()
    };
    let prepared = off_thread(size, preparing).await?;
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

fn read_all(
    body: &Bytes,
    books: &Books,
    caller: &Caller,
    now: Timestamp,
) -> Result<Vec<ReadEvent>, ApiError> {
    let TrackBody { events } = json(body)?;
    if events.len() > EVENTS_MAX {
        let detail = format!("a request may have {EVENTS_MAX} events; send the rest in another");
        return Err(ApiError::new(Code::TooManyEvents, detail));
    }
    let read = events.iter().map(|raw| match read_one(raw, books, caller, now) {
        Ok(spend) => ReadEvent::Read(Box::new((spend, body_hash(raw)))),
        Err(error) => ReadEvent::Rejected(EventResult::rejected(id_of(raw), error)),
    });
    Ok(read.collect())
}

impl ReadEvent {
    fn spend(&mut self) -> Option<&mut Spend> {
        match self {
            ReadEvent::Read(read) => Some(&mut read.0),
            ReadEvent::Rejected(_) => None,
        }
    }

    /// For whom it was made.
    fn end_user(&self) -> Option<&String> {
        match self {
            ReadEvent::Read(read) => read.0.about.end_user.as_ref(),
            ReadEvent::Rejected(_) => None,
        }
    }

    fn prepare(
        self,
        books: &Books,
        caller: &Caller,
        end_users: &EndUserNumbers,
        now: Timestamp,
    ) -> Prepared {
        let (spend, body) = match self {
            ReadEvent::Read(read) => *read,
            ReadEvent::Rejected(result) => return Prepared::Rejected(result),
        };
        let id = spend.about.id.clone();
        match spend.event(books, caller, end_users) {
            Ok((event, marks)) => {
                let identity = Identity::of(b"track", id.as_bytes()).0;
                let once = Once { identity, body, seen: None };
                let request = Box::new(request(caller, Some(once), Command::Track(event)));
                Prepared::Ready { day: day_of(&id, now), id, request, marks }
            }
            Err(error) => Prepared::Rejected(EventResult::rejected(Some(id), error.into())),
        }
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
) -> Result<Spend, ApiError> {
    let body: EventBody = json(raw.get().as_bytes())?;
    let spend = body.check(books, now, path_prefix(caller))?;
    allowed_path(caller, &Path::parse(&spend.path).unwrap_or(Path::root()))?;
    Ok(spend)
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
