//! What can go wrong between a request and its answer. No text here names a path, a query, user
//! information or a header's value.

use std::error::Error;

use crate::address::RefusedAddress;

/// What kind of failure it is; callers branch on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetErrorKind {
    /// The URL itself may not be called: its scheme, its host, or user information in it.
    RefusedUrl,
    /// The address is private, or otherwise none of the public internet's.
    RefusedAddress,
    /// No answer in time.
    Timeout,
    /// No connection: no such name, nobody listening, no route.
    Connect,
    /// No TLS session: a certificate that is not trusted, or a server that speaks no TLS.
    Tls,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// Anything else, such as an answer that breaks off.
    Other,
}

/// A failure to get an answer. An answer of any status is no failure.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct NetError {
    kind: NetErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl NetError {
    /// A failure of `kind`; `message` must hold no secret.
    #[must_use]
    pub fn new(kind: NetErrorKind, message: impl Into<String>) -> NetError {
        NetError { kind, message: message.into(), source: None }
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> NetErrorKind {
        self.kind
    }

    /// The failure of a request to `host`. The URL is taken out of the cause: its query may hold a
    /// key.
    pub(crate) fn of_request(host: &str, error: reqwest::Error) -> NetError {
        let error = error.without_url();
        let kind = kind_of(&error);
        let message = match kind {
            NetErrorKind::RefusedAddress => refusal(host),
            NetErrorKind::Timeout => format!("`{host}` did not answer in time"),
            NetErrorKind::Connect => format!("cannot connect to `{host}`"),
            NetErrorKind::Tls => format!("cannot agree on TLS with `{host}`"),
            _ => format!("the answer of `{host}` broke off or is not HTTP"),
        };
        NetError { kind, message, source: Some(Box::new(error)) }
    }

    /// The refusal of a literal address.
    pub(crate) fn refused_address(host: &str) -> NetError {
        NetError::new(NetErrorKind::RefusedAddress, refusal(host))
    }
}

fn refusal(host: &str) -> String {
    format!("`{host}` is not a public address, and only those may be called")
}

fn kind_of(error: &reqwest::Error) -> NetErrorKind {
    if find::<RefusedAddress>(error) {
        NetErrorKind::RefusedAddress
    } else if error.is_timeout() {
        NetErrorKind::Timeout
    } else if find::<rustls::Error>(error) {
        NetErrorKind::Tls
    } else if error.is_connect() {
        NetErrorKind::Connect
    } else {
        NetErrorKind::Other
    }
}

/// Whether `error` or anything below it is a `T`. An `io::Error` hides the error it was made of
/// from `source`, so it is opened.
fn find<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<T>() {
            return true;
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}
