//! A new process takes over the listeners of the running one without refusing connections: both
//! accept from the same sockets until the new one reports that it is ready. Then the old one
//! drains. If the new one fails before that, the old one continues.
//!
//! `run --upgrade` connects to `upgrade_socket`, where the running process listens. The descriptors
//! are sent as ancillary data (unix(7), `SCM_RIGHTS`).

use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixListener;

use super::cannot_start::CannotStart;
use super::inherited::{MOST, NAME_BYTES, PATIENCE, READY};
use super::listener::Bound;

/// The pause after a failed takeover.
const PAUSE: Duration = Duration::from_millis(100);

/// The socket for the next takeover.
pub(super) struct Handover {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    names: String,
    fds: Vec<RawFd>,
}

impl Handover {
    /// Listens on `upgrade_socket`, replacing the socket of the previous process.
    ///
    /// # Errors
    /// Why it cannot listen.
    pub(super) fn bind(path: &Path, listeners: &[&Bound]) -> Result<Self, CannotStart> {
        let failed = |error| CannotStart::UpgradeSocket { path: path.to_owned(), error };
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mode = std::fs::metadata(folder).map_err(failed)?.mode();
        if mode & 0o002 != 0 {
            return Err(CannotStart::OpenFolder { path: path.to_owned() });
        }
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            std::fs::remove_file(path).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let owner_only = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, owner_only).map_err(failed)?;
        let inode = std::fs::metadata(path).map_err(failed)?.ino();
        let mut names = String::new();
        for bound in listeners {
            names.push_str(&format!("{}\t{}\n", bound.configured, bound.name));
        }
        names.push('\n');
        if listeners.len() > MOST || names.len() > NAME_BYTES {
            return Err(CannotStart::ManyListeners { most: MOST });
        }
        let fds = listeners.iter().map(|bound| bound.fd).collect();
        Ok(Self { listener, path: path.to_owned(), inode, names, fds })
    }

    /// Waits until a new process has taken over and is ready.
    pub(super) async fn done(&self) {
        loop {
            match self.try_once().await {
                Ok(()) => return,
                Err(error) => {
                    log::error!(error:% = error; "upgrade failed: the new process never became ready; still serving");
                    // The process may be short of descriptors for a moment.
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn try_once(&self) -> std::io::Result<()> {
        let (mut taker, _) = self.listener.accept().await?;
        let user = taker.peer_cred()?.uid();
        if user != 0 && user != nix::unistd::geteuid().as_raw() {
            return Err(std::io::Error::other(format!("user {user} may not take over")));
        }
        let names = [IoSlice::new(self.names.as_bytes())];
        let rights = [ControlMessage::ScmRights(&self.fds)];
        taker.writable().await?;
        sendmsg::<()>(taker.as_raw_fd(), &names, &rights, MsgFlags::empty(), None)?;
        let mut said = [0; READY.len()];
        let answer = tokio::time::timeout(PATIENCE, taker.read_exact(&mut said)).await;
        answer.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        if said == READY { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        // Unless the next process has replaced it.
        if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
