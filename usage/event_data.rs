//! What the data of an event say about a call: our own words, as `track` has them, the provider's
//! own block, or the flat counts that other meters are sent.
//!
//! * Ours: `usage` with the words of `domain::Usage`, or `raw_usage` and `raw_format`; beside them
//!   `service`, `model`, `context` and the rest of a call.
//! * LiteLLM's: `model`, `prompt_tokens`, `completion_tokens`, `total_tokens`, `cost`.
//! * `OpenMeter`'s examples: `tokens`, whose `type` is `input` or `output`, as numbers or texts.

use domain::{Place, Processing, RateContext, ServiceTier, Speed, Unit, UnknownContext, Usage};

use crate::{
    cloud_events::{self, Envelope},
    draft::Draft,
    error::{RawUsageError, RawUsageErrorKind},
    formats::{self, RawFormat},
    mistral_chat, otel_usage,
    reading::{Reading, Strictness},
    reported::{CallSite, Limits, PATH_CHARACTERS_MAX, Reason, RejectionKind, ReportedCall},
    sellers, stated_cost,
    wire::{Figure, Object},
};

/// What a custom unit's name begins with.
const CUSTOM: &str = "custom:";

/// Most custom units of a call.
const CUSTOM_MAX: usize = 32;

/// Reads a call from an event's data.
pub(crate) fn read(event: &Object<'_>, envelope: Envelope) -> Result<ReportedCall, Reason> {
    let data = event.child("data").map_err(malformed)?;
    let reading = reading(&data)?;
    let Envelope { source, id, subject, path, time, mut limits } = envelope;
    let mut text = |names: &[&str]| first(&data, names, &mut limits);
    let end_user = text(&["end_user_id", "end_user", "user"]);
    let service_name = text(&["service_name"]);
    let requested_model = text(&["requested_model"]);
    let provider_request_id = text(&["provider_request_id"]);
    let provider = text(&["service", "provider", "custom_llm_provider"]);
    let response_id = text(&["response_id"]);
    let model = text(&["model"]).or_else(|| requested_model.clone());
    let own_path = data.text("path");
    let own_path =
        own_path.and_then(|text| limits.within("/data/path", &text, PATH_CHARACTERS_MAX));
    let reading = Reading {
        model: reading.model.or(model),
        response_id: reading.response_id.or(response_id),
        ..reading
    };
    let service = sellers::seller(provider.as_deref(), None, reading.model.as_deref());
    let own_time = cloud_events::time(&data, "timestamp")?;
    let milliseconds = |name| Ok::<_, Reason>(data.count(name)?.map(|figure| figure.count));
    let call = ReportedCall {
        identity_source: source,
        identity: id,
        path: path.or(own_path),
        service_name,
        service,
        requested_model,
        started_at: None,
        ended_at: time.or(own_time),
        latency_ms: milliseconds("latency_ms")?,
        time_to_first_token_ms: milliseconds("time_to_first_token_ms")?,
        end_user: subject.or(end_user),
        tags: tags(&data, &mut limits),
        call_site: call_site(&data, &mut limits),
        provider_request_id,
        reading,
    };
    Ok(call.within(limits))
}

fn malformed(error: RawUsageError) -> Reason {
    Reason::new(RejectionKind::Malformed, &error.pointer, &error.detail)
}

/// The first of several texts that is there.
fn first(data: &Object<'_>, names: &[&str], limits: &mut Limits) -> Option<String> {
    let (name, text) = names.iter().find_map(|name| Some((name, data.text(name)?)))?;
    limits.text(&data.at_field(name), &text)
}

fn reading(data: &Object<'_>) -> Result<Reading, Reason> {
    let reading = match data.raw("raw_usage") {
        Some(raw) => raw_reading(data, raw.get())?,
        None => own_reading(data)?,
    };
    let context = context(data)?;
    Ok(Reading { context: context.corrected_by(reading.context), ..reading })
}

