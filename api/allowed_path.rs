//! Which paths a caller may speak of: the one place that asks.

use domain::Path;

use crate::{auth::Caller, error::ApiError};

/// Refuses a path that the caller's key is not for.
pub(crate) fn allowed_path(caller: &Caller, path: &Path) -> Result<(), ApiError> {
    caller.may_use(path)
}

/// The path that the caller's key is bound to, where it is.
pub(crate) fn path_prefix(caller: &Caller) -> Option<&Path> {
    caller.path_prefix.as_ref()
}
