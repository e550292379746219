//! Stories of time: midnights, zones, clocks, and everything that is over at once.

use std::time::Duration;

use engine::policy::{Mode, Window};
use engine::{Command, Outcome, Settings};
use shards::{Answered, ShardError};
use simulation::stage::{NOON, SECOND, Stage, commit, live, plain, policy, reserve, track};
use simulation::world::in_simulated_time;

const DAY: Window = Window::Calendar(2);
const HOUR: i64 = 3_600 * SECOND;

#[test]
fn hold_across_midnight() {
    in_simulated_time(async {
        let late = NOON + 12 * HOUR - 60 * SECOND;
        let stage = Stage::set(2, late);
        stage.policy(0, policy(7, "a", 100, DAY, Mode::Strict)).await;
        assert!(matches!(stage.answered(0, reserve(1, "a", 90, 300)).await, Answered::Held(_)));
        tokio::time::sleep(Duration::from_secs(120)).await;
        let now = stage.desk.clock.micros();
        stage.answered(1, commit("done", 1, 90, now)).await;
        // The day that admitted it has it; the new one has room for all of its limit.
        assert_eq!(stage.standing(1, 7).await.used, 0);
        assert!(matches!(stage.answered(0, reserve(2, "a", 100, 60)).await, Answered::Held(_)));
        stage.all_is_well().await;
        let mut all = stage.stored();
        let records = &all.shard(live()).facts.windows;
        assert_eq!(records[&(0, NOON - 12 * HOUR)].used, 90);
    });
}

#[test]
fn zone_changed_mid_window() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.policy(0, policy(7, "a", 100, DAY, Mode::Strict)).await;
        stage.answered(0, track("before", "a", 60, NOON)).await;
        let before = stage.standing(0, 7).await;
        let mut settings = Settings { revision: 1, ..Settings::default() };
        settings.calendar.zone = "Asia/Kathmandu".to_owned();
        stage.answered(1, plain(Command::Configure(settings))).await;
        // The open window keeps its bounds and what was spent in it.
        stage.answered(0, track("after", "a", 30, NOON + HOUR)).await;
        let after = stage.standing(0, 7).await;
        assert_eq!((after.window_start, after.resets_at), (before.window_start, before.resets_at));
        assert_eq!(after.used, 90);
        // The next one begins where it ended, and ends at midnight in Kathmandu.
        tokio::time::sleep(Duration::from_secs(13 * 3_600)).await;
        let now = stage.desk.clock.micros();
        stage.answered(0, track("tomorrow", "a", 10, now)).await;
        let next = stage.standing(0, 7).await;
        let kathmandu = 5 * HOUR + 45 * 60 * SECOND;
        assert_eq!(next.window_start, before.resets_at);
        assert_eq!(next.resets_at, Some(NOON + 36 * HOUR - kathmandu));
        assert_eq!(next.used, 10);
        stage.all_is_well().await;
    });
}

/// What there is of it: nobody begins to serve with a clock that is far behind the journal, and no
/// batch is before the one before it.
#[test]
fn clock_jump() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.answered(0, track("first", "a", 1, NOON)).await;
        stage.answered(1, plain(Command::Tick)).await;
        stage.node(1).clock.set_skew(-30 * SECOND);
        stage.answered(1, track("behind", "a", 1, NOON)).await;
        let times: Vec<i64> = stage.entries().iter().map(|(_, entry)| entry.time).collect();
        assert!(times.is_sorted(), "{times:?}");
        stage.node(1).clock.set_skew(-120 * SECOND);
        stage.restart(1);
        let refused = stage.ask(1, track("far behind", "a", 1, NOON)).await;
        assert!(matches!(refused, Err(ShardError::Unavailable(_))), "{refused:?}");
        stage.node(1).clock.set_skew(0);
        stage.answered(1, track("again", "a", 1, NOON)).await;
        stage.all_is_well().await;
    });
}

#[test]
fn due_flood() {
    in_simulated_time(async {
        let stage = Stage::set(1, NOON);
        stage.policy(0, policy(7, "", 2_500, Window::Total, Mode::Strict)).await;
        for thousand in 0..5 {
            let ids = 1_000 + thousand * 500..1_500 + thousand * 500;
            let requests = ids.map(|id| reserve(id, "a", 1, 600)).collect();
            let done = stage.ask_all(0, live(), requests).await.expect("the store works");
            let held = |answer: &shards::Answer| matches!(answer.result, Answered::Held(_));
            assert!(done.answers.iter().all(held));
        }
        // All are over at once, while nobody is there.
        stage.node(0).kill();
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        stage.node(0).start();
        let all = stage.answered(0, reserve(1, "a", 2_500, 60)).await;
        assert!(matches!(all, Answered::Held(_)), "{all:?}");
        let expired = |outcome: &Outcome| match outcome {
            Outcome::Expired { reservations } => reservations.len(),
            _ => 0,
        };
        let entries = stage.entries();
        let of_entry = entries
            .iter()
            .map(|(_, entry)| entry.decisions.iter().map(|of| expired(&of.outcome)).sum::<usize>());
        let counts: Vec<usize> = of_entry.filter(|count| *count > 0).collect();
        assert_eq!(counts, [1_000, 1_000, 500]);
        stage.all_is_well().await;
    });
}
