//! Names and the regional rule of Amazon Bedrock.
//!
//! A model is sold by its bare id in one region, under a geography's prefix (`us.`, `eu.`) across
//! the regions of it, and under `global.`. Claude from 4.5 on, and OpenAI's models, cost a tenth
//! more everywhere but globally.

use std::collections::BTreeSet;

use crate::card::{Quote, SellerQuotes};

/// Geographies of inference profiles, besides `global`.
const GEOGRAPHIES: &[&str] = &["us", "eu", "au", "apac", "jp", "us-gov", "in"];

/// Why a bare id costs what the id with a geography does.
pub(crate) const REGIONAL_RULE: &str = "a bare id is billed at the in-region rate, a tenth above \
    the global one: https://github.com/BerriAI/litellm/issues/42679";

/// The canonical id and all names of a model of genai-prices', whose ids are `global.X`,
/// `regional.X` or `X`. A regional model has the names that its rules speak of.
pub(crate) fn names(id: &str, rules: &[&str]) -> (String, BTreeSet<String>) {
    let Some(bare) = id.strip_prefix("regional.") else {
        let names: BTreeSet<String> = versionless(id).into_iter().chain([id.to_owned()]).collect();
        return (versionless(id).unwrap_or_else(|| id.to_owned()), names);
    };
    let ids: Vec<String> = versionless(bare).into_iter().chain([bare.to_owned()]).collect();
    let mut names = BTreeSet::new();
    for rule in rules.iter().map(|rule| rule.trim_start_matches('/')) {
        let geography = GEOGRAPHIES
            .iter()
            .find(|geography| rule.strip_prefix(**geography).is_some_and(|r| r.starts_with('.')));
        match geography {
            Some(geography) => names.extend(ids.iter().map(|id| format!("{geography}.{id}"))),
            None if stem(bare).starts_with(stem(rule)) => names.extend(ids.iter().cloned()),
            None => {}
        }
    }
    if names.is_empty() {
        // The rule is about the model wherever it is: the bare id and every geography.
        let geographies = GEOGRAPHIES.iter().filter(|geography| **geography != "in");
        names.extend(geographies.flat_map(|g| ids.iter().map(move |id| format!("{g}.{id}"))));
        names.extend(ids.iter().cloned());
    }
    let id = names.iter().min_by_key(|name| name.len()).cloned();
    (id.unwrap_or_else(|| bare.to_owned()), names)
}

/// `…-v1:0` and `…-v1` without their version. A higher one is another model.
pub(crate) fn versionless(id: &str) -> Option<String> {
    let start = id.strip_suffix("-v1:0").or_else(|| id.strip_suffix("-v1"))?;
    Some(start.to_owned())
}

fn stem(id: &str) -> &str {
    id.split_once("-v").map_or(id, |(start, _)| start)
}

/// LiteLLM prices a bare Claude id as if it were global where it knows the same model with a
/// geography at a tenth more: the bare id takes that card, which is of the same source.
pub(crate) fn correct_bare_ids(quotes: &mut SellerQuotes) {
    let of = |name: &str| quotes.quotes.iter().find(|quote| quote.id == name);
    let mut corrections: Vec<(String, Quote)> = Vec::new();
    for bare in quotes.quotes.iter().filter(|quote| quote.id.starts_with("anthropic.claude-")) {
        let geography = ["us", "eu", "apac"].iter().find_map(|g| of(&format!("{g}.{}", bare.id)));
        let global = of(&format!("global.{}", bare.id));
        let Some(regional) = geography else { continue };
        let as_global = global.is_some_and(|global| global.lanes == bare.lanes);
        let dearer = regional.lanes != bare.lanes
            && global.is_none_or(|_| as_global)
            && is_dearer(regional, bare);
        if dearer {
            let mut corrected = regional.clone();
            corrected.id = bare.id.clone();
            corrected.names = bare.names.clone();
            corrected.rule = Some(REGIONAL_RULE.to_owned());
            corrections.push((bare.id.clone(), corrected));
        }
    }
    for (id, corrected) in corrections {
        if let Some(quote) = quotes.quotes.iter_mut().find(|quote| quote.id == id) {
            *quote = corrected;
        }
    }
}

/// Whether each rate of the list price is a tenth more.
fn is_dearer(regional: &Quote, bare: &Quote) -> bool {
    let list = |quote: &Quote| {
        let rows = quote.lanes.get(&crate::card::When::List);
        rows.and_then(|rows| rows.first()).map(|row| row.cards.base.clone()).unwrap_or_default()
    };
    let (regional, bare) = (list(regional), list(bare));
    let mut tokens = bare.iter().filter(|(key, _)| key.is_of_tokens()).peekable();
    tokens.peek().is_some()
        && tokens.all(|(key, rate)| regional.get(key).copied() == rate.a_tenth_more())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regional_model_has_the_names_its_rules_speak_of() {
        let rules = [
            "anthropic.claude-sonnet-4-6",
            "claude-sonnet-4-6",
            "us.anthropic.claude-sonnet-4-6",
            "eu.anthropic.claude-sonnet-4-6",
        ];
        let (id, names) = names("regional.anthropic.claude-sonnet-4-6-v1:0", &rules);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(id, "anthropic.claude-sonnet-4-6");
        assert_eq!(
            names,
            [
                "anthropic.claude-sonnet-4-6",
                "anthropic.claude-sonnet-4-6-v1:0",
                "eu.anthropic.claude-sonnet-4-6",
                "eu.anthropic.claude-sonnet-4-6-v1:0",
                "us.anthropic.claude-sonnet-4-6",
                "us.anthropic.claude-sonnet-4-6-v1:0",
            ]
        );
    }

    #[test]
    fn a_model_sold_across_regions_only_has_no_bare_name() {
        let rules = ["us.moonshotai.kimi-k3.1", "in.moonshotai.kimi-k3.1"];
        let (id, names) = names("regional.moonshotai.kimi-k3.1", &rules);
        assert_eq!(id, "in.moonshotai.kimi-k3.1");
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn versions_are_recognized_and_nothing_else() {
        assert_eq!(versionless("a.b-v1:0").as_deref(), Some("a.b"));
        assert_eq!(versionless("a.b-v1").as_deref(), Some("a.b"));
        assert_eq!(versionless("a.b-v2:0"), None);
        assert_eq!(versionless("a.b-vision"), None);
        assert_eq!(versionless("nova-2-lite"), None);
    }
}
