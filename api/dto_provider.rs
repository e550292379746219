//! Connectors and formats as plain data.

use domain::{AuthField, ConnectorDescriptor, FormatDescriptor};
use serde::Serialize;
use utoipa::ToSchema;

use crate::schemas;

/// A provider that can be connected.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderView {
    /// Id, as in `provider`.
    id: &'static str,
    /// Name for people.
    title: &'static str,
    /// The provider's API; a connection's `base_url` replaces its scheme, host and port.
    base_url: &'static str,
    /// What `credentials` must hold.
    credentials: Vec<CredentialView>,
    /// What is read, in order.
    feeds: Vec<&'static str>,
    /// Finest cut of time: `minute`, `hour` or `day`.
    #[schema(value_type = schemas::Finest)]
    granularity: &'static str,
    /// How far back the provider answers.
    history_days: u32,
    /// After how many hours a day counts as final.
    settle_delay_hours: u32,
    /// How many past days each sync reads again, because the provider restates.
    trailing_days: u32,
    reports: ReportsView,
    /// Hosts that are called.
    hosts: &'static [&'static str],
    /// What the provider receives.
    data_sent: &'static str,
    /// The provider's documentation.
    documentation_url: &'static str,
}

/// One credential.
#[derive(Debug, Serialize, ToSchema)]
struct CredentialView {
    /// Key in `credentials`.
    name: &'static str,
    /// Label for people.
    title: &'static str,
    /// Where to get it.
    help: &'static str,
    /// What a right one starts with; may be empty.
    prefix: &'static str,
    /// Whether to hide it while it is typed.
    secret: bool,
}

/// What a provider can tell.
#[derive(Debug, Serialize, ToSchema)]
struct ReportsView {
    /// Units consumed.
    usage: bool,
    /// Money billed.
    cost: bool,
    /// Invoices.
    invoice: bool,
}

impl From<&ConnectorDescriptor> for ProviderView {
    fn from(connector: &ConnectorDescriptor) -> ProviderView {
        let reports = connector.reports;
        ProviderView {
            id: connector.id,
            title: connector.title,
            base_url: connector.base_url,
            credentials: connector.auth_fields.iter().map(CredentialView::from).collect(),
            feeds: connector.feeds.iter().map(|feed| feed.id).collect(),
            granularity: connector.granularity,
            history_days: connector.history_days,
            settle_delay_hours: connector.settle_delay_hours,
            trailing_days: connector.trailing_days,
            reports: ReportsView {
                usage: reports.usage,
                cost: reports.cost,
                invoice: reports.invoice,
            },
            hosts: connector.hosts,
            data_sent: connector.data_sent,
            documentation_url: connector.documentation_url,
        }
    }
}

impl From<&AuthField> for CredentialView {
    fn from(field: &AuthField) -> CredentialView {
        CredentialView {
            name: field.name,
            title: field.title,
            help: field.help,
            prefix: field.prefix,
            secret: field.is_secret,
        }
    }
}

/// A billing-file format that can be uploaded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FormatView {
    /// Id, as in a file's `format`.
    id: &'static str,
    /// Name for people.
    title: &'static str,
    /// Usual file name endings, without the dot.
    extensions: &'static [&'static str],
    /// Versions that are read.
    versions: &'static [&'static str],
    /// The format's documentation.
    documentation_url: &'static str,
}

impl From<&FormatDescriptor> for FormatView {
    fn from(format: &FormatDescriptor) -> FormatView {
        FormatView {
            id: format.id,
            title: format.title,
            extensions: format.extensions,
            versions: format.versions,
            documentation_url: format.documentation_url,
        }
    }
}
