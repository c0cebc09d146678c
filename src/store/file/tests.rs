#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use std::path::PathBuf;

use tempfile::TempDir;

use super::super::operation::{Revoked, Row};
use super::super::samples::{
    DONE, NOW, create, delete, ended, id, later, numbered, renew, row, row_of, save, subject,
};
use super::*;

mod changes;
mod opening;
mod sharing;
mod trouble;

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
