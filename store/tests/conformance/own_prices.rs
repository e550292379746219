//! Cases of own prices: put, listed and removed by owner, under a revision that only grows.

use std::{collections::BTreeSet, sync::Arc};

use domain::{AuditEvent, organization::Environment};
use store::{
    Store,
    own_prices::{OwnPrice, OwnPricePut, PriceOwner, WHOLE_SERVICE},
};

use crate::{
    Failure,
    sample::{at, audit, audit_count, organization, page},
};

cases! {
    an_entry_reads_back_as_it_was_put,
    another_value_replaces_an_entry,
    the_same_value_again_changes_nothing,
    of_many_tries_to_put_an_entry_one_makes_it,
    every_change_counts_the_revision_up_once,
    the_revision_goes_on_when_all_entries_are_gone,
    one_entry_too_many_is_refused,
    entries_put_at_once_do_not_get_past_the_bound,
    neither_organizations_nor_environments_see_each_other,
    pages_are_in_the_order_of_service_and_model,
    pages_are_stable_under_inserts_and_deletes,
    services_are_summed_up,
    pages_of_services_have_each_once,
    an_entry_is_deleted_once,
    a_service_is_deleted_with_all_its_entries,
    all_entries_come_with_their_revision,
    changes_at_once_make_one_audit_chain,
}

const OWNER: (u128, Environment) = (1, Environment::Live);
const MOST: usize = 100;

fn owner((number, environment): (u128, Environment)) -> PriceOwner {
    PriceOwner { organization: organization(number), environment }
}

fn mine() -> PriceOwner {
    owner(OWNER)
}

fn person(second: i64) -> Result<AuditEvent, Failure> {
    audit(organization(1), second)
}

fn entry(service: &str, model: &str, value: &str, second: i64) -> Result<OwnPrice, Failure> {
    let (service, model, value) = (service.to_owned(), model.to_owned(), value.to_owned());
    Ok(OwnPrice { service, model, value, updated_at: at(second)? })
}

async fn put(
    store: &dyn Store,
    service: &str,
    model: &str,
    value: &str,
) -> Result<OwnPricePut, Failure> {
    let entry = entry(service, model, value, 100)?;
    Ok(store.put_own_price(mine(), &entry, MOST, &person(100)?).await?)
}

async fn keys(
    store: &dyn Store,
    service: Option<&str>,
    limit: usize,
    after: Option<&str>,
) -> Result<Vec<String>, Failure> {
    let after = after.as_ref().map(|after| after as &dyn ToString);
    let found = store.own_prices(mine(), service, &page(limit, after)).await?;
    Ok(found.iter().map(OwnPrice::key).collect())
}

async fn an_entry_reads_back_as_it_was_put(store: Arc<dyn Store>) -> Result<(), Failure> {
    let names = ["gpt-4o", WHOLE_SERVICE, "claude-*-4/größe:大", "$model.%_\u{0}'\"", "a/b/c"];
    for (second, model) in (-1..).zip(names) {
        let entry = entry("acme", model, "{\"value\": \"größer 🔑\u{0}\"}", second)?;
        assert_eq!(store.own_price(mine(), "acme", model).await?, None);
        let made = store.put_own_price(mine(), &entry, MOST, &person(second)?).await?;
        assert_eq!(made, OwnPricePut::Created);
        assert_eq!(store.own_price(mine(), "acme", model).await?, Some(entry));
    }
    assert_eq!(store.own_price(mine(), "acme", "GPT-4o").await?, None, "names are exact");
    assert_eq!(store.own_price(mine(), "acm", "gpt-4o").await?, None);
    let entries = store.audit_entries(organization(1), 0, 10).await?;
    assert_eq!(entries.first().map(|entry| entry.event.clone()), Some(person(-1)?));
    assert_eq!(entries.len(), names.len());
    Ok(())
}

async fn another_value_replaces_an_entry(store: Arc<dyn Store>) -> Result<(), Failure> {
    put(&*store, "acme", "m", "one").await?;
    let other = entry("acme", "m", "two", 200)?;
    let replaced = store.put_own_price(mine(), &other, MOST, &person(200)?).await?;
    assert_eq!(replaced, OwnPricePut::Replaced);
    assert_eq!(store.own_price(mine(), "acme", "m").await?, Some(other));
    assert_eq!(keys(&*store, None, 10, None).await?, ["acme/m"]);
    assert_eq!(audit_count(&*store, organization(1)).await?, 2);
    Ok(())
}

