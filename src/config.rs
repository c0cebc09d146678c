//! The validated configuration. What it holds has been checked; there is nothing left to refuse.

use std::path::PathBuf;
use std::time::Duration;

use error::Fault;

use crate::keys::source::KeySpec;
use crate::proxy::forwarded::TrustedProxies;
use crate::routes::Routes;
use crate::session::Policy;
use crate::session::header::HeaderNames;

pub mod error;
pub mod file;

mod address;
mod nearest;
mod reader;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod samples;
mod section;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
mod tests;
mod value;

pub use address::{Backend, Listen};

/// Everything an operator can set.
#[derive(Clone, Debug)]
pub struct Config {
    /// `listen`: where clients connect.
    pub listen: Vec<Listen>,
    /// `backend`: the app.
    pub backend: Backend,
    /// `[[keys]]`: the first signs, all verify.
    pub keys: Vec<KeySpec>,
    /// `[headers]`
    pub headers: HeaderNames,
    /// `[session]` and `[cookie]`
    pub session: Policy,
    /// `session.revoked_file`: read apart, by [`Config::read_revoked`].
    pub revoked_file: Option<PathBuf>,
    /// `session.forward_cookie`: leave the session cookie in `Cookie`.
    pub forward_cookie: bool,
    /// `session.vary`: add `Vary: Cookie` to responses of routes with sessions.
    pub vary: bool,
    /// `session.on_bad_save`
    pub on_bad_save: OnBadSave,
    /// `[[routes]]`
    pub routes: Routes,
    /// `trusted_proxies`: whose `X-Forwarded-*` is believed.
    pub trusted_proxies: TrustedProxies,
    /// `admin.listen`: metrics and health, where configured.
    pub admin: Option<Listen>,
    /// `[log]`
    pub log: Log,
    /// `[limits]`
    pub limits: Limits,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `shutdown_timeout`: how long requests under way may take to finish.
    pub shutdown_timeout: Duration,
    /// `workers`: threads that handle requests.
    pub workers: usize,
}

impl Config {
    /// Reads the sessions that stand in `session.revoked_file`.
    ///
    /// # Errors
    /// A file that cannot be read, or every line in it that is no session.
    pub fn read_revoked(&mut self) -> Result<(), Vec<Fault>> {
        let Some(path) = &self.revoked_file else { return Ok(()) };
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![Fault::new(path, 1, format!("session.revoked_file cannot be read: {error}"))]
        })?;
        self.session.revocations.read_sessions(&text, value::rfc3339).map_err(|faults| {
            let fault = |(line, message)| Fault::new(path, line, message);
            faults.into_iter().map(fault).collect()
        })
    }
}

/// What happens to a response whose save cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnBadSave {
    /// The client gets 502.
    #[default]
    Fail,
    /// The response passes, the cookie is untouched.
    Ignore,
}

/// `[log]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// `log.format`
    pub format: LogFormat,
    /// `log.level`
    pub level: log::LevelFilter,
    /// `log.access`: one line for each request.
    pub access: bool,
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people; coloured on a terminal.
    Text,
}

/// `[limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `limits.head_bytes`: the longest head of a request.
    pub head_bytes: usize,
    /// `limits.request_line_bytes`: the longest first line of one.
    pub request_line_bytes: usize,
    /// `limits.header_fields`: the most fields in one.
    pub header_fields: usize,
    /// `limits.connections`: the most connections of clients at once.
    pub connections: usize,
    /// `limits.body_bytes`: the largest body of a request; None: any.
    pub body_bytes: Option<usize>,
}

/// `[timeouts]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `timeouts.head`: until the head of a request has arrived.
    pub head: Duration,
    /// `timeouts.body`: longest silence of a client in the middle of a body, its own or an answer's.
    pub body: Duration,
    /// `timeouts.backend_connect`: until the TCP or TLS connection stands.
    pub backend_connect: Duration,
    /// `timeouts.backend_read`: longest silence of the backend while an answer is awaited.
    pub backend_read: Duration,
    /// `timeouts.backend_write`: longest wait for the backend to take more of a request.
    pub backend_write: Duration,
    /// `timeouts.backend_idle`: how long an unused connection to the backend is kept.
    pub backend_idle: Duration,
    /// `timeouts.keep_alive`: how long an unused connection of a client is kept.
    pub keep_alive: Duration,
}
