//! Calls that telemetry reports: spans of every generation of names in both encodings.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

#[path = "telemetry/shown.rs"]
mod shown;
#[path = "telemetry/spans.rs"]
mod spans;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};
use shown::{shown, shown_rejection};
use spans::{TRACE, call, request, span, traces, traces_of, within};
use usage::{FlagKind, RejectionKind, ReportedCall, Traces};

/// Input, cache reads, cache writes, output and reasoning.
fn tokens(call: &ReportedCall) -> [Option<u64>; 5] {
    let usage = &call.reading.usage;
    [
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.output_reasoning_tokens,
    ]
}

fn flags(call: &ReportedCall) -> Vec<FlagKind> {
    call.reading.flags.iter().map(|flag| flag.kind).collect()
}

fn codes(traces: &Traces) -> Vec<&'static str> {
    traces.rejected.iter().map(|rejected| rejected.kind.code()).collect()
}

/// A chat with OpenAI, and whatever else is said.
fn chat(more: &Value) -> Value {
    let mut attributes = json!({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
    });
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => attributes.as_object_mut().unwrap().remove(name),
            value => attributes.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    attributes
}

#[test]
fn every_fixture_reports_exactly_the_calls_that_are_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/otel");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().ends_with(".expected.json") {
            continue;
        }
        let traces = traces(&fs::read_to_string(&path).unwrap());
        let told = json!({
            "calls": traces.calls.iter().map(shown).collect::<Vec<_>>(),
            "ignored": traces.ignored_count,
            "rejected": traces.rejected.iter().map(shown_rejection).collect::<Vec<_>>(),
        });
        let expected = fs::read_to_string(path.with_extension("expected.json")).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        assert_eq!(told, expected, "{}: {told:#}", path.display());
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn every_generation_of_names_says_the_same_usage() {
    let newest = json!({
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.cache_write.input_tokens": 300,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 30,
    });
    let until_1_41 = json!({
        "gen_ai.operation.name": "generate_content",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.cache_creation.input_tokens": 300,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 30,
    });
    let openllmetry = json!({
        "llm.request.type": "chat",
        "gen_ai.system": "Anthropic",
        "gen_ai.usage.prompt_tokens": 1000,
        "gen_ai.usage.cache_read_input_tokens": 600,
        "gen_ai.usage.cache_creation_input_tokens": 300,
        "gen_ai.usage.completion_tokens": 50,
        "gen_ai.usage.reasoning_tokens": 30,
        "llm.usage.total_tokens": 1050,
    });
    let openinference = json!({
        "openinference.span.kind": "LLM",
        "llm.token_count.prompt": 1000,
        "llm.token_count.prompt_details.cache_read": 600,
        "llm.token_count.prompt_details.cache_write": 300,
        "llm.token_count.completion": 50,
        "llm.token_count.completion_details.reasoning": 30,
        "llm.token_count.total": 1050,
    });
    let deprecated = json!({
        "gen_ai.system": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.usage.prompt_tokens": 1000,
        "gen_ai.usage.cache_read_input_tokens": 600,
        "gen_ai.usage.cache_creation_input_tokens": 300,
        "gen_ai.usage.completion_tokens": 50,
        "llm.usage.reasoning_tokens": 30,
    });
    for attributes in [newest, until_1_41, openllmetry, openinference, deprecated] {
        let call = call(&attributes);
        let expected = [Some(1000), Some(600), Some(300), Some(50), Some(30)];
        assert_eq!(tokens(&call), expected, "{attributes}");
        // How long the writes live is in no convention.
        assert_eq!(flags(&call), [FlagKind::LowerBound], "{attributes}");
    }
}

