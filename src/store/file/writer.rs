//! The only thread of a process that writes to a file. It puts all waiting changes into one
//! transaction and answers after the commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Result};

use super::super::operation::{Applied, Outage};
use super::call::{Clock, Shared, What, Write, outage};
use super::change::Statements;
use super::checkpoint::Log;
use super::place::Location;
use super::schema::LAYOUT;

/// The maximum number of changes in a transaction.
const MOST: usize = 256;

/// How often the file itself is checked.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// The time for other changes between two steps of the expiry.
const BETWEEN_STEPS: Duration = Duration::from_millis(5);

/// The pause between attempts to get a lock that another process holds.
const TRY_AGAIN: Duration = Duration::from_micros(300);

/// How long a busy thread leaves the lock to other processes.
const GIVE_WAY: Duration = Duration::from_micros(100);

/// SQLite's maximum number of pages.
const MOST_PAGES: i64 = 4_294_967_294;

/// Writes to a file.
pub(super) struct Writer<'c> {
    connection: &'c Connection,
    statements: Statements<'c>,
    log: Log<'c>,
    shared: Arc<Shared>,
    place: Location,
    clock: Clock,
    syncs_each: bool,
    /// The file must not grow.
    is_tight: bool,
    /// The error that was last logged.
    trouble: Option<Outage>,
    /// A change was not carried out in time.
    has_failed: bool,
}

impl<'c> Writer<'c> {
    pub(super) fn new(
        connection: &'c Connection,
        shared: &Arc<Shared>,
        place: Location,
        clock: Clock,
    ) -> Result<Self> {
        Ok(Self {
            connection,
            statements: Statements::prepare(connection)?,
            log: Log::of(connection)?,
            shared: Arc::clone(shared),
            place,
            clock,
            syncs_each: false,
            is_tight: false,
            trouble: None,
            has_failed: false,
        })
    }

    /// Serves writes until the queue is closed.
    pub(super) fn run(mut self) {
        let mut batch = Vec::with_capacity(MOST);
        let mut next_look = Instant::now();
        loop {
            let goes_on = self.shared.writes.take_many(&mut batch, MOST, next_look);
            if !batch.is_empty() {
                self.look_for_file();
                self.carry_out(&mut batch);
                if !self.shared.writes.is_empty() {
                    std::thread::sleep(GIVE_WAY);
                }
            }
            if !goes_on {
                return;
            }
            if Instant::now() >= next_look {
                let has_more = self.look_after();
                next_look = Instant::now() + if has_more { BETWEEN_STEPS } else { LOOK_AFTER };
            }
        }
    }

    /// Applies a batch and empties it.
    fn carry_out(&mut self, batch: &mut Vec<Write>) {
        match self.commit(batch) {
            Ok(results) => {
                let has_written = !batch.is_empty();
                if has_written {
                    self.told(None, None);
                }
                let now = Instant::now();
                self.has_failed |= batch.iter().any(|write| write.deadline <= now);
                for (write, applied) in batch.drain(..).zip(results) {
                    let _ = write.answer.send(Ok(applied));
                }
                if has_written {
                    self.log.look(&self.shared);
                }
            }
            // Apply each alone: one that frees space, or a small one, may still fit.
            Err(Outage::Full) if batch.len() > 1 => {
                for write in batch.drain(..) {
                    self.carry_out(&mut vec![write]);
                }
            }
            Err(kind) => {
                // A file that is full or read-only has answered.
                self.has_failed |= !matches!(kind, Outage::Full | Outage::ReadOnly);
                for write in batch.drain(..) {
                    let _ = write.answer.send(Err(kind));
                }
            }
        }
    }

    fn commit(&mut self, batch: &mut Vec<Write>) -> std::result::Result<Vec<Applied>, Outage> {
        if self.shared.is_away.load(Ordering::Relaxed) {
            return Err(Outage::Connect);
        }
        let committed = self
            .begin(batch)
            .and_then(|()| if batch.is_empty() { Ok(Vec::new()) } else { self.apply(batch) });
        committed.map_err(|error| {
            self.roll_back();
            let kind = outage(&error);
            self.told(Some(kind), Some(&error));
            kind
        })
    }

