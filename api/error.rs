//! What goes wrong, as clients see it: problem documents (RFC 9457) with a stable `code`.
//!
//! An [`ApiError`] becomes a response without a body that carries the error; the envelope, which
//! knows the request's id, writes the document. This is the only file that turns a code into a
//! status. <https://www.rfc-editor.org/rfc/rfc9457>

use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::{StoreError, StoreErrorKind};
use utoipa::ToSchema;

use crate::dto_decision::DecisionView;

macro_rules! codes {
    ($($variant:ident = $name:literal, $status:ident, $title:literal;)*) => {
        /// The stable code of a problem. New ones may join; none is ever renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The code as clients see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            const fn status(self) -> StatusCode {
                match self { $(Code::$variant => StatusCode::$status,)* }
            }
        }
    };
}

codes! {
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid key is needed";
    Forbidden = "forbidden", FORBIDDEN, "The key may not do this";
    NotFound = "not_found", NOT_FOUND, "There is no such thing";
    Conflict = "conflict", CONFLICT, "The present state does not allow this";
    UnknownField = "unknown_field", UNPROCESSABLE_ENTITY, "A field is not known";
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "A value is not valid";
    MalformedJson = "malformed_json", BAD_REQUEST, "The body is not JSON";
    MalformedMultipart = "malformed_multipart", BAD_REQUEST, "The body is not a complete form";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The body differs";
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The type is not read";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    QuotaExceeded = "quota_exceeded", PAYMENT_REQUIRED, "A cap is reached";
    InsufficientCredits = "insufficient_credits", PAYMENT_REQUIRED, "The balance is too small";
    Unpriced = "unpriced", PAYMENT_REQUIRED, "There is no price";
    Unresolved = "unresolved", PAYMENT_REQUIRED, "The subject cannot be resolved";
    UnknownPath = "unknown_path", NOT_FOUND, "There is no such path";
    PathArchived = "path_archived", CONFLICT, "The path is archived";
    ServiceMismatch = "service_mismatch", CONFLICT, "The path has another service";
    UsageInconsistent = "usage_inconsistent", UNPROCESSABLE_ENTITY, "A part exceeds its whole";
    TimestampOutOfRange = "timestamp_out_of_range", UNPROCESSABLE_ENTITY, "A time is out of range";
    TooManyEvents = "too_many_events", UNPROCESSABLE_ENTITY, "Too many events in one request";
    EventConflict = "event_conflict", CONFLICT, "The event's id has other fields";
    TooManyPolicies = "too_many_policies", UNPROCESSABLE_ENTITY, "The path has too many policies";
    AlreadyCommitted = "already_committed", CONFLICT, "The reservation is committed";
    AlreadyReleased = "already_released", CONFLICT, "The reservation is released";
    ReservationExpired = "reservation_expired", CONFLICT, "The reservation has expired";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Too much to do at present";
    OutcomeUnknown = "outcome_unknown", SERVICE_UNAVAILABLE, "Whether it happened is not known";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The store cannot be reached";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on our side";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here";
    TotpRequired = "totp_required", UNAUTHORIZED, "A one-time password is needed";
    InvalidCredentials = "invalid_credentials", UNAUTHORIZED, "The credentials are wrong";
    PathLimit = "path_limit", UNPROCESSABLE_ENTITY, "There are too many paths";
    OrganizationClosed = "organization_closed", GONE, "The organization was deleted";
    MalformedEncoding = "malformed_encoding", BAD_REQUEST, "The body cannot be inflated";
    MalformedProtobuf = "malformed_protobuf", BAD_REQUEST, "The body is another message";
}

/// One wrong value, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// JSON pointer into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// Name of the query parameter or header.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// `validation_failed`, `unknown_field`, `usage_inconsistent` or `timestamp_out_of_range`.
    code: Code,
    /// What is wrong and what would be right.
    detail: String,
}

impl FieldError {
    /// A wrong value of the body at a JSON pointer such as `/credentials/admin_key`.
    pub(crate) fn at(pointer: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError {
            pointer: Some(pointer.into()),
            parameter: None,
            code: Code::ValidationFailed,
            detail: detail.into(),
        }
    }

    /// A wrong value of a query parameter or header.
    pub(crate) fn parameter(name: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError {
            pointer: None,
            parameter: Some(name.into()),
            code: Code::ValidationFailed,
            detail: detail.into(),
        }
    }

    /// The same of a field of the body that is called as the parameter is.
    pub(crate) fn in_body(mut self) -> FieldError {
        self.pointer = self.parameter.take().map(|name| format!("/{name}")).or(self.pointer);
        self
    }

    /// The same place with another code.
    pub(crate) fn of(mut self, code: Code) -> FieldError {
        self.code = code;
        self
    }

    /// The same in a part of the body that stands at `pointer`.
    pub(crate) fn within(mut self, pointer: &str) -> FieldError {
        self.pointer = self.pointer.map(|inner| format!("{pointer}{inner}"));
        self
    }

    /// The same place, but what is wrong is that the field is not known at all.
    pub(crate) fn unknown(mut self) -> FieldError {
        self.code = Code::UnknownField;
        self
    }

    /// The same place, but what is wrong is that a part exceeds its whole.
    pub(crate) fn inconsistent(mut self) -> FieldError {
        self.code = Code::UsageInconsistent;
        self
    }
}

