//! A connection: an organization's right to poll one provider account, and how that is going.

use jiff::Timestamp;

use crate::{ConnectionId, OrganizationId, ProviderId, SyncId};

/// How a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// A sync is queued or running for the first time or after a change.
    Syncing,
    /// The last sync ended well.
    Ok,
    /// A person must act; the error says what to do.
    NeedsAttention,
    /// Switched off by a person; nothing is polled.
    Paused,
}

impl ConnectionStatus {
    /// All statuses.
    pub const ALL: [ConnectionStatus; 4] = [
        ConnectionStatus::Syncing,
        ConnectionStatus::Ok,
        ConnectionStatus::NeedsAttention,
        ConnectionStatus::Paused,
    ];

    /// The name in the API and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ConnectionStatus::Syncing => "syncing",
            ConnectionStatus::Ok => "ok",
            ConnectionStatus::NeedsAttention => "needs_attention",
            ConnectionStatus::Paused => "paused",
        }
    }

    /// The status of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<ConnectionStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// What went wrong, for the person who must act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionError {
    /// Stable code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub what_to_do: String,
}

/// A connection. Its credentials are not here: they lie sealed in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Id.
    pub id: ConnectionId,
    /// Owner.
    pub organization: OrganizationId,
    /// Who bills.
    pub provider: ProviderId,
    /// Name given by a person.
    pub name: String,
    /// The provider's account, once known: charges belong to it.
    pub account: Option<String>,
    /// Scheme, host and port instead of the provider's own.
    pub base_url: Option<String>,
    /// How many days the first sync reads.
    pub backfill_days: u32,
    /// Minutes between two syncs.
    pub interval_minutes: u32,
    /// How it is doing.
    pub status: ConnectionStatus,
    /// When the last sync ended well.
    pub last_sync_at: Option<Timestamp>,
    /// Everything before this instant has been read and is final.
    pub complete_through: Option<Timestamp>,
    /// What went wrong last, if it still is.
    pub error: Option<ConnectionError>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where a sync stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncState {
    /// Waits for the runner.
    Queued,
    /// Is being run.
    Running,
    /// Ended well.
    Done,
    /// Ended badly; the error says why.
    Failed,
}

impl SyncState {
    /// All states.
    pub const ALL: [SyncState; 4] =
        [SyncState::Queued, SyncState::Running, SyncState::Done, SyncState::Failed];

    /// The name in the API and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            SyncState::Queued => "queued",
            SyncState::Running => "running",
            SyncState::Done => "done",
            SyncState::Failed => "failed",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<SyncState> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether it can still change.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, SyncState::Queued | SyncState::Running)
    }
}

/// How far one feed of a sync has come: everything before `done_through` is stored and committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedProgress {
    /// The feed.
    pub feed: String,
    /// First instant that has not been read yet.
    pub done_through: Timestamp,
}

/// One run of a connection's polls over a window. It survives restarts: a feed goes on where it
/// stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// Id.
    pub id: SyncId,
    /// Owner.
    pub organization: OrganizationId,
    /// What is polled.
    pub connection: ConnectionId,
    /// Start of the window; `None` until the runner has chosen it.
    pub from: Option<Timestamp>,
    /// End of the window, exclusive; `None` until the runner has chosen it.
    pub to: Option<Timestamp>,
    /// Where it stands.
    pub state: SyncState,
    /// Each feed's progress.
    pub progress: Vec<FeedProgress>,
    /// Charges written so far, in days that were new or had changed.
    pub charges_written: u64,
    /// What the provider could not or would not tell, for people.
    pub issues: Vec<String>,
    /// Why it failed.
    pub error: Option<ConnectionError>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}
