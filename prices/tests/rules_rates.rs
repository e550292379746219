//! Rules about which rate applies: long input, conditions, places, hours and dates.

use domain::{Place, Processing, ServiceTier, Speed, Usage};

use crate::till::{ask, catalogue, cost, lines, notes, partial, tokens, unpriced};

const SHOP: &str = r#"
seller = "shop"

[[model]]
id = "long"
[[model.price]]
input = "1"
cache_read = "0.1"
cache_write_5m = "1.25"
output = "10"
[[model.price.over]]
input_tokens_above = 200000
input = "2"
cache_read = "0.2"
cache_write_5m = "2.5"
output = "15"
[[model.price]]
when = { processing = "batch" }
input = "0.5"
cache_read = "0.03"
output = "5"
per_web_search = "0.01"
[[model.price]]
when = { service_tier = "priority" }
input = "2"
output = "20"
[[model.price]]
when = { service_tier = "flex" }
input = "0.6"
output = "6"
[[model.price.over]]
input_tokens_above = 200000
input = "1.1"
[[model.price]]
when = { speed = "fast" }
input = "2"
cache_read = "0.2"
cache_write_5m = "2.5"
output = "20"

[[model]]
id = "reaches"
[[model.price]]
input = "1"
output = "1"
[[model.price.over]]
input_tokens_from = 200000
input = "2"
output = "2"

[[model]]
id = "placed"
[[model.price]]
input = "1"
output = "10"
per_web_search = "0.01"
data_residency = { us = "1.1", eu = "1.1" }

[[model]]
id = "no-places"
[[model.price]]
input = "1"
output = "10"

[[model]]
id = "was-flat"
[[model.price]]
until = "2026-03-13T00:00:00Z"
input = "3"
output = "15"
[[model.price.over]]
input_tokens_above = 200000
input = "6"
output = "22.5"
[[model.price]]
from = "2026-03-13T00:00:00Z"
input = "3"
output = "15"

[[model]]
id = "by-the-clock"
[[model.price]]
until = "2026-08-16T16:00:00Z"
input = "1"
output = "1"
[[model.price]]
from = "2026-08-16T16:00:00Z"
input = "1"
output = "1"
[[model.price]]
from = "2026-08-16T16:00:00Z"
input = "2"
output = "2"
[[model.price.hours]]
zone = "Asia/Shanghai"
days = "Mon-Fri"
windows = ["09:00-12:00", "14:00-18:00"]

[[model]]
id = "announced"
[[model.price]]
until = "2027-01-01T00:00:00Z"
input = "0.75"
output = "3.75"
[[model.price]]
from = "2027-01-01T00:00:00Z"
input = "1.5"
output = "7.5"

[[model]]
id = "questioned"
[[model.price]]
input = "1"
cache_read = "0.5"
output = "4"
confidence = "agreed"
disputed = [{ rate = "cache_read", figure = "1", source = "another list" }]

[[model]]
id = "large-3"
[[model.price]]
input = "0.5"
output = "1.5"
[[model]]
id = "large-4"
[[model.price]]
input = "1.36"
output = "4.18"

[[alias]]
name = "large-latest"
model = "large-3"
until = "2026-10-06T00:00:00Z"
source = "a changelog"
[[alias]]
name = "large-latest"
model = "large-4"
from = "2026-10-06T00:00:00Z"
source = "a changelog"
"#;

const VERTEX: &str = r#"
seller = "vertex"
[[model]]
id = "sonnet"
[[model.price]]
input = "3"
output = "15"
vertex_regional = "1.1"
[[model]]
id = "old"
[[model.price]]
input = "3"
output = "15"
"#;

#[test]
fn long_input_reprices_the_whole_request() {
    let usage = Usage {
        cache_read_tokens: Some(40_000),
        cache_write_tokens: Some(20_000),
        ..tokens(210_000, 1_000)
    };
    let shop = catalogue(&[SHOP]);
    let estimate = ask("shop", "long", usage).of(&shop);
    assert_eq!(
        lines(&estimate),
        [
            "input_tokens 150000 0.3",
            "cache_read_tokens 40000 0.008",
            "cache_write_tokens 20000 0.05",
            "output_tokens 1000 0.015",
        ]
    );
}

