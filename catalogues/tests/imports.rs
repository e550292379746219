//! What an import changes and what it leaves alone, with small catalogues and the built-in one.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use std::collections::BTreeMap;

use catalogues::{Catalogue, ImportError, Proposal, Source, built_in, complete, generate};
use jiff::civil::{Date, date};
use prices::form::SellerForm;

type Sellers = BTreeMap<String, SellerForm>;

const FIRST: Date = date(2026, 11, 20);
const LATER: Date = date(2026, 12, 24);

fn source(catalogue: Catalogue, text: &str) -> Source {
    let version = "1".to_owned();
    Source { catalogue, version, read_on: FIRST, text: text.to_owned() }
}

/// LiteLLM's rows of OpenAI's, by model: `input output`, per million.
fn litellm(models: &[(&str, &str, &str)]) -> Source {
    let rows = models.iter().map(|(model, input, output)| {
        format!(
            r#""{model}": {{"litellm_provider": "openai", "mode": "chat",
                "input_cost_per_token": {input}e-6, "output_cost_per_token": {output}e-6}}"#
        )
    });
    let rows: Vec<String> = rows.collect();
    source(Catalogue::LiteLlm, &format!("{{{}}}", rows.join(",")))
}

/// One model of OpenAI's in genai-prices, with its price tables.
fn genai(prices: &str, variants: &str) -> Source {
    source(
        Catalogue::GenaiPrices,
        &format!(
            r#"[{{"id": "openai", "pricing_urls": ["https://openai.com/api/pricing"], "models": [
                {{"id": "m", "match": {{"or": [{{"equals": "m"}}, {{"starts_with": "m-"}}]}},
                  "prices": {prices}, "price_variants": {variants}}}]}}]"#
        ),
    )
}

fn import(existing: &Sellers, sources: &[Source], on: Date) -> Proposal {
    generate(existing, sources, on).unwrap()
}

fn lines(proposal: &Proposal) -> Vec<String> {
    proposal.changes.iter().map(|c| format!("{}: {}", c.model, c.kind)).collect()
}

/// The rows of a model: `from..until input`.
fn inputs(sellers: &Sellers, model: &str) -> Vec<String> {
    let form = &sellers["openai"];
    let model = form.model.iter().find(|known| known.id == model).unwrap();
    let row = |row: &prices::form::PriceForm| {
        let day = |at: &Option<String>| at.as_deref().map(|at| at[..10].to_owned());
        let (from, until) = (day(&row.from), day(&row.until));
        let condition = row.when.processing.clone().map(|word| format!("{word} "));
        let input = row.input.as_deref().unwrap_or("-");
        let (from, until) = (from.unwrap_or_default(), until.unwrap_or_default());
        format!("{}{from}..{until} {input}", condition.unwrap_or_default())
    };
    model.price.iter().map(row).collect()
}

#[test]
fn one_changed_rate_is_one_line() {
    let old = import(&Sellers::new(), &built_in(), FIRST);
    let mut sources = built_in();
    for (catalogue, model, was, becomes) in [
        (Catalogue::LiteLlm, "\"cerebras/qwen-3.8-27b\"", "9.9e-07", "8.9e-07"),
        (Catalogue::GenaiPrices, "\"id\":\"qwen-3.8-27b\"", "\"0.99\"", "\"0.89\""),
    ] {
        let text = &mut sources.iter_mut().find(|one| one.catalogue == catalogue).unwrap().text;
        let model = text.find(model).unwrap();
        let figure = model + text[model..].find(was).unwrap();
        text.replace_range(figure..figure + was.len(), becomes);
    }

    let new = import(&old.sellers, &sources, LATER);

    let report = new.to_string();
    let changes: Vec<&str> = report.lines().collect();
    let totals = "0 models added, 1 rate changed, 0 other changes, 0 newly disputed, \
                  0 models gone, 183 figures or rows refused";
    assert_eq!(
        changes,
        [
            "cerebras",
            "  qwen-3.8-27b",
            "    ~ input 0.99 -> 0.89 from 2026-12-24T00:00:00Z",
            totals,
        ]
    );
    let row = |proposal: &Proposal| {
        let form = &proposal.sellers["cerebras"];
        let model = form.model.iter().find(|model| model.id == "qwen-3.8-27b").unwrap();
        let rows = model.price.iter().map(|row| (row.until.clone(), row.input.clone().unwrap()));
        rows.collect::<Vec<_>>()
    };
    let until = Some("2026-12-24T00:00:00Z".to_owned());
    assert_eq!(row(&new), [(until, "0.99".to_owned()), (None, "0.89".to_owned())]);
    for (seller, form) in &old.sellers {
        assert!(seller == "cerebras" || new.sellers[seller] == *form, "{seller} has changed");
    }
}

