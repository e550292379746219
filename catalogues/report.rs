//! A proposal as text: one line for each changed rate, under its seller and model.

use std::fmt;

use crate::changes::Kind;
use crate::generate::Proposal;

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut seller, mut model) = ("", "");
        for change in &self.changes {
            if change.seller != seller {
                writeln!(f, "{}", change.seller)?;
                (seller, model) = (&change.seller, "");
            }
            if change.model != model {
                writeln!(f, "  {}", change.model)?;
                model = &change.model;
            }
            writeln!(f, "    {}", change.kind)?;
        }
        seller = "";
        for refused in &self.refused {
            if refused.seller != seller {
                writeln!(f, "{}, refused", refused.seller)?;
                seller = &refused.seller;
            }
            writeln!(f, "  {refused}")?;
        }
        writeln!(f, "{}", self.totals())
    }
}

impl Proposal {
    /// How much of what: `3 models added, 1 rate changed, 0 models gone, 84 figures refused`.
    #[must_use]
    pub fn totals(&self) -> String {
        let count =
            |is: fn(&Kind) -> bool| self.changes.iter().filter(|change| is(&change.kind)).count();
        let added = count(|kind| matches!(kind, Kind::Added { .. }));
        let changed = count(|kind| matches!(kind, Kind::Changed { .. }));
        let gone = count(|kind| matches!(kind, Kind::Gone));
        let disputed = count(|kind| matches!(kind, Kind::Disputed { .. }));
        let others = self.changes.len() - added - changed - gone - disputed;
        let refused = self.refused.len();
        format!(
            "{added} models added, {changed} rates changed, {others} other changes, \
             {disputed} newly disputed, {gone} models gone, {refused} figures or rows refused"
        )
    }

    /// Whether everything stays as it is.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.changes.is_empty()
    }
}
