//! Sessions in one SQLite file, which several processes may use at once.
//!
//! No file is touched on a caller's thread: one thread writes and two read, and callers await what
//! they answer. A file with the suffix `-wal` beside it is SQLite's log of writes, `-shm` the memory
//! that the processes share.
//!
//! ```text
//! load, list ──> Queue ──> 2 readers ──┐
//! apply      ──> Queue ──> 1 writer ───┴──> the file
//! ```

mod call;
mod change;
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

use super::operation::{Applied, Change, Entry, Listed, Loaded, Outage, Revocation};
use super::record::SubjectHash;
use crate::session::lifetime::SessionId;
use crate::time::Timestamp;
pub use call::Clock;
use call::{Answer, Read, Shared, What, Write};
pub use error::{FileError, Reason};
use place::{Location, Room};
use queue::Queue;
use writer::Writer;

/// How many threads read.
const READERS: usize = 2;

/// How many calls may wait: more than that are not answered in time anyway.
const WAITING: usize = 4096;

/// How a file is used.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a change may wait for other processes.
    pub timeout: Duration,
    /// What time it is.
    pub clock: Clock,
}

/// An open session file. It is closed when this is dropped; what waits is written first.
pub struct FileStore {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl FileStore {
    /// Opens a file, and makes it where there is none.
    ///
    /// # Errors
    /// Why it cannot be used, and what to do about it.
    pub fn open(path: &Path, options: Options) -> Result<Self, FileError> {
        let place = Location::prepare(path)?;
        let shared = Arc::new(Shared {
            reads: Queue::new(WAITING),
            writes: Queue::new(WAITING),
            is_away: AtomicBool::new(false),
            timeout: AtomicU64::new(0),
            reserve: AtomicU64::new(place.room().map_or(0, Room::reserve)),
        });
        let mut store = Self { shared, threads: Vec::with_capacity(READERS + 1) };
        store.set_timeout(options.timeout);
        let failed = |reason| FileError { path: path.to_owned(), reason };
        // The writer first: it makes the tables.
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
        Ok(store)
    }

    /// Whether a file could be opened, or made, without doing either.
    ///
    /// Not in a process that has it open: closing it here would drop SQLite's locks.
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

    /// Starts a thread, and waits until it says that it is ready or why not.
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

    /// How long changes may wait from now on.
    pub fn set_timeout(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.shared.timeout.store(millis, Ordering::Relaxed);
    }

    /// Reads a session.
    ///
    /// # Errors
    /// The file gave no answer.
    pub async fn load(&self, id: SessionId, now: Timestamp) -> Result<Loaded, Outage> {
        self.read(|answer| Read::Load { id, now, answer }).await
    }

    /// What can be told of a session; None where there is none.
    ///
    /// # Errors
    /// The file gave no answer.
    pub async fn show(&self, id: SessionId, now: Timestamp) -> Result<Option<Listed>, Outage> {
        self.read(|answer| Read::Show { id, now, answer }).await
    }

    /// The sessions of a user, the oldest first.
    ///
    /// # Errors
    /// The file gave no answer.
    pub async fn list(&self, subject: SubjectHash, now: Timestamp) -> Result<Vec<Listed>, Outage> {
        self.read(|answer| Read::List { subject, now, answer }).await
    }

    /// The revocations behind the one with the number `after`, in order, at most `most` of them.
    ///
    /// # Errors
    /// The file gave no answer.
    pub async fn revocations(&self, after: u64, most: usize) -> Result<Vec<Entry>, Outage> {
        self.read(|answer| Read::Revocations { after, most, answer }).await
    }

    /// Carries out a change. Once begun it is carried out whole, whoever waits for it.
    ///
    /// # Errors
    /// The file gave no answer. The change has not been carried out, unless it was waited for longer
    /// than the timeout.
    pub async fn apply(&self, change: Change, now: Timestamp) -> Result<Applied, Outage> {
        self.write(What::Change(change), now).await
    }

    /// Adds a revocation to the log that others follow.
    ///
    /// # Errors
    /// The file gave no answer.
    pub async fn revoke(&self, revocation: Revocation, now: Timestamp) -> Result<(), Outage> {
        self.write(What::Revoke(revocation), now).await.map(|_| ())
    }

    async fn read<T>(&self, read: impl FnOnce(Answer<T>) -> Read) -> Result<T, Outage> {
        let (answer, answered) = oneshot::channel();
        if !self.shared.reads.push(read(answer)) {
            return Err(Outage::Timeout);
        }
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

/// Where a thread says that it is ready, or why not.
type Ready = mpsc::SyncSender<Result<(), Reason>>;

impl Drop for FileStore {
    fn drop(&mut self) {
        self.shared.reads.close();
        self.shared.writes.close();
        // The writer last: the connection that is closed last tidies up.
        for thread in self.threads.drain(..).rev() {
            let _ = thread.join();
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
