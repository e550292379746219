//! Cases of organizations: the first start of an empty store.

use std::sync::Arc;

use domain::Organization;
use store::Store;

use crate::{
    Failure,
    sample::{api_key, at, audit, organization, page},
};

cases! {
    of_many_first_starts_exactly_one_makes_the_organization,
    a_first_start_leaves_the_organization_its_key_and_an_audit_entry,
    an_unknown_organization_is_none,
}

fn named(number: u128, name: &str) -> Result<Organization, Failure> {
    Ok(Organization {
        id: organization(number),
        name: name.to_owned(),
        time_zone: "America/Argentina/Buenos_Aires".to_owned(),
        created_at: at(1)?,
    })
}

async fn of_many_first_starts_exactly_one_makes_the_organization(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let start = |number: u128| {
        let store = Arc::clone(&store);
        async move {
            let key = api_key(number, organization(number))?;
            let audit = audit(organization(number), 1)?;
            let first = named(number, "one")?;
            let made = store.create_first_organization(&first, &key, &audit).await?;
            Ok::<_, Failure>(made.then_some(number))
        }
    };
    let tasks: Vec<_> = (1..=50).map(|number| tokio::spawn(start(number))).collect();
    let mut winners = Vec::new();
    for task in tasks {
        winners.extend(task.await??);
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let stored: Vec<_> = store.organizations().await?.into_iter().map(|one| one.id).collect();
    assert_eq!(stored, [organization(winners[0])]);
    // The losers left nothing: neither their keys nor their audit entries.
    for number in 1..=50 {
        let is_winner = number == winners[0];
        let of = organization(number);
        assert_eq!(store.api_keys(of, None, &page(10, None)).await?.len(), usize::from(is_winner));
        assert_eq!(store.audit_entries(of, 0, 10).await?.len(), usize::from(is_winner));
    }
    Ok(())
}

async fn a_first_start_leaves_the_organization_its_key_and_an_audit_entry(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let first = named(1, "Größe & Söhne 株式会社")?;
    let key = api_key(1, first.id)?;
    let event = audit(first.id, 1)?;
    assert!(store.create_first_organization(&first, &key, &event).await?);
    assert!(!store.create_first_organization(&first, &key, &event).await?, "a second start");
    let other = named(2, "another")?;
    let others_key = api_key(2, other.id)?;
    assert!(!store.create_first_organization(&other, &others_key, &event).await?);
    assert_eq!(store.organization(first.id).await?, Some(first.clone()));
    assert_eq!(store.organizations().await?, std::slice::from_ref(&first));
    assert_eq!(store.api_keys(first.id, None, &page(10, None)).await?, [key]);
    let events: Vec<_> =
        store.audit_entries(first.id, 0, 10).await?.into_iter().map(|entry| entry.event).collect();
    assert_eq!(events, [event]);
    Ok(())
}

async fn an_unknown_organization_is_none(store: Arc<dyn Store>) -> Result<(), Failure> {
    assert_eq!(store.organization(organization(7)).await?, None);
    assert_eq!(store.organizations().await?, []);
    Ok(())
}