/// Unless a source gives the date itself.
#[test]
fn importing_changes_nothing_before_its_date() {
    let old = import(&Sellers::new(), &[genai(r#"{"input_mtok": "2"}"#, "[]")], FIRST);
    for (prices, rows, change) in [
        (
            r#"{"input_mtok": "1"}"#,
            vec!["..2026-12-24 2", "2026-12-24.. 1"],
            "m: ~ input 2 -> 1 from 2026-12-24T00:00:00Z",
        ),
        (
            r#"[{"prices": {"input_mtok": "2"}},
                {"constraint": {"start_date": "2026-12-01"}, "prices": {"input_mtok": "1"}}]"#,
            vec!["..2026-12-01 2", "2026-12-01.. 1"],
            "m: ~ input 2 -> 1 from 2026-12-01T00:00:00Z",
        ),
        (
            r#"[{"prices": {"input_mtok": "2"}},
                {"constraint": {"start_date": "2027-02-01"}, "prices": {"input_mtok": "1"}}]"#,
            vec!["..2027-02-01 2", "2027-02-01.. 1"],
            "m: ~ input 2 -> 1 from 2027-02-01T00:00:00Z",
        ),
    ] {
        let new = import(&old.sellers, &[genai(prices, "[]")], LATER);
        assert_eq!(inputs(&new.sellers, "m"), rows);
        assert_eq!(lines(&new), [change]);
    }
}

#[test]
fn nothing_is_deleted_from_the_catalogue() {
    let old = import(&Sellers::new(), &[litellm(&[("m", "1", "2"), ("n", "3", "4")])], FIRST);
    let new = import(&old.sellers, &[litellm(&[("m", "1", "2")])], LATER);
    assert_eq!(inputs(&new.sellers, "n"), [".. 3"]);
    assert_eq!(lines(&new), ["n: - gone from the sources; its prices stay in force"]);
}

#[test]
fn what_is_new_is_listed_with_its_price() {
    let old = import(&Sellers::new(), &[litellm(&[("m", "1", "2")])], FIRST);
    let both = litellm(&[("m", "1", "2"), ("n", "3", "4")]);
    let new = import(&old.sellers, &[both], LATER);
    assert_eq!(lines(&new), ["n: + new: input 3, output 4"]);
}

#[test]
fn a_source_that_disagrees_is_named_and_changes_nothing() {
    let prices = r#"{"input_mtok": "2", "output_mtok": "8"}"#;
    let old = import(&Sellers::new(), &[genai(prices, "[]"), litellm(&[("m", "2", "8")])], FIRST);
    let odd = import(&old.sellers, &[genai(prices, "[]"), litellm(&[("m", "3", "8")])], LATER);
    assert_eq!(inputs(&odd.sellers, "m"), [".. 2"]);
    assert_eq!(lines(&odd), ["m: ? input: litellm 1 says 3"]);
}

#[test]
fn a_batch_price_is_carried_back_to_where_its_list_price_began() {
    let prices = r#"[{"prices": {"input_mtok": "10"}},
        {"constraint": {"start_date": "2025-06-10"}, "prices": {"input_mtok": "2"}}]"#;
    let variants = r#"[{"when": {"processing": "batch"}, "prices": {"input_mtok": "1"},
        "constraint": {"start_date": "2026-10-14"}}]"#;
    let new = import(&Sellers::new(), &[genai(prices, variants)], FIRST);
    assert_eq!(
        inputs(&new.sellers, "m"),
        [
            "..2025-06-10 10",
            "2025-06-10.. 2",
            "batch 2025-06-10..2026-10-14 1",
            "batch 2026-10-14.. 1",
        ]
    );
    let rows = &new.sellers["openai"].model[0].price;
    let sure: Vec<_> = rows.iter().map(|row| row.confidence.as_deref().unwrap()).collect();
    assert_eq!(sure, ["single", "single", "inferred", "single"]);
}

