//! How each change modifies the tables, within the writer's transaction.

use rusqlite::{Connection, OptionalExtension as _, Result, Row as Found, Statement, params};

use super::super::operation::{
    Applied, Change, LINKED, MOST_ENDED, REPLACED, Revocation, Revoked, Row,
};
use super::super::record::SubjectHash;
use super::schema;
use crate::session::lifetime::SessionId;
use crate::time::Timestamp;

/// How many rows one step of the expiry removes.
pub(super) const STEP: usize = 100;

/// How many sessions are removed at once when all of them end.
pub(super) const FEW: u64 = 200;

/// The columns of a row, in the order of [`read_row`].
pub(super) const COLUMNS: &str = "rev, start, seen, exp, sub, data, until";

/// An id as stored in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct RawId([u8; 16]);

impl RawId {
    /// None for an id that this program cannot have made.
    pub(super) fn of(id: &SessionId) -> Option<Self> {
        id.to_bytes().map(Self)
    }

    /// The primary key.
    pub(super) fn key(self) -> i64 {
        let last = self.0.last_chunk().map_or(0, |last| u64::from_be_bytes(*last));
        (last & (u64::MAX >> 1)).cast_signed()
    }

    pub(super) const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A time as stored in the file.
pub(super) fn moment(at: Timestamp) -> i64 {
    number(at.as_millis())
}

pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The time in a column.
pub(super) fn timestamp(row: &Found<'_>, column: usize) -> Result<Timestamp> {
    unsigned(row, column).map(Timestamp::from_millis)
}

pub(super) fn unsigned(row: &Found<'_>, column: usize) -> Result<u64> {
    row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or_default())
}

/// A row of [`COLUMNS`] and, for a replaced one, until when it can be read.
pub(super) fn read_row(row: &Found<'_>) -> Result<(Row, Option<Timestamp>)> {
    let until = row.get::<_, Option<i64>>(6)?;
    let subject: Option<[u8; 16]> = row.get(4)?;
    let read = Row {
        rev: unsigned(row, 0)?,
        start: timestamp(row, 1)?,
        seen: timestamp(row, 2)?,
        exp: timestamp(row, 3)?,
        subject: subject.map(SubjectHash::from_bytes),
        data: row.get(5)?,
    };
    Ok((read, until.map(|until| Timestamp::from_millis(u64::try_from(until).unwrap_or_default()))))
}

