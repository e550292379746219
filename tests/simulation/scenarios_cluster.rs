//! Stories of nodes that hand over to each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::policy::{Mode, Window};
use shards::{Answered, Caps, Cluster, Group, Lane, PeerError, Peers, ShardError};
use simulation::stage::{NOON, Stage, live, policy, reserve, track};
use simulation::world::in_simulated_time;

/// The way to another node, on which answers can be lost.
#[derive(Default)]
struct Wire {
    to: OnceLock<Arc<Cluster>>,
    loses_answers: AtomicBool,
}

#[async_trait::async_trait]
impl Peers for Wire {
    async fn call(&self, to: &str, body: Vec<u8>, _: Duration) -> Result<Vec<u8>, PeerError> {
        let cluster = self.to.get().expect("it is wired");
        let answer = cluster.take_over(&body).await;
        let lost = |why: String| PeerError { address: to.to_owned(), why };
        match self.loses_answers.load(Ordering::SeqCst) {
            true => Err(lost("the answer was lost".to_owned())),
            false => answer.map_err(|error| lost(error.to_string())),
        }
    }
}

#[test]
fn handed_over_and_appended() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.policy(0, policy(7, "a", 1_000, Window::Total, Mode::Strict)).await;
        let wires = [Arc::new(Wire::default()), Arc::new(Wire::default())];
        let cluster = |node: usize, address: &str| {
            let running = stage.node(node).running().expect("it runs");
            let parts = stage.node(node).parts(&running.store);
            Arc::new(Cluster::new(parts, Some(address.to_owned()), wires[node].clone()))
        };
        let clusters = [cluster(0, "first"), cluster(1, "second")];
        for (node, wire) in wires.iter().enumerate() {
            assert!(wire.to.set(Arc::clone(&clusters[1 - node])).is_ok());
        }
        for cluster in [0, 1, 0, 1] {
            clusters[cluster].beat().await.expect("the store works");
        }
        for loses_answers in [false, true] {
            for (node, cluster) in clusters.iter().enumerate() {
                wires[node].loses_answers.store(loses_answers, Ordering::SeqCst);
                let id = u128::try_from(node).unwrap() + if loses_answers { 10 } else { 20 };
                let group = Group {
                    requests: vec![reserve(id, "a", 100, 600)],
                    id_days: vec![],
                    lane: Lane::Interactive,
                    patience: Duration::from_secs(5),
                    with_blocked: false,
                };
                let done = cluster.submit(live(), group).await.expect("somebody answers");
                let Answered::Held(held) = &done.answers[0].result else { panic!("{done:?}") };
                assert_eq!(held.reservation, id);
            }
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        // Whoever was not the home handed it over, heard nothing, and asked by itself.
        assert_eq!(stage.standing(0, 7).await.held, 400);
        assert_eq!(stage.standing(1, 7).await.held, 400);
    });
}

/// A node that serves by itself, with heartbeats.
fn joined(stage: &Stage, node: usize) -> Cluster {
    let running = stage.node(node).running().expect("it runs");
    Cluster::new(stage.node(node).parts(&running.store), None, Arc::new(Wire::default()))
}

/// So many seconds pass, in which these nodes beat.
async fn live_on(clusters: &[&Cluster], seconds: u64) {
    for _ in 0..seconds {
        for cluster in clusters {
            cluster.beat().await.expect("the store works");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What is reported at a node; and the format of the journal's last entry.
async fn told(stage: &Stage, cluster: &Cluster, id: &str) -> (Result<Answered, ShardError>, u8) {
    let group = Group {
        requests: vec![track(id, "a", 1, NOON)],
        id_days: vec![],
        lane: Lane::Interactive,
        patience: Duration::from_secs(5),
        with_blocked: false,
    };
    let done = cluster.submit(live(), group).await;
    let answered = done.map(|done| done.answers[0].result.clone());
    let mut all = stage.stored();
    let (_, (_, last)) = all.shard(live()).history.last_key_value().expect("there are some");
    (answered, last.bytes[0])
}

#[test]
fn rolling_upgrade() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.node(1).upgrade(2);
        stage.restart(1);
        let (old, new) = (joined(&stage, 0), joined(&stage, 1));
        let booked =
            |answered: &Result<Answered, ShardError>| matches!(answered, Ok(Answered::Booked(_)));
        // For as long as the old one lives, the new one writes what it reads.
        for round in 0..3 {
            live_on(&[&old, &new], 7).await;
            let (answered, format) = told(&stage, &new, &format!("new {round}")).await;
            assert!(booked(&answered) && format == 1, "{answered:?} as {format}");
            let (answered, format) = told(&stage, &old, &format!("old {round}")).await;
            assert!(booked(&answered) && format == 1, "{answered:?} as {format}");
        }
        // Nobody hears of it any more; it may only be slow for a while yet.
        live_on(&[&new], 7).await;
        assert_eq!(told(&stage, &new, "silence").await.1, 1);
        live_on(&[&new], 3).await;
        let (answered, format) = told(&stage, &new, "alone").await;
        assert!(booked(&answered) && format == 2, "{answered:?} as {format}");
        // Whoever cannot hear of others does not believe in what it heard long ago.
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(told(&stage, &new, "deaf").await.1, 1);
        // The old release stops there, and the same machine with the new one does not.
        let (answered, _) = told(&stage, &old, "too old").await;
        let unknown =
            matches!(&answered, Err(ShardError::Stopped { why, .. }) if why.contains("1"));
        assert!(unknown, "{answered:?}");
        stage.node(0).upgrade(2);
        stage.restart(0);
        let upgraded = joined(&stage, 0);
        live_on(&[&upgraded, &new], 9).await;
        let (answered, format) = told(&stage, &upgraded, "upgraded").await;
        assert!(booked(&answered) && format == 2, "{answered:?} as {format}");
        let (answered, _) = told(&stage, &new, "alone").await;
        assert_eq!(answered, Ok(Answered::Duplicate));
    });
}
