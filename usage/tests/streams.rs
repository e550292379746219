//! What a stream says: its last figures, and nothing where it ends before them.

use domain::ServiceTier;
use usage::{FlagKind, RawFormat, RawUsageErrorKind, Strictness, read_stream};

#[test]
fn the_figures_of_a_stream_are_its_last_and_never_their_sum() {
    let anthropic = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",",
        "\"usage\":{\"input_tokens\":25,\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",",
        "\"delta\":{\"stop_reason\":\"end_turn\"},",
        "\"usage\":{\"output_tokens\":15,\"input_tokens\":null}}\n\n",
    );
    let reading = read_stream(RawFormat::AnthropicMessages, anthropic, Strictness::Refuse).unwrap();
    let usage = &reading.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(25), Some(15)));
    assert_eq!(reading.context.service_tier, Some(ServiceTier::Standard));
    let gemini = r#"[{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1}},
        {"candidates":[{"finishReason":"STOP"}],
         "usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":9}}]"#;
    let usage = read_stream(RawFormat::GeminiGenerate, gemini, Strictness::Refuse).unwrap().usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(10), Some(9)));
}

#[test]
fn a_stream_cut_before_its_usage_has_an_unknown_one() {
    for (format, body) in [
        (RawFormat::OpenAiChat, "data: {\"choices\":[],\"usage\":null}\n\ndata: [DONE]\n\n"),
        (RawFormat::OpenAiChat, ""),
        (
            RawFormat::OpenAiResponses,
            "data: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n",
        ),
        (
            RawFormat::AnthropicMessages,
            "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\
             \"output_tokens\":1}}}\n\n",
        ),
        (RawFormat::CohereChat, "data: {\"type\":\"content-delta\"}\n\n"),
        (RawFormat::BedrockConverse, "{\"messageStart\":{\"role\":\"assistant\"}}\n"),
    ] {
        for strictness in [Strictness::Refuse, Strictness::Flag] {
            let error = read_stream(format, body, strictness).unwrap_err();
            assert_eq!(error.kind, RawUsageErrorKind::StreamCut, "{format:?}");
            assert!(error.detail.contains("not known"), "{error}");
        }
    }
}

#[test]
fn a_stream_cut_after_some_usage_has_at_least_that() {
    let chunk = |count: u64, finish: &str| {
        format!(
            "data: {{\"choices\":[{{\"finish_reason\":{finish}}}],\"usage\":{{\"prompt_tokens\":7,\
             \"completion_tokens\":{count}}}}}\n\n"
        )
    };
    let body = chunk(1, "null") + &chunk(2, "null");
    let cut = read_stream(RawFormat::XaiChat, &body, Strictness::Refuse).unwrap();
    assert!(cut.is_flagged(FlagKind::Cut));
    assert_eq!(cut.usage.output_tokens, Some(2));
    let body = body + &chunk(3, "\"stop\"");
    let whole = read_stream(RawFormat::XaiChat, &body, Strictness::Refuse).unwrap();
    assert!(!whole.is_flagged(FlagKind::Cut));
    assert_eq!(whole.usage.output_tokens, Some(3));
}

#[test]
fn turns_that_are_billed_by_themselves_are_not_read_as_one() {
    let turn = "data: {\"type\":\"response.done\",\"response\":{\"usage\":{\"input_tokens\":1,\
        \"output_tokens\":1}}}\n\n";
    let body = turn.repeat(2);
    let error = read_stream(RawFormat::OpenAiRealtime, &body, Strictness::Flag).unwrap_err();
    assert_eq!((error.kind, error.event), (RawUsageErrorKind::SeveralUsages, Some(1)));
}

#[test]
fn errors_in_a_stream_name_the_event_and_the_place_in_it() {
    let error_of = |start: &str, delta: &str| {
        let body = format!(
            "data: {{\"type\":\"message_start\",\"message\":{{\"usage\":{start}}}}}\n\n\
             data: {{\"type\":\"ping\"}}\n\n\
             data: {{\"type\":\"message_delta\",\"usage\":{delta}}}\n\n"
        );
        let error = read_stream(RawFormat::AnthropicMessages, &body, Strictness::Refuse);
        let error = error.unwrap_err();
        (error.event, error.pointer)
    };
    assert_eq!(
        error_of("{\"input_tokens\":-1}", "{\"output_tokens\":2}"),
        (Some(0), "/message/usage/input_tokens".to_owned())
    );
    assert_eq!(
        error_of("{\"input_tokens\":1}", "{\"output_tokens\":2.5}"),
        (Some(2), "/usage/output_tokens".to_owned())
    );
    let chat = "data: {\"choices\":[]}\n\ndata: {\"usage\":{\"prompt_tokens\":-1}}\n\n";
    let error = read_stream(RawFormat::OpenAiChat, chat, Strictness::Refuse).unwrap_err();
    assert_eq!((error.event, error.pointer.as_str()), (Some(1), "/usage/prompt_tokens"));
    assert_eq!(error.to_string().split(':').next(), Some("event 1"));
    let broken = "data: {\"usage\":{\"prompt\n\ndata: {\"usage\":{\"prompt_tokens\":1}}\n\n";
    let error = read_stream(RawFormat::OpenAiChat, broken, Strictness::Flag).unwrap_err();
    assert_eq!((error.kind, error.event), (RawUsageErrorKind::Malformed, Some(0)));
}
