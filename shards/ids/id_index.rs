//! An environment's runs of ids, as far as they are kept in memory: headers and filters.
//!
//! It says which runs may have an identity; the caller reads the page of each from the store and
//! asks the run. A clone is cheap and never changes, so one clone is one snapshot: what it answers
//! holds at the journal position [`IdIndex::as_of`].

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use super::{
    Filter, HORIZON_MICROS, Identity, RunError, RunHeader, Seen, expires_at_micros, filter::Probe,
};

/// Which runs may have an identity.
#[derive(Debug, Clone, Default)]
pub struct IdIndex {
    as_of: u64,
    /// In the order of their positions.
    runs: Vec<Arc<LoadedRun>>,
}

/// A run whose pages lie in the store.
#[derive(Debug, Clone)]
pub struct LoadedRun {
    key: u64,
    header: RunHeader,
    filter: Filter,
}

/// What to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookup {
    /// Which event.
    pub identity: Identity,
    /// The own day of its id, if it has one.
    pub v7_day: Option<u32>,
}

/// A run that may have one of the identities asked for.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Which of the look-ups.
    pub index: usize,
    /// Where to look.
    pub run: &'a LoadedRun,
}

/// Why the list of runs was left as it was. Whoever meets one loads the index from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The index does not have a run that was to go.
    #[error("id run `{key}` is not in the index: load the index again")]
    Unknown {
        /// The run's key in the store.
        key: u64,
    },
    /// The index already has a run under the key.
    #[error("id run `{key}` is in the index already: load the index again")]
    Known {
        /// The run's key in the store.
        key: u64,
    },
    /// A run was to go while its ids are needed and no added run covers them.
    #[error("id run `{key}` is still needed: merge it or wait until it expires")]
    Needed {
        /// The run's key in the store.
        key: u64,
    },
    /// Two runs cover the same journal positions.
    #[error("id run `{key}` overlaps with another: load the index again")]
    Overlap {
        /// The later run's key in the store.
        key: u64,
    },
    /// The index would go back, or not reach a run of its own.
    #[error("an id index cannot be as of position {as_of}: load the index again")]
    OutOfStep {
        /// The position that was asked for.
        as_of: u64,
    },
}

impl IdIndex {
    /// The index of all runs of an environment, in any order, projected up to `as_of`.
    ///
    /// # Errors
    /// `Known`, `Overlap`, `OutOfStep`.
    pub fn new(as_of: u64, runs: Vec<LoadedRun>) -> Result<IdIndex, IndexError> {
        let mut index = IdIndex::default();
        // Nothing is removed, so no clock is needed.
        index.replace(&[], runs, as_of, i64::MIN)?;
        Ok(index)
    }

    /// The runs that may have an identity, newest first; most often none. A `UUIDv7` is looked up
    /// where its own day is; any other id in every run with such ids that arrived within the
    /// horizon before `now_micros`.
    pub fn candidates(&self, lookup: Lookup, now_micros: i64) -> impl Iterator<Item = &LoadedRun> {
        let runs = self.runs.iter().rev().map(Arc::as_ref);
        let probe = Probe::of(&lookup.identity);
        runs.filter(move |run| run.may_be_in_time(lookup.v7_day, now_micros))
            .filter(move |run| run.filter.passes(&probe))
    }

