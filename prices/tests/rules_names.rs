//! Rules about names: exact, in a fixed order, and an unknown one is never free.

use crate::till::{ask, catalogue, cost, notes, tokens, unpriced};

const OPENAI: &str = r#"
seller = "openai"
[[model]]
id = "gpt-4o"
names = ["gpt-4o-2024-08-06"]
[[model.price]]
input = "2.5"
output = "10"
[[model]]
id = "gpt-4o-2024-05-13"
[[model.price]]
input = "5"
output = "15"
[[model]]
id = "gpt-5"
[[model.price]]
input = "1.25"
output = "10"
[[model]]
id = "ft:gpt-4o"
[[model.price]]
input = "3.75"
output = "15"
"#;

const AZURE: &str = r#"
seller = "azure"
charges_price_of = ["openai"]
[[model]]
id = "gpt-4o"
[[model.price]]
input = "2.75"
output = "11"
[[model]]
id = "eu/gpt-4o"
[[model.price]]
input = "3"
output = "12"
"#;

const GROQ: &str = r#"
seller = "groq"
[[model]]
id = "openai/gpt-oss-120b"
[[model.price]]
input = "0.15"
output = "0.6"
"#;

const BEDROCK: &str = r#"
seller = "bedrock"
[[model]]
id = "anthropic.claude-sonnet-4-6"
[[model.price]]
input = "3.3"
output = "16.5"
[[model]]
id = "global.anthropic.claude-sonnet-4-6"
[[model.price]]
input = "3"
output = "15"
[[model]]
id = "meta.llama4"
[[model.price]]
input = "1"
output = "1"
"#;

fn shops() -> prices::Catalogue {
    catalogue(&[OPENAI, AZURE, GROQ, BEDROCK])
}

fn price(service: &str, model: &str) -> String {
    cost(&ask(service, model, tokens(1_000_000, 0)).of(&shops()))
}

fn missing(service: &str, model: &str) -> Vec<String> {
    unpriced(&ask(service, model, tokens(1_000_000, 0)).of(&shops()))
}

#[test]
fn an_unknown_model_is_unpriced_and_never_free() {
    assert_eq!(missing("openai", "gpt-7"), ["model"]);
    assert_eq!(missing("nobody", "gpt-4o"), ["service"]);
    let shops = shops();
    assert_eq!(shops.nearest("openai", "gpt-4"), ["openai/gpt-4o", "openai/gpt-5"]);
    assert!(shops.nearest("openai", "something-else-altogether").is_empty());
}

#[test]
fn a_retired_model_keeps_its_price() {
    let shop = catalogue(&[r#"
seller = "shop"
[[model]]
id = "retired"
[[model.price]]
until = "2026-05-01T00:00:00Z"
input = "15"
output = "75"
"#]);
    let old = ask("shop", "retired", tokens(1_000_000, 0)).at("2026-04-30T23:59:59Z");
    assert_eq!(cost(&old.of(&shop)), "15");
}

#[test]
fn no_name_matches_by_how_it_begins() {
    for name in ["gpt-4o-ultra", "gpt-4o-mini", "gpt-5-sol", "gpt-5.4", "gpt", "xgpt-5", "gpt-5 "] {
        assert_eq!(missing("openai", name), ["model"], "{name}");
    }
}

#[test]
fn only_a_valid_date_or_version_may_follow_a_name() {
    assert_eq!(price("openai", "gpt-5-2025-08-07"), "1.25");
    assert_eq!(price("openai", "gpt-5-20250807"), "1.25");
    assert_eq!(price("openai", "gpt-5@20250807"), "1.25");
    assert_eq!(price("openai", "gpt-5@default"), "1.25");
    assert_eq!(price("bedrock", "anthropic.claude-sonnet-4-6-20260217-v1:0"), "3.3");
    for name in ["gpt-5-2025-13-07", "gpt-5-2025-02-30", "gpt-5-latest", "gpt-5--2025-08-07"] {
        assert_eq!(missing("openai", name), ["model"], "{name}");
    }
}

#[test]
fn a_dated_snapshot_with_its_own_row_goes_first() {
    assert_eq!(price("openai", "gpt-4o-2024-05-13"), "5");
    assert_eq!(price("openai", "gpt-4o-2024-11-20"), "2.5");
}

#[test]
fn a_routing_prefix_chooses_the_seller() {
    assert_eq!(price("openai", "azure/gpt-4o"), "2.75");
    assert_eq!(price("azure", "azure/gpt-4o"), "2.75");
    assert_eq!(price("openai", "openai/openai/gpt-4o"), "2.5");
    assert_eq!(price("litellm", "openai/gpt-4o"), "2.5");
    let shops = shops();
    let estimate = ask("openai", "azure/gpt-4o", tokens(1, 0)).of(&shops);
    assert_eq!(notes(&estimate), ["the name says that `azure` sold it"]);
}

#[test]
fn a_slash_that_belongs_to_the_name_is_left_in_it() {
    assert_eq!(price("groq", "openai/gpt-oss-120b"), "0.15");
    assert_eq!(price("groq", "groq/openai/gpt-oss-120b"), "0.15");
    assert_eq!(missing("groq", "openai/gpt-4o"), ["model"], "groq does not sell it");
}

#[test]
fn the_sellers_row_goes_before_the_makers_which_is_marked() {
    assert_eq!(price("azure", "gpt-4o"), "2.75");
    let shops = shops();
    let estimate = ask("azure", "gpt-5", tokens(1_000_000, 0)).of(&shops);
    assert_eq!(cost(&estimate), "1.25");
    assert_eq!(notes(&estimate), ["no row of its own: the price of `openai`"]);
}

#[test]
fn a_customers_deployment_name_has_no_price() {
    assert_eq!(missing("azure", "prod-chat"), ["model"]);
    assert_eq!(price("azure", "eu/gpt-4o"), "3");
}

#[test]
fn a_fine_tuned_model_has_the_fine_tuned_price_or_none() {
    assert_eq!(price("openai", "ft:gpt-4o:acme::abc123"), "3.75");
    assert_eq!(price("openai", "ft:gpt-4o-2024-08-06:acme:bot:abc123"), "3.75");
    assert_eq!(missing("openai", "ft:gpt-5:acme::abc123"), ["model"]);
}

#[test]
fn a_bedrock_geography_is_the_regional_price_and_global_is_not() {
    assert_eq!(price("bedrock", "global.anthropic.claude-sonnet-4-6"), "3");
    assert_eq!(price("bedrock", "anthropic.claude-sonnet-4-6"), "3.3");
    for prefix in ["us", "eu", "au", "apac", "jp", "us-gov"] {
        assert_eq!(price("bedrock", &format!("{prefix}.anthropic.claude-sonnet-4-6")), "3.3");
    }
    assert_eq!(price("bedrock", "global.anthropic.claude-sonnet-4-6-v1:0"), "3");
    assert_eq!(missing("bedrock", "global.meta.llama4"), ["model"]);
    let profile = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.meta.llama4";
    assert_eq!(price("bedrock", profile), "1");
}

#[test]
fn names_are_matched_exactly_and_not_by_pattern() {
    assert_eq!(price("bedrock", "au.anthropic.claude-sonnet-4-6"), "3.3");
    for name in ["Gpt-4o", "gpt-4.o", "anthropic.claude-sonnet-4-6-v1", "claude-sonnet-4-6"] {
        assert_eq!(missing("openai", name), ["model"], "{name}");
    }
}