/// The prepared statements of a connection that writes.
pub(super) struct Statements<'c> {
    connection: &'c Connection,
    find: Statement<'c>,
    create: Statement<'c>,
    save: Statement<'c>,
    touch: Statement<'c>,
    replace: Statement<'c>,
    follow: Statement<'c>,
    delete: Statement<'c>,
    replaced_by: Statement<'c>,
    of_subject: Statement<'c>,
    revoke: Statement<'c>,
    aside: Statement<'c>,
    has_expired: Statement<'c>,
    expire: Statement<'c>,
    has_old_revocations: Statement<'c>,
    forget_revocations: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub(super) fn prepare(connection: &'c Connection) -> Result<Self> {
        let sql = |text: &str| connection.prepare(text);
        Ok(Self {
            connection,
            find: sql(&format!("SELECT {COLUMNS} FROM session WHERE k = ?1 AND id = ?2"))?,
            create: sql("INSERT INTO session(k, id, rev, start, seen, exp, sub, data) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING")?,
            save: sql("UPDATE session SET rev = ?5, seen = ?6, exp = ?7, sub = ?8, data = ?9 \
                       WHERE k = ?1 AND id = ?2 AND rev = ?3 AND exp > ?4 AND until IS NULL")?,
            touch: sql("UPDATE session SET exp = max(exp, ?4), seen = max(seen, ?5) \
                        WHERE k = ?1 AND id = ?2 AND exp > ?3 AND until IS NULL")?,
            replace: sql("UPDATE session SET next = ?5, until = min(exp, ?6), exp = ?7 \
                          WHERE k = ?1 AND id = ?2 AND rev = ?3 AND exp > ?4 AND until IS NULL")?,
            follow: sql("SELECT next FROM session WHERE k = ?1 AND id = ?2")?,
            delete: sql("DELETE FROM session WHERE k = ?1 AND id = ?2 \
                         RETURNING until IS NULL AND exp > ?3")?,
            replaced_by: sql("SELECT id FROM session WHERE next = ?1")?,
            of_subject: sql("SELECT id FROM session WHERE sub = ?1 AND id IS NOT ?2 LIMIT ?3")?,
            revoke: sql(
                "INSERT INTO revoked(kind, what, before_ms, until) VALUES (?1, ?2, ?3, ?4)",
            )?,
            aside: sql(schema::ASIDE)?,
            has_expired: sql("SELECT 1 FROM session WHERE exp <= ?1 LIMIT 1")?,
            expire: sql("DELETE FROM session WHERE k IN \
                         (SELECT k FROM session WHERE exp <= ?1 ORDER BY exp LIMIT ?2)")?,
            has_old_revocations: sql("SELECT 1 FROM revoked WHERE until <= ?1 LIMIT 1")?,
            forget_revocations: sql("DELETE FROM revoked WHERE seq IN \
                         (SELECT seq FROM revoked WHERE until <= ?1 ORDER BY until LIMIT ?2)")?,
        })
    }

    pub(super) fn apply(&mut self, change: &Change, now: Timestamp) -> Result<Applied> {
        match change {
            Change::Create { id, row } => match RawId::of(id) {
                Some(id) if self.create(id, row)? => Ok(Applied::done(0)),
                Some(id) => self.what_is_there(id, now),
                None => Ok(Applied::Gone),
            },
            Change::Save { id, expected, row } => match RawId::of(id) {
                Some(id) if self.save(id, *expected, row, now)? => Ok(Applied::done(0)),
                Some(id) => self.what_is_there(id, now),
                None => Ok(Applied::Gone),
            },
            Change::Touch { id, exp, seen } => match RawId::of(id) {
                Some(id) if self.touch(id, *exp, *seen, now)? => Ok(Applied::done(0)),
                _ => Ok(Applied::Gone),
            },
            Change::Delete { id } => {
                let ended = RawId::of(id).map_or(Ok(0), |id| self.end(id, true, now))?;
                Ok(Applied::done(ended))
            }
            Change::Renew { old, expected, id, row } => match (RawId::of(old), RawId::of(id)) {
                (Some(old), Some(id)) => self.renew(old, *expected, id, row, now),
                _ => Ok(Applied::Gone),
            },
            Change::EndSubject { subject, except } => {
                let except = except.as_ref().and_then(RawId::of);
                self.end_subject(subject, except, now)
            }
            Change::EndAll => {
                let ended = self.end_all(now)?;
                Ok(Applied::done(ended))
            }
        }
    }

    fn create(&mut self, id: RawId, row: &Row) -> Result<bool> {
        let created = self.create.execute(params![
            id.key(),
            id.bytes(),
            number(row.rev),
            moment(row.start),
            moment(row.seen),
            moment(row.exp),
            row.subject.as_ref().map(SubjectHash::as_bytes),
            row.data,
        ])?;
        Ok(created == 1)
    }

    fn save(&mut self, id: RawId, expected: u64, row: &Row, now: Timestamp) -> Result<bool> {
        // Never use a revision twice, whatever the caller asks for.
        if row.rev <= expected {
            return Ok(false);
        }
        let saved = self.save.execute(params![
            id.key(),
            id.bytes(),
            number(expected),
            moment(now),
            number(row.rev),
            moment(row.seen),
            moment(row.exp),
            row.subject.as_ref().map(SubjectHash::as_bytes),
            row.data,
        ])?;
        Ok(saved == 1)
    }

    fn touch(
        &mut self,
        id: RawId,
        exp: Timestamp,
        seen: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let (now, exp, seen) = (moment(now), moment(exp), moment(seen));
        let touched = self.touch.execute(params![id.key(), id.bytes(), now, exp, seen])?;
        Ok(touched == 1)
    }

    fn renew(
        &mut self,
        old: RawId,
        expected: u64,
        id: RawId,
        row: &Row,
        now: Timestamp,
    ) -> Result<Applied> {
        if !self.create(id, row)? {
            // The id is in use, so it is not new; keep the existing session.
            return Ok(Applied::Gone);
        }
        let replaced = self.replace.execute(params![
            old.key(),
            old.bytes(),
            number(expected),
            moment(now),
            id.bytes(),
            moment(now.plus(REPLACED)),
            moment(now.plus(LINKED)),
        ])?;
        if replaced == 1 {
            return Ok(Applied::done(0));
        }
        self.remove(id, now)?;
        self.what_is_there(old, now)
    }

    /// Why a write did not change anything.
    fn what_is_there(&mut self, id: RawId, now: Timestamp) -> Result<Applied> {
        let found = self.find.query_row(params![id.key(), id.bytes()], read_row).optional()?;
        Ok(match found {
            Some((row, None)) if row.exp > now => Applied::Conflict(row),
            _ => Applied::Gone,
        })
    }

    /// Ends a session under its earlier ids and, if asked, its later ones. Returns how many
    /// sessions ended; further ids of one session do not count.
    fn end(&mut self, id: RawId, and_later: bool, now: Timestamp) -> Result<u64> {
        let mut ended = 0;
        let mut earlier = vec![id];
        let mut next = if and_later { self.next(id)? } else { None };
        // Stops in a ring, which only another program can have written.
        while let Some(id) = next.filter(|id| !earlier.contains(id)) {
            next = self.next(id)?;
            earlier.push(id);
        }
        while let Some(id) = earlier.pop() {
            let rows = self.replaced_by.query_map([id.bytes()], |row| row.get(0).map(RawId))?;
            for row in rows {
                earlier.push(row?);
            }
            ended += u64::from(self.remove(id, now)?);
        }
        Ok(ended)
    }

    /// Removes a row. Returns whether it was a live session, not an expired or replaced one.
    fn remove(&mut self, id: RawId, now: Timestamp) -> Result<bool> {
        let parameters = params![id.key(), id.bytes(), moment(now)];
        let was_live = self.delete.query_row(parameters, |row| row.get(0)).optional()?;
        Ok(was_live == Some(true))
    }

    fn next(&mut self, id: RawId) -> Result<Option<RawId>> {
        let parameters = params![id.key(), id.bytes()];
        let next = self.follow.query_row(parameters, |row| row.get::<_, Option<[u8; 16]>>(0));
        Ok(next.optional()?.flatten().map(RawId))
    }

    /// One step: ends some of the sessions.
    fn end_subject(
        &mut self,
        subject: &SubjectHash,
        except: Option<RawId>,
        now: Timestamp,
    ) -> Result<Applied> {
        let except = except.as_ref().map(RawId::bytes);
        let parameters = params![subject.as_bytes(), except, number(MOST_ENDED as u64)];
        let ids = self.of_subject.query_map(parameters, |row| row.get(0).map(RawId))?;
        let ids: Vec<RawId> = ids.collect::<Result<_>>()?;
        let has_more = ids.len() == MOST_ENDED;
        let mut ended = 0;
        for id in ids {
            // After a log-in of another user, the later id belongs to that user.
            ended += self.end(id, false, now)?;
        }
        Ok(Applied::Done { ended, replicated: true, has_more })
    }

    /// Returns how many sessions ended, but counts no more than [`FEW`] and one: with very many this
    /// takes long.
    fn end_all(&self, now: Timestamp) -> Result<u64> {
        let count = "SELECT count(*) FROM (SELECT 1 FROM session LIMIT ?1)";
        let ended = self.connection.query_row(count, [number(FEW + 1)], |row| unsigned(row, 0))?;
        if ended > FEW {
            schema::put_aside(self.connection, now.as_millis())?;
        } else {
            self.connection.execute("DELETE FROM session", [])?;
        }
        Ok(ended)
    }

    /// Removes some of the rows that were put aside. True if there may be more.
    fn remove_aside(&mut self) -> Result<bool> {
        let name = self.aside.query_row([], |row| row.get::<_, String>(0)).optional()?;
        let Some(name) =
            name.filter(|name| name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()))
        else {
            return Ok(false);
        };
        let step = format!("DELETE FROM {name} WHERE k IN (SELECT k FROM {name} LIMIT {STEP})");
        if self.connection.execute(&step, [])? < STEP {
            self.connection.execute_batch(&format!("DROP TABLE {name}"))?;
        }
        Ok(true)
    }

    pub(super) fn revoke(&mut self, revocation: &Revocation) -> Result<()> {
        let (kind, what): (i64, Option<Vec<u8>>) = match &revocation.what {
            Revoked::Session(session) => {
                // No session can have any other id.
                let Some(id) = RawId::of(session) else { return Ok(()) };
                (0, Some(id.bytes().to_vec()))
            }
            Revoked::Subject(subject) => (1, Some(subject.as_bytes().to_vec())),
            Revoked::All => (2, None),
            Revoked::Others { subject, except } => match RawId::of(except) {
                Some(except) => (3, Some([*subject.as_bytes(), *except.bytes()].concat())),
                None => (1, Some(subject.as_bytes().to_vec())),
            },
        };
        let (before, until) = (moment(revocation.before), moment(revocation.until));
        self.revoke.execute(params![kind, what, before, until]).map(|_| ())
    }

    /// Whether any row has expired. Takes no lock that another writer waits for.
    pub(super) fn has_expired(&mut self, now: Timestamp) -> Result<bool> {
        Ok(self.has_expired.exists([moment(now)])?
            || self.has_old_revocations.exists([moment(now)])?
            || self.aside.exists([])?)
    }

    /// Removes some expired rows. True if there may be more.
    pub(super) fn expire(&mut self, now: Timestamp) -> Result<bool> {
        let limit = number(STEP as u64);
        let sessions = self.expire.execute(params![moment(now), limit])?;
        let revocations = self.forget_revocations.execute(params![moment(now), limit])?;
        let had_aside = self.remove_aside()?;
        Ok(sessions == STEP || revocations == STEP || had_aside)
    }
}
