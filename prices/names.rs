//! Which model a name means. Exact, in a fixed order, first hit wins; never by how a name begins
//! or by likeness.
//!
//! 1. The seller's name as sent: an alias in force, else an id or name.
//! 2. Without a routing prefix, which becomes the seller (`azure/gpt-4o`).
//! 3. Without a Bedrock geography prefix (`eu.`); only the global endpoint has the global price.
//! 4. Without a version or a valid date right after a known name.
//! 5. A fine-tuned model by the fine-tuned row of its base (`ft:BASE:…`), never the base itself.
//! 6. The maker's own row, for sellers that charge the maker's price; flagged.

use jiff::{Timestamp, civil::Date};

use crate::{Catalogue, Model, Seller, estimate::Note};

/// Words before a slash that name a seller. The second is the service; the third says that the
/// word also names a maker of models, as `openai` does in `openai/gpt-oss-120b` at other sellers.
const ROUTES: &[(&str, &str, bool)] = &[
    ("anthropic", "anthropic", true),
    ("aws", "bedrock", false),
    ("azure", "azure", false),
    ("azure_ai", "azure", false),
    ("azure_text", "azure", false),
    ("bedrock", "bedrock", false),
    ("bedrock_converse", "bedrock", false),
    ("cerebras", "cerebras", false),
    ("cohere", "cohere", true),
    ("cohere_chat", "cohere", false),
    ("deepseek", "deepseek", true),
    ("fireworks", "fireworks", false),
    ("fireworks_ai", "fireworks", false),
    ("gemini", "google", false),
    ("google", "google", true),
    ("groq", "groq", false),
    ("mistral", "mistral", true),
    ("mistralai", "mistral", true),
    ("moonshot", "moonshot", false),
    ("moonshotai", "moonshot", true),
    ("openai", "openai", true),
    ("openrouter", "openrouter", false),
    ("perplexity", "perplexity", true),
    ("text-completion-openai", "openai", false),
    ("together", "together", false),
    ("together_ai", "together", false),
    ("vertex", "vertex", false),
    ("vertex_ai", "vertex", false),
    ("x-ai", "xai", true),
    ("xai", "xai", true),
];

/// Bedrock's geographies. The global endpoint is none of them: it has its own price.
const GEOGRAPHIES: &[&str] =
    &["us-gov.", "us.", "eu.", "apac.", "au.", "jp.", "ca.", "sa.", "me.", "af.", "in."];

/// More prefixes than this before a name are a mistake.
const PREFIXES_MAX: usize = 3;

/// A model that was found, and how.
#[derive(Debug, Clone)]
pub struct Resolved<'c> {
    /// Who sells it.
    pub seller: &'c Seller,
    /// The model.
    pub model: &'c Model,
    /// What a reader should know about how it was found.
    pub notes: Vec<Note>,
}

/// One way to find a name at a seller.
type Step = for<'c> fn(&'c Seller, &str, Timestamp) -> Option<Resolved<'c>>;

impl Catalogue {
    /// The model that `name` means at `service`, at an instant.
    #[must_use]
    pub fn resolve(&self, service: &str, name: &str, at: Timestamp) -> Option<Resolved<'_>> {
        if let Some(seller) = self.seller(service)
            && let Some(found) = exact(seller, name, at)
        {
            return Some(found);
        }
        let places = self.places(service, name);
        let steps: [Step; 4] = [exact, without_geography, without_suffix, fine_tuned];
        for step in steps {
            for (seller, name) in &places {
                if let Some(mut found) = step(seller, name, at) {
                    if seller.name != service {
                        found.notes.push(Note::SellerFromName(seller.name.clone()));
                    }
                    return Some(found);
                }
            }
        }
        places.iter().find_map(|(seller, name)| self.makers_price(seller, name, at))
    }

    /// The sellers and names that a name as sent can mean: as it is, and without each routing
    /// prefix in turn.
    fn places<'n>(&self, service: &str, name: &'n str) -> Vec<(&Seller, &'n str)> {
        let mut places = vec![];
        let (mut service, mut name) = (service.to_owned(), name);
        if let Some((profile, model)) = name.rsplit_once('/')
            && profile.starts_with("arn:aws:bedrock:")
        {
            name = model;
        }
        for _ in 0..=PREFIXES_MAX {
            places.extend(self.seller(&service).map(|seller| (seller, name)));
            let Some((prefix, rest)) = name.split_once('/') else { break };
            let resource = matches!(service.as_str(), "google" | "vertex")
                .then(|| name.rsplit_once("models/"))
                .flatten();
            if let Some((_, model)) = resource {
                name = model;
                continue;
            }
            let route = ROUTES.iter().find(|(word, ..)| word.eq_ignore_ascii_case(prefix));
            let Some((_, seller, is_maker)) = route else { break };
            let is_elsewhere = *seller != service && self.seller(&service).is_some();
            if *is_maker && is_elsewhere {
                break; // the maker of a model that somebody else sells
            }
            (service, name) = ((*seller).to_owned(), rest);
        }
        places
    }

    fn makers_price(&self, seller: &Seller, name: &str, at: Timestamp) -> Option<Resolved<'_>> {
        for maker in &seller.charges_price_of {
            let Some(maker) = self.seller(maker) else { continue };
            let maker_word = |word: &str| {
                ROUTES.iter().any(|(known, seller, is_maker)| {
                    *is_maker && *known == word && *seller == maker.name
                })
            };
            let bare = name.split_once('/').filter(|(word, _)| maker_word(word));
            let name = bare.map_or(name, |(_, rest)| rest);
            let found = exact(maker, name, at).or_else(|| without_suffix(maker, name, at));
            if let Some(mut found) = found {
                found.notes.push(Note::MakersPrice(maker.name.clone()));
                return Some(found);
            }
        }
        None
    }

    /// The two names nearest to one that is unknown: a hint for a person, never used.
    #[must_use]
    pub fn nearest(&self, service: &str, name: &str) -> Vec<String> {
        let all = self.sellers();
        let known = self.seller(service).map(|seller| vec![seller]);
        let mut names: Vec<(usize, String)> = vec![];
        for seller in known.unwrap_or(all) {
            for known in seller.names() {
                let longest = name.len().max(known.len());
                // At least so many letters differ: most names need no closer look.
                if name.len().abs_diff(known.len()) * 2 > longest {
                    continue;
                }
                let distance = strsim::levenshtein(name, known);
                // Half of the letters differ: that is no hint.
                if distance * 2 <= longest {
                    names.push((distance, format!("{}/{known}", seller.name)));
                }
            }
        }
        names.sort();
        names.into_iter().take(2).map(|(_, name)| name).collect()
    }
}

