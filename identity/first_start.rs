//! The first start of an empty store: one organization, and its owner's API key.

use domain::{
    AuditEvent, Clock, Organization, OrganizationId, Scope, Secret, organization::Environment,
};
use jiff::Timestamp;
use store::Store;

use crate::{IdentityError, KeyRequest, Result, make_api_key, new_uuid};

/// What a first start has made.
pub struct FirstStart {
    /// The organization.
    pub organization: Organization,
    /// Its owner's live key, with all scopes. It exists nowhere else: show it once.
    pub key: Secret,
}

/// Makes the organization `name` and its owner's key where the store has no organization yet, and
/// writes both to the audit log. `None` where there is one: of many processes starting at once, one
/// makes it.
///
/// # Errors
/// Where the store fails or the system has no randomness.
pub async fn first_start(
    store: &dyn Store,
    clock: &dyn Clock,
    name: &str,
) -> Result<Option<FirstStart>> {
    let at = whole_microseconds(clock.now());
    let id = OrganizationId::from_uuid(new_uuid(at)?);
    let organization = Organization::new(id, name.to_owned(), at);
    let new_key = make_api_key(KeyRequest {
        organization: organization.id,
        name: "owner".to_owned(),
        environment: Environment::Live,
        scopes: Scope::ALL.to_vec(),
        path_prefix: None,
        expires_at: None,
        at,
    })?;
    let audit = AuditEvent {
        organization: organization.id,
        actor: "system".to_owned(),
        action: "organization.created".to_owned(),
        target: organization.id.to_string(),
        ip: None,
        at,
    };
    let is_first = store
        .create_first_organization(&organization, &new_key.key, &audit)
        .await
        .map_err(|source| IdentityError::Store { doing: "making the organization", source })?;
    Ok(is_first.then_some(FirstStart { organization, key: new_key.secret }))
}

/// Stores keep microseconds; what is finer would come back as another instant.
fn whole_microseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).expect("an instant without its nanoseconds")
}
