//! Which address the backend is reached at. Names are resolved again and again: a container may
//! come back with another address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pingora_core::upstreams::peer::{HttpPeer, Peer as _, PeerOptions};
use pingora_core::{Error, ErrorType, Result};

mod names;
mod upgrade;

use names::Name;

use crate::config::{Backend, Config};

/// Keeps the connections for upgrades apart from the others in pingora's pool.
const UPGRADES: u64 = 1;

/// One backend and what is known of its addresses.
pub(crate) struct Upstream {
    backend: Backend,
    options: PeerOptions,
    /// Those of connections that are to be upgraded.
    upgrade_options: PeerOptions,
    /// What the backend's certificate must be made out to.
    server_name: Option<String>,
    connect_timeout: Duration,
    /// None where it is reached by an address or a path.
    name: Option<Arc<Name>>,
    /// What never changes is made once: each request takes a copy.
    fixed: Option<Box<HttpPeer>>,
}

impl Upstream {
    pub(crate) fn new(backend: &Backend, config: &Config) -> Self {
        let timeouts = &config.timeouts;
        let mut options = PeerOptions::new();
        options.connection_timeout = Some(timeouts.backend_connect);
        options.total_connection_timeout = Some(timeouts.backend_connect);
        options.read_timeout = Some(timeouts.backend_read);
        options.write_timeout = Some(timeouts.backend_write);
        options.idle_timeout = Some(timeouts.backend_idle);
        let mut upgrade_options = options.clone();
        upgrade_options.read_timeout = Some(timeouts.upgraded);
        // Of those that were not upgraded after all none is worth keeping.
        upgrade_options.idle_timeout = Some(Duration::from_millis(1));
        let connector =
            upgrade::Connector { connect: timeouts.backend_connect, answer: timeouts.backend_read };
        upgrade_options.custom_l4 = Some(Arc::new(connector));
        let name = match backend {
            Backend::Tcp { host, port, .. } if host.parse::<IpAddr>().is_err() => {
                Some(Arc::new(Name::new(host, *port, timeouts.backend_connect)))
            }
            Backend::Tcp { .. } | Backend::Unix(_) => None,
        };
        let mut upstream = Self {
            backend: backend.clone(),
            options,
            upgrade_options,
            server_name: config.backend_tls.server_name.clone(),
            connect_timeout: timeouts.backend_connect,
            name,
            fixed: None,
        };
        // A path that is too long for a socket is told to whoever asks for it.
        upstream.fixed = upstream.fixed_peer().ok().flatten();
        upstream
    }

    /// Where to connect at this attempt, counted from 0: a further attempt takes the next address.
    pub(crate) async fn peer(
        self: &Arc<Self>,
        attempt: usize,
        for_upgrade: bool,
    ) -> Result<Box<HttpPeer>> {
        let mut peer = match (&self.fixed, &self.name, &self.backend) {
            (Some(peer), ..) => peer.clone(),
            (None, Some(name), Backend::Tcp { host, tls, .. }) => {
                let address = name.address(attempt).await.map_err(unresolved)?;
                Box::new(self.peer_at(address, host, *tls))
            }
            _ => self.fixed_peer()?.ok_or_else(|| Error::new(ErrorType::ConnectError))?,
        };
        if for_upgrade {
            peer.options.clone_from(&self.upgrade_options);
            peer.group_key = UPGRADES;
        }
        Ok(peer)
    }

    /// The peer, where it is always the same.
    fn fixed_peer(&self) -> Result<Option<Box<HttpPeer>>> {
        let peer = match &self.backend {
            Backend::Unix(path) => {
                let path = path.to_str().ok_or_else(|| Error::new(ErrorType::ConnectError))?;
                let mut peer = HttpPeer::new_uds(path, false, String::new())?;
                peer.options.clone_from(&self.options);
                peer
            }
            Backend::Tcp { host, port, tls } => match host.parse::<IpAddr>() {
                Ok(address) => self.peer_at((address, *port).into(), host, *tls),
                Err(_) => return Ok(None),
            },
        };
        Ok(Some(Box::new(peer)))
    }

    fn peer_at(&self, address: SocketAddr, host: &str, tls: bool) -> HttpPeer {
        let server_name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let mut peer = HttpPeer::new(address, tls, server_name);
        peer.options.clone_from(&self.options);
        peer
    }

    /// Notes that a connection could not be made. Returns whether another attempt is worth it: at
    /// the next of several addresses, or at the one that the name stands for by now.
    pub(crate) fn missed(&self, peer: &HttpPeer, attempts: usize) -> bool {
        match &self.name {
            Some(name) => {
                if let Some(address) = peer.address().as_inet() {
                    name.missed(*address);
                }
                attempts < name.count().max(2)
            }
            None => false,
        }
    }

    /// Whether the backend takes connections now: for readiness.
    pub(crate) async fn is_reachable(self: &Arc<Self>) -> bool {
        let connect = async {
            match &self.backend {
                Backend::Unix(path) => tokio::net::UnixStream::connect(path).await.is_ok(),
                Backend::Tcp { host, port, .. } => {
                    tokio::net::TcpStream::connect((host.as_str(), *port)).await.is_ok()
                }
            }
        };
        tokio::time::timeout(self.connect_timeout, connect).await.unwrap_or(false)
    }
}

fn unresolved(error: io::Error) -> Box<Error> {
    let kind = match error.kind() {
        io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
        io::ErrorKind::NotFound => ErrorType::ConnectNoRoute,
        _ => ErrorType::ConnectError,
    };
    Error::because(kind, "looking up the backend's name", error).into_up()
}
