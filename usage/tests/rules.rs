//! What counts contain, which rate they are at, and what is billed besides: one test for each rule
//! that others have got wrong.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use domain::{Processing, ServiceTier, Usage};
use usage::{FlagKind, RawFormat, RawUsageError, RawUsageErrorKind, Reading, Strictness, read};

fn refuse(format: RawFormat, block: &str) -> Reading {
    read(format, block, Strictness::Refuse).unwrap_or_else(|error| panic!("{block}: {error}"))
}

fn flag(format: RawFormat, block: &str) -> Reading {
    read(format, block, Strictness::Flag).unwrap_or_else(|error| panic!("{block}: {error}"))
}

fn refused(format: RawFormat, block: &str) -> RawUsageError {
    let error = read(format, block, Strictness::Refuse).unwrap_err();
    assert_eq!(error.kind, RawUsageErrorKind::Inconsistent, "{block}");
    error
}

#[test]
fn prompt_counts_include_what_was_cached() {
    let usage = |input, cached| Usage {
        input_tokens: Some(input),
        cache_read_tokens: Some(cached),
        output_tokens: Some(5),
        ..Usage::default()
    };
    for (format, block) in [
        (
            RawFormat::OpenAiChat,
            r#"{"prompt_tokens":90,"completion_tokens":5,
                "prompt_tokens_details":{"cached_tokens":80}}"#,
        ),
        (
            RawFormat::OpenAiChat,
            r#"{"prompt_tokens":90,"completion_tokens":5,"prompt_cache_hit_tokens":80}"#,
        ),
        (
            RawFormat::OpenAiResponses,
            r#"{"input_tokens":90,"output_tokens":5,"input_tokens_details":{"cached_tokens":80}}"#,
        ),
        (
            RawFormat::GeminiGenerate,
            r#"{"promptTokenCount":90,"candidatesTokenCount":5,"cachedContentTokenCount":80}"#,
        ),
        (
            RawFormat::XaiChat,
            r#"{"prompt_tokens":90,"completion_tokens":5,
                "prompt_tokens_details":{"cached_tokens":80}}"#,
        ),
        (
            RawFormat::MistralChat,
            r#"{"prompt_tokens":90,"completion_tokens":5,
                "prompt_tokens_details":{"cached_tokens":80}}"#,
        ),
    ] {
        assert_eq!(refuse(format, block).usage, usage(90, 80), "{format:?}");
    }
}

#[test]
fn anthropic_and_bedrock_leave_the_cache_out_so_the_three_are_added() {
    for (format, block) in [
        (
            RawFormat::AnthropicMessages,
            r#"{"input_tokens":3,"cache_creation_input_tokens":12304,
                "cache_read_input_tokens":100,"output_tokens":550}"#,
        ),
        (
            RawFormat::BedrockConverse,
            r#"{"inputTokens":3,"cacheWriteInputTokens":12304,"cacheReadInputTokens":100,
                "outputTokens":550}"#,
        ),
    ] {
        let usage = refuse(format, block).usage;
        assert_eq!(usage.input_tokens, Some(12_407));
        assert_eq!((usage.cache_read_tokens, usage.cache_write_tokens), (Some(100), Some(12_304)));
    }
}

#[test]
fn the_convention_goes_by_the_shape_and_never_by_the_vendor() {
    let chat = r#"{"id":"msg_1","model":"claude-sonnet-4-5","usage":{"prompt_tokens":100,
        "completion_tokens":5,"prompt_tokens_details":{"cached_tokens":90}}}"#;
    let own = r#"{"id":"msg_1","model":"claude-sonnet-4-5","usage":{"input_tokens":10,
        "output_tokens":5,"cache_read_input_tokens":90}}"#;
    let chat = refuse(RawFormat::OpenAiChat, chat);
    let own = refuse(RawFormat::AnthropicMessages, own);
    assert_eq!((chat.usage, chat.model), (own.usage, own.model));
}

