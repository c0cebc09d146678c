//! The only code that reads the clock. Everything else takes a [`Timestamp`].

use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// The current time.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
