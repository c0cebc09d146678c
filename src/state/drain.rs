//! The end of the process, as requests have to know of it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Whether the process is to end, and how much time there is until it does.
#[derive(Debug, Default)]
pub(crate) struct Drain(OnceLock<Begun>);

#[derive(Clone, Copy, Debug)]
struct Begun {
    at: Instant,
    limit: Duration,
}

impl Drain {
    /// It is to end when its connections have, and after `limit` in any case.
    pub(crate) fn begin(&self, limit: Duration) {
        // The second of two signals changes nothing.
        let _ = self.0.set(Begun { at: Instant::now(), limit });
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.0.get().is_some()
    }

    /// Whether a request that begins now would probably be cut.
    pub(crate) fn is_late(&self) -> bool {
        self.0.get().is_some_and(|begun| begun.at.elapsed() > begun.limit / 2)
    }
}