#[test]
fn a_block_of_the_other_convention_is_refused_by_name() {
    let anthropic = r#"{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":90}"#;
    let error = refused(RawFormat::OpenAiResponses, anthropic);
    assert!(error.detail.contains("anthropic_messages"), "{error}");
    let openai =
        r#"{"input_tokens":100,"output_tokens":5,"input_tokens_details":{"cached_tokens":90}}"#;
    let error = refused(RawFormat::AnthropicMessages, openai);
    assert!(error.detail.contains("openai_responses"), "{error}");
    let xai = r#"{"prompt_tokens":119,"completion_tokens":9,"total_tokens":226,
        "completion_tokens_details":{"reasoning_tokens":98}}"#;
    let error = refused(RawFormat::OpenAiChat, xai);
    assert!(error.detail.contains("xai_chat"), "{error}");
}

#[test]
fn cache_writes_are_found_under_all_their_names() {
    for name in ["cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens"] {
        let block = format!(
            r#"{{"prompt_tokens":90,"completion_tokens":5,
                "prompt_tokens_details":{{"{name}":30}}}}"#
        );
        assert_eq!(refuse(RawFormat::OpenAiChat, &block).usage.cache_write_tokens, Some(30));
        let block = format!(
            r#"{{"input_tokens":90,"output_tokens":5,"input_tokens_details":{{"{name}":30}}}}"#
        );
        assert_eq!(refuse(RawFormat::OpenAiResponses, &block).usage.cache_write_tokens, Some(30));
    }
}

#[test]
fn cache_writes_hold_those_of_every_life() {
    let of = |all: &str, long: u64| {
        format!(
            r#"{{"prompt_tokens":90,"completion_tokens":5,"prompt_tokens_details":{{
                "cache_write_tokens":{all},"cache_write_tokens_details":{{"ttl_30m_tokens":8,
                "ttl_12h_tokens":{long}}}}}}}"#
        )
    };
    for all in ["13", "null"] {
        let reading = refuse(RawFormat::OpenAiChat, &of(all, 5));
        assert_eq!(reading.usage.cache_write_tokens, Some(13));
        assert!(reading.is_flagged(FlagKind::LowerBound));
    }
    assert!(!refuse(RawFormat::OpenAiChat, &of("8", 0)).is_flagged(FlagKind::LowerBound));
    refused(RawFormat::OpenAiChat, &of("10", 5));
    assert_eq!(flag(RawFormat::OpenAiChat, &of("10", 5)).usage.cache_write_tokens, Some(13));
}

#[test]
fn names_for_one_figure_that_differ_contradict_each_other() {
    let block = r#"{"prompt_tokens":90,"completion_tokens":5,"prompt_cache_hit_tokens":30,
        "prompt_tokens_details":{"cached_tokens":20}}"#;
    assert_eq!(refused(RawFormat::OpenAiChat, block).pointer, "/prompt_cache_hit_tokens");
    assert_eq!(flag(RawFormat::OpenAiChat, block).usage.cache_read_tokens, Some(30));
    let misses = r#"{"prompt_tokens":90,"completion_tokens":5,"prompt_cache_hit_tokens":30,
        "prompt_cache_miss_tokens":59}"#;
    assert_eq!(refused(RawFormat::OpenAiChat, misses).pointer, "/prompt_cache_miss_tokens");
}

#[test]
fn one_hour_writes_are_told_apart_where_both_halves_are_said_and_only_there() {
    let of = |split: &str| {
        let block = format!(
            r#"{{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":100,
                "cache_creation":{split}}}"#
        );
        let reading = refuse(RawFormat::AnthropicMessages, &block);
        let lower_bound = reading.is_flagged(FlagKind::LowerBound);
        let Usage { cache_write_tokens, cache_write_1h_tokens, .. } = reading.usage;
        (cache_write_tokens, cache_write_1h_tokens, lower_bound)
    };
    let both = r#"{"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":60}"#;
    assert_eq!(of(both), (Some(100), Some(60), false));
    for half in [
        r#"{"ephemeral_1h_input_tokens":60}"#,
        r#"{"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":null}"#,
        "null",
    ] {
        assert_eq!(of(half), (Some(100), None, true), "{half}");
    }
    let less = r#"{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":100,
        "cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":60}}"#;
    refused(RawFormat::AnthropicMessages, less);
    let usage = flag(RawFormat::AnthropicMessages, less).usage;
    assert_eq!((usage.cache_write_tokens, usage.cache_write_1h_tokens), (Some(100), Some(60)));
    let without_total = r#"{"input_tokens":1,"output_tokens":1,"cache_creation":
        {"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":60}}"#;
    let usage = refuse(RawFormat::AnthropicMessages, without_total).usage;
    assert_eq!((usage.input_tokens, usage.cache_write_tokens), (Some(101), Some(100)));
}

