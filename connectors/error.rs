//! What can go wrong with a provider, whether to ask again, and what a person can do about it.

use std::{error::Error, time::Duration};

use domain::ConnectorDescriptor;
use jiff::Timestamp;
use net::{HttpResponse, NetError, NetErrorKind};

/// What kind of failure it is; callers branch on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// A credential is missing or of another kind than the provider needs; nobody was called.
    WrongKeyKind,
    /// The provider does not know the key.
    InvalidKey,
    /// The provider knows the key and does not let it do this.
    MissingScope,
    /// Asked too often.
    RateLimited,
    /// The provider is down or cannot be reached.
    Unavailable,
    /// An answer that cannot be read.
    Malformed,
    /// The provider refuses the question itself.
    BadRequest,
    /// The provider has no such thing.
    NotFound,
    /// The URL or its address may not be called.
    RefusedAddress,
    /// More than the limits of one pull or one answer.
    TooLarge,
    /// The key works, and nothing says which account it belongs to.
    AccountUnknown,
    /// The key works, and belongs to another account than before.
    OtherAccount,
}

impl ErrorKind {
    /// The kind that a status alone tells.
    #[must_use]
    pub const fn of_status(status: u16) -> ErrorKind {
        match status {
            401 => ErrorKind::InvalidKey,
            403 => ErrorKind::MissingScope,
            404 | 410 => ErrorKind::NotFound,
            429 => ErrorKind::RateLimited,
            408 | 425 | 500.. => ErrorKind::Unavailable,
            400..=499 => ErrorKind::BadRequest,
            _ => ErrorKind::Malformed,
        }
    }

    /// Stable text for API clients.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            ErrorKind::WrongKeyKind => "wrong_key_kind",
            ErrorKind::InvalidKey => "invalid_key",
            ErrorKind::MissingScope => "missing_scope",
            ErrorKind::RateLimited => "rate_limited",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Malformed => "malformed",
            ErrorKind::BadRequest => "bad_request",
            ErrorKind::NotFound => "not_found",
            ErrorKind::RefusedAddress => "refused_address",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::AccountUnknown => "account_unknown",
            ErrorKind::OtherAccount => "other_account",
        }
    }

    /// Whether asking again helps, where nothing else is known. An unreadable answer may come from
    /// something in between that is down, so it is asked for again.
    const fn retry(self) -> Retry {
        match self {
            ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Malformed => {
                Retry::Backoff
            }
            _ => Retry::Never,
        }
    }

    fn what_to_do(self, descriptor: &ConnectorDescriptor) -> String {
        let help = descriptor.auth_fields.first().map_or("", |field| field.help);
        let documentation = descriptor.documentation_url;
        match self {
            ErrorKind::WrongKeyKind => format!("replace the key by one of the right kind. {help}"),
            ErrorKind::InvalidKey => format!("replace the key by one that works. {help}"),
            ErrorKind::MissingScope => {
                format!("give the key the right that it lacks, or replace it. {help}")
            }
            ErrorKind::RateLimited => {
                "nothing now: the next sync asks again; if this stays, sync less often".to_owned()
            }
            ErrorKind::Unavailable => {
                "nothing now: the next sync asks again; if this stays, check the provider's status \
                 page and that this machine can reach it"
                    .to_owned()
            }
            ErrorKind::Malformed | ErrorKind::BadRequest => {
                format!("update Outlay; if this stays, report it: see {documentation}")
            }
            ErrorKind::NotFound => format!(
                "check the connection's base URL and that the account may use this API: see \
                 {documentation}"
            ),
            ErrorKind::RefusedAddress => {
                "use a public `https` address, or let the operator set OUTLAY_ALLOW_PRIVATE_URLS=1"
                    .to_owned()
            }
            ErrorKind::TooLarge => {
                "report this: one day has more lines than Outlay reads".to_owned()
            }
            ErrorKind::OtherAccount => {
                format!("use a key of the account that was connected. {help}")
            }
            ErrorKind::AccountUnknown => format!("use a key that may read the account. {help}"),
        }
    }
}

/// Whether, and when, to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// A person must change something first.
    Never,
    /// Not before this long, as the provider says.
    After(Duration),
    /// After a while that grows with each failure.
    Backoff,
}

