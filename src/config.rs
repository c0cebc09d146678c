//! The validated configuration. What it holds has been checked; there is nothing left to refuse.

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

/// Everything an operator can set.
#[derive(Clone, Debug)]
pub struct Config {
    /// `listen`: where clients connect.
    pub listen: Vec<Listen>,
    /// `backend`: the app.
    pub backend: Backend,
    /// `backend` of routes: further apps, each once.
    pub route_backends: Vec<Backend>,
    /// `[[keys]]`: the first signs, all verify.
    pub keys: Vec<KeySpec>,
    /// `[headers]`
    pub headers: HeaderNames,
    /// `[headers.signature]`, where requests to the app are signed.
    pub signature: Option<SignatureSpec>,
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
    /// `session.cross_site`, where a route does not say otherwise.
    pub cross_site: CrossSite,
    /// `session.trusted_origins`: whose pages may send requests all the same.
    pub trusted_origins: Vec<Origin>,
    /// `session.recheck`: how often answers that are open are looked at.
    pub recheck: Option<Duration>,
    /// `[store]`, where it has a url.
    pub store: Option<StoreConfig>,
    /// `[[routes]]`
    pub routes: Routes,
    /// `trusted_proxies`: whose `X-Forwarded-*` is believed.
    pub trusted_proxies: TrustedProxies,
    /// `strip`: request fields that no client may send, beside those of the sidecar's own.
    pub strip: Vec<FieldName>,
    /// `odd_header_names`: what becomes of request fields that servers may read as others.
    pub odd_header_names: OddNames,
    /// `admin.listen`: metrics and health, where configured.
    pub admin: Option<Listen>,
    /// `admin.token_file`: who shows what is in it can see and end sessions.
    pub admin_token: Option<TokenFile>,
    /// `[log]`
    pub log: Log,
    /// `[limits]`
    pub limits: Limits,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `shutdown_timeout`: how long requests under way may take to finish.
    pub shutdown_timeout: Duration,
    /// `[tls]`: where clients connect over TLS.
    pub tls: Option<Tls>,
    /// `[backend_tls]`
    pub backend_tls: BackendTls,
    /// `[health_check]`, where there is a path to ask for.
    pub health_check: Option<HealthCheck>,
    /// `socket_mode`: who may connect to the unix sockets that are listened on.
    pub socket_mode: u32,
    /// `upgrade_socket`: where a new process takes over the listeners.
    pub upgrade_socket: Option<PathBuf>,
    /// `workers`: threads that handle requests.
    pub workers: usize,
}

impl Config {
    /// Every app, the one of the top level first. Routes know them by their numbers.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        std::iter::once(&self.backend).chain(&self.route_backends)
    }

    /// Whether any app is reached over TLS.
    #[must_use]
    pub fn has_tls_backend(&self) -> bool {
        self.backends().any(Backend::is_tls)
    }

    /// Where clients connect, and how.
    pub fn listeners(&self) -> impl Iterator<Item = (&Listen, Transport)> {
        let all_tls = self.tls.as_ref().is_some_and(|tls| tls.listen.is_empty());
        let first = self.listen.iter().map(move |listen| match listen {
            Listen::Tcp(_) if all_tls => (listen, Transport::Tls),
            Listen::Tcp(_) | Listen::Unix(_) => (listen, Transport::Clear),
        });
        let others = self.tls.iter().flat_map(|tls| &tls.listen);
        first.chain(others.map(|listen| (listen, Transport::Tls)))
    }

    /// Reads the secret in `admin.token_file`; `file` is what this configuration was read from.
    ///
    /// # Errors
    /// Why there is none in it.
    pub fn read_admin_token(&self, file: &Path) -> Result<Option<Bearer>, Vec<Fault>> {
        let Some(TokenFile { path, line }) = &self.admin_token else { return Ok(None) };
        let secret = source::load_bearer(path);
        secret.map(Some).map_err(|error| vec![Fault::new(file, *line, error.to_string())])
    }

    /// Reads the files that belong to the servers of the store; `file` is what this configuration was
    /// read from.
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

    /// Reads the sessions that stand in `session.revoked_file`.
    ///
    /// # Errors
    /// A file that cannot be read, or every line in it that is no session.
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
    /// Where the secret is.
    pub path: PathBuf,
    /// Where it stands in the configuration.
    pub line: usize,
}

/// `[tls]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// What clients are shown.
    pub files: TlsFiles,
    /// `tls.listen`: listeners of TLS beside those in the clear; where there are none, all of
    /// `listen` but unix sockets are.
    pub listen: Vec<Listen>,
}

/// The certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// `tls.cert`: the chain in PEM, the server's own certificate first.
    pub cert: PathBuf,
    /// `tls.key`: its key in PEM.
    pub key: PathBuf,
    /// Where `[tls]` stands in the file.
    pub line: usize,
}

/// `[backend_tls]`: how an https backend is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendTls {
    /// `backend_tls.ca_file`: whose certificates are taken, instead of the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// `backend_tls.server_name`: what the certificate must be made out to, and the name asked
    /// for (SNI), instead of the backend's host.
    pub server_name: Option<String>,
    /// Where `ca_file`, or else the table, stands in the file.
    pub line: usize,
}

/// `[health_check]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// `health_check.path`: what is asked for.
    pub path: String,
    /// `health_check.interval`: how often.
    pub interval: Duration,
    /// `health_check.timeout`: how long an answer may take.
    pub timeout: Duration,
    /// `health_check.failures`: how many in a row make the backend unhealthy.
    pub failures: usize,
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

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// `store.url`, and how it is reached.
    pub home: StoreHome,
    /// `store.holds`: what is kept in it.
    pub holds: Holds,
    /// `store.on_outage`
    pub on_outage: OnOutage,
    /// `store.timeout`: how long any call may take.
    pub timeout: Duration,
    /// `store.prefix`: of names that others might use too, and of what is hashed.
    pub prefix: String,
}

impl StoreConfig {
    /// The files that it names, beside that of the sessions.
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

/// What a request gets whose session cannot be read because the store is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnOutage {
    /// 503.
    #[default]
    Refuse,
    /// It reaches the app, with an empty dict and nothing that it could save.
    Pass,
}

/// What becomes of a request field whose name has more in it than letters, digits and hyphens.
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
    /// `log.access`: one line for each request.
    pub access: bool,
    /// `log.user`: whose session it is stands in it.
    pub user: bool,
    /// `log.trace`: a request that is part of no trace begins one.
    pub trace: bool,
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
    /// `limits.head_bytes`: the longest head of a request, not counting its `Cookie` fields.
    pub head_bytes: usize,
    /// `limits.cookie_bytes`: the longest `Cookie` fields of one, taken together.
    pub cookie_bytes: usize,
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
    /// `timeouts.upgraded`: longest silence of the backend on a connection that was upgraded.
    pub upgraded: Duration,
    /// `timeouts.keep_alive`: how long an unused connection of a client is kept.
    pub keep_alive: Duration,
}
