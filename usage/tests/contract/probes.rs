//! A probe of each shape: small blocks in which every figure is read.

use domain::{Quantity, Usage};
use usage::RawFormat;

type Said = fn(&Usage) -> Option<Quantity>;

/// Blocks to try a shape with.
pub(crate) struct Probe {
    pub(crate) format: RawFormat,
    /// A block that adds up and has every figure that the shape reads.
    pub(crate) block: &'static str,
    /// A response, with `BLOCK` where the block goes.
    pub(crate) whole: &'static str,
    /// A block with one figure, `N`, and what it is in our vocabulary.
    pub(crate) of_one: (&'static str, Said),
    /// A block with a part beyond its whole, and the part's place.
    pub(crate) over: (&'static str, &'static str),
    /// The one figure that may have a fraction.
    pub(crate) fractions: Option<&'static str>,
}

fn input(usage: &Usage) -> Option<Quantity> {
    Quantity::from_count(usage.input_tokens?)
}

fn output(usage: &Usage) -> Option<Quantity> {
    Quantity::from_count(usage.output_tokens?)
}

fn seconds(usage: &Usage) -> Option<Quantity> {
    usage.audio_seconds
}

const CHAT_BLOCK: &str = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
    "prompt_tokens_details":{"cached_tokens":40,"cache_write_tokens":20,"audio_tokens":10,
    "image_tokens":5,"cache_write_tokens_details":{"ttl_30m_tokens":15,"ttl_12h_tokens":5}},
    "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":4,"image_tokens":2},
    "prompt_cache_hit_tokens":40,"prompt_cache_miss_tokens":60,
    "server_tool_use":{"web_search_requests":3},"num_search_queries":3}"#;
const CHAT_OVER: &str = r#"{"prompt_tokens":10,"completion_tokens":5,
    "prompt_tokens_details":{"audio_tokens":11}}"#;

