//! A call that telemetry reports: from a span or an event, whoever sent it, in one shape.
//!
//! Telemetry cannot be asked again, so figures are kept and flagged ([`crate::Strictness::Flag`]).
//! What is said in prompts and answers is in none of this: only attributes with known names are
//! kept.

use std::{collections::BTreeMap, fmt};

use domain::Service;
use jiff::Timestamp;

use crate::{
    error::{RawUsageError, RawUsageErrorKind},
    reading::{Flag, FlagKind, Reading},
};

/// Most characters of an identity, and of a source of identities.
pub const IDENTITY_CHARACTERS_MAX: usize = 256;

/// Most characters of any other text but the path: names of models, ids, end users, values of tags.
/// A longer one is left out and flagged, since a part of a name is another name.
pub const TEXT_CHARACTERS_MAX: usize = 256;

/// Most characters of a path: more than any valid one has.
pub const PATH_CHARACTERS_MAX: usize = 2048;

/// Most tags of a call. In the order of their names; those that are too many are left out.
pub const TAGS_MAX: usize = 32;

/// Most characters of a tag's name.
pub const TAG_NAME_CHARACTERS_MAX: usize = 128;

/// Most bytes of the names and values of all tags of a call.
pub const TAGS_BYTES_MAX: usize = 2048;

/// One call of a model, as an application's telemetry reports it.
///
/// It is not deduplicated: the same call sent twice has the same identity twice, and whoever books
/// it counts it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedCall {
    /// Who made the identity unique: `otel` for spans, an event's `source`.
    pub identity_source: String,
    /// Unique within the source: `TRACE_ID:SPAN_ID` in lower-case hex, or an event's `id`. The
    /// response's id is none, since two applications may tell of one response.
    pub identity: String,
    /// Where the call belongs, as it was said: not checked. Never empty.
    pub path: Option<String>,
    /// The application's name for itself (the resource's `service.name`), which is no seller.
    pub service_name: Option<String>,
    /// Who sold the call, by our name where there is one; `None` where nothing says it.
    pub service: Option<Service>,
    /// The model that was asked for. The one that answered, if it is said, or else this one, is in
    /// `reading`.
    pub requested_model: Option<String>,
    /// The usage, never empty; its rate's context, the model, the response's id, the cost that the
    /// telemetry states, and flags.
    pub reading: Reading,
    /// When the call began.
    pub started_at: Option<Timestamp>,
    /// When the call was over and its usage known: the event's instant. A span without an end is
    /// taken at its start; `None` where nothing is said, which is the instant of receipt.
    pub ended_at: Option<Timestamp>,
    /// Milliseconds from beginning to end.
    pub latency_ms: Option<u64>,
    /// Milliseconds until the first of the answer came.
    pub time_to_first_token_ms: Option<u64>,
    /// For whom the call was made.
    pub end_user: Option<String>,
    /// What else is known of the call, within the limits of this module.
    pub tags: BTreeMap<String, String>,
    /// Where in the application's source the call was made.
    pub call_site: Option<CallSite>,
    /// The provider's id of the request.
    pub provider_request_id: Option<String>,
}

/// A place in an application's source. At least one of the file and the function is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallSite {
    /// The file.
    pub file: Option<String>,
    /// The function, with its namespace where that is said.
    pub function: Option<String>,
    /// The line, from 1.
    pub line: Option<u64>,
}

/// One span or event that cannot be booked. The others of its request are not touched by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RejectedReport {
    /// Which one of the request, counted from 0; spans in the order of all resources and scopes.
    pub index: usize,
    /// Its identity, where that can be told.
    pub identity: Option<String>,
    /// What kind of reason.
    pub kind: RejectionKind,
    /// Where in it: an attribute's name or a JSON pointer; empty for all of it.
    pub at: String,
    /// What is wrong and what helps; quotes names and figures only.
    pub detail: String,
}

impl fmt::Display for RejectedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.index)?;
        if !self.at.is_empty() {
            write!(f, "`{}`: ", self.at)?;
        }
        f.write_str(&self.detail)
    }
}

/// Why a span or event cannot be booked; callers branch on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RejectionKind {
    /// It is not of the shape that it should be.
    Malformed,
    /// It has no identity by which it could be counted once.
    IdentityInvalid,
    /// Its instant is none.
    TimeInvalid,
    /// It has more attributes than [`crate::ATTRIBUTES_MAX`].
    TooManyAttributes,
    /// Its usage cannot be read, or it is a call that says none.
    Usage(RawUsageErrorKind),
}

