//! OpenAI's image generation. GPT Image models say tokens; older ones say nothing and are billed
//! by the picture: never both.
//!
//! Without a breakdown of the output all of it is image tokens, at several times the rate of text.
//! <https://platform.openai.com/docs/api-reference/images/object>

use crate::{
    draft::Draft,
    error::RawUsageError,
    inclusive::{self, INPUT},
    openai_chat,
    reading::FlagKind,
    sent::Sent,
    shape::{Shape, Stream},
};

pub(crate) const SHAPE: Shape = Shape {
    name: "openai_images",
    places: &[(&["response", "body"], &["usage"]), (&[], &["usage"])],
    model: "model",
    id: "id",
    read,
    stream: Stream::Final(&["image_generation.completed", "image_edit.completed"]),
    expects: "`input_tokens` and `output_tokens`, or `data`",
};

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    openai_chat::read_rate(sent, draft)?;
    inclusive::read(&sent.block, &INPUT, draft)?;
    let details = sent.block.child("output_tokens_details")?;
    let has_breakdown = details.has("image_tokens") || details.has("text_tokens");
    match &draft.figures.output {
        Some(output) if !has_breakdown => {
            let at = output.at.clone();
            draft.figures.output_image = draft.figures.output.clone();
            draft.note(FlagKind::Assumed, &at, "no breakdown: all output is image tokens");
        }
        Some(_) => {}
        None if draft.figures.input.is_some() => {}
        None => {
            let pictures = sent.all.list_aside("data").len();
            let pictures = u64::try_from(pictures).ok().filter(|pictures| *pictures > 0);
            draft.other.images = pictures;
        }
    }
    Ok(())
}