#[test]
fn the_whole_input_chooses_the_card_and_the_output_does_not() {
    let shop = catalogue(&[SHOP]);
    let cached = Usage { cache_read_tokens: Some(200_000), ..tokens(200_001, 0) };
    assert_eq!(cost(&ask("shop", "long", cached).of(&shop)), "0.040002");
    let much_output = ask("shop", "long", tokens(1, 400_000)).of(&shop);
    assert_eq!(cost(&much_output), "4.000001");
}

#[test]
fn forty_short_calls_are_not_one_long_one() {
    let shop = catalogue(&[SHOP]);
    let short = ask("shop", "long", tokens(50_000, 0)).of(&shop);
    assert_eq!(cost(&short), "0.05");
    assert_eq!(cost(&ask("shop", "long", tokens(2_000_000, 0)).of(&shop)), "4");
}

#[test]
fn above_is_above_and_from_is_from() {
    let shop = catalogue(&[SHOP]);
    for (model, input, total) in [
        ("long", 199_999, "0.199999"),
        ("long", 200_000, "0.2"),
        ("long", 200_001, "0.400002"),
        ("reaches", 199_999, "0.199999"),
        ("reaches", 200_000, "0.4"),
        ("reaches", 200_001, "0.400002"),
    ] {
        assert_eq!(cost(&ask("shop", model, tokens(input, 0)).of(&shop)), total, "{model} {input}");
    }
}

#[test]
fn a_surcharge_that_was_dropped_ends_with_its_date() {
    let shop = catalogue(&[SHOP]);
    let long = ask("shop", "was-flat", tokens(1_000_000, 0));
    assert_eq!(cost(&long.clone().at("2026-03-12T23:59:59Z").of(&shop)), "6");
    assert_eq!(cost(&long.at("2026-03-13T00:00:00Z").of(&shop)), "3");
}

#[test]
fn batch_has_rows_of_its_own_and_is_not_half_of_everything() {
    let shop = catalogue(&[SHOP]);
    let usage = Usage {
        cache_read_tokens: Some(100_000),
        web_searches: Some(1),
        ..tokens(200_000, 100_000)
    };
    let estimate = ask("shop", "long", usage)
        .context(|context| context.processing = Some(Processing::Batch))
        .of(&shop);
    assert_eq!(
        lines(&estimate),
        [
            "web_searches 1 0.01",
            "input_tokens 100000 0.05",
            "cache_read_tokens 100000 0.003",
            "output_tokens 100000 0.5",
        ]
    );
}

#[test]
fn a_rate_that_sources_dispute_is_marked_where_it_is_used() {
    let shop = catalogue(&[SHOP]);
    let cached = Usage { cache_read_tokens: Some(1), ..tokens(2, 0) };
    let confidence = |estimate: &prices::Estimate<'_>| estimate.used.unwrap().confidence;
    let disputed = ask("shop", "questioned", cached).of(&shop);
    assert_eq!(confidence(&disputed), prices::Confidence::Disputed);
    let agreed = ask("shop", "questioned", tokens(2, 2)).of(&shop);
    assert_eq!(confidence(&agreed), prices::Confidence::Agreed);
}

#[test]
fn the_tier_that_served_is_billed_and_auto_is_a_wish() {
    let shop = catalogue(&[SHOP]);
    let asked = ask("shop", "long", tokens(1_000, 0));
    let tier = |word: &str| {
        let tier = ServiceTier::parse(word).unwrap();
        asked.clone().context(|context| context.service_tier = Some(tier)).of(&shop)
    };
    for (word, total) in [
        ("priority", "0.002"),
        ("Priority", "0.002"),
        ("default", "0.001"),
        ("flex", "0.0006"),
        ("fast", "0.002"), // at the priority rate, where it has none of its own
    ] {
        assert_eq!(cost(&tier(word)), total, "{word}");
    }
    let auto = tier("auto");
    assert_eq!(cost(&auto), "0.001");
    assert_eq!(notes(&auto), ["`auto` is a wish; the tier that served it was not said: standard"]);
}