fn exact<'c>(seller: &'c Seller, name: &str, at: Timestamp) -> Option<Resolved<'c>> {
    let (model, alias) = seller.model(name, at)?;
    let notes = alias.map(|_| Note::Alias(model.id.clone())).into_iter().collect();
    Some(Resolved { seller, model, notes })
}

fn without_geography<'c>(seller: &'c Seller, name: &str, at: Timestamp) -> Option<Resolved<'c>> {
    if seller.name != "bedrock" {
        return None;
    }
    let bare = GEOGRAPHIES.iter().find_map(|geography| name.strip_prefix(geography))?;
    let mut found = exact(seller, bare, at).or_else(|| without_suffix(seller, bare, at))?;
    let geography = name.split('.').next().unwrap_or_default().to_owned();
    found.notes.push(Note::Geography(geography));
    Some(found)
}

fn without_suffix<'c>(seller: &'c Seller, name: &str, at: Timestamp) -> Option<Resolved<'c>> {
    let mut rest = name;
    // At most a date, then a version: `-20250929-v1:0`.
    for _ in 0..2 {
        rest = version_removed(rest).or_else(|| date_removed(rest))?;
        if let Some(found) = exact(seller, rest, at) {
            return Some(found);
        }
    }
    None
}

/// `NAME-v1:0` and `NAME@default` without what follows the name. A higher version is another
/// model.
fn version_removed(name: &str) -> Option<&str> {
    name.strip_suffix("@default").or_else(|| name.strip_suffix("-v1:0"))
}

/// `NAME-2025-09-29`, `NAME-20250929` and `NAME@20250929` without the date, where it is one on
/// which a model can have been published.
#[must_use]
pub fn date_removed(name: &str) -> Option<&str> {
    let cut = |length: usize| {
        let at = name.len().checked_sub(length)?;
        name.is_char_boundary(at).then(|| name.split_at(at))
    };
    if let Some((rest, date)) = cut(11)
        && date.starts_with('-')
        && is_date(&date[1..])
    {
        return Some(rest);
    }
    let (rest, date) = cut(9)?;
    if !(date.starts_with('-') || date.starts_with('@')) || !date[1..].bytes().all(is_digit) {
        return None;
    }
    let (year, rest_of_date) = date[1..].split_at(4);
    let (month, day) = rest_of_date.split_at(2);
    is_date(&format!("{year}-{month}-{day}")).then_some(rest)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// A date on which a model can have been published.
fn is_date(text: &str) -> bool {
    let is_shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let in_time = |date: Date| (2020..2100).contains(&date.year());
    is_shaped && text.parse().is_ok_and(in_time)
}

/// `ft:BASE:organization:name:id` by the row that is called `ft:BASE`.
fn fine_tuned<'c>(seller: &'c Seller, name: &str, at: Timestamp) -> Option<Resolved<'c>> {
    let base = name.strip_prefix("ft:")?.split(':').next()?;
    let row = format!("ft:{base}");
    exact(seller, &row, at).or_else(|| without_suffix(seller, &row, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_date_right_after_the_name_is_removed() {
        for (name, rest) in [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("claude-sonnet-4-5-20250929", Some("claude-sonnet-4-5")),
            ("claude-sonnet-4-5@20250929", Some("claude-sonnet-4-5")),
            ("gpt-4o-2024-13-06", None),
            ("gpt-4o-2024-02-30", None),
            ("gpt-4o-20240230", None),
            ("gpt-4o-19990101", None),
            ("gpt-4o-2024-08", None),
            ("gpt-4o-mini", None),
            ("x", None),
            ("ü-2024-08-06", Some("ü")),
        ] {
            assert_eq!(date_removed(name), rest, "{name}");
        }
    }

    #[test]
    fn only_a_version_is_removed() {
        for (name, rest) in [
            ("amazon.nova-lite-v1:0", Some("amazon.nova-lite")),
            ("claude-sonnet-4-5@default", Some("claude-sonnet-4-5")),
            ("deepseek-v3", None),
            ("anthropic.claude-3-5-sonnet-v2:0", None),
            ("model-v1:", None),
            ("model-v1:latest", None),
        ] {
            assert_eq!(version_removed(name), rest, "{name}");
        }
    }
}
