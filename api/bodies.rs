//! Captured bodies: prompts and answers of reported calls, where the organization keeps them. Each
//! is sealed and stored before its event is asked for, and the event has its id; one whose event
//! was refused, or booked before, is referred to by nothing and swept later.

use std::error::Error;

use domain::{Secret, organization::Environment};
use serde_json::value::RawValue;
use store::{bodies::SealedBody, secrets::SealedSecret};
use uuid::Uuid;

use crate::{
    asking::shard_of,
    auth::Caller,
    error::{ApiError, Code},
    spend::Spend,
    state::AppState,
};

/// Most bytes of a body, as it was sent.
pub(crate) const BODY_BYTES_MAX: usize = 256 << 10;

/// The mark of an event whose body is not kept because it is too long.
pub(crate) const TOO_LARGE: &str = "body_too_large";
/// The mark of an event whose body could not be sealed or stored.
pub(crate) const NOT_KEPT: &str = "body_not_kept";

/// What a sealed body is bound to, beside its organization and its record.
const FIELD: &str = "body";

/// Seals and stores the bodies that came with spends, where the organization wants them. What was
/// spent is booked whether or not its body can be kept.
pub(crate) async fn keep_bodies<'s>(
    state: &AppState,
    caller: &Caller,
    spends: impl Iterator<Item = &'s mut Spend>,
) -> Result<(), ApiError> {
    let mut sent = vec![];
    for spend in spends {
        let about = &mut spend.about;
        if let Some(text) = about.sent_body.take() {
            sent.push((text, about));
        }
    }
    if sent.is_empty() {
        return Ok(());
    }
    let organization = state.store.organization(caller.organization).await?;
    if !organization.is_some_and(|organization| organization.capture_bodies) {
        return Ok(());
    }
    let (mut secrets, mut abouts) = (vec![], vec![]);
    for (text, about) in sent {
        if text.expose().len() > BODY_BYTES_MAX {
            about.marks.push(TOO_LARGE.to_owned());
            continue;
        }
        let id = state.new_bits()?.as_u128();
        secrets.push((record(caller.environment, id), text));
        abouts.push((id, about));
    }
    let ids: Vec<_> = abouts.iter().map(|(id, _)| *id).collect();
    match seal_and_store(state, caller, &ids, &secrets).await {
        Ok(()) => abouts.into_iter().for_each(|(id, about)| about.body = Some(id)),
        Err(error) => {
            tracing::warn!(%error, count = ids.len(), "bodies could not be kept");
            abouts.into_iter().for_each(|(_, about)| about.marks.push(NOT_KEPT.to_owned()));
        }
    }
    Ok(())
}

/// Where this fails bodies may yet be stored: nothing refers to them, and they are swept.
async fn seal_and_store(
    state: &AppState,
    caller: &Caller,
    ids: &[u128],
    secrets: &[(String, Secret)],
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let sealed = state.vault.seal_apart(caller.organization, FIELD, secrets).await?;
    let now = state.now();
    let bodies: Vec<_> = ids
        .iter()
        .zip(sealed)
        .map(|(id, sealed)| SealedBody {
            id: *id,
            sealed_at: now,
            data_key_version: sealed.data_key_version,
            ciphertext: sealed.ciphertext,
        })
        .collect();
    Ok(state.store.put_bodies(shard_of(caller), &bodies).await?)
}

/// The body of an event, opened; nothing where it is gone by now, or cannot be opened.
pub(crate) async fn opened_body(
    state: &AppState,
    caller: &Caller,
    id: u128,
) -> Result<Option<Box<RawValue>>, ApiError> {
    let Some(body) = state.store.body(shard_of(caller), id).await? else { return Ok(None) };
    let sealed = SealedSecret {
        organization: caller.organization,
        record: record(caller.environment, id),
        field: FIELD.to_owned(),
        data_key_version: body.data_key_version,
        ciphertext: body.ciphertext,
    };
    match state.vault.open_apart(&sealed).await {
        Ok(text) => {
            let text = RawValue::from_string(text.expose().to_owned());
            text.map(Some).map_err(ApiError::internal)
        }
        Err(error) if error.is_temporary => {
            let detail = "the event's body cannot be opened now; try again";
            Err(ApiError::new(Code::Unavailable, detail).caused_by(error))
        }
        Err(error) => {
            tracing::error!(%error, cause = %error.source, "an event's body cannot be opened");
            Ok(None)
        }
    }
}

/// The text of a body, as it was sent.
pub(crate) fn sent_body(raw: Option<Box<RawValue>>) -> Option<Secret> {
    raw.map(|raw| Secret::new(raw.get().to_owned()))
}

/// What a body is sealed for: it opens nowhere else.
fn record(environment: Environment, id: u128) -> String {
    format!("{}/{}", environment.as_str(), Uuid::from_u128(id).simple())
}
