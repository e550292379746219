//! All wire shapes, and the reading of a block of each.

use std::fmt;

use crate::{
    anthropic_messages, bedrock_converse, cohere_chat,
    draft::Draft,
    error::{RawUsageError, RawUsageErrorKind},
    gemini_generate, mistral_chat, openai_audio, openai_chat, openai_embeddings, openai_images,
    openai_realtime, openai_responses,
    reading::{Reading, Strictness},
    sent::Sent,
    shape::Shape,
    wire::Object,
    xai_chat,
};

/// The shape of a block on the wire, which decides what its counts contain. It goes by the
/// interface and never by the vendor: Anthropic's model behind OpenAI's interface is `OpenAiChat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RawFormat {
    /// Chat completions and legacy completions of OpenAI, Azure and the many hosts alike.
    OpenAiChat,
    /// OpenAI's responses, and hosts with the same interface.
    OpenAiResponses,
    /// OpenAI's embeddings, and hosts with the same interface.
    OpenAiEmbeddings,
    /// OpenAI's image generation.
    OpenAiImages,
    /// OpenAI's transcription and speech.
    OpenAiAudio,
    /// Events of OpenAI's realtime sessions.
    OpenAiRealtime,
    /// Anthropic's messages.
    AnthropicMessages,
    /// Google's `generateContent` and Live API.
    GeminiGenerate,
    /// Amazon Bedrock's Converse.
    BedrockConverse,
    /// xAI's chat completions.
    XaiChat,
    /// Mistral's chat, conversations and transcription.
    MistralChat,
    /// Cohere's chat, embed, rerank and classify.
    CohereChat,
}

/// A word that is no [`RawFormat`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct UnknownRawFormat {
    /// The word, cut to 64 characters.
    pub word: String,
}

impl fmt::Display for UnknownRawFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<&str> = RawFormat::ALL.into_iter().map(RawFormat::as_str).collect();
        write!(f, "`{}` is no known format of usage: {}", self.word, known.join(", "))
    }
}

impl RawFormat {
    /// Every format.
    pub const ALL: [RawFormat; 12] = [
        RawFormat::OpenAiChat,
        RawFormat::OpenAiResponses,
        RawFormat::OpenAiEmbeddings,
        RawFormat::OpenAiImages,
        RawFormat::OpenAiAudio,
        RawFormat::OpenAiRealtime,
        RawFormat::AnthropicMessages,
        RawFormat::GeminiGenerate,
        RawFormat::BedrockConverse,
        RawFormat::XaiChat,
        RawFormat::MistralChat,
        RawFormat::CohereChat,
    ];

    /// The format of a word such as `openai_chat`.
    ///
    /// # Errors
    /// [`UnknownRawFormat`] lists the words that there are.
    pub fn parse(word: &str) -> Result<RawFormat, UnknownRawFormat> {
        let found = RawFormat::ALL.into_iter().find(|format| format.as_str() == word);
        found.ok_or_else(|| UnknownRawFormat { word: word.chars().take(64).collect() })
    }

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.shape().name
    }

    pub(crate) fn shape(self) -> &'static Shape {
        match self {
            RawFormat::OpenAiChat => &openai_chat::SHAPE,
            RawFormat::OpenAiResponses => &openai_responses::SHAPE,
            RawFormat::OpenAiEmbeddings => &openai_embeddings::SHAPE,
            RawFormat::OpenAiImages => &openai_images::SHAPE,
            RawFormat::OpenAiAudio => &openai_audio::SHAPE,
            RawFormat::OpenAiRealtime => &openai_realtime::SHAPE,
            RawFormat::AnthropicMessages => &anthropic_messages::SHAPE,
            RawFormat::GeminiGenerate => &gemini_generate::SHAPE,
            RawFormat::BedrockConverse => &bedrock_converse::SHAPE,
            RawFormat::XaiChat => &xai_chat::SHAPE,
            RawFormat::MistralChat => &mistral_chat::SHAPE,
            RawFormat::CohereChat => &cohere_chat::SHAPE,
        }
    }
}

/// Reads a block of usage: `block` is the JSON text of the usage alone, or of the provider's whole
/// response (an event of its stream, or a line of a batch's results, is one too), which also says
/// the model, the tier and the tools.
///
/// ```
/// use usage::{RawFormat, Strictness, read};
/// let block =
///     r#"{"input_tokens": 3, "cache_creation_input_tokens": 12304, "output_tokens": 550}"#;
/// let reading = read(RawFormat::AnthropicMessages, block, Strictness::Refuse).unwrap();
/// assert_eq!(reading.usage.input_tokens, Some(12307));
/// assert_eq!(reading.usage.cache_write_tokens, Some(12304));
/// assert_eq!(reading.usage.cache_read_tokens, None); // not said, which is not zero
/// ```
///
/// # Errors
/// [`RawUsageError`]: what cannot be read, what says no usage at all, figures that are no counts,
/// and with [`Strictness::Refuse`] figures that contradict each other.
pub fn read(
    format: RawFormat,
    block: &str,
    strictness: Strictness,
) -> Result<Reading, RawUsageError> {
    let shape = format.shape();
    let sent = Sent::locate(Object::parse(block)?, shape.places)?;
    let mut draft = Draft::new(strictness);
    (shape.read)(&sent, &mut draft)?;
    if draft.is_empty() {
        let detail = format!(
            "no usage is said, which is not zero: `{}` has {}; is the format right?",
            shape.name, shape.expects,
        );
        return Err(RawUsageError::new(RawUsageErrorKind::NoUsage, sent.block.at(), &detail));
    }
    let (model, response_id) = (sent.text(shape.model), sent.text(shape.id));
    Ok(Reading { model, response_id, ..draft.finish()? })
}
