//! Reservations: an estimate is held on every policy at once before a call, and settled after it.
//!
//! The shard decides, and renders a repeat's answer again from its decision: a commit or a release
//! of one reservation is one and the same, however often it is sent.

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use domain::{Path, ReservationId};
use engine::{Command, Refusal, command};
use serde_json::value::RawValue;
use shards::{
    Answered, Position, Question, ReservationView as Seen, Said,
    ids::{BodyHash, Identity},
};

use crate::{
    Shared,
    allowed_path::{allowed_path, path_prefix},
    asking::{Least, LeastHeader, OtherAnswer, ask, at_position, refused, submit_one},
    auth::{Authorized, Caller, Track, TrackOrRead},
    bodies::keep_bodies,
    canonical_body::body_hash,
    dto_reservation::{CommittedView, HeldView, ReservationStateView, ReservationView, held_text},
    error::{ApiError, Code},
    extract::{Id, JsonBytes, json},
    idempotency::{Once, OnceHeader, REPLAYED},
    json_answer::Json,
    pricing::Books,
    reservation_input::{CommitBody, ExtendBody, ReservationBody},
    schemas,
    state::AppState,
};

/// Holds an estimate on every policy that matches, all or nothing. 402 with `decision` where one
/// has no room.
#[utoipa::path(post, path = "/v1/reservations", tag = "quota", request_body = ReservationBody,
    params(OnceHeader),
    responses((status = 201, body = HeldView)))]
pub(crate) async fn create_reservation(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Track>,
    once: Once,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let books = Books::recent(&state, &caller).await?;
    let id = state.new_bits()?.as_u128();
    let asked = json::<ReservationBody>(&body)?;
    let reserve = asked.check(&books, state.now(), path_prefix(&caller), id)?;
    allowed_path(&caller, &Path::parse(&reserve.path).unwrap_or(Path::root()))?;
    let command = Command::Reserve(reserve);
    let (answer, position) = submit_one(&state, &caller, once.identity(&body), command).await?;
    let response = match answer.result {
        Answered::Held(held) => (StatusCode::CREATED, held_text(&held)).into_response(),
        Answered::Refused(Refusal::Conflict) => {
            let detail = "this `Idempotency-Key` was used with another body";
            return Err(ApiError::new(Code::IdempotencyKeyReused, detail));
        }
        Answered::Refused(refusal) => refused(&refusal).into_response(),
        Answered::Duplicate => return Err(not_kept()),
        _ => return Err(ApiError::internal(OtherAnswer)),
    };
    Ok(marked(at_position(position, response), answer.is_repeat))
}

/// One reservation, open or ended in the last 35 days.
#[utoipa::path(get, path = "/v1/reservations/{id}", tag = "quota",
    params(("id" = inline(schemas::ReservationKey), Path), LeastHeader),
    responses((status = 200, body = ReservationView)))]
pub(crate) async fn get_reservation(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<TrackOrRead>,
    Least(least): Least,
    Id(id): Id<ReservationId>,
) -> Result<Response, ApiError> {
    let (seen, position) = seen(&state, &caller, id, least).await?;
    Ok(at_position(position, Json(ReservationView::from(seen))))
}

/// Ends a reservation with what the call really consumed. What was held and not consumed is free
/// again; what was consumed beyond it is booked all the same. After its time was over it is still
/// booked, `late`.
#[utoipa::path(post, path = "/v1/reservations/{id}/commit", tag = "quota",
    params(("id" = inline(schemas::ReservationKey), Path), OnceHeader),
    request_body = CommitBody, responses((status = 200, body = CommittedView)))]
pub(crate) async fn commit_reservation(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Track>,
    once: Once,
    Id(id): Id<ReservationId>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let commit = json::<CommitBody>(&body)?;
    let (seen, _) = seen(&state, &caller, id, None).await?;
    let (books, incomplete) = (Books::recent(&state, &caller).await?, commit.incomplete);
    let mut spend = commit.check(&seen, state.now())?;
    if !spend.path.is_empty() {
        allowed_path(&caller, &Path::parse(&spend.path).unwrap_or(Path::root()))?;
    }
    let end_user = spend.about.end_user.iter().cloned().collect();
    let end_users = state.end_users.numbers(&state, &caller, end_user).await?;
    keep_bodies(&state, &caller, std::iter::once(&mut spend)).await?;
    let (event, marks) = spend.event(&books, &caller, &end_users)?;
    let reservation = id.uuid().as_u128();
    let command = Command::Commit(command::Commit { reservation, event, incomplete });
    let identity = settling(b"commit", id, raw_hash(&body));
    let (answer, position) = submit_one(&state, &caller, Some(identity), command).await?;
    let view = match answer.result {
        Answered::Booked(booked) => CommittedView::new(reservation, booked, marks),
        // The first answer is not kept any more; what it was about is.
        Answered::Duplicate if seen.state == "committed" => CommittedView::long_ago(seen),
        Answered::Refused(Refusal::Conflict) | Answered::Duplicate => {
            let how = match seen.state.as_str() {
                "released" => command::EndedHow::Released,
                _ => command::EndedHow::Committed,
            };
            return Err(refused(&Refusal::Ended(how)));
        }
        Answered::Refused(refusal) => {
            let response = at_position(position, refused(&refusal));
            return Ok(marked(response, answer.is_repeat && once.is_keyed()));
        }
        _ => return Err(ApiError::internal(OtherAnswer)),
    };
    Ok(marked(at_position(position, Json(view)), answer.is_repeat && once.is_keyed()))
}