/// A provider's failure, or a failure to reach it. It holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("`{provider}` {operation}: {message}")]
pub struct ConnectorError {
    kind: ErrorKind,
    retry: Retry,
    provider: &'static str,
    operation: &'static str,
    message: String,
    what_to_do: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ConnectorError {
    /// A failure of `kind` while doing `operation`. `message` must hold no secret; what to do and
    /// whether to retry follow from the kind.
    #[must_use]
    pub fn new(
        descriptor: &'static ConnectorDescriptor,
        operation: &'static str,
        kind: ErrorKind,
        message: impl Into<String>,
    ) -> ConnectorError {
        ConnectorError {
            kind,
            retry: kind.retry(),
            provider: descriptor.id,
            operation,
            message: message.into(),
            what_to_do: kind.what_to_do(descriptor),
            source: None,
        }
    }

    /// The same failure with its cause, which must hold no secret either.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> ConnectorError {
        self.source = Some(Box::new(source));
        self
    }

    /// The same failure with better advice than its kind's.
    #[must_use]
    pub fn advising(mut self, what_to_do: impl Into<String>) -> ConnectorError {
        self.what_to_do = what_to_do.into();
        self
    }

    /// No answer at all.
    pub(crate) fn of_network(
        descriptor: &'static ConnectorDescriptor,
        operation: &'static str,
        error: NetError,
    ) -> ConnectorError {
        let kind = match error.kind() {
            NetErrorKind::RefusedUrl | NetErrorKind::RefusedAddress => ErrorKind::RefusedAddress,
            NetErrorKind::BodyTooLarge => ErrorKind::TooLarge,
            NetErrorKind::Timeout
            | NetErrorKind::Connect
            | NetErrorKind::Tls
            | NetErrorKind::Other => ErrorKind::Unavailable,
        };
        let message = error.to_string();
        ConnectorError::new(descriptor, operation, kind, message).caused_by(error)
    }

    /// An answer that is not a success. The provider's words are quoted, except about a key it does
    /// not know: those often repeat parts of the key.
    pub(crate) fn of_response(
        descriptor: &'static ConnectorDescriptor,
        operation: &'static str,
        kind: ErrorKind,
        response: &HttpResponse,
        quote: &str,
        now: Timestamp,
    ) -> ConnectorError {
        let mut message = format!("{} answered {}", descriptor.title, response.status);
        if kind == ErrorKind::InvalidKey {
            message.push_str(": it does not know the key");
        } else if !quote.is_empty() {
            message.push_str(": ");
            message.push_str(quote);
        }
        let mut error = ConnectorError::new(descriptor, operation, kind, message);
        if error.retry == Retry::Backoff
            && let Some(delay) = retry_after(response, now)
        {
            error.retry = Retry::After(delay);
        }
        error
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Stable text for API clients.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// Whether, and when, to ask again.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        self.retry
    }

    /// Whether asking again later may help without anybody's doing.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        !matches!(self.retry, Retry::Never)
    }

    /// What happened, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, for people.
    #[must_use]
    pub fn what_to_do(&self) -> &str {
        &self.what_to_do
    }
}

/// How long the provider asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date
/// (<https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>).
fn retry_after(response: &HttpResponse, now: Timestamp) -> Option<Duration> {
    let millis = response.header("retry-after-ms").and_then(|text| text.trim().parse().ok());
    if let Some(millis) = millis {
        return Some(Duration::from_millis(millis));
    }
    let text = response.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::{HeaderMap, HeaderName};

    fn hint(name: &'static str, value: &'static str) -> Option<Duration> {
        let name = HeaderName::from_static(name);
        let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
        let response = HttpResponse { status: 429, headers, body: Default::default() };
        retry_after(&response, "2015-10-21T07:28:00Z".parse().unwrap())
    }

    #[test]
    fn retry_hints_come_in_three_forms() {
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(hint("retry-after", "7"), seconds(7));
        assert_eq!(hint("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(hint("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT"), seconds(30));
        assert_eq!(hint("retry-after", "Wed, 21 Oct 2015 07:27:30 GMT"), seconds(0));
        assert_eq!(hint("retry-after", "soon"), None);
    }

    #[test]
    fn only_what_time_may_heal_is_temporary() {
        for status in [408, 429, 500, 502, 503, 529] {
            assert_eq!(ErrorKind::of_status(status).retry(), Retry::Backoff, "{status}");
        }
        for status in [400, 401, 403, 404, 422] {
            assert_eq!(ErrorKind::of_status(status).retry(), Retry::Never, "{status}");
        }
    }
}
