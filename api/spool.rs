//! Writes an upload into the store's spool, chunk by chunk, counting and hashing on the way.
//!
//! Memory stays at one chunk, whatever the file's size. Dropped before [`Spool::keep`], as when the
//! client hangs up or a later field is wrong, it removes what it wrote.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use domain::FileId;
use sha2::{Digest, Sha256};
use store::{Store, files::SPOOL_CHUNK_BYTES};

use crate::error::{ApiError, Code};

/// An upload on its way into the spool.
pub(crate) struct Spool {
    store: Arc<dyn Store>,
    file: FileId,
    buffer: BytesMut,
    chunk_count: u32,
    hasher: Sha256,
    size_bytes: u64,
    size_bytes_max: u64,
    is_kept: bool,
}

impl Spool {
    /// An empty upload of at most `size_bytes_max`.
    pub(crate) fn new(store: Arc<dyn Store>, file: FileId, size_bytes_max: u64) -> Spool {
        Spool {
            store,
            file,
            buffer: BytesMut::new(),
            chunk_count: 0,
            hasher: Sha256::new(),
            size_bytes: 0,
            size_bytes_max,
            is_kept: false,
        }
    }

    /// Under which id the bytes lie.
    pub(crate) fn file(&self) -> FileId {
        self.file
    }

    /// How many bytes came.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Takes the next bytes.
    pub(crate) async fn push(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.size_bytes = self.size_bytes.saturating_add(length);
        if self.size_bytes > self.size_bytes_max {
            return Err(too_large(self.size_bytes_max));
        }
        self.hasher.update(bytes);
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= SPOOL_CHUNK_BYTES {
            let chunk = self.buffer.split_to(SPOOL_CHUNK_BYTES).freeze();
            self.write(chunk).await?;
        }
        Ok(())
    }

    /// Writes what is left and answers the SHA-256 of all bytes.
    pub(crate) async fn finish(&mut self) -> Result<[u8; 32], ApiError> {
        let rest = self.buffer.split().freeze();
        if !rest.is_empty() {
            self.write(rest).await?;
        }
        Ok(self.hasher.clone().finalize().into())
    }

    /// The bytes stay: their file is stored.
    pub(crate) fn keep(mut self) {
        self.is_kept = true;
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), ApiError> {
        let index = self.chunk_count;
        // Counted first: a chunk that may have been written must be removed too.
        self.chunk_count = index.saturating_add(1);
        // The file is not stored yet, so whatever happens here changed nothing that anybody sees.
        self.store.spool_write(self.file, index, chunk).await.map_err(ApiError::from)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.is_kept || self.chunk_count == 0 {
            return;
        }
        // Without a runtime the process is ending; SQLite sweeps what is left at the next open.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (store, file) = (Arc::clone(&self.store), self.file);
            runtime.spawn(async move {
                if let Err(error) = store.spool_delete(file).await {
                    tracing::warn!(file.id = %file, %error, "could not remove an upload's bytes");
                }
            });
        }
    }
}

/// More bytes than an upload may have.
pub(crate) fn too_large(size_bytes_max: u64) -> ApiError {
    ApiError::new(Code::PayloadTooLarge, format!("a file may have {size_bytes_max} bytes"))
}