#[test]
fn audio_and_images_are_parts_by_either_convention() {
    let newest = call(&chat(&json!({
        "gen_ai.usage.audio.input_tokens": 40,
        "gen_ai.usage.image.input_tokens": 30,
        "gen_ai.usage.audio.output_tokens": 10,
    })));
    let usage = &newest.reading.usage;
    assert_eq!((usage.input_audio_tokens, usage.input_image_tokens), (Some(40), Some(30)));
    assert_eq!(usage.output_audio_tokens, Some(10));
    let openinference = call(&json!({
        "openinference.span.kind": "LLM",
        "llm.token_count.prompt": 100,
        "llm.token_count.prompt_details.audio": 40,
        "llm.token_count.prompt_details.cache_input": 60,
        "llm.token_count.completion": 20,
        "llm.token_count.completion_details.audio": 10,
    }));
    let usage = &openinference.reading.usage;
    assert_eq!((usage.input_audio_tokens, usage.output_audio_tokens), (Some(40), Some(10)));
    assert_eq!(usage.cache_read_tokens, Some(60));
}

#[test]
fn an_emitter_that_leaves_the_cache_out_is_read_as_such() {
    // Input, cache read, cache write, total; the whole input, and whether that is flagged.
    for (input, read, write, total, whole, is_flagged) in [
        (1000, 900, 50, None, 1000, false),
        (100, 900, 0, None, 1000, true),
        (3, 0, 12_304, None, 12_307, true),
        (100, 900, 50, None, 1050, true),
        // The total shows it, although the input is the larger one.
        (1000, 900, 0, Some(1920), 1900, true),
        (1000, 900, 0, Some(1020), 1000, false),
        (100, 900, 0, Some(1020), 1000, true),
        (100, 900, 0, Some(120), 1000, true),
    ] {
        let mut more = json!({
            "gen_ai.usage.input_tokens": input,
            "gen_ai.usage.cache_read.input_tokens": read,
            "gen_ai.usage.cache_creation.input_tokens": write,
        });
        if let Some(total) = total {
            more["gen_ai.usage.total_tokens"] = json!(total);
        }
        let call = call(&chat(&more));
        let expected = [Some(whole), Some(read), Some(write), Some(20), None];
        assert_eq!(tokens(&call), expected, "{more}");
        assert_eq!(call.reading.is_flagged(FlagKind::CacheOutside), is_flagged, "{more}");
        assert!(!call.reading.is_flagged(FlagKind::Inconsistent), "{more}");
    }
}

#[test]
fn what_does_not_add_up_is_kept_and_flagged_and_never_cut() {
    let differing = call(&chat(&json!({ "gen_ai.usage.prompt_tokens": 120 })));
    assert_eq!(differing.reading.usage.input_tokens, Some(120));
    assert_eq!(flags(&differing), [FlagKind::Inconsistent]);
    let audio = call(&chat(&json!({ "gen_ai.usage.audio.input_tokens": 150 })));
    assert_eq!(audio.reading.usage.input_tokens, Some(150));
    assert_eq!(audio.reading.usage.input_audio_tokens, Some(150));
    assert_eq!(flags(&audio), [FlagKind::Inconsistent]);
    let total = call(&chat(&json!({ "gen_ai.usage.total_tokens": 150 })));
    assert_eq!(tokens(&total), [Some(100), None, None, Some(20), None]);
    assert_eq!(total.reading.beyond, [("unexplained_tokens", 30)]);
    assert_eq!(flags(&total), [FlagKind::Inconsistent]);
    let reasoning = call(&chat(&json!({ "gen_ai.usage.reasoning.output_tokens": 25 })));
    assert_eq!(reasoning.reading.usage.output_tokens, Some(45));
    assert_eq!(flags(&reasoning), [FlagKind::ReasoningOutside]);
}

