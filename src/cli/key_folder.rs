//! A directory in which files are created, replaced and removed, opened once and used by its
//! descriptor. Its owner may be a different user than the one who runs the command (usually root),
//! and must not be able to redirect writes, changes of owner or removals by symlinks.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;

use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// An open directory.
#[derive(Debug)]
pub(super) struct Folder(File);

impl Folder {
    /// The directory of a file, and the file's name in it.
    pub(super) fn of(file: &Path) -> io::Result<(Self, OsString)> {
        let name = file.file_name().ok_or_else(|| io::Error::other("names no file"))?;
        let parent = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Ok((Self(File::open(parent)?), name.to_owned()))
    }

    /// Creates a file. Nothing with its name may exist, not even a dangling symlink.
    pub(super) fn create(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let new = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        self.open_with(name, new | OFlag::O_NOFOLLOW, Mode::from_bits_truncate(mode))
    }

    /// Opens a file for reading. A symlink is refused.
    pub(super) fn open(&self, name: &OsStr) -> io::Result<File> {
        // Do not block on a FIFO.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        self.open_with(name, flags, Mode::empty())
    }

    /// The metadata of an entry; of a symlink itself, not its target.
    pub(super) fn look(&self, name: &OsStr) -> io::Result<Found> {
        Ok(Found(fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?))
    }

    fn open_with(&self, name: &OsStr, flags: OFlag, mode: Mode) -> io::Result<File> {
        Ok(openat(&self.0, name, flags | OFlag::O_CLOEXEC, mode)?.into())
    }

    /// Renames a file, replacing an existing one.
    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    /// Removes a file, or a symlink without its target.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Waits until created and removed names are on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// The metadata of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found(FileStat);

impl Found {
    /// Whether it is a regular file, not a symlink.
    pub(super) fn is_file(self) -> bool {
        self.0.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits()
    }

    /// Whether anyone besides its owner has access.
    pub(super) fn is_shared(self) -> bool {
        self.0.st_mode & 0o077 != 0
    }

    /// User and group.
    pub(super) fn owner(self) -> (u32, u32) {
        (self.0.st_uid, self.0.st_gid)
    }
}
