//! Organizations (the tenants) and their API keys.

use jiff::Timestamp;

use crate::{KeyId, OrganizationId};

/// A tenant. Nothing of one organization is ever seen by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Id.
    pub id: OrganizationId,
    /// Name for people.
    pub name: String,
    /// IANA time zone of its days, weeks and months.
    pub time_zone: String,
    /// When it was made.
    pub created_at: Timestamp,
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
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub revoked_at: Option<Timestamp>,
}
