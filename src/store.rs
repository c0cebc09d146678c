//! Where sessions are kept that outgrow the cookie.
//!
//! A store keeps sealed dicts under ids and knows nothing of what is in them: [`record`] seals and
//! opens, [`operation`] is what can be asked. Each answer says how long it took, for whoever counts.
//! No answer is an [`Outage`], which says nothing about any session.

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
use operation::{Applied, Change, Entry, Listed, Loaded, Outage, Revocation};
use record::SubjectHash;
#[cfg(feature = "redis")]
use redis::RedisStore;
use server::{Secrets, ServerSpec};

/// Where the sessions are.
#[derive(Debug)]
pub enum Home {
    /// In a file of this machine.
    File(FileStore),
    /// In Redis or Valkey.
    #[cfg(feature = "redis")]
    Redis(RedisStore),
}

impl Home {
    /// How often there was a new connection to it. A file has none.
    fn contacts(&self) -> u64 {
        match self {
            Self::File(_) => 0,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.contacts(),
        }
    }
}

/// A store with a limit on how long any call takes, and which is left alone for a while when it does
/// not answer.
pub struct Store {
    home: Home,
    /// In milliseconds.
    timeout: AtomicU64,
    started: Instant,
    /// Apart: a file that another process has locked can still be read.
    reads: Mutex<Guard>,
    writes: Mutex<Guard>,
}

/// A circuit, and how many connections there had been when it was last looked at: a new one is as
/// good a proof as a probe that the store is back.
#[derive(Default)]
struct Guard {
    circuit: Circuit,
    contacts: u64,
}

impl Guard {
    fn admits(&mut self, contacts: u64, now: Duration) -> bool {
        if std::mem::replace(&mut self.contacts, contacts) != contacts {
            self.circuit.succeeded();
        }
        self.circuit.admits(now)
    }
}

/// What a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A session was read.
    Load,
    /// One was created, saved or renewed.
    Save,
    /// One was ended.
    Delete,
    /// One was extended.
    Touch,
    /// Many were ended, or a revocation was written.
    Revoke,
    /// An operator looked, or revocations were read.
    List,
}

impl Op {
    /// Each of them, in the order of the documentation.
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

/// An answer, and what there is to count about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Answer<T> {
    /// What was answered.
    pub result: Result<T, Outage>,
    /// What the call was for.
    pub op: Op,
    /// How long it took.
    pub took: Duration,
}

impl Store {
    /// A store at home there, none of whose calls takes longer than `timeout`.
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

    /// How long calls may take from now on.
    pub fn set_timeout(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout.store(millis, Ordering::Relaxed);
        match &self.home {
            Home::File(file) => file.set_timeout(timeout),
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.set_timeout(timeout),
        }
    }

    /// Takes other credentials and certificates of a server into use. A file has none.
    pub fn set_credentials(&self, spec: &ServerSpec, secrets: Secrets) {
        match &self.home {
            Home::File(_) => {}
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.set_credentials(spec.clone(), secrets),
        }
        #[cfg(not(feature = "redis"))]
        drop((spec, secrets));
    }

    /// Has a store in a server connect, on that runtime.
    pub fn start(&self, runtime: &Handle) {
        match &self.home {
            Home::File(_) => {}
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.start(runtime),
        }
        #[cfg(not(feature = "redis"))]
        let _ = runtime;
    }

