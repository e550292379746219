#![doc = include_str!("README.md")]
#![warn(missing_docs)]
#![warn(clippy::arithmetic_side_effects)]

//! ## Glossary
//!
//! A *page* is one answer of a provider, a *pull* is all pages of one feed and window. The *cursor*
//! leads from a page to the next; only the connector that made it can read it.

mod context;
mod day_buckets;
mod driver;
mod error;
mod order;
mod pace;
mod registry;
mod transport;

pub use context::{Context, Settings};
pub use driver::{Driver, DriverLimits, Pull};
pub use error::{ConnectorError, ErrorKind, Retry};
pub use pace::{Pause, TokioPause};
pub use registry::{REGISTRY, find};
pub use transport::{HttpTransport, Transport};

use domain::{Charge, ConnectorDescriptor, Window};
use jiff::Timestamp;

/// One page to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// A feed of the descriptor.
    pub feed: &'static str,
    /// Whole UTC days, no more of them than the feed's `window_days_max`.
    pub window: Window,
    /// The last page's `next_cursor`; `None` for the first page.
    pub cursor: Option<String>,
}

/// One page's worth of charges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Charges, in any order.
    pub charges: Vec<Charge<'static>>,
    /// What to ask for next; `None` where this was the last page.
    pub next_cursor: Option<String>,
    /// What the provider could not or would not tell, or told in a way that cannot be read; for
    /// people.
    pub issues: Vec<String>,
    /// Where the page itself shows that days are missing or partial: the start of the first of
    /// them. The driver adds what follows from the descriptor's settle delay.
    pub complete_through: Option<Timestamp>,
    /// Days that the provider should have spoken about and did not. A day without charges that it
    /// did speak about is not among them.
    pub unanswered: Vec<Window>,
}

/// What a working key says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The provider's own id of the account that charges belong to.
    pub account: String,
}

/// A provider's billing API.
///
/// An implementation turns requests into charges and nothing else: it never waits, retries, loops
/// over pages, reads the clock, logs, or calls a host that is not in its descriptor. It must not
/// panic on anything a provider sends.
#[async_trait::async_trait]
pub trait Connector: Send + Sync {
    /// What the connector is. Always the same answer.
    fn descriptor(&self) -> &'static ConnectorDescriptor;

    /// Fetches one page. The same request again asks the provider again, and means the same.
    ///
    /// A line that cannot be read becomes an issue and moves `complete_through`; an answer that
    /// cannot be read at all is an error of kind `malformed`. Neither is ever left out in silence.
    ///
    /// # Errors
    /// [`ConnectorError`]; its `retry` says whether the driver may ask again.
    async fn fetch_page(
        &self,
        ctx: &Context<'_>,
        request: &PageRequest,
    ) -> Result<Page, ConnectorError>;

    /// Verifies the credentials with the smallest question there is, and finds the account they
    /// belong to.
    ///
    /// # Errors
    /// [`ConnectorError`]; of kind `account_unknown` where the key works and nothing names the
    /// account.
    async fn check(&self, ctx: &Context<'_>) -> Result<CheckReport, ConnectorError>;

    /// What an answer that is not a success means. The default goes by the status alone; override
    /// it where the provider's body says more.
    fn classify(&self, status: u16, body: &[u8]) -> ErrorKind {
        let _ = body;
        ErrorKind::of_status(status)
    }
}
