//! Names that mean different models at different times.

use std::collections::{BTreeMap, BTreeSet};

use prices::form::AliasForm;

use crate::card::{DatedName, Span};
use crate::join::{Join, Sources};
use crate::merge::{Labels, Voice};

/// Makes the dated names of a seller, and takes those names from the models that had them.
pub(crate) fn aliases(sources: &Sources, join: &mut Join, labels: &Labels) -> Vec<AliasForm> {
    let source = |voice| labels.get(&voice).cloned().unwrap_or_default();
    let mut by_name: BTreeMap<&str, Vec<(&DatedName, usize)>> = BTreeMap::new();
    for dated in &sources.meter.dated_names {
        if let Some(Some(group)) = join.meter_group.get(dated.quote) {
            by_name.entry(&dated.name).or_default().push((dated, *group));
        }
    }
    let own_prices: BTreeSet<&String> =
        sources.genai.quotes.iter().map(|quote| &quote.id).collect();
    let mut forms = Vec::new();
    for (name, mut meanings) in by_name {
        let targets: BTreeSet<usize> = meanings.iter().map(|(_, group)| *group).collect();
        let owner = join.owner.get(name).copied();
        let has_own_price = own_prices.iter().any(|own| own.as_str() == name);
        let always_the_same = owner.is_some_and(|owner| targets == BTreeSet::from([owner]));
        if has_own_price || always_the_same {
            continue;
        }
        meanings.sort_by_key(|(dated, _)| dated.span.from);
        let first_owner = former_owner(sources, join, name).filter(|own| !targets.contains(own));
        take_from_owner(join, name);
        let form = |span: Span, group: usize, voice, link: Option<String>| AliasForm {
            name: name.to_owned(),
            model: join.groups[group].id.clone(),
            from: span.from.map(|at| at.to_string()),
            until: span.until.map(|at| at.to_string()),
            source: source(voice),
            link,
        };
        let begins = meanings.first().and_then(|(dated, _)| dated.span.from);
        if let (Some(owner), Some(begins)) = (first_owner, begins) {
            let before = Span { from: None, until: Some(begins) };
            forms.push(form(before, owner, Voice::Genai, None));
        }
        for (dated, group) in meanings {
            forms.push(form(dated.span, group, Voice::Metergraph, dated.link.clone()));
        }
    }
    forms
}

/// The model of genai-prices' that had a name before anybody dated it.
fn former_owner(sources: &Sources, join: &Join, name: &str) -> Option<usize> {
    let genai = sources.genai.quotes.iter().find(|quote| quote.names.contains(name))?;
    let of_genai = |alone: bool| {
        join.groups.iter().position(|group| {
            let same = group.genai.as_ref().is_some_and(|own| own.id == genai.id);
            same && (group.litellm.is_none() || !alone)
        })
    };
    of_genai(true).or_else(|| of_genai(false))
}

/// A model that has no other name is no model any more.
fn take_from_owner(join: &mut Join, name: &str) {
    if let Some(owner) = join.owner.remove(name) {
        let group = &mut join.groups[owner];
        group.names.remove(name);
        if group.id == name {
            group.id = group.names.first().cloned().unwrap_or_default();
        }
    }
}
