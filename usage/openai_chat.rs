//! OpenAI's chat completions and legacy completions, and all hosts with the same interface: Azure,
//! Groq, `DeepSeek`, OpenRouter, Perplexity, and Anthropic's and Google's endpoints of this shape.
//!
//! `prompt_tokens` holds what was cached, `completion_tokens` holds the reasoning and predictions
//! that were rejected. <https://platform.openai.com/docs/api-reference/chat/object>

use domain::Processing;

use crate::{
    draft::Draft,
    error::RawUsageError,
    inclusive::{self, PROMPT},
    rate,
    sent::{Place, Sent},
    shape::{CHAT_CHUNKS, Shape},
};

pub(crate) const SHAPE: Shape = Shape {
    name: "openai_chat",
    places: PLACES,
    model: "model",
    id: "id",
    read,
    stream: CHAT_CHUNKS,
    expects: "`prompt_tokens` and `completion_tokens`",
};

/// A response, a line of a batch's results, or the last chunk of Groq's streams.
pub(crate) const PLACES: &[Place] =
    &[(&["response", "body"], &["usage"]), (&[], &["usage"]), (&[], &["x_groq", "usage"])];

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    read_rate(sent, draft)?;
    inclusive::read(&sent.block, &PROMPT, draft)
}

/// The tier that the response reports, and whether it is a line of a batch's results. Google's
/// endpoints of this shape report how they were served within the usage.
pub(crate) fn read_rate(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    rate::tier(draft, sent.text("service_tier"));
    let google = sent.block.child("extra_properties")?.child("google")?;
    rate::tier(draft, google.text("traffic_type"));
    if sent.all.has("custom_id") && sent.response.at().ends_with("/body") {
        draft.context.processing = Some(Processing::Batch);
    }
    Ok(())
}
