//! From the journal to the tables, without I/O: the same entries always become the same bytes.
//!
//! Begin with [`project`]: it follows entries with a copy of the state and gathers what they
//! become: events ([`event_block`]), their sums ([`sum_block`]), ids, windows, crossings, what is
//! audited. [`Base`] reads sums back for a policy that was made in the middle of its window.

mod base;
mod crossing;
pub mod event_block;
mod event_id;
mod gather;
mod project;
mod row_columns;
mod run_record;
mod sealed;
pub mod sum_block;
mod sum_merge;

pub use base::{Base, base};
pub use crossing::Crossing;
pub use event_block::{EndedRow, EventBlock, EventRow, find_ended};
pub use event_id::{EventPlace, event_id, event_place};
pub use project::{Chunk, EFFECTS_MAX, ENTRY_BYTES_MAX, Room, project};
pub use run_record::{
    entries_of, event_day, event_identity, late_commit_identity, load_run, reservation_identity,
    run_record,
};
pub use sealed::FactsError;
pub use sum_block::{Sum, SumKey, SumKind, Sums, merge_sums};
pub use sum_merge::{SUM_BLOCKS_MAX, SUM_BLOCKS_MIN, SUM_ROWS_MAX, SumBlockSize, sums_to_merge};
