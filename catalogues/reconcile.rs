//! What was stays: a fresh catalogue is laid over the existing one without changing the past.
//!
//! Before the day of the import every name costs what it did, unless a source dates a change
//! itself. From that day on it costs what the sources say. What the sources no longer speak of
//! stays in force.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use prices::form::{AliasForm, ModelForm, PriceForm, SellerForm};

use crate::changes::{Change, Log};
use crate::content::{content, lane, summary};
use crate::time;

/// Lays `new` over `old`. `complete` says that whatever is not in `new` is gone from the sources.
pub(crate) fn seller(
    old: Option<&SellerForm>,
    new: SellerForm,
    on: Timestamp,
    complete: bool,
    changes: &mut Vec<Change>,
) -> SellerForm {
    let nothing = SellerForm::default();
    let mut overlay = Overlay {
        old: old.unwrap_or(&nothing),
        on,
        log: Log { seller: new.seller.clone(), changes },
        models: Vec::new(),
        ids: BTreeMap::new(),
        parts_of: BTreeMap::new(),
    };
    for model in &new.model {
        overlay.model(model);
    }
    overlay.leave_the_rest(complete);
    let alias = overlay.aliases(&new.alias);
    let mut model = overlay.models;
    model.sort_by(|a, b| a.id.cmp(&b.id));
    let charges_price_of = match new.charges_price_of.is_empty() {
        true => overlay.old.charges_price_of.clone(),
        false => new.charges_price_of,
    };
    SellerForm { seller: new.seller, charges_price_of, model, alias }
}

struct Overlay<'a> {
    old: &'a SellerForm,
    on: Timestamp,
    log: Log<'a>,
    models: Vec<ModelForm>,
    /// What a new model is called in the result.
    ids: BTreeMap<String, String>,
    /// By old model, the results that have taken over names of it.
    parts_of: BTreeMap<usize, Vec<usize>>,
}

fn all_names(model: &ModelForm) -> impl Iterator<Item = &String> {
    std::iter::once(&model.id).chain(&model.names)
}

impl Overlay<'_> {
    fn owner(&self, name: &str) -> Option<usize> {
        self.old.model.iter().position(|model| all_names(model).any(|own| own == name))
    }

    /// A new model, or as many as there are old ones of its names: each name has its own past.
    fn model(&mut self, new: &ModelForm) {
        let mut parts: BTreeMap<Option<usize>, BTreeSet<&String>> = BTreeMap::new();
        for name in all_names(new) {
            parts.entry(self.owner(name)).or_default().insert(name);
        }
        let main = self.owner(&new.id).or_else(|| parts.keys().flatten().min().copied());
        let unowned = parts.remove(&None).unwrap_or_default();
        parts.entry(main).or_default().extend(unowned);
        for (owner, names) in parts {
            let old = owner.and_then(|owner| self.old.model.get(owner));
            let keeps_id = old.map(|old| &old.id).filter(|id| names.contains(*id));
            let id = match keeps_id {
                Some(id) => id.clone(),
                None if names.contains(&new.id) => new.id.clone(),
                None => {
                    names.iter().min_by_key(|n| n.len()).map(|n| (*n).clone()).unwrap_or_default()
                }
            };
            if owner == main {
                self.ids.insert(new.id.clone(), id.clone());
            }
            let price = match old {
                Some(old) => self.prices(&id, &old.price, &new.price),
                None => {
                    let first = new.price.first().map(summary).unwrap_or_default();
                    self.log.added(&id, new.price.len(), first);
                    new.price.clone()
                }
            };
            if let Some(old) = old {
                for name in names.iter().filter(|name| !all_names(old).any(|own| own == **name)) {
                    self.log.named(&id, name);
                }
            }
            let names = names.into_iter().filter(|name| **name != id).cloned().collect();
            if let Some(owner) = owner {
                self.parts_of.entry(owner).or_default().push(self.models.len());
            }
            self.models.push(ModelForm { id, names, price });
        }
    }

    /// Names and models that nobody speaks of any more stay.
    fn leave_the_rest(&mut self, complete: bool) {
        let taken: BTreeSet<String> = self.models.iter().flat_map(all_names).cloned().collect();
        for (index, old) in self.old.model.iter().enumerate() {
            let left: Vec<&String> = all_names(old).filter(|name| !taken.contains(*name)).collect();
            let heir = self.parts_of.get(&index).and_then(|parts| {
                parts.iter().copied().find(|part| self.models[*part].id == old.id)
            });
            match heir {
                Some(heir) => {
                    let names = &mut self.models[heir].names;
                    names.extend(left.into_iter().cloned());
                    names.sort();
                }
                None if left.is_empty() => {}
                None => {
                    let id = match left.contains(&&old.id) {
                        true => old.id.clone(),
                        false => left[0].clone(),
                    };
                    let names = left.iter().filter(|name| ***name != id);
                    let names = names.map(|name| (*name).clone()).collect();
                    if complete {
                        self.log.gone(&id);
                    }
                    self.models.push(ModelForm { id, names, price: old.price.clone() });
                }
            }
        }
    }

    fn prices(&mut self, model: &str, old: &[PriceForm], new: &[PriceForm]) -> Vec<PriceForm> {
        // In the order of the fresh rows; conditions that are gone come last.
        let mut lanes: Vec<String> = Vec::new();
        for row in new.iter().chain(old) {
            let lane = lane(row);
            if !lanes.contains(&lane) {
                lanes.push(lane);
            }
        }
        let mut rows = Vec::new();
        for name in lanes {
            let of = |rows: &[PriceForm]| -> Vec<PriceForm> {
                rows.iter().filter(|row| lane(row) == name).cloned().collect()
            };
            let (old, new) = (of(old), of(new));
            let result = follow(&old, &new, self.on);
            self.log.rows(model, &name, &old, &result);
            rows.extend(result);
        }
        rows
    }

    fn aliases(&mut self, new: &[AliasForm]) -> Vec<AliasForm> {
        let names: BTreeSet<&String> =
            self.old.alias.iter().chain(new).map(|alias| &alias.name).collect();
        let mut aliases = Vec::new();
        for name in names {
            let of = |aliases: &[AliasForm]| -> Vec<AliasForm> {
                aliases.iter().filter(|alias| alias.name == *name).cloned().collect()
            };
            let old = of(&self.old.alias);
            let mut new = of(new);
            for alias in &mut new {
                alias.model = self.ids.get(&alias.model).unwrap_or(&alias.model).clone();
            }
            let result = follow(&old, &new, self.on);
            if !old.is_empty() && !same_all(&old, &result) {
                self.log.alias(name, &result);
            }
            aliases.extend(result);
        }
        aliases
    }
}

