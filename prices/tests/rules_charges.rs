//! Rules about what is charged besides tokens, and what no response can show.

use domain::{Currency, Money, Quantity, ServiceTier, Usage};
use prices::OwnPrices;

use crate::till::{ask, catalogue, cost, lines, notes, partial, tokens, unpriced};

const SHOP: &str = r#"
seller = "shop"

[[model]]
id = "searches"
[[model.price]]
input = "1"
output = "2"
per_web_search = "0.014"
free_web_searches = "5000 a month"

[[model]]
id = "no-searches"
[[model.price]]
input = "1"
output = "2"

[[model]]
id = "ears"
[[model.price]]
per_audio_hour = "0.111"
minimum_audio_seconds = "10"

[[model]]
id = "voice"
[[model.price]]
input_characters = "15"

[[model]]
id = "reader"
[[model.price]]
per_page = "0.002"

[[model]]
id = "ranker"
[[model.price]]
per_request = "0.002"

[[model]]
id = "film"
[[model.price]]
not_computable = ["seconds of video"]

[[model]]
id = "yuan"
[[model.price]]
currency = "CNY"
input = "7.25"
output = "29"

[[model]]
id = "gift"
[[model.price]]
free = true
"#;

fn seconds(text: &str) -> Usage {
    let audio_seconds = Some(Quantity::parse_rounded(text).expect("a number"));
    Usage { audio_seconds, ..Usage::default() }
}

#[test]
fn searches_are_charged_before_any_free_allowance() {
    let shop = catalogue(&[SHOP]);
    let usage = Usage { web_searches: Some(5), ..tokens(1_000, 0) };
    let estimate = ask("shop", "searches", usage).of(&shop);
    assert_eq!(lines(&estimate), ["web_searches 5 0.07", "input_tokens 1000 0.001"]);
    assert_eq!(notes(&estimate), ["searches before the free allowance (5000 a month)"]);
}

#[test]
fn a_unit_without_a_rate_makes_a_cost_partial_and_is_named() {
    let shop = catalogue(&[SHOP]);
    let usage = Usage { web_searches: Some(5), ..tokens(1_000, 0) };
    let estimate = ask("shop", "no-searches", usage).of(&shop);
    assert_eq!(partial(&estimate), ("0.001".to_owned(), vec!["web_searches".to_owned()]));
    let mut beyond = ask("shop", "no-searches", tokens(1_000, 0));
    beyond.beyond = vec!["file_searches"];
    assert_eq!(partial(&beyond.of(&shop)).1, ["file_searches"]);
}

#[test]
fn audio_has_a_minimum_and_keeps_its_raw_seconds_otherwise() {
    let shop = catalogue(&[SHOP]);
    let short = ask("shop", "ears", seconds("2.5")).of(&shop);
    assert_eq!(lines(&short), ["audio_seconds 10 0.000308333333333"]);
    assert_eq!(notes(&short), ["billed as 10 seconds, the least for one call"]);
    let long = ask("shop", "ears", seconds("12.75")).of(&shop);
    assert_eq!(lines(&long), ["audio_seconds 12.75 0.000393125"]);
}

#[test]
fn characters_pages_and_calls_have_prices_of_their_own() {
    let shop = catalogue(&[SHOP]);
    let characters = Usage { input_characters: Some(165), ..Usage::default() };
    assert_eq!(cost(&ask("shop", "voice", characters).of(&shop)), "0.002475");
    let pages = Usage { pages: Some(3), ..Usage::default() };
    assert_eq!(cost(&ask("shop", "reader", pages).of(&shop)), "0.006");
    assert_eq!(cost(&ask("shop", "ranker", Usage::default()).of(&shop)), "0.002");
    let three = Usage { requests: Some(3), ..Usage::default() };
    assert_eq!(cost(&ask("shop", "ranker", three).of(&shop)), "0.006");
}

#[test]
fn what_no_response_can_show_is_not_estimated() {
    let shop = catalogue(&[SHOP]);
    let film = ask("shop", "film", tokens(10, 0)).of(&shop);
    assert_eq!(unpriced(&film), ["seconds of video (usage has no word for it)"]);
    let committed = ask("shop", "searches", tokens(10, 0))
        .context(|context| context.service_tier = Some(ServiceTier::Committed))
        .of(&shop);
    assert_eq!(unpriced(&committed), ["service_tier=provisioned_throughput"]);
}

#[test]
fn a_price_that_the_seller_states_stands_beside_ours_with_the_difference() {
    let shop = catalogue(&[SHOP]);
    let estimate = ask("shop", "searches", tokens(1_000, 1_000)).of(&shop);
    let stated = Money::parse_exact("0.0031", Currency::USD).unwrap();
    assert_eq!(estimate.difference(stated).unwrap().to_string(), "0.0001");
    assert_eq!(cost(&estimate), "0.003", "ours is kept");
    let euro = Money::parse_exact("0.0031", Currency::parse("EUR").unwrap()).unwrap();
    assert_eq!(estimate.difference(euro), None, "currencies are not compared");
}

#[test]
fn a_discount_is_a_named_adjustment_and_is_not_folded_into_the_rate() {
    let shop = catalogue(&[SHOP]);
    let own = OwnPrices::from_toml(
        "own.toml",
        "[[seller]]\nseller = \"shop\"\n[[seller.model]]\nid = \"*\"\n\
         [[seller.model.price]]\ndiscount = \"0.15\"\n",
    )
    .unwrap();
    let estimate = ask("shop", "no-searches", tokens(1_000_000, 0)).with(&shop, &[&own]);
    assert_eq!(cost(&estimate), "0.85");
    assert_eq!(estimate.lines[0].rate.figure(), "1", "the list price can still be read");
    assert_eq!(notes(&estimate), ["adjusted by `own:shop/*`"]);
}

#[test]
fn a_row_keeps_its_currency() {
    let shop = catalogue(&[SHOP]);
    let estimate = ask("shop", "yuan", tokens(1_000_000, 0)).of(&shop);
    assert_eq!(format!("{:?}", estimate.cost.unwrap()), "7.25 CNY");
}

#[test]
fn only_a_row_that_says_free_is_free() {
    let shop = catalogue(&[SHOP]);
    assert_eq!(cost(&ask("shop", "gift", tokens(1_000, 1_000)).of(&shop)), "0");
    let zero = r#"
id = "zero"
[[price]]
input = "0"
output = "0"
"#;
    let form = toml::from_str(zero).unwrap();
    let problems = prices::read_model(&form, prices::Origin::Own).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "/price/0/input: is zero; a model that costs nothing says `free = true`"
    );
}
