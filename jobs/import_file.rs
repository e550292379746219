//! The import job: an uploaded file's bytes go to a parse worker, its blocks are staged, and the
//! whole is committed at once, or nothing of it.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::{
    BatchId, Clock, Feed, FileError, FileId, FileState, ProviderId, UploadedFile,
    file::{FileReport, OnError},
};
use jiff::civil::Date;
use std::collections::BTreeSet;
use store::{
    Store,
    charges::{BatchSource, Block, Commit, CommitWith, Committed, NewBatch},
    schedule::Claim,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    Job, JobError, JobOutcome,
    frames::{self, Order, WireReport},
    new_bits,
    parse_worker::{self, refused},
    pull_blocks::stored,
};

/// Blocks and bytes staged with one call of the store.
const STAGED_BLOCKS_MAX: usize = 64;
const STAGED_BYTES_MAX: usize = 4 << 20;
/// A worker that is silent for so long, though it has input, hangs.
const SILENCE_MAX: Duration = Duration::from_secs(900);
/// Tries of a file whose worker dies before the file is refused.
const WORKER_TRIES: u32 = 2;

/// The job that imports uploaded files.
pub struct ImportFile {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    program: PathBuf,
}

/// What a worker made of a file.
struct Parsed {
    report: FileReport,
    is_refused: bool,
    /// Provider and days of charges that name no account.
    unnamed: BTreeSet<(ProviderId, Date)>,
}

/// Why a file was not read to its end.
enum Stopped {
    /// The store: another time may be better.
    Job(JobError),
    /// The worker died or said nonsense: the file may be to blame.
    Worker(String),
}

impl From<JobError> for Stopped {
    fn from(error: JobError) -> Stopped {
        Stopped::Job(error)
    }
}

impl ImportFile {
    /// Its name on the schedule.
    pub const KIND: &'static str = "import_file";

