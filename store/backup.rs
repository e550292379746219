//! A backup: a folder of files with a manifest that names each with its SHA-256.
//!
//! The manifest is written last, in one step, so a folder without it is no backup: whatever made it
//! was killed, or is not ready. The stores write and read the other files; here is what both share.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Result, StoreError};

/// The name of the manifest in the folder.
pub const MANIFEST_NAME: &str = "manifest.json";
/// The format of a backup that this version writes and reads.
const FORMAT: u32 = 1;
/// A manifest names a few dozen files.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
const PIECE_BYTES: usize = 1 << 20;

/// Hears about each step, for a person who waits.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// What a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupManifest {
    /// The format of the folder.
    pub format: u32,
    /// The kind of store, as `Store::kind` says it; it is restored into the same kind only.
    pub kind: String,
    /// The version of Outlay that wrote it.
    pub outlay_version: String,
    /// When it was begun, RFC 3339.
    pub created_at: String,
    /// Its files.
    pub files: Vec<BackupFile>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Its name in the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// A folder that is becoming a backup.
#[derive(Debug)]
pub struct NewBackup {
    folder: PathBuf,
    manifest: BackupManifest,
}

impl NewBackup {
    /// Begins a backup in a folder that is empty or is made. `created_at` is RFC 3339.
    ///
    /// # Errors
    /// `misconfigured` where the folder has something in it, or cannot be written.
    pub fn begin(
        folder: &Path,
        kind: &str,
        outlay_version: &str,
        created_at: String,
    ) -> Result<NewBackup> {
        make_private_folder(folder).map_err(|error| failed("make", folder, error))?;
        let mut found = fs::read_dir(folder).map_err(|error| failed("read", folder, error))?;
        if found.next().is_some() {
            return Err(StoreError::misconfigured(format!(
                "`{}` is not empty: a backup needs a folder of its own; remove what a failed one \
                 left",
                folder.display()
            )));
        }
        let manifest = BackupManifest {
            format: FORMAT,
            kind: kind.to_owned(),
            outlay_version: outlay_version.to_owned(),
            created_at,
            files: Vec::new(),
        };
        Ok(NewBackup { folder: folder.to_owned(), manifest })
    }

    /// Where a file of the backup goes.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes a file that only its owner may read.
    pub(crate) fn create(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        create_private(&path).map_err(|error| failed("make", &path, error))
    }

    /// Enters a file that is complete: it is on the disk afterwards.
    pub(crate) fn enter(&mut self, name: &str) -> Result<()> {
        let path = self.path(name);
        let failed = |error| failed("read", &path, error);
        let file = File::open(&path).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let (bytes, sha256) = digest_of(file).map_err(failed)?;
        self.manifest.files.push(BackupFile { name: name.to_owned(), bytes, sha256 });
        Ok(())
    }

    /// Writes the manifest: from now on the folder is a backup.
    ///
    /// # Errors
    /// Where it cannot be written; then the folder is none.
    pub fn finish(self) -> Result<BackupManifest> {
        let text = serde_json::to_string_pretty(&self.manifest).expect("a manifest is plain data");
        let (part, path) = (self.path("manifest.part"), self.path(MANIFEST_NAME));
        let write = || {
            sync_folder(&self.folder)?;
            let mut file = create_private(&part)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            sync_folder(&self.folder)
        };
        write().map_err(|error| failed("write", &path, error))?;
        Ok(self.manifest)
    }
}

/// Reads a backup's manifest and sees that every file is what it says, byte for byte.
///
/// # Errors
/// `misconfigured` where the folder is no backup, or of another kind than `kind`; `corrupt` where a
/// file is missing or damaged. Nothing was changed.
pub fn check(folder: &Path, kind: &str, progress: Progress<'_>) -> Result<BackupManifest> {
    let manifest = read_manifest(folder)?;
    if manifest.kind != kind {
        return Err(StoreError::misconfigured(format!(
            "the backup is of a {} store and goes back into one only; the store named is {kind}",
            manifest.kind
        )));
    }
    for file in &manifest.files {
        progress(&format!("checking {} ({} bytes)", file.name, file.bytes));
        check_file(folder, file)?;
    }
    Ok(manifest)
}