#[test]
fn bedrock_writes_live_five_minutes_at_least_where_nothing_else_is_said() {
    let with = |details: &str| {
        let block =
            format!(r#"{{"inputTokens":1,"outputTokens":1,"cacheWriteInputTokens":100{details}}}"#);
        let reading = refuse(RawFormat::BedrockConverse, &block);
        (reading.usage.cache_write_1h_tokens, reading.is_flagged(FlagKind::LowerBound))
    };
    assert_eq!(with(""), (None, true));
    assert_eq!(with(r#","cacheDetails":[]"#), (None, true));
    assert_eq!(with(r#","cacheDetails":[{"ttl":"5m","inputTokens":100}]"#), (Some(0), false));
    assert_eq!(with(r#","cacheDetails":[{"ttl":"1h","inputTokens":100}]"#), (Some(100), false));
    assert_eq!(with(r#","cacheDetails":[{"ttl":"1d","inputTokens":100}]"#), (Some(0), true));
}

#[test]
fn reasoning_lies_within_the_output() {
    for (format, block) in [
        (
            RawFormat::OpenAiChat,
            r#"{"prompt_tokens":1,"completion_tokens":50,"total_tokens":51,
                "completion_tokens_details":{"reasoning_tokens":40}}"#,
        ),
        (
            RawFormat::OpenAiResponses,
            r#"{"input_tokens":1,"output_tokens":50,
                "output_tokens_details":{"reasoning_tokens":40}}"#,
        ),
        (
            RawFormat::AnthropicMessages,
            r#"{"input_tokens":1,"output_tokens":50,
                "output_tokens_details":{"thinking_tokens":40}}"#,
        ),
        (
            RawFormat::MistralChat,
            r#"{"prompt_tokens":1,"completion_tokens":50,
                "completion_tokens_details":{"reasoning_tokens":40}}"#,
        ),
        (
            RawFormat::OpenAiRealtime,
            r#"{"input_tokens":1,"output_tokens":50,"output_token_details":{"text_tokens":50,
                "reasoning_tokens":40}}"#,
        ),
    ] {
        let usage = refuse(format, block).usage;
        assert_eq!((usage.output_tokens, usage.output_reasoning_tokens), (Some(50), Some(40)));
    }
}

#[test]
fn gemini_thoughts_are_output_besides_and_tool_results_input_besides() {
    let block = r#"{"promptTokenCount":76,"candidatesTokenCount":1019,"totalTokenCount":3060,
        "toolUsePromptTokenCount":1100,"thoughtsTokenCount":865}"#;
    let usage = refuse(RawFormat::GeminiGenerate, block).usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(1176), Some(1884)));
    assert_eq!(usage.output_reasoning_tokens, Some(865));
}

