//! Opens the configured store.

use std::fmt;
use std::time::Duration;

use crate::clock;
use crate::config::{StoreConfig, StoreHome};
use crate::store::file::{FileError, FileStore, Options};
use crate::store::server::Secrets;
use crate::store::{Home, Store};

/// Why a store cannot be opened.
#[derive(Debug)]
pub enum CannotOpen {
    /// The file cannot be used.
    File(FileError),
    /// This program was built without a client for servers.
    BuiltWithout,
}

impl fmt::Display for CannotOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::BuiltWithout => f.write_str(
                "store.url: this cloakroom was built without the feature \"redis\", which Redis and \
                 Valkey take",
            ),
        }
    }
}

impl std::error::Error for CannotOpen {}

/// Opens a file; a server is connected when the store starts. Calls take at most `timeout`.
///
/// # Errors
/// Why a file cannot be used.
pub(crate) fn open(
    config: &StoreConfig,
    secrets: Option<Secrets>,
    timeout: Duration,
) -> Result<Store, CannotOpen> {
    let home = match &config.home {
        StoreHome::File(path) => {
            let options = Options { timeout, clock: clock::now };
            Home::File(FileStore::open(path, options).map_err(CannotOpen::File)?)
        }
        #[cfg(feature = "redis")]
        StoreHome::Server(spec) => {
            use crate::store::redis::RedisStore;
            let secrets = secrets.unwrap_or_default();
            Home::Redis(RedisStore::new(
                spec.as_ref().clone(),
                secrets,
                config.prefix.clone(),
                timeout,
            ))
        }
        #[cfg(not(feature = "redis"))]
        StoreHome::Server(_) => {
            drop(secrets);
            return Err(CannotOpen::BuiltWithout);
        }
    };
    Ok(Store::new(home, timeout))
}
