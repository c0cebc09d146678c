//! Why a server does not start.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::store::CannotOpen;
use crate::config::Listen;

/// Why a server does not start.
#[derive(Debug)]
pub enum CannotStart {
    /// The configured store cannot be used.
    Store(CannotOpen),
    /// An address cannot be listened on.
    Listen {
        /// The address.
        listen: Listen,
        /// The error.
        error: io::Error,
    },
    /// The listener of an additional app failed.
    ListenForApp(io::Error),
    /// The environment names an unknown carrier.
    Carrier {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// Duplicate metric.
    Metrics(prometheus::Error),
    /// The worker threads could not be started.
    Workers {
        /// Their number.
        count: usize,
        /// The error.
        error: io::Error,
    },
    /// The runtime could not be started.
    Runtime(io::Error),
    /// Signal handlers could not be installed.
    Signals(io::Error),
    /// `--upgrade` without `upgrade_socket`.
    NoUpgradeSocket,
    /// The old process did not hand over its listeners.
    NoOldProcess {
        /// `upgrade_socket`
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
    /// `upgrade_socket` cannot be listened on.
    UpgradeSocket {
        /// `upgrade_socket`
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
    /// Everybody can write to the directory of `upgrade_socket`.
    OpenFolder {
        /// `upgrade_socket`
        path: PathBuf,
    },
    /// Too many listeners to hand over.
    ManyListeners {
        /// The maximum.
        most: usize,
    },
}

impl fmt::Display for CannotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Listen { listen, error } => write!(f, "cannot listen on {listen}: {error}"),
            Self::ListenForApp(error) => write!(f, "cannot listen for the app: {error}"),
            Self::Carrier { variable, value } => write!(
                f,
                "the environment variable {variable} is {value:?}; set it to \"exchange\" or \
                 \"pingora\", or unset it"
            ),
            Self::Metrics(error) => write!(f, "cannot set up metrics: {error}"),
            Self::Workers { count, error } => write!(f, "cannot start {count} workers: {error}"),
            Self::Runtime(error) => write!(f, "cannot start: {error}"),
            Self::Signals(error) => write!(f, "cannot wait for signals: {error}"),
            Self::NoUpgradeSocket => {
                f.write_str("--upgrade needs upgrade_socket in the configuration")
            }
            Self::NoOldProcess { path, error } => {
                write!(f, "upgrade_socket {}: {error}: is the old process running?", path.display())
            }
            Self::UpgradeSocket { path, error } => {
                write!(f, "upgrade_socket {}: {error}", path.display())
            }
            Self::OpenFolder { path } => write!(
                f,
                "upgrade_socket {}: everybody can write to its directory and take over the listeners: use a directory of cloakroom's own",
                path.display()
            ),
            Self::ManyListeners { most } => {
                write!(f, "upgrade_socket: at most {most} listeners can be handed over")
            }
        }
    }
}

impl std::error::Error for CannotStart {}
