//! The state that all requests share, and the snapshot of configuration and keys that a reload
//! replaces.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

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

/// Configuration and keys: replaced as a whole, never modified.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) keys: KeyRing,
    pub(crate) key_uses: Arc<KeyUses>,
    /// Signs requests to the app, if configured.
    pub(crate) signer: Option<Arc<Signer>>,
    pub(crate) apps: Apps,
    /// The server certificate, if there are TLS listeners.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// The secret required to view or end sessions on the admin listener.
    pub(crate) admin_token: Option<Bearer>,
}

/// The state that all requests share.
pub(crate) struct Shared {
    pub(crate) state: ArcSwap<State>,
    /// Locked while the state is replaced, so that no concurrent change is lost.
    pub(crate) replacing: Mutex<()>,
    pub(crate) started: Instant,
    pub(crate) metrics: Metrics,
    pub(crate) recent: Mutex<RecentWrites>,
    /// The store of sessions or revocations.
    pub(crate) store: Option<Arc<Store>>,
    /// Whether the revocations in the store have been read completely, or there are none.
    pub(crate) log_is_read: AtomicBool,
    /// Notified of each written revocation.
    pub(crate) log_written: Notify,
    /// Notified when revocations that were read are in force.
    pub(crate) log_applied: Notify,
    /// Answers with a session that are in progress.
    pub(crate) open_answers: Arc<OpenAnswers>,
    /// Notified when a refreshed answer has been sent.
    pub(crate) refresh_left: Notify,
    /// The open client connections, for which a drain waits.
    pub(crate) connections: TaskTracker,
    pub(crate) drain: Drain,
    /// One permit for each worker: needed to sign with a slow key.
    pub(crate) signing: Semaphore,
    /// The faults of the configuration at the last reload, and when; None if it was valid.
    pub(crate) last_fault: Mutex<Option<(Timestamp, Vec<String>)>>,
    /// The maximum number of client connections, limited by file descriptors.
    pub(crate) room: usize,
}

/// How long an answer with a log-out waits until the log-out is in force at this sidecar. The others
/// have as long.
const IN_FORCE: Duration = Duration::from_secs(1);

impl Shared {
    /// Replaces the state.
    pub(crate) fn replace(&self, next: impl FnOnce(&State) -> State) -> Arc<State> {
        let _replacing = self.replacing.lock();
        let next = Arc::new(next(&self.state.load()));
        self.state.store(Arc::clone(&next));
        next
    }

    /// Writes a revocation to the log that all sidecars follow, and waits until this one has read
    /// it, so that no request after the answer is given the session. Returns whether it has been
    /// replicated, so that it survives the loss of the server.
    pub(crate) async fn revoke(
        &self,
        store: &Store,
        revocation: Revocation,
        now: Timestamp,
    ) -> Result<bool, Outage> {
        let replicated = self.counted(store.revoke(revocation.clone(), now).await)?;
        self.log_written.notify_one();
        // It is written, so the log-out is done; if the log cannot be read now, it will be later.
        // Boxed, as every open connection has room for this future.
        let _ = Box::pin(tokio::time::timeout(IN_FORCE, self.is_in_force(&revocation))).await;
        Ok(replicated)
    }

    async fn is_in_force(&self, revocation: &Revocation) {
        loop {
            // Before the look, so that none is missed.
            let applied = self.log_applied.notified();
            if self.state.load().config.session.revocations.log.knows(revocation) {
                return;
            }
            applied.await;
        }
    }

    /// Counts an answer of the store and returns its result.
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
