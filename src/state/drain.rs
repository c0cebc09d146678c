//! The shutdown of the process, for requests to consult.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Whether a shutdown has begun, and how much time is left.
#[derive(Debug, Default)]
pub(crate) struct Drain(OnceLock<Begun>);

#[derive(Clone, Copy, Debug)]
struct Begun {
    at: Instant,
    limit: Duration,
}

impl Drain {
    /// Begins the shutdown. It ends with the last connection, at the latest after `limit`.
    pub(crate) fn begin(&self, limit: Duration) {
        // A second signal changes nothing.
        let _ = self.0.set(Begun { at: Instant::now(), limit });
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.0.get().is_some()
    }

    /// Whether a new request would probably be cut off.
    pub(crate) fn is_late(&self) -> bool {
        self.0.get().is_some_and(|begun| begun.at.elapsed() > begun.limit / 2)
    }
}
