//! Why a server does not start.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::store::CannotOpen;
use crate::config::Listen;

/// Why a server does not start.
#[derive(Debug)]
pub enum CannotStart {
    /// The store that the configuration names cannot be used.
    Store(CannotOpen),
    /// Nobody can listen there.
    Listen {
        /// Where.
        listen: Listen,
        /// Why not.
        error: io::Error,
    },
    /// Nobody can listen for an app of our own.
    ListenForApp(io::Error),
    /// The environment names a carrier that there is not.
    Carrier {
        /// The variable.
        variable: &'static str,
        /// What it says.
        value: String,
    },
    /// There are metrics of one name.
    Metrics(prometheus::Error),
    /// The system gives no threads to work on.
    Workers {
        /// How many were asked for.
        count: usize,
        /// Why not.
        error: io::Error,
    },
    /// The system gives no runtime.
    Runtime(io::Error),
    /// Signals cannot be waited for.
    Signals(io::Error),
    /// `--upgrade` without `upgrade_socket`.
    NoUpgradeSocket,
    /// The old process gives nothing.
    NoOldProcess {
        /// `upgrade_socket`
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Nobody can listen on `upgrade_socket`.
    UpgradeSocket {
        /// `upgrade_socket`
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// `upgrade_socket` is where anybody can put another one.
    OpenFolder {
        /// `upgrade_socket`
        path: PathBuf,
    },
    /// More listeners than can be handed over.
    ManyListeners {
        /// How many can be.
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
