//! What all requests share, and the snapshot of configuration and keys that a reload replaces.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::rustls::ServerConfig;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::keys::KeyRing;
use crate::keys::bearer::Bearer;
use crate::keys::signature::Signer;
use crate::metrics::{KeyUses, Metrics};
use crate::session::recent::RecentWrites;
use crate::store::operation::{Outage, Revocation};
use crate::store::{Answer, Store};
use crate::time::Timestamp;

mod apps;
mod backend_health;
mod drain;
mod open_answers;

pub(crate) use apps::{App, Apps};
pub(crate) use backend_health::BackendHealth;
pub(crate) use drain::Drain;
pub(crate) use open_answers::{End, Entry, OpenAnswers, Watched, unless_over};

/// Configuration and keys: replaced as a whole, never changed.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) keys: KeyRing,
    pub(crate) key_uses: Arc<KeyUses>,
    /// Signs requests to the app, where that is configured.
    pub(crate) signer: Option<Arc<Signer>>,
    pub(crate) apps: Apps,
    /// The certificate for clients, where there are TLS listeners.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// What the admin listener asks for before it shows or ends sessions.
    pub(crate) admin_token: Option<Bearer>,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) state: ArcSwap<State>,
    /// Held by who replaces the state, so that nobody else's change is lost.
    pub(crate) replacing: Mutex<()>,
    pub(crate) started: Instant,
    pub(crate) metrics: Metrics,
    pub(crate) recent: Mutex<RecentWrites>,
    /// Where sessions are kept that outgrow the cookie, or what has ended before its time.
    pub(crate) store: Option<Arc<Store>>,
    /// The revocations in the store have been read to the end once, or it holds none.
    pub(crate) log_is_read: AtomicBool,
    /// Told of each revocation that has been written.
    pub(crate) log_written: Notify,
    /// Answers with a session that are under way.
    pub(crate) open_answers: Arc<OpenAnswers>,
    /// Told of each refreshed answer that has left.
    pub(crate) refresh_left: Notify,
    /// Those of clients that are open: what a drain waits for.
    pub(crate) connections: TaskTracker,
    pub(crate) drain: Drain,
    /// One for each worker: who signs with a slow key waits for one.
    pub(crate) signing: Semaphore,
    /// What was wrong with the configuration at the last reload, and when; None where it was well.
    pub(crate) last_fault: Mutex<Option<(Timestamp, Vec<String>)>>,
    /// The most client connections that there are descriptors for.
    pub(crate) room: usize,
}

impl Shared {
    /// Puts another state into force.
    pub(crate) fn replace(&self, next: impl FnOnce(&State) -> State) -> Arc<State> {
        let _replacing = self.replacing.lock();
        let next = Arc::new(next(&self.state.load()));
        self.state.store(Arc::clone(&next));
        next
    }

    /// Writes a revocation into the log that all sidecars follow. The answer is whether it outlives the
    /// server that has taken it.
    pub(crate) async fn revoke(
        &self,
        store: &Store,
        revocation: Revocation,
        now: Timestamp,
    ) -> Result<bool, Outage> {
        let replicated = self.counted(store.revoke(revocation, now).await)?;
        self.log_written.notify_one();
        Ok(replicated)
    }

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
            self.metrics.store_loses(store.evicts(), store.unreplicated());
        }
        self.metrics.render()
    }
}
