//! Cohere's chat, embed, rerank and classify: what is priced is `billed_units`. `tokens` is what
//! the model has seen, with a preamble that nobody pays for; it counts only where nothing is said
//! to be billed.
//!
//! Numbers are floats on the wire, such as `5.0`. <https://docs.cohere.com/reference/chat>

use crate::{
    draft::Draft,
    error::RawUsageError,
    reading::FlagKind,
    sent::Sent,
    shape::{Shape, Stream},
    wire::{Object, plus, sum},
};

pub(crate) const SHAPE: Shape = Shape {
    name: "cohere_chat",
    places: &[
        (&["delta"], &["usage"]),
        (&["response"], &["meta"]),
        (&[], &["usage"]),
        (&[], &["meta"]),
    ],
    model: "model",
    id: "id",
    read,
    stream: Stream::Final(&["message-end", "stream-end"]),
    expects: "`billed_units`",
};

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let block = &sent.block;
    if block.has("billed_units") {
        return read_billed(&block.child("billed_units")?, draft);
    }
    if !block.has("tokens") {
        return read_billed(block, draft);
    }
    let tokens = block.child("tokens")?;
    draft.figures.input = tokens.count("input_tokens")?;
    draft.figures.output = tokens.count("output_tokens")?;
    draft.figures.cache_read = block.count("cached_tokens")?;
    let detail = "what is billed is not said: all that the model has seen is taken";
    draft.note(FlagKind::Assumed, tokens.at(), detail);
    Ok(())
}

fn read_billed(billed: &Object<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    let (text, image) = (billed.count("text_tokens")?, billed.count("image_tokens")?);
    let by_kind = sum([&text, &image]);
    draft.figures.input_image = image.clone();
    draft.figures.input = match billed.count("input_tokens")? {
        None => plus(text, image),
        Some(input) => {
            if text.is_some() && image.is_some() && by_kind != input.count {
                let detail = format!("is {}, text and images are {by_kind}", input.count);
                draft.contradict(&input.at, &detail)?;
            }
            Some(input)
        }
    };
    draft.figures.output = billed.count("output_tokens")?;
    draft.other.images = billed.count("images")?.map(|figure| figure.count);
    draft.other.pages = billed.count("pages")?.map(|figure| figure.count);
    for unit in ["search_units", "classifications"] {
        draft.beyond(unit, billed.count(unit)?.map(|figure| figure.count));
    }
    Ok(())
}
