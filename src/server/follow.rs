//! Follows the log of revocations in the store: what one sidecar ends, all of them know within a
//! second. No request waits for the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::clock;
use crate::session::Holds;
use crate::session::revocation::Log;
use crate::state::Shared;
use crate::store::Store;
use crate::store::operation::Outage;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How many entries are read at once.
const PAGE: usize = 1000;

/// What is known of the log.
#[derive(Default)]
pub(super) struct Follower {
    known: Log,
    /// The number of the last entry.
    last: u64,
    /// When it was last read to the end.
    read: Option<Instant>,
    is_away: bool,
    /// How many connections there had been when it was last read from the beginning.
    contacts: u64,
}

impl Follower {
    /// Reads on to the end, and puts what is new into force.
    pub(super) async fn look(&mut self, shared: &Shared, store: &Store) {
        let now = clock::now();
        let mut has_changed = self.known.forget(now);
        let result = self.read_on(shared, store, &mut has_changed).await;
        // Also what was read before it failed.
        if has_changed {
            let log = Arc::new(self.known.clone());
            shared.replace(|state| {
                let mut next = state.clone();
                next.config.session.revocations.log = log;
                next
            });
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
        // Another server may have taken over, and its clock may be behind: its next entries would have
        // lower numbers. What is known already changes nothing.
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

/// For ever, where the store holds revocations.
pub(super) async fn follow(shared: Arc<Shared>, mut follower: Follower) {
    let Some(store) = of_revocations(&shared) else { return };
    loop {
        // What this sidecar has written itself it looks for at once.
        let _ = tokio::time::timeout(LOOK, shared.log_written.notified()).await;
        follower.look(&shared, &store).await;
    }
}

/// The store, where it holds revocations.
pub(super) fn of_revocations(shared: &Shared) -> Option<Arc<Store>> {
    let holds = shared.state.load().config.session.store;
    shared.store.clone().filter(|_| holds == Some(Holds::Revocations))
}