#[test]
fn figures_that_are_no_counts_reject_their_span_alone() {
    for wrong in [json!(-1), json!(1.5), json!("many"), json!(true), json!("9007199254740993")] {
        let bad = chat(&json!({ "gen_ai.usage.input_tokens": wrong }));
        let traces = traces_of(&[span(1, &bad), span(2, &chat(&json!({})))]);
        assert_eq!((traces.calls.len(), traces.spans_count), (1, 2), "{wrong}");
        assert_eq!(codes(&traces), ["usage_not_a_count"], "{wrong}");
        assert_eq!(traces.rejected[0].at, "gen_ai.usage.input_tokens");
        assert_eq!(traces.rejected[0].identity, Some(format!("{TRACE}:0000000000000001")));
    }
    let text = call(&chat(&json!({ "gen_ai.usage.input_tokens": "100" })));
    assert_eq!(text.reading.usage.input_tokens, Some(100));
}

#[test]
fn spans_that_are_no_calls_are_ignored() {
    let not_calls = [
        json!({ "http.request.method": "POST", "gen_ai.usage.input_tokens": 5 }),
        chat(&json!({ "gen_ai.operation.name": "invoke_agent" })),
        chat(&json!({ "gen_ai.operation.name": "execute_tool" })),
        chat(&json!({ "gen_ai.operation.name": "invoke_workflow" })),
        chat(&json!({ "gen_ai.operation.name": "create_agent" })),
        chat(&json!({ "openinference.span.kind": "CHAIN" })),
        chat(&json!({ "openinference.span.kind": "AGENT" })),
        json!({ "traceloop.span.kind": "workflow", "gen_ai.request.model": "gpt-4o",
                "gen_ai.usage.input_tokens": 5 }),
        json!({}),
    ];
    for attributes in not_calls {
        let traces = traces_of(&[span(1, &attributes)]);
        assert_eq!(traces, Traces { spans_count: 1, ignored_count: 1, ..Traces::default() });
    }
    for attributes in [
        chat(&json!({ "gen_ai.operation.name": "text_completion" })),
        chat(&json!({ "gen_ai.operation.name": "Chat" })),
        chat(&json!({ "gen_ai.operation.name": null })),
        json!({ "openinference.span.kind": "RERANKER", "llm.token_count.prompt": 5 }),
        json!({ "llm.request.type": "completion", "gen_ai.usage.prompt_tokens": 5 }),
    ] {
        assert_eq!(traces_of(&[span(1, &attributes)]).calls.len(), 1, "{attributes}");
    }
}

#[test]
fn an_embedding_has_its_total_as_input() {
    for attributes in [
        json!({ "gen_ai.operation.name": "embeddings", "gen_ai.usage.total_tokens": 8 }),
        json!({ "openinference.span.kind": "EMBEDDING", "llm.token_count.total": 8,
                "embedding.model_name": "text-embedding-3-small" }),
        json!({ "llm.request.type": "embedding", "llm.usage.total_tokens": 8 }),
    ] {
        let call = call(&attributes);
        assert_eq!(tokens(&call), [Some(8), None, None, None, None], "{attributes}");
        assert_eq!(flags(&call), []);
    }
}

#[test]
fn a_rerank_is_one_request_at_least_as_it_is_sold() {
    for attributes in [
        json!({ "openinference.span.kind": "RERANKER", "reranker.model_name": "rerank-v3.5" }),
        json!({ "llm.request.type": "rerank", "gen_ai.request.model": "rerank-v3.5" }),
    ] {
        let told = call(&attributes);
        assert_eq!(told.reading.usage.requests, Some(1), "{attributes}");
        assert_eq!(flags(&told), [FlagKind::LowerBound], "{attributes}");
        assert_eq!(told.reading.model.as_deref(), Some("rerank-v3.5"));
        let mut failed = span(1, &attributes);
        failed["status"] = json!({ "code": 2 });
        assert_eq!(traces_of(&[failed]).ignored_count, 1, "{attributes}");
    }
    let counted = json!({ "openinference.span.kind": "RERANKER", "llm.token_count.total": 5 });
    assert_eq!(call(&counted).reading.usage.requests, None);
}

