//! What callers ask of the threads that have the file open, and where it waits.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::super::operation::{Applied, Change, Entry, Listed, Loaded, Outage, Revocation};
use super::super::record::SubjectHash;
use super::queue::Queue;
use crate::session::lifetime::SessionId;
use crate::time::Timestamp;

/// Tells the time to the expiry.
pub type Clock = fn() -> Timestamp;

/// Where an answer goes. Nobody may be there any more.
pub(super) type Answer<T> = oneshot::Sender<Result<T, Outage>>;

/// What is to be read.
pub(super) enum Read {
    Load { id: SessionId, now: Timestamp, answer: Answer<Loaded> },
    Show { id: SessionId, now: Timestamp, answer: Answer<Option<Listed>> },
    List { subject: SubjectHash, now: Timestamp, answer: Answer<Vec<Listed>> },
    Revocations { after: u64, most: usize, answer: Answer<Vec<Entry>> },
}

/// A change that waits.
pub(super) struct Write {
    pub(super) what: What,
    pub(super) now: Timestamp,
    /// From then on nobody waits for it, and it is not carried out any more.
    pub(super) deadline: Instant,
    pub(super) answer: Answer<Applied>,
}

/// What is to be written.
pub(super) enum What {
    Change(Change),
    Revoke(Revocation),
}

impl Write {
    pub(super) fn is_an_end(&self) -> bool {
        match &self.what {
            What::Change(change) => change.is_an_end(),
            What::Revoke(_) => true,
        }
    }
}

/// What the threads and the callers share.
pub(super) struct Shared {
    pub(super) reads: Queue<Read>,
    pub(super) writes: Queue<Write>,
    /// The file is not where it was.
    pub(super) is_away: AtomicBool,
    /// In milliseconds.
    pub(super) timeout: AtomicU64,
    /// The bytes that are left free on the disk. A test says others.
    pub(super) reserve: AtomicU64,
}

/// What an error of SQLite's means to those who wait.
pub(super) fn outage(error: &rusqlite::Error) -> Outage {
    match error.sqlite_error() {
        // No room for the memory that processes share.
        Some(error) if error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => Outage::Full,
        Some(error) => match error.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Outage::Timeout,
            ErrorCode::DiskFull => Outage::Full,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Outage::ReadOnly,
            ErrorCode::CannotOpen => Outage::Connect,
            _ => Outage::Protocol,
        },
        None => Outage::Protocol,
    }
}
