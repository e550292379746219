//! Cases of idempotency keys: one try goes ahead, its answer is given again.

use std::sync::Arc;

use store::{
    Store,
    idempotency::{Claimed, RequestClaim, StoredResponse},
};
use uuid::Uuid;

use crate::{Failure, sample::at};

cases! {
    of_many_claims_at_once_exactly_one_goes_ahead,
    an_answer_is_given_again_byte_for_byte,
    the_first_answer_stays,
    another_body_is_told_so_before_and_after_the_answer,
    a_try_that_never_ended_is_taken_over_with_the_first_bits,
    of_many_that_take_over_exactly_one_goes_ahead,
    a_released_try_is_followed_at_once_with_the_first_bits,
    a_release_after_the_answer_keeps_the_answer,
    an_expired_record_counts_as_none,
    of_many_claims_of_an_expired_record_exactly_one_goes_ahead,
    only_what_expired_is_forgotten,
}

/// A try at a second: it counts as going on for 30 seconds, its answer is kept for 1,000.
fn claim(second: i64, seed: u128) -> Result<RequestClaim, Failure> {
    Ok(RequestClaim {
        key: [1; 32],
        body_sha256: [2; 32],
        seed: Uuid::from_u128(seed),
        at: at(second)?,
        pending_until: at(second + 30)?,
        expires_at: at(second + 1000)?,
    })
}

fn answer(body: &[u8]) -> StoredResponse {
    StoredResponse {
        status: 201,
        content_type: "application/json; charset=utf-8".to_owned(),
        body: body.to_vec(),
    }
}

const fn go(seed: u128) -> Claimed {
    Claimed::Go(Uuid::from_u128(seed))
}

/// Fifty claims at once, each with bits of its own. Returns who went ahead, and with which bits.
async fn race(store: &Arc<dyn Store>, second: i64) -> Result<Vec<(u128, Uuid)>, Failure> {
    let attempt = |seed: u128| {
        let store = Arc::clone(store);
        async move { Ok::<_, Failure>((seed, store.claim_request(&claim(second, seed)?).await?)) }
    };
    let tasks: Vec<_> = (100..150).map(|seed| tokio::spawn(attempt(seed))).collect();
    let mut winners = Vec::new();
    for task in tasks {
        match task.await?? {
            (seed, Claimed::Go(bits)) => winners.push((seed, bits)),
            (_, other) => assert_eq!(other, Claimed::Pending),
        }
    }
    Ok(winners)
}

async fn of_many_claims_at_once_exactly_one_goes_ahead(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let winners = race(&store, 0).await?;
    assert_eq!(winners.len(), 1, "{winners:?}");
    let (seed, bits) = winners[0];
    assert_eq!(bits, Uuid::from_u128(seed), "the winner's own bits");
    Ok(())
}

async fn an_answer_is_given_again_byte_for_byte(store: Arc<dyn Store>) -> Result<(), Failure> {
    assert_eq!(store.claim_request(&claim(0, 7)?).await?, go(7));
    assert_eq!(store.claim_request(&claim(1, 8)?).await?, Claimed::Pending);
    let response = answer(b"{\"id\":\"\xff\x00\"}\r\n");
    store.answer_request(&[1; 32], &response).await?;
    for second in [1, 29, 500, 999] {
        let again = store.claim_request(&claim(second, 9)?).await?;
        assert_eq!(again, Claimed::Answered(response.clone()));
    }
    let elsewhere = RequestClaim { key: [3; 32], ..claim(1, 10)? };
    assert_eq!(store.claim_request(&elsewhere).await?, go(10), "keys are apart");
    Ok(())
}

async fn the_first_answer_stays(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.claim_request(&claim(0, 7)?).await?;
    store.answer_request(&[1; 32], &answer(b"first")).await?;
    store.answer_request(&[1; 32], &answer(b"second")).await?;
    let again = store.claim_request(&claim(1, 8)?).await?;
    assert_eq!(again, Claimed::Answered(answer(b"first")));
    // An answer to what nobody asked is no record.
    store.answer_request(&[4; 32], &answer(b"nobody")).await?;
    let unasked = RequestClaim { key: [4; 32], ..claim(1, 9)? };
    assert_eq!(store.claim_request(&unasked).await?, go(9));
    Ok(())
}

