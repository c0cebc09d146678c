//! Where clients and operators find the process.

use crate::session::cookie::Transport;

/// The addresses that are listened on, port 0 resolved.
pub(crate) struct Listening {
    pub(crate) clients: Vec<(String, Transport)>,
    pub(crate) admin: String,
}
