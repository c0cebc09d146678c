//! The id and the file name of a new key.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{ConfigArgs, keygen};
use crate::keys::Algorithm;
use crate::keys::source::{KeySpec, Source};
use crate::time::Timestamp;

/// A key that is to be made.
#[derive(Args, Debug)]
pub(super) struct NewKey {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// The key's algorithm [default: that of the first key]
    #[arg(long, value_name = "NAME", value_parser = keygen::algorithm)]
    pub(super) algorithm: Option<Algorithm>,
    /// The key's id, which is the kid of its tokens [default: today's date]
    #[arg(long, value_parser = id)]
    pub(super) id: Option<String>,
    /// The directory for its file [default: that of the first key's file]
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) dir: Option<PathBuf>,
}

/// The id and the file of a new key.
pub(super) fn of_new_key(
    new: &NewKey,
    first: Option<&KeySpec>,
    now: Timestamp,
    taken: impl Fn(&str) -> bool,
) -> Result<(String, PathBuf), NameError> {
    let old = first.and_then(|key| key.files().next());
    let directory = match (&new.dir, old.as_deref().and_then(Path::parent)) {
        // Absolute, for a sidecar with another working directory.
        (Some(directory), _) => std::path::absolute(directory)
            .map_err(|error| NameError::Directory { path: directory.clone(), error })?,
        (None, Some(directory)) => directory.to_owned(),
        (None, None) => {
            let source = first.map(|key| &key.source);
            return Err(NameError::NoDirectory {
                is_variable: matches!(source, Some(Source::Env(_))),
            });
        }
    };
    let old_id = first.and_then(|key| key.id.as_deref());
    let file = |id: &str| directory.join(file_name(old.as_deref(), old_id, id));
    let id = match &new.id {
        Some(id) if taken(id) => return Err(NameError::Taken { id: id.clone() }),
        Some(id) => id.clone(),
        None => {
            let exists = |path: &Path| path.symlink_metadata().is_ok();
            let free = |id: &String| {
                let path = file(id);
                !taken(id) && !exists(&path) && !exists(&keygen::public_path(&path))
            };
            let date = now.to_rfc3339()[..DATE].to_owned();
            let numbered = (2..1000).map(|number| format!("{date}-{number}"));
            let mut ids = [date.clone()].into_iter().chain(numbered);
            ids.find(free).ok_or(NameError::ManyOf { date })?
        }
    };
    let path = file(&id);
    Ok((id, path))
}

/// The length of a date in RFC 3339.
const DATE: usize = "2026-11-23".len();

/// The old name with the old id replaced by the new one, or with the new one added: `session_key`
/// becomes `session_key-2026-11-23`, and `session-a.pem` of the key `a` `session-2026-11-23.pem`.
fn file_name(old: Option<&Path>, old_id: Option<&str>, id: &str) -> String {
    let name = old.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| "session_key".into());
    let without_id = |name: &str| {
        let base = name.strip_suffix(old_id?)?.strip_suffix('-')?;
        Some(base.to_owned())
    };
    if let Some(base) = without_id(&name) {
        return format!("{base}-{id}");
    }
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => {
            let base = without_id(stem).unwrap_or_else(|| stem.to_owned());
            format!("{base}-{id}.{extension}")
        }
        _ => format!("{name}-{id}"),
    }
}

/// An id that is valid in a file name.
pub(super) fn id(text: &str) -> Result<String, NoId> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(NoId)
    }
}

/// The text cannot be an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoId;

impl fmt::Display for NoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected up to 64 letters, digits, \"-\", \"_\" and \".\"")
    }
}

impl std::error::Error for NoId {}

/// Why a new key has no name or directory.
#[derive(Debug)]
pub(super) enum NameError {
    /// `--dir` is relative, and the working directory is unknown.
    Directory { path: PathBuf, error: std::io::Error },
    /// There is no old file whose directory could be used.
    NoDirectory {
        /// Whether the first key is in an environment variable, not in the configuration.
        is_variable: bool,
    },
    /// The `--id` is a duplicate.
    Taken { id: String },
    /// All ids for this date are in use.
    ManyOf { date: String },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { path, error } => write!(f, "--dir {}: {error}", path.display()),
            Self::NoDirectory { is_variable } => {
                let source =
                    if *is_variable { "an environment variable" } else { "the configuration" };
                write!(
                    f,
                    "the first key is in {source}: say with --dir DIRECTORY where to put the new \
                     one's file"
                )
            }
            Self::Taken { id } => write!(f, "--id {id}: there is a key of this name"),
            Self::ManyOf { date } => write!(f, "too many keys of {date}: give one with --id"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_the_old_one_and_the_new_id() {
        for (old, old_id, expected) in [
            (None, None, "session_key-new"),
            (Some("/run/key"), None, "key-new"),
            (Some("/run/key-2026-11-23"), Some("2026-11-23"), "key-new"),
            (Some("/run/key-2026-11-23"), None, "key-2026-11-23-new"),
            (Some("key-v1.2"), Some("v1.2"), "key-new"),
            (Some("/run/key.pem"), None, "key-new.pem"),
            (Some("/run/key-a.pem"), Some("a"), "key-new.pem"),
            (Some("/run/.key"), None, ".key-new"),
            (Some("/run/a"), Some("a"), "a-new"),
        ] {
            assert_eq!(file_name(old.map(Path::new), old_id, "new"), expected, "{old:?}");
        }
    }

    #[test]
    fn an_id_can_stand_in_a_file_name() {
        assert_eq!(id("2026-11-23_a.b"), Ok("2026-11-23_a.b".into()));
        for text in ["", "a/b", "a b", "\u{e4}", &"x".repeat(65)] {
            assert!(id(text).is_err(), "{text}");
        }
    }
}