/// A request that could not be done.
#[derive(Debug, Clone)]
pub(crate) struct ApiError(Box<Failure>);

#[derive(Debug, Clone)]
struct Failure {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
    decision: Option<Box<DecisionView>>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// A problem with a code, and what it means here.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError(Box::new(Failure {
            code,
            detail: detail.into(),
            errors: vec![],
            cause: None,
            decision: None,
            retry_after: None,
        }))
    }

    /// The same, with the decision that refused it.
    pub(crate) fn decided(mut self, decision: DecisionView) -> ApiError {
        self.0.decision = Some(Box::new(decision));
        self
    }

    /// The same, with when it is worth trying again.
    pub(crate) fn retry_after(mut self, after: Duration) -> ApiError {
        self.0.retry_after = Some(after);
        self
    }

    /// The code.
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// What it means here, and each wrong value.
    pub(crate) fn told(self) -> (String, Vec<FieldError>) {
        (self.0.detail.into_owned(), self.0.errors)
    }

    /// There is no such thing, or it belongs to somebody else: the two are never told apart.
    pub(crate) fn not_found() -> ApiError {
        ApiError::new(Code::NotFound, "nothing is found under this address")
    }

    /// A failure of ours. The cause goes to the log, never to the client.
    pub(crate) fn internal(cause: impl Error + Send + Sync + 'static) -> ApiError {
        let detail = "the request failed; the server's log has the cause under this `request_id`";
        ApiError::new(Code::Internal, detail).caused_by(cause)
    }

    /// A failure of the store in a step that writes: it may have happened, or surely not.
    pub(crate) fn of_write(cause: StoreError) -> ApiError {
        if cause.is_temporary() && !cause.is_certainly_aborted() {
            let detail = "repeat the request with the same `Idempotency-Key` or id";
            return ApiError::new(Code::OutcomeUnknown, detail).caused_by(cause);
        }
        ApiError::from(cause)
    }

    /// The same problem with its cause, for the log.
    pub(crate) fn caused_by(mut self, cause: impl Error + Send + Sync + 'static) -> ApiError {
        self.0.cause = Some(Arc::new(cause));
        self
    }

    /// Whether a repeat under the same idempotency key gets this answer again. Faults of ours and
    /// limits pass, so they are not kept.
    pub(crate) fn is_final(&self) -> bool {
        !self.0.code.status().is_server_error() && self.0.code != Code::RateLimited
    }

    /// The problem document of one request. Server errors are logged here, and only here.
    pub(crate) fn problem(&self, request_id: &str) -> Response {
        let failure = &*self.0;
        let status = failure.code.status();
        if status.is_server_error() {
            let cause = failure.cause.as_deref().map(chain).unwrap_or_default();
            tracing::error!(request.id = request_id, code = failure.code.as_str(), cause, "failed");
        }
        let problem = Problem {
            kind: format!("urn:outlay:problem:{}", failure.code.as_str()),
            title: failure.code.title(),
            status: status.as_u16(),
            detail: &failure.detail,
            code: failure.code,
            request_id,
            errors: &failure.errors,
            decision: failure.decision.as_deref(),
        };
        let body = serde_json::to_vec(&problem).expect("a problem has only string keys");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"outlay\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // At least a second: a rounded zero would be a tight loop.
            let seconds = failure.retry_after.map_or(1, |after| after.as_secs().max(1));
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The media type of problem documents.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.detail)
    }
}

impl From<StoreError> for ApiError {
    /// A failure of the store in a step that only reads, or that surely changed nothing.
    fn from(cause: StoreError) -> ApiError {
        match cause.kind() {
            StoreErrorKind::Unavailable | StoreErrorKind::Timeout => {
                ApiError::new(Code::Unavailable, "the store cannot be reached; try again")
                    .caused_by(cause)
            }
            StoreErrorKind::Corrupt | StoreErrorKind::Misconfigured | StoreErrorKind::Bug => {
                ApiError::internal(cause)
            }
        }
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> ApiError {
        ApiError::from(vec![error])
    }
}

impl From<Vec<FieldError>> for ApiError {
    /// One problem for all wrong values; the first decides its code.
    fn from(errors: Vec<FieldError>) -> ApiError {
        let first = errors.first();
        let code = first.map_or(Code::ValidationFailed, |error| error.code);
        let detail = first.map_or(String::new(), |error| error.detail.clone());
        let mut problem = ApiError::new(code, detail);
        problem.0.errors = errors;
        problem
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.0.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A problem document.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// Names the kind of problem; says no more than `code`.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What it means here and, where somebody can do something, what.
    detail: &'a str,
    code: Code,
    /// Under which the server's log has more.
    request_id: &'a str,
    /// Each wrong value.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    /// What refused it, where a policy did.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a DecisionView>,
}

fn chain(error: &(dyn Error + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_serialized_as_its_name() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn a_write_that_may_have_happened_is_not_called_unavailable() {
        let failure = |aborted| StoreError::new(StoreErrorKind::Timeout, aborted, "slow");
        assert_eq!(ApiError::of_write(failure(false)).0.code, Code::OutcomeUnknown);
        assert_eq!(ApiError::of_write(failure(true)).0.code, Code::Unavailable);
    }
}
