//! The one thread of a process that writes to a file: what waits becomes one transaction, and is
//! answered when that is committed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Result};

use super::super::operation::{Applied, Outage};
use super::call::{Clock, Shared, What, Write, outage};
use super::change::Statements;
use super::place::Location;

/// How many changes a transaction takes at most.
const MOST: usize = 256;

/// How often the file itself is looked after.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// How long changes may have the thread for themselves between two steps of an expiry.
const BETWEEN_STEPS: Duration = Duration::from_millis(5);

/// How often the lock is tried for that another process holds.
const TRY_AGAIN: Duration = Duration::from_micros(300);

/// How long a thread that has more to write leaves the lock to other processes.
const GIVE_WAY: Duration = Duration::from_micros(100);

/// How many pages SQLite allows at most.
const MOST_PAGES: i64 = 4_294_967_294;

/// Writes to a file.
pub(super) struct Writer<'c> {
    connection: &'c Connection,
    statements: Statements<'c>,
    shared: Arc<Shared>,
    place: Location,
    clock: Clock,
    syncs_each: bool,
    /// The file does not grow.
    is_tight: bool,
    /// What is wrong, as far as it has been told.
    trouble: Option<Outage>,
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
            shared: Arc::clone(shared),
            place,
            clock,
            syncs_each: false,
            is_tight: false,
            trouble: None,
        })
    }

    /// Writes for as long as there is something to write.
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

    /// Carries out a batch, and leaves it empty.
    fn carry_out(&mut self, batch: &mut Vec<Write>) {
        match self.commit(batch) {
            Ok(results) => {
                if !batch.is_empty() {
                    self.told(None, None);
                }
                for (write, applied) in batch.drain(..).zip(results) {
                    let _ = write.answer.send(Ok(applied));
                }
            }
            // What makes room may still fit, and a small one where a large one does not.
            Err(Outage::Full) if batch.len() > 1 => {
                for write in batch.drain(..) {
                    self.carry_out(&mut vec![write]);
                }
            }
            Err(kind) => {
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

    /// Begins the transaction of a batch. Whatever comes too late while another process writes is
    /// answered and taken out.
    fn begin(&mut self, batch: &mut Vec<Write>) -> Result<()> {
        loop {
            let now = Instant::now();
            for late in batch.extract_if(.., |write| write.deadline <= now) {
                let _ = late.answer.send(Err(Outage::Timeout));
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.leave_room()?;
            // A transaction cannot change it.
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
            // Where it fails the transaction is over all the same.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// Whether a commit waits until the disk has it. A save need not: it outlives the process, if
    /// not a loss of power. An end must.
    fn sync_each(&mut self, each: bool) -> Result<()> {
        if self.syncs_each != each {
            let level = if each { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.syncs_each = each;
        }
        Ok(())
    }

    /// Has the file grow only while there is room. Without this the log of writes could take the last
    /// of it, with pages in it that the file has no room for: then nothing could be written any more,
    /// the end of a session included.
    fn leave_room(&mut self) -> Result<()> {
        let Some(room) = self.place.room() else { return Ok(()) };
        let is_tight = room.free < self.shared.reserve.load(Ordering::Relaxed);
        if self.is_tight != is_tight {
            // Less than the file has means as many as it has.
            let most = if is_tight { 1 } else { MOST_PAGES };
            self.connection.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
            self.is_tight = is_tight;
        }
        Ok(())
    }

    /// Removes some of what has expired, makes room where there is none, and looks whether the file
    /// is still there. True: there is more to do soon.
    fn look_after(&mut self) -> bool {
        if self.look_for_file() {
            return false;
        }
        if self.trouble == Some(Outage::Full) {
            // The log of writes may take room that the file needs.
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        match self.expire() {
            Ok(has_more) => has_more,
            // Another process writes: perhaps it is this one's expiry that it does.
            Err(error) if is_busy(&error) => false,
            Err(error) => {
                self.roll_back();
                self.told(Some(outage(&error)), Some(&error));
                false
            }
        }
    }

    /// Takes the lock only where there is something to remove.
    fn expire(&mut self) -> Result<bool> {
        let now = (self.clock)();
        if !self.statements.has_expired(now)? {
            return Ok(false);
        }
        self.sync_each(false)?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let has_more = self.statements.expire(now)?;
        self.connection.execute_batch("COMMIT")?;
        Ok(has_more)
    }

    /// Looks whether the file is where it was. What is written to one that is not is lost, so it is
    /// an outage: never an empty file instead, which would log everybody out.
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

    /// Says once what is wrong, and once that it is over.
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
