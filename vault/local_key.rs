//! A key-encryption key on this machine: a file that only its owner may read, or a text.
//!
//! The file holds one line, 32 bytes as base64. It is made on the first start, complete or not at
//! all, and is never written again. Losing it means losing every stored credential: it belongs in a
//! backup, apart from the store's.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{DataKey, KeyContext, KeySource, Result, VaultError, envelope};

/// No key file is longer than this.
const FILE_BYTES_MAX: usize = 1024;

/// A key-encryption key in this process's memory. It has no `Debug`.
///
/// ```compile_fail
/// let key = vault::LocalKey::from_text("…").unwrap();
/// println!("{key:?}");
/// ```
pub struct LocalKey {
    key: DataKey,
    id: String,
}

impl LocalKey {
    /// The key in a text: 32 bytes as base64 or as 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`VaultError::Malformed`] for anything else.
    pub fn from_text(text: &str) -> Result<LocalKey> {
        DataKey::from_text(text).map(LocalKey::new)
    }

    /// The key in a file, which nobody but its owner may read.
    ///
    /// # Errors
    /// [`VaultError::KeyFile`] where it cannot be read, is no key, or is open to others.
    pub fn from_file(path: &Path) -> Result<LocalKey> {
        let failed = |problem: &str, source| key_file(path, problem, Some(source));
        let mut file = File::open(path).map_err(|error| failed("cannot be opened", error))?;
        // The open file is asked, not the path: nobody can put another file there in between.
        let facts = file.metadata().map_err(|error| failed("cannot be looked at", error))?;
        if !facts.is_file() {
            return Err(key_file(path, "is not a regular file", None));
        }
        if facts.mode() & 0o077 != 0 {
            let mode = facts.mode() & 0o777;
            let problem = format!(
                "may be read or written by others (mode {mode:03o}): type `chmod 600 {}`, and \
                 make a new key if they are not trusted",
                path.display()
            );
            return Err(key_file(path, problem, None));
        }
        let mut buffer = Zeroizing::new([0; FILE_BYTES_MAX]);
        let length = read_up_to(&mut file, buffer.as_mut())
            .map_err(|error| failed("cannot be read", error))?;
        let text = std::str::from_utf8(&buffer[..length]).unwrap_or("");
        DataKey::from_text(text).map(LocalKey::new).map_err(|error| {
            key_file(path, format!("{error}; put the right file back from a backup"), None)
        })
    }

    /// The key in a file, which is made with a new key where there is none. Of many processes that
    /// start at once, one makes it and all read it.
    ///
    /// # Errors
    /// [`VaultError::KeyFile`] where it can neither be read nor made.
    pub fn from_file_or_new(path: &Path) -> Result<LocalKey> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = DataKey::generate()?.to_text();
                create_whole(path, &text).map_err(|error| {
                    let problem = "cannot be made: its folder must exist and be writable";
                    key_file(path, problem, Some(error))
                })?;
            }
            _ => {}
        }
        LocalKey::from_file(path)
    }

    fn new(key: DataKey) -> LocalKey {
        // A prefix of a hash over 256 random bits tells nothing that helps to find them.
        let hash = Sha256::new()
            .chain_update(b"outlay key-encryption key id")
            .chain_update(key.expose())
            .finalize();
        let digits: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        LocalKey { key, id: format!("local:{digits}") }
    }
}

#[async_trait::async_trait]
impl KeySource for LocalKey {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, context: &KeyContext, key: &DataKey) -> Result<Vec<u8>> {
        envelope::seal(&self.key, &context.authenticated(), key.expose())
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<DataKey> {
        envelope::open(&self.key, &context.authenticated(), wrapped)
            .and_then(|bytes| DataKey::from_bytes(&bytes))
            .ok_or(VaultError::DamagedDataKey {
                organization: context.organization,
                version: context.version,
            })
    }
}

/// Writes a file that appears complete, readable by its owner only, and on disk, or not at all. A
/// file that is there already, perhaps since a moment ago, stays.
fn create_whole(path: &Path, text: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let draft = draft_path(folder)?;
    let written = write_draft(&draft, text).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = match fs::remove_file(&draft) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    written.and(removed)?;
    File::open(folder)?.sync_all()
}

fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn draft_path(folder: &Path) -> io::Result<PathBuf> {
    let number = getrandom::u64().map_err(io::Error::other)?;
    Ok(folder.join(format!(".outlay-key-{number:016x}")))
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

fn key_file(path: &Path, problem: impl Into<String>, source: Option<io::Error>) -> VaultError {
    VaultError::KeyFile { path: path.to_owned(), problem: problem.into(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn problem(path: &Path) -> String {
        match LocalKey::from_file_or_new(path) {
            Ok(_) => panic!("the file was taken"),
            Err(error) => error.to_string(),
        }
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_first_start_makes_a_file_that_only_its_owner_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outlay.key");
        let made = LocalKey::from_file_or_new(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        let read = LocalKey::from_file_or_new(&path).unwrap();
        assert_eq!(read.key.expose(), made.key.expose());
        assert_eq!(read.id(), made.id());
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(LocalKey::from_text(&text).unwrap().key.expose(), made.key.expose());
    }

    #[test]
    fn many_first_starts_at_once_read_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outlay.key");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let start = || LocalKey::from_file_or_new(&path).unwrap().id;
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_command_that_helps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outlay.key");
        LocalKey::from_file_or_new(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            set_mode(&path, mode);
            let problem = problem(&path);
            assert!(problem.contains("chmod 600"), "{problem}");
            assert!(problem.contains(&format!("{mode:03o}")), "{problem}");
        }
        set_mode(&path, 0o400);
        assert!(LocalKey::from_file(&path).is_ok(), "a read-only key is as good");
    }

    #[test]
    fn a_malformed_file_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outlay.key");
        let contents: [&[u8]; 4] = [b"", b"\xff\xfe", b"not a key\n", &[b'A'; 2 * FILE_BYTES_MAX]];
        for content in contents {
            fs::write(&path, content).unwrap();
            set_mode(&path, 0o600);
            assert!(problem(&path).contains("backup"));
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn what_is_no_file_or_has_no_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(problem(folder.path()).contains("not a regular file"));
        assert!(problem(&folder.path().join("missing/outlay.key")).contains("folder must exist"));
        assert!(LocalKey::from_file(&folder.path().join("missing.key")).is_err());
    }

    #[test]
    fn ids_tell_keys_apart_and_not_what_they_are() {
        let one = LocalKey::new(DataKey::generate().unwrap());
        let other = LocalKey::new(DataKey::generate().unwrap());
        assert_ne!(one.id(), other.id());
        assert_eq!(one.id().len(), "local:".len() + 16);
    }
}
