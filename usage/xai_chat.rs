//! xAI's chat completions: OpenAI's shape, but `completion_tokens` leaves the reasoning out.
//!
//! The total decides: it is input, output and reasoning, or input and output where the output
//! holds the reasoning after all. <https://docs.x.ai/docs/api-reference>

use crate::{
    draft::Draft,
    error::RawUsageError,
    inclusive::{self, PROMPT},
    openai_chat,
    sent::Sent,
    shape::{CHAT_CHUNKS, Shape},
    wire::sum,
};

pub(crate) const SHAPE: Shape = Shape {
    name: "xai_chat",
    places: openai_chat::PLACES,
    model: "model",
    id: "id",
    read,
    stream: CHAT_CHUNKS,
    expects: "`prompt_tokens` and `completion_tokens`",
};

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    openai_chat::read_rate(sent, draft)?;
    inclusive::read_parts(&sent.block, &PROMPT, draft)?;
    let total = sent.block.count("total_tokens")?;
    let inside = sum([&draft.figures.input, &draft.figures.output]);
    let reasoning = sum([&draft.figures.output_reasoning]);
    let outside = inside.saturating_add(reasoning);
    let is_inside = total.as_ref().is_some_and(|total| total.count == inside);
    if !is_inside && let Some(output) = &mut draft.figures.output {
        output.count = output.count.saturating_add(reasoning);
    }
    draft.check_total(total, &[outside, inside])
}
