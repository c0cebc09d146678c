//! Where sessions are kept that outgrow the cookie.
//!
//! A store keeps sealed dicts under ids and knows nothing of what is in them: [`record`] seals and
//! opens, [`operation`] is what can be asked. Each answer says how long it took, for whoever counts.
//! No answer is an [`Outage`], which says nothing about any session.

pub mod circuit;
pub mod file;
pub mod operation;
pub mod record;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::session::lifetime::SessionId;
use crate::time::Timestamp;
use circuit::Circuit;
use file::FileStore;
use operation::{Applied, Change, Entry, Listed, Loaded, Outage, Revocation};
use record::SubjectHash;

/// Where the sessions are.
#[derive(Debug)]
pub enum Home {
    /// In a file of this machine.
    File(FileStore),
}

/// A store with a limit on how long any call takes, and which is left alone for a while when it does
/// not answer.
pub struct Store {
    home: Home,
    /// In milliseconds.
    timeout: AtomicU64,
    started: Instant,
    /// Apart: a file that another process has locked can still be read.
    reads: Mutex<Circuit>,
    writes: Mutex<Circuit>,
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
        }
    }

    /// Whether calls are let through: the store has answered lately.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.reads.lock().is_closed() && self.writes.lock().is_closed()
    }

    /// Reads a session.
    pub async fn load(&self, id: SessionId, now: Timestamp) -> Answer<Loaded> {
        let Home::File(file) = &self.home;
        self.bounded(Op::Load, file.load(id, now)).await
    }

    /// Carries out a change. Where that is not answered in time it may have been carried out or not.
    pub async fn apply(&self, change: Change, now: Timestamp) -> Answer<Applied> {
        let op = Op::of(&change);
        let Home::File(file) = &self.home;
        self.bounded(op, file.apply(change, now)).await
    }

    /// What can be told of a session; None where there is none.
    pub async fn show(&self, id: SessionId, now: Timestamp) -> Answer<Option<Listed>> {
        let Home::File(file) = &self.home;
        self.bounded(Op::List, file.show(id, now)).await
    }

    /// The sessions of a user, the oldest first.
    pub async fn list(&self, subject: SubjectHash, now: Timestamp) -> Answer<Vec<Listed>> {
        let Home::File(file) = &self.home;
        self.bounded(Op::List, file.list(subject, now)).await
    }

    /// Adds a revocation to the log that others follow.
    pub async fn revoke(&self, revocation: Revocation, now: Timestamp) -> Answer<()> {
        let Home::File(file) = &self.home;
        self.bounded(Op::Revoke, file.revoke(revocation, now)).await
    }

    /// The revocations behind the one with the number `after`, in order, at most `most` of them.
    pub async fn revocations(&self, after: u64, most: usize) -> Answer<Vec<Entry>> {
        let Home::File(file) = &self.home;
        self.bounded(Op::List, file.revocations(after, most)).await
    }

    async fn bounded<T>(&self, op: Op, call: impl Future<Output = Result<T, Outage>>) -> Answer<T> {
        let began = self.started.elapsed();
        let circuit = if op.is_read() { &self.reads } else { &self.writes };
        if !circuit.lock().admits(began) {
            return Answer { result: Err(Outage::OpenCircuit), op, took: Duration::ZERO };
        }
        let timeout = Duration::from_millis(self.timeout.load(Ordering::Relaxed));
        let result = tokio::time::timeout(timeout, call).await.unwrap_or(Err(Outage::Timeout));
        let ended = self.started.elapsed();
        match result {
            // A store that is full or read-only has answered, and can be read.
            Ok(_) | Err(Outage::Full | Outage::ReadOnly) => circuit.lock().succeeded(),
            Err(_) => circuit.lock().failed(ended, jitter(ended)),
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
