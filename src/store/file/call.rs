//! The calls to the threads that have the file open, and their queues.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::super::operation::{
    Applied, Change, Entry, Listed, Listing, Loaded, Outage, Revocation,
};
use super::super::record::SubjectHash;
use super::queue::Queue;
use crate::session::lifetime::SessionId;
use crate::time::Timestamp;

/// The current time, for expiry.
pub type Clock = fn() -> Timestamp;

/// Where the answer goes. The caller may be gone.
pub(super) type Answer<T> = oneshot::Sender<Result<T, Outage>>;

/// A read.
pub(super) enum Read {
    Load { id: SessionId, now: Timestamp, answer: Answer<Loaded> },
    Show { id: SessionId, now: Timestamp, answer: Answer<Option<Listed>> },
    List { subject: SubjectHash, now: Timestamp, answer: Answer<Listing> },
    Count { answer: Answer<u64> },
    Revocations { after: u64, most: usize, answer: Answer<Vec<Entry>> },
}

/// A waiting write.
pub(super) struct Write {
    pub(super) what: What,
    pub(super) now: Timestamp,
    /// After this time nobody waits for it, and it is dropped.
    pub(super) deadline: Instant,
    pub(super) answer: Answer<Applied>,
}

/// The type of a write.
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

/// The state that the threads and the callers share.
pub(super) struct Shared {
    pub(super) reads: Queue<Read>,
    pub(super) writes: Queue<Write>,
    /// Requests to write the log back.
    pub(super) checkpoints: Queue<()>,
    /// Work that can wait waits until the log has been written back.
    pub(super) log_is_long: AtomicBool,
    /// The file has been moved or deleted.
    pub(super) is_away: AtomicBool,
    /// In milliseconds.
    pub(super) timeout: AtomicU64,
    /// The bytes to leave free on the disk. Tests change it.
    pub(super) reserve: AtomicU64,
    /// How often the file could be written again after it could not.
    pub(super) recoveries: AtomicU64,
}

/// Converts an error of SQLite for callers.
pub(super) fn outage(error: &rusqlite::Error) -> Outage {
    match error.sqlite_error() {
        // No space for the shared-memory file.
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
