//! Connections and syncs as plain data. Credentials are never part of it.

use domain::{Connection, ConnectionError, connection::Sync as SyncRun};
use serde::Serialize;
use utoipa::ToSchema;

use crate::schemas;

/// A connection to a provider's billing API.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectionView {
    /// `conn_…`
    id: String,
    /// Who bills.
    provider: String,
    /// Name given by a person.
    name: String,
    /// `syncing`, `ok`, `needs_attention` or `paused`.
    #[schema(value_type = schemas::ConnectionStatus)]
    status: &'static str,
    /// Scheme, host and port instead of the provider's own.
    base_url: Option<String>,
    /// Time between two syncs, as an ISO 8601 duration.
    schedule: String,
    /// How many days the first sync reads.
    backfill_days: u32,
    /// The provider's account, once known.
    account: Option<String>,
    /// When the last sync ended well.
    #[schema(format = DateTime)]
    last_sync: Option<String>,
    /// Everything before is read and final.
    #[schema(format = DateTime)]
    complete_through: Option<String>,
    error: Option<TroubleView>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// What went wrong, for the person who must act.
#[derive(Debug, Serialize, ToSchema)]
struct TroubleView {
    /// Stable code.
    code: String,
    /// What happened.
    message: String,
    /// What to do about it.
    what_to_do: String,
}

impl From<ConnectionError> for TroubleView {
    fn from(error: ConnectionError) -> TroubleView {
        let ConnectionError { code, message, what_to_do } = error;
        TroubleView { code, message, what_to_do }
    }
}

impl From<Connection> for ConnectionView {
    fn from(connection: Connection) -> ConnectionView {
        ConnectionView {
            id: connection.id.to_string(),
            provider: connection.provider.to_string(),
            name: connection.name,
            status: connection.status.as_str(),
            base_url: connection.base_url,
            schedule: duration_text(connection.interval_minutes),
            backfill_days: connection.backfill_days,
            account: connection.account,
            last_sync: connection.last_sync_at.map(|at| at.to_string()),
            complete_through: connection.complete_through.map(|at| at.to_string()),
            error: connection.error.map(TroubleView::from),
            created_at: connection.created_at.to_string(),
        }
    }
}

/// Minutes as an ISO 8601 duration: `PT5M`, `PT1H30M`, `P1D`.
fn duration_text(minutes: u32) -> String {
    let (days, rest) = (minutes / 1440, minutes % 1440);
    let (hours, minutes) = (rest / 60, rest % 60);
    let part = |count: u32, letter: &str| match count {
        0 => String::new(),
        count => format!("{count}{letter}"),
    };
    let time = format!("{}{}", part(hours, "H"), part(minutes, "M"));
    match (days, time.is_empty()) {
        (0, true) => "PT0S".to_owned(),
        (_, true) => format!("P{days}D"),
        _ => format!("P{}T{time}", part(days, "D")),
    }
}

/// One run of a connection's polls.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncView {
    /// `sync_…`
    id: String,
    /// Start of what it reads; null until it runs.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// End of what it reads, exclusive.
    #[schema(format = DateTime)]
    to: Option<String>,
    /// `queued`, `running`, `done` or `failed`.
    #[schema(value_type = schemas::SyncState)]
    state: &'static str,
    /// How far each feed has come.
    progress: Vec<FeedView>,
    /// Charges written so far, in days that were new or had changed.
    charges_written: u64,
    /// What the provider could not or would not tell.
    issues: Vec<String>,
    error: Option<TroubleView>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
}

/// How far one feed has come.
#[derive(Debug, Serialize, ToSchema)]
struct FeedView {
    /// Its name.
    feed: String,
    /// Everything before is stored.
    #[schema(format = DateTime)]
    done_through: String,
}

impl From<SyncRun> for SyncView {
    fn from(sync: SyncRun) -> SyncView {
        let progress = sync
            .progress
            .into_iter()
            .map(|feed| FeedView { feed: feed.feed, done_through: feed.done_through.to_string() });
        SyncView {
            id: sync.id.to_string(),
            from: sync.from.map(|at| at.to_string()),
            to: sync.to.map(|at| at.to_string()),
            state: sync.state.as_str(),
            progress: progress.collect(),
            charges_written: sync.charges_written,
            issues: sync.issues,
            error: sync.error.map(TroubleView::from),
            created_at: sync.created_at.to_string(),
            finished_at: sync.finished_at.map(|at| at.to_string()),
        }
    }
}

/// The answer to a request for a sync.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncStarted {
    /// The sync that runs now or next.
    pub(crate) sync_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_their_largest_parts() {
        for (minutes, text) in
            [(5, "PT5M"), (60, "PT1H"), (90, "PT1H30M"), (1440, "P1D"), (1500, "P1DT1H")]
        {
            assert_eq!(duration_text(minutes), text);
        }
    }
}
