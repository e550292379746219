//! A request and an answer as plain data. Their `Debug` shows neither header values nor queries nor
//! bodies, because keys travel in all three.

use std::fmt;

use bytes::Bytes;
use reqwest::{Method, header::HeaderMap};
use url::Url;

/// What to send.
#[derive(Clone)]
pub struct HttpRequest {
    /// Method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Headers; `host` and `content-length` come by themselves.
    pub headers: HeaderMap,
    /// Body, often empty.
    pub body: Bytes,
}

impl HttpRequest {
    /// A GET without headers.
    #[must_use]
    pub fn get(url: Url) -> HttpRequest {
        HttpRequest { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// Method, origin and path, and the names of the headers.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = format!("{}{}", self.url.origin().ascii_serialization(), self.url.path());
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &place)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// What came back, whatever its status.
#[derive(Clone)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body, decompressed.
    pub body: Bytes,
}

impl HttpResponse {
    /// Whether the status is 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// A header's text; `None` where it is missing or not visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}
