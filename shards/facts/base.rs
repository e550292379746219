//! What a new policy's window had used before the policy was made, from sums of quarter hours.
//!
//! Never too little: a quarter hour that reaches into the window counts whole, and in a sliding
//! window it counts in the bucket of its last event, so that it is never forgotten early.

use std::collections::BTreeMap;

use domain::Path;
use engine::State;
use engine::calendar::{first_counted_bucket, sliding_bucket};
use engine::command::{Micros, PolicyNo, WindowNo};
use engine::policy::{Policy, Window};
use store::facts::{BlockQuery, FactsBlock};

use super::FactsError;
use super::sum_block::{QUARTER_MICROS, SumKey, Sums, quarter_of};

/// The number of the window that a policy is made with.
const FIRST_WINDOW: WindowNo = 0;

/// Sums up a policy's base, block by block.
pub struct Base<'a> {
    policy: &'a Policy,
    path: Path,
    /// The window; all that may still count of a sliding one.
    start: Micros,
    end: Micros,
    parts: BTreeMap<WindowNo, i128>,
}

/// The base of the policy with this number: what [`engine::Command::EnterBase`] enters, from the
/// blocks of sums that [`Base::query`] asks for.
///
/// # Errors
/// [`FactsError`] where a block is damaged.
pub fn base(
    blocks: &[FactsBlock],
    policy: PolicyNo,
    state: &State,
) -> Result<Vec<(WindowNo, i128)>, FactsError> {
    let Some(mut base) = Base::of(policy, state) else { return Ok(vec![]) };
    for block in blocks {
        base.add(block)?;
    }
    Ok(base.finish())
}

impl<'a> Base<'a> {
    /// Begins with what was counted since. `None` where nothing from before can count: the policy
    /// is gone, counts from its first use on, or its first window is over.
    ///
    /// Spend after the policy in its own journal entry is in the sums and was counted. It is told
    /// apart only while `state` is at that very entry; else it counts twice, on the safe side. So
    /// whoever makes batches ends one with the policy it makes.
    #[must_use]
    pub fn of(policy: PolicyNo, state: &'a State) -> Option<Base<'a>> {
        let policy = state.policy(policy)?;
        let path = Path::parse(&policy.record.path).ok()?;
        let is_of_its_entry = state.seq() == policy.made_seq;
        let (start, end, counted) = match policy.record.window {
            Window::Session(_) => return None,
            Window::Sliding(micros) => {
                let first = first_counted_bucket(micros, state.time());
                let counted = policy.buckets.iter().copied().collect();
                (first_instant_of(micros, first), Micros::MAX, counted)
            }
            Window::Calendar(_) | Window::Anchored(..) | Window::Total => {
                let open = policy.windows.iter().find(|open| open.number == FIRST_WINDOW)?;
                (open.start, open.end, vec![(FIRST_WINDOW, open.used)])
            }
        };
        let counted: Vec<(WindowNo, i128)> = counted;
        let since = counted.into_iter().filter(|_| is_of_its_entry);
        let parts = since.map(|(window, used)| (window, used.saturating_neg())).collect();
        Some(Base { policy, path, start, end, parts })
    }

    /// Which blocks of sums are needed, page by page: those up to the policy's own entry.
    #[must_use]
    pub fn query(&self, limit: usize) -> BlockQuery {
        BlockQuery {
            start: quarter_of(self.start).saturating_mul(QUARTER_MICROS),
            end: self.end,
            before_seq: self.policy.made_seq.saturating_add(1),
            limit,
        }
    }

    /// Adds a block. One that goes on after the policy was made adds nothing.
    ///
    /// # Errors
    /// [`FactsError`] where it is damaged.
    pub fn add(&mut self, block: &FactsBlock) -> Result<(), FactsError> {
        if block.last_seq > self.policy.made_seq {
            return Ok(());
        }
        let sums = Sums::decode(&block.bytes)?;
        for (key, sum) in sums.iter() {
            if !self.counts(key) {
                continue;
            }
            let window = match self.policy.record.window {
                Window::Sliding(micros) => {
                    sliding_bucket(micros, block.at_max.min(key.end().saturating_sub(1)))
                }
                _ => FIRST_WINDOW,
            };
            let part = self.parts.entry(window).or_default();
            *part = part.saturating_add(sum.of(self.policy.record.unit));
        }
        Ok(())
    }

    /// What each window, or bucket, had used; none that had used nothing.
    #[must_use]
    pub fn finish(self) -> Vec<(WindowNo, i128)> {
        self.parts.into_iter().filter(|(_, used)| *used != 0).collect()
    }

    fn counts(&self, key: &SumKey) -> bool {
        key.start() < self.end
            && key.end() > self.start
            && self.path.holds(&key.path)
            && self.policy.matches(&key.service, &key.model)
    }
}

/// The first instant of a bucket.
fn first_instant_of(micros: Micros, bucket: WindowNo) -> Micros {
    engine::calendar::bucket_end(micros, bucket.saturating_sub(1))
}