    /// Begins the transaction of a batch. Changes whose time limit passes while another process
    /// writes are answered and removed.
    fn begin(&mut self, batch: &mut Vec<Write>) -> Result<()> {
        loop {
            let now = Instant::now();
            for late in batch.extract_if(.., |write| write.deadline <= now) {
                self.has_failed = true;
                let _ = late.answer.send(Err(Outage::Timeout));
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.leave_room()?;
            // This setting cannot change within a transaction.
            self.sync_each(batch.iter().any(Write::is_an_end))?;
            match self.connection.execute_batch("BEGIN IMMEDIATE") {
                Err(error) if is_busy(&error) => std::thread::sleep(TRY_AGAIN),
                other => return other,
            }
        }
    }

    fn apply(&mut self, batch: &[Write]) -> Result<Vec<Applied>> {
        let mut results = Vec::with_capacity(batch.len());
        for write in batch {
            results.push(match &write.what {
                What::Change(change) => self.statements.apply(change, write.now)?,
                What::Revoke(revocation) => {
                    self.statements.revoke(revocation)?;
                    Applied::done(0)
                }
            });
        }
        self.connection.execute_batch("COMMIT")?;
        Ok(results)
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // If this fails, the transaction has ended too.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// Sets whether a commit waits for the disk. A save need not: it survives the end of the
    /// process, though not a power failure. An end must.
    fn sync_each(&mut self, each: bool) -> Result<()> {
        if self.syncs_each != each {
            let level = if each { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.syncs_each = each;
        }
        Ok(())
    }

    /// Lets the file grow only while there is disk space. Otherwise the log could use up the rest
    /// with pages that do not fit in the file, and then nothing could be written, not even the end
    /// of a session.
    fn leave_room(&mut self) -> Result<()> {
        let Some(room) = self.place.room() else { return Ok(()) };
        let is_tight = room.free < self.shared.reserve.load(Ordering::Relaxed);
        if self.is_tight != is_tight {
            // A limit below the current size means the current size.
            let most = if is_tight { 1 } else { MOST_PAGES };
            self.connection.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
            self.is_tight = is_tight;
        }
        Ok(())
    }

    /// Removes some expired rows, frees space if needed, and checks that the file is still there.
    /// True if there is more to do soon.
    fn look_after(&mut self) -> bool {
        if self.look_for_file() {
            return false;
        }
        if self.trouble == Some(Outage::Full) {
            // The log may use space that the file needs.
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        let looked = self.try_again().and_then(|()| self.expire());
        match looked {
            Ok(has_more) => has_more,
            // Another process is writing, perhaps running the expiry.
            Err(error) if is_busy(&error) => false,
            Err(error) => {
                self.roll_back();
                self.told(Some(outage(&error)), Some(&error));
                false
            }
        }
    }

    /// After a failed write, checks whether the file can be written again: without this, a store that
    /// nobody writes to would count as unavailable. It writes the layout version that is already
    /// there, and waits for the disk.
    fn try_again(&mut self) -> Result<()> {
        if !self.has_failed {
            return Ok(());
        }
        let begun = Instant::now();
        self.leave_room()?;
        self.sync_each(true)?;
        let same = format!("BEGIN IMMEDIATE; PRAGMA user_version = {LAYOUT}; COMMIT");
        self.connection.execute_batch(&same)?;
        if begun.elapsed() < Duration::from_millis(self.shared.timeout.load(Ordering::Relaxed)) {
            self.has_failed = false;
            self.shared.recoveries.fetch_add(1, Ordering::Relaxed);
            if self.trouble != Some(Outage::Full) {
                self.told(None, None);
            }
        }
        Ok(())
    }

    /// Takes the lock only if there is something to remove.
    fn expire(&mut self) -> Result<bool> {
        let now = (self.clock)();
        if !self.statements.has_expired(now)? {
            return Ok(false);
        }
        // Otherwise a save would have to write the log back itself, and wait for the disk.
        self.log.look(&self.shared);
        if self.shared.log_is_long.load(Ordering::Acquire) {
            return Ok(true);
        }
        self.sync_each(false)?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let has_more = self.statements.expire(now)?;
        self.connection.execute_batch("COMMIT")?;
        Ok(has_more)
    }

    /// Checks that the file is still there. Writes to a removed file are lost, so this is an
    /// outage. Never create an empty file instead: that would log out all users.
    fn look_for_file(&mut self) -> bool {
        let is_away = !self.place.is_there();
        if self.shared.is_away.swap(is_away, Ordering::Relaxed) != is_away {
            let path = self.place.path().display();
            if is_away {
                log::error!(
                    path:% = path;
                    "the session file was moved, removed or replaced: put it back, or restart"
                );
            } else {
                log::info!(path:% = path; "the session file is back");
            }
        }
        is_away
    }

    /// Logs a problem once, and once when it is over.
    fn told(&mut self, kind: Option<Outage>, error: Option<&rusqlite::Error>) {
        if self.trouble == kind {
            return;
        }
        self.trouble = kind;
        let path = self.place.path().display();
        match (kind, error) {
            (Some(kind), Some(error)) => log::error!(
                path:% = path, kind = kind.label(), error:% = error;
                "the session file cannot be written"
            ),
            _ => log::info!(path:% = path; "the session file can be written again"),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
