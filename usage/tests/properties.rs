//! Whatever the counts: parts lie within their wholes, and telemetry loses nothing.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use proptest::prelude::*;
use usage::{RawFormat, RawUsageErrorKind, Strictness, read, read_stream};

/// Counts small enough that sums of a few are counts, often equal to one another.
fn count() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        (0_u64..20).prop_map(Some),
        (0_u64..1000).prop_map(Some),
        (0_u64..1 << 48).prop_map(Some),
    ]
}

/// A block of each shape, with `?` for its counts.
const BLOCKS: [(RawFormat, &str); 9] = [
    (
        RawFormat::OpenAiChat,
        r#"{"prompt_tokens":?,"completion_tokens":?,"total_tokens":?,"prompt_tokens_details":
        {"cached_tokens":?,"cache_write_tokens":?,"audio_tokens":?,"image_tokens":?},
        "completion_tokens_details":{"reasoning_tokens":?,"audio_tokens":?,"image_tokens":?}}"#,
    ),
    (
        RawFormat::XaiChat,
        r#"{"prompt_tokens":?,"completion_tokens":?,"total_tokens":?,"prompt_tokens_details":
        {"cached_tokens":?},"completion_tokens_details":{"reasoning_tokens":?}}"#,
    ),
    (
        RawFormat::OpenAiResponses,
        r#"{"input_tokens":?,"output_tokens":?,"total_tokens":?,"input_tokens_details":
        {"cached_tokens":?,"cache_write_tokens":?,"cache_write_tokens_details":
        {"ttl_30m_tokens":?,"ttl_12h_tokens":?}},"cache_read_input_tokens":?}"#,
    ),
    (
        RawFormat::OpenAiRealtime,
        r#"{"input_tokens":?,"output_tokens":?,"total_tokens":?,"input_token_details":
        {"audio_tokens":?,"image_tokens":?,"cached_tokens":?,"cached_tokens_details":
        {"audio_tokens":?,"image_tokens":?}},"output_token_details":{"audio_tokens":?}}"#,
    ),
    (
        RawFormat::OpenAiImages,
        r#"{"input_tokens":?,"output_tokens":?,"total_tokens":?,"input_tokens_details":
        {"image_tokens":?},"output_tokens_details":{"image_tokens":?,"text_tokens":?}}"#,
    ),
    (
        RawFormat::AnthropicMessages,
        r#"{"input_tokens":?,"output_tokens":?,"cache_read_input_tokens":?,
        "cache_creation_input_tokens":?,"cache_creation":{"ephemeral_5m_input_tokens":?,
        "ephemeral_1h_input_tokens":?},"output_tokens_details":{"thinking_tokens":?},
        "iterations":[{"type":"compaction","input_tokens":?,"output_tokens":?}]}"#,
    ),
    (
        RawFormat::GeminiGenerate,
        r#"{"promptTokenCount":?,"candidatesTokenCount":?,"thoughtsTokenCount":?,
        "toolUsePromptTokenCount":?,"cachedContentTokenCount":?,"totalTokenCount":?,
        "promptTokensDetails":[{"modality":"AUDIO","tokenCount":?},{"modality":"IMAGE",
        "tokenCount":?}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":?}]}"#,
    ),
    (
        RawFormat::BedrockConverse,
        r#"{"inputTokens":?,"outputTokens":?,"totalTokens":?,"cacheReadInputTokens":?,
        "cacheWriteInputTokens":?,"cacheDetails":[{"ttl":"1h","inputTokens":?}]}"#,
    ),
    (RawFormat::CohereChat, r#"{"tokens":{"input_tokens":?,"output_tokens":?},"cached_tokens":?}"#),
];

fn block(template: &str, counts: &[Option<u64>]) -> String {
    let mut counts = counts.iter().cycle();
    let text = |count: &Option<u64>| count.map_or("null".to_owned(), |count| count.to_string());
    let parts: Vec<&str> = template.split('?').collect();
    let (last, parts) = parts.split_last().unwrap();
    parts.iter().map(|part| format!("{part}{}", text(counts.next().unwrap()))).collect::<String>()
        + last
}

proptest! {
    #[test]
    fn parts_lie_within_their_wholes_and_telemetry_is_always_read(
        counts in prop::collection::vec(count(), 12),
        which in 0..BLOCKS.len(),
    ) {
        let (format, template) = BLOCKS[which];
        let block = block(template, &counts);
        let strict = read(format, &block, Strictness::Refuse);
        match read(format, &block, Strictness::Flag) {
            Ok(reading) => {
                prop_assert_eq!(reading.usage.check(), Ok(()));
                // What can be read without asking anybody is read alike.
                if let Ok(strict) = strict {
                    prop_assert_eq!(strict, reading);
                }
            }
            // Nothing else can be wrong with counts.
            Err(error) => {
                prop_assert_eq!(error.kind, RawUsageErrorKind::NoUsage);
                prop_assert!(strict.is_err());
            }
        }
    }

    #[test]
    fn no_part_is_ever_made_smaller(counts in prop::collection::vec(0_u64..100, 5)) {
        let [input, output, cached, audio, reasoning] = counts[..] else { unreachable!() };
        let block = format!(
            r#"{{"prompt_tokens":{input},"completion_tokens":{output},"prompt_tokens_details":
            {{"cached_tokens":{cached},"audio_tokens":{audio}}},"completion_tokens_details":
            {{"reasoning_tokens":{reasoning}}}}}"#
        );
        let usage = read(RawFormat::OpenAiChat, &block, Strictness::Flag).unwrap().usage;
        prop_assert_eq!(usage.cache_read_tokens, Some(cached));
        prop_assert_eq!(usage.input_audio_tokens, Some(audio));
        prop_assert_eq!(usage.output_reasoning_tokens, Some(reasoning));
        prop_assert!(usage.input_tokens >= Some(input) && usage.output_tokens >= Some(output));
    }

    #[test]
    fn damaged_blocks_are_errors_or_still_add_up(
        counts in prop::collection::vec(count(), 12),
        which in 0..BLOCKS.len(),
        damage in "[\\[\\]{}\":,a-z0-9. \n-]{0,12}",
        (at, length) in (any::<prop::sample::Index>(), 0_usize..12),
    ) {
        let (format, template) = BLOCKS[which];
        let mut block = block(template, &counts);
        let start = at.index(block.len());
        let end = start.saturating_add(length).min(block.len());
        block.replace_range(start..end, &damage);
        for format in [format, RawFormat::OpenAiEmbeddings, RawFormat::MistralChat] {
            let alone = read(format, &block, Strictness::Flag);
            let stream = read_stream(format, &block, Strictness::Flag);
            for reading in [alone, stream].into_iter().flatten() {
                prop_assert_eq!(reading.usage.check(), Ok(()));
            }
        }
    }
}