/// Something that holds for a time.
pub(crate) trait Dated: Clone {
    fn from(&self) -> Option<Timestamp>;
    fn until(&self) -> Option<Timestamp>;
    fn set_from(&mut self, from: Option<Timestamp>);
    fn set_until(&mut self, until: Option<Timestamp>);
    fn says_the_same(&self, other: &Self) -> bool;

    /// Whether both hold for the same time and say the same.
    fn same(&self, other: &Self) -> bool {
        self.from() == other.from() && self.until() == other.until() && self.says_the_same(other)
    }
}

macro_rules! dated {
    ($type:ty, |$one:ident, $other:ident| $same:expr) => {
        impl Dated for $type {
            fn from(&self) -> Option<Timestamp> {
                self.from.as_deref().and_then(time::read)
            }
            fn until(&self) -> Option<Timestamp> {
                self.until.as_deref().and_then(time::read)
            }
            fn set_from(&mut self, from: Option<Timestamp>) {
                self.from = from.map(|at| at.to_string());
            }
            fn set_until(&mut self, until: Option<Timestamp>) {
                self.until = until.map(|at| at.to_string());
            }
            fn says_the_same(&self, other: &Self) -> bool {
                let ($one, $other) = (self, other);
                $same
            }
        }
    };
}

dated!(PriceForm, |one, other| content(one) == content(other));
dated!(AliasForm, |one, other| one.model == other.model);

fn same_all<T: Dated>(one: &[T], other: &[T]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.same(other))
}

/// What holds when: the old until the day of the import, the new from it on.
fn follow<T: Dated>(old: &[T], new: &[T], on: Timestamp) -> Vec<T> {
    if old.is_empty() || same_all(old, new) || only_adds_dates(old, new) {
        return new.to_vec();
    }
    if new.is_empty() {
        return old.to_vec();
    }
    let mut result: Vec<T> = Vec::new();
    for row in old.iter().filter(|row| row.from().is_none_or(|from| from < on)) {
        let mut row = row.clone();
        if row.until().is_none_or(|until| until > on) {
            row.set_until(Some(on));
        }
        result.push(row);
    }
    for row in new.iter().filter(|row| row.until().is_none_or(|until| until > on)) {
        let mut row = row.clone();
        if row.from().is_none_or(|from| from < on) {
            row.set_from(Some(on));
        }
        match result.last() {
            Some(last) if last.until() == row.from() && last.says_the_same(&row) => {
                row.set_from(last.from());
                result.pop();
                result.push(row);
            }
            _ => result.push(row),
        }
    }
    result
}

