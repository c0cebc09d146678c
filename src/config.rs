//! The validated configuration: every value in it has been checked.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fault::Fault;
use crate::keys::bearer::Bearer;
use crate::keys::signature::SignatureSpec;
use crate::keys::source::{self, KeySpec};
use crate::named_file;
use crate::routes::{CrossSite, Routes};
use crate::session::cookie::Transport;
use crate::session::header::{FieldName, HeaderNames};
use crate::session::revocation::LineError;
use crate::session::{Holds, Policy};
use crate::store::server::{Secrets, ServerSpec, Unusable};
use crate::visit::cross_site::Origin;
use crate::visit::forwarded::TrustedProxies;

pub mod file;

mod address;
mod expected;
pub(crate) mod explain;
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

pub use address::{AddressError, Backend, Listen};

/// All settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `listen`: the addresses that clients connect to.
    pub listen: Vec<Listen>,
    /// `backend`: the app.
    pub backend: Backend,
    /// `backend` of routes: further apps, without duplicates.
    pub route_backends: Vec<Backend>,
    /// `[[keys]]`: the first one signs, all verify.
    pub keys: Vec<KeySpec>,
    /// `[headers]`
    pub headers: HeaderNames,
    /// `[headers.signature]`, if requests to the app are signed.
    pub signature: Option<SignatureSpec>,
    /// `[session]` and `[cookie]`
    pub session: Policy,
    /// `session.revoked_file`: read separately, by [`Config::read_revoked`].
    pub revoked_file: Option<PathBuf>,
    /// `session.forward_cookie`: leave the session cookie in `Cookie`.
    pub forward_cookie: bool,
    /// `session.vary`: add `Vary: Cookie` to responses of routes with sessions.
    pub vary: bool,
    /// `session.on_bad_save`
    pub on_bad_save: OnBadSave,
    /// `session.cross_site`, unless a route overrides it.
    pub cross_site: CrossSite,
    /// `session.trusted_origins`: origins whose pages may send requests nevertheless.
    pub trusted_origins: Vec<Origin>,
    /// `session.recheck`: how often the sessions of open answers are checked.
    pub recheck: Option<Duration>,
    /// `[store]`, if it has a url.
    pub store: Option<StoreConfig>,
    /// `[[routes]]`
    pub routes: Routes,
    /// `trusted_proxies`: peers whose `X-Forwarded-*` is trusted.
    pub trusted_proxies: TrustedProxies,
    /// `strip`: request fields to remove besides the sidecar's own.
    pub strip: Vec<FieldName>,
    /// `odd_header_names`: what to do with ambiguous names of request fields.
    pub odd_header_names: OddNames,
    /// `admin.listen`: the admin listener, if configured.
    pub admin: Option<Listen>,
    /// `admin.token_file`: the secret required to view and end sessions.
    pub admin_token: Option<TokenFile>,
    /// `[log]`
    pub log: Log,
    /// `[limits]`
    pub limits: Limits,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `shutdown_timeout`: how long requests in progress may take to finish.
    pub shutdown_timeout: Duration,
    /// `[tls]`: TLS for clients.
    pub tls: Option<Tls>,
    /// `[backend_tls]`
    pub backend_tls: BackendTls,
    /// `[health_check]`, if it has a path.
    pub health_check: Option<HealthCheck>,
    /// `socket_mode`: the mode of the unix sockets.
    pub socket_mode: u32,
    /// `upgrade_socket`: where a new process takes over the listeners.
    pub upgrade_socket: Option<PathBuf>,
    /// `workers`: the number of threads that handle requests.
    pub workers: usize,
}

impl Config {
    /// Every app, the top-level one first. Routes refer to them by index.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        std::iter::once(&self.backend).chain(&self.route_backends)
    }

    /// Whether any app uses TLS.
    #[must_use]
    pub fn has_tls_backend(&self) -> bool {
        self.backends().any(Backend::is_tls)
    }

    /// The addresses of all listeners, and whether they use TLS.
    pub fn listeners(&self) -> impl Iterator<Item = (&Listen, Transport)> {
        let all_tls = self.tls.as_ref().is_some_and(|tls| tls.listen.is_empty());
        let first = self.listen.iter().map(move |listen| match listen {
            Listen::Tcp(_) if all_tls => (listen, Transport::Tls),
            Listen::Tcp(_) | Listen::Unix(_) => (listen, Transport::Clear),
        });
        let others = self.tls.iter().flat_map(|tls| &tls.listen);
        first.chain(others.map(|listen| (listen, Transport::Tls)))
    }

    /// Reads the secret in `admin.token_file`; `file` is this configuration's file.
    ///
    /// # Errors
    /// Why the file does not contain a secret.
    pub fn read_admin_token(&self, file: &Path) -> Result<Option<Bearer>, Vec<Fault>> {
        let Some(TokenFile { path, line }) = &self.admin_token else { return Ok(None) };
        let secret = source::load_bearer(path);
        secret.map(Some).map_err(|error| vec![Fault::new(file, *line, error.to_string())])
    }

    /// Reads the files for the servers of the store; `file` is this configuration's file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read_store_secrets(&self, file: &Path) -> Result<Option<Secrets>, Vec<Fault>> {
        let Some(StoreConfig { home: StoreHome::Server(spec), .. }) = &self.store else {
            return Ok(None);
        };
        spec.read().map(Some).map_err(|unusable| {
            let fault = |it: &Unusable| {
                Fault::new(file, spec.line, named_file::told(it.key, &it.path, &it.reason))
            };
            unusable.iter().map(fault).collect()
        })
    }

    /// Reads the sessions in `session.revoked_file`.
    ///
    /// # Errors
    /// The file cannot be read, or all of its invalid lines.
    pub fn read_revoked(&mut self) -> Result<(), Vec<Fault>> {
        let Some(path) = &self.revoked_file else { return Ok(()) };
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![if named_file::may_be_shown(path) {
                Fault::new(path, 1, format!("session.revoked_file cannot be read: {error}"))
            } else {
                Fault::of_flag("session.revoked_file:", named_file::NOT_SHOWN)
            }]
        })?;
        self.session.revocations.read_sessions(&text, value::rfc3339).map_err(|faults| {
            let fault =
                |(line, error): (usize, LineError)| Fault::new(path, line, error.to_string());
            faults.into_iter().map(fault).collect()
        })
    }
}

