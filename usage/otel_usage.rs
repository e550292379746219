//! What a span says that was consumed, and at which rate.
//!
//! The input holds what was cached and the output the reasoning, as the conventions want it. Many
//! emitters leave the cache out; the figures show it where the cached part is larger than the
//! input, or the total is larger by the cache.
//! <https://github.com/open-telemetry/semantic-conventions/pull/3163>

use domain::RateContext;

use crate::{
    cache_writes::CacheWrites,
    draft::Draft,
    error::{RawUsageError, RawUsageErrorKind},
    inclusive, otel_names as names,
    otel_span::Attributes,
    rate,
    reading::{FlagKind, Reading, Strictness},
    sellers, stated_cost,
    wire::{Figure, sum},
};

/// What kind of call a span is, as far as it changes what its figures mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// Tokens in and out.
    Generation,
    /// It has no output: its total is its input.
    Embedding,
    /// It is sold by the request, and no convention has a word for that.
    Rerank,
}

/// Reads the figures of a call.
pub(crate) fn read(attributes: &Attributes, kind: CallKind) -> Result<Reading, RawUsageError> {
    let mut draft = Draft::new(Strictness::Flag);
    read_tokens(attributes, &mut draft)?;
    let mut total = figure(attributes, names::TOTAL, &mut draft)?;
    let says_parts = draft.figures.input.is_some() || draft.figures.output.is_some();
    if kind == CallKind::Embedding && !says_parts {
        draft.figures.input = total.take();
    }
    if kind == CallKind::Rerank && !says_parts && total.is_none() {
        draft.other.requests = Some(1);
        let detail = "one request at least: many documents are billed as several";
        draft.note(FlagKind::LowerBound, names::KIND, detail);
    }
    hold_total(total, &mut draft)?;
    if draft.is_empty() {
        let detail = format!(
            "a call of a model that does not say its usage, which is not zero: `{}` and `{}`",
            names::INPUT[0],
            names::OUTPUT[0],
        );
        return Err(RawUsageError::new(RawUsageErrorKind::NoUsage, "", &detail));
    }
    if let Some((name, text)) = attributes.first(names::COST) {
        stated_cost::take_dollars(text, name, &mut draft);
    }
    read_context(attributes, &mut draft);
    let model = attributes.first(names::RESPONSE_MODEL).or(attributes.first(names::REQUEST_MODEL));
    let response_id = attributes.first(names::RESPONSE_ID);
    let text = |said: Option<(_, &str)>| said.map(|(_, text)| text.to_owned());
    Ok(Reading { model: text(model), response_id: text(response_id), ..draft.finish()? })
}

/// Holds a total against input and output: one that is larger by the cache shows that the input
/// leaves it out.
pub(crate) fn hold_total(total: Option<Figure>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let cached = sum([&draft.figures.cache_read, &draft.figures.cache_write]);
    let both = sum([&draft.figures.input, &draft.figures.output]);
    if let (Some(total), Some(input)) = (&total, &mut draft.figures.input)
        && (cached > 0 && cached <= input.count)
        && total.count == both.saturating_add(cached)
    {
        input.count = input.count.saturating_add(cached);
        let detail = "has the cache besides input and output: the input leaves it out";
        draft.note(FlagKind::CacheOutside, &total.at, detail);
        return Ok(());
    }
    inclusive::hold_total(total, draft)
}

fn read_tokens(attributes: &Attributes, draft: &mut Draft) -> Result<(), RawUsageError> {
    let cache_read = match figure(attributes, names::CACHE_READ, draft)? {
        Some(said) => Some(said),
        None => figure(attributes, names::CACHE_INPUT, draft)?,
    };
    let writes = figure(attributes, names::CACHE_WRITE, draft)?;
    let writes = CacheWrites::of_split(writes, None, None, draft)?;
    draft.figures.input = figure(attributes, names::INPUT, draft)?;
    draft.figures.cache_read = cache_read;
    draft.figures.cache_write = writes.all;
    draft.figures.input_audio = figure(attributes, names::INPUT_AUDIO, draft)?;
    draft.figures.input_image = figure(attributes, names::INPUT_IMAGE, draft)?;
    draft.figures.output = figure(attributes, names::OUTPUT, draft)?;
    draft.figures.output_reasoning = figure(attributes, names::REASONING, draft)?;
    draft.figures.output_audio = figure(attributes, names::OUTPUT_AUDIO, draft)?;
    Ok(())
}

/// A figure that several names are used for.
fn figure(
    attributes: &Attributes,
    names: &[&str],
    draft: &mut Draft,
) -> Result<Option<Figure>, RawUsageError> {
    let mut said = Vec::new();
    for name in names {
        if let Some(text) = attributes.text(name) {
            said.push(Some(Figure::parse(text, (*name).to_owned())?));
        }
    }
    draft.same(said)
}

/// What served the call goes before what was asked for, and before what its address says.
fn read_context(attributes: &Attributes, draft: &mut Draft) {
    let word = |names| attributes.first(names).map(|(_, text): (_, &str)| text.to_owned());
    rate::tier(draft, word(names::REQUEST_TIER));
    let asked = std::mem::take(&mut draft.context);
    rate::tier(draft, word(names::RESPONSE_TIER));
    let served = std::mem::take(&mut draft.context);
    let address = attributes.first(names::ADDRESS);
    let by_address = address
        .map_or_else(RateContext::default, |(_, address)| sellers::context_of_address(address));
    draft.context = by_address.corrected_by(asked).corrected_by(served);
}
