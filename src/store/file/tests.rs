#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use std::path::PathBuf;

use tempfile::TempDir;

use super::super::operation::{Revoked, Row};
use super::*;

mod changes;
mod opening;
mod sharing;
mod trouble;

/// Long after all sessions that the tests let expire, so that a test decides when expiry runs.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const PATIENCE: Duration = Duration::from_secs(5);

struct Fixture {
    store: FileStore,
    path: PathBuf,
    _folder: TempDir,
}

fn options(timeout: Duration) -> Options {
    // A clock at 1970: no background expiry.
    Options { timeout, clock: || Timestamp::from_secs(0) }
}

fn fixture() -> Fixture {
    fixture_with(options(PATIENCE))
}

fn fixture_with(options: Options) -> Fixture {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sessions.db");
    Fixture { store: FileStore::open(&path, options).unwrap(), path, _folder: folder }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

impl Fixture {
    fn apply(&self, change: Change) -> Applied {
        self.apply_at(change, NOW)
    }

    fn apply_at(&self, change: Change, now: Timestamp) -> Applied {
        wait(self.store.apply(change, now)).unwrap()
    }

    fn load(&self, byte: u8) -> Loaded {
        self.load_at(byte, NOW)
    }

    fn load_at(&self, byte: u8, now: Timestamp) -> Loaded {
        wait(self.store.load(id(byte), now)).unwrap()
    }

    /// The number of rows in the file.
    fn rows(&self) -> i64 {
        let direct = rusqlite::Connection::open(&self.path).unwrap();
        direct.query_row("SELECT count(*) FROM session", [], |row| row.get(0)).unwrap()
    }
}

fn id(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

fn subject(name: &str) -> SubjectHash {
    SubjectHash::of_text(name.as_bytes())
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// A session without a user that lasts for 100 seconds.
fn row(rev: u64, data: &str) -> Row {
    Row { rev, start: NOW, seen: NOW, exp: later(100), subject: None, data: data.into() }
}

fn row_of(name: &str) -> Row {
    Row { subject: Some(subject(name)), ..row(1, name) }
}

fn create(byte: u8, row: Row) -> Change {
    Change::Create { id: id(byte), row }
}

fn save(byte: u8, expected: u64, row: Row) -> Change {
    Change::Save { id: id(byte), expected, row }
}

fn renew(old: u8, expected: u64, new: u8, row: Row) -> Change {
    Change::Renew { old: id(old), expected, id: id(new), row }
}

fn delete(byte: u8) -> Change {
    Change::Delete { id: id(byte) }
}

const DONE: Applied = Applied::done(0);

fn ended(ended: u64) -> Applied {
    Applied::done(ended)
}
