//! What an import changes, in lines that a person who knows prices can read.

use std::collections::BTreeMap;
use std::fmt;

use prices::form::{AliasForm, DisputeForm, PriceForm};

use crate::content::{content, summary};
use crate::reconcile::Dated;

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The seller.
    pub seller: String,
    /// The model, or a name that means several.
    pub model: String,
    /// What happens to it.
    pub kind: Kind,
}

/// What happens to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The model is new.
    Added {
        /// How many price rows it has.
        rows: usize,
        /// Its list price.
        price: String,
    },
    /// The model is known by one more name.
    Named {
        /// The name.
        name: String,
    },
    /// There is a price for a condition or a time that had none.
    RowAdded {
        /// The condition; empty for the list price.
        condition: String,
        /// From when on; from the beginning if absent.
        from: Option<String>,
        /// Its rates.
        price: String,
    },
    /// A rate changes.
    Changed {
        /// The condition; empty for the list price.
        condition: String,
        /// Which rate: `input`, `output over 272000`.
        rate: String,
        /// What it was; absent if there was none.
        was: Option<String>,
        /// What it becomes; absent if there is none any more.
        becomes: Option<String>,
        /// From when on; from the beginning if absent.
        from: Option<String>,
    },
    /// A price ends and none follows.
    Closed {
        /// The condition; empty for the list price.
        condition: String,
        /// When it ends.
        until: String,
    },
    /// Another source gives another figure than the one in force, and did not before.
    Disputed {
        /// The condition; empty for the list price.
        condition: String,
        /// Which rate, what the other source says, and which source it is.
        dispute: DisputeForm,
    },
    /// A name means other models than it did.
    Realiased {
        /// What it means now, in the order of time.
        models: Vec<String>,
    },
    /// The sources no longer speak of it. Its prices stay in force.
    Gone,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |condition: &str| match condition {
            "" => String::new(),
            condition => format!("{condition}: "),
        };
        let since = |from: &Option<String>| match from {
            Some(from) => format!(" from {from}"),
            None => String::new(),
        };
        match self {
            Self::Added { rows: 1, price } => write!(f, "+ new: {price}"),
            Self::Added { rows, price } => write!(f, "+ new, {rows} rows: {price}"),
            Self::Named { name } => write!(f, "+ name {name}"),
            Self::RowAdded { condition, from, price } => {
                write!(f, "+ {}{price}{}", of(condition), since(from))
            }
            Self::Changed { condition, rate, was, becomes, from } => {
                let (was, becomes) =
                    (was.as_deref().unwrap_or("none"), becomes.as_deref().unwrap_or("none"));
                write!(f, "~ {}{rate} {was} -> {becomes}{}", of(condition), since(from))
            }
            Self::Closed { condition, until } => write!(f, "- {}ends {until}", of(condition)),
            Self::Disputed { condition, dispute } => {
                let figure = dispute.figure.as_deref().unwrap_or("none");
                write!(f, "? {}{}: {} says {figure}", of(condition), dispute.rate, dispute.source)
            }
            Self::Realiased { models } => write!(f, "~ now means {}", models.join(", then ")),
            Self::Gone => f.write_str("- gone from the sources; its prices stay in force"),
        }
    }
}

/// Collects the changes of one seller.
pub(crate) struct Log<'a> {
    pub(crate) seller: String,
    pub(crate) changes: &'a mut Vec<Change>,
}

impl Log<'_> {
    fn push(&mut self, model: &str, kind: Kind) {
        let (seller, model) = (self.seller.clone(), model.to_owned());
        self.changes.push(Change { seller, model, kind });
    }

    pub(crate) fn added(&mut self, model: &str, rows: usize, price: String) {
        self.push(model, Kind::Added { rows, price });
    }

    pub(crate) fn named(&mut self, model: &str, name: &str) {
        self.push(model, Kind::Named { name: name.to_owned() });
    }

    pub(crate) fn gone(&mut self, model: &str) {
        self.push(model, Kind::Gone);
    }

    pub(crate) fn alias(&mut self, name: &str, meanings: &[AliasForm]) {
        let models = meanings.iter().map(|alias| alias.model.clone()).collect();
        self.push(name, Kind::Realiased { models });
    }

    /// What is different in a lane: row by row, each with what held before at its beginning.
    pub(crate) fn rows(
        &mut self,
        model: &str,
        condition: &str,
        old: &[PriceForm],
        new: &[PriceForm],
    ) {
        let condition = condition.to_owned();
        for (index, row) in new.iter().enumerate() {
            let from = row.from.clone();
            let before = old.iter().find(|old| holds_at_start(old, row));
            let Some(before) = before else {
                let price = summary(row);
                let (condition, from) = (condition.clone(), from.clone());
                self.push(model, Kind::RowAdded { condition, from, price });
                continue;
            };
            let (was, becomes) = (content(before), content(row));
            let keys: BTreeMap<&String, ()> =
                was.keys().chain(becomes.keys()).map(|key| (key, ())).collect();
            for key in keys.into_keys().filter(|key| was.get(*key) != becomes.get(*key)) {
                self.push(
                    model,
                    Kind::Changed {
                        condition: condition.clone(),
                        rate: key.clone(),
                        was: was.get(key).cloned(),
                        becomes: becomes.get(key).cloned(),
                        from: from.clone(),
                    },
                );
            }
            for dispute in row.disputed.iter().filter(|own| !before.disputed.contains(own)) {
                if was == becomes && !disputed_alike(before, dispute) {
                    let (condition, dispute) = (condition.clone(), dispute.clone());
                    self.push(model, Kind::Disputed { condition, dispute });
                }
            }
            let ends = row.until.clone().filter(|_| index + 1 == new.len());
            if let Some(until) = ends.filter(|_| before.until.is_none()) {
                self.push(model, Kind::Closed { condition: condition.clone(), until });
            }
        }
    }
}

/// Whether another version of the same source said the same before.
fn disputed_alike(before: &PriceForm, dispute: &DisputeForm) -> bool {
    let catalogue = |source: &str| source.split(' ').next().unwrap_or_default().to_owned();
    before.disputed.iter().any(|own| {
        own.rate == dispute.rate
            && own.figure == dispute.figure
            && catalogue(&own.source) == catalogue(&dispute.source)
    })
}

fn holds_at_start(old: &PriceForm, row: &PriceForm) -> bool {
    let old_from = Dated::from(old);
    let old_until = Dated::until(old);
    match Dated::from(row) {
        None => old_from.is_none(),
        Some(at) => {
            old_from.is_none_or(|from| from <= at) && old_until.is_none_or(|until| at < until)
        }
    }
}
