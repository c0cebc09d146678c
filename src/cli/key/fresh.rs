//! A new key in a file of its own, for a configuration that is still to be written.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::PathBuf;

use crate::cli::keygen::{KeyText, public_path};
use crate::keys::{Algorithm, Family};

/// A key file, and that of its public half; gone with this value unless it is kept.
pub(super) struct FreshKey {
    pub(super) path: PathBuf,
    algorithm: Algorithm,
    kept: bool,
}

impl FreshKey {
    /// Makes a key and writes it. Whoever has the old key's file gets the new one's, where we may
    /// give it away: the sidecar has to read it.
    pub(super) fn write(
        path: PathBuf,
        algorithm: Algorithm,
        old: Option<&Metadata>,
    ) -> Result<Self, String> {
        KeyText::new(algorithm)?.write(&path)?;
        let key = Self { path, algorithm, kept: false };
        if let Some(old) = old {
            for file in key.files() {
                // Only root may; where others run this, they run the sidecar, too.
                let _ = chown(file, Some(old.uid()), Some(old.gid()));
            }
        }
        Ok(key)
    }

    /// What stands in its `[[keys]]`.
    pub(super) fn entries<'a>(&self, id: &'a str, path: &'a str) -> [(&'static str, &'a str); 3] {
        let key = if self.is_pair() { "private_key_file" } else { "secret_file" };
        [("id", id), ("algorithm", self.algorithm.name()), (key, path)]
    }

    /// Leaves the files where they are.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }

    /// The file with the public half.
    pub(super) fn public(&self) -> Option<PathBuf> {
        self.is_pair().then(|| public_path(&self.path))
    }

    fn is_pair(&self) -> bool {
        self.algorithm.family() != Family::Hmac
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        [self.path.clone()].into_iter().chain(self.public())
    }
}

impl Drop for FreshKey {
    fn drop(&mut self) {
        if !self.kept {
            // What went wrong before is what counts.
            self.files().for_each(|file| drop(fs::remove_file(file)));
        }
    }
}
