//! The tables of a session file, and the settings of its connections.

use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::error::Reason;
use super::place::Location;

/// Marks a file as one of cloakroom: "cloa" in ASCII.
const APPLICATION: i64 = 0x636C_6F61;

/// The layout version that is written. A later one is refused and not modified.
pub(super) const LAYOUT: i64 = 1;

/// How long opening waits for other processes.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause between attempts to open a file.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// The length of the log in pages at which the writer itself writes it back to the file: 4 MB, SQLite's
/// default.
const LOG_PAGES: i64 = 1000;
const PAGE_BYTES: i64 = 4096;

/// The part of the reserved disk space that the log may use. Writing it back may grow the file by
/// as much, in addition to transactions in progress.
const LOG_PART: i64 = 4;

/// `k` is the last 63 bits of the id: a session is found without a separate index of ids.
///
/// A session with a new id has `next`, the new id, and `until`, the time until which the old one
/// can be read. Its row stays a while longer, so that a log-out under the old id finds the session.
/// Times are in milliseconds since 1970.
const SESSIONS: &str = "
CREATE TABLE session(
    k     INTEGER PRIMARY KEY,
    id    BLOB NOT NULL,
    rev   INTEGER NOT NULL,
    start INTEGER NOT NULL,
    seen  INTEGER NOT NULL,
    exp   INTEGER NOT NULL,
    sub   BLOB,
    next  BLOB,
    until INTEGER,
    data  BLOB NOT NULL
) STRICT;
CREATE INDEX session_exp# ON session(exp);
CREATE INDEX session_sub# ON session(sub) WHERE sub IS NOT NULL;
CREATE INDEX session_next# ON session(next) WHERE next IS NOT NULL;
";

const REVOCATIONS: &str = "
CREATE TABLE revoked(
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      INTEGER NOT NULL,
    what      BLOB,
    before_ms INTEGER NOT NULL,
    until     INTEGER NOT NULL
) STRICT;
CREATE INDEX revoked_until ON revoked(until);
";

/// The table of sessions. `number` makes the names of its indexes unique.
fn sessions(number: u64) -> String {
    SESSIONS.replace('#', &number.to_string())
}

/// Renames the table of all sessions, for the expiry to remove in steps, and creates an empty one.
/// Removing many at once would block all other writes. `number` must not have been used before.
pub(super) fn put_aside(connection: &Connection, number: u64) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("ALTER TABLE session RENAME TO ended_{number}"))?;
    connection.execute_batch(&sessions(number))
}

/// The name of a table that was put aside, if there is one.
pub(super) const ASIDE: &str =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'ended_[0-9]*' LIMIT 1";

/// A connection for writing. Creates the tables in an empty file.
pub(super) fn open_to_write(place: &Location) -> Result<Connection, Reason> {
    patiently(|| prepare(place))
}

/// A connection for reading a file that already has a writer.
pub(super) fn open_to_read(place: &Location, patience: Duration) -> Result<Connection, Reason> {
    let connection = patiently(|| {
        let connection = connect(place)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    })?;
    connection.busy_timeout(patience)?;
    Ok(connection)
}

/// Tries again while other processes have the file locked. SQLite itself does not wait where two
/// could wait for each other, such as for a change of the journal mode.
///
/// <https://www.sqlite.org/c3ref/busy_handler.html>
pub(super) fn patiently<T>(open: impl Fn() -> Result<T, Reason>) -> Result<T, Reason> {
    let begun = Instant::now();
    loop {
        match open() {
            Err(Reason::Locked) if begun.elapsed() < PATIENCE => std::thread::sleep(TRY_AGAIN),
            other => return other,
        }
    }
}

/// One attempt at [`open_to_write`].
pub(super) fn prepare(place: &Location) -> Result<Connection, Reason> {
    let mut connection = connect(place)?;
    if connection.is_readonly("main")? {
        return Err(Reason::ReadOnly);
    }
    // Checked before any change, and in one look: another process may be creating the tables, and what
    // is read before and after that does not fit together.
    let look = connection.transaction()?;
    let is_made = has_tables(&look)?;
    look.commit()?;
    if !is_made {
        let creation = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have created them meanwhile.
        if !has_tables(&creation)? {
            creation.execute_batch(&sessions(0))?;
            creation.execute_batch(REVOCATIONS)?;
            creation.pragma_update(None, "application_id", APPLICATION)?;
            creation.pragma_update(None, "user_version", LAYOUT)?;
        }
        creation.commit()?;
    }
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Reason::NoLog);
    }
    let reserve = place.room().and_then(|room| i64::try_from(room.reserve()).ok());
    let pages =
        reserve.map_or(LOG_PAGES, |reserve| (reserve / LOG_PART / PAGE_BYTES).clamp(1, LOG_PAGES));
    let set = |name, value: i64| connection.pragma_update_and_check(None, name, value, |_| Ok(()));
    // Only if the thread for this does not keep up.
    set("wal_autocheckpoint", pages)?;
    // The size to which the log is truncated after it has grown.
    set("journal_size_limit", pages * PAGE_BYTES)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // From here on the writer itself waits for the lock: SQLite would sleep for up to 100 ms.
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

fn connect(place: &Location) -> Result<Connection, Reason> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(place.path(), flags)?;
    connection.busy_timeout(PATIENCE)?;
    // The file is untrusted data: run no code from it, and check its pages.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Whether the file has the tables of this version. False if it is empty.
fn has_tables(connection: &Connection) -> Result<bool, Reason> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, layout) = (number("application_id")?, number("user_version")?);
    match (application, layout) {
        (APPLICATION, LAYOUT) => Ok(true),
        (APPLICATION, found) if found > LAYOUT => Err(Reason::Newer { found, known: LAYOUT }),
        (0, 0) => {
            let count = "SELECT count(*) FROM sqlite_schema";
            let tables: i64 = connection.query_row(count, [], |row| row.get(0))?;
            if tables == 0 { Ok(false) } else { Err(Reason::NotSessions) }
        }
        _ => Err(Reason::NotSessions),
    }
}

/// Whether a file that starts with these bytes can be of this version. The bytes are from the last
/// time the log was written back, so a new file does not have them yet.
///
/// <https://www.sqlite.org/fileformat.html#the_database_header>
pub(super) fn judge_head(head: &[u8; 100]) -> Result<(), Reason> {
    if !head.starts_with(b"SQLite format 3\0") {
        return Err(Reason::NotSessions);
    }
    let number = |at: usize| {
        let bytes = head.get(at..).and_then(<[u8]>::first_chunk).copied();
        bytes.map_or(0, |bytes| i64::from(i32::from_be_bytes(bytes)))
    };
    match (number(68), number(60)) {
        (APPLICATION, found) if found > LAYOUT => Err(Reason::Newer { found, known: LAYOUT }),
        (APPLICATION, _) | (0, 0) => Ok(()),
        _ => Err(Reason::NotSessions),
    }
}

impl From<rusqlite::Error> for Reason {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotSessions,
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly
            }
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            _ => Self::Sqlite(error),
        }
    }
}
