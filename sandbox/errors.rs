//! Refusals in the shape and, where they are public, the words of the real API.
//!
//! The body is `{"error": {"message", "type", "param", "code"}}`
//! (<https://platform.openai.com/docs/guides/error-codes>). Not every message of the admin
//! endpoints is published: those of `limit`, of a wrong key and of a missing scope are quoted from
//! reports of users, the others are alike in form.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) kind: &'static str,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
    pub(crate) retry_after_seconds: Option<u32>,
}

#[derive(Serialize)]
struct WireError<'a> {
    error: WireErrorBody<'a>,
}

#[derive(Serialize)]
struct WireErrorBody<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

impl Refusal {
    fn new(status: StatusCode, message: String) -> Refusal {
        let kind = "invalid_request_error";
        Refusal { status, message, kind, param: None, code: None, retry_after_seconds: None }
    }

    /// 400 about one parameter.
    pub(crate) fn parameter(param: &str, message: String) -> Refusal {
        let param = Some(param.to_owned());
        Refusal { param, ..Refusal::new(StatusCode::BAD_REQUEST, message) }
    }

    /// 400 about a value that is none of the allowed ones.
    pub(crate) fn value(param: &str, value: &str, allowed: &[&str]) -> Refusal {
        let allowed: Vec<String> = allowed.iter().map(|value| format!("'{value}'")).collect();
        let message =
            format!("Invalid value: '{value}'. Supported values are: {}.", allowed.join(", "));
        Refusal { code: Some("invalid_value"), ..Refusal::parameter(param, message) }
    }

    /// 400 about a body, or about anything else that is not a parameter.
    pub(crate) fn bad_request(message: String) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401 without a key.
    pub(crate) fn no_key() -> Refusal {
        let message = "You didn't provide an API key. You need to provide your API key in an \
                       Authorization header using Bearer auth (i.e. Authorization: Bearer \
                       YOUR_KEY).";
        Refusal::new(StatusCode::UNAUTHORIZED, message.to_owned())
    }

    /// 401 for a key that nobody made. The message shows only the key's ends.
    pub(crate) fn wrong_key(key: &str) -> Refusal {
        let message = format!(
            "Incorrect API key provided: {}. You can find your API key at \
             https://platform.openai.com/account/api-keys.",
            redact(key)
        );
        let code = Some("invalid_api_key");
        Refusal { code, ..Refusal::new(StatusCode::UNAUTHORIZED, message) }
    }

    /// 403 for a project's key, which may call models and nothing here. Some users report that
    /// `error` was a bare string instead of an object; a fault with a body of its own can play
    /// that.
    pub(crate) fn missing_scope(scope: &str) -> Refusal {
        let message = format!(
            "You have insufficient permissions for this operation. Missing scopes: {scope}. Check \
             that you have the correct role in your organization (Reader, Writer, Owner) and \
             project (Member, Owner), and if you're using a restricted API key, that it has the \
             necessary scopes."
        );
        Refusal::new(StatusCode::FORBIDDEN, message)
    }

    /// 404 for something that does not exist.
    pub(crate) fn not_found(message: String) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, message)
    }

    /// 405.
    pub(crate) fn method(method: &str, path: &str) -> Refusal {
        let message = format!(
            "Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP \
             method?)"
        );
        Refusal {
            code: Some("method_not_supported"),
            ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message)
        }
    }

    /// 429. Without `retry_after_seconds`, waiting does not help: somebody has to act.
    pub(crate) fn too_many_requests(retry_after_seconds: Option<u32>) -> Refusal {
        let message = "Rate limit reached for requests. Please slow down.".to_owned();
        Refusal {
            kind: "requests",
            code: Some("rate_limit_exceeded"),
            retry_after_seconds,
            ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, message)
        }
    }

    /// The refusal for a status that was asked for.
    pub(crate) fn of_status(status: StatusCode, retry_after_seconds: Option<u32>) -> Refusal {
        let refusal = match status {
            StatusCode::UNAUTHORIZED => Refusal::wrong_key("sk-admin-revoked-key"),
            StatusCode::FORBIDDEN => Refusal::missing_scope("api.usage.read"),
            StatusCode::TOO_MANY_REQUESTS => Refusal::too_many_requests(retry_after_seconds),
            status if status.is_server_error() => Refusal {
                kind: "server_error",
                ..Refusal::new(
                    status,
                    "The server had an error while processing your request. Sorry about that!"
                        .to_owned(),
                )
            },
            status => Refusal::new(status, "This request was refused on purpose.".to_owned()),
        };
        Refusal { retry_after_seconds, ..refusal }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = WireErrorBody {
            message: &self.message,
            r#type: self.kind,
            param: self.param.as_deref(),
            code: self.code,
        };
        let mut response = (self.status, Json(WireError { error })).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The first eight and the last four characters; nothing of a short key.
fn redact(key: &str) -> String {
    let count = key.chars().count();
    if count < 16 {
        return "*".repeat(count);
    }
    let head: String = key.chars().take(8).collect();
    let tail: String = key.chars().skip(count - 4).collect();
    format!("{head}{}{tail}", "*".repeat(count - 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_is_never_repeated_in_full() {
        assert_eq!(redact("sk-wrong-0123456789-tail"), "sk-wrong************tail");
        assert_eq!(redact("short"), "*****");
    }
}
