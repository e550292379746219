//! Which spans are calls of a model, and what each call reports.
//!
//! A workflow, an agent or a proxy's request repeats what the calls within it consumed, and is no
//! call. What a call of a model consumed is known at its end, which is therefore its instant.

use domain::fixed;
use jiff::Timestamp;

use crate::{
    otel_names as names,
    otel_span::{Attributes, Span},
    otel_usage::{self, CallKind},
    reported::{CallSite, Limits, PATH_CHARACTERS_MAX, Reason, RejectionKind, ReportedCall},
    sellers,
    wire::Figure,
};

/// Who makes spans' identities unique.
const SOURCE: &str = "otel";

/// Operations that are calls of a model: the conventions' words, then those of emitters that put
/// their own there (LiteLLM's calls, `rerank` of Cohere's clients).
const CALLS: &[&str] = &[
    "chat",
    "text_completion",
    "generate_content",
    "embeddings",
    "acompletion",
    "aembedding",
    "aresponses",
    "atext_completion",
    "completion",
    "embedding",
    "rerank",
    "responses",
];

const EMBEDDINGS: &[&str] = &["embeddings", "embedding", "aembedding"];

const RERANKS: &[&str] = &["rerank", "reranker"];

/// OpenInference's kinds that are calls of a model.
const KINDS: &[&str] = &["LLM", "EMBEDDING", "RERANKER"];

/// What a span is to us.
pub(crate) enum Outcome {
    /// A call with its usage.
    Call(Box<ReportedCall>),
    /// Not a call of a model, or one that failed and says no usage: a provider bills none.
    Ignored,
}

/// Reads a span.
pub(crate) fn read(span: &Span, resource: &Attributes) -> Result<Outcome, Reason> {
    let attributes = &span.attributes;
    let Some(operation) = call_of(attributes) else {
        return Ok(Outcome::Ignored);
    };
    let has_failed = span.has_failed || attributes.text(names::ERROR_TYPE).is_some();
    let reading = match otel_usage::read(attributes, kind_of(operation, has_failed)) {
        Ok(reading) => reading,
        Err(error) if has_failed && error.kind == crate::RawUsageErrorKind::NoUsage => {
            return Ok(Outcome::Ignored);
        }
        Err(error) => return Err(error.into()),
    };
    let mut limits = Limits::default();
    attributes.left_out.iter().chain(&resource.left_out).for_each(|name| limits.leave_out(name));
    let mut text = |names: &[&'static str]| {
        let (name, text) = attributes.first(names)?;
        limits.text(name, text)
    };
    let requested_model = text(names::REQUEST_MODEL);
    let end_user = text(names::END_USER);
    let provider_request_id = text(names::PROVIDER_REQUEST_ID);
    let path = attributes.first(names::PATH).or(resource.first(names::PATH));
    let path = path.and_then(|(name, text)| limits.within(name, text, PATH_CHARACTERS_MAX));
    let service_name =
        attributes.first(names::SERVICE_NAME).or(resource.first(names::SERVICE_NAME));
    let service_name = service_name.and_then(|(name, text)| limits.text(name, text));
    let call = ReportedCall {
        identity_source: SOURCE.to_owned(),
        identity: span.identity(),
        path,
        service_name,
        service: seller(attributes),
        requested_model,
        started_at: instant(span.started_nanos, "startTimeUnixNano")?,
        ended_at: instant(last_nanos(span), "endTimeUnixNano")?,
        latency_ms: latency_ms(span),
        time_to_first_token_ms: time_to_first_token_ms(attributes),
        end_user,
        tags: limits.tags(tags(attributes, resource)),
        call_site: call_site(attributes, &mut limits),
        provider_request_id,
        reading,
    };
    Ok(Outcome::Call(Box::new(call.within(limits))))
}

impl ReportedCall {
    /// The call with what its reading names held to the limits, and flags for what was left out.
    pub(crate) fn within(mut self, mut limits: Limits) -> ReportedCall {
        let reading = &mut self.reading;
        reading.model = reading.model.take().and_then(|model| limits.text("model", &model));
        let id = reading.response_id.take();
        reading.response_id = id.and_then(|id| limits.text("response_id", &id));
        limits.flag(reading);
        self
    }
}

