//! Listeners that a new process receives from the old one; [`super::handover`] sends them.

use std::collections::{HashMap, VecDeque};
use std::io::{IoSliceMut, Read as _, Write as _};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd as _, IntoRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use super::cannot_start::CannotStart;
use crate::config::Config;

/// The message of the new process when it is ready.
pub(super) const READY: &[u8] = b"ready\n";

/// How long each process waits for the other.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The maximum number of listeners to hand over (the kernel's limit is 253), and the size of their
/// names.
pub(super) const MOST: usize = 128;
pub(super) const NAME_BYTES: usize = 64 * 1024;

/// Listeners received from the old process.
#[derive(Debug, Default)]
pub struct Inherited {
    /// By their configuration; port 0 may appear several times.
    listeners: Listeners,
    giver: Option<UnixStream>,
}

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) name: String,
    pub(super) fd: Descriptor,
}

/// A descriptor that is closed unless it is passed on. Not an `OwnedFd`, which needs `unsafe`.
#[derive(Debug)]
pub(super) struct Descriptor(RawFd);

impl Descriptor {
    pub(super) fn new(owned: impl IntoRawFd) -> Self {
        Self(owned.into_raw_fd())
    }

    /// The number; the caller must close it.
    pub(super) fn pass_on(self) -> RawFd {
        ManuallyDrop::new(self).0
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // An earlier error is more useful than this one.
        let _ = nix::unistd::close(self.0);
    }
}

impl Inherited {
    /// Receives them from the process that listens on `upgrade_socket`.
    ///
    /// # Errors
    /// No process listens, or it does not hand over its listeners.
    pub fn receive(config: &Config) -> Result<Self, CannotStart> {
        let Some(path) = &config.upgrade_socket else {
            return Err(CannotStart::NoUpgradeSocket);
        };
        let failed = |error| CannotStart::NoOldProcess { path: path.clone(), error };
        let mut giver = UnixStream::connect(path).map_err(failed)?;
        giver.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let listeners = receive(&mut giver).map_err(failed)?;
        log::info!(listeners = listeners.len(); "taking over");
        Ok(Self { listeners, giver: Some(giver) })
    }

    /// Removes and returns the listener with this configuration.
    pub(super) fn take(&mut self, configured: &str) -> Option<Listener> {
        self.listeners.get_mut(configured)?.pop_front()
    }

    /// Closes listeners that are no longer configured, and tells the old process to stop.
    pub(super) fn take_over(self) {
        for listener in self.listeners.into_values().flatten() {
            log::warn!(address = listener.name.as_str(); "no longer listening on this address");
        }
        if let Some(mut giver) = self.giver
            && let Err(error) = giver.write_all(READY)
        {
            log::error!(error:% = error; "upgrade failed: the old process cannot be told to stop");
        }
    }
}

type Listeners = HashMap<String, VecDeque<Listener>>;

fn receive(giver: &mut UnixStream) -> std::io::Result<Listeners> {
    let mut names = vec![0; NAME_BYTES];
    let mut space = cmsg_space!([RawFd; MOST]);
    let (mut length, fds) = {
        let mut slices = [IoSliceMut::new(&mut names)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(giver.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
        let mut fds = Vec::new();
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(received) = control {
                fds.extend(received.into_iter().map(Descriptor));
            }
        }
        (message.bytes, fds)
    };
    // An empty line ends the list of names.
    while !names[..length].ends_with(b"\n\n") {
        match giver.read(&mut names[length..])? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => length += count,
        }
    }
    let names = String::from_utf8_lossy(&names[..length]);
    let pairs = names.lines().filter_map(|line| line.split_once('\t'));
    let mut listeners = Listeners::new();
    for ((configured, name), fd) in pairs.zip(fds) {
        let listener = Listener { name: name.to_owned(), fd };
        listeners.entry(configured.to_owned()).or_default().push_back(listener);
    }
    Ok(listeners)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    use std::io::IoSlice;

    use nix::sys::socket::{ControlMessage, sendmsg};

    /// Hands over one end of a socket pair as a listener, with these names; the other end shows
    /// whether it was closed.
    fn given(names: &str) -> (UnixStream, std::io::Result<Listeners>) {
        let (mut taker, giver) = UnixStream::pair().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let fds = [theirs.as_raw_fd()];
        let names = [IoSlice::new(names.as_bytes())];
        let rights = [ControlMessage::ScmRights(&fds)];
        sendmsg::<()>(giver.as_raw_fd(), &names, &rights, MsgFlags::empty(), None).unwrap();
        drop((giver, theirs));
        (ours, receive(&mut taker))
    }

    fn is_closed(mut other_end: &UnixStream) -> bool {
        // Nothing can be read while the other end is open.
        other_end.read(&mut [0]).is_ok_and(|count| count == 0)
    }

    #[test]
    fn a_descriptor_is_closed_where_the_hand_over_fails() {
        for names in ["cut off", "listen a\ta\n"] {
            let (other_end, received) = given(names);
            assert!(received.is_err(), "{names}");
            assert!(is_closed(&other_end), "{names}");
        }
    }

    #[test]
    fn a_descriptor_without_a_name_is_closed() {
        let (other_end, received) = given("\n\n");
        assert!(received.unwrap().is_empty());
        assert!(is_closed(&other_end));
    }

    #[test]
    fn a_descriptor_is_open_until_it_is_dropped_and_longer_if_it_is_passed_on() {
        let (other_end, received) = given("listen a\tname\n\n");
        let mut inherited = Inherited { listeners: received.unwrap(), giver: None };
        assert!(!is_closed(&other_end));
        let listener = inherited.take("listen a").unwrap();
        assert_eq!(listener.name, "name");
        drop(inherited);
        assert!(!is_closed(&other_end));
        let number = listener.fd.pass_on();
        assert!(!is_closed(&other_end));
        nix::unistd::close(number).unwrap();
        assert!(is_closed(&other_end));

        let (other_end, received) = given("listen a\tname\n\n");
        Inherited { listeners: received.unwrap(), giver: None }.take_over();
        assert!(is_closed(&other_end));
    }
}
