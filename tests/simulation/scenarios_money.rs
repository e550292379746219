//! Stories of money: what comes too late, and what a bill says afterwards.

use std::time::Duration;

use engine::command::{Adjust, EndedHow};
use engine::policy::{Mode, Window};
use engine::{Command, Measures, Refusal};
use shards::Answered;
use simulation::stage::{NOON, SECOND, Stage, commit, plain, policy, reserve, track};
use simulation::world::in_simulated_time;

#[test]
fn commit_after_expiry() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.policy(0, policy(7, "a", 100, Window::Total, Mode::Strict)).await;
        stage.answered(0, reserve(1, "a", 40, 5)).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(stage.standing(0, 7).await.held, 0);
        // The money has left: it is booked, once, and says that it was late.
        let late = stage.answered(1, commit("late", 1, 45, NOON)).await;
        let Answered::Booked(booked) = &late else { panic!("{late:?}") };
        assert_eq!((booked.flags.as_slice(), booked.settled), (&["late".to_owned()][..], Some(1)));
        assert_eq!(stage.answered(0, commit("late", 1, 45, NOON)).await, late);
        // Even when only the tables remember it.
        for id in ["x", "y", "z"] {
            stage.answered(0, track(id, "z", 1, NOON)).await;
            stage.settle(0).await.expect("the tables follow");
        }
        assert!(stage.replayed().ended(1).is_none(), "the state has forgotten it");
        let other = stage.answered(0, commit("other", 1, 45, NOON)).await;
        assert_eq!(other, Answered::Refused(Refusal::Ended(EndedHow::Committed)));
        let standing = stage.standing(1, 7).await;
        assert_eq!((standing.used, standing.held), (45, 0));
        stage.all_is_well().await;
    });
}

#[test]
fn late_report_on_adjusted_day() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        let of = &stage;
        let used = |node| async move { of.standing(node, 7).await.used };
        let adjust = |pull: u64, cost: i128| {
            plain(Command::Adjust(Adjust {
                key: "account/2026-06-01/large".to_owned(),
                revision: (pull, 0, 0),
                at: NOON - 12 * 3_600 * SECOND,
                path: "a".to_owned(),
                service: String::new(),
                model: String::new(),
                measures: Measures { cost, ..Measures::default() },
            }))
        };
        stage.policy(0, policy(7, "a", 1_000, Window::Calendar(4), Mode::Block)).await;
        stage.answered(0, track("known", "a", 50, NOON)).await;
        // The bill says 100.
        stage.answered(0, adjust(1, 50)).await;
        assert_eq!(used(0).await, 100);
        // The other half is reported after all: until the next bill the cap errs on the safe side.
        stage.answered(1, track("late", "a", 50, NOON - 60 * SECOND)).await;
        assert_eq!(used(1).await, 150);
        stage.answered(0, adjust(2, 0)).await;
        assert_eq!(used(0).await, 100);
        // An older bill changes nothing.
        assert_eq!(stage.answered(1, adjust(1, 50)).await, Answered::Unchanged);
        assert_eq!(used(1).await, 100);
        stage.all_is_well().await;
    });
}
