//! What stands before every `/v1` endpoint: the key, failures on demand, the rate limit, and common
//! headers.

use axum::{
    extract::{OriginalUri, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{Sandbox, errors::Refusal};

/// Keys of an organization's owner; any of them opens the sandbox.
const ADMIN_PREFIX: &str = "sk-admin-";
/// Keys that exist, but may only call models.
const PROJECT_PREFIXES: [&str; 3] = ["sk-proj-", "sk-svcacct-", "sk-None-"];

/// Answers that fail on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// How many requests it meets.
    pub count: u32,
    /// Only requests whose path begins so, such as `/v1/organization/costs`; `None` for all.
    pub path: Option<String>,
    /// The value of `Retry-After`.
    pub retry_after_seconds: Option<u32>,
    /// Sent as it is in place of the usual error, to try a client against broken bodies.
    pub body: Option<String>,
}

/// Which requests are refused with 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// The first refused request, counting from 1.
    pub first: u64,
    /// And every so many after it; 0 for no other.
    pub every: u64,
    /// The value of `Retry-After`.
    pub retry_after_seconds: u32,
}

impl Throttle {
    fn refuses(&self, request_number: u64) -> bool {
        match request_number.checked_sub(self.first) {
            None => false,
            Some(0) => true,
            Some(since) => self.every > 0 && since.is_multiple_of(self.every),
        }
    }
}

pub(crate) async fn guard(
    State(sandbox): State<Sandbox>,
    request: Request,
    next: Next,
) -> Response {
    let original = request.extensions().get::<OriginalUri>();
    let path = original.map_or_else(|| request.uri().path(), |uri| uri.0.path()).to_owned();
    let refused = match authorize(&request, &path) {
        Err(refusal) => Some(refusal.into_response()),
        Ok(()) => sandbox.next_failure(&path).or_else(|| throttled(&sandbox)),
    };
    let mut response = match refused {
        Some(response) => response,
        None => next.run(request).await,
    };
    for (name, value) in sandbox.common_headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

impl Fault {
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.path.as_deref().is_none_or(|prefix| path.starts_with(prefix))
    }

    pub(crate) fn response(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Refusal::of_status(status, self.retry_after_seconds).into_response();
        if let Some(body) = &self.body {
            let mut raw = body.clone().into_response();
            *raw.status_mut() = status;
            if let Some(wait) = response.headers_mut().remove(header::RETRY_AFTER) {
                raw.headers_mut().insert(header::RETRY_AFTER, wait);
            }
            return raw;
        }
        response
    }
}

fn throttled(sandbox: &Sandbox) -> Option<Response> {
    let number = sandbox.count_request();
    let throttle = sandbox.options().throttle.filter(|throttle| throttle.refuses(number))?;
    let seconds = Some(throttle.retry_after_seconds);
    Some(Refusal::too_many_requests(seconds).into_response())
}

fn authorize(request: &Request, path: &str) -> Result<(), Refusal> {
    let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().trim();
    if key.is_empty() {
        return Err(Refusal::no_key());
    }
    if key.strip_prefix(ADMIN_PREFIX).is_some_and(|rest| !rest.is_empty()) {
        return Ok(());
    }
    if PROJECT_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
        let is_listing = path.starts_with("/v1/organization/projects");
        let scope = if is_listing { "api.management.read" } else { "api.usage.read" };
        return Err(Refusal::missing_scope(scope));
    }
    Err(Refusal::wrong_key(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_throttle_meets_the_first_and_then_every_so_many() {
        let refused = |throttle: Throttle| -> Vec<u64> {
            (1..=100).filter(|number| throttle.refuses(*number)).collect()
        };
        let retry_after_seconds = 1;
        assert_eq!(refused(Throttle { first: 3, every: 40, retry_after_seconds }), [3, 43, 83]);
        assert_eq!(refused(Throttle { first: 2, every: 0, retry_after_seconds }), [2]);
    }
}
