//! Decides whether ends of sessions wait for the acknowledgement of a replica.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::facts::Facts;

/// How long not to wait after a replica has failed to acknowledge an end, because each wait delays
/// the next one.
const REST: Duration = Duration::from_secs(5);

/// What is known about the replicas.
#[derive(Default)]
pub(super) struct Replicas {
    resting: Mutex<Option<Instant>>,
    missing: AtomicU64,
    is_told: AtomicBool,
}

impl Replicas {
    /// Whether there are or may be replicas to wait for.
    pub(super) fn are_awaited(&self, facts: &Facts) -> bool {
        if facts.replicas == Some(0) {
            return false;
        }
        self.resting.lock().is_none_or(|since| since.elapsed() > REST)
    }

    /// Reports the result of a wait.
    pub(super) fn asked(&self, is_replicated: bool) {
        *self.resting.lock() = (!is_replicated).then(Instant::now);
        if is_replicated {
            self.is_told.store(false, Ordering::Relaxed);
        } else {
            self.miss();
        }
    }

    /// Reports an end without a wait. It counts as missing if replicas are expected: they have not
    /// acknowledged recently, or a failover is configured.
    pub(super) fn not_asked(&self, facts: &Facts, is_failover_expected: bool) {
        if facts.replicas != Some(0) || is_failover_expected {
            self.miss();
        }
    }

    fn miss(&self) {
        self.missing.fetch_add(1, Ordering::Relaxed);
        if !self.is_told.swap(true, Ordering::Relaxed) {
            log::warn!(
                "no replica of the session store has acknowledged the end of a session: a failover more than a minute later could bring the session back"
            );
        }
    }

    /// How many ends no replica has acknowledged.
    pub(super) fn missing(&self) -> u64 {
        self.missing.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(replicas: Option<u64>) -> Facts {
        Facts { replicas, ..Facts::default() }
    }

    #[test]
    fn replicas_are_waited_for_where_there_are_any_and_they_answer() {
        let replicas = Replicas::default();
        assert!(!replicas.are_awaited(&facts(Some(0))));
        assert!(replicas.are_awaited(&facts(Some(1))));
        assert!(replicas.are_awaited(&facts(None)));
        replicas.asked(true);
        assert!(replicas.are_awaited(&facts(Some(1))));
        assert_eq!(replicas.missing(), 0);
        replicas.asked(false);
        assert!(!replicas.are_awaited(&facts(Some(1))));
        assert_eq!(replicas.missing(), 1);
        replicas.not_asked(&facts(Some(1)), false);
        assert_eq!(replicas.missing(), 2);
    }

    #[test]
    fn a_single_server_without_replicas_misses_none() {
        let replicas = Replicas::default();
        replicas.not_asked(&facts(Some(0)), false);
        assert_eq!(replicas.missing(), 0);
        replicas.not_asked(&facts(Some(0)), true);
        assert_eq!(replicas.missing(), 1);
    }
}
