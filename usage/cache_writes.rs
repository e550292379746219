//! Cache writes that live five minutes, and those that live an hour and cost more.
//!
//! The flat count holds both. A split counts only where both halves are said: half of one would
//! price the other half by guessing.

use crate::{
    draft::Draft,
    error::RawUsageError,
    reading::FlagKind,
    wire::{Figure, plus, sum},
};

/// All cache writes, and those that live an hour.
#[derive(Debug, Default)]
pub(crate) struct CacheWrites {
    pub(crate) all: Option<Figure>,
    pub(crate) hour: Option<Figure>,
}

impl CacheWrites {
    /// The flat count with its split. Without a split they are five-minute writes at least.
    pub(crate) fn of_split(
        flat: Option<Figure>,
        five: Option<Figure>,
        hour: Option<Figure>,
        draft: &mut Draft,
    ) -> Result<CacheWrites, RawUsageError> {
        let is_split = five.is_some() && hour.is_some();
        let split = sum([&five, &hour]);
        let at = hour.as_ref().or(five.as_ref()).map(|figure| figure.at.clone());
        let all = match (flat, at) {
            (Some(flat), Some(at)) => {
                let is_wrong = split > flat.count || (is_split && split != flat.count);
                if is_wrong {
                    let detail = format!("the split is {split}, `{}` is {}", flat.at, flat.count);
                    draft.contradict(&at, &detail)?;
                }
                Some(Figure { count: flat.count.max(split), ..flat })
            }
            (None, Some(at)) => Some(Figure { count: split, at }),
            (flat, None) => flat,
        };
        if let Some(all) = all.as_ref().filter(|all| all.count > 0 && !is_split) {
            let detail = "how long cache writes live is not said: five minutes at least";
            draft.note(FlagKind::LowerBound, &all.at, detail);
        }
        Ok(CacheWrites { all, hour: hour.filter(|_| is_split) })
    }

    pub(crate) fn plus(self, other: CacheWrites) -> CacheWrites {
        CacheWrites { all: plus(self.all, other.all), hour: plus(self.hour, other.hour) }
    }
}
