//! What the routes work with: the other rooms by their roles, the catalogue, the limits.

use std::{error::Error, sync::Arc, time::Duration};

use domain::{
    Clock, ConnectorDescriptor, FormatDescriptor, Organization, OrganizationId, Secret, Zone,
};
use identity::KeyBits;
use jiff::Timestamp;
use prices::OwnPrices;
use shards::Caps;
use store::{Store, secrets::SealedSecret};
use uuid::Uuid;

use crate::{
    auth::KeyCache, end_users::EndUserCache, error::ApiError, own_price_cache::OwnPriceCache,
    reports::Reports,
};

/// Seals credentials, so that the store holds ciphertext only; and derives API keys, so that the
/// store need not hold them at all.
#[async_trait::async_trait]
pub trait Sealer: Send + Sync {
    /// Seals `secret` for one field of one record of an organization; it opens nowhere else.
    async fn seal(
        &self,
        organization: OrganizationId,
        record: &str,
        field: &str,
        secret: &Secret,
    ) -> Result<SealedSecret, SealError>;

    /// Seals secrets of one field, each for its record: for what there may be any number of.
    async fn seal_apart(
        &self,
        organization: OrganizationId,
        field: &str,
        secrets: &[(String, Secret)],
    ) -> Result<Vec<SealedSecret>, SealError>;

    /// Opens what was sealed apart; nothing else opens with it.
    async fn open_apart(&self, sealed: &SealedSecret) -> Result<Secret, SealError>;

    /// 256 bits for a purpose and parts of an organization: the same ones again, on every node, and
    /// none that can be told from what is stored.
    async fn derive(
        &self,
        organization: OrganizationId,
        purpose: &str,
        parts: &[&[u8]],
    ) -> Result<KeyBits, SealError>;
}

/// A secret that could not be sealed, opened or derived.
#[derive(Debug, thiserror::Error)]
#[error("could not seal, open or derive a secret")]
pub struct SealError {
    /// Whether trying again may help, as when the key service cannot be reached.
    pub is_temporary: bool,
    /// Why.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// What can be connected and what can be read.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Connectors, in the order in which they are listed.
    pub connectors: Vec<&'static ConnectorDescriptor>,
    /// Billing-file formats, in the order in which they are listed.
    pub formats: Vec<&'static FormatDescriptor>,
}

impl Catalogue {
    /// The connector of a provider.
    pub(crate) fn connector(&self, provider: &str) -> Option<&'static ConnectorDescriptor> {
        self.connectors.iter().copied().find(|connector| connector.id == provider)
    }
}

/// How much a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a JSON body.
    pub body_bytes_max: usize,
    /// Bytes of reported usage, as sent and once inflated.
    pub intake_bytes_max: usize,
    /// Bytes of an uploaded file.
    pub upload_bytes_max: u64,
    /// Time for any request but an upload.
    pub request_timeout: Duration,
    /// Time between two chunks of an upload.
    pub upload_idle_timeout: Duration,
    /// How long a repeat under one idempotency key waits for the first request to end.
    pub repeat_patience: Duration,
    /// How long the answer to a new policy waits until it is in force.
    pub opening_patience: Duration,
    /// Own prices of an organization in one environment.
    pub own_prices_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes_max: 1 << 20,
            intake_bytes_max: 10 << 20,
            upload_bytes_max: 5 << 30,
            request_timeout: Duration::from_secs(30),
            upload_idle_timeout: Duration::from_secs(60),
            repeat_patience: Duration::from_secs(10),
            opening_patience: Duration::from_secs(5),
            own_prices_max: 10_000,
        }
    }
}

/// The token by which commands on the same machine reach a running server, with every scope.
#[derive(Debug, Clone, Copy)]
pub struct LocalToken {
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
    /// Whose data it opens.
    pub organization: OrganizationId,
}

/// Everything that routes need. One for the whole process.
pub struct AppState {
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// Seals credentials and derives API keys.
    pub vault: Arc<dyn Sealer>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Decides about caps and books what is reported.
    pub caps: Arc<dyn Caps>,
    /// Sums costs and lists charges.
    pub reports: Arc<dyn Reports>,
    /// Connectors and formats.
    pub catalogue: Catalogue,
    /// Prices that are built in.
    pub prices: Arc<prices::Catalogue>,
    /// Prices of whoever runs this server, for all organizations; their own go before.
    pub operator_prices: Arc<OwnPrices>,
    /// Nudges whoever runs jobs, after something became due.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Told when an organization's settings were written.
    pub settings_changed: Arc<dyn Fn() + Send + Sync>,
    /// Writes the metrics in Prometheus's text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// How much a request may take.
    pub limits: Limits,
    /// Accepted beside API keys, where there is one.
    pub local_token: Option<LocalToken>,
    /// Whether `base_url` may be plain `http`, as for a provider emulator on the same machine.
    pub allow_private_urls: bool,
    /// Keys that were looked up a moment ago; start with `KeyCache::default()`.
    pub keys: KeyCache,
    /// Organizations' own prices; start with `OwnPriceCache::default()`.
    pub own_prices: OwnPriceCache,
    /// Numbers of end users; start with `EndUserCache::default()`.
    pub end_users: EndUserCache,
}

impl AppState {
    /// The present instant in whole microseconds, as the store keeps it.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// 128 new bits for an id, sortable by time.
    pub(crate) fn new_bits(&self) -> Result<Uuid, ApiError> {
        identity::new_uuid(self.now()).map_err(ApiError::internal)
    }

    /// The time zone in which an organization's days begin, and its weeks.
    pub(crate) async fn zone(&self, organization: OrganizationId) -> Result<Zone, ApiError> {
        let Some(organization) = self.store.organization(organization).await? else {
            return Ok(Zone::default());
        };
        let zone = Zone::parse(&organization.time_zone).unwrap_or_default();
        Ok(zone.with_week_start(organization.week_start))
    }

    /// Where everybody who follows an organization's settings is told that they were written. A
    /// repeat tells the same settings again: whoever listens compares revisions.
    pub(crate) fn settings_changed(&self, _organization: &Organization) {
        (self.settings_changed)();
        (self.wake)();
    }
}