    /// The job over this store. `program` is this product's binary, which runs itself as a parse
    /// worker.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, program: PathBuf) -> ImportFile {
        ImportFile { store, clock, program }
    }

    async fn import(&self, claim: &Claim, file: &UploadedFile) -> Result<(), JobError> {
        for _ in 0..WORKER_TRIES {
            let batch = self.begin_batch(file).await?;
            match self.parse(file, batch).await {
                Ok(parsed) if parsed.is_refused => {
                    self.abandon(file, batch).await?;
                    return self.refuse(claim, file, &parsed.report).await;
                }
                Ok(parsed) => return self.commit(claim, file, batch, parsed).await,
                Err(Stopped::Job(error)) => return Err(error),
                Err(Stopped::Worker(what)) => {
                    tracing::error!(file.id = %file.id, error = %what, "the parse worker failed");
                    self.abandon(file, batch).await?;
                }
            }
        }
        let why = "reading the file took too much memory or time; nothing of it was kept";
        let errors = vec![refused("unprocessable", why)];
        self.refuse(claim, file, &FileReport { errors, ..FileReport::default() }).await
    }

    async fn begin_batch(&self, file: &UploadedFile) -> Result<BatchId, JobError> {
        let id = BatchId::from_uuid(new_bits(&*self.clock)?);
        let source = BatchSource::File(file.id);
        let (organization, created_at) = (file.organization, self.clock.now());
        let new = NewBatch { id, organization, source, created_at };
        self.store.begin_batch(&new).await.map_err(|error| JobError::store(&error))?;
        Ok(id)
    }

    async fn abandon(&self, file: &UploadedFile, batch: BatchId) -> Result<(), JobError> {
        let dropped = self.store.abandon_batch(file.organization, batch).await;
        dropped.map_err(|error| JobError::store(&error))
    }

    async fn refuse(
        &self,
        claim: &Claim,
        file: &UploadedFile,
        report: &FileReport,
    ) -> Result<(), JobError> {
        let (state, at) = (FileState::Failed, self.clock.now());
        let ended = self.store.end_import(&claim.lease, file.id, state, report, at).await;
        match ended.map_err(|error| JobError::store(&error))? {
            true => self.forget_spool(file.id).await,
            false => Err(JobError::lease_lost()),
        }
    }

    async fn commit(
        &self,
        claim: &Claim,
        file: &UploadedFile,
        batch: BatchId,
        mut parsed: Parsed,
    ) -> Result<(), JobError> {
        if let Some(warning) = self.possible_overlap(file, &parsed.unnamed).await? {
            parsed.report.warnings.push(warning);
        }
        let commit = Commit {
            batch: Some(batch),
            organization: file.organization,
            lease: claim.lease.clone(),
            with: CommitWith::File {
                file: file.id,
                report: Box::new(parsed.report),
                finished_at: self.clock.now(),
            },
        };
        let committed = self.store.commit(&commit).await;
        match committed.map_err(|error| JobError::store(&error))? {
            Committed::Committed => self.forget_spool(file.id).await,
            Committed::Refused => Err(JobError::lease_lost()),
        }
    }

    async fn forget_spool(&self, file: FileId) -> Result<(), JobError> {
        self.store.spool_delete(file).await.map_err(|error| JobError::store(&error))
    }

    /// Charges without an account cannot replace anybody's, so where the provider's days are
    /// already covered they may be the same money twice: a person is told.
    async fn possible_overlap(
        &self,
        file: &UploadedFile,
        unnamed: &BTreeSet<(ProviderId, Date)>,
    ) -> Result<Option<FileError>, JobError> {
        let days = || unnamed.iter().map(|(_, day)| *day);
        let (Some(first), Some(last)) = (days().min(), days().max()) else { return Ok(None) };
        let visible = self.store.visible_blocks(file.organization, first, last).await;
        let visible = visible.map_err(|error| JobError::store(&error))?;
        let is_covered = visible.iter().any(|block| {
            block.row_count > 0
                && unnamed.contains(&(block.key.account.provider.clone(), block.key.day))
        });
        let message = "the file names no account, and charges of the same provider and days are \
                       already there: if they are the same money, delete this file and upload it \
                       again with `account`";
        Ok(is_covered.then(|| refused("possible_overlap", message)))
    }

    /// Runs a worker over the spooled bytes and stages what it sends.
    async fn parse(&self, file: &UploadedFile, batch: BatchId) -> Result<Parsed, Stopped> {
        let order = Order {
            name: file.name.clone(),
            provider: file.options.provider.clone(),
            account: file.options.account.clone(),
            unnamed_account: file.id.to_string(),
            skip_bad_rows: file.options.on_error == OnError::Skip,
            now_micros: self.clock.now().as_microsecond(),
        };
        let mut worker = self.spawn_worker()?;
        let stdin = worker.stdin.take().ok_or_else(|| broken("it has no input"))?;
        let stdout = worker.stdout.take().ok_or_else(|| broken("it has no output"))?;
        let fed = AtomicU64::new(0);
        let feeding = feed(&self.store, file, &order, stdin, &fed);
        let reading = self.stage_frames(file, batch, stdout, &fed);
        // The reader ends when the worker does. A feeder that fails first ends everything.
        let (fed, parsed) = tokio::join!(feeding, reading);
        let status = worker.wait().await.map_err(|error| broken(&error.to_string()))?;
        fed?;
        let parsed = parsed?;
        if !status.success() {
            return Err(broken(&status.to_string()));
        }
        parsed.ok_or_else(|| broken("it sent no report"))
    }

    fn spawn_worker(&self) -> Result<Child, Stopped> {
        Command::new(&self.program)
            .arg(parse_worker::COMMAND)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| broken(&error.to_string()))
    }

    /// Stages blocks as they come. `None` where the worker ended without a report.
    async fn stage_frames(
        &self,
        file: &UploadedFile,
        batch: BatchId,
        mut stdout: ChildStdout,
        fed: &AtomicU64,
    ) -> Result<Option<Parsed>, Stopped> {
        let feed = Feed::parse(Feed::FILE).expect("the feed of files is a valid name");
        let (mut staged, mut staged_bytes) = (Vec::new(), 0);
        let mut unnamed = BTreeSet::new();
        loop {
            let frame = tokio::time::timeout(SILENCE_MAX, read_frame(&mut stdout)).await;
            let frame = frame.map_err(|_| broken("it was silent for too long"))?;
            let Some((kind, payload)) = frame? else { return Ok(None) };
            if kind == frames::REPORT {
                self.stage(file, batch, &mut staged, fed).await?;
                let decoded = WireReport::decode(&payload);
                let (report, is_refused) = decoded.map_err(|error| broken(&error.to_string()))?;
                return Ok(Some(Parsed { report, is_refused, unnamed }));
            }
            let block = frames::decode_block(&payload).map_err(|e| broken(&e.to_string()))?;
            if block.account.id == file.id.to_string() {
                unnamed.insert((block.account.provider.clone(), block.day));
            }
            staged_bytes += payload.len();
            staged.push(stored(block, &feed, true));
            if staged.len() >= STAGED_BLOCKS_MAX || staged_bytes >= STAGED_BYTES_MAX {
                self.stage(file, batch, &mut staged, fed).await?;
                staged_bytes = 0;
            }
        }
    }

    async fn stage(
        &self,
        file: &UploadedFile,
        batch: BatchId,
        staged: &mut Vec<Block>,
        fed: &AtomicU64,
    ) -> Result<(), JobError> {
        let blocks = std::mem::take(staged);
        let put = self.store.put_blocks(file.organization, batch, &blocks).await;
        put.map_err(|error| JobError::store(&error))?;
        let progress = self.store.record_file_progress(file.id, fed.load(Ordering::Relaxed)).await;
        progress.map_err(|error| JobError::store(&error))
    }
}

