//! What must hold for the catalogue that is built in, row by row.

use std::collections::BTreeSet;

use domain::{Place, Usage};
use prices::{Catalogue, Confidence, RateKey, form::SellerForm};

use crate::till::{ask, cost, tokens};

const SELLERS: [&str; 16] = [
    "anthropic",
    "azure",
    "bedrock",
    "cerebras",
    "cohere",
    "deepseek",
    "fireworks",
    "google",
    "groq",
    "mistral",
    "moonshot",
    "openai",
    "perplexity",
    "together",
    "vertex",
    "xai",
];

#[test]
fn every_row_is_right() {
    let problems = Catalogue::from_forms(&Catalogue::built_in_forms()).err().unwrap_or_default();
    let told: Vec<_> = problems.iter().take(20).map(ToString::to_string).collect();
    assert!(told.is_empty(), "{} problems:\n{}", problems.len(), told.join("\n"));
}

#[test]
fn the_built_in_catalogue_is_called_by_its_content() {
    let read_again = Catalogue::from_forms(&Catalogue::built_in_forms()).unwrap();
    assert_eq!(Catalogue::built_in().id(), read_again.id());
    assert_eq!(read_again.read_on().unwrap().to_string(), "2026-11-20");
}

#[test]
fn every_seller_is_there() {
    let sellers = Catalogue::built_in().sellers();
    let names: Vec<_> = sellers.iter().map(|seller| seller.name.as_str()).collect();
    assert_eq!(names, SELLERS);
    for seller in sellers {
        assert!(!seller.models().is_empty(), "{}", seller.name);
    }
}

#[test]
fn every_row_says_where_it_comes_from_and_how_sure_it_is() {
    for form in Catalogue::built_in_forms() {
        for (model, price) in rows(&form) {
            let place = format!("{}/{model}", form.seller);
            assert!(price.source.is_some() && price.read.is_some(), "{place}");
            assert!(price.confidence.is_some(), "{place}");
            if price.confidence.as_deref() == Some("ruled") {
                assert!(price.rule.is_some(), "{place}: which rule?");
            }
        }
    }
}

#[test]
fn no_rate_is_zero_unless_the_source_says_free() {
    for form in Catalogue::built_in_forms() {
        for (model, price) in rows(&form) {
            let over = price.over.iter().flat_map(|over| over.rates());
            for (key, text) in price.rates().into_iter().chain(over) {
                let is_zero =
                    text.is_some_and(|text| text.bytes().all(|b| matches!(b, b'0' | b'.')));
                assert!(!is_zero, "{}/{model}: {key}", form.seller);
            }
        }
    }
}

#[test]
fn no_long_input_rate_is_outside_a_fifth_to_four_times_its_base_but_one_that_sources_agree_on() {
    let mut steep = BTreeSet::new();
    for seller in Catalogue::built_in().sellers() {
        for model in seller.models() {
            for row in &model.rows {
                for over in &row.over {
                    for (key, rate) in over.card.rates() {
                        let Some(base) = row.card.rate(key) else { continue };
                        let (rate, base) = (rate.femtos, base.femtos);
                        if rate * 5 < base || rate > base * 4 {
                            steep.insert(model.id.clone());
                        }
                    }
                }
            }
        }
    }
    let haiku = |id: &String| id.contains("claude-haiku-5-5");
    assert!(steep.iter().all(haiku), "only these are known to be so steep: {steep:?}");
}

#[test]
fn a_batch_before_its_rows_were_read_is_inferred() {
    let catalogue = Catalogue::built_in();
    let batch = |at| {
        let asked = ask("openai", "gpt-5.4", tokens(1_000_000, 0)).at(at);
        let asked = asked.context(|context| {
            context.processing = Some(domain::Processing::Batch);
        });
        let estimate = asked.of(catalogue);
        (cost(&estimate), estimate.used.unwrap().confidence)
    };
    assert_eq!(batch("2026-06-01T00:00:00Z").1, Confidence::Inferred);
    assert_ne!(batch("2026-11-01T00:00:00Z").1, Confidence::Inferred);
    assert_eq!(batch("2026-06-01T00:00:00Z").0, batch("2026-11-01T00:00:00Z").0);
}