#[test]
fn a_tier_without_a_price_is_named_and_not_passed_over() {
    let shop = catalogue(&[SHOP]);
    let priority = ask("shop", "no-places", tokens(1_000, 0))
        .context(|context| context.service_tier = Some(ServiceTier::Priority))
        .of(&shop);
    assert_eq!(partial(&priority), ("0.001".to_owned(), vec!["service_tier=priority".to_owned()]));
    let unheard_of = ask("shop", "no-places", tokens(1_000, 0))
        .context(|context| context.unknown = vec![ServiceTier::parse("platinum").unwrap_err()])
        .of(&shop);
    assert_eq!(partial(&unheard_of).1, ["service_tier=platinum"]);
}

#[test]
fn tier_and_long_input_stack_only_where_a_row_has_both() {
    let shop = catalogue(&[SHOP]);
    let cached = Usage { cache_read_tokens: Some(1_000), ..tokens(300_000, 0) };
    let of = |tier, usage| {
        let asked = ask("shop", "long", usage);
        asked.context(|context| context.service_tier = Some(tier)).of(&shop)
    };
    let priority = of(ServiceTier::Priority, tokens(300_000, 0));
    assert_eq!(partial(&priority).1, ["service_tier=priority over 200000 input tokens"]);
    let flex = of(ServiceTier::Flex, tokens(300_000, 1_000));
    assert_eq!(partial(&flex).1, ["output_tokens over 200000 input tokens"]);
    let none = of(ServiceTier::Flex, cached);
    assert_eq!(cost(&none), "0.33", "without any rate for reads they are input");
}

#[test]
fn fast_mode_has_rows_of_its_own_for_cached_tokens_too() {
    let shop = catalogue(&[SHOP]);
    let usage = Usage { cache_read_tokens: Some(1_000), ..tokens(2_000, 1_000) };
    let fast =
        ask("shop", "long", usage).context(|context| context.speed = Some(Speed::Fast)).of(&shop);
    assert_eq!(cost(&fast), "0.0222");
}

#[test]
fn a_region_costs_more_only_for_models_that_list_it() {
    let shop = catalogue(&[SHOP]);
    let usage = Usage { web_searches: Some(1), ..tokens(1_000_000, 0) };
    let place = |model, place| {
        let place = Place::parse("data_residency", place).unwrap();
        let asked = ask("shop", model, usage.clone());
        asked.context(|context| context.data_residency = Some(place)).of(&shop)
    };
    let eu = place("placed", "EU");
    assert_eq!(lines(&eu), ["web_searches 1 0.01", "input_tokens 1000000 1.1"]);
    assert_eq!(cost(&place("placed", "global")), "1.01");
    assert_eq!(partial(&place("placed", "in")).1, ["data_residency=in"]);
    let unlisted = ask("shop", "no-places", tokens(1_000_000, 0))
        .context(|context| {
            context.data_residency = Some(Place::parse("data_residency", "eu").unwrap());
        })
        .of(&shop);
    assert_eq!(cost(&unlisted), "1");
    assert_eq!(notes(&unlisted), ["no multiplier is listed for data_residency `eu`: list price"]);
}

#[test]
fn a_vertex_region_costs_more_and_is_never_assumed() {
    let vertex = catalogue(&[VERTEX]);
    let at = |model, location: Option<&str>| {
        let location = location.map(|word| Place::parse("vertex_location", word).unwrap());
        let asked = ask("vertex", model, tokens(1_000_000, 0));
        asked.context(|context| context.vertex_location = location).of(&vertex)
    };
    assert_eq!(cost(&at("sonnet", Some("global"))), "3");
    assert_eq!(cost(&at("sonnet", Some("us-east5"))), "3.3");
    assert_eq!(cost(&at("old", Some("us-east5"))), "3");
    let unsaid = at("sonnet", None);
    assert_eq!(cost(&unsaid), "3");
    assert_eq!(
        notes(&unsaid),
        ["`vertex_location` was not said: the global price; regions cost more"]
    );
}

