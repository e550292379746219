//! The owner's API key of a new store, which exists only now: written where the operator wants it,
//! or shown.

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use anyhow::{Context, Result};
use domain::Secret;

/// Writes the key to `file`, readable by its owner only, or shows it with `print`, this once.
pub(crate) fn hand_over(key: &Secret, file: Option<&Path>, print: fn(&str)) -> Result<()> {
    let Some(path) = file else {
        let key = key.expose();
        let told = "This is the owner's API key. It is shown once and stored nowhere:";
        print(&format!("{told}\n\n  {key}\n"));
        return Ok(());
    };
    let cannot = || format!("cannot write the first API key to `{}`", path.display());
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(cannot)?;
    writeln!(file, "{}", key.expose()).with_context(cannot)?;
    file.sync_all().with_context(cannot)
}