#[test]
fn odd_figures_are_refused_and_named() {
    let rows = r#"{
        "cents": {"litellm_provider": "openai", "input_cost_per_token": 0.25},
        "minus": {"litellm_provider": "openai", "input_cost_per_token": -1e-6},
        "nothing": {"litellm_provider": "openai", "input_cost_per_token": 0.0},
        "tier": {"litellm_provider": "openai", "input_cost_per_token": 5e-8,
                 "input_cost_per_token_priority": 2.5e-6}
    }"#;
    let new = import(&Sellers::new(), &[source(Catalogue::LiteLlm, rows)], FIRST);
    let refused: Vec<String> = new.refused.iter().map(ToString::to_string).collect();
    let no_rate = "it gives no rate, and zero only where it is called free";
    let range = "a rate of tokens is from 0.001 to 2000 dollars per million";
    assert_eq!(
        refused,
        [
            format!("cents: input_cost_per_token 0.25 of litellm 1 is refused: {range}"),
            format!("cents: the row of litellm 1 is refused: {no_rate}"),
            "minus: input_cost_per_token -1e-6 of litellm 1 is refused: negative".to_owned(),
            format!("minus: the row of litellm 1 is refused: {no_rate}"),
            format!("nothing: the row of litellm 1 is refused: {no_rate}"),
            "tier: priority input 2.5 of litellm 1 is refused: \
             outside 0.2 to 4 times 0.05, and nobody else says so"
                .to_owned(),
        ]
    );
    assert_eq!(inputs(&new.sellers, "tier"), [".. 0.05"]);
    assert_eq!(new.sellers["openai"].model.len(), 1);
}

#[test]
fn a_form_of_our_own_stands_before_the_public_ones() {
    let old = import(&Sellers::new(), &[litellm(&[("m", "1", "2"), ("n", "3", "4")])], FIRST);
    let own = "seller = \"openai\"\n[[model]]\nid = \"m\"\n[[model.price]]\ninput = \"5\"\n\
               confidence = \"single\"\n";
    let new = import(&old.sellers, &[source(Catalogue::Outlay, own)], LATER);
    assert_eq!(inputs(&new.sellers, "m"), ["..2026-12-24 1", "2026-12-24.. 5"]);
    assert_eq!(inputs(&new.sellers, "n"), [".. 3"], "a form of few models is not all there is");
    assert!(lines(&new).iter().all(|line| !line.contains("gone")), "{:?}", lines(&new));
}

#[test]
fn one_new_catalogue_is_heard_with_the_built_in_others() {
    let given = complete(vec![litellm(&[("m", "1", "2")])]);
    let versions: Vec<String> = given.iter().map(Source::label).collect();
    assert_eq!(versions, ["litellm 1", "genai-prices 0.2.3", "metergraph 0.7.4"]);
    let own = complete(vec![source(Catalogue::Outlay, "seller = \"openai\"")]);
    assert_eq!(own.len(), 1, "a form of our own needs no others");
}

#[test]
fn a_source_that_cannot_be_read_says_why_and_changes_nothing() {
    let generate = |sources: &[Source]| generate(&Sellers::new(), sources, FIRST).unwrap_err();
    for (catalogue, text, reason) in [
        (Catalogue::LiteLlm, "{\"a\": ", "`litellm 1` cannot be read: EOF while parsing"),
        (Catalogue::GenaiPrices, "[{\"id\": 1}]", "`genai-prices 1` cannot be read: invalid type"),
        (Catalogue::GenaiPrices, "[]", "`genai-prices 1` has no price of any known seller"),
        (Catalogue::Metergraph, "models: [", "`metergraph 1` cannot be read: "),
        (Catalogue::Metergraph, "a: b", "`metergraph 1` cannot be read: there is no list `models`"),
        (Catalogue::Outlay, "seller = 1", "`outlay 1` cannot be read: TOML parse error at line 1"),
        (
            Catalogue::Outlay,
            "seller = \"x\"\n[[model]]\nid = \"m\"\n[[model.price]]\ninput = \"-1\"",
            "the result would be no catalogue: x: /model/0/price/0/input: model `m`: `-1` is",
        ),
    ] {
        let error = generate(&[source(catalogue, text)]).to_string();
        assert!(error.starts_with(reason), "{error}");
    }
    let twice = [litellm(&[("m", "1", "2")]), litellm(&[("m", "1", "3")])];
    assert_eq!(generate(&twice), ImportError::Twice { catalogue: Catalogue::LiteLlm });
}