/// Ends a reservation without spend: what it held is free again.
#[utoipa::path(post, path = "/v1/reservations/{id}/release", tag = "quota",
    params(("id" = inline(schemas::ReservationKey), Path), OnceHeader),
    responses((status = 200, body = ReservationStateView)))]
pub(crate) async fn release_reservation(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Track>,
    once: Once,
    Id(id): Id<ReservationId>,
) -> Result<Response, ApiError> {
    // What is not there is refused before anything is written.
    let (seen, _) = seen(&state, &caller, id, None).await?;
    let reservation = id.uuid().as_u128();
    let identity = settling(b"release", id, BodyHash::of(b"").0);
    let command = Command::Release { reservation, ended: None };
    let (answer, position) = submit_one(&state, &caller, Some(identity), command).await?;
    match answer.result {
        Answered::Duplicate if seen.state == "committed" => {
            Err(refused(&Refusal::Ended(command::EndedHow::Committed)))
        }
        Answered::Released | Answered::Duplicate => {
            let view = ReservationStateView::released(reservation);
            let response = at_position(position, Json(view));
            Ok(marked(response, answer.is_repeat && once.is_keyed()))
        }
        Answered::Refused(refusal) => {
            let response = at_position(position, refused(&refusal));
            Ok(marked(response, answer.is_repeat && once.is_keyed()))
        }
        _ => Err(ApiError::internal(OtherAnswer)),
    }
}

/// Lets a reservation live longer, from now on. It never shortens.
#[utoipa::path(post, path = "/v1/reservations/{id}/extend", tag = "quota",
    params(("id" = inline(schemas::ReservationKey), Path), OnceHeader),
    request_body = ExtendBody, responses((status = 200, body = ReservationStateView)))]
pub(crate) async fn extend_reservation(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Track>,
    once: Once,
    Id(id): Id<ReservationId>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let ttl = json::<ExtendBody>(&body)?.check()?;
    seen(&state, &caller, id, None).await?;
    let reservation = id.uuid().as_u128();
    let command = Command::Extend { reservation, ttl, ended: None };
    let (answer, position) = submit_one(&state, &caller, once.identity(&body), command).await?;
    match answer.result {
        Answered::Extended { expires_at } => {
            let view = ReservationStateView::extended(reservation, expires_at);
            Ok(marked(at_position(position, Json(view)), answer.is_repeat))
        }
        Answered::Refused(Refusal::Conflict) => {
            let detail = "this `Idempotency-Key` was used with another body";
            Err(ApiError::new(Code::IdempotencyKeyReused, detail))
        }
        Answered::Duplicate => Err(not_kept()),
        Answered::Refused(refusal) => {
            Ok(marked(at_position(position, refused(&refusal)), answer.is_repeat))
        }
        _ => Err(ApiError::internal(OtherAnswer)),
    }
}

/// The answer to a repeat that comes so late that the first answer is gone.
fn not_kept() -> ApiError {
    let detail = "this `Idempotency-Key` was used more than a day ago: use another one";
    ApiError::new(Code::Conflict, detail)
}

/// What makes two tries to end a reservation the same.
fn settling(how: &[u8], id: ReservationId, body: [u8; 4]) -> command::Once {
    let identity = Identity::of(how, id.to_string().as_bytes()).0;
    command::Once { identity, body, seen: None }
}

fn raw_hash(body: &[u8]) -> [u8; 4] {
    let raw = serde_json::from_slice::<&RawValue>(body);
    raw.map_or_else(|_| BodyHash::of(body).0, body_hash)
}

/// A reservation that the caller may see.
async fn seen(
    state: &AppState,
    caller: &Caller,
    id: ReservationId,
    least: Option<Position>,
) -> Result<(Seen, Position), ApiError> {
    let reply = ask(state, caller, Question::Reservation(id.uuid().as_u128()), least).await?;
    let Said::Reservation(found) = reply.said else { return Err(ApiError::internal(OtherAnswer)) };
    let seen = found.ok_or_else(ApiError::not_found)?;
    let path = Path::parse(&seen.path).unwrap_or(Path::root());
    allowed_path(caller, &path).map_err(|_| ApiError::not_found())?;
    Ok((seen, reply.position))
}

/// The answer, marked where it was given before.
fn marked(mut response: Response, is_repeat: bool) -> Response {
    if is_repeat {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
