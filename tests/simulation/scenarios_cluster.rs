//! Stories of nodes that hand over to each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::policy::{Mode, Window};
use shards::{Answered, Caps, Cluster, Group, Lane, PeerError, Peers};
use simulation::stage::{NOON, Stage, live, policy, reserve};
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
