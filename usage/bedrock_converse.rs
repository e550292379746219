//! Converse and `ConverseStream` of Amazon Bedrock: `inputTokens` leaves out what was read from the
//! cache and written to it, so all input is the three together.
//!
//! The total is with or without the cache, depending on the model. How long writes live is in
//! `cacheDetails` only.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>

use crate::{
    cache_writes::CacheWrites,
    draft::Draft,
    error::RawUsageError,
    rate,
    reading::FlagKind,
    sent::Sent,
    shape::{Shape, Stream},
    wire::{Figure, Object, plus, sum},
};

pub(crate) const SHAPE: Shape = Shape {
    name: "bedrock_converse",
    places: &[(&["metadata"], &["usage"]), (&[], &["usage"])],
    model: "model",
    id: "id",
    read,
    // The one event with usage is the last, and has no type: its only field is `metadata`.
    stream: Stream::Final(&["metadata"]),
    expects: "`inputTokens` and `outputTokens`",
};

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let block = &sent.block;
    let fresh = block.count("inputTokens")?;
    let output = block.count("outputTokens")?;
    let cache_read = block.count("cacheReadInputTokens")?;
    let writes = read_writes(block, draft)?;
    let input = sum([&fresh, &cache_read, &writes.all]);
    let without_cache = sum([&fresh, &output]);
    let with_cache = input.saturating_add(sum([&output]));
    draft.check_total(block.count("totalTokens")?, &[with_cache, without_cache])?;
    draft.figures.input = fresh.map(|fresh| Figure { count: input, ..fresh });
    draft.figures.output = output;
    draft.figures.cache_read = cache_read;
    draft.figures.cache_write = writes.all;
    draft.figures.cache_write_1h = writes.hour;
    let beside = if sent.response.has("usage") { &sent.response } else { &sent.all };
    let tier = beside.aside("serviceTier").and_then(|tier| tier.text("type"));
    rate::tier(draft, tier);
    let latency = beside.aside("performanceConfig").and_then(|config| config.text("latency"));
    rate::speed(draft, latency);
    Ok(())
}

/// The writes, by how long they live where `cacheDetails` says so.
fn read_writes(block: &Object<'_>, draft: &mut Draft) -> Result<CacheWrites, RawUsageError> {
    let flat = block.count("cacheWriteInputTokens")?;
    let details = block.list("cacheDetails")?.unwrap_or_default();
    if details.is_empty() {
        return CacheWrites::of_split(flat, None, None, draft);
    }
    let zero = || Some(Figure { count: 0, at: block.at_field("cacheDetails") });
    let (mut five, mut hour) = (zero(), zero());
    for detail in details {
        let count = detail.count("inputTokens")?;
        match detail.text("ttl").as_deref() {
            Some("1h") => hour = plus(hour, count),
            Some("5m") => five = plus(five, count),
            _ => {
                let text = "a time to live that is not known, counted as five minutes";
                draft.note(FlagKind::LowerBound, &detail.at_field("ttl"), text);
                five = plus(five, count);
            }
        }
    }
    CacheWrites::of_split(flat, five, hour, draft)
}
