//! End users on their way in and out: numbers for what is booked, external ids for what is shown.
//!
//! Numbers that were given a moment ago are remembered, and a batch asks the store once for all the
//! others: so few reports ask at all.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use domain::OrganizationId;
use store::{Result, Store, journal::Shard};
use tokio::time::Instant;

use crate::{auth::Caller, error::ApiError, state::AppState, usage_events::shard_of};

/// How many numbers the store is asked at once.
const NAMES_AT_ONCE: usize = 1000;
/// Stands before the number of an end user whom nobody knows any more.
const ERASED: &str = "erased:";
/// The number that no end user has.
const NOBODY: u64 = 0;

/// Numbers of the end users of one batch, by external id.
#[derive(Debug, Default)]
pub(crate) struct EndUserNumbers(BTreeMap<String, u64>);

impl EndUserNumbers {
    pub(crate) fn number_of(&self, external_id: &str) -> Option<u64> {
        self.0.get(external_id).copied()
    }
}

/// Numbers that were asked for lately. Somebody who is forgotten may be booked under the old number
/// for as long as it is remembered: nobody can tell any more whose it was.
#[derive(Default)]
pub struct EndUserCache(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    numbers: HashMap<Owner, HashMap<String, (Instant, u64)>>,
    count: usize,
}

type Owner = (OrganizationId, &'static str);

impl EndUserCache {
    const AGE_MAX: Duration = Duration::from_secs(60);
    const SIZE_MAX: usize = 100_000;

    /// The numbers of end users; whoever has none gets one.
    pub(crate) async fn numbers(
        &self,
        state: &AppState,
        caller: &Caller,
        external_ids: BTreeSet<String>,
    ) -> std::result::Result<EndUserNumbers, ApiError> {
        let now = Instant::now();
        let owner = (caller.organization, caller.environment.as_str());
        let (mut numbers, unknown) = self.remembered(owner, external_ids, now);
        if !unknown.is_empty() {
            let given = state.store.end_user_numbers(shard_of(caller), &unknown).await?;
            let given: Vec<_> = unknown.into_iter().zip(given).collect();
            self.remember(owner, &given, now);
            numbers.extend(given);
        }
        Ok(EndUserNumbers(numbers))
    }

    fn remembered(
        &self,
        owner: Owner,
        external_ids: BTreeSet<String>,
        now: Instant,
    ) -> (BTreeMap<String, u64>, Vec<String>) {
        let (mut numbers, mut unknown) = (BTreeMap::new(), vec![]);
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = remembered.numbers.get(&owner);
        for id in external_ids {
            match known.and_then(|known| known.get(&id)) {
                Some((at, number)) if now.duration_since(*at) < Self::AGE_MAX => {
                    numbers.insert(id, *number);
                }
                _ => unknown.push(id),
            }
        }
        (numbers, unknown)
    }

    /// The age counts from before the store was asked, so the limit holds whatever it took.
    fn remember(&self, owner: Owner, given: &[(String, u64)], now: Instant) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.count.saturating_add(given.len()) > Self::SIZE_MAX {
            *remembered = Remembered::default();
        }
        let Remembered { numbers, count } = &mut *remembered;
        let known = numbers.entry(owner).or_default();
        for (id, number) in given {
            let is_new = known.insert(id.clone(), (now, *number)).is_none();
            *count = count.saturating_add(usize::from(is_new));
        }
    }
}

/// External ids of end users, by number.
#[derive(Debug, Default)]
pub(crate) struct EndUserNames(BTreeMap<u64, String>);

impl EndUserNames {
    /// Looks up whose numbers these are.
    pub(crate) async fn of(
        store: &dyn Store,
        shard: Shard,
        numbers: BTreeSet<u64>,
    ) -> Result<EndUserNames> {
        let numbers: Vec<_> = numbers.into_iter().collect();
        let mut names = BTreeMap::new();
        for some in numbers.chunks(NAMES_AT_ONCE) {
            let found = store.end_user_names(shard, some).await?;
            let named = some.iter().zip(found).filter_map(|(number, name)| Some((*number, name?)));
            names.extend(named);
        }
        Ok(EndUserNames(names))
    }

    /// How an end user is shown: by the external id, or as `erased:NUMBER`.
    pub(crate) fn shown(&self, number: u64) -> String {
        self.0.get(&number).cloned().unwrap_or_else(|| format!("{ERASED}{number}"))
    }
}

/// The number that a filter asks for, by what is shown. Whom nobody knows has nothing.
pub(crate) async fn asked_number(store: &dyn Store, shard: Shard, shown: &str) -> Result<u64> {
    if let Some(number) = store.find_end_user(shard, shown).await? {
        return Ok(number);
    }
    let erased = shown.strip_prefix(ERASED).and_then(|number| number.parse().ok());
    Ok(erased.unwrap_or(NOBODY))
}