async fn the_same_value_again_changes_nothing(store: Arc<dyn Store>) -> Result<(), Failure> {
    put(&*store, "acme", "m", "one").await?;
    let first = entry("acme", "m", "one", 100)?;
    let again = entry("acme", "m", "one", 200)?;
    let unchanged = store.put_own_price(mine(), &again, MOST, &person(200)?).await?;
    assert_eq!(unchanged, OwnPricePut::Unchanged(first.clone()));
    assert_eq!(store.own_price(mine(), "acme", "m").await?, Some(first));
    assert_eq!(store.own_prices_revision(mine()).await?, 1);
    assert_eq!(audit_count(&*store, organization(1)).await?, 1);
    Ok(())
}

async fn of_many_tries_to_put_an_entry_one_makes_it(store: Arc<dyn Store>) -> Result<(), Failure> {
    let tries = (0..30).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { put(&*store, "acme", "m", "one").await })
    });
    let mut made_count = 0;
    for task in tries.collect::<Vec<_>>() {
        match task.await?? {
            OwnPricePut::Created => made_count += 1,
            other => assert_eq!(other, OwnPricePut::Unchanged(entry("acme", "m", "one", 100)?)),
        }
    }
    assert_eq!(made_count, 1);
    assert_eq!(store.own_prices_revision(mine()).await?, 1);
    assert_eq!(audit_count(&*store, organization(1)).await?, 1);
    Ok(())
}

async fn every_change_counts_the_revision_up_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    assert_eq!(store.own_prices_revision(mine()).await?, 0);
    let changes = (0..20).map(|number| {
        let store = Arc::clone(&store);
        let model = format!("m{}", number % 10);
        tokio::spawn(async move { put(&*store, "acme", &model, &number.to_string()).await })
    });
    for task in changes.collect::<Vec<_>>() {
        assert!(matches!(task.await??, OwnPricePut::Created | OwnPricePut::Replaced));
    }
    assert_eq!(store.own_prices_revision(mine()).await?, 20);
    store.delete_own_price(mine(), "acme", "m0", &person(200)?).await?;
    assert_eq!(store.own_prices_revision(mine()).await?, 21);
    store.delete_own_service(mine(), "acme", &person(200)?).await?;
    assert_eq!(store.own_prices_revision(mine()).await?, 22);
    Ok(())
}

async fn the_revision_goes_on_when_all_entries_are_gone(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    put(&*store, "acme", "m", "one").await?;
    store.delete_own_service(mine(), "acme", &person(200)?).await?;
    put(&*store, "acme", "m", "one").await?;
    assert_eq!(store.own_prices_revision(mine()).await?, 3);
    Ok(())
}

async fn one_entry_too_many_is_refused(store: Arc<dyn Store>) -> Result<(), Failure> {
    put(&*store, "acme", "a", "one").await?;
    put(&*store, "other", "b", "one").await?;
    let add = async |model: &str, value: &str| -> Result<_, Failure> {
        let entry = entry("acme", model, value, 200)?;
        Ok(store.put_own_price(mine(), &entry, 2, &person(200)?).await?)
    };
    assert_eq!(add("c", "one").await?, OwnPricePut::Full);
    assert_eq!(store.own_price(mine(), "acme", "c").await?, None);
    assert_eq!(store.own_prices_revision(mine()).await?, 2);
    assert_eq!(audit_count(&*store, organization(1)).await?, 2);
    assert_eq!(add("a", "two").await?, OwnPricePut::Replaced, "no entry is added");
    store.delete_own_price(mine(), "other", "b", &person(300)?).await?;
    assert_eq!(add("c", "one").await?, OwnPricePut::Created);
    Ok(())
}

async fn entries_put_at_once_do_not_get_past_the_bound(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let tries = (0..20).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let entry = entry("acme", &format!("m{number}"), "one", 100)?;
            Ok::<_, Failure>(store.put_own_price(mine(), &entry, 5, &person(100)?).await?)
        })
    });
    let mut made_count = 0;
    for task in tries.collect::<Vec<_>>() {
        made_count += usize::from(task.await?? == OwnPricePut::Created);
    }
    assert_eq!(made_count, 5);
    assert_eq!(keys(&*store, None, 100, None).await?.len(), 5);
    Ok(())
}

