//! What is known of the backend's health.

use std::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const HEALTHY: u8 = 1;
const UNHEALTHY: u8 = 2;

/// The verdict of the health checks, where there are any.
#[derive(Debug, Default)]
pub(crate) struct BackendHealth(AtomicU8);

impl BackendHealth {
    /// Returns whether that is news.
    pub(crate) fn note(&self, healthy: bool) -> bool {
        let now = if healthy { HEALTHY } else { UNHEALTHY };
        self.0.swap(now, Ordering::AcqRel) != now
    }

    /// There are no checks.
    pub(crate) fn forget(&self) {
        self.0.store(UNKNOWN, Ordering::Release);
    }

    pub(crate) fn is_known(&self) -> bool {
        self.0.load(Ordering::Acquire) != UNKNOWN
    }

    pub(crate) fn is_good(&self) -> bool {
        self.0.load(Ordering::Acquire) == HEALTHY
    }
}
