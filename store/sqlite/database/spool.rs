//! Uploads on disk: a folder beside the store, one file for each upload, named by its id.
//!
//! The uploader's own file name never gets here, so no path can be made from what a client says.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use domain::FileId;

use super::{connect::create_private_file, failure::io_failure};
use crate::{Result, StoreError, StoreErrorKind, files::SPOOL_CHUNK_BYTES};

/// The folder.
#[derive(Debug)]
pub(in crate::sqlite) struct Spool {
    folder: PathBuf,
}

impl Spool {
    /// The spool of the store at `store`, made where it is missing.
    pub(in crate::sqlite) fn open(store: &Path) -> Result<Spool> {
        let mut folder = store.as_os_str().to_owned();
        folder.push(".spool");
        let folder = PathBuf::from(folder);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder).map_err(|error| io_failure("make", &folder, error))?;
        Ok(Spool { folder })
    }

    fn path(&self, file: FileId) -> PathBuf {
        self.folder.join(file.to_string())
    }

    /// Writes a chunk at its place.
    pub(in crate::sqlite) fn write(&self, file: FileId, chunk: u32, bytes: &Bytes) -> Result<()> {
        let path = self.path(file);
        let failed = |error| io_failure("write", &path, error);
        let offset = offset_of(chunk);
        let mut out = create_private_file(&path)?;
        if bytes.len() > SPOOL_CHUNK_BYTES || out.metadata().map_err(failed)?.len() < offset {
            let message = "a chunk is too long, or out of order";
            return Err(StoreError::new(StoreErrorKind::Bug, true, message));
        }
        out.seek(SeekFrom::Start(offset)).map_err(failed)?;
        out.write_all(bytes).map_err(failed)
    }

    /// Reads a chunk; `None` past the end.
    pub(in crate::sqlite) fn read(&self, file: FileId, chunk: u32) -> Result<Option<Bytes>> {
        let path = self.path(file);
        let failed = |error| io_failure("read", &path, error);
        let mut from = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed)?,
        };
        from.seek(SeekFrom::Start(offset_of(chunk))).map_err(failed)?;
        let mut bytes = Vec::new();
        let most = u64::try_from(SPOOL_CHUNK_BYTES).expect("a chunk's size fits");
        from.take(most).read_to_end(&mut bytes).map_err(failed)?;
        Ok((!bytes.is_empty()).then(|| bytes.into()))
    }

    /// Makes sure that an upload survives a power cut, before a row speaks of it.
    pub(in crate::sqlite) fn sync(&self, file: FileId) -> Result<()> {
        let path = self.path(file);
        let failed = |error| io_failure("sync", &path, error);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.and_then(|spooled| spooled.sync_all()).map_err(failed)?,
        }
        // The name too; only Unix can open a folder for it.
        #[cfg(unix)]
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(())
    }

    /// Removes an upload; none there is fine.
    pub(in crate::sqlite) fn delete(&self, file: FileId) -> Result<()> {
        let path = self.path(file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_failure("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// The uploads that there are.
    pub(in crate::sqlite) fn uploads(&self) -> Result<Vec<FileId>> {
        let failed = |error| io_failure("list", &self.folder, error);
        let mut uploads = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            uploads.extend(name.to_str().and_then(|name| FileId::parse(name).ok()));
        }
        Ok(uploads)
    }
}

fn offset_of(chunk: u32) -> u64 {
    let size = u64::try_from(SPOOL_CHUNK_BYTES).expect("a chunk's size fits");
    u64::from(chunk).saturating_mul(size)
}
