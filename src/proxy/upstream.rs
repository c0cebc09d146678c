//! Which address the backend is reached at. Names are resolved again and again: a container may
//! come back with another address.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::upstreams::peer::{HttpPeer, PeerOptions};
use pingora_core::{Error, ErrorType, Result};

mod names;

use names::Name;

use super::upgrade;
use crate::config::{Backend, Config};

/// Keeps the connections for upgrades apart from the others in pingora's pool.
const UPGRADES: u64 = 1;

/// The backend and what is known of its addresses.
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
}

impl Upstream {
    pub(crate) fn new(config: &Config) -> Self {
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
        let name = match &config.backend {
            Backend::Tcp { host, port, .. } if host.parse::<IpAddr>().is_err() => {
                Some(Arc::new(Name::new(host, *port, timeouts.backend_connect)))
            }
            Backend::Tcp { .. } | Backend::Unix(_) => None,
        };
        Self {
            backend: config.backend.clone(),
            options,
            upgrade_options,
            server_name: config.backend_tls.server_name.clone(),
            connect_timeout: timeouts.backend_connect,
            name,
        }
    }

    /// Where to connect at this attempt, counted from 0: a further attempt takes the next address.
    pub(crate) async fn peer(
        self: &Arc<Self>,
        attempt: usize,
        for_upgrade: bool,
    ) -> Result<Box<HttpPeer>> {
        let mut peer = match &self.backend {
            Backend::Unix(path) => {
                let path = path.to_str().ok_or_else(|| Error::new(ErrorType::ConnectError))?;
                HttpPeer::new_uds(path, false, String::new())?
            }
            Backend::Tcp { host, port, tls } => {
                let server_name = self.server_name.as_ref().unwrap_or(host).clone();
                match &self.name {
                    Some(name) => {
                        let address = name.address(attempt).await;
                        HttpPeer::new(address.map_err(unresolved)?, *tls, server_name)
                    }
                    None => HttpPeer::new((host.as_str(), *port), *tls, server_name),
                }
            }
        };
        if for_upgrade {
            peer.options.clone_from(&self.upgrade_options);
            peer.group_key = UPGRADES;
        } else {
            peer.options.clone_from(&self.options);
        }
        Ok(Box::new(peer))
    }

    /// Notes that a connection could not be made. Returns whether another attempt is worth it: at
    /// the next of several addresses, or at the one that the name stands for by now.
    pub(crate) fn missed(&self, attempts: usize) -> bool {
        match &self.name {
            Some(name) => {
                name.suspect();
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