#[test]
fn a_call_without_usage_is_rejected_unless_it_failed() {
    let silent = json!({ "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o" });
    let traces = traces_of(&[span(1, &silent)]);
    assert_eq!(codes(&traces), ["usage_missing"]);
    assert!(traces.rejected[0].to_string().contains("not zero"), "{}", traces.rejected[0]);
    let mut failed = span(1, &silent);
    failed["status"] = json!({ "code": 2, "message": "rate limited" });
    let mut typed = silent.clone();
    typed["error.type"] = json!("429");
    for failed in [failed, span(1, &typed)] {
        let traces = traces_of(&[failed]);
        assert_eq!((traces.ignored_count, traces.rejected.len()), (1, 0));
    }
    // A call that failed after it was billed counts.
    let mut billed = span(1, &chat(&json!({})));
    billed["status"] = json!({ "code": 2 });
    assert_eq!(traces_of(&[billed]).calls.len(), 1);
    // A stated cost alone is no usage.
    let cost = json!({ "openinference.span.kind": "LLM", "llm.cost.total": 0.5 });
    assert_eq!(codes(&traces_of(&[span(1, &cost)])), ["usage_missing"]);
}

#[test]
fn a_span_around_calls_that_repeats_them_is_ignored() {
    let of = |input, output| {
        chat(&json!({ "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output }))
    };
    let with_id =
        |input, id| chat(&json!({ "gen_ai.usage.input_tokens": input, "gen_ai.response.id": id }));
    let plain = json!({ "http.request.method": "POST" });
    let kept = |spans: &[Value]| {
        let ids = traces_of(spans).calls.into_iter().map(|call| {
            u64::from_str_radix(call.identity.split(':').next_back().unwrap(), 16).unwrap()
        });
        ids.collect::<Vec<_>>()
    };
    // A framework around a client, with another span between.
    let framework =
        [span(1, &of(100, 20)), within(1, span(2, &plain)), within(2, span(3, &of(100, 20)))];
    assert_eq!(kept(&framework), [3]);
    // The sum of two, and a wrapper of that.
    let sums = [
        span(1, &of(300, 50)),
        within(1, span(2, &of(300, 50))),
        within(2, span(3, &of(100, 20))),
        within(2, span(4, &of(200, 30))),
    ];
    assert_eq!(kept(&sums), [3, 4]);
    // A proxy's request, on which the last of two calls is written.
    let proxy =
        [within(1, span(3, &of(100, 20))), within(1, span(4, &of(200, 30))), span(1, &of(200, 30))];
    assert_eq!(kept(&proxy), [3, 4]);
    // One response, told with and without its cache.
    let response = [span(1, &with_id(100, "r1")), within(1, span(2, &with_id(40, "r1")))];
    assert_eq!(kept(&response), [2]);
    // The inner one was sent twice.
    let twice =
        [span(1, &of(100, 20)), within(1, span(2, &of(100, 20))), within(1, span(2, &of(100, 20)))];
    assert_eq!(kept(&twice), [2, 2]);
}

#[test]
fn a_span_around_calls_with_a_usage_of_its_own_counts() {
    let inner = chat(&json!({ "gen_ai.operation.name": "embeddings",
        "gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": null }));
    let traces = traces_of(&[span(1, &chat(&json!({}))), within(1, span(2, &inner))]);
    assert_eq!((traces.calls.len(), traces.ignored_count), (2, 0));
    // Spans that are within each other are nobody's parents.
    let circle = [within(2, span(1, &chat(&json!({})))), within(1, span(2, &inner))];
    assert_eq!(traces_of(&circle).calls.len(), 2);
    let itself = [within(1, span(1, &chat(&json!({}))))];
    assert_eq!(traces_of(&itself).calls.len(), 1);
}

#[test]
fn a_span_sent_twice_is_told_twice_with_one_identity() {
    let one = span(0xab, &chat(&json!({ "gen_ai.response.id": "chatcmpl-1" })));
    let first = traces_of(&[one.clone(), one.clone()]);
    let identities: Vec<&str> = first.calls.iter().map(|call| call.identity.as_str()).collect();
    let expected = format!("{TRACE}:00000000000000ab");
    assert_eq!(identities, [expected.as_str(), expected.as_str()]);
    assert_eq!(first.calls[0].identity_source, "otel");
    // Upper case is the same id.
    let mut upper = one.clone();
    upper["traceId"] = TRACE.to_uppercase().into();
    upper["spanId"] = "00000000000000AB".into();
    assert_eq!(traces_of(&[upper]).calls[0].identity, expected);
    assert_eq!(traces_of(&[one]).calls[0], first.calls[0]);
}

#[test]
fn prompts_and_answers_are_kept_nowhere() {
    let secret = "my dog is called Rex";
    let mut more = json!({});
    for name in [
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.prompt",
        "gen_ai.prompt.0.content",
        "gen_ai.completion.0.content",
        "input.value",
        "output.value",
        "llm.input_messages.0.message.content",
        "traceloop.entity.input",
        "metadata",
        "an.attribute.that.nobody.knows",
    ] {
        more[name] = json!(secret);
    }
    let mut span = span(1, &chat(&more));
    span["name"] = secret.into();
    span["events"] = json!([{ "name": "gen_ai.user.message", "attributes":
        [{ "key": "content", "value": { "stringValue": secret } }] }]);
    span["status"] = json!({ "message": secret });
    let told = format!("{:?}", traces_of(&[span]));
    assert!(told.contains("gpt-4o") && !told.contains("Rex"), "{told}");
}

#[test]
fn the_path_of_a_span_goes_before_that_of_its_resource() {
    let resource = json!({ "service.name": "checkout", "outlay.path": "acme/shop" });
    let own = chat(&json!({ "outlay.path": "acme/search" }));
    let body = request(&resource, &[span(1, &own), span(2, &chat(&json!({})))]);
    let traces = traces(&body);
    let paths: Vec<_> = traces.calls.iter().map(|call| call.path.as_deref()).collect();
    assert_eq!(paths, [Some("acme/search"), Some("acme/shop")]);
    assert_eq!(traces.calls[0].service_name.as_deref(), Some("checkout"));
    assert_eq!(call(&chat(&json!({}))).path, None);
}

#[test]
fn what_else_is_known_of_a_call_is_told() {
    let told = call(&chat(&json!({
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.time_to_first_chunk": 0.25,
        "openai.request.service_tier": "auto",
        "openai.response.service_tier": "priority",
        "enduser.id": "u1",
        "code.file.path": "src/ask.py",
        "code.namespace": "shop.Ask",
        "code.function": "answer",
        "code.line.number": 42,
        "http.response.header.x-request-id": ["req_1"],
        "traceloop.association.properties.team": "search",
        "traceloop.association.properties.user_id": "u2",
        "session.id": "s1",
        "server.address": "eu.api.openai.com",
    })));
    assert_eq!(told.reading.model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(told.requested_model.as_deref(), Some("gpt-4o"));
    assert_eq!((told.latency_ms, told.time_to_first_token_ms), (Some(1200), Some(250)));
    assert_eq!(told.ended_at.unwrap().to_string(), "2025-10-09T08:53:21.2Z");
    assert_eq!(told.started_at.unwrap().to_string(), "2025-10-09T08:53:20Z");
    assert_eq!(told.reading.context.service_tier.unwrap().as_str(), "priority");
    assert_eq!(told.reading.context.data_residency.unwrap().as_str(), "eu");
    assert_eq!(told.end_user.as_deref(), Some("u1"));
    let site = told.call_site.unwrap();
    assert_eq!(site.file.as_deref(), Some("src/ask.py"));
    assert_eq!((site.function.as_deref(), site.line), (Some("shop.Ask.answer"), Some(42)));
    assert_eq!(told.provider_request_id.as_deref(), Some("req_1"));
    let expected = [("session.id", "s1"), ("team", "search")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(told.tags, BTreeMap::from(expected));
}

#[test]
fn texts_that_are_too_long_are_left_out_and_flagged() {
    let long = "x".repeat(257);
    let told = call(&chat(&json!({
        "gen_ai.request.model": long,
        "gen_ai.response.id": "é".repeat(256),
        "traceloop.association.properties.team": long,
        "session.id": "s1",
        "outlay.path": "a/".repeat(1025),
        "user.id": "u".repeat(100_000),
    })));
    assert_eq!((told.requested_model, told.reading.model.clone()), (None, None));
    assert_eq!(told.reading.response_id, Some("é".repeat(256)));
    assert_eq!((told.path, told.end_user), (None, None));
    assert_eq!(told.tags.keys().collect::<Vec<_>>(), ["session.id"]);
    let flagged = told.reading.flags.iter().filter(|flag| flag.kind == FlagKind::Oversized);
    let mut flagged: Vec<&str> = flagged.map(|flag| flag.pointer.as_str()).collect();
    flagged.sort_unstable();
    assert_eq!(flagged, ["gen_ai.request.model", "model", "outlay.path", "tags", "user.id"]);
    let mut many = json!({});
    for index in 0..100 {
        many[format!("traceloop.association.properties.k{index:03}")] = json!("v".repeat(90));
    }
    let told = call(&chat(&many));
    let bytes: usize = told.tags.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(told.tags.len() <= usage::TAGS_MAX && bytes <= usage::TAGS_BYTES_MAX, "{bytes}");
    assert!(!told.tags.is_empty() && told.reading.is_flagged(FlagKind::Oversized));
}

#[test]
fn a_span_without_its_instants_is_taken_at_the_one_it_says() {
    let at = |start: &str, end: &str| {
        let mut span = span(1, &chat(&json!({})));
        span["startTimeUnixNano"] = start.into();
        span["endTimeUnixNano"] = end.into();
        let call = traces_of(&[span]).calls.remove(0);
        let text = |at: Option<jiff::Timestamp>| at.map(|at| at.as_millisecond());
        (text(call.started_at), text(call.ended_at), call.latency_ms)
    };
    assert_eq!(at("1000000000", "3500000000"), (Some(1000), Some(3500), Some(2500)));
    assert_eq!(at("1000000000", "0"), (Some(1000), Some(1000), None));
    assert_eq!(at("0", "3500000000"), (None, Some(3500), None));
    assert_eq!(at("0", "0"), (None, None, None));
    // Clocks that were put back.
    assert_eq!(at("3500000000", "1000000000"), (Some(3500), Some(1000), None));
}

#[test]
fn a_service_that_nothing_names_is_not_guessed() {
    let nameless = call(&chat(&json!({ "gen_ai.provider.name": null })));
    assert_eq!(nameless.service, None);
    let routed = chat(&json!({ "gen_ai.provider.name": null, "gen_ai.request.model": "azure/x" }));
    assert_eq!(call(&routed).service.unwrap().as_str(), "azure");
    let host = chat(&json!({ "server.address": "api.deepseek.com" }));
    assert_eq!(call(&host).service.unwrap().as_str(), "deepseek");
}

#[test]
fn spans_without_an_identity_are_rejected_alone() {
    let fine = span(1, &chat(&json!({})));
    for (field, id) in [
        ("traceId", ""),
        ("traceId", "00000000000000000000000000000000"),
        ("traceId", "5b8efff7"),
        ("spanId", "0000000000000000"),
        ("spanId", "eee19b7ec3c1b17400"),
    ] {
        let mut wrong = fine.clone();
        wrong[field] = id.into();
        let traces = traces_of(&[wrong, fine.clone()]);
        assert_eq!(traces.calls.len(), 1, "{field} {id}");
        assert_eq!(traces.rejected[0].kind, RejectionKind::IdentityInvalid);
        assert_eq!((traces.rejected[0].index, traces.rejected[0].at.as_str()), (0, field));
    }
}
