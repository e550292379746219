//! The role that sums costs and lists charges. The binary supplies it; here is only what is asked
//! and answered.

use std::error::Error;

pub use books::Dimension;
use domain::{
    Charge, ConnectionId, Currency, FileId, Granularity, Money, OrganizationId, ProviderId,
    Quantity, Service, Window, Zone,
};
use jiff::Timestamp;
use store::StoreError;

/// Sums costs and lists charges.
#[async_trait::async_trait]
pub trait Reports: Send + Sync {
    /// What was billed, summed by period, group and currency. Superseded charges do not count.
    async fn costs(
        &self,
        organization: OrganizationId,
        query: &CostQuery,
    ) -> Result<CostReport, ReportError>;

    /// The lines themselves, in an order that new lines do not change.
    async fn charges(
        &self,
        organization: OrganizationId,
        query: &ChargeQuery,
    ) -> Result<ChargePage, ReportError>;
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// The question cannot be answered as it is put.
    #[error("`{parameter}`: {detail}")]
    Refused {
        /// The query parameter to change.
        parameter: &'static str,
        /// What would be right.
        detail: String,
    },
    /// Anything else: a fault of ours, such as a block that cannot be read.
    #[error("the report failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// Only what matches all that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Who bills.
    pub provider: Option<ProviderId>,
    /// Who sells.
    pub service: Option<Service>,
    /// Model as billed.
    pub model: Option<String>,
    /// Project, workspace or sub-account.
    pub sub_account: Option<String>,
    /// The connection that read it.
    pub connection: Option<ConnectionId>,
    /// Billing currency.
    pub currency: Option<Currency>,
}

/// What costs are asked for.
#[derive(Debug, Clone)]
pub struct CostQuery {
    /// Charges whose period starts in it.
    pub window: Window,
    /// How time is cut.
    pub granularity: Granularity,
    /// Where days, weeks and months begin.
    pub zone: Zone,
    /// By what, each at most once.
    pub group_by: Vec<Dimension>,
    /// Only these.
    pub filters: Filters,
}

/// Costs.
#[derive(Debug, Clone, Default)]
pub struct CostReport {
    /// The sum of each currency; `None` where no billed cost is known, which is not zero.
    pub totals: Vec<(Currency, Option<Money>)>,
    /// Before this instant every source has spoken finally; `None` where nothing is known.
    pub complete_through: Option<Timestamp>,
    /// Rows, by period, then group.
    pub rows: Vec<CostRow>,
}

/// One period, group and currency.
#[derive(Debug, Clone)]
pub struct CostRow {
    /// Start of the period; the window's start where time is not cut.
    pub period_start: Timestamp,
    /// The value of each dimension asked for; `None` where the source does not say.
    pub group: Vec<(Dimension, Option<String>)>,
    /// Billing currency.
    pub currency: Currency,
    /// What was billed; `None` where no billed cost is known, which is not zero.
    pub cost: Option<Money>,
    /// Calls, as far as sources count them.
    pub requests: Quantity,
    /// What was consumed, by unit.
    pub quantities: Vec<(String, Quantity)>,
}

/// What charges are asked for.
#[derive(Debug, Clone)]
pub struct ChargeQuery {
    /// Charges whose period starts in it.
    pub window: Window,
    /// Only these.
    pub filters: Filters,
    /// Most lines, 1 to 1,000.
    pub limit: usize,
    /// Where the page before ended: its [`ChargePage::next`].
    pub after: Option<String>,
}

/// A page of charges.
#[derive(Debug, Clone, Default)]
pub struct ChargePage {
    /// Lines.
    pub lines: Vec<ChargeLine>,
    /// The place after the last line, where there are more.
    pub next: Option<String>,
}

/// Where a charge came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeSource {
    /// A connection's pull.
    Connection(ConnectionId),
    /// An uploaded file.
    File(FileId),
}

/// One charge with where it stands.
#[derive(Debug, Clone)]
pub struct ChargeLine {
    /// Names the line as long as its batch exists.
    pub id: String,
    /// Who bills.
    pub provider: ProviderId,
    /// The provider's account.
    pub account: String,
    /// The feed that told it.
    pub feed: String,
    /// Where it came from.
    pub source: ChargeSource,
    /// Whether a newer pull or another source counts instead of it.
    pub is_superseded: bool,
    /// The line.
    pub charge: Charge<'static>,
}
