//! Rules about the parts of a call: each is counted once, at its own rate.

use domain::Usage;

use crate::till::{ask, catalogue, cost, lines, notes, partial, tokens};

/// Sonnet 3.7's list price, and models with fewer or more rates.
const SHOP: &str = r#"
seller = "shop"

[[model]]
id = "sonnet"
[[model.price]]
input = "3"
cache_read = "0.3"
cache_write_5m = "3.75"
cache_write_1h = "6"
output = "15"

[[model]]
id = "no-cache-rates"
[[model.price]]
input = "3"
output = "15"

[[model]]
id = "five-minutes-only"
[[model.price]]
input = "3"
cache_read = "0.3"
cache_write_5m = "3.75"
output = "15"

[[model]]
id = "half-price-reads"
[[model.price]]
input = "2.5"
cache_read = "1.25"
output = "10"

[[model]]
id = "thinker"
[[model.price]]
input = "1"
output = "2"
output_reasoning = "3"

[[model]]
id = "voice"
[[model.price]]
input = "4"
cache_read = "0.5"
input_audio = "32"
cache_read_audio = "0.4"
output = "16"
output_audio = "64"

[[model]]
id = "painter"
[[model.price]]
input = "5"
input_image = "8"
cache_read = "1.25"
cache_read_image = "2"
output = "10"
output_image = "32"
"#;

#[test]
fn cached_tokens_are_priced_once() {
    // What a public report saw: 3 fresh, 12304 written, 550 out; $0.0913 shown, $0.0544 billed.
    let usage = Usage {
        cache_write_tokens: Some(12_304),
        cache_read_tokens: Some(0),
        ..tokens(12_307, 550)
    };
    let shop = catalogue(&[SHOP]);
    let estimate = ask("shop", "sonnet", usage).of(&shop);
    assert_eq!(cost(&estimate), "0.054399");
    assert_eq!(
        lines(&estimate),
        [
            "input_tokens 3 0.000009",
            "cache_write_tokens 12304 0.04614",
            "output_tokens 550 0.00825"
        ]
    );
}

#[test]
fn cache_writes_have_a_rate_of_their_own() {
    let usage = Usage { cache_write_tokens: Some(1_000_000), ..tokens(1_000_000, 0) };
    assert_eq!(cost(&ask("shop", "sonnet", usage).of(&catalogue(&[SHOP]))), "3.75");
}

#[test]
fn writes_for_an_hour_cost_more_than_writes_for_five_minutes() {
    let usage = Usage {
        cache_write_tokens: Some(3_000_000),
        cache_write_1h_tokens: Some(1_000_000),
        ..tokens(3_000_000, 0)
    };
    assert_eq!(cost(&ask("shop", "sonnet", usage).of(&catalogue(&[SHOP]))), "13.5");
}

#[test]
fn an_hours_write_without_its_rate_is_a_lower_bound() {
    let usage = Usage {
        cache_write_tokens: Some(1_000_000),
        cache_write_1h_tokens: Some(1_000_000),
        ..tokens(1_000_000, 0)
    };
    let shop = catalogue(&[SHOP]);
    let estimate = ask("shop", "five-minutes-only", usage).of(&shop);
    assert_eq!(partial(&estimate), ("3.75".to_owned(), vec!["cache_write_1h_tokens".to_owned()]));
}

#[test]
fn a_cache_rate_is_never_derived() {
    let reads = |input| Usage { cache_read_tokens: Some(input), ..tokens(input, 0) };
    let shop = catalogue(&[SHOP]);
    let half = ask("shop", "half-price-reads", reads(1_000_000)).of(&shop);
    assert_eq!(cost(&half), "1.25", "the row's rate, not a tenth of the input's");
    let none = ask("shop", "no-cache-rates", reads(1_000_000)).of(&shop);
    assert_eq!(cost(&none), "3", "without a rate, reads are plain input");
    assert_eq!(
        notes(&none),
        ["`cache_read_tokens` have no rate of their own: billed as input"],
        "and the answer says so"
    );
}

#[test]
fn reasoning_is_a_part_of_the_output_and_is_not_added_to_it() {
    let usage = Usage { output_reasoning_tokens: Some(600_000), ..tokens(0, 1_000_000) };
    let shop = catalogue(&[SHOP]);
    assert_eq!(cost(&ask("shop", "sonnet", usage.clone()).of(&shop)), "15");
    let own_rate = ask("shop", "thinker", usage).of(&shop);
    assert_eq!(cost(&own_rate), "2.6", "400,000 at 2 and 600,000 at 3 a million");
}

#[test]
fn reasoning_within_text_is_billed_once() {
    // A realtime answer: all its text is reasoning, beside audio.
    let usage = Usage {
        output_reasoning_tokens: Some(30),
        output_audio_tokens: Some(91),
        ..tokens(0, 121)
    };
    let shop = catalogue(&[SHOP]);
    let estimate = ask("shop", "voice", usage).of(&shop);
    assert_eq!(lines(&estimate), ["output_tokens 30 0.00048", "output_audio_tokens 91 0.005824"]);
}

