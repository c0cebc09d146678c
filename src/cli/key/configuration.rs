//! The configuration to change: valid before and after, and replaced atomically or not at all.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use super::edit::EditError;
use crate::cli::Failure;
use crate::cli::key_folder::Folder;
use crate::config::Config;
use crate::config::file::{self, Overrides};
use crate::fault::Fault;
use crate::keys::source::{self, KeySpec};
use crate::keys::{Key, KeyIndex, KeyRing};

/// A valid configuration with its text.
pub(super) struct Configuration {
    /// The path as the operator gave it.
    pub(super) path: PathBuf,
    pub(super) config: Config,
    text: String,
    keys: KeyRing,
}

impl Configuration {
    /// Reads the file and its keys. Other files are not read: a fault in them must not prevent the
    /// removal of a leaked key.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let unreadable = |error: io::Error| {
            let fault = Fault::new(path, 1, format!("cannot be read: {error}"));
            Failure::Configuration(vec![fault])
        };
        Self::parse(fs::read_to_string(path).map_err(unreadable)?, path)
    }

    fn parse(text: String, path: &Path) -> Result<Self, Failure> {
        // The sidecar may get these from its command line instead of the file.
        let overrides = Overrides {
            listen: vec!["127.0.0.1:0".into()],
            backend: Some("http://127.0.0.1:5000".into()),
        };
        let config = file::parse(&text, path, &overrides).map_err(Failure::Configuration)?.config;
        let keys = source::load(&config.keys, path).map_err(Failure::Configuration)?;
        Ok(Self { path: path.to_owned(), config, text, keys })
    }

    /// Each key with its configuration, and its name in metrics and logs.
    pub(super) fn keys(&self) -> impl Iterator<Item = (String, &KeySpec, &Key)> {
        let loaded = self.keys.iter().map(|(index, key)| (self.keys.label(index), key));
        self.config.keys.iter().zip(loaded).map(|(spec, (label, key))| (label, spec, key))
    }

    /// The indexes, from 0, of the first key and its duplicates: the same file, the same secret, or
    /// its public key.
    pub(super) fn same_as_first(&self) -> Vec<usize> {
        let mut keys = self.keys().map(|(_, spec, key)| (spec, key));
        let Some((first, signing)) = keys.next() else { return Vec::new() };
        let files: Vec<PathBuf> = first.files().collect();
        let is_same = |(spec, key): (&KeySpec, &Key)| {
            signing.is_pair_of(key) || spec.files().any(|file| files.contains(&file))
        };
        let others = keys.enumerate().filter(|(_, other)| is_same(*other));
        std::iter::once(0).chain(others.map(|(index, _)| index + 1)).collect()
    }

    /// The name in metrics and logs of the key at an index from 0.
    pub(super) fn label(&self, index: usize) -> String {
        self.keys.label(KeyIndex(index))
    }

    /// Changes the text. Writes it only if the result is valid.
    pub(super) fn change(
        &self,
        edit: impl FnOnce(&str) -> Result<String, EditError>,
    ) -> Result<Self, Failure> {
        let path = self.path.display();
        let text = edit(&self.text).map_err(|error| Failure::Usage(format!("{path}: {error}")))?;
        let changed = Self::parse(text, &self.path)?;
        self.replace(&changed.text)
            .map_err(|error| Failure::Runtime(format!("{path}: not changed: {error}")))?;
        Ok(changed)
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        // Replace the target of a symlink, not the symlink.
        let path = fs::canonicalize(&self.path)?;
        let (folder, name) = Folder::of(&path)?;
        let mut old = folder.open(&name)?;
        let metadata = old.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut content = Vec::new();
        old.read_to_end(&mut content)?;
        if content != self.text.as_bytes() {
            return Err(io::Error::other("another process has just changed it; try again"));
        }
        let mut temporary = OsString::from(".");
        temporary.push(&name);
        temporary.push(format!(".{}", std::process::id()));
        let new = folder.create(&temporary, 0o600)?;
        fill(new, text, &metadata).and_then(|()| folder.rename(&temporary, &name)).inspect_err(
            |_| {
                // An earlier error is more useful than this one.
                let _ = folder.remove(&temporary);
            },
        )?;
        // The change is in effect already; an error here can be ignored.
        let _ = folder.sync();
        Ok(())
    }
}

/// Writes the text with the mode and owner of the old file.
fn fill(mut new: File, text: &str, old: &Metadata) -> io::Result<()> {
    new.write_all(text.as_bytes())?;
    // Only root may change the owner.
    let _ = fchown(&new, Some(old.uid()), Some(old.gid()));
    new.set_permissions(old.permissions())?;
    new.sync_all()
}
