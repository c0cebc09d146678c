//! Which address the backend is reached at. Names are resolved again and again: a container may
//! come back with another address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use pingora_core::upstreams::peer::{HttpPeer, PeerOptions};
use pingora_core::{Error, ErrorType, OrErr as _, Result};

use super::upgrade;
use crate::config::{Backend, Config};

/// How long an address is used before the name is looked up again, in the background.
const FRESH: Duration = Duration::from_secs(5);

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
    resolved: ArcSwapOption<Resolved>,
    resolving: AtomicBool,
}

struct Resolved {
    addresses: Vec<SocketAddr>,
    at: Instant,
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
        Self {
            backend: config.backend.clone(),
            options,
            upgrade_options,
            server_name: config.backend_tls.server_name.clone(),
            connect_timeout: timeouts.backend_connect,
            resolved: ArcSwapOption::empty(),
            resolving: AtomicBool::new(false),
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
                let address = match host.parse::<IpAddr>() {
                    Ok(ip) => SocketAddr::new(ip, *port),
                    Err(_) => self.resolve(host, *port, attempt).await.map_err(Error::into_up)?,
                };
                let name = self.server_name.as_ref().unwrap_or(host);
                HttpPeer::new(address, *tls, name.clone())
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

    /// How many addresses are worth trying.
    pub(crate) fn address_count(&self) -> usize {
        self.resolved.load().as_ref().map_or(1, |resolved| resolved.addresses.len())
    }

    async fn resolve(
        self: &Arc<Self>,
        host: &str,
        port: u16,
        attempt: usize,
    ) -> Result<SocketAddr> {
        let resolved = match self.resolved.load_full() {
            Some(resolved) => {
                if resolved.at.elapsed() > FRESH && !self.resolving.swap(true, Ordering::AcqRel) {
                    let this = Arc::clone(self);
                    let host = host.to_owned();
                    tokio::spawn(async move {
                        // A name that cannot be looked up now keeps the addresses it had.
                        let _ = this.look_up(&host, port).await;
                        this.resolving.store(false, Ordering::Release);
                    });
                }
                resolved
            }
            None => self.look_up(host, port).await?,
        };
        let address = resolved.addresses.get(attempt % resolved.addresses.len().max(1));
        address.copied().ok_or_else(|| Error::new(ErrorType::ConnectNoRoute))
    }

    async fn look_up(&self, host: &str, port: u16) -> Result<Arc<Resolved>> {
        let lookup =
            tokio::time::timeout(self.connect_timeout, tokio::net::lookup_host((host, port)));
        let found =
            lookup.await.or_err(ErrorType::ConnectTimedout, "looking up the backend's name")?;
        let addresses: Vec<SocketAddr> =
            found.or_err(ErrorType::ConnectError, "looking up the backend's name")?.collect();
        if addresses.is_empty() {
            return Err(Error::new(ErrorType::ConnectNoRoute));
        }
        let resolved = Arc::new(Resolved { addresses, at: Instant::now() });
        self.resolved.store(Some(Arc::clone(&resolved)));
        Ok(resolved)
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