#[test]
fn a_count_that_gemini_leaves_out_is_zero_only_where_the_total_proves_it() {
    let output = |block: &str| flag(RawFormat::GeminiGenerate, block).usage.output_tokens;
    assert_eq!(output(r#"{"promptTokenCount":10,"totalTokenCount":10}"#), Some(0));
    assert_eq!(output(r#"{"promptTokenCount":10}"#), None);
    let missing = r#"{"promptTokenCount":10,"totalTokenCount":30}"#;
    assert_eq!(output(missing), None);
    refused(RawFormat::GeminiGenerate, missing);
    assert_eq!(flag(RawFormat::GeminiGenerate, missing).beyond, [("unexplained_tokens", 20)]);
    let cached = |details: &str| {
        let block = format!(
            r#"{{"promptTokenCount":10,"totalTokenCount":10,"cachedContentTokenCount":6,
                "cacheTokensDetails":[{details}]}}"#
        );
        refuse(RawFormat::GeminiGenerate, &block).usage.cache_read_audio_tokens
    };
    assert_eq!(cached(r#"{"modality":"TEXT","tokenCount":6}"#), Some(0));
    assert_eq!(cached(r#"{"modality":"TEXT","tokenCount":5}"#), None);
}

#[test]
fn audio_and_images_have_their_own_tokens_and_video_stays_in_the_rest() {
    let block = r#"{"promptTokenCount":100,"candidatesTokenCount":30,"totalTokenCount":130,
        "cachedContentTokenCount":40,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":50},
        {"modality":"IMAGE","tokenCount":20},{"modality":"VIDEO","tokenCount":20},
        {"modality":"DOCUMENT","tokenCount":10}],"cacheTokensDetails":[{"modality":"AUDIO",
        "tokenCount":35},{"modality":"IMAGE","tokenCount":5}],"candidatesTokensDetails":
        [{"modality":"IMAGE","tokenCount":30}]}"#;
    let usage = refuse(RawFormat::GeminiGenerate, block).usage;
    assert_eq!((usage.input_audio_tokens, usage.input_image_tokens), (Some(50), Some(20)));
    assert_eq!((usage.cache_read_audio_tokens, usage.cache_read_image_tokens), (Some(35), Some(5)));
    assert_eq!((usage.output_image_tokens, usage.output_audio_tokens), (Some(30), Some(0)));
}

#[test]
fn xai_leaves_the_reasoning_out_and_the_total_decides() {
    let output = |completion: u64, total: &str| {
        let block = format!(
            r#"{{"prompt_tokens":119,"completion_tokens":{completion},"total_tokens":{total},
                "completion_tokens_details":{{"reasoning_tokens":98}}}}"#
        );
        read(RawFormat::XaiChat, &block, Strictness::Refuse).map(|it| it.usage.output_tokens)
    };
    assert_eq!(output(9, "226"), Ok(Some(107)));
    assert_eq!(output(9, "null"), Ok(Some(107)));
    assert_eq!(output(107, "226"), Ok(Some(107)));
    assert!(output(9, "227").is_err());
}

#[test]
fn all_output_of_an_image_is_image_tokens_where_no_breakdown_is_said() {
    let of = |details: &str| {
        let block = format!(r#"{{"input_tokens":9,"output_tokens":50{details}}}"#);
        refuse(RawFormat::OpenAiImages, &block).usage.output_image_tokens
    };
    assert_eq!(of(""), Some(50));
    assert_eq!(of(r#","output_tokens_details":{"image_tokens":48,"text_tokens":2}"#), Some(48));
    let pictures = r#"{"data":[{"url":"a"}],"usage":{"input_tokens":9,"output_tokens":50}}"#;
    assert_eq!(refuse(RawFormat::OpenAiImages, pictures).usage.images, None);
    let input_only = r#"{"data":[{"url":"a"}],"usage":{"input_tokens":9}}"#;
    assert_eq!(refuse(RawFormat::OpenAiImages, input_only).usage.images, None);
}

#[test]
fn audio_is_billed_by_tokens_or_by_seconds() {
    let tokens = r#"{"usage":{"type":"tokens","input_tokens":14,
        "input_token_details":{"audio_tokens":14},"output_tokens":45,"total_tokens":59}}"#;
    let usage = refuse(RawFormat::OpenAiAudio, tokens).usage;
    assert_eq!((usage.input_audio_tokens, usage.audio_seconds), (Some(14), None));
    let seconds = r#"{"duration":27.4,"usage":{"type":"duration","seconds":27.25}}"#;
    let usage = refuse(RawFormat::OpenAiAudio, seconds).usage;
    assert_eq!(usage.audio_seconds.unwrap().to_string(), "27.25");
    assert_eq!(usage.input_tokens, None);
}

#[test]
fn a_stated_cost_is_exact_and_a_zero_is_kept_and_not_trusted() {
    let stated = |format, fields: &str| {
        let block = format!(r#"{{"prompt_tokens":1,"completion_tokens":1,{fields}}}"#);
        let reading = refuse(format, &block);
        let cost = reading.stated_cost.map(|cost| cost.amount.to_string());
        (cost.unwrap(), reading.is_flagged(FlagKind::StatedCostZero))
    };
    for (fields, cost) in [
        (r#""cost":0.0000375"#, "0.0000375"),
        (r#""cost":3.1e-05"#, "0.000031"),
        (r#""cost":0.0033789000000000003"#, "0.0033789"),
        (r#""cost":"0.01""#, "0.01"),
        (r#""cost":{"total_cost":0.82,"currency":"USD"}"#, "0.82"),
        (r#""cost_in_usd_ticks":37756000"#, "0.0037756"),
        (r#""cost_in_usd_ticks":1"#, "0.0000000001"),
        (r#""estimated_cost":0.0001"#, "0.0001"),
    ] {
        assert_eq!(stated(RawFormat::OpenAiChat, fields), (cost.to_owned(), false), "{fields}");
    }
    for fields in [r#""cost":0"#, r#""cost_in_usd_ticks":0"#] {
        assert_eq!(stated(RawFormat::XaiChat, fields), ("0".to_owned(), true), "{fields}");
    }
    let block = r#"{"prompt_tokens":1,"completion_tokens":1,"cost":-1}"#;
    assert_eq!(refused(RawFormat::OpenAiChat, block).pointer, "/cost");
    let reading = flag(RawFormat::OpenAiChat, block);
    assert!(reading.is_flagged(FlagKind::StatedCostUnreadable));
    assert_eq!(reading.stated_cost, None);
}

#[test]
fn the_providers_own_bill_is_added_only_where_the_customers_key_was_used() {
    let stated = |rest: &str| {
        let block = format!(r#"{{"prompt_tokens":1,"completion_tokens":1,"cost":0.95{rest}}}"#);
        let reading = refuse(RawFormat::OpenAiChat, &block);
        let cost = reading.stated_cost.unwrap().amount.to_string();
        (cost, reading.is_flagged(FlagKind::LowerBound))
    };
    let upstream = r#","cost_details":{"upstream_inference_cost":19}"#;
    assert_eq!(stated(upstream), ("0.95".to_owned(), false));
    assert_eq!(stated(&format!(r#","is_byok":false{upstream}"#)), ("0.95".to_owned(), false));
    assert_eq!(stated(&format!(r#","is_byok":true{upstream}"#)), ("19.95".to_owned(), false));
    assert_eq!(stated(r#","is_byok":true"#), ("0.95".to_owned(), true));
    let zero = r#"{"prompt_tokens":9171,"completion_tokens":113,"cost":0,"is_byok":true,
        "cost_details":{"upstream_inference_cost":0.0360795}}"#;
    let reading = refuse(RawFormat::OpenAiChat, zero);
    assert_eq!(reading.stated_cost.unwrap().amount.to_string(), "0.0360795");
    assert!(!reading.is_flagged(FlagKind::StatedCostZero));
}

#[test]
fn cohere_is_read_as_billed_and_not_as_seen() {
    let block = r#"{"usage":{"billed_units":{"input_tokens":5.0,"output_tokens":418.0},
        "tokens":{"input_tokens":71.0,"output_tokens":418.0},"cached_tokens":64.0}}"#;
    let usage = refuse(RawFormat::CohereChat, block).usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(5), Some(418)));
    assert_eq!(usage.cache_read_tokens, None);
    let kinds = r#"{"billed_units":{"input_tokens":9,"text_tokens":3,"image_tokens":5}}"#;
    assert_eq!(refused(RawFormat::CohereChat, kinds).pointer, "/billed_units/input_tokens");
    let seen = r#"{"tokens":{"input_tokens":71,"output_tokens":418},"cached_tokens":64}"#;
    let reading = refuse(RawFormat::CohereChat, seen);
    assert!(reading.is_flagged(FlagKind::Assumed));
    assert_eq!((reading.usage.input_tokens, reading.usage.cache_read_tokens), (Some(71), Some(64)));
}

#[test]
fn compactions_are_added_and_an_advisor_is_another_models_bill() {
    let block = r#"{"input_tokens":100,"cache_read_input_tokens":10,"output_tokens":7,"iterations":[
        {"type":"compaction","input_tokens":5000,"cache_read_input_tokens":40,"output_tokens":300},
        {"type":"message","input_tokens":100,"cache_read_input_tokens":10,"output_tokens":7},
        {"type":"advisor_message","input_tokens":900,"output_tokens":60}]}"#;
    let reading = refuse(RawFormat::AnthropicMessages, block);
    assert_eq!(reading.usage.input_tokens, Some(5150));
    assert_eq!(reading.usage.cache_read_tokens, Some(50));
    assert_eq!(reading.usage.output_tokens, Some(307));
    assert_eq!(reading.beyond, [("advisor_input_tokens", 900), ("advisor_output_tokens", 60)]);
    assert!(reading.is_flagged(FlagKind::SeveralPasses));
}

#[test]
fn opening_a_page_is_no_search() {
    let with = |items: &str| {
        let block =
            format!(r#"{{"output":[{items}],"usage":{{"input_tokens":1,"output_tokens":1}}}}"#);
        refuse(RawFormat::OpenAiResponses, &block).usage.web_searches
    };
    let call = |action: &str| format!(r#"{{"type":"web_search_call","action":{action}}}"#);
    let (search, open) = (call(r#"{"type":"search"}"#), call(r#"{"type":"open_page"}"#));
    assert_eq!(with(&format!("{search},{open},{}", call("null"))), Some(2));
    assert_eq!(with(&open), Some(0));
    assert_eq!(with(""), None);
}

#[test]
fn searches_are_counted_wherever_they_are_said() {
    for (format, block, searches) in [
        (
            RawFormat::AnthropicMessages,
            r#"{"input_tokens":1,"output_tokens":1,"server_tool_use":{"web_search_requests":5}}"#,
            Some(5),
        ),
        (
            RawFormat::AnthropicMessages,
            r#"{"input_tokens":1,"output_tokens":1,"server_tool_use":{"web_search_requests":0}}"#,
            Some(0),
        ),
        (
            RawFormat::OpenAiChat,
            r#"{"prompt_tokens":1,"completion_tokens":1,"num_search_queries":21}"#,
            Some(21),
        ),
        (
            RawFormat::GeminiGenerate,
            r#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["a","","b","a"]}}],
                "usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}"#,
            Some(2),
        ),
    ] {
        assert_eq!(refuse(format, block).usage.web_searches, searches, "{block}");
    }
}

#[test]
fn what_has_no_word_stands_beside_the_usage() {
    let block = r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":160,
        "connector_tokens":40,"connectors":{"web_search":1,"code_interpreter":2}}"#;
    let reading = refuse(RawFormat::MistralChat, block);
    assert_eq!(reading.beyond, [("connector_tokens", 40), ("connector_calls", 2)]);
    assert_eq!(reading.usage.input_tokens, Some(100));
    assert_eq!(reading.usage.web_searches, Some(1));
}

#[test]
fn the_tier_is_the_one_that_served() {
    let tier = |format, block: &str| refuse(format, block).context;
    let chat = r#"{"service_tier":"Priority","usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    assert_eq!(tier(RawFormat::OpenAiChat, chat).service_tier, Some(ServiceTier::Priority));
    let gemini = r#"{"promptTokenCount":1,"trafficType":"PROVISIONED_THROUGHPUT"}"#;
    let context = tier(RawFormat::GeminiGenerate, gemini);
    assert_eq!(context.service_tier, Some(ServiceTier::Committed));
    let batch = r#"{"input_tokens":1,"output_tokens":1,"service_tier":"batch",
        "inference_geo":"not_available"}"#;
    let context = tier(RawFormat::AnthropicMessages, batch);
    assert_eq!((context.processing, context.service_tier), (Some(Processing::Batch), None));
    assert_eq!(context.data_residency, None);
    let new = r#"{"promptTokenCount":1,"trafficType":"ON_DEMAND_OFFPEAK"}"#;
    let context = tier(RawFormat::GeminiGenerate, new);
    assert_eq!(context.service_tier, None);
    assert_eq!(context.unknown.first().unwrap().word, "ON_DEMAND_OFFPEAK");
}

#[test]
fn an_input_smaller_than_its_cache_leaves_it_out_in_telemetry() {
    let block = r#"{"prompt_tokens":3,"completion_tokens":550,
        "prompt_tokens_details":{"cached_tokens":100,"cache_write_tokens":12304}}"#;
    assert_eq!(
        refused(RawFormat::OpenAiChat, block).pointer,
        "/prompt_tokens_details/cached_tokens"
    );
    let reading = flag(RawFormat::OpenAiChat, block);
    assert!(reading.is_flagged(FlagKind::CacheOutside));
    assert!(!reading.is_flagged(FlagKind::Inconsistent));
    assert_eq!(reading.usage.input_tokens, Some(12_407));
    for total in [553, 12_957] {
        let block = block.replacen('{', &format!("{{\"total_tokens\":{total},"), 1);
        assert_eq!(flag(RawFormat::OpenAiChat, &block), reading, "{total}");
    }
}

#[test]
fn an_output_whose_total_has_the_reasoning_besides_leaves_it_out_in_telemetry() {
    let block = r#"{"prompt_tokens":10,"completion_tokens":50,"total_tokens":100,
        "completion_tokens_details":{"reasoning_tokens":40}}"#;
    let reading = flag(RawFormat::OpenAiChat, block);
    assert_eq!(reading.usage.output_tokens, Some(90));
    assert!(reading.is_flagged(FlagKind::ReasoningOutside));
    assert!(!reading.is_flagged(FlagKind::Inconsistent));
}

#[test]
fn what_does_not_add_up_is_kept_and_flagged_in_telemetry() {
    let block = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40,
        "prompt_tokens_details":{"audio_tokens":12}}"#;
    let reading = flag(RawFormat::OpenAiChat, block);
    assert!(reading.is_flagged(FlagKind::Inconsistent));
    assert_eq!(
        (reading.usage.input_tokens, reading.usage.input_audio_tokens),
        (Some(12), Some(12))
    );
    assert_eq!(reading.beyond, [("unexplained_tokens", 25)]);
    let places: Vec<&str> = reading.flags.iter().map(|flag| flag.pointer.as_str()).collect();
    assert_eq!(places, ["/total_tokens", "/prompt_tokens_details/audio_tokens"]);
}

#[test]
fn a_total_that_contradicts_its_parts_is_refused() {
    for (format, block, pointer) in [
        (
            RawFormat::OpenAiChat,
            r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":14}}"#,
            "/usage/total_tokens",
        ),
        (
            RawFormat::BedrockConverse,
            r#"{"inputTokens":10,"outputTokens":5,"totalTokens":16}"#,
            "/totalTokens",
        ),
        (
            RawFormat::GeminiGenerate,
            r#"{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":16}"#,
            "/totalTokenCount",
        ),
    ] {
        assert_eq!(refused(format, block).pointer, pointer);
    }
}

#[test]
fn sums_beyond_what_counts_can_be_are_refused() {
    let most = 1_u64 << 53;
    let block =
        format!(r#"{{"input_tokens":{most},"cache_read_input_tokens":{most},"output_tokens":1}}"#);
    for strictness in [Strictness::Refuse, Strictness::Flag] {
        let error = read(RawFormat::AnthropicMessages, &block, strictness).unwrap_err();
        assert_eq!(error.kind, RawUsageErrorKind::NotACount);
        assert_eq!(error.pointer, "/input_tokens");
    }
}

#[test]
fn explicit_zeros_are_usage() {
    let block = r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#;
    let usage = refuse(RawFormat::OpenAiChat, block).usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(0), Some(0)));
}

#[test]
fn blocks_of_every_kind_read_as_they_were_priced() {
    let blocks = include_str!("../fixtures/blocks.jsonl");
    let mut count = 0;
    for line in blocks.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let format = RawFormat::parse(case["raw_format"].as_str().unwrap()).unwrap();
        let usage = refuse(format, &case["raw_usage"].to_string()).usage;
        let expected = case["usage"].as_object().unwrap();
        for (unit, quantity) in usage.quantities() {
            // The cases leave zeros out.
            let said = expected.get(unit).map_or("0".to_owned(), ToString::to_string);
            assert_eq!(quantity.to_string(), said, "{unit} of {line}");
        }
        let said: Vec<&str> = usage.quantities().map(|(unit, _)| unit).collect();
        assert!(expected.keys().all(|unit| said.contains(&unit.as_str())), "{line}");
        count += 1;
    }
    assert_eq!(count, 58);
}
