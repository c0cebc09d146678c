//! A new key in its own file, for a configuration that will be written afterwards.

use std::path::{Path, PathBuf};

use crate::cli::key_folder::Folder;
use crate::cli::keygen::{KeyFiles, KeyText, KeygenError, encoding, public_path};
use crate::keys::Algorithm;
use crate::keys::source::SecretEncoding;

/// The files of a new key. Removed on drop, unless kept.
pub(super) struct FreshKey {
    pub(super) path: PathBuf,
    algorithm: Algorithm,
    files: KeyFiles,
    old: Old,
}

/// The state of the old key's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Old {
    /// There is no old file.
    Nothing,
    /// A file that only its owner can read.
    Private,
    /// A file that others can read too.
    Shared,
    /// Not a regular file, such as a symlink; its owner is not trusted.
    NoFile,
}

impl FreshKey {
    /// Makes a key and writes it. Its file gets the owner of the old key's file, if allowed,
    /// because the sidecar must be able to read it.
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

    /// The state of the old key's file.
    pub(super) fn old(&self) -> Old {
        self.old
    }

    /// The entries of its `[[keys]]`.
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

    /// Keeps the files.
    pub(super) fn keep(self) {
        self.files.keep();
    }

    /// The file of the public key.
    pub(super) fn public(&self) -> Option<PathBuf> {
        self.is_pair().then(|| public_path(&self.path))
    }

    fn is_pair(&self) -> bool {
        !self.algorithm.takes_a_secret()
    }
}
