//! The store of sessions that do not fit in a cookie.
//!
//! It stores sealed dicts by id and cannot read them: [`record`] seals and opens them,
//! [`operation`] defines the calls. Each answer includes its duration for the metrics. If there is
//! no answer, the result is an [`Outage`], which says nothing about any session.

pub mod circuit;
pub mod file;
pub mod operation;
pub mod record;
#[cfg(feature = "redis")]
pub mod redis;
pub mod server;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::session::lifetime::SessionId;
use crate::time::Timestamp;
use circuit::Circuit;
use file::FileStore;
use operation::{Applied, Change, Entry, Listed, Listing, Loaded, Outage, Revocation, Revoked};
use record::SubjectHash;
#[cfg(feature = "redis")]
use redis::RedisStore;
use server::{Secrets, ServerSpec};

/// The resolution of times in the store and in tokens.
const MOMENT: Duration = Duration::from_millis(1);

/// The implementation of a store.
#[derive(Debug)]
pub enum Home {
    /// A file on this machine.
    File(FileStore),
    /// Redis or Valkey.
    #[cfg(feature = "redis")]
    Redis(RedisStore),
}

impl Home {
    /// How often the store became available again by itself: a connection was made, or a file could
    /// be written again.
    fn signs(&self) -> u64 {
        match self {
            Self::File(file) => file.recoveries(),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.contacts(),
        }
    }
}

/// A store with a time limit on every call. After repeated failures it is not called for a while.
pub struct Store {
    home: Home,
    /// In milliseconds.
    timeout: AtomicU64,
    started: Instant,
    /// Separate from writes: a file that another process has locked can still be read.
    reads: Mutex<Guard>,
    writes: Mutex<Guard>,
}

/// A circuit, and the number of [`Home::signs`] at the last check: a new one proves, like a probe,
/// that the store is available again.
#[derive(Default)]
struct Guard {
    circuit: Circuit,
    signs: u64,
}

impl Guard {
    fn circuit(&mut self, signs: u64) -> &mut Circuit {
        if std::mem::replace(&mut self.signs, signs) != signs {
            self.circuit.succeeded();
        }
        &mut self.circuit
    }
}

/// The type of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Read a session.
    Load,
    /// Create, save or renew a session.
    Save,
    /// End a session.
    Delete,
    /// Extend a session.
    Touch,
    /// End many sessions, or write a revocation.
    Revoke,
    /// List sessions for an operator, or read revocations.
    List,
}

impl Op {
    /// Every type, in the order of docs/metrics.md.
    pub const ALL: [Self; 6] =
        [Self::Load, Self::Save, Self::Delete, Self::Touch, Self::Revoke, Self::List];

    /// The value of the label `op`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Save => "save",
            Self::Delete => "delete",
            Self::Touch => "touch",
            Self::Revoke => "revoke",
            Self::List => "list",
        }
    }

    const fn of(change: &Change) -> Self {
        match change {
            Change::Create { .. } | Change::Save { .. } | Change::Renew { .. } => Self::Save,
            Change::Touch { .. } => Self::Touch,
            Change::Delete { .. } => Self::Delete,
            Change::EndSubject { .. } | Change::EndAll => Self::Revoke,
        }
    }

    const fn is_read(self) -> bool {
        matches!(self, Self::Load | Self::List)
    }
}

/// An answer with its metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Answer<T> {
    /// The result.
    pub result: Result<T, Outage>,
    /// The type of the call.
    pub op: Op,
    /// How long it took.
    pub took: Duration,
}

impl Store {
    /// A store whose calls take at most `timeout`.
    #[must_use]
    pub fn new(home: Home, timeout: Duration) -> Self {
        let store = Self {
            home,
            timeout: AtomicU64::new(0),
            started: Instant::now(),
            reads: Mutex::default(),
            writes: Mutex::default(),
        };
        store.set_timeout(timeout);
        store
    }

    /// Changes the time limit of later calls.
    pub fn set_timeout(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout.store(millis, Ordering::Relaxed);
        match &self.home {
            Home::File(file) => file.set_timeout(timeout),
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.set_timeout(timeout),
        }
    }

    /// Changes the credentials and certificates of a server. No effect on a file.
    pub fn set_credentials(&self, spec: &ServerSpec, secrets: Secrets) {
        match &self.home {
            Home::File(_) => {}
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.set_credentials(spec.clone(), secrets),
        }
        #[cfg(not(feature = "redis"))]
        drop((spec, secrets));
    }

    /// Connects to a server, on this runtime.
    pub fn start(&self, runtime: &Handle) {
        match &self.home {
            Home::File(_) => {}
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.start(runtime),
        }
        #[cfg(not(feature = "redis"))]
        let _ = runtime;
    }

