//! A span as both encodings have it, with the attributes that are read and no others.
//!
//! What a request may have is bounded before it is taken apart: telemetry comes from applications
//! that somebody else may steer.

use std::collections::BTreeMap;

use crate::{
    otel_names,
    reported::{Reason, RejectedReport, RejectionKind, TelemetryError, TelemetryErrorKind},
};

/// Most spans of a request.
pub const SPANS_MAX: usize = 10_000;

/// Most attributes of a span, and of a resource: one with more is rejected.
pub const ATTRIBUTES_MAX: usize = 4096;

/// Most messages and texts within a protobuf request, of any kind: an empty message takes two bytes
/// to send and a hundred to hold.
pub const FIELDS_MAX: usize = 1_000_000;

/// Most messages within one another in a protobuf request. An attribute's value is the sixth.
pub const NESTING_MAX: usize = 64;

/// Longer values of attributes are not kept, whatever they are for.
const VALUE_BYTES_MAX: usize = 8192;

/// The spans of one resource.
#[derive(Debug)]
pub(crate) struct ResourceOfSpans {
    pub(crate) attributes: Attributes,
    pub(crate) spans: Vec<Result<Span, RejectedReport>>,
}

/// A span.
#[derive(Debug)]
pub(crate) struct Span {
    /// Which one of the request.
    pub(crate) index: usize,
    /// Lower-case hex, as are the ids of the span and of its parent; that one is empty at the root.
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) parent_id: String,
    /// Nanoseconds since 1970; 0 where it is not said.
    pub(crate) started_nanos: u64,
    pub(crate) ended_nanos: u64,
    pub(crate) has_failed: bool,
    pub(crate) attributes: Attributes,
}

impl Span {
    /// The identity of a span of these ids.
    pub(crate) fn identity(&self) -> String {
        format!("{}:{}", self.trace_id, self.span_id)
    }

    /// Refuses ids that are none: they could not be told apart.
    pub(crate) fn check_ids(&self) -> Result<(), Reason> {
        for (id, digits, name) in [(&self.trace_id, 32, "traceId"), (&self.span_id, 16, "spanId")] {
            let is_hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
            if id.len() != digits || !is_hex || id.bytes().all(|byte| byte == b'0') {
                let detail = format!("is {digits} hex digits, not all of them 0");
                return Err(Reason::new(RejectionKind::IdentityInvalid, name, &detail));
            }
        }
        Ok(())
    }
}

/// Attributes that are read, each as text. Of two with one name the first counts.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    texts: BTreeMap<String, String>,
    /// Names of those that were too long.
    pub(crate) left_out: Vec<String>,
}

impl Attributes {
    /// Keeps an attribute that is read and not empty; `value` is asked for no other.
    pub(crate) fn insert<E>(
        &mut self,
        name: &str,
        value: impl FnOnce() -> Result<Option<String>, E>,
    ) -> Result<(), E> {
        if !otel_names::is_known(name) || self.texts.contains_key(name) {
            return Ok(());
        }
        match value()? {
            Some(text) if text.len() > VALUE_BYTES_MAX => self.left_out.push(shortened(name)),
            Some(text) if !text.is_empty() && name.len() <= VALUE_BYTES_MAX => {
                self.texts.insert(name.to_owned(), text);
            }
            _ => {}
        }
        Ok(())
    }

    /// A text by its name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// The first of several that is there, with its name.
    pub(crate) fn first(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|name| Some((*name, self.text(name)?)))
    }

    /// All whose names begin so, with the rest of their names.
    pub(crate) fn below<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let from = self.texts.range(start.to_owned()..);
        from.map_while(move |(name, text)| Some((name.strip_prefix(start)?, text.as_str())))
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(128).collect()
}

/// More of something than a request may have.
pub(crate) fn too_large(at: &str, what: &str, max: usize) -> TelemetryError {
    let detail = format!("a request has at most {max} {what}: send smaller batches");
    TelemetryError::new(TelemetryErrorKind::TooLarge, at, &detail)
}

/// More attributes than a span may have.
pub(crate) fn too_many_attributes(at: &str) -> Reason {
    let detail = format!("at most {ATTRIBUTES_MAX} attributes are taken");
    Reason::new(RejectionKind::TooManyAttributes, at, &detail)
}
