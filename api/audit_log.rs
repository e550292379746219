//! The audit log: who did what, newest first, with the hashes that show whether it was changed.

use axum::extract::State;

use crate::{
    Shared,
    auth::{Authorized, ReadBilling},
    dto_audit::AuditView,
    error::ApiError,
    extract::Parameters,
    json_answer::Json,
    pages::{self, ListQuery, Page, refused_cursor},
};

/// Who did what, newest first.
#[utoipa::path(get, path = "/v1/audit-log", tag = "control", params(ListQuery),
    responses((status = 200, body = Page<AuditView>)))]
pub(crate) async fn list_audit_log(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<ReadBilling>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Page<AuditView>>, ApiError> {
    let asked = query.asked()?;
    let before = asked.after.as_deref().map(sequence).transpose()?;
    let limit = asked.limit;
    let entries = state.store.audit_entries_back(caller.organization, before, limit).await?;
    // Entries are numbered from 1 without a gap, so only the first has none before it.
    let last = entries.last().map(|entry| entry.sequence);
    let next = last.filter(|last| asked.is_filled_by(&entries) && *last > 1);
    Ok(Json(Page {
        data: entries.into_iter().map(AuditView::from).collect(),
        next_cursor: next.map(|sequence| pages::cursor(&sequence.to_string())),
    }))
}

/// The place that a cursor of this list names.
fn sequence(place: &str) -> Result<u64, ApiError> {
    let sequence = place.parse::<i64>().ok().and_then(|sequence| u64::try_from(sequence).ok());
    sequence.ok_or_else(refused_cursor)
}
