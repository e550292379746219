//! Mistral's chat, conversations, agents and transcriptions: OpenAI's shape, with the connectors
//! that a conversation has used beside it.
//!
//! <https://docs.mistral.ai/api/>

use domain::{Quantity, Usage};

use crate::{
    draft::Draft,
    error::{RawUsageError, RawUsageErrorKind},
    inclusive::{self, PROMPT},
    openai_chat,
    sent::Sent,
    shape::{CHAT_CHUNKS, Shape},
    wire::{Object, sum},
};

pub(crate) const SHAPE: Shape = Shape {
    name: "mistral_chat",
    places: &[(&["response", "body"], &["usage"]), (&[], &["usage"]), (&[], &["usage_info"])],
    model: "model",
    id: "id",
    read,
    stream: CHAT_CHUNKS,
    expects: "`prompt_tokens` and `completion_tokens`",
};

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let block = &sent.block;
    openai_chat::read_rate(sent, draft)?;
    inclusive::read_parts(block, &PROMPT, draft)?;
    let connectors = block.count("connector_tokens")?;
    let both = sum([&draft.figures.input, &draft.figures.output]);
    let all = both.saturating_add(sum([&connectors]));
    draft.check_total(block.count("total_tokens")?, &[all, both])?;
    draft.beyond("connector_tokens", connectors.map(|figure| figure.count));
    read_connectors(block, draft)?;
    draft.other.audio_seconds = seconds(block, "prompt_audio_seconds")?;
    draft.other.pages = block.count("pages_processed")?.map(|figure| figure.count);
    Ok(())
}

/// Calls of connectors by name: searches have a word of their own.
fn read_connectors(block: &Object<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let connectors = block.child("connectors")?;
    for name in connectors.names_of_fields() {
        let calls = connectors.count(name)?.map(|figure| figure.count);
        match name {
            "web_search" => draft.other.web_searches = calls,
            _ => draft.beyond("connector_calls", calls),
        }
    }
    Ok(())
}

/// Seconds of audio, with up to six decimals.
pub(crate) fn seconds(block: &Object<'_>, key: &str) -> Result<Option<Quantity>, RawUsageError> {
    let Some(text) = block.number_text(key) else {
        return Ok(None);
    };
    let wrong = |detail: &str| {
        RawUsageError::new(RawUsageErrorKind::NotACount, &block.at_field(key), detail)
    };
    let seconds = Quantity::parse_rounded(text).map_err(|error| wrong(&error.to_string()))?;
    let usage = Usage { audio_seconds: Some(seconds), ..Usage::default() };
    usage.check().map_err(|error| wrong(&error.to_string()))?;
    Ok(Some(seconds))
}
