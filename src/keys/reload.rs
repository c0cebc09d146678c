//! Detects changed files: written in place, replaced by rename, or reached by a symlink that now
//! points elsewhere, which is how Kubernetes and Docker replace secrets.
//!
//! It polls, because that works on every file system and mount, unlike notifications.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// Files, and their state at the last check.
#[derive(Debug)]
pub struct Watch {
    files: Vec<(PathBuf, Option<Look>)>,
}

/// What changes when a file's content or identity changes. A file that cannot be read has no
/// `Look`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Watch {
    /// Records the current state of the files.
    #[must_use]
    pub fn new(files: Vec<PathBuf>) -> Self {
        let mut watch = Self { files: Vec::new() };
        watch.add(files);
        watch
    }

    /// Adds files.
    pub fn add(&mut self, files: Vec<PathBuf>) {
        self.files.extend(files.into_iter().map(|file| {
            let look = Look::at(&file);
            (file, look)
        }));
    }

    /// Whether a file has changed since the last check.
    pub fn has_changed(&mut self) -> bool {
        let mut any = false;
        for (file, last) in &mut self.files {
            let look = Look::at(file);
            any |= look != *last;
            *last = look;
        }
        any
    }
}

impl Look {
    fn at(file: &PathBuf) -> Option<Self> {
        // Follows all symlinks.
        let metadata = std::fs::metadata(file).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_way_to_replace_a_file_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let mut watch = Watch::new(vec![file.clone()]);
        let mut seen = |what: &str, expected| {
            assert_eq!(watch.has_changed(), expected, "{what}");
            assert!(!watch.has_changed(), "{what}, once more");
        };
        seen("nothing", false);
        fs::write(&file, "a").unwrap();
        seen("created", true);
        fs::write(&file, "bb").unwrap();
        seen("written in place", true);
        let other = folder.path().join("other");
        fs::write(&other, "cc").unwrap();
        fs::rename(&other, &file).unwrap();
        seen("replaced by rename", true);
        fs::remove_file(&file).unwrap();
        seen("removed", true);
    }

    /// `key -> ..data/key`, `..data -> ..1`, as in a Secret volume of Kubernetes.
    #[test]
    fn the_swap_of_a_symlinked_folder_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["..1", "..2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("key"), "same size").unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/key", at("key")).unwrap();
        let mut watch = Watch::new(vec![at("key")]);
        assert!(!watch.has_changed());
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert!(watch.has_changed());
    }
}
