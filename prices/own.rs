//! Own prices: rates, discounts and multipliers of an organization or an operator, and services of
//! their own.
//!
//! Order: the exact model's own rows, then those of a pattern with `*`, then an own adjustment of
//! the built-in row (exact, pattern, whole service), then the built-in row. Nothing else changes a
//! price, and the answer names the row that was used.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    Model, Origin, Problem, Row, When,
    form::{ModelForm, SellerForm},
    position::{FileProblem, line_of},
    read::read_model,
};

/// Own prices by service.
#[derive(Debug, Clone, Default)]
pub struct OwnPrices {
    services: BTreeMap<String, OwnService>,
}

#[derive(Debug, Clone, Default)]
struct OwnService {
    exact: BTreeMap<String, usize>,
    /// Models whose id has a `*`, the longest first.
    patterns: Vec<usize>,
    models: Vec<Model>,
}

/// An operator's file of own prices, in the form of the catalogue.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OwnFile {
    seller: Vec<SellerForm>,
}

impl OwnPrices {
    /// No own prices.
    #[must_use]
    pub fn new() -> OwnPrices {
        OwnPrices::default()
    }

    /// Makes `service` a service of one's own, if it is not one yet, with or without models.
    pub fn add_service(&mut self, service: &str) {
        self.services.entry(service.to_owned()).or_default();
    }

    /// Adds a model's rows, or those of a pattern: `gpt-5*`, or `*` for the whole service.
    ///
    /// # Errors
    /// Every [`Problem`] of the form. Nothing is added then.
    pub fn add(&mut self, service: &str, form: &ModelForm) -> Result<(), Vec<Problem>> {
        let model = read_model(form, Origin::Own)?;
        let own = self.services.entry(service.to_owned()).or_default();
        let at = own.models.len();
        let names = std::iter::once(&model.id).chain(&model.names);
        if let Some(taken) = names.clone().find(|name| own.exact.contains_key(*name)) {
            let detail = format!("`{taken}` has own rows already");
            return Err(vec![Problem { pointer: "/names".to_owned(), detail }]);
        }
        if model.id.contains('*') {
            own.patterns.push(at);
        } else {
            own.exact.extend(names.map(|name| (name.clone(), at)));
        }
        own.models.push(model);
        let models = &own.models;
        own.patterns.sort_by_key(|at| (usize::MAX - models[*at].id.len(), models[*at].id.clone()));
        Ok(())
    }

