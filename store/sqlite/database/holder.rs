//! Who holds the store: one process, by a lock of the operating system on `PATH.lock`.
//!
//! The lock ends with the process, however that ends, so a lock file that lies about means nothing
//! by itself. While the lock is held the file may say how to reach the holder; a command that finds
//! the store in use asks the holder instead of opening the file.

use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::{connect::create_private_file, failure::io_failure};
use crate::{Result, StoreError};

/// A reader of the file holds a shared lock for an instant, and a stopping server for a little
/// longer.
const TRY_COUNT: u32 = 5;
const TRY_PAUSE: Duration = Duration::from_millis(50);

/// The lock, held.
#[derive(Debug)]
pub(in crate::sqlite) struct Holder {
    path: PathBuf,
    file: Mutex<File>,
}

impl Holder {
    /// Takes the lock of the store at `store`, or says that somebody has it.
    pub(in crate::sqlite) fn take(store: &Path) -> Result<Holder> {
        let path = lock_path(store);
        let file = create_private_file(&path)?;
        if !lock(&file).map_err(|error| io_failure("lock", &path, error))? {
            return Err(StoreError::misconfigured(format!(
                "`{}` is in use by another process; stop that one, or use another file",
                store.display()
            )));
        }
        let holder = Holder { path, file: Mutex::new(file) };
        // What a killed process left is not about us.
        holder.publish("")?;
        Ok(holder)
    }

    /// Writes what others may read of the holder.
    pub(in crate::sqlite) fn publish(&self, text: &str) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        restrict(&file)
            .and_then(|()| file.set_len(0))
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(|error| io_failure("write", &self.path, error))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Err(error) = self.publish("") {
            tracing::warn!(error = %error, "the store's lock file was not cleared");
        }
    }
}

fn lock(file: &File) -> std::io::Result<bool> {
    for _ in 1..TRY_COUNT {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => thread::sleep(TRY_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// For a file that was there before with other rights: it will hold a token.
fn restrict(file: &File) -> std::io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Where the lock of the store at `store` is.
pub(in crate::sqlite) fn lock_path(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// What the holder of the store at `store` published; `None` where nobody holds it, or it published
/// nothing.
pub(in crate::sqlite) fn read_holder(store: &Path) -> Option<String> {
    let mut file = File::open(lock_path(store)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        // Nobody holds it; the shared lock goes with the file.
        Ok(()) | Err(TryLockError::Error(_)) => return None,
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    (!text.is_empty()).then_some(text)
}