fn read_manifest(folder: &Path) -> Result<BackupManifest> {
    let path = folder.join(MANIFEST_NAME);
    let file = File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::misconfigured(format!(
            "`{}` is no backup: it has no {MANIFEST_NAME}, which is written last; name another",
            folder.display()
        )),
        _ => failed("read", &path, error),
    })?;
    let mut text = String::new();
    let read = file.take(MANIFEST_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| failed("read", &path, error))?;
    let manifest: BackupManifest = serde_json::from_str(&text).map_err(|error| {
        StoreError::corrupt(format!("`{}` is damaged", path.display())).caused_by(error)
    })?;
    if manifest.format != FORMAT {
        return Err(StoreError::misconfigured(format!(
            "the backup has format {} and was made by Outlay {}; this version reads format \
             {FORMAT}",
            manifest.format, manifest.outlay_version
        )));
    }
    match manifest.files.iter().find(|file| !is_plain_name(&file.name)) {
        None => Ok(manifest),
        Some(file) => Err(StoreError::corrupt(format!("`{}` is no name of a file", file.name))),
    }
}

/// A manifest that somebody else has written leads nowhere outside of its folder.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0'])
}

fn check_file(folder: &Path, expected: &BackupFile) -> Result<()> {
    let path = folder.join(&expected.name);
    let damaged =
        |why: &str| StoreError::corrupt(format!("`{}` {why}: take another backup", path.display()));
    let file = File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => damaged("is missing"),
        _ => failed("read", &path, error),
    })?;
    let (bytes, sha256) = digest_of(file).map_err(|error| failed("read", &path, error))?;
    match bytes == expected.bytes && sha256 == expected.sha256 {
        true => Ok(()),
        false => Err(damaged("is not what was backed up")),
    }
}

/// Length and SHA-256 of what is left to read.
fn digest_of(mut file: File) -> io::Result<(u64, String)> {
    let (mut hasher, mut count) = (Sha256::new(), 0_u64);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            let digest: [u8; 32] = hasher.finalize().into();
            let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok((count, hex));
        }
        hasher.update(&piece[..length]);
        count = count.saturating_add(u64::try_from(length).expect("a length fits"));
    }
}

/// Makes a new file that only its owner may read.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// A file operation that failed.
pub(crate) fn failed(what: &str, path: &Path, error: io::Error) -> StoreError {
    StoreError::misconfigured(format!("cannot {what} `{}`: {error}", path.display()))
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreErrorKind;

    fn backup(folder: &Path) -> BackupManifest {
        let begun = NewBackup::begin(folder, "sqlite", "1.2.3", "2026-02-03T04:05:06Z".to_owned());
        let mut backup = begun.unwrap();
        backup.create("a.bin").unwrap().write_all(b"content").unwrap();
        backup.enter("a.bin").unwrap();
        assert!(read_manifest(folder).is_err(), "no backup before it is finished");
        backup.finish().unwrap()
    }

    fn refusal(folder: &Path, kind: &str) -> (StoreErrorKind, String) {
        let error = check(folder, kind, &|_| {}).unwrap_err();
        (error.kind(), error.to_string())
    }

    #[test]
    fn what_was_backed_up_is_told_from_what_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let manifest = backup(&path);
        assert_eq!(check(&path, "sqlite", &|_| {}).unwrap(), manifest);
        let (kind, why) = refusal(&path, "mongodb");
        assert_eq!(kind, StoreErrorKind::Misconfigured);
        assert!(why.contains("the backup is of a sqlite store"), "{why}");

        fs::write(path.join("a.bin"), b"kontent").unwrap();
        assert_eq!(refusal(&path, "sqlite").0, StoreErrorKind::Corrupt);
        fs::remove_file(path.join("a.bin")).unwrap();
        assert!(refusal(&path, "sqlite").1.contains("is missing"));
        fs::remove_file(path.join(MANIFEST_NAME)).unwrap();
        assert!(refusal(&path, "sqlite").1.contains("is no backup"));
    }

    #[test]
    fn a_folder_with_something_in_it_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), b"mine").unwrap();
        let begun = NewBackup::begin(folder.path(), "sqlite", "1", String::new());
        assert_eq!(begun.unwrap_err().kind(), StoreErrorKind::Misconfigured);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_manifest_leads_nowhere_outside_of_its_folder() {
        for name in ["../a", "/etc/passwd", "a/b", "..", "", "c:x", "a\\b"] {
            assert!(!is_plain_name(name), "{name}");
        }
        assert!(is_plain_name("fact_blocks.bson"));
    }
}
