//! Own prices go before built-in ones, in their order, and say so.

use domain::{Processing, Quantity, Usage};
use prices::OwnPrices;

use crate::till::{ask, catalogue, cost, notes, partial, tokens, unpriced};

const SHOP: &str = r#"
seller = "shop"
[[model]]
id = "gpt-5"
names = ["gpt-5-2025-08-07"]
[[model.price]]
input = "1"
output = "10"
[[model.price]]
when = { processing = "batch" }
input = "0.5"
output = "5"
"#;

fn own(text: &str) -> OwnPrices {
    OwnPrices::from_toml("own.toml", text).expect("a test's own prices are right")
}

fn rows(model: &str, rows: &str) -> OwnPrices {
    own(&format!("[[seller]]\nseller = \"shop\"\n[[seller.model]]\nid = \"{model}\"\n{rows}"))
}

#[test]
fn own_rows_go_before_patterns_before_adjustments_before_the_catalogue() {
    let shop = catalogue(&[SHOP]);
    let text = |id: &str, price: &str| {
        format!("[[seller.model]]\nid = \"{id}\"\n[[seller.model.price]]\n{price}\n")
    };
    let exact = text("gpt-5", "input = \"7\"\noutput = \"7\"");
    let longer = text("gpt-5*", "input = \"8\"\noutput = \"8\"");
    let shorter = text("gpt*", "input = \"9\"\noutput = \"9\"");
    let discount = text("*", "discount = \"0.5\"");
    let seller = "[[seller]]\nseller = \"shop\"\n";
    for (parts, total, row) in [
        (vec![&exact, &longer, &shorter, &discount], "7", "own:shop/gpt-5"),
        (vec![&longer, &shorter, &discount], "8", "own:shop/gpt-5*"),
        (vec![&shorter, &discount], "9", "own:shop/gpt*"),
        (vec![&discount], "0.5", "shop/gpt-5?standard"),
        (vec![], "1", "shop/gpt-5?standard"),
    ] {
        let parts: String = parts.into_iter().map(String::as_str).collect();
        let own = own(&format!("{seller}{parts}"));
        let estimate = ask("shop", "gpt-5", tokens(1_000_000, 0)).with(&shop, &[&own]);
        assert_eq!(cost(&estimate), total);
        assert_eq!(estimate.used.unwrap().row_name(), row);
    }
}

#[test]
fn an_own_row_for_a_model_is_for_its_dated_names_too() {
    let shop = catalogue(&[SHOP]);
    let own = rows("gpt-5", "[[seller.model.price]]\ninput = \"7\"\noutput = \"7\"\n");
    for name in ["gpt-5", "gpt-5-2025-08-07", "shop/gpt-5"] {
        let estimate = ask("shop", name, tokens(1_000_000, 0)).with(&shop, &[&own]);
        let expected = if name == "shop/gpt-5" { None } else { Some("7".to_owned()) };
        assert_eq!(estimate.cost.map(|cost| cost.to_string()), expected, "{name}");
    }
}

#[test]
fn an_own_row_holds_from_its_date_and_leaves_what_was_before() {
    let shop = catalogue(&[SHOP]);
    let own = rows(
        "gpt-5",
        "[[seller.model.price]]\nfrom = \"2026-11-01\"\nuntil = \"2026-12-01T00:00:00Z\"\n\
         input = \"7\"\noutput = \"7\"\n",
    );
    for (at, total) in [
        ("2026-10-31T23:59:59Z", "1"),
        ("2026-11-01T00:00:00Z", "7"),
        ("2026-11-30T23:59:59Z", "7"),
        ("2026-12-01T00:00:00Z", "1"),
    ] {
        let asked = ask("shop", "gpt-5", tokens(1_000_000, 0)).at(at);
        assert_eq!(cost(&asked.with(&shop, &[&own])), total, "{at}");
    }
}

