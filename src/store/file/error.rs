//! Why a session file cannot be used, and what to do about it.

use std::fmt;
use std::path::PathBuf;

/// A session file that cannot be opened.
#[derive(Debug)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// The reason.
    pub reason: Reason,
}

/// Why a session file cannot be opened.
#[derive(Debug)]
pub enum Reason {
    /// Its directory does not exist.
    NoFolder,
    /// Its directory is writable by everybody.
    OpenFolder,
    /// Its directory is on a network file system of this type.
    Network(&'static str),
    /// It is not a regular file.
    NotAFile,
    /// It contains other data.
    NotSessions,
    /// A later version of cloakroom wrote it.
    Newer {
        /// Its layout version.
        found: i64,
        /// The latest version that this program supports.
        known: i64,
    },
    /// It is incomplete or damaged.
    Damaged,
    /// It is read-only.
    ReadOnly,
    /// The disk is too full to open it.
    Full,
    /// Another process has locked it.
    Locked,
    /// SQLite cannot use a write-ahead log there.
    NoLog,
    /// An error of the operating system.
    Io(std::io::Error),
    /// An error of SQLite.
    Sqlite(rusqlite::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session file {}: ", self.path.display())?;
        match &self.reason {
            Reason::NoFolder => {
                f.write_str("its directory does not exist: create it, owned by cloakroom's user")
            }
            Reason::OpenFolder => f.write_str(
                "everybody can write to its directory and replace it: use a directory of cloakroom's own",
            ),
            Reason::Network(kind) => write!(
                f,
                "its directory is on a network file system ({kind}), on which a file cannot be shared safely: use a local disk"
            ),
            Reason::NotAFile => f.write_str("not a file: name one in store.url"),
            Reason::NotSessions => f.write_str(
                "not a session file of cloakroom's: name another one in store.url, or remove it",
            ),
            Reason::Newer { found, known } => write!(
                f,
                "written by a later version of cloakroom (layout {found}, this one knows {known}): \
                 run that version, or name another file in store.url"
            ),
            Reason::Damaged => f.write_str(
                "damaged: restore it from a backup, or remove it, which ends all sessions",
            ),
            Reason::ReadOnly => {
                f.write_str("cannot be written: make it and its directory writable for cloakroom")
            }
            Reason::Full => f.write_str("disk full: free some space"),
            Reason::Locked => f.write_str(
                "locked by another process: stop that process, or name another file in \
                 store.url",
            ),
            Reason::NoLog => {
                f.write_str("its file system has no memory that processes share: use a local disk")
            }
            Reason::Io(error) => write!(f, "{error}"),
            Reason::Sqlite(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for FileError {}
