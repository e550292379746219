//! The client: one request, one answer, within limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::redirect;
use url::{Host, Url};

use crate::{
    AddressPolicy, HttpRequest, HttpResponse, NetError, NetErrorKind, address::GuardedResolver,
};

/// How long a request may take and how large its answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// To be connected, TLS included.
    pub connect_timeout: Duration,
    /// For all of it, the body included.
    pub total_timeout: Duration,
    /// Of the body, decompressed.
    pub body_bytes_max: usize,
}

impl Default for HttpLimits {
    fn default() -> HttpLimits {
        HttpLimits {
            connect_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(60),
            body_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// Sends requests. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    /// `None` for the client of the operator's own URLs.
    policy: Option<AddressPolicy>,
    body_bytes_max: usize,
}

impl HttpClient {
    /// A client for URLs that somebody gave us, with the default limits.
    ///
    /// # Errors
    /// [`NetErrorKind::Tls`] where the system has no usable trust store.
    pub fn guarded(policy: AddressPolicy) -> Result<HttpClient, NetError> {
        HttpClient::new(Some(policy), HttpLimits::default())
    }

    /// A client for URLs of the operator's own choice, any address and `http` included, with the
    /// default limits.
    ///
    /// # Errors
    /// [`NetErrorKind::Tls`] where the system has no usable trust store.
    pub fn plain() -> Result<HttpClient, NetError> {
        HttpClient::new(None, HttpLimits::default())
    }

    /// A client with limits of its own; without a policy it is a plain one.
    ///
    /// # Errors
    /// [`NetErrorKind::Tls`] where the system has no usable trust store.
    #[expect(clippy::disallowed_methods, reason = "this is the place that builds clients")]
    pub fn new(policy: Option<AddressPolicy>, limits: HttpLimits) -> Result<HttpClient, NetError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("outlay/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the key to a place that nobody checked.
            .redirect(redirect::Policy::none())
            .referer(false)
            // A proxy would resolve the name itself, out of reach of the address policy.
            .no_proxy()
            .connect_timeout(limits.connect_timeout)
            .timeout(limits.total_timeout);
        if let Some(policy) = policy {
            builder = builder.dns_resolver(GuardedResolver { policy });
        }
        let client = builder.build().map_err(|error| {
            NetError::new(NetErrorKind::Tls, format!("cannot set up TLS: {}", error.without_url()))
        })?;
        Ok(HttpClient { client, policy, body_bytes_max: limits.body_bytes_max })
    }

    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// [`NetError`] where there is no whole answer; its kind says why.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NetError> {
        let host = self.admit(&request.url)?;
        let sending = self
            .client
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .send();
        let mut response = sending.await.map_err(|error| NetError::of_request(&host, error))?;
        let body = self.read_body(&host, &mut response).await?;
        let status = response.status().as_u16();
        Ok(HttpResponse { status, headers: std::mem::take(response.headers_mut()), body })
    }

    /// Judges what the URL itself shows; answers the host for messages. Names are judged by the
    /// resolver, but a literal address is never resolved.
    fn admit(&self, url: &Url) -> Result<String, NetError> {
        let refuse = |why: &str| Err(NetError::new(NetErrorKind::RefusedUrl, why));
        match (url.scheme(), self.policy) {
            ("https", _) | ("http", None | Some(AddressPolicy::PrivateAllowed)) => {}
            ("http", _) => return refuse("only `https` URLs may be called"),
            _ => return refuse("only `http` and `https` URLs may be called"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("a URL with a user name or a password may not be called");
        }
        let literal = match url.host() {
            None => return refuse("the URL has no host"),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        match (self.policy, literal) {
            (Some(policy), Some(address)) if !policy.allows(address) => {
                Err(NetError::refused_address(&host))
            }
            _ => Ok(host),
        }
    }

    /// Reads decompressed chunks until the end or the limit, so a small bomb cannot become a large
    /// body.
    async fn read_body(
        &self,
        host: &str,
        response: &mut reqwest::Response,
    ) -> Result<Bytes, NetError> {
        let mut body = BytesMut::new();
        let read = |error| NetError::of_request(host, error);
        while let Some(chunk) = response.chunk().await.map_err(read)? {
            if chunk.len() > self.body_bytes_max.saturating_sub(body.len()) {
                let limit = self.body_bytes_max;
                let message = format!("the answer of `{host}` is larger than {limit} bytes");
                return Err(NetError::new(NetErrorKind::BodyTooLarge, message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}