impl RejectionKind {
    /// Stable text for API clients.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            RejectionKind::Malformed => "report_malformed",
            RejectionKind::IdentityInvalid => "report_identity_invalid",
            RejectionKind::TimeInvalid => "report_time_invalid",
            RejectionKind::TooManyAttributes => "report_too_many_attributes",
            RejectionKind::Usage(kind) => kind.code(),
        }
    }
}

/// A whole request of telemetry that cannot be read. Nothing of it is booked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TelemetryError {
    /// What kind of failure.
    pub kind: TelemetryErrorKind,
    /// Where: `byte 17`, `line 1, column 5` or a JSON pointer; empty where there is no place.
    pub at: String,
    /// What is wrong and what helps.
    pub detail: String,
}

impl TelemetryError {
    pub(crate) fn new(kind: TelemetryErrorKind, at: &str, detail: &str) -> TelemetryError {
        TelemetryError { kind, at: at.to_owned(), detail: detail.to_owned() }
    }
}

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.is_empty() {
            true => f.write_str(&self.detail),
            false => write!(f, "{}: {}", self.at, self.detail),
        }
    }
}

/// What kind of failure it is; callers branch on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TelemetryErrorKind {
    /// No protobuf, no JSON, or not of the shape that was announced.
    Malformed,
    /// More spans, events, fields or levels than one request may have. Smaller batches help.
    TooLarge,
}

impl TelemetryErrorKind {
    /// Stable text for API clients.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            TelemetryErrorKind::Malformed => "telemetry_malformed",
            TelemetryErrorKind::TooLarge => "telemetry_too_large",
        }
    }
}

/// Why one report is rejected, before its place in the request is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) kind: RejectionKind,
    pub(crate) at: String,
    pub(crate) detail: String,
}

impl Reason {
    pub(crate) fn new(kind: RejectionKind, at: &str, detail: &str) -> Reason {
        Reason { kind, at: at.to_owned(), detail: detail.to_owned() }
    }

    pub(crate) fn rejected(self, index: usize, identity: Option<String>) -> RejectedReport {
        let Reason { kind, at, detail } = self;
        RejectedReport { index, identity, kind, at, detail }
    }
}

impl From<RawUsageError> for Reason {
    fn from(error: RawUsageError) -> Reason {
        Reason::new(RejectionKind::Usage(error.kind), &error.pointer, &error.detail)
    }
}

/// Takes texts within their limits, and remembers which were left out.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    left_out: Vec<String>,
}

impl Limits {
    /// A text of at most [`TEXT_CHARACTERS_MAX`] characters.
    pub(crate) fn text(&mut self, at: &str, text: &str) -> Option<String> {
        self.within(at, text, TEXT_CHARACTERS_MAX)
    }

    /// A text of at most `max` characters; nothing where it is empty.
    pub(crate) fn within(&mut self, at: &str, text: &str, max: usize) -> Option<String> {
        // Bytes are at least as many as characters, and quicker to count.
        if text.len() > max && text.chars().count() > max {
            self.leave_out(at);
            return None;
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Tags within their limits; of two with one name the first counts.
    pub(crate) fn tags<'t>(
        &mut self,
        all: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> BTreeMap<String, String> {
        let (mut tags, mut bytes) = (BTreeMap::new(), 0_usize);
        for (name, value) in all {
            if name.is_empty() || value.is_empty() || tags.contains_key(name) {
                continue;
            }
            let after = bytes.saturating_add(name.len()).saturating_add(value.len());
            let is_short = name.chars().count() <= TAG_NAME_CHARACTERS_MAX
                && value.chars().count() <= TEXT_CHARACTERS_MAX;
            if !is_short || after > TAGS_BYTES_MAX || tags.len() >= TAGS_MAX {
                self.leave_out("tags");
                continue;
            }
            bytes = after;
            tags.insert(name.to_owned(), value.to_owned());
        }
        tags
    }

    /// Remembers that something was left out.
    pub(crate) fn leave_out(&mut self, at: &str) {
        if !self.left_out.iter().any(|known| known == at) {
            self.left_out.push(at.to_owned());
        }
    }

    /// Flags for what was left out.
    pub(crate) fn flag(self, reading: &mut Reading) {
        let detail = "is too long, or too many: it is left out";
        reading.flags.extend(self.left_out.into_iter().map(|pointer| Flag {
            kind: FlagKind::Oversized,
            pointer,
            detail: detail.to_owned(),
        }));
    }
}
