//! Was this event seen before, with which body, at which position of the journal?
//!
//! Begin with [`IdIndex`]: it knows an environment's runs of ids by their headers and filters,
//! and says which pages of which runs a look-up must read; mostly none. [`RunBuilder`] makes a
//! run of each projected chunk, [`merge_policy`] says which runs to unite or drop, [`merge_runs`]
//! unites them. Nothing here reads a store or a clock.

mod filter;
mod id_index;
mod id_run;
mod identity;
mod merge;
mod run_writer;

pub use filter::Filter;
pub use id_index::{Candidate, IdIndex, IndexError, LoadedRun, Lookup};
pub use id_run::{
    Entry, PAGE_ENTRIES, RUN_FIXED_BYTES, RUN_IDS_MAX, RunError, RunHeader, RunMeta, Seen,
};
pub use identity::{BodyHash, DAY_MICROS, HORIZON_DAYS, HORIZON_MICROS, Identity, OwnDay, own_day};
pub use merge::{
    MERGE_FAN_IN_MAX, MERGE_RUNS_MIN, MERGE_SPAN_MICROS_MAX, expires_at_micros, merge_policy,
    merge_runs,
};
pub use run_writer::{BuiltRun, RunBuilder};
