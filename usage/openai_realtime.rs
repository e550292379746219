//! OpenAI's realtime events with usage: `response.done`, and the transcription of what was said,
//! which is another model's.
//!
//! Each turn counts the whole conversation again, and is billed for it: every event is a reading
//! of its own. The text of the output may hold the reasoning already.
//! <https://platform.openai.com/docs/api-reference/realtime-server-events/response/done>

use crate::{
    draft::Draft,
    error::RawUsageError,
    inclusive::{self, INPUT},
    mistral_chat::seconds,
    reading::FlagKind,
    sent::Sent,
    shape::{Shape, Stream},
};

const TRANSCRIBED: &str = "conversation.item.input_audio_transcription.completed";

pub(crate) const SHAPE: Shape = Shape {
    name: "openai_realtime",
    places: &[(&["response"], &["usage"]), (&[], &["usage"])],
    model: "model",
    id: "id",
    read,
    stream: Stream::Final(&["response.done", TRANSCRIBED]),
    expects: "`input_tokens` and `output_tokens`",
};

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    inclusive::read(&sent.block, &INPUT, draft)?;
    draft.other.audio_seconds = seconds(&sent.block, "seconds")?;
    if sent.text("type").is_some_and(|kind| kind == TRANSCRIBED) {
        let detail = "the usage of the model that transcribes, not of the conversation's";
        draft.note(FlagKind::AnotherModel, sent.block.at(), detail);
    }
    Ok(())
}