/// Sends the order and then the spooled bytes. A worker that closes its input has seen enough.
async fn feed(
    store: &Arc<dyn Store>,
    file: &UploadedFile,
    order: &Order,
    mut stdin: ChildStdin,
    fed: &AtomicU64,
) -> Result<(), Stopped> {
    let mut line = serde_json::to_vec(order).expect("an order has nothing that JSON lacks");
    line.push(b'\n');
    let mut bytes = Bytes::from(line);
    for chunk in 0.. {
        if stdin.write_all(&bytes).await.is_err() {
            return Ok(());
        }
        let next =
            store.spool_read(file.id, chunk).await.map_err(|error| JobError::store(&error))?;
        let Some(next) = next else { break };
        fed.fetch_add(next.len() as u64, Ordering::Relaxed);
        bytes = next;
    }
    // Dropping the pipe is the end of the file.
    drop(stdin);
    match fed.load(Ordering::Relaxed) == file.size_bytes {
        true => Ok(()),
        false => Err(broken("the spooled bytes are not as many as were uploaded")),
    }
}

/// The next frame; `None` where the pipe has ended.
async fn read_frame(stdout: &mut ChildStdout) -> Result<Option<(u8, Vec<u8>)>, Stopped> {
    let Ok(kind) = stdout.read_u8().await else { return Ok(None) };
    let Ok(length) = stdout.read_u32_le().await else { return Ok(None) };
    if length > frames::FRAME_BYTES_MAX {
        return Err(broken("it sent too large a frame"));
    }
    let mut payload = vec![0; length as usize];
    match stdout.read_exact(&mut payload).await {
        Ok(_) => Ok(Some((kind, payload))),
        Err(_) => Ok(None),
    }
}

fn broken(what: &str) -> Stopped {
    Stopped::Worker(what.to_owned())
}

#[async_trait::async_trait]
impl Job for ImportFile {
    fn kind(&self) -> &'static str {
        ImportFile::KIND
    }

    async fn run(&self, claim: &Claim) -> Result<JobOutcome, JobError> {
        let Ok(id) = FileId::parse(&claim.lease.key.subject) else {
            return Ok(JobOutcome::Finished);
        };
        let file = self.store.file_by_id(id).await.map_err(|error| JobError::store(&error))?;
        let Some(file) = file else { return Ok(JobOutcome::Finished) };
        if !matches!(file.state, FileState::Queued | FileState::Parsing) {
            return Ok(JobOutcome::Finished);
        }
        let leftover = self.store.abandon_staged(BatchSource::File(id), self.clock.now()).await;
        leftover.map_err(|error| JobError::store(&error))?;
        let started = self.store.record_file_progress(id, 0).await;
        started.map_err(|error| JobError::store(&error))?;
        self.import(claim, &file).await?;
        Ok(JobOutcome::Finished)
    }
}
