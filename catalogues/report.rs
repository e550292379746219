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
        writeln!(f, "{}", self.totals())
    }
}

impl Proposal {
    /// What of the sources is not taken over, and why: one line for each figure or row, under its
    /// seller.
    #[must_use]
    pub fn refusals(&self) -> String {
        let (mut text, mut seller) = (String::new(), "");
        for refused in &self.refused {
            if refused.seller != seller {
                text.push_str(&format!("{}, refused\n", refused.seller));
                seller = &refused.seller;
            }
            text.push_str(&format!("  {refused}\n"));
        }
        text
    }

    /// How much of what: `3 models added, 1 rate changed, …, 84 figures or rows refused`.
    #[must_use]
    pub fn totals(&self) -> String {
        let count =
            |is: fn(&Kind) -> bool| self.changes.iter().filter(|change| is(&change.kind)).count();
        let many = |count: usize, what: &str, how: &str| match count {
            1 => format!("1 {what} {how}"),
            _ => format!("{count} {what}s {how}"),
        };
        let added = count(|kind| matches!(kind, Kind::Added { .. }));
        let changed = count(|kind| matches!(kind, Kind::Changed { .. }));
        let gone = count(|kind| matches!(kind, Kind::Gone));
        let disputed = count(|kind| matches!(kind, Kind::Disputed { .. }));
        let others = self.changes.len() - added - changed - gone - disputed;
        let other = if others == 1 { "other change" } else { "other changes" };
        format!(
            "{}, {}, {others} {other}, {disputed} newly disputed, {}, {} figures or rows refused",
            many(added, "model", "added"),
            many(changed, "rate", "changed"),
            many(gone, "model", "gone"),
            self.refused.len()
        )
    }

    /// Whether every price stays as it is. Models that are gone from the sources keep theirs.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.changes.iter().all(|change| matches!(change.kind, Kind::Gone))
    }
}
