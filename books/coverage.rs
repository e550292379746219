//! Which of several tellings of an account's day counts.
//!
//! Within a source, a newer generation replaces an older one: each feed of a connection by itself,
//! and all files of an account together. Charges belong to the account, so a connection made anew
//! goes on replacing what the former one told. Then one source is chosen for the day: the
//! connection where it has finished with the day, else the newest file, else the connection as far
//! as it has come. What does not count stays readable as superseded; nothing is ever added twice.

use std::collections::BTreeMap;

use domain::{Account, Feed};
use jiff::civil::Date;

/// What one stored block covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The account that was billed.
    pub account: Account,
    /// The feed that told it.
    pub feed: Feed,
    /// The UTC day.
    pub day: Date,
    /// Its batch's place in the order of commits; all blocks of one batch have the same.
    pub generation: u64,
    /// Whether it came from a file rather than a connection.
    pub is_file: bool,
    /// Whether the provider has finished with this day.
    pub is_complete: bool,
}

/// Whether a slice counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the totals.
    Counts,
    /// A newer generation, or a better source, has taken its place.
    Superseded,
}

#[derive(Default)]
struct Day<'a> {
    /// Newest generation of each feed, and whether it is complete.
    feeds: BTreeMap<&'a Feed, (u64, bool)>,
    /// Newest generation of any file.
    file: Option<u64>,
}

impl Day<'_> {
    fn counts(&self, slice: &Slice) -> bool {
        let is_polled = !self.feeds.is_empty();
        let is_finished = is_polled && self.feeds.values().all(|(_, is_complete)| *is_complete);
        let file_counts = self.file.is_some() && !is_finished;
        match slice.is_file {
            true => file_counts && self.file == Some(slice.generation),
            false => {
                let newest = self.feeds.get(&slice.feed).map(|(generation, _)| *generation);
                !file_counts && newest == Some(slice.generation)
            }
        }
    }
}

/// The verdict on each slice, in the order given.
#[must_use]
pub fn verdicts(slices: &[Slice]) -> Vec<Verdict> {
    let mut days: BTreeMap<(&Account, Date), Day<'_>> = BTreeMap::new();
    for slice in slices {
        let day = days.entry((&slice.account, slice.day)).or_default();
        match slice.is_file {
            true => day.file = day.file.max(Some(slice.generation)),
            false => {
                let told = (slice.generation, slice.is_complete);
                let newest = day.feeds.entry(&slice.feed).or_insert(told);
                if slice.generation >= newest.0 {
                    *newest = told;
                }
            }
        }
    }
    let verdict = |slice: &Slice| match days[&(&slice.account, slice.day)].counts(slice) {
        true => Verdict::Counts,
        false => Verdict::Superseded,
    };
    slices.iter().map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ProviderId;
    use jiff::civil::date;

    /// `costs 3 complete`: the costs feed, generation 3; `file 2`: a file, generation 2.
    fn slice(text: &str) -> Slice {
        let words: Vec<_> = text.split(' ').collect();
        let provider = ProviderId::parse("openai").unwrap();
        Slice {
            account: Account { provider, id: "org".into() },
            feed: Feed::parse(words[0]).unwrap(),
            day: date(2026, 11, 1),
            generation: words[1].parse().unwrap(),
            is_file: words[0] == "file",
            is_complete: words.get(2) == Some(&"complete"),
        }
    }

    #[test]
    fn one_source_counts_for_an_accounts_day() {
        for (told, counting) in [
            ("costs 1", "costs 1"),
            ("file 1", "file 1"),
            // The newest file replaces the older ones whole.
            ("file 1, file 3, file 2", "file 3"),
            // A restatement replaces; each feed by itself.
            ("costs 1, costs 4, usage 2", "costs 4, usage 2"),
            // A finished connection is better than any file, however new.
            ("costs 1 complete, file 2", "costs 1 complete"),
            // Until the provider has finished, the file is better.
            ("costs 1, file 2", "file 2"),
            ("costs 1 complete, usage 2, file 3", "file 3"),
            // Completeness is the newest generation's, not an older one's.
            ("costs 1 complete, costs 2, file 3", "file 3"),
            ("costs 1, costs 2 complete, file 3", "costs 2 complete"),
        ] {
            let slices: Vec<_> = told.split(", ").map(slice).collect();
            let found: Vec<_> = verdicts(&slices)
                .into_iter()
                .zip(told.split(", "))
                .filter_map(|(verdict, text)| (verdict == Verdict::Counts).then_some(text))
                .collect();
            assert_eq!(found.join(", "), counting, "of {told}");
        }
    }

    #[test]
    fn days_and_accounts_are_decided_apart() {
        let polled = slice("costs 1 complete");
        let other_day = Slice { day: date(2026, 11, 2), ..slice("file 2") };
        let mut other_account = slice("file 3");
        other_account.account.id = "another".into();
        assert_eq!(verdicts(&[polled, other_day, other_account]), [Verdict::Counts; 3]);
    }
}
