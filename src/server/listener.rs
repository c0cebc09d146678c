//! Listening sockets, bound before anything is served: a port that is taken is an error with its
//! address and not a panic in a task, and port 0 is known by its number.

use std::os::fd::{IntoRawFd as _, RawFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use pingora_core::apps::http_app::{HttpServer, ServeHttp};
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::services::listening::Service;

use crate::config::Listen;

/// Who may connect to a unix socket: everybody who gets at its folder, as with a port.
const SOCKET_MODE: u32 = 0o666;

/// pingora would give each connection 64 kB to read into, and fill them with zeros, before it has
/// said a word. Heads, bodies and frames are read into buffers of their own; and what is in a
/// buffer already does not count towards the share of time that tokio gives to each connection.
const UNBUFFERED: L4BufferSettings = L4BufferSettings { read: Some(0), write: None };

/// A socket that listens.
pub(super) struct Bound {
    /// What to call it: `127.0.0.1:8080`, `unix:/run/cloakroom.sock`.
    pub(super) name: String,
    /// What pingora calls it.
    pub(super) key: String,
    pub(super) fd: RawFd,
    /// The file to remove at the end.
    pub(super) socket: Option<PathBuf>,
}

impl Bound {
    pub(super) fn bind(listen: &Listen) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot listen on {listen}: {error}");
        match listen {
            Listen::Tcp(address) => {
                Self::of_tcp(std::net::TcpListener::bind(address).map_err(failed)?).map_err(failed)
            }
            Listen::Unix(path) => {
                remove_stale(path).map_err(failed)?;
                let listener = UnixListener::bind(path).map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                Ok(Self {
                    name: listen.to_string(),
                    key: path.to_string_lossy().into_owned(),
                    fd: listener.into_raw_fd(),
                    socket: Some(path.clone()),
                })
            }
        }
    }

    pub(super) fn of_tcp(listener: std::net::TcpListener) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let name = listener.local_addr()?.to_string();
        Ok(Self { key: name.clone(), name, fd: listener.into_raw_fd(), socket: None })
    }

    /// Makes a service listen here.
    pub(super) fn add_to<A>(&self, service: &mut Service<A>) {
        let config = if self.socket.is_some() {
            let mode = std::fs::Permissions::from_mode(SOCKET_MODE);
            ListenerConfig::uds(&self.key).permissions(mode)
        } else {
            ListenerConfig::tcp(&self.key)
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