#[test]
fn an_own_row_without_a_batch_rate_says_so_and_does_not_borrow_one() {
    let shop = catalogue(&[SHOP]);
    let own = rows("gpt-5", "[[seller.model.price]]\ninput = \"7\"\noutput = \"7\"\n");
    let batch = ask("shop", "gpt-5", tokens(1_000_000, 0))
        .context(|context| context.processing = Some(Processing::Batch));
    let estimate = batch.with(&shop, &[&own]);
    assert_eq!(partial(&estimate), ("7".to_owned(), vec!["processing=batch".to_owned()]));
}

#[test]
fn an_own_batch_row_alone_leaves_other_calls_to_the_catalogue() {
    let shop = catalogue(&[SHOP]);
    let own = rows(
        "gpt-5",
        "[[seller.model.price]]\nwhen = { processing = \"batch\" }\n\
         input = \"0.2\"\noutput = \"2\"\n",
    );
    let asked = ask("shop", "gpt-5", tokens(1_000_000, 0));
    let standard = asked.clone().with(&shop, &[&own]);
    assert_eq!(cost(&standard), "1");
    assert_eq!(standard.used.unwrap().row_name(), "shop/gpt-5?standard");
    let batch = asked.context(|context| context.processing = Some(Processing::Batch));
    assert_eq!(cost(&batch.with(&shop, &[&own])), "0.2");
    let elsewhere = catalogue(&[SHOP.replace("gpt-5", "other").as_str()]);
    let standard = ask("shop", "gpt-5", tokens(1, 0)).with(&elsewhere, &[&own]);
    assert_eq!(unpriced(&standard), ["price at 2026-11-20T12:00:00Z"]);
}

#[test]
fn an_adjustment_is_for_every_condition() {
    let shop = catalogue(&[SHOP]);
    let own = rows("*", "[[seller.model.price]]\nmultiplier = \"1.2\"\n");
    let batch = ask("shop", "gpt-5", tokens(1_000_000, 0))
        .context(|context| context.processing = Some(Processing::Batch));
    let estimate = batch.with(&shop, &[&own]);
    assert_eq!(cost(&estimate), "0.6");
    assert_eq!(notes(&estimate), ["adjusted by `own:shop/*`"]);
}

#[test]
fn rates_go_before_an_adjustment_of_the_same_model_for_as_long_as_they_hold() {
    let shop = catalogue(&[SHOP]);
    let discount = "[[seller.model.price]]\ndiscount = \"0.5\"\n";
    let rates = "[[seller.model.price]]\nuntil = \"2026-11-01\"\n\
                 input = \"7\"\noutput = \"7\"\n";
    for in_order in [[discount, rates], [rates, discount]] {
        let own = rows("gpt-5", &in_order.concat());
        for (at, total) in [("2026-10-31T00:00:00Z", "7"), ("2026-11-01T00:00:00Z", "0.5")] {
            let asked = ask("shop", "gpt-5", tokens(1_000_000, 0)).at(at);
            assert_eq!(cost(&asked.with(&shop, &[&own])), total, "{at}");
        }
    }
}

#[test]
fn the_organizations_prices_go_before_the_operators() {
    let shop = catalogue(&[SHOP]);
    let mine = rows("gpt-5", "[[seller.model.price]]\ninput = \"7\"\noutput = \"7\"\n");
    let operators = rows("gpt-5", "[[seller.model.price]]\ninput = \"8\"\noutput = \"8\"\n");
    let asked = ask("shop", "gpt-5", tokens(1_000_000, 0));
    assert_eq!(cost(&asked.with(&shop, &[&mine, &operators])), "7");
    assert_eq!(cost(&asked.with(&shop, &[&operators])), "8");
}

#[test]
fn a_service_of_ones_own_has_units_of_its_own() {
    let shop = catalogue(&[SHOP]);
    let own = own("[[seller]]\nseller = \"render-farm\"\n[[seller.model]]\nid = \"large\"\n\
         [[seller.model.price]]\nper_request = \"0.01\"\n\
         custom = { gpu_seconds = \"0.0005\" }\n");
    let usage = |units: &[(&str, &str)]| Usage {
        custom: units
            .iter()
            .map(|(name, much)| ((*name).to_owned(), Quantity::parse_rounded(much).unwrap()))
            .collect(),
        ..Usage::default()
    };
    let priced = ask("render-farm", "large", usage(&[("gpu_seconds", "12.5")]));
    assert_eq!(cost(&priced.with(&shop, &[&own])), "0.01625");
    let unknown_unit = ask("render-farm", "large", usage(&[("disk_gb", "1")]));
    assert_eq!(partial(&unknown_unit.with(&shop, &[&own])).1, ["custom:disk_gb"]);
    let unknown_model = ask("render-farm", "small", Usage::default());
    assert_eq!(unpriced(&unknown_model.with(&shop, &[&own])), ["model"]);
}