pub(crate) const PROBES: &[Probe] = &[
    Probe {
        format: RawFormat::OpenAiChat,
        block: CHAT_BLOCK,
        whole: r#"{"id":"a","model":"m","choices":[],"usage":BLOCK}"#,
        of_one: (r#"{"completion_tokens":N}"#, output),
        over: (CHAT_OVER, "/prompt_tokens_details/audio_tokens"),
        fractions: None,
    },
    Probe {
        format: RawFormat::OpenAiResponses,
        block: r#"{"input_tokens":100,"output_tokens":50,"total_tokens":150,
            "input_tokens_details":{"cached_tokens":40,"cache_write_tokens":20},
            "output_tokens_details":{"reasoning_tokens":30},"num_sources_used":2,
            "server_side_tool_usage_details":{"web_search_calls":1,"x_search_calls":2}}"#,
        whole: r#"{"type":"response.completed","response":{"id":"a","output":[],"usage":BLOCK}}"#,
        of_one: (r#"{"input_tokens":N}"#, input),
        over: (
            r#"{"input_tokens":10,"output_tokens":5,
                "output_tokens_details":{"reasoning_tokens":6}}"#,
            "/output_tokens_details/reasoning_tokens",
        ),
        fractions: None,
    },
    Probe {
        format: RawFormat::OpenAiEmbeddings,
        block: r#"{"prompt_tokens":8,"total_tokens":8}"#,
        whole: r#"{"object":"list","data":[],"model":"m","usage":BLOCK}"#,
        of_one: (r#"{"prompt_tokens":N}"#, input),
        over: (r#"{"prompt_tokens":8,"total_tokens":7}"#, "/total_tokens"),
        fractions: None,
    },
    Probe {
        format: RawFormat::OpenAiImages,
        block: r#"{"input_tokens":50,"output_tokens":60,"total_tokens":110,
            "input_tokens_details":{"image_tokens":40,"cached_tokens":30,
            "cached_tokens_details":{"image_tokens":25}},
            "output_tokens_details":{"image_tokens":59}}"#,
        whole: r#"{"created":1,"data":[{"b64_json":"..."}],"usage":BLOCK}"#,
        of_one: (r#"{"output_tokens":N}"#, output),
        over: (
            r#"{"input_tokens":50,"output_tokens":60,"output_tokens_details":{"image_tokens":61}}"#,
            "/output_tokens_details/image_tokens",
        ),
        fractions: None,
    },
    Probe {
        format: RawFormat::OpenAiAudio,
        block: r#"{"input_tokens":14,"input_token_details":{"audio_tokens":10},
            "output_tokens":45,"total_tokens":59,"seconds":2}"#,
        whole: r#"{"type":"transcript.text.done","text":"...","usage":BLOCK}"#,
        of_one: (r#"{"seconds":N}"#, seconds),
        over: (
            r#"{"input_tokens":14,"output_tokens":45,"input_token_details":{"audio_tokens":15}}"#,
            "/input_token_details/audio_tokens",
        ),
        fractions: Some("/seconds"),
    },
    Probe {
        format: RawFormat::OpenAiRealtime,
        block: r#"{"input_tokens":100,"output_tokens":60,"total_tokens":160,
            "input_token_details":{"audio_tokens":70,"image_tokens":10,
            "cached_tokens":64,"cached_tokens_details":{"audio_tokens":50,"image_tokens":4}},
            "output_token_details":{"audio_tokens":20,"reasoning_tokens":25}}"#,
        whole: r#"{"type":"response.done","response":{"id":"a","usage":BLOCK}}"#,
        of_one: (r#"{"output_tokens":N}"#, output),
        over: (
            r#"{"input_tokens":100,"output_tokens":60,"input_token_details":{"audio_tokens":60,
                "cached_tokens":64,"cached_tokens_details":{"audio_tokens":61}}}"#,
            "/input_token_details/cached_tokens_details/audio_tokens",
        ),
        fractions: None,
    },
    Probe {
        format: RawFormat::AnthropicMessages,
        block: r#"{"input_tokens":10,"cache_read_input_tokens":40,
            "cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":20,
            "ephemeral_1h_input_tokens":10},"output_tokens":50,
            "output_tokens_details":{"thinking_tokens":7},"server_tool_use":
            {"web_search_requests":2,"code_execution_requests":1},"iterations":[{"type":
            "compaction","input_tokens":9,"output_tokens":3,"cache_read_input_tokens":4}]}"#,
        whole: r#"{"id":"a","type":"message","model":"m","content":[],"usage":BLOCK}"#,
        of_one: (r#"{"input_tokens":N}"#, input),
        over: (
            r#"{"input_tokens":10,"output_tokens":5,"cache_creation_input_tokens":30,
                "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":11}}"#,
            "/cache_creation/ephemeral_1h_input_tokens",
        ),
        fractions: None,
    },
    Probe {
        format: RawFormat::GeminiGenerate,
        block: r#"{"promptTokenCount":100,"cachedContentTokenCount":40,
            "candidatesTokenCount":31,"thoughtsTokenCount":20,"toolUsePromptTokenCount":9,
            "totalTokenCount":160,"promptTokensDetails":[{"modality":"TEXT","tokenCount":50},
            {"modality":"AUDIO","tokenCount":30},{"modality":"VIDEO","tokenCount":20}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":38},
            {"modality":"TEXT","tokenCount":2}],
            "toolUsePromptTokensDetails":[{"modality":"AUDIO","tokenCount":9}],
            "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":31}]}"#,
        whole: r#"{"candidates":[],"usageMetadata":BLOCK,"modelVersion":"m","responseId":"a"}"#,
        of_one: (r#"{"candidatesTokenCount":N}"#, output),
        over: (
            r#"{"promptTokenCount":100,"candidatesTokenCount":31,"totalTokenCount":131,
                "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":32}]}"#,
            "/candidatesTokensDetails/0/tokenCount",
        ),
        fractions: None,
    },
    Probe {
        format: RawFormat::BedrockConverse,
        block: r#"{"inputTokens":47,"outputTokens":20,"totalTokens":67,
            "cacheReadInputTokens":1024,"cacheWriteInputTokens":2048,"cacheDetails":
            [{"ttl":"1h","inputTokens":1000},{"ttl":"5m","inputTokens":1048}]}"#,
        whole: r#"{"metadata":{"usage":BLOCK,"metrics":{"latencyMs":100}}}"#,
        of_one: (r#"{"outputTokens":N}"#, output),
        over: (
            r#"{"inputTokens":47,"outputTokens":20,"cacheWriteInputTokens":2048,"cacheDetails":
                [{"ttl":"1h","inputTokens":2049}]}"#,
            "/cacheDetails",
        ),
        fractions: None,
    },
    Probe {
        format: RawFormat::XaiChat,
        block: r#"{"prompt_tokens":119,"completion_tokens":9,"total_tokens":226,
            "prompt_tokens_details":{"cached_tokens":112,"image_tokens":3},
            "completion_tokens_details":{"reasoning_tokens":98},"num_sources_used":4}"#,
        whole: r#"{"id":"a","model":"m","choices":[],"usage":BLOCK}"#,
        of_one: (r#"{"completion_tokens":N}"#, output),
        over: (
            r#"{"prompt_tokens":119,"completion_tokens":9,
                "prompt_tokens_details":{"cached_tokens":120}}"#,
            "/prompt_tokens_details/cached_tokens",
        ),
        fractions: None,
    },
    Probe {
        format: RawFormat::MistralChat,
        block: r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":160,
            "connector_tokens":40,"connectors":{"web_search":1,"code":2},
            "prompt_audio_seconds":3,"pages_processed":2}"#,
        whole: r#"{"id":"a","model":"m","choices":[],"usage":BLOCK}"#,
        of_one: (r#"{"completion_tokens":N}"#, output),
        over: (CHAT_OVER, "/prompt_tokens_details/audio_tokens"),
        fractions: Some("/prompt_audio_seconds"),
    },
    Probe {
        format: RawFormat::CohereChat,
        block: r#"{"billed_units":{"input_tokens":71,"output_tokens":418,"search_units":1,
            "classifications":2,"images":3,"image_tokens":70,"text_tokens":1,"pages":4}}"#,
        whole: r#"{"id":"a","message":{},"usage":BLOCK}"#,
        of_one: (r#"{"billed_units":{"output_tokens":N}}"#, output),
        over: (
            r#"{"billed_units":{"input_tokens":5,"output_tokens":418,"image_tokens":6}}"#,
            "/billed_units/image_tokens",
        ),
        fractions: None,
    },
];