/// The provider's own block.
fn raw_reading(data: &Object<'_>, raw: &str) -> Result<Reading, Reason> {
    let at = data.at_field("raw_format");
    let word = data.text("raw_format").unwrap_or_default();
    let format = RawFormat::parse(&word)
        .map_err(|error| Reason::new(RejectionKind::Malformed, &at, &error.to_string()))?;
    formats::read(format, raw, Strictness::Flag).map_err(|error| {
        let pointer = format!("{}{}", data.at_field("raw_usage"), error.pointer);
        Reason::from(RawUsageError { pointer, ..error })
    })
}

/// Our own words, or flat counts: in `usage`, or where there is none in the data themselves.
fn own_reading(data: &Object<'_>) -> Result<Reading, Reason> {
    let block =
        if data.has("usage") { data.child("usage").map_err(malformed)? } else { data.clone() };
    let mut draft = Draft::new(Strictness::Flag);
    read_tokens(&block, &mut draft)?;
    read_others(&block, &mut draft)?;
    let total = block.count("total_tokens")?;
    let total = take_typed_tokens(&block, total, &mut draft)?;
    otel_usage::hold_total(total, &mut draft)?;
    if draft.is_empty() {
        let detail = "no usage is said, which is not zero: `usage`, or `raw_usage` with \
                      `raw_format`, or `prompt_tokens` and `completion_tokens`";
        let error = RawUsageError::new(RawUsageErrorKind::NoUsage, block.at(), detail);
        return Err(error.into());
    }
    stated_cost::read(data, &mut draft)?;
    Ok(draft.finish()?)
}

fn read_tokens(block: &Object<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let details = block.child("prompt_tokens_details")?;
    let done = block.child("completion_tokens_details")?;
    let mut same = |names: &[&str], inner: Option<Figure>| {
        let mut said = vec![inner];
        for name in names {
            said.push(block.count(name)?);
        }
        draft.same(said)
    };
    let input = same(&[Unit::INPUT_TOKENS, "prompt_tokens"], None)?;
    let cache_read = same(
        &[Unit::CACHE_READ_TOKENS, "cache_read_input_tokens", "cached_tokens"],
        details.count("cached_tokens")?,
    )?;
    let cache_write = same(
        &[Unit::CACHE_WRITE_TOKENS, "cache_creation_input_tokens"],
        details.count("cache_creation_tokens")?,
    )?;
    let output = same(&[Unit::OUTPUT_TOKENS, "completion_tokens"], None)?;
    let reasoning = same(
        &[Unit::OUTPUT_REASONING_TOKENS, "reasoning_tokens"],
        done.count("reasoning_tokens")?,
    )?;
    let figures = &mut draft.figures;
    figures.input = input;
    figures.cache_read = cache_read;
    figures.cache_write = cache_write;
    figures.output = output;
    figures.output_reasoning = reasoning;
    figures.cache_write_1h = block.count(Unit::CACHE_WRITE_1H_TOKENS)?;
    figures.input_audio = block.count(Unit::INPUT_AUDIO_TOKENS)?;
    figures.input_image = block.count(Unit::INPUT_IMAGE_TOKENS)?;
    figures.cache_read_audio = block.count(Unit::CACHE_READ_AUDIO_TOKENS)?;
    figures.cache_read_image = block.count(Unit::CACHE_READ_IMAGE_TOKENS)?;
    figures.output_audio = block.count(Unit::OUTPUT_AUDIO_TOKENS)?;
    figures.output_image = block.count(Unit::OUTPUT_IMAGE_TOKENS)?;
    Ok(())
}