#[test]
fn bedrock_claude_costs_a_tenth_more_outside_global() {
    let catalogue = Catalogue::built_in();
    let price = |model| cost(&ask("bedrock", model, tokens(100_000, 0)).of(catalogue));
    assert_eq!(price("global.anthropic.claude-sonnet-4-6"), "0.3");
    for model in [
        "anthropic.claude-sonnet-4-6",
        "us.anthropic.claude-sonnet-4-6",
        "eu.anthropic.claude-sonnet-4-6",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ] {
        assert_eq!(price(model), "0.33", "{model}");
    }
}

#[test]
fn deepseek_has_a_peak_on_weekdays_only() {
    let catalogue = Catalogue::built_in();
    for (at, total) in [
        ("2026-11-20T02:00:00Z", "0.3"), // Friday's peak
        ("2026-11-20T09:59:59Z", "0.3"),
        ("2026-11-20T10:00:00Z", "0.15"), // Friday evening in Beijing
        ("2026-11-20T05:00:00Z", "0.15"), // its noon
        ("2026-11-21T02:00:00Z", "0.15"), // Saturday
        ("2026-08-20T12:00:00Z", "0.22"), // the former model, off its peak
        ("2026-05-20T02:00:00Z", "0.14"), // before there was a peak
    ] {
        let asked = ask("deepseek", "deepseek-v4-flash", tokens(1_000_000, 0)).at(at);
        assert_eq!(cost(&asked.of(catalogue)), total, "{at}");
    }
    // What the former model cost at its peak, no source says, and nothing is derived.
    let unknown = ask("deepseek", "deepseek-v4-flash", tokens(1, 0)).at("2026-08-20T02:00:00Z");
    assert_eq!(crate::till::unpriced(&unknown.of(catalogue)), ["price at 2026-08-20T02:00:00Z"]);
}

#[test]
fn places_and_regions_are_those_of_their_sellers() {
    let catalogue = Catalogue::built_in();
    let place = |word| Some(Place::parse("place", word).unwrap());
    let eu = ask("openai", "gpt-5.4", tokens(1_000_000, 0))
        .context(|context| context.data_residency = place("eu"));
    assert_eq!(cost(&eu.of(catalogue)), "5.5", "long input in Europe");
    let us = ask("anthropic", "claude-sonnet-4-6", tokens(1_000_000, 0))
        .context(|context| context.data_residency = place("us"));
    assert_eq!(cost(&us.of(catalogue)), "3.3");
    let region = ask("vertex", "claude-sonnet-4-6", tokens(1_000_000, 0))
        .context(|context| context.vertex_location = place("us-east5"));
    assert_eq!(cost(&region.of(catalogue)), "3.3");
}

#[test]
fn the_cache_tokens_that_were_billed_twice_cost_what_was_billed() {
    // https://github.com/BerriAI/litellm/issues/9812: $0.0913 was shown and $0.0544 billed.
    let usage = Usage { cache_write_tokens: Some(12_304), ..tokens(12_307, 550) };
    let estimate = ask("anthropic", "claude-3-7-sonnet-20250219", usage).at("2025-03-25T00:00:00Z");
    assert_eq!(cost(&estimate.of(Catalogue::built_in())), "0.054399");
}

#[test]
fn names_that_carry_on_from_a_known_one_are_not_known() {
    let catalogue = Catalogue::built_in();
    for (service, name) in [
        ("openai", "gpt-4o-mini-ultra"),
        ("openai", "o3-pro-max"),
        ("google", "gemini-2.5-pro-ultra"),
        ("anthropic", "claude-sonnet-4-6-latest-2"),
        ("openai", "ft:gpt-5.4:acme::abc"),
    ] {
        let estimate = ask(service, name, tokens(1, 1)).of(catalogue);
        assert_eq!(crate::till::unpriced(&estimate), ["model"], "{name}");
    }
}

#[test]
fn groq_bills_ten_seconds_of_audio_at_least() {
    let seconds = domain::Quantity::from_count(2);
    let usage = Usage { audio_seconds: seconds, ..Usage::default() };
    let estimate = ask("groq", "whisper-large-v3", usage).of(Catalogue::built_in());
    assert_eq!(estimate.lines[0].quantity.to_string(), "10");
    assert!(
        estimate.lines[0].rate == estimate.used.unwrap().row.card.rate(RateKey::AudioHour).unwrap()
    );
}

fn rows(form: &SellerForm) -> impl Iterator<Item = (&str, &prices::form::PriceForm)> {
    form.model.iter().flat_map(|model| model.price.iter().map(|price| (model.id.as_str(), price)))
}
