//! Whatever is asked, in whatever order: the engine answers and counts as a slow model of it does,
//! and its invariants hold. What is asked is thrown with dice, see `asks`.
//!
//! - ENG-1 strict: used + held ≤ limit at the moment of admission.
//! - ENG-2 held is the sum of what open reservations hold.
//! - ENG-3 an identity counts once.
//! - ENG-4 begin … roll_back leaves a byte-equal state.
//! - ENG-5 entries replayed from any prefix's snapshot give a byte-equal state.
//! - ENG-6 a reservation that ended never holds.
//! - ENG-7 what is encoded reads back equal.
#![expect(clippy::unwrap_used, reason = "these are tests, their support included")]

mod asks;
mod model;
mod model_calls;
mod run;

use proptest::prelude::*;
use run::Run;

/// A batch: how far time jumps, what becomes of it, and the dice of what is asked.
fn batch() -> impl Strategy<Value = (u8, u8, Vec<[u16; 16]>)> {
    (any::<u8>(), any::<u8>(), prop::collection::vec(any::<[u16; 16]>(), 1..5))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..Default::default()
    })]

    /// ENG-1 to ENG-7.
    #[test]
    fn the_engine_counts_as_the_model_does(
        policies in prop::collection::vec(any::<[u16; 16]>(), 0..7),
        batches in prop::collection::vec(batch(), 1..40),
    ) {
        let mut run = Run::default();
        run.begin_with(&policies);
        for (jump, fate, dice) in &batches {
            run.batch(*jump, *fate, dice);
        }
        run.check_every_prefix();
    }
}
