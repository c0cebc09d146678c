//! Sessions in an SQLite file, which several processes may use at the same time.
//!
//! The caller's thread never touches the file: one thread writes, two read, and callers await the
//! answers. A fourth writes the log back. Next to the file, `-wal` is SQLite's write-ahead log and
//! `-shm` the memory that the processes share.
//!
//! ```text
//! load, list ──> Queue ──> 2 readers ──┐
//! apply      ──> Queue ──> 1 writer ───┼──> the file
//!                              └──> 1 checkpoint
//! ```

mod call;
mod change;
mod checkpoint;
mod error;
mod place;
mod queue;
mod reader;
mod schema;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::operation::{Applied, Change, Entry, Listed, Listing, Loaded, Outage, Revocation};
use super::record::SubjectHash;
use crate::session::lifetime::SessionId;
use crate::time::Timestamp;
pub use call::Clock;
use call::{Answer, Read, Shared, What, Write};
use change::FEW;
pub use error::{FileError, Reason};
use place::{Location, Room};
use queue::Queue;
use writer::Writer;

/// The number of reading threads.
const READERS: usize = 2;

/// The maximum number of waiting calls; more would not be answered in time.
const WAITING: usize = 4096;

/// The maximum pause between two steps of a long change: something reads the file for a long time,
/// such as a backup.
const REST: Duration = Duration::from_secs(1);

/// How often to look during the pause.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Options for a file.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a change may wait for other processes.
    pub timeout: Duration,
    /// The source of the current time.
    pub clock: Clock,
}

/// An open session file. Dropping it finishes waiting writes and closes the file.
pub struct FileStore {
    shared: Arc<Shared>,
    /// The writer first.
    threads: Vec<JoinHandle<()>>,
}

impl FileStore {
    /// Opens a file, creating it if needed.
    ///
    /// # Errors
    /// Why it cannot be used, and what to do about it.
    pub fn open(path: &Path, options: Options) -> Result<Self, FileError> {
        let place = Location::prepare(path)?;
        let shared = Arc::new(Shared {
            reads: Queue::new(WAITING),
            writes: Queue::new(WAITING),
            checkpoints: Queue::new(1),
            log_is_long: AtomicBool::new(false),
            is_away: AtomicBool::new(false),
            timeout: AtomicU64::new(0),
            recoveries: AtomicU64::new(0),
            reserve: AtomicU64::new(place.room().map_or(0, Room::reserve)),
        });
        let mut store = Self { shared, threads: Vec::with_capacity(READERS + 2) };
        store.set_timeout(options.timeout);
        let failed = |reason| FileError { path: path.to_owned(), reason };
        // The writer starts first, because it creates the tables.
        let at = place.clone();
        store
            .start("store-write", move |shared, ready| {
                let connection = schema::open_to_write(&at)?;
                let writer = Writer::new(&connection, shared, at, options.clock)?;
                let _ = ready.send(Ok(()));
                writer.run();
                Ok(())
            })
            .map_err(failed)?;
        for _ in 0..READERS {
            let at = place.clone();
            store
                .start("store-read", move |shared, ready| {
                    let connection = schema::open_to_read(&at, options.timeout)?;
                    reader::run(&connection, shared, || {
                        let _ = ready.send(Ok(()));
                    })?;
                    Ok(())
                })
                .map_err(failed)?;
        }
        let at = place;
        store
            .start("store-log", move |shared, ready| {
                let connection = schema::open_to_read(&at, options.timeout)?;
                let _ = ready.send(Ok(()));
                checkpoint::run(&connection, shared);
                Ok(())
            })
            .map_err(failed)?;
        Ok(store)
    }

