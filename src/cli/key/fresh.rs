//! A new key in a file of its own, for a configuration that is still to be written.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::cli::keygen::{KeyFiles, KeyText, public_path};
use crate::keys::{Algorithm, Family};

/// A key file, and that of its public half; gone with this value unless it is kept.
pub(super) struct FreshKey {
    pub(super) path: PathBuf,
    algorithm: Algorithm,
    files: KeyFiles,
}

impl FreshKey {
    /// Makes a key and writes it. Whoever has the old key's file gets the new one's, where we may
    /// give it away: the sidecar has to read it.
    pub(super) fn write(
        path: PathBuf,
        algorithm: Algorithm,
        old: Option<&Metadata>,
    ) -> Result<Self, String> {
        let files = KeyText::new(algorithm)?.write(&path)?;
        if let Some(old) = old {
            files.give_to(old.uid(), old.gid());
        }
        Ok(Self { path, algorithm, files })
    }

    /// What stands in its `[[keys]]`.
    pub(super) fn entries<'a>(&self, id: &'a str, path: &'a str) -> [(&'static str, &'a str); 3] {
        let key = if self.is_pair() { "private_key_file" } else { "secret_file" };
        [("id", id), ("algorithm", self.algorithm.name()), (key, path)]
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
        self.algorithm.family() != Family::Hmac
    }
}
