//! The reading threads. Each has its own connection, and writers do not block it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension as _, Result, Row as Found, Statement, params};

use super::super::operation::{
    Entry, Listed, Listing, Loaded, MOST_LISTED, Outage, Revocation, Revoked,
};
use super::super::record::SubjectHash;
use super::call::{Answer, Read, Shared, outage};
use super::change::{COLUMNS, RawId, moment, number, read_row, timestamp, unsigned};
use crate::session::lifetime::SessionId;
use crate::time::Timestamp;

/// The number of loads in one transaction: a few, so that the last does not wait long.
const TOGETHER: usize = 8;

/// Reports that it is ready, then serves reads until the queue is closed.
pub(super) fn run(
    connection: &Connection,
    shared: &Arc<Shared>,
    say_ready: impl FnOnce(),
) -> Result<()> {
    let mut statements = Statements::prepare(connection)?;
    // A transaction costs as much as a load. While a row of this statement is open, all other
    // statements use its transaction.
    let mut any = connection.prepare("SELECT 1 FROM sqlite_schema")?;
    say_ready();
    let mut reads = Vec::with_capacity(TOGETHER);
    let is_load = |read: &Read| matches!(read, Read::Load { .. });
    while shared.reads.take_alike(&mut reads, TOGETHER, is_load) {
        let is_away = shared.is_away.load(Ordering::Relaxed);
        let mut open = if reads.len() > 1 && !is_away { any.query([]).ok() } else { None };
        if let Some(rows) = &mut open {
            // If it fails, each load has a transaction of its own, and fails by itself.
            let _ = rows.next();
        }
        for read in reads.drain(..) {
            statements.serve(read, is_away);
        }
    }
    Ok(())
}

/// Skips the read if the caller is gone.
fn reply<T>(answer: Answer<T>, is_away: bool, read: impl FnOnce() -> Result<T>) {
    if answer.is_closed() {
        return;
    }
    let result = if is_away { Err(Outage::Connect) } else { read().map_err(|e| outage(&e)) };
    let _ = answer.send(result);
}

struct Statements<'c> {
    load: Statement<'c>,
    show: Statement<'c>,
    list: Statement<'c>,
    has_more: Statement<'c>,
    count: Statement<'c>,
    revocations: Statement<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection) -> Result<Self> {
        let listed = "SELECT id, start, seen, exp, length(data) FROM session";
        // Replaced sessions are listed only under their new id.
        let is_live = "exp > ?1 AND until IS NULL";
        Ok(Self {
            load: connection
                .prepare(&format!("SELECT {COLUMNS} FROM session WHERE k = ?1 AND id = ?2"))?,
            show: connection
                .prepare(&format!("{listed} WHERE k = ?2 AND id = ?3 AND {is_live}"))?,
            list: connection.prepare(&format!(
                "{listed} WHERE k IN (SELECT k FROM session WHERE sub = ?2 LIMIT ?3) \
                     AND {is_live} ORDER BY start, k"
            ))?,
            has_more: connection
                .prepare("SELECT 1 FROM session WHERE sub = ?1 LIMIT 1 OFFSET ?2")?,
            count: connection.prepare("SELECT count(*) FROM session")?,
            revocations: connection.prepare(
                "SELECT seq, kind, what, before_ms, until FROM revoked \
                 WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            )?,
        })
    }

    fn serve(&mut self, read: Read, is_away: bool) {
        match read {
            Read::Load { id, now, answer } => reply(answer, is_away, || self.load(&id, now)),
            Read::Show { id, now, answer } => reply(answer, is_away, || self.show(&id, now)),
            Read::List { subject, now, answer } => {
                reply(answer, is_away, || self.list(&subject, now));
            }
            Read::Count { answer } => reply(answer, is_away, || self.count()),
            Read::Revocations { after, most, answer } => {
                reply(answer, is_away, || self.revocations(after, most));
            }
        }
    }

    /// Expired rows are filtered here, because the expiry may be late.
    fn load(&mut self, id: &SessionId, now: Timestamp) -> Result<Loaded> {
        let Some(id) = RawId::of(id) else { return Ok(Loaded::Gone) };
        let found = self.load.query_row(params![id.key(), id.bytes()], read_row).optional()?;
        Ok(match found {
            Some((row, None)) if row.exp > now => Loaded::Found(row),
            Some((row, Some(until))) if until > now => Loaded::Replaced(row),
            _ => Loaded::Gone,
        })
    }

    fn show(&mut self, id: &SessionId, now: Timestamp) -> Result<Option<Listed>> {
        let Some(id) = RawId::of(id) else { return Ok(None) };
        self.show.query_row(params![moment(now), id.key(), id.bytes()], listed).optional()
    }

    /// If there are more, those that come first in the index: finding the oldest would mean reading
    /// all of them.
    fn list(&mut self, subject: &SubjectHash, now: Timestamp) -> Result<Listing> {
        let most = number(MOST_LISTED as u64);
        let parameters = params![moment(now), subject.as_bytes(), most];
        let sessions = self.list.query_map(parameters, listed)?.collect::<Result<_>>()?;
        let has_more = self.has_more.exists(params![subject.as_bytes(), most])?;
        Ok(Listing { sessions, has_more })
    }

    fn count(&mut self) -> Result<u64> {
        self.count.query_row([], |row| unsigned(row, 0))
    }

    fn revocations(&mut self, after: u64, most: usize) -> Result<Vec<Entry>> {
        let parameters = params![number(after), number(most as u64)];
        self.revocations.query_map(parameters, entry)?.collect()
    }
}

fn listed(row: &Found<'_>) -> Result<Listed> {
    Ok(Listed {
        id: SessionId::from_bytes(row.get(0)?),
        start: timestamp(row, 1)?,
        seen: timestamp(row, 2)?,
        exp: timestamp(row, 3)?,
        bytes: unsigned(row, 4)?,
    })
}

fn entry(row: &Found<'_>) -> Result<Entry> {
    let what = match row.get(1)? {
        0 => Revoked::Session(SessionId::from_bytes(row.get(2)?)),
        1 => Revoked::Subject(SubjectHash::from_bytes(row.get(2)?)),
        2 => Revoked::All,
        3 => {
            let both: [u8; 32] = row.get(2)?;
            let (subject, except) = both.split_at(16);
            let half = |half: &[u8]| half.first_chunk().copied().unwrap_or_default();
            Revoked::Others {
                subject: SubjectHash::from_bytes(half(subject)),
                except: SessionId::from_bytes(half(except)),
            }
        }
        // An error, not skipped: a revocation must not be lost.
        other => return Err(FromSqlError::OutOfRange(other).into()),
    };
    let revocation = Revocation { what, before: timestamp(row, 3)?, until: timestamp(row, 4)? };
    Ok(Entry { seq: unsigned(row, 0)?, revocation })
}
