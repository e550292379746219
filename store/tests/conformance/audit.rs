//! Cases of the audit log: one chain for each organization, without gap or fork.

use std::{collections::BTreeSet, sync::Arc};

use domain::{AuditEntry, AuditEvent};
use jiff::Timestamp;
use store::Store;

use crate::{
    Failure,
    sample::{audit, organization},
};

cases! {
    many_appends_at_once_make_one_chain_without_gap,
    an_event_reads_back_as_it_was,
    pages_forwards_and_backwards_meet,
    each_organization_has_a_chain_of_its_own,
    appends_between_two_pages_do_not_move_them,
}

fn assert_is_chain(entries: &[AuditEntry]) {
    let mut previous = None;
    for entry in entries {
        assert!(entry.follows(previous), "entry {} stands at its place", entry.sequence);
        previous = Some(entry);
    }
}

async fn append_many(store: &Arc<dyn Store>, count: i64) -> Result<(), Failure> {
    for second in 1..=count {
        store.append_audit(&audit(organization(1), second)?).await?;
    }
    Ok(())
}

async fn many_appends_at_once_make_one_chain_without_gap(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let append = |second: i64| {
        let store = Arc::clone(&store);
        async move { Ok::<_, Failure>(store.append_audit(&audit(organization(1), second)?).await?) }
    };
    let tasks: Vec<_> = (1..=50).map(|second| tokio::spawn(append(second))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await??);
    }
    answers.sort_by_key(|entry| entry.sequence);
    let entries = store.audit_entries(organization(1), 0, 100).await?;
    assert_eq!(entries, answers, "every append is answered with its entry");
    assert_is_chain(&entries);
    let sequences: Vec<_> = entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, (1..=50).collect::<Vec<_>>());
    let instants: BTreeSet<_> = entries.iter().map(|entry| entry.event.at).collect();
    assert_eq!(instants.len(), 50, "every event is there once");
    Ok(())
}

async fn an_event_reads_back_as_it_was(store: Arc<dyn Store>) -> Result<(), Failure> {
    let rich = AuditEvent {
        actor: "system".to_owned(),
        action: "größer 大きい \u{1f511}".to_owned(),
        target: String::new(),
        ip: None,
        at: Timestamp::from_microsecond(-1)?,
        ..audit(organization(1), 1)?
    };
    for event in [audit(organization(1), 1)?, rich] {
        let entry = store.append_audit(&event).await?;
        assert_eq!(entry.event, event);
        let newest = store.audit_entries_back(organization(1), None, 1).await?;
        assert_eq!(newest, [entry]);
    }
    Ok(())
}

async fn pages_forwards_and_backwards_meet(store: Arc<dyn Store>) -> Result<(), Failure> {
    append_many(&store, 7).await?;
    let of = organization(1);
    let none: [u64; 0] = [];
    let sequences =
        |entries: Vec<AuditEntry>| entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>();
    assert_eq!(sequences(store.audit_entries(of, 0, 3).await?), [1, 2, 3]);
    assert_eq!(sequences(store.audit_entries(of, 3, 3).await?), [4, 5, 6]);
    assert_eq!(sequences(store.audit_entries(of, 6, 3).await?), [7]);
    assert_eq!(sequences(store.audit_entries(of, 7, 3).await?), none);
    assert_eq!(sequences(store.audit_entries(of, u64::MAX, 3).await?), none);
    assert_eq!(sequences(store.audit_entries_back(of, None, 3).await?), [7, 6, 5]);
    assert_eq!(sequences(store.audit_entries_back(of, Some(5), 3).await?), [4, 3, 2]);
    assert_eq!(sequences(store.audit_entries_back(of, Some(1), 3).await?), none);
    assert_eq!(sequences(store.audit_entries_back(of, Some(u64::MAX), 2).await?), [7, 6]);
    Ok(())
}

async fn each_organization_has_a_chain_of_its_own(store: Arc<dyn Store>) -> Result<(), Failure> {
    for second in 1..=3 {
        for number in [1, 2] {
            store.append_audit(&audit(organization(number), second)?).await?;
        }
    }
    for number in [1, 2] {
        let entries = store.audit_entries(organization(number), 0, 10).await?;
        assert_eq!(entries.len(), 3);
        assert_is_chain(&entries);
        assert!(entries.iter().all(|entry| entry.event.organization == organization(number)));
    }
    assert_eq!(store.audit_entries(organization(3), 0, 10).await?, []);
    Ok(())
}

async fn appends_between_two_pages_do_not_move_them(store: Arc<dyn Store>) -> Result<(), Failure> {
    append_many(&store, 4).await?;
    let page = store.audit_entries_back(organization(1), None, 2).await?;
    append_many(&store, 2).await?;
    let next = store.audit_entries_back(organization(1), Some(page[1].sequence), 2).await?;
    let sequences: Vec<_> = page.iter().chain(&next).map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [4, 3, 2, 1]);
    Ok(())
}