    /// Checks whether a file could be opened or created, without doing so.
    ///
    /// Do not call this in a process that has the file open: closing it would release SQLite's
    /// locks.
    ///
    /// # Errors
    /// Why it cannot be used, and what to do about it.
    pub fn check(path: &Path) -> Result<(), FileError> {
        use std::io::{ErrorKind, Read as _};
        let failed = |reason| FileError { path: path.to_owned(), reason };
        let io = |error| failed(Reason::Io(error));
        let at = place::find(path)?;
        let found = match at.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found.map_err(io)?,
        };
        place::judge(&found).map_err(failed)?;
        if found.len() == 0 {
            return Ok(());
        }
        let mut head = [0; 100];
        let read = std::fs::File::open(&at).and_then(|mut file| file.read_exact(&mut head));
        read.map_err(io)?;
        schema::judge_head(&head).map_err(failed)
    }

    /// Starts a thread, and waits until it reports success or an error.
    fn start(
        &mut self,
        name: &str,
        run: impl FnOnce(&Arc<Shared>, &Ready) -> Result<(), Reason> + Send + 'static,
    ) -> Result<(), Reason> {
        let (ready, is_ready) = mpsc::sync_channel(1);
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            if let Err(reason) = run(&shared, &ready) {
                let _ = ready.send(Err(reason));
            }
        });
        self.threads.push(thread.map_err(Reason::Io)?);
        is_ready.recv().unwrap_or_else(|_| Err(Reason::Io(std::io::ErrorKind::BrokenPipe.into())))
    }

    /// Changes the time limit of later writes.
    pub fn set_timeout(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.shared.timeout.store(millis, Ordering::Relaxed);
    }

    /// How often the file could be written again after it could not.
    pub(super) fn recoveries(&self) -> u64 {
        self.shared.recoveries.load(Ordering::Relaxed)
    }

    /// Reads a session.
    ///
    /// # Errors
    /// The file did not answer.
    pub async fn load(&self, id: SessionId, now: Timestamp) -> Result<Loaded, Outage> {
        self.read(|answer| Read::Load { id, now, answer }).await
    }

    /// The public data of a session; None if there is none.
    ///
    /// # Errors
    /// The file did not answer.
    pub async fn show(&self, id: SessionId, now: Timestamp) -> Result<Option<Listed>, Outage> {
        self.read(|answer| Read::Show { id, now, answer }).await
    }

    /// The sessions of a user.
    ///
    /// # Errors
    /// The file did not answer.
    pub async fn list(&self, subject: SubjectHash, now: Timestamp) -> Result<Listing, Outage> {
        self.read(|answer| Read::List { subject, now, answer }).await
    }

    /// The revocations after number `after`, in order, at most `most`.
    ///
    /// # Errors
    /// The file did not answer.
    pub async fn revocations(&self, after: u64, most: usize) -> Result<Vec<Entry>, Outage> {
        self.read(|answer| Read::Revocations { after, most, answer }).await
    }

    /// Applies a change. Once started, it is completed even if the caller is gone.
    ///
    /// # Errors
    /// The file did not answer. The change was not applied, unless the caller waited longer than
    /// the time limit.
    pub async fn apply(&self, change: Change, now: Timestamp) -> Result<Applied, Outage> {
        // Counted by a reader, because with very many sessions everybody would wait for the writer.
        let count = match change {
            Change::EndAll => self.read(|answer| Read::Count { answer }).await?,
            _ => 0,
        };
        match self.write(What::Change(change), now).await? {
            Applied::Done { ended: FEW.., .. } if count > FEW => Ok(Applied::done(count)),
            applied => Ok(applied),
        }
    }

    /// Waits, if the log is long, until it has been written back, but not for ever.
    pub(super) async fn rest(&self) {
        let begun = Instant::now();
        while self.shared.log_is_long.load(Ordering::Acquire) && begun.elapsed() < REST {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Adds a revocation to the log that other sidecars follow.
    ///
    /// # Errors
    /// The file did not answer.
    pub async fn revoke(&self, revocation: Revocation, now: Timestamp) -> Result<(), Outage> {
        self.write(What::Revoke(revocation), now).await.map(|_| ())
    }

    async fn read<T>(&self, read: impl FnOnce(Answer<T>) -> Read) -> Result<T, Outage> {
        let (answer, answered) = oneshot::channel();
        if !self.shared.reads.push_quietly(read(answer)) {
            return Err(Outage::Timeout);
        }
        // Waking a reader costs as much as the read. So first let this thread's other requests ask:
        // one wake is then enough for all of them.
        tokio::task::yield_now().await;
        self.shared.reads.wake();
        answered.await.unwrap_or(Err(Outage::Connect))
    }

    async fn write(&self, what: What, now: Timestamp) -> Result<Applied, Outage> {
        let (answer, answered) = oneshot::channel();
        let timeout = Duration::from_millis(self.shared.timeout.load(Ordering::Relaxed));
        let deadline = Instant::now() + timeout;
        if !self.shared.writes.push(Write { what, now, deadline, answer }) {
            return Err(Outage::Timeout);
        }
        answered.await.unwrap_or(Err(Outage::Connect))
    }
}

/// Where a thread reports success or an error.
type Ready = mpsc::SyncSender<Result<(), Reason>>;

impl Drop for FileStore {
    fn drop(&mut self) {
        self.shared.reads.close();
        self.shared.checkpoints.close();
        // The last connection to close cleans up the log, and cannot if another one is closing at the
        // same time: so the writer closes after all others have.
        let others = self.threads.split_off(self.threads.len().min(1));
        for thread in others {
            let _ = thread.join();
        }
        self.shared.writes.close();
        for writer in self.threads.drain(..) {
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