/// `admin.token_file`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile {
    /// The path of the file.
    pub path: PathBuf,
    /// Its line in the configuration.
    pub line: usize,
}

/// `[tls]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and its key.
    pub files: TlsFiles,
    /// `tls.listen`: TLS listeners besides the plain ones. If empty, TLS is used on all of `listen`
    /// except unix sockets.
    pub listen: Vec<Listen>,
}

/// The certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// `tls.cert`: the chain in PEM, starting with the server's own certificate.
    pub cert: PathBuf,
    /// `tls.key`: its key in PEM.
    pub key: PathBuf,
    /// The line of `[tls]` in the file.
    pub line: usize,
}

/// `[backend_tls]`: how the certificate of an https backend is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendTls {
    /// `backend_tls.ca_file`: accepted authorities in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// `backend_tls.server_name`: the name to request (SNI) and to expect in the certificate, in
    /// place of the backend's host.
    pub server_name: Option<String>,
    /// The line of `ca_file` or, without it, of the table.
    pub line: usize,
}

/// `[health_check]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// `health_check.path`: the path to request.
    pub path: String,
    /// `health_check.interval`: how often.
    pub interval: Duration,
    /// `health_check.timeout`: how long an answer may take.
    pub timeout: Duration,
    /// `health_check.failures`: how many consecutive failures make the backend unhealthy.
    pub failures: usize,
}

/// What happens to an answer whose save fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnBadSave {
    /// The client gets 502.
    #[default]
    Fail,
    /// The answer passes, the cookie stays unchanged.
    Ignore,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// `store.url` and the keys for servers.
    pub home: StoreHome,
    /// `store.holds`: what is stored.
    pub holds: Holds,
    /// `store.on_outage`
    pub on_outage: OnOutage,
    /// `store.timeout`: the time limit of each call.
    pub timeout: Duration,
    /// `store.prefix`: prefix of key names and of hashed names, for servers shared with others.
    pub prefix: String,
}

impl StoreConfig {
    /// The files that it names, except the session file.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match &self.home {
            StoreHome::File(_) => Vec::new(),
            StoreHome::Server(spec) => spec.files().cloned().collect(),
        }
    }
}

/// `store.url`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreHome {
    /// `"file:/var/lib/cloakroom/sessions.db"`
    File(PathBuf),
    /// `"redis://cache:6379/0"`
    Server(Box<ServerSpec>),
}

impl fmt::Display for StoreHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(spec) => {
                let nodes: Vec<String> = spec.nodes.iter().map(ToString::to_string).collect();
                f.write_str(&nodes.join(", "))
            }
        }
    }
}

/// What happens to a request whose session cannot be read because of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnOutage {
    /// 503.
    #[default]
    Refuse,
    /// It reaches the app with an empty dict, and cannot save.
    Pass,
}

/// What happens to a request field whose name has characters other than letters, digits and
/// hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OddNames {
    /// The field is removed.
    #[default]
    Remove,
    /// The client gets 400.
    Refuse,
    /// The field reaches the backend.
    Pass,
}

/// `[log]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// `log.format`
    pub format: LogFormat,
    /// `log.level`
    pub level: log::LevelFilter,
    /// `log.access`: a line for each request.
    pub access: bool,
    /// `log.user`: include the user in it.
    pub user: bool,
    /// `log.trace`: start a trace if the request has none.
    pub trace: bool,
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// A JSON object per line.
    #[default]
    Json,
    /// Readable text, in colour on a terminal.
    Text,
}

/// `[limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `limits.head_bytes`: the maximum length of a request head without its `Cookie` fields.
    pub head_bytes: usize,
    /// `limits.cookie_bytes`: the maximum total length of its `Cookie` fields.
    pub cookie_bytes: usize,
    /// `limits.request_line_bytes`: the maximum length of its first line.
    pub request_line_bytes: usize,
    /// `limits.header_fields`: the maximum number of its fields.
    pub header_fields: usize,
    /// `limits.connections`: the maximum number of client connections.
    pub connections: usize,
    /// `limits.body_bytes`: the maximum size of a request body; None: unlimited.
    pub body_bytes: Option<usize>,
}

/// `[timeouts]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `timeouts.head`: the time limit for a request head.
    pub head: Duration,
    /// `timeouts.body`: longest idle time of a client while a body is sent or received.
    pub body: Duration,
    /// `timeouts.backend_connect`: the time limit to connect, including TLS.
    pub backend_connect: Duration,
    /// `timeouts.backend_read`: longest idle time of the backend during an answer.
    pub backend_read: Duration,
    /// `timeouts.backend_write`: longest wait for the backend to accept more of a request.
    pub backend_write: Duration,
    /// `timeouts.backend_idle`: how long an idle connection to the backend is kept.
    pub backend_idle: Duration,
    /// `timeouts.upgraded`: longest idle time of the backend on an upgraded connection.
    pub upgraded: Duration,
    /// `timeouts.keep_alive`: how long an idle client connection is kept.
    pub keep_alive: Duration,
}
