//! OpenAI's transcription and speech: tokens, or seconds where the model is sold by them.
//!
//! <https://platform.openai.com/docs/api-reference/audio>

use crate::{
    draft::Draft,
    error::RawUsageError,
    inclusive::{self, INPUT},
    mistral_chat::seconds,
    openai_chat,
    reading::FlagKind,
    sent::Sent,
    shape::{Shape, Stream},
};

pub(crate) const SHAPE: Shape = Shape {
    name: "openai_audio",
    places: &[(&["response", "body"], &["usage"]), (&[], &["usage"])],
    model: "model",
    id: "id",
    read,
    stream: Stream::Final(&["transcript.text.done", "speech.audio.done"]),
    expects: "`input_tokens` and `output_tokens`, or `seconds`",
};

fn read(sent: &Sent<'_>, draft: &mut Draft) -> Result<(), RawUsageError> {
    openai_chat::read_rate(sent, draft)?;
    inclusive::read(&sent.block, &INPUT, draft)?;
    draft.other.audio_seconds = seconds(&sent.block, "seconds")?;
    let is_speech = sent.text("type").is_some_and(|kind| kind == "speech.audio.done");
    if let Some(output) = &draft.figures.output
        && is_speech
        && draft.figures.output_audio.is_none()
    {
        let at = output.at.clone();
        draft.figures.output_audio = draft.figures.output.clone();
        draft.note(FlagKind::Assumed, &at, "no breakdown: all output of speech is audio tokens");
    }
    Ok(())
}
