//! A new key in a file of its own, for a configuration that is still to be written.

use std::path::{Path, PathBuf};

use crate::cli::key_folder::Folder;
use crate::cli::keygen::{KeyFiles, KeyText, KeygenError, encoding, public_path};
use crate::keys::Algorithm;
use crate::keys::source::SecretEncoding;

/// A key file, and that of its public half; gone with this value unless it is kept.
pub(super) struct FreshKey {
    pub(super) path: PathBuf,
    algorithm: Algorithm,
    files: KeyFiles,
    old: Old,
}

/// What was found in the place of the old key's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Old {
    /// Nothing to go by.
    Nothing,
    /// A file that its owner alone can read.
    Private,
    /// A file that others can read, too.
    Shared,
    /// A symlink or the like. Who made it may have meant anybody's file, so it says nothing.
    NoFile,
}

impl FreshKey {
    /// Makes a key and writes it. Whoever has the old key's file gets the new one's, where we may
    /// give it away: the sidecar has to read it.
    pub(super) fn write(
        path: PathBuf,
        algorithm: Algorithm,
        old: Option<&Path>,
    ) -> Result<Self, KeygenError> {
        let files = KeyText::new(algorithm)?.write(&path)?;
        let found = old.and_then(|old| {
            if old.parent() == path.parent() {
                return files.look_beside(old.file_name()?).ok();
            }
            let (folder, name) = Folder::of(old).ok()?;
            folder.look(&name).ok()
        });
        let old = match found {
            None => Old::Nothing,
            Some(found) if !found.is_file() => Old::NoFile,
            Some(found) => {
                let (user, group) = found.owner();
                files.give_to(user, group);
                if found.is_shared() { Old::Shared } else { Old::Private }
            }
        };
        Ok(Self { path, algorithm, files, old })
    }

    /// What was found in the place of the old key's file.
    pub(super) fn old(&self) -> Old {
        self.old
    }

    /// What stands in its `[[keys]]`.
    pub(super) fn entries<'a>(&self, id: &'a str, path: &'a str) -> Vec<(&'static str, &'a str)> {
        let key = if self.is_pair() { "private_key_file" } else { "secret_file" };
        let mut entries = vec![("id", id), ("algorithm", self.algorithm.name()), (key, path)];
        match encoding(self.algorithm) {
            SecretEncoding::Base64 => entries.push(("secret_encoding", "base64")),
            SecretEncoding::Hex => entries.push(("secret_encoding", "hex")),
            SecretEncoding::Utf8 => {}
        }
        entries
    }

    /// Leaves the files where they are.
    pub(super) fn keep(self) {
        self.files.keep();
    }

    /// The file with the public half.
    pub(super) fn public(&self) -> Option<PathBuf> {
        self.is_pair().then(|| public_path(&self.path))
    }

    fn is_pair(&self) -> bool {
        !self.algorithm.takes_a_secret()
    }
}