#[test]
fn audio_has_its_own_rate_and_comes_off_the_text_once() {
    let usage = Usage {
        cache_read_tokens: Some(64),
        input_audio_tokens: Some(43),
        cache_read_audio_tokens: Some(30),
        ..tokens(132, 0)
    };
    let shop = catalogue(&[SHOP]);
    let estimate = ask("shop", "voice", usage).of(&shop);
    assert_eq!(
        lines(&estimate),
        [
            "input_tokens 55 0.00022",
            "cache_read_tokens 34 0.000017",
            "input_audio_tokens 13 0.000416",
            "cache_read_audio_tokens 30 0.000012",
        ]
    );
}

#[test]
fn audio_without_a_rate_is_not_passed_off_as_text() {
    let usage = Usage { input_audio_tokens: Some(500_000), ..tokens(1_000_000, 0) };
    let shop = catalogue(&[SHOP]);
    let estimate = ask("shop", "sonnet", usage).of(&shop);
    assert_eq!(partial(&estimate), ("3".to_owned(), vec!["input_audio_tokens".to_owned()]));
}

#[test]
fn an_overlap_that_nobody_told_is_the_least_that_fits() {
    let usage =
        Usage { cache_read_tokens: Some(80), input_audio_tokens: Some(50), ..tokens(100, 0) };
    let shop = catalogue(&[SHOP]);
    let estimate = ask("shop", "voice", usage).of(&shop);
    assert_eq!(
        lines(&estimate),
        [
            "cache_read_tokens 50 0.000025",
            "input_audio_tokens 20 0.00064",
            "cache_read_audio_tokens 30 0.000012",
        ]
    );
    assert_eq!(
        notes(&estimate),
        ["how many cached tokens are audio or images was not said: the fewest"]
    );
}

#[test]
fn image_output_is_not_billed_at_the_text_rate() {
    let usage = Usage {
        input_image_tokens: Some(116),
        output_image_tokens: Some(2_500),
        ..tokens(316, 2_579)
    };
    let shop = catalogue(&[SHOP]);
    let estimate = ask("shop", "painter", usage.clone()).of(&shop);
    assert_eq!(
        lines(&estimate),
        [
            "input_image_tokens 116 0.000928",
            "input_tokens 200 0.001",
            "output_tokens 79 0.00079",
            "output_image_tokens 2500 0.08",
        ]
    );
    let text_only = ask("shop", "sonnet", usage).of(&shop);
    assert_eq!(partial(&text_only).1, ["output_image_tokens"]);
}

#[test]
fn pictures_are_billed_by_the_token_or_by_the_picture_and_never_both() {
    let shop = catalogue(&[
        SHOP,
        r#"
seller = "gallery"
[[model]]
id = "by-the-picture"
[[model.price]]
per_image = "0.04"
[[model]]
id = "with-a-prompt"
[[model.price]]
input = "2"
per_image = "0.04"
"#,
    ]);
    let usage = Usage { images: Some(2), output_image_tokens: Some(1_000), ..tokens(0, 1_000) };
    let prompted = Usage { input_tokens: Some(1_000), ..usage.clone() };
    let estimate = ask("gallery", "with-a-prompt", prompted).of(&shop);
    assert_eq!(lines(&estimate), ["images 2 0.08", "input_tokens 1000 0.002"]);
    let by_token = ask("shop", "painter", usage.clone()).of(&shop);
    assert_eq!(cost(&by_token), "0.032");
    assert_eq!(notes(&by_token), ["`images` not priced: tokens are"]);
    assert_eq!(cost(&ask("gallery", "by-the-picture", usage).of(&shop)), "0.08");
}

#[test]
fn usage_that_was_not_said_has_no_cost() {
    let shop = catalogue(&[SHOP]);
    let nothing = ask("shop", "sonnet", Usage::default()).of(&shop);
    assert_eq!(crate::till::unpriced(&nothing), ["usage"]);
    let zero = ask("shop", "sonnet", tokens(0, 0)).of(&shop);
    assert_eq!(cost(&zero), "0", "a zero that was said is a zero");
}

#[test]
fn a_part_without_its_whole_is_refused() {
    let usage = Usage { cache_read_tokens: Some(5), ..Usage::default() };
    let asked = ask("shop", "sonnet", usage);
    let shop = catalogue(&[SHOP]);
    let call = prices::Call {
        service: asked.service,
        model: asked.model,
        usage: &asked.usage,
        context: &asked.context,
        beyond: &[],
        at: asked.at.parse().unwrap(),
    };
    let refused = shop.estimate(&[], &call).unwrap_err().to_string();
    assert_eq!(refused, "`cache_read_tokens` is a part of `input_tokens`, which is not said");
}