    /// Reads an operator's file: `[[seller]]` tables in the form of the catalogue.
    ///
    /// # Errors
    /// Every [`FileProblem`], with its line.
    pub fn from_toml(name: &str, text: &str) -> Result<OwnPrices, Vec<FileProblem>> {
        let file: OwnFile =
            toml::from_str(text).map_err(|error| vec![FileProblem::of_toml(name, text, &error)])?;
        let mut own = OwnPrices::new();
        let mut problems = vec![];
        let mut report = |pointer: String, detail: String| {
            let (file, line) = (name.to_owned(), line_of(text, &pointer));
            problems.push(FileProblem { file, line, detail });
        };
        for (index, seller) in file.seller.iter().enumerate() {
            let place = format!("/seller/{index}");
            let Ok(service) = domain::Service::parse(&seller.seller) else {
                report(format!("{place}/seller"), format!("`{}` is no service", seller.seller));
                continue;
            };
            if !seller.alias.is_empty() || !seller.charges_price_of.is_empty() {
                report(place.clone(), "own prices have `names` and no aliases".to_owned());
            }
            own.add_service(service.as_str());
            for (at, model) in seller.model.iter().enumerate() {
                for problem in own.add(service.as_str(), model).err().unwrap_or_default() {
                    let pointer = format!("{place}/model/{at}{}", problem.pointer);
                    report(pointer, format!("model `{}`: {}", model.id, problem.detail));
                }
            }
        }
        if problems.is_empty() { Ok(own) } else { Err(problems) }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// The services that have own prices.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// The own entries for a model, in the order in which they are looked at: by the name as sent
    /// or the canonical id, then by pattern.
    pub fn models(
        &self,
        service: &str,
        name: &str,
        canonical: Option<&str>,
    ) -> impl Iterator<Item = &Model> {
        let own = self.services.get(service);
        own.into_iter().flat_map(move |own| own.matching(name, canonical).collect::<Vec<_>>())
    }

    /// Whether `service` has own prices.
    #[must_use]
    pub fn has_service(&self, service: &str) -> bool {
        self.services.contains_key(service)
    }

    /// The own rows with rates for a model that are in force: by the name as sent, by the
    /// canonical id, by pattern.
    #[must_use]
    pub fn rated(
        &self,
        service: &str,
        name: &str,
        canonical: Option<&str>,
        at: Timestamp,
    ) -> Option<(&str, &Model)> {
        let (service, own) = self.services.get_key_value(service)?;
        let is_rated = |row: &Row| row.adjustment.is_none() && row.holds_at(at);
        let in_force = |model: &&Model| model.rows.iter().any(is_rated);
        Some((service, own.matching(name, canonical).find(in_force)?))
    }

    /// The own adjustment of the built-in price of a model that is in force.
    #[must_use]
    pub fn adjustment(
        &self,
        service: &str,
        name: &str,
        canonical: Option<&str>,
        at: Timestamp,
    ) -> Option<(&Model, &Row)> {
        let own = self.services.get(service)?;
        own.matching(name, canonical).find_map(|model| {
            let adjusts = |row: &&Row| row.adjustment.is_some() && row.holds_at(at);
            Some((model, model.rows.iter().find(adjusts)?))
        })
    }
}

impl OwnService {
    fn matching<'a>(
        &'a self,
        name: &str,
        canonical: Option<&str>,
    ) -> impl Iterator<Item = &'a Model> {
        let exact = self.exact.get(name).or_else(|| self.exact.get(canonical?));
        let matches = move |model: &&Model| {
            is_match(&model.id, name) || canonical.is_some_and(|id| is_match(&model.id, id))
        };
        exact
            .map(|at| &self.models[*at])
            .into_iter()
            .chain(self.patterns.iter().map(|at| &self.models[*at]).filter(matches))
    }
}

/// What tells an own row from others, as answers name it.
pub(crate) fn row_name(service: &str, model: &Model, row: &Row) -> String {
    match row.when == When::STANDARD && row.from.is_none() {
        true => format!("own:{service}/{}", model.id),
        false => format!("own:{service}/{}?{}", model.id, row.key()),
    }
}

/// Whether `name` is what `pattern` says, where `*` is any text.
fn is_match(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, matches) in [
            ("*", "anything", true),
            ("gpt-5*", "gpt-5.4", true),
            ("gpt-5*", "gpt-4o", false),
            ("*-mini", "gpt-5-mini", true),
            ("*-mini", "gpt-5-mini-2025", false),
            ("gpt-*-mini", "gpt-5-mini", true),
            ("gpt-*-mini", "gpt-mini", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*a", "a", false),
            ("gpt-5", "gpt-5", true),
        ] {
            assert_eq!(is_match(pattern, name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn a_file_with_mistakes_is_refused_with_their_lines() {
        let text = "[[seller]]\nseller = \"openai\"\n\n[[seller.model]]\nid = \"gpt-5.4\"\n\n\
                    [[seller.model.price]]\ninput = \"-1\"\noutput = \"15\"\n";
        let problems = OwnPrices::from_toml("own.toml", text).unwrap_err();
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["own.toml:8: model `gpt-5.4`: `-1` is negative"]);
        let unknown = OwnPrices::from_toml("own.toml", "[[seller]]\nseller = \"a\"\ncolour = 1\n")
            .unwrap_err();
        assert_eq!(unknown[0].line, 3);
        assert!(unknown[0].detail.contains("colour"), "{unknown:?}");
    }
}
