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
use crate::session::revocation::Revocations;
use crate::store::operation::Outage;
use crate::store::{Answer, Store};

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
    /// Where sessions are kept that outgrow the cookie, or what has ended before its time.
    pub(crate) store: Option<Arc<Store>>,
    /// What has ended before its time, as the store says: empty where it holds no revocations.
    #[allow(dead_code, reason = "read once the log is followed")]
    pub(crate) log: Arc<ArcSwap<Revocations>>,
    /// Told of each refreshed answer that has left.
    pub(crate) refresh_left: Notify,
    pub(crate) drain: Drain,
    /// The most client connections that there are descriptors for.
    pub(crate) room: usize,
}

impl Shared {
    /// Counts what the store answered, and hands on what it was.
    pub(crate) fn counted<T>(&self, answer: Answer<T>) -> Result<T, Outage> {
        let Answer { result, op, took } = answer;
        self.metrics.store_answered(op, took, result.as_ref().err().copied());
        result
    }

    /// All metrics, in the text format.
    pub(crate) fn render_metrics(&self) -> Vec<u8> {
        if let Some(store) = &self.store {
            self.metrics.store_is_up(store.is_up());
        }
        self.metrics.render()
    }
}