    /// Whether the store is available: the circuits are closed and the last read of a file has
    /// succeeded, or a server is connected.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let signs = self.home.signs();
        let is_closed = self.reads.lock().circuit(signs).is_closed()
            && self.writes.lock().circuit(signs).is_closed();
        match &self.home {
            Home::File(_) => is_closed && self.reads.lock().circuit.has_answered(),
            #[cfg(feature = "redis")]
            Home::Redis(redis) => is_closed && redis.is_connected(),
        }
    }

    /// Whether it has ever been available. A file was opened at the start.
    #[must_use]
    pub fn has_been_reached(&self) -> bool {
        match &self.home {
            Home::File(_) => true,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.contacts() > 0,
        }
    }

    /// How often a connection was made, or another master was found in a cluster: it may be another
    /// server.
    #[must_use]
    pub fn contacts(&self) -> u64 {
        match &self.home {
            Home::File(_) => 0,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.contacts(),
        }
    }

    /// How many ends of sessions should have been acknowledged by a replica but were not.
    #[must_use]
    pub fn unreplicated(&self) -> u64 {
        match &self.home {
            Home::File(_) => 0,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.unreplicated(),
        }
    }

    /// Whether the server may evict sessions to free memory.
    #[must_use]
    pub fn evicts(&self) -> bool {
        match &self.home {
            Home::File(_) => false,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.evicts(),
        }
    }

    /// Reads a session.
    pub async fn load(&self, id: SessionId, now: Timestamp) -> Answer<Loaded> {
        match &self.home {
            Home::File(file) => self.bounded(Op::Load, file.load(id, now)).await,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => self.guarded(Op::Load, redis.load(id, now)).await,
        }
    }

    /// Applies a change. After a time-out it may or may not have been applied.
    ///
    /// The sessions of a user end in steps, each with its own time limit, because there may be very
    /// many. If one fails, those before it have ended some.
    pub async fn apply(&self, change: Change, now: Timestamp) -> Answer<Applied> {
        if !matches!(change, Change::EndSubject { .. }) {
            return self.apply_step(change, now).await;
        }
        let (mut all, mut all_replicated, mut all_took) = (0, true, Duration::ZERO);
        loop {
            let Answer { result, op, took } = self.apply_step(change.clone(), now).await;
            all_took += took;
            let result = match result {
                Ok(Applied::Done { ended, replicated, has_more }) => {
                    all += ended;
                    all_replicated &= replicated;
                    if has_more {
                        self.rest().await;
                        continue;
                    }
                    Ok(Applied::Done { ended: all, replicated: all_replicated, has_more })
                }
                other => other,
            };
            return Answer { result, op, took: all_took };
        }
    }

    /// Lets others write between two steps.
    async fn rest(&self) {
        match &self.home {
            Home::File(file) => file.rest().await,
            #[cfg(feature = "redis")]
            Home::Redis(_) => {}
        }
    }

    async fn apply_step(&self, change: Change, now: Timestamp) -> Answer<Applied> {
        let op = Op::of(&change);
        match &self.home {
            // To count very many sessions takes longer than any other call.
            Home::File(file) if change == Change::EndAll => {
                self.guarded(op, file.apply(change, now)).await
            }
            Home::File(file) => self.bounded(op, file.apply(change, now)).await,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => self.guarded(op, redis.apply(change, now)).await,
        }
    }

    /// The public data of a session; None if there is none.
    pub async fn show(&self, id: SessionId, now: Timestamp) -> Answer<Option<Listed>> {
        match &self.home {
            Home::File(file) => self.bounded(Op::List, file.show(id, now)).await,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => self.guarded(Op::List, redis.show(id, now)).await,
        }
    }

    /// The sessions of a user.
    pub async fn list(&self, subject: SubjectHash, now: Timestamp) -> Answer<Listing> {
        match &self.home {
            Home::File(file) => self.bounded(Op::List, file.list(subject, now)).await,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => self.guarded(Op::List, redis.list(subject, now)).await,
        }
    }

    /// Adds a revocation to the log that other sidecars follow. The answer is whether it has been
    /// replicated, so that it survives the loss of the server.
    pub async fn revoke(&self, revocation: Revocation, now: Timestamp) -> Answer<bool> {
        let ends_by_time = !matches!(revocation.what, Revoked::Session(_));
        let answer = self.log_revocation(revocation, now).await;
        if ends_by_time && answer.result.is_ok() {
            // It ends what was issued in the same millisecond too. Whoever logs in after this answer
            // is not to be logged out by it.
            tokio::time::sleep(MOMENT).await;
        }
        answer
    }

    async fn log_revocation(&self, revocation: Revocation, now: Timestamp) -> Answer<bool> {
        match &self.home {
            Home::File(file) => {
                let revoked = async { file.revoke(revocation, now).await.map(|()| true) };
                self.bounded(Op::Revoke, revoked).await
            }
            #[cfg(feature = "redis")]
            Home::Redis(redis) => self.guarded(Op::Revoke, redis.revoke(revocation)).await,
        }
    }

    /// The revocations after number `after`, in order, at most `most`.
    pub async fn revocations(&self, after: u64, most: usize) -> Answer<Vec<Entry>> {
        match &self.home {
            Home::File(file) => self.bounded(Op::List, file.revocations(after, most)).await,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => self.guarded(Op::List, redis.revocations(after, most)).await,
        }
    }

    /// Runs a call with the time limit.
    async fn bounded<T>(&self, op: Op, call: impl Future<Output = Result<T, Outage>>) -> Answer<T> {
        let timeout = Duration::from_millis(self.timeout.load(Ordering::Relaxed));
        let call = tokio::time::timeout(timeout, call);
        self.guarded(op, async { call.await.unwrap_or(Err(Outage::Timeout)) }).await
    }

    async fn guarded<T>(&self, op: Op, call: impl Future<Output = Result<T, Outage>>) -> Answer<T> {
        let began = self.started.elapsed();
        let guard = if op.is_read() { &self.reads } else { &self.writes };
        if !guard.lock().circuit(self.home.signs()).admits(began) {
            return Answer { result: Err(Outage::OpenCircuit), op, took: Duration::ZERO };
        }
        let result = call.await;
        let ended = self.started.elapsed();
        match result {
            // A full or read-only store has answered, and can be read.
            Ok(_) | Err(Outage::Full | Outage::ReadOnly) => guard.lock().circuit.succeeded(),
            Err(_) => guard.lock().circuit.failed(ended, jitter(ended)),
        }
        Answer { result, op, took: ended.saturating_sub(began) }
    }
}

/// A byte that differs between sidecars, taken from the duration of a call.
fn jitter(ended: Duration) -> u8 {
    let [low, ..] = (ended.subsec_nanos() / 100).to_le_bytes();
    low
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("home", &self.home).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
