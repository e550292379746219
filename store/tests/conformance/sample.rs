//! Things to store: small, valid, and different where their number is.

use domain::{ApiKey, AuditEvent, KeyId, OrganizationId, Scope, organization::Environment};
use jiff::Timestamp;
use uuid::Uuid;

use crate::Failure;

/// The organization of a number.
pub(crate) fn organization(number: u128) -> OrganizationId {
    OrganizationId::from_uuid(Uuid::from_u128(number))
}

/// An instant in seconds after the epoch.
pub(crate) fn at(second: i64) -> Result<Timestamp, Failure> {
    Ok(Timestamp::from_second(second)?)
}

/// What a person did, at an instant in seconds.
pub(crate) fn audit(organization: OrganizationId, second: i64) -> Result<AuditEvent, Failure> {
    Ok(AuditEvent {
        organization,
        actor: "key_00000000000000000000000001".to_owned(),
        action: "thing.changed".to_owned(),
        target: "the thing: größer, 大きい".to_owned(),
        ip: Some("192.0.2.7".to_owned()),
        at: at(second)?,
    })
}

/// An API key of an organization; its hash is all its number's last byte.
pub(crate) fn api_key(number: u128, organization: OrganizationId) -> Result<ApiKey, Failure> {
    Ok(ApiKey {
        id: KeyId::from_uuid(Uuid::from_u128(number)),
        organization,
        name: format!("key {number}"),
        environment: Environment::Live,
        scopes: vec![Scope::Read, Scope::Write],
        sha256: [number.to_le_bytes()[0]; 32],
        created_at: at(1)?,
        revoked_at: None,
    })
}
