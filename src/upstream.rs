//! The addresses of the backend. Names are resolved regularly, because a container may return with
//! another address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pingora_core::upstreams::peer::{HttpPeer, Peer as _, PeerOptions};
use pingora_core::{Error, ErrorType, Result};

mod names;
mod upgrade;

use names::Name;

use crate::config::{Backend, Config};

/// Keeps connections for upgrades apart from others in pingora's pool.
const UPGRADES: u64 = 1;

/// A backend with its known addresses.
pub(crate) struct Upstream {
    backend: Backend,
    options: PeerOptions,
    /// Options for connections that will be upgraded.
    upgrade_options: PeerOptions,
    /// The name expected in the backend's certificate.
    server_name: Option<String>,
    connect_timeout: Duration,
    /// None if the backend is an address or a path.
    name: Option<Arc<Name>>,
    /// The peer, if it never changes.
    fixed: Option<Place>,
    /// The peers for the addresses that the name has had.
    places: Mutex<Vec<Place>>,
}

/// A peer, and the hash by which its idle connections are found.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) peer: Arc<HttpPeer>,
    pub(crate) hash: u64,
}

/// The most addresses of a name that are remembered.
const MOST_PLACES: usize = 64;

impl Place {
    pub(crate) fn new(peer: HttpPeer) -> Self {
        let hash = peer.reuse_hash();
        Self { peer: Arc::new(peer), hash }
    }
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
        // Connections that were not upgraded are not kept.
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
            places: Mutex::default(),
        };
        // A socket path that is too long is an error for each request.
        upstream.fixed = upstream.fixed_peer().ok().flatten().map(Place::new);
        upstream
    }

    /// The peer for this attempt, counted from 0; each attempt takes the next address.
    pub(crate) async fn peer(
        self: &Arc<Self>,
        attempt: usize,
        for_upgrade: bool,
    ) -> Result<Box<HttpPeer>> {
        let mut peer = Box::new(HttpPeer::clone(&self.place(attempt).await?.peer));
        if for_upgrade {
            peer.options.clone_from(&self.upgrade_options);
            peer.group_key = UPGRADES;
        }
        Ok(peer)
    }

    /// As [`Self::peer`], for connections that will not be upgraded: without a copy.
    pub(crate) async fn place(&self, attempt: usize) -> Result<Place> {
        match (&self.fixed, &self.name, &self.backend) {
            (Some(place), ..) => Ok(place.clone()),
            (None, Some(name), Backend::Tcp { host, tls, .. }) => {
                let address = name.address(attempt).await.map_err(unresolved)?;
                Ok(self.place_at(address, host, *tls))
            }
            _ => {
                let peer = self.fixed_peer()?.ok_or_else(|| Error::new(ErrorType::ConnectError))?;
                Ok(Place::new(peer))
            }
        }
    }

    fn place_at(&self, address: SocketAddr, host: &str, tls: bool) -> Place {
        let mut places = self.places.lock();
        let known = places.iter().find(|place| place.peer.address().as_inet() == Some(&address));
        if let Some(place) = known {
            return place.clone();
        }
        let place = Place::new(self.peer_at(address, host, tls));
        // A name whose addresses keep changing must not take ever more memory.
        if places.len() >= MOST_PLACES {
            places.clear();
        }
        places.push(place.clone());
        place
    }

    /// The peer, if it never changes.
    fn fixed_peer(&self) -> Result<Option<HttpPeer>> {
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
        Ok(Some(peer))
    }

    fn peer_at(&self, address: SocketAddr, host: &str, tls: bool) -> HttpPeer {
        let server_name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let mut peer = HttpPeer::new(address, tls, server_name);
        peer.options.clone_from(&self.options);
        peer
    }

    /// Notes a failed connection. Returns whether to try again, at the next address or at one that
    /// the name has now.
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

    /// Whether the backend accepts connections, for readiness.
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
