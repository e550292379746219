//! The built-in catalogue: it is what its sources give, and it says what is known of them.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use catalogues::{Catalogue, Proposal, built_in, generate, regenerate, write_toml};
use jiff::civil::date;
use prices::form::{PriceForm, SellerForm};

static PROPOSAL: LazyLock<Proposal> = LazyLock::new(|| regenerate().unwrap());

#[test]
fn the_built_in_catalogue_is_what_its_sources_give() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prices/catalogue");
    #[expect(clippy::disallowed_methods, reason = "asks whoever runs the test, not the product")]
    let updates = std::env::var_os("UPDATE_PRICES").is_some();
    let command = "UPDATE_PRICES=1 cargo test -p outlay-catalogues --test built_in";
    for (seller, form) in &PROPOSAL.sellers {
        let path = folder.join(format!("{seller}.toml"));
        let text = write_toml(form);
        if updates {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == text, "{} is stale; run: {command}", path.display());
    }
    let files = std::fs::read_dir(&folder).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let sellers: BTreeSet<String> =
        PROPOSAL.sellers.keys().map(|seller| format!("{seller}.toml")).collect();
    assert_eq!(files, sellers, "a file of a seller that no source knows");
}

#[test]
fn importing_the_same_again_changes_no_byte() {
    let again = generate(&PROPOSAL.sellers, &built_in(), date(2027, 3, 1)).unwrap();
    assert!(again.changes_nothing(), "{again}");
    for (seller, form) in &PROPOSAL.sellers {
        assert!(write_toml(form) == write_toml(&again.sellers[seller]), "{seller} has changed");
    }
}

#[test]
fn what_is_written_reads_back() {
    for form in PROPOSAL.sellers.values() {
        let read: SellerForm = toml::from_str(&write_toml(form)).unwrap();
        assert_eq!(&read, form, "{}", form.seller);
    }
}

#[test]
fn every_model_that_a_source_prices_is_there_by_name() {
    let mut missing = Vec::new();
    let sources = built_in();
    let litellm = sources.iter().find(|one| one.catalogue == Catalogue::LiteLlm).unwrap();
    let litellm: BTreeMap<String, serde_json::Value> = serde_json::from_str(&litellm.text).unwrap();
    for (key, row) in &litellm {
        let seller = match row["litellm_provider"].as_str().unwrap_or_default() {
            "openai" | "text-completion-openai" => "openai",
            "gemini" => "google",
            "together_ai" => "together",
            "fireworks_ai" => "fireworks",
            "cohere" | "cohere_chat" => "cohere",
            "azure_ai" | "azure_text" => "azure",
            "bedrock_converse" => "bedrock",
            "fireworks_ai-embedding-models" => "fireworks",
            provider if provider.starts_with("vertex_ai") => "vertex",
            provider => provider,
        };
        let Some(form) = PROPOSAL.sellers.get(seller) else { continue };
        let name = key.split_once('/').filter(|(route, _)| {
            ["gemini", "together_ai", "fireworks_ai", "vertex_ai", "azure_ai", seller]
                .contains(route)
        });
        let name = name.map_or(key.as_str(), |(_, name)| name.trim_start_matches("invoke/"));
        let figure = row["input_cost_per_token"].to_string();
        if is_believable(&figure) && !names(form).contains(name) {
            missing.push(key);
        }
    }
    // 3,200 dollars for a million tokens are not believed.
    assert_eq!(missing, ["azure_ai/jais-30b-chat"]);
}

/// Whether a figure per token is neither `null` nor zero, and not so small that it is refused.
fn is_believable(figure: &str) -> bool {
    figure != "null"
        && figure.contains(|c: char| ('1'..='9').contains(&c))
        && !figure.ends_with("e-10")
}

fn names(form: &SellerForm) -> BTreeSet<&str> {
    let models = form.model.iter();
    let names = models.flat_map(|m| std::iter::once(&m.id).chain(&m.names));
    names.chain(form.alias.iter().map(|alias| &alias.name)).map(String::as_str).collect()
}

/// A row in one line: condition, time, rates, cards for much input, confidence.
fn line(row: &PriceForm) -> String {
    let day = |at: &Option<String>| {
        at.as_deref().map(|at| at.trim_end_matches("T00:00:00Z").to_owned()).unwrap_or_default()
    };
    let when = [&row.when.processing, &row.when.service_tier, &row.when.speed];
    let when = when.into_iter().flatten().next().map_or("list", String::as_str);
    let rates = |rates: &[(&str, Option<&str>)]| -> String {
        let rates = rates.iter().filter_map(|(key, rate)| Some(format!("{key} {}", (*rate)?)));
        rates.collect::<Vec<_>>().join(" ")
    };
    let mut line =
        format!("{when} {}..{} {}", day(&row.from), day(&row.until), rates(&row.rates()));
    for over in &row.over {
        let bound = match (over.input_tokens_above, over.input_tokens_from) {
            (Some(above), _) => format!(" | above {above}: "),
            (None, from) => format!(" | from {}: ", from.unwrap_or_default()),
        };
        line.push_str(&bound);
        line.push_str(&rates(&over.rates()));
    }
    if row.free {
        line.push_str("free");
    }
    for place in &row.data_residency {
        line.push_str(&format!(" | data in {} x {}", place.0, place.1));
    }
    for dispute in &row.disputed {
        let figure = dispute.figure.as_deref().unwrap_or("-");
        line.push_str(&format!(" | {} says {} {figure}", dispute.source, dispute.rate));
    }
    format!("{line} ({})", row.confidence.as_deref().unwrap_or_default())
}

fn rows(seller: &str, name: &str) -> Vec<String> {
    let form = &PROPOSAL.sellers[seller];
    let model = form.model.iter().find(|m| m.id == name || m.names.iter().any(|own| own == name));
    model.unwrap_or_else(|| panic!("no {name} at {seller}")).price.iter().map(line).collect()
}

#[test]
fn known_prices_are_as_they_are_known() {
    let known = include_str!("known_prices.txt");
    let mut model = ("", "");
    let mut expected: Vec<&str> = Vec::new();
    let check = |(seller, name): (&str, &str), expected: &[&str]| {
        if !name.is_empty() {
            let found = rows(seller, name);
            assert_eq!(found, expected, "{seller}/{name} is:\n    {}", found.join("\n    "));
        }
    };
    for text in known.lines().filter(|text| !text.trim().is_empty() && !text.starts_with('#')) {
        match text.strip_prefix("    ") {
            Some(row) => expected.push(row),
            None => {
                check(model, &expected);
                expected.clear();
                model = text.split_once(' ').unwrap();
            }
        }
    }
    check(model, &expected);
}
