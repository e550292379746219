//! The way out: a role, the real one over HTTP, and the driver's wrapper that keeps connectors to
//! their hosts and to a decent pace.

use std::time::Duration;

use domain::ConnectorDescriptor;
use net::{HttpClient, HttpRequest, HttpResponse, NetError, NetErrorKind};
use url::Url;

use crate::{Settings, pace::Paces};

/// Sends one request and answers what came back, whatever its status.
#[async_trait::async_trait]
pub trait Transport: Send + Sync {
    /// Sends.
    ///
    /// # Errors
    /// [`NetError`] where there is no whole answer.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NetError>;
}

/// Transport over the network.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: HttpClient,
}

impl HttpTransport {
    /// Sends through `client`, which should be a guarded one: base URLs come from outside.
    #[must_use]
    pub const fn new(client: HttpClient) -> HttpTransport {
        HttpTransport { client }
    }
}

#[async_trait::async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NetError> {
        self.client.send(request).await
    }
}

/// A transport that sends to the hosts of one descriptor only, or, where the base URL was replaced,
/// only to its origin; and never faster than the descriptor allows.
pub(crate) struct FencedTransport<'a> {
    pub(crate) inner: &'a dyn Transport,
    pub(crate) paces: &'a Paces,
    pub(crate) descriptor: &'static ConnectorDescriptor,
    pub(crate) settings: &'a Settings,
}

impl FencedTransport<'_> {
    fn allows(&self, url: &Url) -> bool {
        let base = self.settings.base_url.trim_end_matches('/');
        if base == self.descriptor.base_url.trim_end_matches('/') {
            let declared = url.host_str().is_some_and(|host| self.descriptor.hosts.contains(&host));
            return declared && url.scheme() == "https" && url.port().is_none();
        }
        Url::parse(base).is_ok_and(|base| base.origin() == url.origin())
    }
}

#[async_trait::async_trait]
impl Transport for FencedTransport<'_> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NetError> {
        if !self.allows(&request.url) {
            let host = request.url.host_str().unwrap_or_default();
            let message = format!("`{host}` is no host of `{}`", self.descriptor.id);
            return Err(NetError::new(NetErrorKind::RefusedUrl, message));
        }
        let origin = request.url.origin().ascii_serialization();
        let interval = Duration::from_millis(self.descriptor.request_interval_ms_min.into());
        self.paces.wait_for_turn(origin, interval).await;
        self.inner.send(request).await
    }
}