    /// Whether the store has answered lately: calls are let through, and the last read of a file was
    /// answered.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let is_closed =
            self.reads.lock().circuit.is_closed() && self.writes.lock().circuit.is_closed();
        match &self.home {
            Home::File(_) => is_closed && self.reads.lock().circuit.has_answered(),
            #[cfg(feature = "redis")]
            Home::Redis(redis) => is_closed && redis.is_connected(),
        }
    }

    /// Whether it has been there at any time. A file was opened at the start.
    #[must_use]
    pub fn has_been_reached(&self) -> bool {
        match &self.home {
            Home::File(_) => true,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.contacts() > 0,
        }
    }

    /// How often there was a new connection to it: it may be another server since.
    #[must_use]
    pub fn contacts(&self) -> u64 {
        self.home.contacts()
    }

    /// How many ends of sessions no replica has acknowledged that should have.
    #[must_use]
    pub fn unreplicated(&self) -> u64 {
        match &self.home {
            Home::File(_) => 0,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => redis.unreplicated(),
        }
    }

    /// Whether it may remove sessions to make room.
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

    /// Carries out a change. Where that is not answered in time it may have been carried out or not.
    pub async fn apply(&self, change: Change, now: Timestamp) -> Answer<Applied> {
        let op = Op::of(&change);
        match &self.home {
            Home::File(file) => self.bounded(op, file.apply(change, now)).await,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => self.guarded(op, redis.apply(change, now)).await,
        }
    }

    /// What can be told of a session; None where there is none.
    pub async fn show(&self, id: SessionId, now: Timestamp) -> Answer<Option<Listed>> {
        match &self.home {
            Home::File(file) => self.bounded(Op::List, file.show(id, now)).await,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => self.guarded(Op::List, redis.show(id, now)).await,
        }
    }

    /// The sessions of a user, the oldest first.
    pub async fn list(&self, subject: SubjectHash, now: Timestamp) -> Answer<Vec<Listed>> {
        match &self.home {
            Home::File(file) => self.bounded(Op::List, file.list(subject, now)).await,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => self.guarded(Op::List, redis.list(subject, now)).await,
        }
    }

    /// Adds a revocation to the log that others follow. The answer is whether it outlives the server
    /// that has taken it.
    pub async fn revoke(&self, revocation: Revocation, now: Timestamp) -> Answer<bool> {
        match &self.home {
            Home::File(file) => {
                let revoked = async { file.revoke(revocation, now).await.map(|()| true) };
                self.bounded(Op::Revoke, revoked).await
            }
            #[cfg(feature = "redis")]
            Home::Redis(redis) => self.guarded(Op::Revoke, redis.revoke(revocation)).await,
        }
    }

    /// The revocations behind the one with the number `after`, in order, at most `most` of them.
    pub async fn revocations(&self, after: u64, most: usize) -> Answer<Vec<Entry>> {
        match &self.home {
            Home::File(file) => self.bounded(Op::List, file.revocations(after, most)).await,
            #[cfg(feature = "redis")]
            Home::Redis(redis) => self.guarded(Op::List, redis.revocations(after, most)).await,
        }
    }

    /// Of a call that does not end by itself.
    async fn bounded<T>(&self, op: Op, call: impl Future<Output = Result<T, Outage>>) -> Answer<T> {
        let timeout = Duration::from_millis(self.timeout.load(Ordering::Relaxed));
        let call = tokio::time::timeout(timeout, call);
        self.guarded(op, async { call.await.unwrap_or(Err(Outage::Timeout)) }).await
    }

    async fn guarded<T>(&self, op: Op, call: impl Future<Output = Result<T, Outage>>) -> Answer<T> {
        let began = self.started.elapsed();
        let guard = if op.is_read() { &self.reads } else { &self.writes };
        if !guard.lock().admits(self.home.contacts(), began) {
            return Answer { result: Err(Outage::OpenCircuit), op, took: Duration::ZERO };
        }
        let result = call.await;
        let ended = self.started.elapsed();
        match result {
            // A store that is full or read-only has answered, and can be read.
            Ok(_) | Err(Outage::Full | Outage::ReadOnly) => guard.lock().circuit.succeeded(),
            Err(_) => guard.lock().circuit.failed(ended, jitter(ended)),
        }
        Answer { result, op, took: ended.saturating_sub(began) }
    }
}

/// A byte that differs between sidecars: how long a call took is no pattern that they share.
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
mod tests;