    /// The runs that may have any of several identities, newest run first: what
    /// [`IdIndex::candidates`] says, in less time, and together for each run.
    #[must_use]
    pub fn candidates_of(&self, lookups: &[Lookup], now_micros: i64) -> Vec<Candidate<'_>> {
        let probes: Vec<_> = lookups.iter().map(|lookup| Probe::of(&lookup.identity)).collect();
        let mut found = Vec::new();
        for run in self.runs.iter().rev().map(Arc::as_ref) {
            for (index, (lookup, probe)) in lookups.iter().zip(&probes).enumerate() {
                if run.may_be_in_time(lookup.v7_day, now_micros) && run.filter.passes(probe) {
                    found.push(Candidate { index, run });
                }
            }
        }
        found
    }

    /// Takes runs out and others in, after a projected chunk, a merge, or an expiry; on an error
    /// nothing has changed. A run may go when an added one covers its positions, or when it has
    /// expired at `now_micros`. Done a second time it is `Unknown` or `Known`.
    ///
    /// # Errors
    /// All of [`IndexError`].
    pub fn replace(
        &mut self,
        removed: &[u64],
        added: Vec<LoadedRun>,
        as_of: u64,
        now_micros: i64,
    ) -> Result<(), IndexError> {
        for key in removed {
            let run = self.runs.iter().find(|run| run.key == *key);
            let run = run.ok_or(IndexError::Unknown { key: *key })?;
            let is_covered = added.iter().any(|other| other.covers(run));
            if !is_covered && now_micros <= expires_at_micros(&run.header) {
                return Err(IndexError::Needed { key: *key });
            }
        }
        let kept = self.runs.iter().filter(|run| !removed.contains(&run.key));
        let mut runs: Vec<_> = kept.cloned().chain(added.into_iter().map(Arc::new)).collect();
        runs.sort_by_key(|run| run.header.meta().from);
        self.verify(&runs, as_of)?;
        self.runs = runs;
        self.as_of = as_of;
        Ok(())
    }

    /// The journal position up to which ids are in the index.
    #[must_use]
    pub fn as_of(&self) -> u64 {
        self.as_of
    }

    /// The runs in the order of their positions, as a merge policy wants them.
    #[must_use]
    pub fn runs(&self) -> &[Arc<LoadedRun>] {
        &self.runs
    }

    /// The keys of the runs that nobody needs any more at `now_micros`.
    #[must_use]
    pub fn expired(&self, now_micros: i64) -> Vec<u64> {
        let is_expired = |run: &&Arc<LoadedRun>| now_micros > expires_at_micros(&run.header);
        self.runs.iter().filter(is_expired).map(|run| run.key).collect()
    }

    /// How many bytes of memory the index takes, its filters foremost.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of_run = |run: &Arc<LoadedRun>| run.header.bytes() + run.filter.bytes();
        size_of::<IdIndex>() + self.runs.iter().map(of_run).sum::<usize>()
    }

    fn verify(&self, runs: &[Arc<LoadedRun>], as_of: u64) -> Result<(), IndexError> {
        let mut keys = BTreeSet::new();
        let mut covered_to = 0;
        for run in runs {
            let key = run.key;
            if !keys.insert(key) {
                return Err(IndexError::Known { key });
            }
            if run.header.meta().from < covered_to {
                return Err(IndexError::Overlap { key });
            }
            covered_to = run.header.meta().to;
        }
        if as_of < self.as_of || as_of < covered_to {
            return Err(IndexError::OutOfStep { as_of });
        }
        Ok(())
    }
}

impl LoadedRun {
    /// A run that the store keeps under `key`.
    ///
    /// # Errors
    /// `DamagedFilter` where the filter is another run's.
    pub fn new(key: u64, header: RunHeader, filter: Filter) -> Result<LoadedRun, RunError> {
        if !filter.is_of(&header) {
            return Err(RunError::DamagedFilter);
        }
        Ok(LoadedRun { key, header, filter })
    }

    /// The run's key in the store.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The run's header.
    #[must_use]
    pub fn header(&self) -> &RunHeader {
        &self.header
    }

    /// Which bytes of the run to read for an identity; `None` where the run does not have it.
    #[must_use]
    pub fn page_of(&self, identity: &Identity) -> Option<Range<usize>> {
        self.header.page_of(identity)
    }

    /// What was seen under an identity, from the bytes at [`LoadedRun::page_of`] it; `None` where
    /// the filter had let a foreign one through.
    ///
    /// # Errors
    /// `DamagedPage`.
    pub fn resolve(&self, page: &[u8], identity: &Identity) -> Result<Option<Seen>, RunError> {
        self.header.find_in_page(page, identity)
    }

    fn may_be_in_time(&self, v7_day: Option<u32>, now_micros: i64) -> bool {
        let meta = self.header.meta();
        match v7_day {
            Some(day) => meta.v7_days.is_some_and(|(first, last)| first <= day && day <= last),
            None => {
                let oldest = now_micros.saturating_sub(HORIZON_MICROS);
                meta.has_other && meta.arrived_at_max_micros >= oldest
            }
        }
    }

    fn covers(&self, other: &LoadedRun) -> bool {
        let (own, other) = (self.header.meta(), other.header.meta());
        own.from <= other.from && other.to <= own.to
    }
}
