//! Cases of end users: one number each, whoever asks at once, and nobody's once they are forgotten.

use std::{collections::BTreeSet, sync::Arc};

use store::Store;

use crate::{
    Failure,
    sample::{audit, audit_count, organization, shard, test_shard},
};

cases! {
    numbers_are_given_once_and_in_order,
    an_id_that_is_asked_for_twice_at_once_has_one_number,
    of_many_who_number_the_same_ids_all_get_the_same,
    a_name_reads_back_as_it_was_given,
    whoever_was_forgotten_is_nobody_and_comes_back_as_somebody_else,
    forgetting_is_noted_once,
    shards_do_not_see_each_others_end_users,
}

fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

async fn numbers(store: &dyn Store, ids: &[&str]) -> Result<Vec<u64>, Failure> {
    Ok(store.end_user_numbers(shard(1), &texts(ids)).await?)
}

async fn forget(store: &dyn Store, id: &str) -> Result<bool, Failure> {
    Ok(store.forget_end_user(shard(1), id, &audit(organization(1), 100)?).await?)
}

async fn numbers_are_given_once_and_in_order(store: Arc<dyn Store>) -> Result<(), Failure> {
    assert_eq!(numbers(&*store, &[]).await?, Vec::<u64>::new());
    assert_eq!(numbers(&*store, &["ann"]).await?, [1]);
    assert_eq!(numbers(&*store, &["ann"]).await?, [1]);
    assert_eq!(numbers(&*store, &["bea", "ann", "cem"]).await?, [2, 1, 3]);
    assert_eq!(store.find_end_user(shard(1), "cem").await?, Some(3));
    assert_eq!(store.find_end_user(shard(1), "Cem").await?, None);
    let names = store.end_user_names(shard(1), &[3, 9, 1, 0, u64::MAX, 3]).await?;
    let expected = [Some("cem"), None, Some("ann"), None, None, Some("cem")];
    assert_eq!(names.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
    assert_eq!(store.end_user_names(shard(1), &[]).await?, Vec::<Option<String>>::new());
    Ok(())
}

async fn an_id_that_is_asked_for_twice_at_once_has_one_number(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    assert_eq!(numbers(&*store, &["ann", "ann", "bea", "ann"]).await?, [1, 1, 2, 1]);
    assert_eq!(numbers(&*store, &["cem"]).await?, [3]);
    Ok(())
}

async fn of_many_who_number_the_same_ids_all_get_the_same(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let asked = (0..20_usize).map(|start| {
        let store = Arc::clone(&store);
        // Each asks for the same ids in another order, and for one of its own.
        let mut ids: Vec<String> = (0..10).map(|id| format!("u{}", (id + start) % 10)).collect();
        ids.push(format!("own{start}"));
        tokio::spawn(async move {
            let numbers = store.end_user_numbers(shard(1), &ids).await;
            numbers.map(|numbers| ids.into_iter().zip(numbers).collect::<Vec<_>>())
        })
    });
    let mut given = BTreeSet::new();
    for task in asked.collect::<Vec<_>>() {
        given.extend(task.await??);
    }
    assert_eq!(given.len(), 30, "each id has one number: {given:?}");
    let numbers: BTreeSet<u64> = given.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers.len(), 30, "each number is of one id: {given:?}");
    for (id, number) in given {
        assert_eq!(store.find_end_user(shard(1), &id).await?, Some(number));
    }
    Ok(())
}

async fn a_name_reads_back_as_it_was_given(store: Arc<dyn Store>) -> Result<(), Failure> {
    let ids = ["größer 🔑", "$user.%_\u{0}'\"", " ", "ANN", "ann", "7"];
    let given = numbers(&*store, &ids).await?;
    let names = store.end_user_names(shard(1), &given).await?;
    assert_eq!(names.into_iter().flatten().collect::<Vec<_>>(), texts(&ids));
    Ok(())
}

async fn whoever_was_forgotten_is_nobody_and_comes_back_as_somebody_else(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    assert_eq!(numbers(&*store, &["ann", "bea"]).await?, [1, 2]);
    assert!(forget(&*store, "bea").await?);
    assert_eq!(store.find_end_user(shard(1), "bea").await?, None);
    let names = store.end_user_names(shard(1), &[1, 2]).await?;
    assert_eq!(names, [Some("ann".to_owned()), None]);
    assert_eq!(numbers(&*store, &["bea"]).await?, [3], "the last number is not given again");
    assert_eq!(store.end_user_names(shard(1), &[2]).await?, [None]);
    Ok(())
}

async fn forgetting_is_noted_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    numbers(&*store, &["ann"]).await?;
    assert!(!forget(&*store, "bea").await?);
    assert_eq!(audit_count(&*store, organization(1)).await?, 0);
    assert!(forget(&*store, "ann").await?);
    assert!(!forget(&*store, "ann").await?, "a repeat changes nothing");
    assert_eq!(audit_count(&*store, organization(1)).await?, 1);
    Ok(())
}

async fn shards_do_not_see_each_others_end_users(store: Arc<dyn Store>) -> Result<(), Failure> {
    assert_eq!(numbers(&*store, &["ann", "bea"]).await?, [1, 2]);
    for other in [test_shard(1), shard(2)] {
        assert_eq!(store.find_end_user(other, "bea").await?, None);
        assert_eq!(store.end_user_names(other, &[2]).await?, [None]);
        assert_eq!(store.end_user_numbers(other, &texts(&["bea"])).await?, [1]);
        let audit = audit(other.organization, 100)?;
        assert!(store.forget_end_user(other, "bea", &audit).await?);
    }
    assert_eq!(store.find_end_user(shard(1), "bea").await?, Some(2));
    Ok(())
}