async fn neither_organizations_nor_environments_see_each_other(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    put(&*store, "acme", "m", "one").await?;
    put(&*store, "acme", WHOLE_SERVICE, "one").await?;
    for (number, environment) in [(1, Environment::Test), (2, Environment::Live)] {
        let other = owner((number, environment));
        let event = audit(organization(number), 200)?;
        assert_eq!(store.own_price(other, "acme", "m").await?, None);
        assert_eq!(store.own_prices(other, None, &page(10, None)).await?, []);
        assert_eq!(store.own_prices(other, Some("acme"), &page(10, None)).await?, []);
        assert_eq!(store.own_services(other, &page(10, None)).await?, []);
        assert_eq!(store.own_service(other, "acme").await?, None);
        assert!(!store.delete_own_price(other, "acme", "m", &event).await?);
        assert!(!store.delete_own_service(other, "acme", &event).await?);
        assert_eq!(store.own_prices_revision(other).await?, 0);
        assert_eq!(store.all_own_prices(other).await?.entries, []);
        let theirs = entry("acme", "m", "theirs", 200)?;
        let made = store.put_own_price(other, &theirs, 1, &event).await?;
        assert_eq!(made, OwnPricePut::Created, "the bound is for each owner");
        assert_eq!(store.own_prices_revision(other).await?, 1);
    }
    assert_eq!(store.own_price(mine(), "acme", "m").await?, Some(entry("acme", "m", "one", 100)?));
    assert_eq!(store.own_prices_revision(mine()).await?, 2);
    assert_eq!(audit_count(&*store, organization(2)).await?, 1);
    Ok(())
}

async fn pages_are_in_the_order_of_service_and_model(store: Arc<dyn Store>) -> Result<(), Failure> {
    // A dash comes before a slash, and upper case before lower.
    let sorted = ["a/*", "a/M", "a/m", "a/m/x", "a/ä", "a-b/a", "a.b/a", "b/a"];
    for key in sorted.iter().rev() {
        let (service, model) = key.split_once('/').ok_or("a key has a slash")?;
        put(&*store, service, model, "one").await?;
    }
    assert_eq!(keys(&*store, None, 100, None).await?, sorted);
    let mut paged: Vec<String> = Vec::new();
    loop {
        let found = keys(&*store, None, 3, paged.last().map(String::as_str)).await?;
        if found.is_empty() {
            break;
        }
        paged.extend(found);
    }
    assert_eq!(paged, sorted);
    assert_eq!(keys(&*store, Some("a"), 2, Some("a/M")).await?, ["a/m", "a/m/x"]);
    assert_eq!(keys(&*store, Some("a.b"), 10, None).await?, ["a.b/a"]);
    assert_eq!(keys(&*store, Some("a.b"), 10, Some("a.b/a")).await?, [""; 0]);
    assert_eq!(keys(&*store, None, 0, None).await?, [""; 0]);
    Ok(())
}

async fn pages_are_stable_under_inserts_and_deletes(store: Arc<dyn Store>) -> Result<(), Failure> {
    for model in ["d", "b", "f", "h"] {
        put(&*store, "acme", model, "one").await?;
    }
    assert_eq!(keys(&*store, None, 2, None).await?, ["acme/b", "acme/d"]);
    put(&*store, "acme", "a", "one").await?;
    put(&*store, "acme", "e", "one").await?;
    store.delete_own_price(mine(), "acme", "d", &person(200)?).await?;
    put(&*store, "acme", "b", "two").await?;
    let rest = keys(&*store, None, 10, Some("acme/d")).await?;
    assert_eq!(rest, ["acme/e", "acme/f", "acme/h"], "after a gone one");
    Ok(())
}

async fn services_are_summed_up(store: Arc<dyn Store>) -> Result<(), Failure> {
    let entries = [
        entry("acme", WHOLE_SERVICE, "whole", 300)?,
        entry("acme", "a", "zzz", 200)?,
        entry("acme", "b*", "zzz", 400)?,
        entry("bare", WHOLE_SERVICE, "bare", 100)?,
        entry("models", "m", "zzz", 100)?,
    ];
    for entry in &entries {
        store.put_own_price(mine(), entry, MOST, &person(100)?).await?;
    }
    let services = store.own_services(mine(), &page(10, None)).await?;
    let summed: Vec<_> = services
        .iter()
        .map(|summed| {
            let whole = summed.whole.clone();
            (summed.service.as_str(), whole, summed.model_count, summed.updated_at)
        })
        .collect();
    let expected = [
        ("acme", Some(entries[0].clone()), 2, at(400)?),
        ("bare", Some(entries[3].clone()), 0, at(100)?),
        ("models", None, 1, at(100)?),
    ];
    assert_eq!(summed, expected);
    for summed in &services {
        assert_eq!(store.own_service(mine(), &summed.service).await?.as_ref(), Some(summed));
    }
    assert_eq!(store.own_service(mine(), "acm").await?, None);
    Ok(())
}

