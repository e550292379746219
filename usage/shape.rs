//! What a wire shape has to say about itself to be read: one constant for each, in its own file.

use crate::{
    draft::Draft,
    error::RawUsageError,
    sent::{Place, Sent},
    wire::Object,
};

/// A wire shape.
pub(crate) struct Shape {
    /// Our word for it.
    pub(crate) name: &'static str,
    /// Where the usage may stand; the first that is there counts.
    pub(crate) places: &'static [Place],
    /// The response's fields for the model and the id.
    pub(crate) model: &'static str,
    pub(crate) id: &'static str,
    /// Reads the block.
    pub(crate) read: fn(&Sent<'_>, &mut Draft) -> Result<(), RawUsageError>,
    /// How its streams say their usage.
    pub(crate) stream: Stream,
    /// The fields that say the most, for people who have sent something else.
    pub(crate) expects: &'static str,
}

/// How the streams of a shape say their usage.
pub(crate) enum Stream {
    /// On chunks, each time for all of the stream so far: the last counts.
    Chunks {
        /// The fields to take, each as it was said last.
        fields: &'static [&'static str],
        /// A list of which all items with the field are taken.
        gathered: Option<(&'static str, &'static str)>,
        /// Whether no more can come after a chunk with the usage.
        is_end: fn(&Object<'_>) -> bool,
    },
    /// In one event at its end, of one of these types.
    Final(&'static [&'static str]),
    /// First in `message_start`, then in `message_delta`: of each field the last counts.
    Messages,
}

/// Chunks of chat completions.
pub(crate) const CHAT_CHUNKS: Stream = Stream::Chunks {
    fields: &["id", "model", "service_tier", "usage", "x_groq"],
    gathered: None,
    is_end: is_end_of_chat,
};

/// A chunk says why it is the last; Mistral's conversations and transcriptions have a type for it.
fn is_end_of_chat(chunk: &Object<'_>) -> bool {
    let is_done = chunk.text("type").is_some_and(|kind| kind.ends_with(".done"));
    is_done || chunk.list_aside("choices").iter().any(|choice| choice.has("finish_reason"))
}
