//! Descriptors: what a connector or a file format says of itself, once, for every table, form and
//! document.

/// One credential that a connection needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthField {
    /// Key in `credentials`.
    pub name: &'static str,
    /// Label for people.
    pub title: &'static str,
    /// Where to get it, in one sentence.
    pub help: &'static str,
    /// What a right one starts with, to tell a wrong kind of key before calling anybody; may be
    /// empty.
    pub prefix: &'static str,
    /// Whether it must be hidden and sealed.
    pub is_secret: bool,
}

/// What a connector can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reports {
    /// Units consumed.
    pub usage: bool,
    /// Money billed.
    pub cost: bool,
    /// Invoices.
    pub invoice: bool,
}

/// One stream that a connector reads, with a window and a watermark of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedDescriptor {
    /// Name: `costs`, `usage.completions`.
    pub id: &'static str,
    /// The most days that one window of the driver asks for.
    pub window_days_max: u32,
}

/// A connector's description of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectorDescriptor {
    /// Provider id; also the name of the connector's file.
    pub id: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// Scheme, host and port of the provider's API, without a path.
    pub base_url: &'static str,
    /// Every host that it may call.
    pub hosts: &'static [&'static str],
    /// What a connection needs.
    pub auth_fields: &'static [AuthField],
    /// Streams, in the order in which they are read.
    pub feeds: &'static [FeedDescriptor],
    /// Finest cut of time in the answers: `minute`, `hour` or `day`.
    pub granularity: &'static str,
    /// How far back the provider answers.
    pub history_days: u32,
    /// After how many hours a day counts as final.
    pub settle_delay_hours: u32,
    /// How many past days every sync reads again, because providers restate.
    pub trailing_days: u32,
    /// The least time between two requests.
    pub request_interval_ms_min: u32,
    /// What it can tell.
    pub reports: Reports,
    /// What the provider receives from us, for SUBPROCESSORS.md.
    pub data_sent: &'static str,
    /// The provider's documentation.
    pub documentation_url: &'static str,
}

/// A billing-file format's description of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatDescriptor {
    /// Id; also the name of the parser's file.
    pub id: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// File name endings it usually has, without the dot.
    pub extensions: &'static [&'static str],
    /// Versions it reads.
    pub versions: &'static [&'static str],
    /// The format's documentation.
    pub documentation_url: &'static str,
}
