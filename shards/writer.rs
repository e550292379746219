//! The writer of a shard: takes what waits, has it decided, makes the decisions durable as one
//! entry of the journal, and only then answers. One append is under way at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use store::journal::{Appended, JournalEntry};
use tokio::time::Instant;

use crate::draft::{Draft, Faults, reservation_of};
use crate::error::ShardError;
use crate::ids::{Identity, Lookup};
use crate::known::Known;
use crate::live::Live;
use crate::load::{READ_BYTES, load, load_ids};
use crate::queue::Waiting;
use crate::reply::{finish, refuse};

/// The writer of a shard.
pub(crate) struct Writer {
    live: Arc<Live>,
}

/// What became of an append.
enum Written {
    /// It is durable.
    Kept,
    /// Somebody else wrote at the place: what they decided comes first.
    Lost,
    /// The place does not count any more.
    Void,
    /// It is not there and never will be.
    Not(String),
}

impl Writer {
    pub(crate) fn new(live: Arc<Live>) -> Writer {
        Writer { live }
    }

    /// Works until the shard is given up.
    pub(crate) async fn run(self) {
        while let Some(taken) = self.next_round().await {
            let begun_at = Instant::now();
            let requests = taken.iter().map(|waiting| waiting.group.requests.len()).sum();
            if let Err(error) = self.round(taken).await {
                self.live.stop(&error);
                return;
            }
            self.live.queue.note_round(requests, begun_at.elapsed());
        }
    }

