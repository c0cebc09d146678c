//! Redis and Valkey as operators run them: real servers, each with its own ports and folder,
//! stopped when they are dropped.
//!
//! [`Server`] is one server, [`Sentinels`] watch a master and its replicas, a [`Cluster`] is three
//! masters with a replica each. [`Proxy`] stands before a server, counts round trips and causes
//! failures. Tests talk to servers directly with [`resp`].
//!
//! Does not depend on the rest of the tests, because unit tests use it too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    reason = "tests may panic, and unit tests, experiments and tests of the binary each use a part"
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub mod cluster;
pub mod port;
pub mod proxy;
pub mod resp;
pub mod sentinels;
pub mod server;

pub use cluster::Cluster;
pub use proxy::{Proxy, Trouble};
pub use resp::{Link, Reply};
pub use sentinels::Sentinels;
pub use server::Server;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Redis,
    Valkey,
}

impl Engine {
    /// The binary, which can also run as a sentinel.
    fn binary(self) -> PathBuf {
        match self {
            Self::Redis => "redis-server".into(),
            Self::Valkey => std::env::var_os("CLOAKROOM_VALKEY")
                .map_or_else(|| "valkey-server".into(), PathBuf::from),
        }
    }

    /// How to install it.
    const fn remedy(self) -> &'static str {
        match self {
            Self::Redis => "run tests/install-needs redis-server",
            Self::Valkey => "run export CLOAKROOM_VALKEY=$(tests/valkey)",
        }
    }

    /// The scheme of its URLs.
    pub const fn scheme(self, tls: bool) -> &'static str {
        match (self, tls) {
            (Self::Redis, false) => "redis",
            (Self::Redis, true) => "rediss",
            (Self::Valkey, false) => "valkey",
            (Self::Valkey, true) => "valkeys",
        }
    }
}

/// The maximum time until any of them is ready; some first load data, elect a master or copy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Repeats the check until it is true.
pub fn until(what: &str, mut ask: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ask() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
