//! Own prices: what an organization says that services and models cost it, in one of its
//! environments.
//!
//! The store does not know what an entry says; it keeps the text. Whoever makes something of the
//! entries keeps it by the revision, which grows with every change.

use domain::{AuditEvent, OrganizationId, organization::Environment};
use jiff::Timestamp;

use crate::{PageQuery, Result};

/// The name of the entry that is for a whole service.
pub const WHOLE_SERVICE: &str = "*";

/// Whose prices: live and test never see each other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceOwner {
    /// Organization.
    pub organization: OrganizationId,
    /// Environment.
    pub environment: Environment,
}

/// An entry: what an owner says of one service and model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPrice {
    /// Service, without `/`.
    pub service: String,
    /// A model's name, a pattern with `*`, or [`WHOLE_SERVICE`].
    pub model: String,
    /// What is said, opaque to the store.
    pub value: String,
    /// When it was last put with another value.
    pub updated_at: Timestamp,
}

impl OwnPrice {
    /// Its id in lists: service, `/`, model.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.service, self.model)
    }
}

/// What became of putting an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnPricePut {
    /// There was none.
    Created,
    /// There was another value, which is gone.
    Replaced,
    /// The same value is stored already: nothing was changed or audited. This is the entry.
    Unchanged(OwnPrice),
    /// It would be one entry too many; nothing was changed.
    Full,
}

/// A service of which an owner has entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnService {
    /// Service.
    pub service: String,
    /// The entry that is for all of it.
    pub whole: Option<OwnPrice>,
    /// How many other entries it has.
    pub model_count: u64,
    /// When the newest of all its entries was put.
    pub updated_at: Timestamp,
}

/// All entries of an owner at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllOwnPrices {
    /// The revision that they are.
    pub revision: u64,
    /// Entries by service and model.
    pub entries: Vec<OwnPrice>,
}

/// Own prices. The order of services and models is that of their bytes.
#[async_trait::async_trait]
pub trait OwnPrices {
    /// Puts an entry in the place of the one of the same service and model. Where there is none and
    /// the owner has `entries_max` entries, it is refused.
    async fn put_own_price(
        &self,
        owner: PriceOwner,
        entry: &OwnPrice,
        entries_max: usize,
        audit: &AuditEvent,
    ) -> Result<OwnPricePut>;

    /// One entry.
    async fn own_price(
        &self,
        owner: PriceOwner,
        service: &str,
        model: &str,
    ) -> Result<Option<OwnPrice>>;

    /// A page of the entries of one service, or of all, in the order of service and model;
    /// `page.after` is an [`OwnPrice::key`].
    async fn own_prices(
        &self,
        owner: PriceOwner,
        service: Option<&str>,
        page: &PageQuery,
    ) -> Result<Vec<OwnPrice>>;

    /// A page of the services that have entries; `page.after` is a service.
    async fn own_services(&self, owner: PriceOwner, page: &PageQuery) -> Result<Vec<OwnService>>;

    /// One service that has entries.
    async fn own_service(&self, owner: PriceOwner, service: &str) -> Result<Option<OwnService>>;

    /// Removes an entry. Returns whether there was one.
    async fn delete_own_price(
        &self,
        owner: PriceOwner,
        service: &str,
        model: &str,
        audit: &AuditEvent,
    ) -> Result<bool>;

    /// Removes all entries of a service. Returns whether there were any.
    async fn delete_own_service(
        &self,
        owner: PriceOwner,
        service: &str,
        audit: &AuditEvent,
    ) -> Result<bool>;

    /// A number that is greater after every change of the owner's entries, and never smaller; 0
    /// before the first.
    async fn own_prices_revision(&self, owner: PriceOwner) -> Result<u64>;

    /// All entries of an owner, and the revision that they are.
    async fn all_own_prices(&self, owner: PriceOwner) -> Result<AllOwnPrices>;
}
