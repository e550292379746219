//! Taking a reported event back: a correcting entry beside it, in the same windows, paths and
//! groups, so that every sum is as if it had never come. The event itself stays as it was booked.

use axum::{
    extract::State,
    http::HeaderValue,
    response::{IntoResponse, Response},
};
use domain::{EventId, Path};
use engine::{Measures, Refusal};
use serde::Deserialize;
use shards::{
    Answered, Lane,
    answer::flag_names,
    detail::Source,
    facts::{EventRow, event_place},
};
use utoipa::ToSchema;

use crate::{
    Shared,
    asking::{OtherAnswer, at_position, refused, shard_of, submit},
    auth::{Authorized, Caller, Write},
    corrections::{Standing, standings},
    costs,
    dto_correction::ReversedView,
    error::{ApiError, Code, FieldError},
    extract::{Id, JsonBytes, json},
    idempotency::{Once, OnceHeader, REPLAYED},
    json_answer::Json,
    reported_events::find_event,
    state::AppState,
};

const REASON_CHARACTERS_MAX: usize = 500;

/// Why an event is taken back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReverseBody {
    /// Why, for whoever reads the books later.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Takes an event back, with whatever repriced it. It happens once: asked again, with this reason
/// or another, the answer is the first one with `Idempotent-Replayed`. A correction cannot be taken
/// back itself: 409 `conflict`.
#[utoipa::path(post, path = "/v1/usage-events/{id}/reverse", tag = "billing",
    params(("id" = String, Path, description = "`evt_…`"), OnceHeader),
    request_body = ReverseBody, responses((status = 200, body = ReversedView)))]
pub(crate) async fn reverse_usage_event(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Write>,
    _: Once,
    Id(id): Id<EventId>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, ApiError> {
    let reason = json::<ReverseBody>(&body)?.check()?;
    let row = seen(&state, &caller, id).await?;
    if row.corrects.is_some() {
        let detail = "this entry is a correction itself; report what is right as a new event";
        return Err(ApiError::new(Code::Conflict, detail));
    }
    let standing = standings(&*state.store, shard_of(&caller), vec![row]).await;
    let standing = standing.map_err(costs::refused)?.pop().ok_or_else(ApiError::not_found)?;
    if let Some(first) = &standing.reversal {
        let flags = flag_names(first.flags);
        let view = ReversedView::new(id, first.measures.cost, first.path.clone(), flags);
        return Ok(marked(Json(view).into_response(), true));
    }
    let request = reversal(&standing, &caller, reason);
    let done = submit(&state, &caller, vec![request], vec![], Lane::Interactive).await?;
    let answer = done.answers.into_iter().next();
    let answer = answer.ok_or_else(|| ApiError::internal(OtherAnswer))?;
    match answer.result {
        Answered::Booked(booked) => {
            let view = ReversedView::new(id, booked.cost, booked.path, booked.flags);
            Ok(marked(at_position(done.position, Json(view)), answer.is_repeat))
        }
        Answered::Refused(Refusal::Conflict) | Answered::Duplicate => {
            let detail = "the event was corrected a moment ago; ask again in a second";
            Err(ApiError::new(Code::Conflict, detail))
        }
        Answered::Refused(refusal) => Err(refused(&refusal)),
        _ => Err(ApiError::internal(OtherAnswer)),
    }
}

impl ReverseBody {
    fn check(self) -> Result<String, FieldError> {
        let reason = self.reason.trim();
        match (1..=REASON_CHARACTERS_MAX).contains(&reason.chars().count()) {
            true => Ok(reason.to_owned()),
            false => Err(FieldError::at("/reason", "`reason` has 1 to 500 characters")),
        }
    }
}

/// What takes the whole of an event back. The reason is no part of what makes it the same.
fn reversal(standing: &Standing, caller: &Caller, reason: String) -> engine::Request {
    let now = standing.now;
    let difference = Measures {
        cost: now.cost.saturating_neg(),
        unpriced: now.unpriced,
        credits: now.credits.saturating_neg(),
        requests: now.requests.saturating_neg(),
        tokens: now.tokens.saturating_neg(),
    };
    let mut detail = standing.detail(Source::Reversal, reason);
    for (_, quantity) in &mut detail.quantities {
        *quantity = quantity.saturating_neg();
    }
    standing.correct(caller, difference, &detail, b"reversal")
}

/// An event that the caller may see.
async fn seen(state: &AppState, caller: &Caller, id: EventId) -> Result<EventRow, ApiError> {
    let place = event_place(id).ok_or_else(ApiError::not_found)?;
    let found = find_event(&*state.store, shard_of(caller), place).await.map_err(costs::refused)?;
    let row = found.ok_or_else(ApiError::not_found)?;
    let path = Path::parse(&row.path).map_err(ApiError::internal)?;
    caller.may_use(&path).map_err(|_| ApiError::not_found())?;
    Ok(row)
}

fn marked(mut response: Response, is_repeat: bool) -> Response {
    if is_repeat {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
