//! Stories of time: midnights, zones, clocks, and everything that is over at once.

use std::sync::Arc;
use std::time::Duration;

use engine::policy::{Mode, Window};
use engine::{Command, Outcome, Request, Settings};
use shards::{Answered, Caps, Cluster, Done, Group, Lane, PeerError, Peers, ShardError};
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

/// Others that nobody reaches.
struct Nobody;

#[async_trait::async_trait]
impl Peers for Nobody {
    async fn call(&self, to: &str, _: Vec<u8>, _: Duration) -> Result<Vec<u8>, PeerError> {
        Err(PeerError { address: to.to_owned(), why: "nobody is there".to_owned() })
    }
}

/// A node that watches its clock.
fn watching(stage: &Stage, node: usize) -> Cluster {
    let running = stage.node(node).running().expect("it runs");
    Cluster::new(stage.node(node).parts(&running.store), None, Arc::new(Nobody))
}

async fn asked(cluster: &Cluster, request: Request) -> Result<Done, ShardError> {
    let patience = Duration::from_secs(5);
    let (lane, requests, id_days) = (Lane::Interactive, vec![request], vec![]);
    cluster.submit(live(), Group { requests, id_days, lane, patience, with_blocked: false }).await
}

#[test]
fn skewed_node() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        assert!(matches!(stage.answered(0, reserve(1, "a", 10, 600)).await, Answered::Held(_)));
        // Three days ahead it would end every hold for good.
        stage.node(1).clock.set_skew(3 * 24 * HOUR);
        let cluster = watching(&stage, 1);
        cluster.clock_guard().look().await;
        let refused = asked(&cluster, plain(Command::Tick)).await;
        assert!(matches!(refused, Err(ShardError::Unavailable(_))), "{refused:?}");
        let refused = asked(&cluster, track("ahead", "a", 1, NOON)).await;
        assert!(matches!(refused, Err(ShardError::Unavailable(_))), "{refused:?}");
        // It heals by itself.
        stage.node(1).clock.set_skew(500_000);
        tokio::time::sleep(Duration::from_secs(30)).await;
        cluster.clock_guard().look().await;
        // What was a jump is a person's to accept.
        cluster.clock_guard().accept();
        asked(&cluster, track("right again", "a", 1, NOON)).await.expect("it is right now");
        assert!(stage.replayed().reservation(1).is_some(), "the hold lives");
    });
}

#[test]
fn clock_jump() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        let cluster = watching(&stage, 1);
        cluster.clock_guard().look().await;
        asked(&cluster, track("first", "a", 1, NOON)).await.expect("its clock is right");
        stage.node(1).clock.set_skew(2 * HOUR);
        cluster.clock_guard().look().await;
        let refused = asked(&cluster, track("jumped", "a", 1, NOON)).await;
        assert!(matches!(refused, Err(ShardError::Unavailable(_))), "{refused:?}");
        // No batch is before the one before it, even where a clock goes back a little.
        stage.node(0).clock.set_skew(-30 * SECOND);
        stage.answered(0, track("behind", "a", 1, NOON)).await;
        let times: Vec<i64> = stage.entries().iter().map(|(_, entry)| entry.time).collect();
        assert!(times.is_sorted(), "{times:?}");
        // Nobody begins to serve with a clock that is far behind the journal.
        stage.node(0).clock.set_skew(-120 * SECOND);
        stage.restart(0);
        let refused = stage.ask(0, track("far behind", "a", 1, NOON)).await;
        assert!(matches!(refused, Err(ShardError::Unavailable(_))), "{refused:?}");
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
