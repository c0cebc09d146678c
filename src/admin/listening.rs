//! The addresses of the process for clients and operators.

use crate::session::cookie::Transport;

/// The addresses of the listeners, port 0 resolved.
pub(crate) struct Listening {
    pub(crate) clients: Vec<(String, Transport)>,
    pub(crate) admin: String,
}
