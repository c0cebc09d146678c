//! The health of an app.

use std::sync::atomic::{AtomicU8, Ordering};

use prometheus::IntGauge;

const UNKNOWN: u8 = 0;
const HEALTHY: u8 = 1;
const UNHEALTHY: u8 = 2;

/// The result of the health checks, if configured.
#[derive(Debug)]
pub(crate) struct BackendHealth {
    verdict: AtomicU8,
    /// 0 if it is known to be unhealthy.
    gauge: IntGauge,
}

impl BackendHealth {
    /// Not checked yet, not ready.
    pub(crate) fn unknown(gauge: IntGauge) -> Self {
        gauge.set(1);
        Self { verdict: AtomicU8::new(UNKNOWN), gauge }
    }

    /// Not checked yet, assumed healthy.
    pub(crate) fn assumed(gauge: IntGauge) -> Self {
        let health = Self::unknown(gauge);
        health.note(true);
        health
    }

    /// Returns whether this is a change.
    pub(crate) fn note(&self, healthy: bool) -> bool {
        let now = if healthy { HEALTHY } else { UNHEALTHY };
        self.gauge.set(healthy.into());
        self.verdict.swap(now, Ordering::AcqRel) != now
    }

    /// Health checks are off.
    pub(crate) fn forget(&self) {
        self.gauge.set(1);
        self.verdict.store(UNKNOWN, Ordering::Release);
    }

    pub(crate) fn is_known(&self) -> bool {
        self.verdict.load(Ordering::Acquire) != UNKNOWN
    }

    pub(crate) fn is_good(&self) -> bool {
        self.verdict.load(Ordering::Acquire) == HEALTHY
    }
}