/// Whether the new begins as the old does, up to its open end, and dates what comes after.
fn only_adds_dates<T: Dated>(old: &[T], new: &[T]) -> bool {
    let Some((last, before)) = old.split_last() else { return false };
    let Some(continued) = new.get(before.len()) else { return false };
    same_all(before, &new[..before.len()])
        && last.until().is_none()
        && last.from() == continued.from()
        && last.says_the_same(continued)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `FROM..UNTIL input`.
    fn row(text: &str) -> PriceForm {
        let (span, input) = text.split_once(' ').unwrap();
        let (from, until) = span.split_once("..").unwrap();
        let day = |day: &str| time::read(&format!("2026-{day}"));
        let mut row = PriceForm { input: Some(input.to_owned()), ..PriceForm::default() };
        row.set_from(day(from));
        row.set_until(day(until));
        row
    }

    fn shown(row: &PriceForm) -> String {
        let day = |at: Option<Timestamp>| at.map(|at| at.to_string()[5..10].to_owned());
        let (from, until) = (day(row.from()), day(row.until()));
        let input = row.input.as_deref().unwrap_or_default();
        format!("{}..{} {input}", from.unwrap_or_default(), until.unwrap_or_default())
    }

    #[test]
    fn the_past_stays_and_the_sources_dates_are_believed() {
        let on = time::read("2026-06-01").unwrap();
        for (old, new, result) in [
            // Nothing changes.
            (vec![".. 1"], vec![".. 1"], vec![".. 1"]),
            // Nobody dates the change.
            (vec![".. 1"], vec![".. 2"], vec!["..06-01 1", "06-01.. 2"]),
            // A source dates it: in the past, and in the future.
            (vec![".. 1"], vec!["..05-15 1", "05-15.. 2"], vec!["..05-15 1", "05-15.. 2"]),
            (vec![".. 1"], vec!["..09-01 1", "09-01.. 2"], vec!["..09-01 1", "09-01.. 2"]),
            // A source has another past than ours: ours stays.
            (vec![".. 1"], vec!["..05-15 3", "05-15.. 2"], vec!["..06-01 1", "06-01.. 2"]),
            (vec!["..03-01 1", "03-01.. 2"], vec![".. 2"], vec!["..03-01 1", "03-01.. 2"]),
            // An announced change is taken back.
            (vec!["..09-01 1", "09-01.. 2"], vec![".. 1"], vec![".. 1"]),
            // A condition is gone.
            (vec![".. 1"], vec![], vec![".. 1"]),
            // The second import of a change on the same day is the first one's result.
            (vec!["..06-01 1", "06-01.. 2"], vec![".. 2"], vec!["..06-01 1", "06-01.. 2"]),
        ] {
            let rows = |texts: &[&str]| texts.iter().map(|text| row(text)).collect::<Vec<_>>();
            let followed = follow(&rows(&old), &rows(&new), on);
            let followed: Vec<String> = followed.iter().map(shown).collect();
            assert_eq!(followed, result, "{old:?} then {new:?}");
        }
    }

    fn model(id: &str, names: &[&str], input: &str) -> ModelForm {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let input = Some(input.to_owned());
        let price = vec![PriceForm { input, ..PriceForm::default() }];
        ModelForm { id: id.to_owned(), names, price }
    }

    fn over(old: Vec<ModelForm>, new: Vec<ModelForm>) -> Vec<String> {
        let on = time::read("2026-06-01").unwrap();
        let form = |model| SellerForm { model, ..SellerForm::default() };
        let result = seller(Some(&form(old)), form(new), on, true, &mut Vec::new());
        result
            .model
            .iter()
            .map(|model| {
                let rows: Vec<String> = model.price.iter().map(shown).collect();
                format!("{} {:?}: {}", model.id, model.names, rows.join(" | "))
            })
            .collect()
    }

    #[test]
    fn every_name_keeps_its_past() {
        // A dated name gets a price of its own.
        assert_eq!(
            over(
                vec![model("m", &["m-1"], "1")],
                vec![model("m", &[], "1"), model("m-1", &[], "2")]
            ),
            ["m []: .. 1", "m-1 []: ..06-01 1 | 06-01.. 2"]
        );
        // Two models become one.
        assert_eq!(
            over(
                vec![model("m", &[], "1"), model("m-1", &[], "2")],
                vec![model("m", &["m-1"], "1")]
            ),
            ["m []: .. 1", "m-1 []: ..06-01 2 | 06-01.. 1"]
        );
        // A name and a model that nobody speaks of any more.
        assert_eq!(
            over(vec![model("m", &["old"], "1"), model("n", &[], "3")], vec![model("m", &[], "1")]),
            ["m [\"old\"]: .. 1", "n []: .. 3"]
        );
    }
}