#[test]
fn wrong_rows_are_refused_with_their_place_and_reason() {
    for (row, line, told) in [
        (
            "input = \"0\"\noutput = \"1\"",
            6,
            "is zero; a model that costs nothing says `free = true`",
        ),
        ("input = \"-1\"", 6, "`-1` is negative"),
        ("input = \"1,5\"", 6, "not a decimal number: unexpected character at byte 1"),
        ("input = \"5000\"", 6, "`5000` is more than 2000 for a million: unit wrong?"),
        (
            "input = \"0.0000025\"",
            6,
            "`0.0000025` is less than 0.001 for a million: is `per` right?",
        ),
        ("per = 0\ninput = \"1\"", 6, "is zero: say of how many tokens rates are"),
        (
            "from = \"2026-13-01\"\ninput = \"1\"",
            6,
            "`2026-13-01` is neither an instant (RFC 3339) nor a date",
        ),
        ("from = \"2026-02-01\"\nuntil = \"2026-02-01\"\ninput = \"1\"", 7, "is not after `from`"),
        (
            "from = \"2026-01-31T12:00\"\ninput = \"1\"",
            6,
            "`2026-01-31T12:00` is neither an instant (RFC 3339) nor a date",
        ),
        ("currency = \"QQQ\"\ninput = \"1\"", 6, "`QQQ` is no ISO 4217 code"),
        ("when = { service_tier = \"auto\" }\ninput = \"1\"", 6, "`auto` is no tier with a price"),
        (
            "when = { processing = \"weekly\" }\ninput = \"1\"",
            6,
            "`weekly` is not a known processing",
        ),
        ("discount = \"1.5\"", 6, "is a part of the price between 0 and 1, such as `0.15`"),
        (
            "discount = \"0.1\"\nmultiplier = \"2\"",
            6,
            "has a `multiplier` beside it: it can have one",
        ),
        (
            "discount = \"0.1\"\ninput = \"1\"",
            5,
            "has rates and a discount or multiplier: it can have one",
        ),
        ("free = true\ninput = \"1\"", 6, "a free row has no rates"),
        ("source = \"me\"", 5, "has no rate; a model that costs nothing says `free = true`"),
        ("input = 2.5", 6, "invalid type: floating point `2.5`, expected a string"),
        ("inputs = \"2.5\"", 6, "unknown field `inputs`"),
    ] {
        let text = format!(
            "[[seller]]\nseller = \"shop\"\n[[seller.model]]\nid = \"m\"\n\
             [[seller.model.price]]\n{row}\n"
        );
        let problems = OwnPrices::from_toml("own.toml", &text).unwrap_err();
        let (first, place) = (&problems[0], problems[0].detail.trim_start_matches("model `m`: "));
        assert!(first.line == line && place.starts_with(told), "{row}\n{first}\n{told}");
    }
}

#[test]
fn rows_that_hold_at_one_time_are_refused() {
    let text = "[[seller]]\nseller = \"shop\"\n[[seller.model]]\nid = \"m\"\n\
                [[seller.model.price]]\nuntil = \"2026-03-02\"\ninput = \"1\"\n\
                [[seller.model.price]]\nfrom = \"2026-03-01\"\ninput = \"2\"\n";
    let problems = OwnPrices::from_toml("own.toml", text).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "own.toml:8: model `m`: holds at the same time as `price/0`: end that one with `until`, or \
         give the two different conditions"
    );
    assert!(OwnPrices::from_toml("own.toml", &text.replace("03-02", "03-01")).is_ok());
}
