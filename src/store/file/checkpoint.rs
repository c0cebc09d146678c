//! Writes the log back to the file, on a thread of its own: this waits for the disk, and saves should
//! not wait with it.
//!
//! <https://www.sqlite.org/wal.html#ckpt>

use rusqlite::{Connection, Result, Statement};

use super::call::Shared;

/// The part of the longest log after which it is written back.
const PART: u64 = 4;

/// Serves requests until their queue is closed.
pub(super) fn run(connection: &Connection, shared: &Shared) {
    while shared.checkpoints.take().is_some() {
        // If this fails, or another process is doing it, the log is longer at the next commit, and the
        // writer asks again.
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}

/// The writer's view of the log.
pub(super) struct Log<'c> {
    look: Statement<'c>,
    /// The number of pages that it should not exceed.
    most: u64,
}

impl<'c> Log<'c> {
    pub(super) fn of(connection: &'c Connection, most: u64) -> Result<Self> {
        Ok(Self { look: connection.prepare("PRAGMA wal_checkpoint(NOOP)")?, most })
    }

    /// To be called after each commit. Asks for the log to be written back if it has become long.
    /// Returns whether it is too long for work that can wait.
    pub(super) fn look(&mut self, shared: &Shared) -> Result<bool> {
        let (all, written_back) =
            self.look.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
        let length = u64::try_from(all - written_back).unwrap_or_default();
        if length > self.most / PART {
            // False if it has been asked for already.
            shared.checkpoints.push(());
        }
        Ok(length > self.most)
    }
}
