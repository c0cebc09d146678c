//! Writes the log back to the file, on a thread of its own: this waits for the disk, and saves should
//! not wait with it.
//!
//! <https://www.sqlite.org/wal.html#ckpt>

use std::sync::atomic::Ordering;

use rusqlite::{Connection, Result, Row, Statement};

use super::call::Shared;

/// How many pages the log may have before it is written back. Few, so that this takes less time, and
/// far fewer than those at which the writer would have to do it.
const PAGES: i64 = 250;

/// Serves requests until their queue is closed.
pub(super) fn run(connection: &Connection, shared: &Shared) {
    while shared.checkpoints.take().is_some() {
        // If this fails, or another process is doing it, the writer asks again after a commit.
        let is_short = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            let is_busy: bool = row.get(0)?;
            Ok(!is_busy && length(row)? <= PAGES)
        });
        if is_short == Ok(true) {
            shared.log_is_long.store(false, Ordering::Release);
        }
    }
}

/// The writer's view of the log.
pub(super) struct Log<'c>(Statement<'c>);

impl<'c> Log<'c> {
    pub(super) fn of(connection: &'c Connection) -> Result<Self> {
        connection.prepare("PRAGMA wal_checkpoint(NOOP)").map(Self)
    }

    /// To be called after each commit: has the log written back if it has become long.
    pub(super) fn look(&mut self, shared: &Shared) {
        if self.0.query_row([], length).is_ok_and(|length| length > PAGES) {
            shared.log_is_long.store(true, Ordering::Release);
            // False if a request is waiting already.
            shared.checkpoints.push(());
        }
    }
}

/// How many pages of the log are not in the file yet; 0 if SQLite cannot tell.
fn length(row: &Row<'_>) -> Result<i64> {
    let [all, written_back] = [row.get::<_, i64>(1)?, row.get::<_, i64>(2)?];
    Ok(all - written_back)
}
