//! OpenAI's embeddings and hosts with the same interface: all tokens are input.
//!
//! <https://platform.openai.com/docs/api-reference/embeddings/object>

use crate::{
    draft::Draft,
    error::RawUsageError,
    inclusive::{self, PROMPT},
    openai_chat,
    sent::Sent,
    shape::{CHAT_CHUNKS, Shape},
};

pub(crate) const SHAPE: Shape = Shape {
    name: "openai_embeddings",
    places: openai_chat::PLACES,
    model: "model",
    id: "id",
    read,
    stream: CHAT_CHUNKS,
    expects: "`prompt_tokens`",
};

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    openai_chat::read_rate(sent, draft)?;
    inclusive::read(&sent.block, &PROMPT, draft)?;
    // Some hosts say the total only.
    if draft.figures.input.is_none() && draft.figures.output.is_none() {
        draft.figures.input = sent.block.count("total_tokens")?;
    }
    Ok(())
}
