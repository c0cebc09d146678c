//! Follows the log of revocations in the store: all sidecars learn within a second what one of them
//! revokes. Of all requests only a log-out waits for this.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::clock;
use crate::session::Holds;
use crate::session::revocation::Log;
use crate::state::Shared;
use crate::store::Store;
use crate::store::operation::Outage;

/// How often the log is read.
const LOOK: Duration = Duration::from_millis(500);

/// How many entries are read at once.
const PAGE: usize = 1000;

/// What has been read of the log.
#[derive(Default)]
pub(super) struct Follower {
    known: Log,
    /// The number of the last entry.
    last: u64,
    /// When it was last read to the end.
    read: Option<Instant>,
    is_away: bool,
    /// The number of connections when it was last read from the start.
    contacts: u64,
}

impl Follower {
    /// Reads new entries to the end and applies them.
    pub(super) async fn look(&mut self, shared: &Shared, store: &Store) {
        let now = clock::now();
        let mut has_changed = self.known.forget(now);
        let result = self.read_on(shared, store, &mut has_changed).await;
        // Also apply what was read before an error.
        if has_changed {
            let log = Arc::new(self.known.clone());
            shared.replace(|state| {
                let mut next = state.clone();
                next.config.session.revocations.log = log;
                next
            });
            shared.log_applied.notify_waiters();
        }
        match result {
            Ok(()) => {
                self.read = Some(Instant::now());
                shared.log_is_read.store(true, Ordering::Release);
                if std::mem::take(&mut self.is_away) {
                    log::info!("the revocations in the store can be read again");
                }
            }
            Err(outage) if !self.is_away => {
                self.is_away = true;
                log::error!(
                    cause:% = outage;
                    "the revocations in the store cannot be read: known ones stay in force"
                );
            }
            Err(_) => {}
        }
        let age = self.read.map_or_else(|| shared.started.elapsed(), |read| read.elapsed());
        shared.metrics.revocations_known(self.known.len(), age);
    }

    async fn read_on(
        &mut self,
        shared: &Shared,
        store: &Store,
        has_changed: &mut bool,
    ) -> Result<(), Outage> {
        // After a failover the new server's clock may be behind, so that new entries have lower
        // numbers. Read from the start; known entries change nothing.
        if std::mem::replace(&mut self.contacts, store.contacts()) != store.contacts() {
            self.last = 0;
        }
        loop {
            let entries = shared.counted(store.revocations(self.last, PAGE).await)?;
            let is_end = entries.len() < PAGE;
            for entry in entries {
                self.last = entry.seq;
                self.known.add(entry.revocation);
                *has_changed = true;
            }
            if is_end {
                return Ok(());
            }
        }
    }
}

/// Runs forever, if the store holds revocations.
pub(super) async fn follow(shared: Arc<Shared>, mut follower: Follower) {
    let Some(store) = of_revocations(&shared) else { return };
    loop {
        // Read at once what this sidecar itself has written.
        let _ = tokio::time::timeout(LOOK, shared.log_written.notified()).await;
        follower.look(&shared, &store).await;
    }
}

/// The store, if it holds revocations.
pub(super) fn of_revocations(shared: &Shared) -> Option<Arc<Store>> {
    let holds = shared.state.load().config.session.store;
    shared.store.clone().filter(|_| holds == Some(Holds::Revocations))
}
