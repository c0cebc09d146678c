//! Listening sockets, bound before anything is served: a port that is taken is an error with its
//! address and not a panic in a task, and port 0 is known by its number.

use std::os::fd::{IntoRawFd as _, RawFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use pingora_core::apps::http_app::{HttpServer, ServeHttp};
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::services::listening::Service;

use super::cannot_start::CannotStart;
use super::inherited::{Descriptor, Inherited, Listener};
use crate::config::Listen;

/// pingora would give each connection 64 kB to read into, and fill them with zeros, before it has
/// said a word. Heads, bodies and frames are read into buffers of their own; and what is in a
/// buffer already does not count towards the share of time that tokio gives to each connection.
const UNBUFFERED: L4BufferSettings = L4BufferSettings { read: Some(0), write: None };

/// A socket that listens.
pub(super) struct Bound {
    /// What it is for, and how that stands in the configuration.
    pub(super) configured: String,
    /// What to call it: `127.0.0.1:8080`, `unix:/run/cloakroom.sock`.
    pub(super) name: String,
    /// What pingora calls it.
    pub(super) key: String,
    pub(super) fd: RawFd,
    /// The file to remove at the end, and who may connect to it.
    pub(super) socket: Option<(PathBuf, u32)>,
}

impl Bound {
    /// Listens, or goes on where the process before does.
    pub(super) fn bind(
        role: &str,
        listen: &Listen,
        mode: u32,
        inherited: &mut Inherited,
    ) -> Result<Self, CannotStart> {
        let failed = |error| CannotStart::Listen { listen: listen.clone(), error };
        let configured = format!("{role} {listen}");
        let before = inherited.take(&configured);
        match (listen, before) {
            (Listen::Tcp(_), Some(Listener { name, fd })) => {
                let fd = fd.pass_on();
                Ok(Self { configured, key: name.clone(), name, fd, socket: None })
            }
            (Listen::Tcp(address), None) => {
                let listener = std::net::TcpListener::bind(address).map_err(failed)?;
                Self::of_tcp(listener, configured).map_err(failed)
            }
            (Listen::Unix(path), before) => {
                let fd = match before {
                    Some(Listener { fd, .. }) => fd,
                    None => bind_unix(path).map_err(failed)?,
                };
                // pingora does so as well, but later than somebody may have been told.
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
                    .map_err(failed)?;
                let key = path.to_string_lossy().into_owned();
                let socket = Some((path.clone(), mode));
                let fd = fd.pass_on();
                Ok(Self { name: listen.to_string(), configured, key, fd, socket })
            }
        }
    }

    pub(super) fn of_tcp(
        listener: std::net::TcpListener,
        configured: String,
    ) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let name = listener.local_addr()?.to_string();
        Ok(Self { configured, key: name.clone(), name, fd: listener.into_raw_fd(), socket: None })
    }

    /// Makes a service listen here.
    pub(super) fn add_to<A>(&self, service: &mut Service<A>) {
        let config = match &self.socket {
            Some((_, mode)) => {
                let mode = std::fs::Permissions::from_mode(*mode);
                ListenerConfig::uds(&self.key).permissions(mode)
            }
            None => ListenerConfig::tcp(&self.key),
        };
        service.add_listener(config.l4_buffer(UNBUFFERED));
    }

    /// A service of an app that listens here.
    pub(super) fn service<A: ServeHttp + Send + Sync + 'static>(
        &self,
        name: &str,
        app: A,
    ) -> Service<HttpServer<A>> {
        let mut service = Service::new(name.into(), HttpServer::new_app(app));
        self.add_to(&mut service);
        service
    }
}

fn bind_unix(path: &Path) -> std::io::Result<Descriptor> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(Descriptor::new(listener))
}

/// Removes the socket of a process that is gone. One that somebody still listens on stays, and
/// binding fails.
fn remove_stale(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() && UnixStream::connect(path).is_err() => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}