#[test]
fn peak_hours_have_weekdays_a_zone_and_a_first_day() {
    let shop = catalogue(&[SHOP]);
    for (at, total) in [
        ("2026-11-20T02:00:00Z", "2"), // Friday, 10 o'clock in Beijing
        ("2026-11-20T10:00:00Z", "1"), // its evening
        ("2026-11-21T02:00:00Z", "1"), // Saturday
        ("2026-05-20T02:00:00Z", "1"), // before there was a peak
        ("2026-08-17T01:00:00Z", "2"), // the first Monday
    ] {
        let asked = ask("shop", "by-the-clock", tokens(1_000_000, 0)).at(at);
        assert_eq!(cost(&asked.of(&shop)), total, "{at}");
    }
}

#[test]
fn the_calls_own_time_chooses_the_row() {
    let shop = catalogue(&[SHOP]);
    let asked = ask("shop", "announced", tokens(1_000_000, 0));
    assert_eq!(cost(&asked.clone().at("2026-12-31T23:59:59.999Z").of(&shop)), "0.75");
    assert_eq!(cost(&asked.at("2027-01-01T00:00:00Z").of(&shop)), "1.5");
}

#[test]
fn announced_prices_wait_for_their_date() {
    let shop = catalogue(&[SHOP]);
    let now = ask("shop", "announced", tokens(1_000_000, 0)).of(&shop);
    assert_eq!(cost(&now), "0.75");
}

#[test]
fn a_new_price_leaves_the_past_as_it_was() {
    let closed = catalogue(&[SHOP]);
    let open = SHOP.replace(
        "until = \"2027-01-01T00:00:00Z\"\ninput = \"0.75\"\noutput = \"3.75\"",
        "input = \"0.75\"\noutput = \"3.75\"",
    );
    let open = open.replace(
        "[[model.price]]\nfrom = \"2027-01-01T00:00:00Z\"\ninput = \"1.5\"\noutput = \"7.5\"\n",
        "",
    );
    let before = catalogue(&[&open]);
    assert_ne!(before.id(), closed.id());
    for at in ["2020-01-01T00:00:00Z", "2026-11-20T12:00:00Z", "2026-12-31T23:59:59Z"] {
        let asked = ask("shop", "announced", tokens(123_456, 789)).at(at);
        assert_eq!(cost(&asked.of(&before)), cost(&asked.of(&closed)), "{at}");
    }
}

#[test]
fn every_cost_names_its_catalogue_and_row() {
    let shop = catalogue(&[SHOP]);
    let used = ask("shop", "by-the-clock", tokens(1, 1)).at("2026-11-20T02:00:00Z");
    let used = used.of(&shop).used.unwrap();
    assert_eq!(used.row_name(), "shop/by-the-clock?standard&from=2026-08-16T16:00:00Z&hours");
    let (date, hash) = shop.id().split_at(shop.id().len() - 12);
    assert_eq!(date, "undated-");
    assert!(hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
}

#[test]
fn an_alias_means_what_it_meant_then() {
    let shop = catalogue(&[SHOP]);
    let asked = ask("shop", "large-latest", tokens(1_000_000, 0));
    let before = asked.clone().at("2026-10-05T23:59:59Z").of(&shop);
    assert_eq!(cost(&before), "0.5");
    assert_eq!(notes(&before), ["the name means `large-3` at that time"]);
    assert_eq!(cost(&asked.at("2026-10-06T00:00:00Z").of(&shop)), "1.36");
}

#[test]
fn before_its_first_row_a_model_has_no_price() {
    let shop = catalogue(&[r#"
seller = "shop"
[[model]]
id = "new"
[[model.price]]
from = "2026-11-01T00:00:00Z"
input = "1"
output = "1"
"#]);
    let early = ask("shop", "new", tokens(1, 1)).at("2026-10-31T23:59:59Z").of(&shop);
    assert_eq!(unpriced(&early), ["price at 2026-10-31T23:59:59Z"]);
}
