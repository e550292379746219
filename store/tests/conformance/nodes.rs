//! Cases of nodes: who lives, by the store's clock, and the one secret that they share.

use std::{collections::BTreeSet, sync::Arc};

use store::{Store, nodes::Node};

use crate::Failure;

cases! {
    a_node_lives_from_its_beat_on,
    a_beat_replaces_what_the_last_one_said,
    a_node_that_was_not_heard_of_does_not_live,
    nodes_come_in_the_order_of_their_ids,
    a_node_that_stopped_is_gone,
    of_many_secrets_offered_at_once_all_get_one,
    the_first_secret_stays,
}

const HOUR_MICROS: i64 = 3_600_000_000;

/// When a node says that it was seen does not matter.
fn node(id: u128) -> Node {
    let address = Some(format!("host-{id}:7070"));
    Node { id, address, format: 3, seen_at: 5 }
}

async fn live(store: &dyn Store, micros: i64) -> Result<Vec<u128>, Failure> {
    Ok(store.live_nodes(micros).await?.iter().map(|node| node.id).collect())
}

async fn a_node_lives_from_its_beat_on(store: Arc<dyn Store>) -> Result<(), Failure> {
    assert_eq!(store.live_nodes(HOUR_MICROS).await?, []);
    let before = store.store_time_micros().await?;
    store.beat(&node(1)).await?;
    let live = store.live_nodes(HOUR_MICROS).await?;
    let seen_at = live.first().ok_or("it lives")?.seen_at;
    assert_eq!(live, [Node { seen_at, ..node(1) }]);
    // To the millisecond, of whichever member's clock.
    assert!((before - 60_000_000..before + 60_000_000).contains(&seen_at), "{seen_at}, {before}");
    Ok(())
}

async fn a_beat_replaces_what_the_last_one_said(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.beat(&node(1)).await?;
    let changed = Node { address: Some("$moved.example:1".to_owned()), format: 4, ..node(1) };
    for next in [changed, Node { address: None, ..node(1) }] {
        store.beat(&next).await?;
        let live = store.live_nodes(HOUR_MICROS).await?;
        assert_eq!(live.len(), 1);
        assert_eq!((&live[0].address, live[0].format), (&next.address, next.format));
    }
    Ok(())
}

async fn a_node_that_was_not_heard_of_does_not_live(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.beat(&node(1)).await?;
    assert_eq!(live(&*store, HOUR_MICROS).await?, [1]);
    // Within less than nothing: since an instant to come.
    assert_eq!(live(&*store, -HOUR_MICROS).await?, [0; 0]);
    Ok(())
}

async fn nodes_come_in_the_order_of_their_ids(store: Arc<dyn Store>) -> Result<(), Failure> {
    for id in [256, u128::MAX, 2, 1 << 100] {
        store.beat(&node(id)).await?;
    }
    assert_eq!(live(&*store, HOUR_MICROS).await?, [2, 256, 1 << 100, u128::MAX]);
    Ok(())
}

async fn a_node_that_stopped_is_gone(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.beat(&node(1)).await?;
    store.beat(&node(2)).await?;
    for _ in 0..2 {
        store.remove_node(1).await?;
        assert_eq!(live(&*store, HOUR_MICROS).await?, [2]);
    }
    store.beat(&node(1)).await?;
    assert_eq!(live(&*store, HOUR_MICROS).await?, [1, 2]);
    Ok(())
}

async fn of_many_secrets_offered_at_once_all_get_one(store: Arc<dyn Store>) -> Result<(), Failure> {
    let offers = (0..20_u8).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.cluster_secret(&[number; 40]).await })
    });
    let mut got = BTreeSet::new();
    for task in offers.collect::<Vec<_>>() {
        got.insert(task.await??);
    }
    assert_eq!(got.len(), 1);
    Ok(())
}

async fn the_first_secret_stays(store: Arc<dyn Store>) -> Result<(), Failure> {
    for offered in [[1, 0, 255], [2, 0, 255]] {
        assert_eq!(store.cluster_secret(&offered).await?, [1, 0, 255]);
    }
    Ok(())
}