async fn pages_of_services_have_each_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    for service in ["c", "a", "b", "a-b"] {
        for model in ["x", "y", WHOLE_SERVICE] {
            put(&*store, service, model, "one").await?;
        }
    }
    let list = async |limit: usize, after: Option<&str>| -> Result<Vec<String>, Failure> {
        let after = after.as_ref().map(|after| after as &dyn ToString);
        let found = store.own_services(mine(), &page(limit, after)).await?;
        Ok(found.into_iter().map(|summed| summed.service).collect())
    };
    assert_eq!(list(2, None).await?, ["a", "a-b"]);
    store.delete_own_service(mine(), "a-b", &person(200)?).await?;
    assert_eq!(list(2, Some("a-b")).await?, ["b", "c"]);
    assert_eq!(list(2, Some("c")).await?, [""; 0]);
    assert_eq!(list(0, None).await?, [""; 0]);
    Ok(())
}

async fn an_entry_is_deleted_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    for model in ["a", "a*", WHOLE_SERVICE] {
        put(&*store, "acme", model, "one").await?;
    }
    assert!(store.delete_own_price(mine(), "acme", "a*", &person(200)?).await?);
    assert!(!store.delete_own_price(mine(), "acme", "a*", &person(201)?).await?);
    assert_eq!(keys(&*store, None, 10, None).await?, ["acme/*", "acme/a"]);
    assert_eq!(audit_count(&*store, organization(1)).await?, 4);
    Ok(())
}

async fn a_service_is_deleted_with_all_its_entries(store: Arc<dyn Store>) -> Result<(), Failure> {
    for (service, model) in [("acme", "a"), ("acme", WHOLE_SERVICE), ("acme-2", "a")] {
        put(&*store, service, model, "one").await?;
    }
    assert!(store.delete_own_service(mine(), "acme", &person(200)?).await?);
    assert!(!store.delete_own_service(mine(), "acme", &person(201)?).await?);
    assert_eq!(keys(&*store, None, 10, None).await?, ["acme-2/a"]);
    assert_eq!(audit_count(&*store, organization(1)).await?, 4);
    Ok(())
}

async fn all_entries_come_with_their_revision(store: Arc<dyn Store>) -> Result<(), Failure> {
    let changer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 1..=30 {
                // The value of the one entry is the revision that it makes.
                put(&*store, "acme", "m", &number.to_string()).await?;
            }
            Ok::<_, Failure>(())
        })
    };
    let mut seen = BTreeSet::new();
    loop {
        let is_over = changer.is_finished();
        let all = store.all_own_prices(mine()).await?;
        let values: Vec<_> = all.entries.iter().map(|entry| entry.value.clone()).collect();
        let expected: Vec<_> =
            (all.revision > 0).then(|| all.revision.to_string()).into_iter().collect();
        assert_eq!(values, expected);
        assert!(seen.last().is_none_or(|last| *last <= all.revision), "it never goes back");
        seen.insert(all.revision);
        if is_over {
            break;
        }
    }
    changer.await??;
    assert_eq!(seen.last(), Some(&30));
    Ok(())
}

async fn changes_at_once_make_one_audit_chain(store: Arc<dyn Store>) -> Result<(), Failure> {
    let changes = (0..20).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let service = format!("s{}", number % 4);
            put(&*store, &service, "m", &number.to_string()).await?;
            let event = person(200)?;
            store.delete_own_service(mine(), &service, &event).await?;
            Ok::<_, Failure>(())
        })
    });
    for task in changes.collect::<Vec<_>>() {
        task.await??;
    }
    let entries = store.audit_entries(organization(1), 0, 100).await?;
    let mut previous = None;
    for entry in &entries {
        assert!(entry.follows(previous), "entry {} stands at its place", entry.sequence);
        previous = Some(entry);
    }
    let revision = usize::try_from(store.own_prices_revision(mine()).await?)?;
    assert_eq!(entries.len(), revision, "each change is one entry");
    Ok(())
}
