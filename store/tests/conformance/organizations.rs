//! Cases of organizations: the first start of an empty store, and settings.

use std::sync::Arc;

use domain::{Currency, Organization};
use jiff::civil::Weekday;
use store::{Store, organizations::SettingsPatch};

use crate::{
    Failure,
    sample::{api_key, at, audit, audit_count, organization, page},
};

cases! {
    of_many_first_starts_exactly_one_makes_the_organization,
    a_first_start_leaves_the_organization_its_key_and_an_audit_entry,
    an_unknown_organization_is_none,
    settings_change_together_and_count_one_revision,
    settings_as_they_are_change_nothing,
    every_setting_is_stored_by_itself,
    of_many_changes_at_once_each_counts_once,
}

fn named(number: u128, name: &str) -> Result<Organization, Failure> {
    let plain = Organization::new(organization(number), name.to_owned(), at(1)?);
    Ok(Organization { time_zone: "America/Argentina/Buenos_Aires".to_owned(), ..plain })
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

async fn made(store: &dyn Store) -> Result<Organization, Failure> {
    let first = named(1, "one")?;
    let key = api_key(1, first.id)?;
    assert!(store.create_first_organization(&first, &key, &audit(first.id, 1)?).await?);
    Ok(first)
}

async fn settings_change_together_and_count_one_revision(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let first = made(&*store).await?;
    let patch = SettingsPatch {
        name: Some("Größe 株式会社".to_owned()),
        time_zone: Some("Asia/Tokyo".to_owned()),
        week_start: Some(Weekday::Sunday),
        reset_hour: Some(23),
        fiscal_year_start_month: Some(12),
        currency: Some(Currency::parse("JPY")),
        retention_days: Some(3650),
        auto_create_paths: Some(false),
        capture_bodies: Some(true),
    };
    let event = audit(first.id, 2)?;
    let changed = store.change_settings(first.id, &patch, &event).await?;
    let expected = Organization {
        name: "Größe 株式会社".to_owned(),
        time_zone: "Asia/Tokyo".to_owned(),
        week_start: Weekday::Sunday,
        reset_hour: 23,
        fiscal_year_start_month: 12,
        currency: Currency::parse("JPY"),
        retention_days: 3650,
        auto_create_paths: false,
        capture_bodies: true,
        settings_revision: 1,
        ..first
    };
    assert_eq!(changed.as_ref(), Some(&expected));
    assert_eq!(store.organization(expected.id).await?, Some(expected.clone()));
    assert_eq!(store.organizations().await?, std::slice::from_ref(&expected));
    assert_eq!(audit_count(&*store, expected.id).await?, 2);
    // It is still the first, so no other becomes it.
    let other = named(2, "another")?;
    let key = api_key(2, other.id)?;
    assert!(!store.create_first_organization(&other, &key, &audit(other.id, 3)?).await?);
    Ok(())
}

async fn settings_as_they_are_change_nothing(store: Arc<dyn Store>) -> Result<(), Failure> {
    let first = made(&*store).await?;
    let same = SettingsPatch {
        name: Some(first.name.clone()),
        week_start: Some(first.week_start),
        currency: Some(None),
        ..SettingsPatch::default()
    };
    for patch in [same, SettingsPatch::default()] {
        let answer = store.change_settings(first.id, &patch, &audit(first.id, 2)?).await?;
        assert_eq!(answer.as_ref(), Some(&first));
    }
    assert_eq!(audit_count(&*store, first.id).await?, 1);
    let unknown = organization(7);
    let patch = SettingsPatch { reset_hour: Some(5), ..SettingsPatch::default() };
    assert_eq!(store.change_settings(unknown, &patch, &audit(unknown, 2)?).await?, None);
    assert_eq!(audit_count(&*store, unknown).await?, 0);
    Ok(())
}

async fn every_setting_is_stored_by_itself(store: Arc<dyn Store>) -> Result<(), Failure> {
    let first = made(&*store).await?;
    let none = SettingsPatch::default;
    let patches = [
        SettingsPatch { name: Some("a".to_owned()), ..none() },
        SettingsPatch { time_zone: Some("UTC".to_owned()), ..none() },
        SettingsPatch { week_start: Some(Weekday::Saturday), ..none() },
        SettingsPatch { reset_hour: Some(6), ..none() },
        SettingsPatch { fiscal_year_start_month: Some(4), ..none() },
        SettingsPatch { currency: Some(Currency::parse("EUR")), ..none() },
        SettingsPatch { currency: Some(None), ..none() },
        SettingsPatch { retention_days: Some(1), ..none() },
        SettingsPatch { auto_create_paths: Some(false), ..none() },
        SettingsPatch { capture_bodies: Some(true), ..none() },
    ];
    let mut expected = first;
    for (revision, patch) in (1_u64..).zip(patches) {
        expected = patch.applied_to(&expected);
        assert_eq!(expected.settings_revision, revision, "{patch:?}");
        let event = audit(expected.id, 2)?;
        let changed = store.change_settings(expected.id, &patch, &event).await?;
        assert_eq!(changed.as_ref(), Some(&expected));
        assert_eq!(store.organization(expected.id).await?.as_ref(), Some(&expected));
    }
    Ok(())
}

async fn of_many_changes_at_once_each_counts_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    let first = made(&*store).await?;
    let change = |days: u32| {
        let (store, id) = (Arc::clone(&store), first.id);
        async move {
            let patch = SettingsPatch { retention_days: Some(days), ..SettingsPatch::default() };
            Ok(store.change_settings(id, &patch, &audit(id, 2)?).await?)
        }
    };
    let tasks: Vec<_> = (1..=20).map(|days| tokio::spawn(change(days))).collect();
    let mut revisions = Vec::new();
    for task in tasks {
        let answer: Result<_, Failure> = task.await?;
        revisions.extend(answer?.map(|changed| changed.settings_revision));
    }
    revisions.sort_unstable();
    assert!(revisions.iter().copied().eq(1..=20), "{revisions:?}");
    assert_eq!(audit_count(&*store, first.id).await?, 21);
    Ok(())
}
