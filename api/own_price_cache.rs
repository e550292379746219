//! Own prices as they are used, made from the store's entries once for each revision.
//!
//! Whoever asks for prices themselves gets them as of now: the store is asked for the revision each
//! time. What is on the way of every call (checks, reports, reservations) takes what was read
//! within the last second, or what is remembered while the store cannot be reached.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use domain::OrganizationId;
use prices::{OwnPrices, form::ModelForm};
use store::{
    StoreError,
    own_prices::{AllOwnPrices, OwnPrice, PriceOwner},
};
use tokio::time::{Duration, Instant};

use crate::{error::ApiError, state::AppState};

/// One owner's prices.
#[derive(Debug, Default)]
pub(crate) struct OwnBook {
    /// The prices.
    pub(crate) prices: OwnPrices,
    /// Which model has a name, by service and name.
    names: BTreeMap<(String, String), String>,
}

impl OwnBook {
    /// The model of `service` other than `but` that has a name.
    pub(crate) fn owner(&self, service: &str, name: &str, but: &str) -> Option<&str> {
        let owner = self.names.get(&(service.to_owned(), name.to_owned()))?;
        (owner != but).then_some(owner)
    }

    fn read(all: &AllOwnPrices) -> Result<OwnBook, StoreError> {
        let mut book = OwnBook::default();
        let ids: BTreeSet<_> = all
            .entries
            .iter()
            .map(|entry| (entry.service.as_str(), entry.model.as_str()))
            .collect();
        for entry in &all.entries {
            book.prices.add_service(&entry.service);
            let mut form = form_of(entry)?;
            // Two entries that were put at once may claim one name: its own entry has it, else the
            // first in order.
            form.names.retain(|name| {
                let key = (entry.service.clone(), name.clone());
                !ids.contains(&(entry.service.as_str(), name.as_str()))
                    && !book.names.contains_key(&key)
            });
            for name in form.names.iter().chain([&entry.model]) {
                book.names.insert((entry.service.clone(), name.clone()), entry.model.clone());
            }
            if form.price.is_empty() {
                continue;
            }
            // A price that is left out would be another price: better none at all.
            book.prices.add(&entry.service, &form).map_err(|problems| {
                let why = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                StoreError::corrupt(format!("own price `{}`: {why}", entry.key()))
            })?;
        }
        Ok(book)
    }
}

/// An entry as it was put.
pub(crate) fn form_of(entry: &OwnPrice) -> Result<ModelForm, StoreError> {
    serde_json::from_str(&entry.value).map_err(|error| {
        let key = entry.key();
        StoreError::corrupt(format!("own price `{key}` cannot be read")).caused_by(error)
    })
}

/// Own prices of the owners that asked last, each with its revision.
#[derive(Default)]
pub struct OwnPriceCache(Mutex<HashMap<Key, Remembered>>);

type Key = (OrganizationId, &'static str);
struct Remembered {
    revision: u64,
    book: Arc<OwnBook>,
    /// When the store was last asked; none where this process has changed them since.
    asked_at: Option<Instant>,
}

/// How old prices on the way of every call may be.
const RECENT: Duration = Duration::from_secs(1);

impl OwnPriceCache {
    const SIZE_MAX: usize = 100;

    /// The prices of `owner` as they are now.
    pub(crate) async fn book(
        &self,
        state: &AppState,
        owner: PriceOwner,
    ) -> Result<Arc<OwnBook>, ApiError> {
        let asked_at = Some(Instant::now());
        let revision = state.store.own_prices_revision(owner).await?;
        let key = (owner.organization, owner.environment.as_str());
        if let Some(book) = self.confirmed(key, revision, asked_at) {
            return Ok(book);
        }
        let all = state.store.all_own_prices(owner).await?;
        let revision = all.revision;
        let read = tokio::task::spawn_blocking(move || OwnBook::read(&all)).await;
        let book = Arc::new(read.map_err(ApiError::internal)??);
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if books.len() >= Self::SIZE_MAX && !books.contains_key(&key) {
            books.clear();
        }
        books.insert(key, Remembered { revision, book: Arc::clone(&book), asked_at });
        Ok(book)
    }

    /// The prices of `owner` as they were within the last second, without asking the store again. A
    /// change by this process counts at once.
    pub(crate) async fn recent_book(
        &self,
        state: &AppState,
        owner: PriceOwner,
    ) -> Result<Arc<OwnBook>, ApiError> {
        let key = (owner.organization, owner.environment.as_str());
        let remembered = {
            let books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            books.get(&key).map(|found| (Arc::clone(&found.book), found.asked_at))
        };
        match remembered {
            Some((book, Some(asked_at))) if asked_at.elapsed() < RECENT => Ok(book),
            Some((book, _)) => Ok(self.book(state, owner).await.unwrap_or(book)),
            None => self.book(state, owner).await,
        }
    }

    /// This process changed the owner's prices: the next call asks the store.
    pub(crate) fn changed(&self, owner: PriceOwner) {
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = books.get_mut(&(owner.organization, owner.environment.as_str())) {
            found.asked_at = None;
        }
    }

    fn confirmed(
        &self,
        key: Key,
        revision: u64,
        asked_at: Option<Instant>,
    ) -> Option<Arc<OwnBook>> {
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = books.get_mut(&key).filter(|found| found.revision == revision)?;
        found.asked_at = asked_at;
        Some(Arc::clone(&found.book))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn entry(service: &str, model: &str, value: &str) -> OwnPrice {
        let (service, model, value) = (service.to_owned(), model.to_owned(), value.to_owned());
        OwnPrice { service, model, value, updated_at: Timestamp::UNIX_EPOCH }
    }

    fn read(entries: Vec<OwnPrice>) -> Result<OwnBook, StoreError> {
        OwnBook::read(&AllOwnPrices { revision: 1, entries })
    }

    #[test]
    fn a_name_that_two_entries_claim_belongs_to_its_own_entry() {
        let row = r#""price":[{"input":"1","output":"2"}]"#;
        let claims = |id, name| format!(r#"{{"id":"{id}","names":["{name}"],{row}}}"#);
        let book = read(vec![
            entry("acme", "a", &claims("a", "b")),
            entry("acme", "b", &claims("b", "c")),
            entry("acme", "d", &claims("d", "c")),
            entry("other", "x", &claims("x", "a")),
        ])
        .unwrap();
        let now = Timestamp::UNIX_EPOCH;
        for (service, name, model) in
            [("acme", "a", "a"), ("acme", "b", "b"), ("acme", "c", "b"), ("other", "a", "x")]
        {
            let found = book.prices.rated(service, name, None, now).unwrap();
            assert_eq!(found.1.id, model, "{service} {name}");
            assert_eq!(book.owner(service, name, ""), Some(model));
        }
        assert_eq!(book.owner("acme", "c", "b"), None, "itself is no other");
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_an_error_and_no_other_price() {
        for value in ["", "{}x", r#"{"id":"m","price":[{"input":"-1"}]}"#, r#"{"new":1}"#] {
            let error = read(vec![entry("acme", "m", value)]).unwrap_err();
            assert!(error.to_string().contains("`acme/m`"), "{value}: {error}");
        }
    }

    #[test]
    fn a_service_without_rows_is_known() {
        let book = read(vec![entry("acme", "*", r#"{"id":"*"}"#)]).unwrap();
        assert!(book.prices.has_service("acme"));
    }
}
