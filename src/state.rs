//! What all requests share, and the snapshot of configuration and keys that a reload replaces.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_rustls::rustls::ServerConfig;

use crate::config::Config;
use crate::keys::KeyRing;
use crate::metrics::{KeyUses, Metrics};
use crate::session::recent::RecentWrites;

mod apps;
mod backend_health;
mod drain;

pub(crate) use apps::{App, Apps};
pub(crate) use backend_health::BackendHealth;
pub(crate) use drain::Drain;

/// Configuration and keys: replaced as a whole, never changed.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) keys: KeyRing,
    pub(crate) key_uses: KeyUses,
    pub(crate) apps: Apps,
    /// The certificate for clients, where there are TLS listeners.
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) state: ArcSwap<State>,
    pub(crate) metrics: Metrics,
    pub(crate) recent: Mutex<RecentWrites>,
    /// Told of each refreshed answer that has left.
    pub(crate) refresh_left: Notify,
    pub(crate) drain: Drain,
    /// The most client connections that there are descriptors for.
    pub(crate) room: usize,
}