    /// What to do next: an empty round where only something is due, none where the shard was given
    /// up.
    async fn next_round(&self) -> Option<Vec<Waiting>> {
        loop {
            if self.live.why_stopped().is_some() {
                return None;
            }
            let taken = self.live.queue.take();
            if !taken.is_empty() {
                return Some(taken);
            }
            let due_at = self.live.core().loaded.state.next_due_at();
            let micros = due_at.map(|at| at.saturating_sub(self.live.parts.now()));
            let micros = micros.map_or(u64::MAX, |micros| u64::try_from(micros).unwrap_or(0));
            if micros == 0 {
                return Some(vec![]);
            }
            // Clocks may be set: nobody sleeps past a look at it.
            let wait = Duration::from_micros(micros).min(Duration::from_secs(1));
            let is_due = async {
                match due_at {
                    Some(_) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.live.queue.arrival() => {}
                () = self.live.until_stopped() => {}
                () = is_due => {}
            }
        }
    }

    /// Decides a round, makes it durable and answers. An error ends the shard.
    async fn round(&self, taken: Vec<Waiting>) -> Result<(), ShardError> {
        let mut waiting = in_time(taken);
        let mut faults = Faults::default();
        let (draft, confirmed_at, drafting) = loop {
            let known = match self.look_up(&waiting).await {
                Ok(found) => found,
                Err(error) => return self.give_back(waiting, error),
            };
            let drafting = self.live.settled.write().await;
            let asked_at = Instant::now();
            let drafted = Draft::make(&self.live, &waiting, &known, &mut faults);
            let Some(draft) = drafted else {
                self.renew(known.as_of).await?;
                continue;
            };
            if draft.is_empty() {
                // Repeats and nothing at all are answered without looking whether it is the newest.
                if !draft.is_unsure {
                    break (draft, None, drafting);
                }
                if self.is_newest().await? {
                    break (draft, Some(asked_at), drafting);
                }
                continue;
            }
            match self.append(&draft).await {
                Written::Kept => break (draft, Some(asked_at), drafting),
                Written::Lost => {
                    self.live.core().loaded.state.roll_back();
                    self.catch_up().await?;
                }
                Written::Void => self.reload().await?,
                Written::Not(why) => {
                    self.live.core().loaded.state.roll_back();
                    return self.give_back(waiting, ShardError::Unavailable(why));
                }
            }
        };
        self.keep(&draft, confirmed_at);
        drop(drafting);
        finish(&self.live, &mut waiting, draft).await;
        Ok(())
    }

    /// What the tables know of a round's requests.
    async fn look_up(&self, waiting: &[Waiting]) -> Result<Known, ShardError> {
        let mut lookups = vec![];
        let mut forgotten = BTreeSet::new();
        for waiting in waiting {
            let days = waiting.group.id_days.iter().copied().chain(std::iter::repeat(None));
            let requests = waiting.group.requests.iter().zip(days).skip(waiting.answers.len());
            for (request, v7_day) in requests {
                let identity = request.once.map(|once| Identity(once.identity));
                lookups.extend(identity.map(|identity| Lookup { identity, v7_day }));
                forgotten.extend(reservation_of(&request.command));
            }
        }
        {
            let core = self.live.core();
            let state = &core.loaded.state;
            forgotten.retain(|id| state.reservation(*id).is_none() && state.ended(*id).is_none());
        }
        self.live.look_up_all(lookups, forgotten).await
    }

    /// Makes a draft's decisions durable. Only a definite answer ends it: an insert whose answer
    /// was lost is repeated, because it may still land.
    async fn append(&self, draft: &Draft) -> Written {
        let incarnation = self.live.core().loaded.incarnation;
        let mut may_be_there = false;
        let mut pause = Duration::from_millis(20);
        let begun_at = Instant::now();
        loop {
            let store = &self.live.parts.store;
            match store.append(self.live.shard, incarnation, &draft.entry).await {
                Ok(Appended::Stored | Appended::Repeated) => return Written::Kept,
                Ok(Appended::Taken) => return Written::Lost,
                Ok(Appended::Void) => return Written::Void,
                Err(error) => {
                    may_be_there |= !error.is_certainly_aborted();
                    tracing::warn!(shard = ?self.live.shard, error = %error, "an append failed");
                    if !may_be_there && begun_at.elapsed() > NOT_WRITTEN_AFTER {
                        return Written::Not(error.to_string());
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Whether nothing is in the journal after the state, as of now; else the state catches up.
    async fn is_newest(&self) -> Result<bool, ShardError> {
        if self.live.parts.limits.is_alone {
            return Ok(true);
        }
        let (incarnation, next) = {
            let core = self.live.core();
            (core.loaded.incarnation, core.loaded.state.seq().saturating_add(1))
        };
        match self.live.parts.store.is_free(self.live.shard, incarnation, next).await {
            Ok(true) => Ok(true),
            Ok(false) => {
                self.catch_up().await?;
                if self.live.core().loaded.state.seq() < next {
                    // Nothing follows, and yet nothing may: the journal was begun anew.
                    self.reload().await?;
                }
                Ok(false)
            }
            Err(error) => {
                tracing::warn!(shard = ?self.live.shard, error = %error, "the tail is not known");
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(false)
            }
        }
    }

    /// Follows what others wrote.
    pub(crate) async fn catch_up(&self) -> Result<(), ShardError> {
        loop {
            let (incarnation, after) = {
                let core = self.live.core();
                (core.loaded.incarnation, core.loaded.state.seq())
            };
            let read =
                self.live.parts.store.entries(self.live.shard, incarnation, after, READ_BYTES);
            let entries = match read.await {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::warn!(shard = ?self.live.shard, error = %error, "reading failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Some(first) = entries.first() else { return Ok(()) };
            if first.seq > after.saturating_add(1) {
                // What comes between was truncated: it is in a snapshot.
                return self.reload().await;
            }
            if self.follow(&entries).is_err() {
                // Loading finds what is said of such an entry later, or the same fault.
                return self.reload().await;
            }
        }
    }

    fn follow(&self, entries: &[JournalEntry]) -> Result<(), ShardError> {
        let mut core = self.live.core();
        for entry in entries {
            core.loaded.follow(entry)?;
        }
        let seq = core.loaded.state.seq();
        drop(core);
        self.live.kept.send_replace(seq);
        Ok(())
    }

    /// Reads what the draft could not be made with: runs of ids that are too old, or a state that a
    /// fault left half changed.
    async fn renew(&self, as_of: u64) -> Result<(), ShardError> {
        let is_old = self.live.core().loaded.state.forgotten_seq() > as_of;
        let renewed = match is_old {
            true => self.live.reload_ids().await.map(|_| ()),
            false => self.reload().await,
        };
        match renewed {
            Err(ShardError::Unavailable(why)) => {
                tracing::warn!(shard = ?self.live.shard, error = %why, "reading failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(())
            }
            renewed => renewed,
        }
    }

    /// Loads the state anew, as the journal has it.
    async fn reload(&self) -> Result<(), ShardError> {
        let (parts, shard) = (&self.live.parts, self.live.shard);
        // Ids first: identities of later entries are in the state then.
        let read = async || Ok((load_ids(parts, shard).await?, load(parts, shard).await?));
        loop {
            match read().await {
                Ok((ids, loaded)) => {
                    let seq = loaded.state.seq();
                    let mut core = self.live.core();
                    let is_anew = loaded.incarnation != core.loaded.incarnation;
                    core.loaded = loaded;
                    // What was known of identities may be of entries that do not count any more.
                    if is_anew {
                        core.ids = Arc::new(ids);
                    }
                    drop(core);
                    self.live.kept.send_replace(seq);
                    return Ok(());
                }
                Err(ShardError::Unavailable(why)) => {
                    tracing::warn!(shard = ?self.live.shard, error = %why, "loading failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn keep(&self, draft: &Draft, confirmed_at: Option<Instant>) {
        let mut core = self.live.core();
        if !draft.is_empty() {
            core.loaded.state.keep(draft.entry.seq, draft.looked_up_seq);
            core.loaded.last_batch = draft.entry.batch;
        }
        core.confirmed_at = confirmed_at.unwrap_or(core.confirmed_at);
        let seq = core.loaded.state.seq();
        drop(core);
        self.live.kept.send_replace(seq);
    }

    /// Answers everybody with an error, nothing having been done.
    #[expect(clippy::unnecessary_wraps, reason = "ends a round like every other way out of it")]
    fn give_back(&self, waiting: Vec<Waiting>, error: ShardError) -> Result<(), ShardError> {
        refuse(waiting, &error);
        Ok(())
    }
}

/// How long an append that certainly failed is tried again.
const NOT_WRITTEN_AFTER: Duration = Duration::from_secs(2);

/// Groups that somebody still waits for; the others hear that nothing was done.
fn in_time(taken: Vec<Waiting>) -> Vec<Waiting> {
    let now = Instant::now();
    let (waiting, late): (Vec<_>, Vec<_>) =
        taken.into_iter().partition(|waiting| waiting.deadline > now);
    refuse(late, &ShardError::Unavailable("it waited too long and was not begun".to_owned()));
    waiting
}