/// What is no token.
fn read_others(block: &Object<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let count = |name| Ok::<_, RawUsageError>(block.count(name)?.map(|figure| figure.count));
    let mut custom = Vec::new();
    for (name, unit) in
        block.names_of_fields().filter_map(|name| Some((name, name.strip_prefix(CUSTOM)?)))
    {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_unit = (1..=64).contains(&unit.len()) && unit.bytes().all(is_letter);
        if !is_unit || custom.len() >= CUSTOM_MAX {
            let detail = format!("{CUSTOM_MAX} units of 1 to 64 letters, digits, `.`, `_` and `-`");
            let kind = RawUsageErrorKind::Malformed;
            return Err(RawUsageError::new(kind, &block.at_field(CUSTOM), &detail));
        }
        // With up to six decimals, as seconds have.
        let Some(quantity) = mistral_chat::seconds(block, name)? else {
            continue;
        };
        custom.push((unit.to_owned(), quantity));
    }
    draft.other = Usage {
        requests: count(Unit::REQUESTS)?,
        web_searches: count(Unit::WEB_SEARCHES)?,
        input_characters: count(Unit::INPUT_CHARACTERS)?,
        images: count(Unit::IMAGES)?,
        pages: count(Unit::PAGES)?,
        audio_seconds: mistral_chat::seconds(block, Unit::AUDIO_SECONDS)?,
        custom,
        ..Usage::default()
    };
    Ok(())
}

/// Takes `tokens` for what their `type` says; without one, they are the total.
fn take_typed_tokens(
    block: &Object<'_>,
    total: Option<Figure>,
    draft: &mut Draft,
) -> Result<Option<Figure>, RawUsageError> {
    let tokens = block.count("tokens")?;
    let kind = block.text("type").unwrap_or_default().to_ascii_lowercase();
    match kind.as_str() {
        "input" | "prompt" => {
            let input = draft.figures.input.take();
            draft.figures.input = draft.same([input, tokens])?;
            Ok(total)
        }
        "output" | "completion" => {
            let output = draft.figures.output.take();
            draft.figures.output = draft.same([output, tokens])?;
            Ok(total)
        }
        _ => draft.same([total, tokens]),
    }
}

/// What changes the rate. Words that nobody knows are kept as unknown.
fn context(data: &Object<'_>) -> Result<RateContext, Reason> {
    let said = data.child("context").map_err(malformed)?;
    let mut unknown: Vec<UnknownContext> = Vec::new();
    let mut context = RateContext::default();
    let mut keep = |error| unknown.push(error);
    if let Some(word) = said.text("processing") {
        context.processing = Processing::parse(&word).map_err(&mut keep).ok();
    }
    if let Some(word) = said.text("service_tier") {
        context.service_tier = ServiceTier::parse(&word).map_err(&mut keep).ok();
    }
    if let Some(word) = said.text("speed") {
        context.speed = Speed::parse(&word).map_err(&mut keep).ok();
    }
    if let Some(word) = said.text("data_residency") {
        context.data_residency = Place::parse("data_residency", &word).map_err(&mut keep).ok();
    }
    if let Some(word) = said.text("vertex_location") {
        context.vertex_location = Place::parse("vertex_location", &word).map_err(&mut keep).ok();
    }
    Ok(RateContext { unknown, ..context })
}

/// Tags as texts, numbers and truths.
fn tags(data: &Object<'_>, limits: &mut Limits) -> std::collections::BTreeMap<String, String> {
    let Some(tags) = data.aside("tags") else {
        return std::collections::BTreeMap::new();
    };
    let is_scalar = |text: &&str| !text.starts_with(['{', '[', '"']);
    let scalar = |name: &str| tags.raw(name).map(|raw| raw.get()).filter(is_scalar);
    let value = |name: &str| tags.text(name).or_else(|| scalar(name).map(str::to_owned));
    let all: Vec<(&str, String)> =
        tags.names_of_fields().filter_map(|name| Some((name, value(name)?))).collect();
    limits.tags(all.iter().map(|(name, value)| (*name, value.as_str())))
}

fn call_site(data: &Object<'_>, limits: &mut Limits) -> Option<CallSite> {
    let site = data.aside("call_site")?;
    let file = first(&site, &["file"], limits);
    let function = first(&site, &["function"], limits);
    let line = site.count("line").ok().flatten().map(|figure| figure.count);
    (file.is_some() || function.is_some()).then_some(CallSite { file, function, line })
}
