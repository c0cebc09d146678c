//! Listening sockets, bound before anything is served: so a port in use is an error with its
//! address instead of a panic in a task, and port 0 is resolved.

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

/// pingora would allocate and zero a buffer of 64 kB for each connection before it has sent
/// anything. Heads, bodies and frames have their own buffers. Also, reads from a buffer do not
/// count towards tokio's time budget of the connection.
const UNBUFFERED: L4BufferSettings = L4BufferSettings { read: Some(0), write: None };

/// A listening socket.
pub(super) struct Bound {
    /// Its purpose and its configuration.
    pub(super) configured: String,
    /// Its name: `127.0.0.1:8080`, `unix:/run/cloakroom.sock`.
    pub(super) name: String,
    /// Its name in pingora.
    pub(super) key: String,
    pub(super) fd: RawFd,
    /// The file to remove at the end, and its mode.
    pub(super) socket: Option<(PathBuf, u32)>,
}

impl Bound {
    /// Listens, or continues to use an inherited listener.
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
                // pingora does this too, but only after the address may have been announced.
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

    /// Adds this listener to a service.
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

    /// A service of an app on this listener.
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

/// Removes the socket of a dead process. If a process still listens on it, the socket stays and
/// binding fails.
fn remove_stale(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() && UnixStream::connect(path).is_err() => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}