/// The operation of a call of a model; `None` for every other span.
fn call_of(attributes: &Attributes) -> Option<&str> {
    if let Some(kind) = attributes.text(names::KIND) {
        return KINDS.iter().any(|call| kind.eq_ignore_ascii_case(call)).then_some(kind);
    }
    if let Some(operation) = attributes.text(names::OPERATION) {
        let is_call = CALLS.iter().any(|call| operation.eq_ignore_ascii_case(call));
        return is_call.then_some(operation);
    }
    if let Some(kind) = attributes.text(names::REQUEST_TYPE) {
        return Some(kind);
    }
    // Before operations had names: a model and its tokens, on a span that is nothing else.
    let names_model = attributes.first(names::REQUEST_MODEL).is_some()
        || attributes.first(names::RESPONSE_MODEL).is_some();
    let says_tokens =
        [names::INPUT, names::OUTPUT].iter().any(|tokens| attributes.first(tokens).is_some());
    let is_else = attributes.text(names::ENTITY_KIND).is_some();
    (names_model && says_tokens && !is_else).then_some("")
}

/// A rerank that failed is none: it may not have been billed.
fn kind_of(operation: &str, has_failed: bool) -> CallKind {
    let is_one_of = |words: &[&str]| words.iter().any(|word| operation.eq_ignore_ascii_case(word));
    if is_one_of(EMBEDDINGS) {
        CallKind::Embedding
    } else if is_one_of(RERANKS) && !has_failed {
        CallKind::Rerank
    } else {
        CallKind::Generation
    }
}

fn seller(attributes: &Attributes) -> Option<domain::Service> {
    let address = attributes.first(names::ADDRESS).map(|(_, text)| text);
    let models = [names::REQUEST_MODEL, names::RESPONSE_MODEL];
    let model = models.iter().find_map(|names| attributes.first(names)).map(|(_, text)| text);
    let providers = names::PROVIDER.iter().filter_map(|name| attributes.text(name));
    sellers::seller(providers, address, model)
}

/// The end, or the beginning of a span that says no end.
fn last_nanos(span: &Span) -> u64 {
    if span.ended_nanos == 0 { span.started_nanos } else { span.ended_nanos }
}

fn instant(nanos: u64, at: &str) -> Result<Option<Timestamp>, Reason> {
    if nanos == 0 {
        return Ok(None);
    }
    let instant = Timestamp::from_nanosecond(i128::from(nanos));
    let wrong = |_| Reason::new(RejectionKind::TimeInvalid, at, "no instant of this calendar");
    instant.map(Some).map_err(wrong)
}

/// `None` where an end or a beginning is not said, or the end is before the beginning.
fn latency_ms(span: &Span) -> Option<u64> {
    if span.started_nanos == 0 {
        return None;
    }
    Some(span.ended_nanos.checked_sub(span.started_nanos)? / 1_000_000)
}

/// From seconds, which are told as a binary fraction.
fn time_to_first_token_ms(attributes: &Attributes) -> Option<u64> {
    let (_, seconds) = attributes.first(names::TIME_TO_FIRST)?;
    let femtos = fixed::parse_rounded(seconds).ok()?.value;
    u64::try_from(femtos.div_euclid(fixed::ONE / 1000)).ok()
}

fn call_site(attributes: &Attributes, limits: &mut Limits) -> Option<CallSite> {
    let mut text = |names: &[&'static str]| {
        let (name, text) = attributes.first(names)?;
        limits.text(name, text)
    };
    let file = text(names::FILE);
    let namespace = text(names::NAMESPACE);
    let function = text(names::FUNCTION).map(|function| match namespace {
        Some(namespace) => format!("{namespace}.{function}"),
        None => function,
    });
    let line = attributes.first(names::LINE);
    let line = line.and_then(|(name, line)| Figure::parse(line, name.to_owned()).ok());
    let is_said = file.is_some() || function.is_some();
    is_said.then(|| CallSite { file, function, line: line.map(|figure| figure.count) })
}

/// What people have tagged themselves goes before what is known besides. An end user is no tag:
/// whoever erases one looks there.
fn tags<'a>(
    attributes: &'a Attributes,
    resource: &'a Attributes,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let is_user = |name: &str| {
        names::END_USER.iter().any(|known| known.strip_prefix(names::OWN_TAGS) == Some(name))
    };
    let own = attributes.below(names::OWN_TAGS).filter(move |(name, _)| !is_user(name));
    let known = names::TAGS
        .iter()
        .filter_map(|name| Some((*name, attributes.text(name).or(resource.text(name))?)));
    own.chain(known)
}
