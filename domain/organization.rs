//! Organizations (the tenants), their settings and their API keys.

use jiff::{Timestamp, civil::Weekday};

use crate::{Currency, KeyId, OrganizationId, Path};

/// A tenant, with its settings. Nothing of one organization is ever seen by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Id.
    pub id: OrganizationId,
    /// Name for people.
    pub name: String,
    /// IANA time zone of its days, weeks and months.
    pub time_zone: String,
    /// First day of its weeks.
    pub week_start: Weekday,
    /// Hour of the wall clock at which the days of caps begin, 0–23. Reports have days from
    /// midnight.
    pub reset_hour: u8,
    /// First month of its fiscal year, 1–12.
    pub fiscal_year_start_month: u8,
    /// The currency in which it reads costs, where it has said so. Nothing is converted.
    pub currency: Option<Currency>,
    /// How many days reported usage is kept, 1–3,650.
    pub retention_days: u32,
    /// Whether reports and reservations make the paths that they name.
    pub auto_create_paths: bool,
    /// Whether the bodies of reported calls are kept.
    pub capture_bodies: bool,
    /// How often the settings were changed.
    pub settings_revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Organization {
    /// Most days for which reported usage is kept.
    pub const RETENTION_DAYS_MAX: u32 = 3650;

    /// An organization with the settings that it has until somebody says otherwise.
    #[must_use]
    pub fn new(id: OrganizationId, name: String, created_at: Timestamp) -> Organization {
        Organization {
            id,
            name,
            time_zone: "UTC".to_owned(),
            week_start: Weekday::Monday,
            reset_hour: 0,
            fiscal_year_start_month: 1,
            currency: None,
            retention_days: 90,
            auto_create_paths: true,
            capture_bodies: false,
            settings_revision: 0,
            created_at,
        }
    }
}

/// What an API key may do. None implies another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Every GET, and estimates.
    Read,
    /// Connections, files, policies and the like.
    Write,
    /// Report usage, check, reserve.
    Track,
    /// Keys, members, the organization itself.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Scope; 4] = [Scope::Read, Scope::Write, Scope::Track, Scope::Admin];

    /// The name in the API and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Track => "track",
            Scope::Admin => "admin",
        }
    }

    /// The scope of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Scope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// Which of an organization's two worlds a key opens. They never see each other's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Environment {
    /// Real money.
    Live,
    /// Trying things out.
    Test,
}

impl Environment {
    /// The name in the API, the store and the key itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Environment::Live => "live",
            Environment::Test => "test",
        }
    }

    /// The environment of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Environment> {
        [Environment::Live, Environment::Test].into_iter().find(|env| env.as_str() == name)
    }
}

/// An API key as it is kept: its hash, never the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Id.
    pub id: KeyId,
    /// Owner.
    pub organization: OrganizationId,
    /// Name for people.
    pub name: String,
    /// Which world it opens.
    pub environment: Environment,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Where it may do it: this path and below; everywhere if absent. Never the empty path.
    pub path_prefix: Option<Path>,
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused, if it was not revoked before.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked: it is refused whatever a clock says.
    pub revoked_at: Option<Timestamp>,
    /// The key that took its place. It stays good until it expires, and is not rotated again.
    pub rotated_to: Option<KeyId>,
}

impl ApiKey {
    /// Whether it opens anything at an instant.
    #[must_use]
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires_at| at < expires_at)
    }

    /// Whether it can manage every key of its organization, now and when a key that was rotated
    /// has ended. An organization without such a key has locked itself out.
    #[must_use]
    pub fn manages_all_keys_at(&self, at: Timestamp) -> bool {
        self.is_valid_at(at)
            && self.rotated_to.is_none()
            && self.environment == Environment::Live
            && self.path_prefix.is_none()
            && self.scopes.contains(&Scope::Admin)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key(change: impl FnOnce(&mut ApiKey)) -> ApiKey {
        let mut key = ApiKey {
            id: KeyId::from_uuid(Uuid::from_u128(1)),
            organization: OrganizationId::from_uuid(Uuid::from_u128(2)),
            name: "owner".to_owned(),
            environment: Environment::Live,
            scopes: Scope::ALL.to_vec(),
            path_prefix: None,
            sha256: [0; 32],
            created_at: second(0),
            expires_at: None,
            revoked_at: None,
            rotated_to: None,
        };
        change(&mut key);
        key
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_key_ends_at_its_expiry_and_with_its_revocation_at_once() {
        let expiring = key(|key| key.expires_at = Some(second(10)));
        assert!(expiring.is_valid_at(second(9)) && !expiring.is_valid_at(second(10)));
        // Another node's clock may be ahead: what was revoked is refused, whenever that was.
        assert!(!key(|key| key.revoked_at = Some(second(99))).is_valid_at(second(9)));
    }

    #[test]
    fn only_a_whole_and_lasting_admin_key_manages_all_keys() {
        assert!(key(|_| ()).manages_all_keys_at(second(1)));
        let changes: [fn(&mut ApiKey); 6] = [
            |key| key.scopes = vec![Scope::Read, Scope::Write, Scope::Track],
            |key| key.environment = Environment::Test,
            |key| key.path_prefix = Path::parse("acme").ok(),
            |key| key.expires_at = Some(second(1)),
            |key| key.revoked_at = Some(second(1)),
            |key| key.rotated_to = Some(KeyId::from_uuid(Uuid::from_u128(3))),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert!(!key(change).manages_all_keys_at(second(1)), "change {index}");
        }
    }
}