async fn another_body_is_told_so_before_and_after_the_answer(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    store.claim_request(&claim(0, 7)?).await?;
    let other = RequestClaim { body_sha256: [9; 32], ..claim(1, 8)? };
    assert_eq!(store.claim_request(&other).await?, Claimed::OtherBody);
    store.answer_request(&[1; 32], &answer(b"done")).await?;
    assert_eq!(store.claim_request(&other).await?, Claimed::OtherBody);
    assert_eq!(store.claim_request(&claim(1, 8)?).await?, Claimed::Answered(answer(b"done")));
    Ok(())
}

async fn a_try_that_never_ended_is_taken_over_with_the_first_bits(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    assert_eq!(store.claim_request(&claim(0, 7)?).await?, go(7));
    assert_eq!(store.claim_request(&claim(29, 8)?).await?, Claimed::Pending);
    assert_eq!(store.claim_request(&claim(30, 8)?).await?, go(7));
    assert_eq!(store.claim_request(&claim(59, 9)?).await?, Claimed::Pending, "it goes on anew");
    assert_eq!(store.claim_request(&claim(60, 9)?).await?, go(7));
    Ok(())
}

async fn of_many_that_take_over_exactly_one_goes_ahead(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    assert_eq!(store.claim_request(&claim(0, 7)?).await?, go(7));
    let winners = race(&store, 31).await?;
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(winners[0].1, Uuid::from_u128(7), "the first try's bits");
    Ok(())
}

async fn a_released_try_is_followed_at_once_with_the_first_bits(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    assert_eq!(store.claim_request(&claim(0, 7)?).await?, go(7));
    store.release_request(&[1; 32]).await?;
    store.release_request(&[1; 32]).await?;
    assert_eq!(store.claim_request(&claim(1, 8)?).await?, go(7));
    assert_eq!(store.claim_request(&claim(2, 9)?).await?, Claimed::Pending);
    Ok(())
}

async fn a_release_after_the_answer_keeps_the_answer(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.claim_request(&claim(0, 7)?).await?;
    store.answer_request(&[1; 32], &answer(b"done")).await?;
    store.release_request(&[1; 32]).await?;
    assert_eq!(store.claim_request(&claim(1, 8)?).await?, Claimed::Answered(answer(b"done")));
    store.release_request(&[9; 32]).await?;
    Ok(())
}

async fn an_expired_record_counts_as_none(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.claim_request(&claim(0, 7)?).await?;
    store.answer_request(&[1; 32], &answer(b"old")).await?;
    assert_eq!(store.claim_request(&claim(999, 8)?).await?, Claimed::Answered(answer(b"old")));
    let anew = RequestClaim { body_sha256: [9; 32], ..claim(1000, 8)? };
    assert_eq!(store.claim_request(&anew).await?, go(8), "new bits, and any body");
    assert_eq!(store.claim_request(&claim(1001, 9)?).await?, Claimed::OtherBody);
    Ok(())
}

async fn of_many_claims_of_an_expired_record_exactly_one_goes_ahead(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    store.claim_request(&claim(0, 7)?).await?;
    store.answer_request(&[1; 32], &answer(b"old")).await?;
    let winners = race(&store, 2000).await?;
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(winners[0].1, Uuid::from_u128(winners[0].0), "the winner's own bits");
    Ok(())
}

async fn only_what_expired_is_forgotten(store: Arc<dyn Store>) -> Result<(), Failure> {
    for (byte, second) in [(1, 0), (2, 100), (3, 200)] {
        let claim = RequestClaim { key: [byte; 32], ..claim(second, 7)? };
        assert_eq!(store.claim_request(&claim).await?, go(7));
    }
    assert_eq!(store.forget_requests(at(999)?).await?, 0);
    assert_eq!(store.forget_requests(at(1150)?).await?, 2);
    assert_eq!(store.forget_requests(at(1150)?).await?, 0);
    let kept = RequestClaim { key: [3; 32], ..claim(201, 8)? };
    assert_eq!(store.claim_request(&kept).await?, Claimed::Pending);
    Ok(())
}
