//! Files that are replaced while they are read, in every way that operators use.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::thread;

use tempfile::TempDir;

/// How a file gets a new content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A new file is renamed over the old one.
    Rename,
    /// The file is overwritten in place.
    InPlace,
    /// The file is a symlink, and a new link is renamed over it.
    Symlink,
    /// Every file is a symlink through the symlinked folder `..data`, which is replaced: all files
    /// change at once, as in a Secret or ConfigMap.
    Data,
}

impl Way {
    const ALL: [Self; 4] = [Self::Rename, Self::InPlace, Self::Symlink, Self::Data];

    /// Tests every way, in parallel because most of the time is spent waiting.
    pub fn each(test: impl Fn(Self) + Sync) {
        thread::scope(|scope| {
            for way in Self::ALL {
                let test = &test;
                scope.spawn(move || test(way));
            }
        });
    }
}

/// A folder of files.
pub struct Volume {
    way: Way,
    folder: TempDir,
    version: u32,
}

impl Volume {
    pub fn new(way: Way) -> Self {
        Self { way, folder: tempfile::tempdir().unwrap(), version: 0 }
    }

    /// A volume of one file.
    pub fn of(way: Way, name: &str, contents: &str) -> Self {
        let mut volume = Self::new(way);
        volume.put(&[(name, contents)]);
        volume
    }

    /// The path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path of a file for a configuration.
    pub fn name(&self, name: &str) -> String {
        self.path(name).to_str().expect("a path in UTF-8").to_owned()
    }

    /// Writes or replaces these files. With [`Way::Data`], all other files are removed.
    pub fn put(&mut self, files: &[(&str, &str)]) {
        self.version += 1;
        let version = self.version;
        match self.way {
            Way::InPlace => {
                for (name, contents) in files {
                    fs::write(self.path(name), contents).unwrap();
                }
            }
            Way::Rename => {
                for (name, contents) in files {
                    let new = self.path(&format!("{name}.new"));
                    fs::write(&new, contents).unwrap();
                    fs::rename(new, self.path(name)).unwrap();
                }
            }
            Way::Symlink => {
                for (name, contents) in files {
                    let target = format!("{name}.{version}");
                    fs::write(self.path(&target), contents).unwrap();
                    self.link(&target, name);
                }
            }
            Way::Data => {
                let next = format!("..{version}");
                fs::create_dir(self.path(&next)).unwrap();
                for (name, contents) in files {
                    fs::write(self.path(&next).join(name), contents).unwrap();
                }
                let last = fs::read_link(self.path("..data"));
                self.link(&next, "..data");
                if let Ok(last) = last {
                    fs::remove_dir_all(self.folder.path().join(last)).unwrap();
                }
                for (name, _) in files {
                    if fs::symlink_metadata(self.path(name)).is_err() {
                        symlink(format!("..data/{name}"), self.path(name)).unwrap();
                    }
                }
            }
        }
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn link(&self, target: &str, name: &str) {
        let new = self.path(&format!("{name}.link"));
        symlink(target, &new).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }
}
