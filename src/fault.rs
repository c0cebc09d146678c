//! An error in a configuration, with its position.

use std::fmt;
use std::path::{Path, PathBuf};

/// One fault: `cloakroom.toml:12: cookie.same_site = "none" needs cookie.secure = true`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, or the command-line flag that overrides it.
    pub file: PathBuf,
    /// The line, from 1; 0 for a flag.
    pub line: usize,
    /// The message: the key, the value, what was expected, what to do.
    pub message: String,
}

impl Fault {
    /// A fault on a line of a file.
    pub fn new(file: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, message: message.into() }
    }

    /// A fault of a command-line flag: `--listen "8080": expected …`.
    pub fn of_flag(flag: &str, message: impl Into<String>) -> Self {
        Self::new(Path::new(flag), 0, message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{} {}", self.file.display(), self.message),
            line => write!(f, "{}:{line}: {}", self.file.display(), self.message),
        }
    }
}
