//! Checks the directory, the file system and the file before it is opened, and later whether it is
//! still the same file.
//!
//! This module never opens an existing file: closing it would release SQLite's locks in this
//! process (fcntl(2): "the process's record locks ... are removed").

use std::fs::{Metadata, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::sys::statfs::statfs;
use nix::sys::statvfs::statvfs;

use super::error::{FileError, Reason};

/// The path of a file and its identity.
#[derive(Clone, Debug)]
pub(super) struct Location {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Location {
    /// Checks the path and ensures that a file exists which only its owner can read.
    pub(super) fn prepare(path: &Path) -> Result<Self, FileError> {
        let failed = |reason| FileError { path: path.to_owned(), reason };
        let io = |error: std::io::Error| failed(Reason::Io(error));
        let path = find(path)?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
        let found = path.metadata().map_err(io)?;
        judge(&found).map_err(failed)?;
        // SQLite creates the files next to this one with the same mode.
        for beside in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(beside);
            close_to_others(Path::new(&name)).map_err(io)?;
        }
        Ok(Self { device: found.dev(), inode: found.ino(), path })
    }

    /// The path without symlinks.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the same file is still there.
    pub(super) fn is_there(&self) -> bool {
        let found = self.path.metadata();
        found.is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
    }
}

/// The path of a file without symlinks, whether it exists or not, if it can be used there.
pub(super) fn find(path: &Path) -> Result<PathBuf, FileError> {
    let failed = |reason| FileError { path: path.to_owned(), reason };
    let io = |error: std::io::Error| failed(Reason::Io(error));
    // Check the target of a symlink: that is where the file could be replaced.
    let path = match path.canonicalize() {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // The parent of a bare file name is an empty path.
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            let folder = folder.unwrap_or(Path::new(".")).canonicalize();
            let folder = folder.map_err(|_| failed(Reason::NoFolder))?;
            folder.join(path.file_name().ok_or_else(|| failed(Reason::NotAFile))?)
        }
        Err(error) => return Err(io(error)),
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    if folder.metadata().map_err(io)?.mode() & 0o002 != 0 {
        return Err(failed(Reason::OpenFolder));
    }
    match network(folder).map_err(io)? {
        Some(kind) => Err(failed(Reason::Network(kind))),
        None => Ok(path),
    }
}

/// Whether an existing file can be a session file.
pub(super) fn judge(found: &Metadata) -> Result<(), Reason> {
    if !found.is_file() {
        return Err(Reason::NotAFile);
    }
    // SQLite treats a file shorter than its smallest page as empty, and would overwrite it.
    if (1..512).contains(&found.len()) { Err(Reason::NotSessions) } else { Ok(()) }
}

/// The disk space to leave free, in bytes and as a fraction of a small disk. Log-outs and the
/// expiry need some of it, and they free space in the file.
const RESERVE: u64 = 16 * 1024 * 1024;
const RESERVE_PART: u64 = 4;

/// The disk space of a file, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) free: u64,
    whole: u64,
}

impl Room {
    /// How much space to leave free.
    pub(super) fn reserve(self) -> u64 {
        RESERVE.min(self.whole / RESERVE_PART)
    }
}

impl Location {
    /// The disk space; None if it is unknown.
    pub(super) fn room(&self) -> Option<Room> {
        let found = statvfs(&self.path).ok()?;
        let unit = found.fragment_size();
        #[allow(clippy::useless_conversion, reason = "fewer bits on other systems")]
        let bytes = |blocks| u64::from(blocks).saturating_mul(unit);
        Some(Room { free: bytes(found.blocks_available()), whole: bytes(found.blocks()) })
    }
}

fn close_to_others(path: &Path) -> std::io::Result<()> {
    match path.metadata() {
        Ok(found) if found.mode() & 0o077 != 0 => {
            std::fs::set_permissions(path, Permissions::from_mode(0o600))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The type of network file system that a directory is on, if any. There SQLite has neither the
/// shared memory nor the reliable locks that its log needs.
///
/// FUSE is always refused: it may be sshfs or something local, and the two look the same.
fn network(folder: &Path) -> std::io::Result<Option<&'static str>> {
    let found = statfs(folder)?.filesystem_type().0;
    // 32 bits, whatever type the C library uses.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "only 32 count")]
    let magic = found as u32;
    Ok(network_name(magic))
}

/// From linux/magic.h and the kernel's file systems; see statfs(2).
const fn network_name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => "SMB",
        0x0102_1997 => "9p",
        0x6573_5546 => "FUSE",
        0x00C3_6400 => "Ceph",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x0BD0_0BD0 => "Lustre",
        0x7461_636F => "OCFS2",
        0x0116_1970 => "GFS2",
        0x4750_4653 => "GPFS",
        0x7375_7245 => "Coda",
        0x564C => "NCP",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_number() {
        for (magic, name) in [
            (0x6969, Some("NFS")),
            (0xFF53_4D42, Some("SMB")),
            (0x0102_1997, Some("9p")),
            (0x6573_5546, Some("FUSE")),
            // ext4, xfs, btrfs, overlayfs, tmpfs, zfs.
            (0xEF53, None),
            (0x5846_5342, None),
            (0x9123_683E, None),
            (0x794C_7630, None),
            (0x0102_1994, None),
            (0x2FC1_2FC1, None),
        ] {
            assert_eq!(network_name(magic), name, "{magic:x}");
        }
    }
}
