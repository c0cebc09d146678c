//! The metric families (Prometheus text format). All label values exist from the start with 0, so
//! that `rate()` sees the first event. Hot paths only use handles that were looked up before.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prometheus::{
    Encoder as _, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};

use crate::keys::KeyRing;
use crate::session::Outcome;
use crate::store::Op;
use crate::store::operation::Outage;
use crate::time::Timestamp;

mod families;
mod key_uses;
mod labels;
mod store;

use families::Families;
pub use key_uses::KeyUses;
pub use labels::{Action, BackendError};
pub use store::Conflict;
use store::StoreFamilies;

/// The nine methods of RFC 9110 and RFC 5789; anything else is `other`.
const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "other"];

/// The status codes of IANA's registry, and 499 for a client that closed before the answer.
const STATUSES: [u16; 63] = [
    100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304,
    305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415,
    416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504,
    505, 506, 507, 508, 510, 511,
];

const SECONDS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const COOKIE_BYTES: [f64; 8] = [64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 3072.0, 4096.0];

/// All families, with their handles.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    /// By method, then by status, in the order of [`METHODS`] and [`STATUSES`].
    known_requests: Vec<IntCounter>,
    request_seconds: Histogram,
    backend_seconds: Histogram,
    checks: Vec<IntCounter>,
    writes: Vec<IntCounter>,
    cookie_bytes: Histogram,
    key_uses: IntCounterVec,
    /// Request fields of clients with the name of a sidecar's field.
    pub spoofed_headers: IntCounter,
    /// Request fields of clients with a name that servers may confuse with another.
    pub odd_headers: IntCounter,
    /// Requests that a page of another site made a browser send.
    pub cross_site_refused: IntCounter,
    /// Answers that ended because their session ended.
    pub streams_ended: IntCounter,
    /// Values of the dict that cannot be sent in a header.
    pub claim_headers_skipped: IntCounter,
    /// Writes forgotten too early because there were too many.
    pub recent_writes_evicted: IntCounter,
    backend_errors: Vec<IntCounter>,
    connections: IntGauge,
    /// Connections closed at once because there were too many.
    pub connections_refused: IntCounter,
    log_lines_dropped: IntCounter,
    /// Client connections whose TLS handshake failed.
    pub tls_handshakes_failed: IntCounter,
    backend_healthy: IntGaugeVec,
    in_flight: IntGauge,
    reload_success: IntCounter,
    reload_failure: IntCounter,
    reload_time: IntGauge,
    store: StoreFamilies,
    /// Open connections, for which a drain waits.
    open: AtomicUsize,
}

impl Metrics {
    /// Registers every family.
    ///
    /// # Errors
    /// Prometheus refused a name or label; this does not happen.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let families = Families::of(&registry);
        let requests = families.counters(
            "cloakroom_requests_total",
            "Requests answered, by method and status.",
            &["method", "status"],
        )?;
        let mut known_requests = Vec::with_capacity(METHODS.len() * STATUSES.len());
        for method in METHODS {
            for status in STATUSES {
                known_requests.push(requests.with_label_values(&[method, &status.to_string()]));
            }
        }
        let checks = families.labelled(
            "cloakroom_session_checks_total",
            "Requests on routes with sessions, by what their cookie was.",
            "outcome",
            Outcome::ALL.map(Outcome::label),
        )?;
        let writes = families.labelled(
            "cloakroom_session_writes_total",
            "Answers that wrote or should have written a session, by what was done.",
            "action",
            Action::ALL.map(Action::label),
        )?;
        let backend_errors = families.labelled(
            "cloakroom_backend_errors_total",
            "Requests that the backend did not answer properly, by what went wrong.",
            "kind",
            BackendError::ALL.map(BackendError::label),
        )?;
        let reloads = families.counters(
            "cloakroom_config_reloads_total",
            "Attempts to reload configuration and keys, by outcome.",
            &["outcome"],
        )?;
        let build = families.gauges(
            "cloakroom_build_info",
            "Always 1; the labels tell the build.",
            &[("version", env!("CARGO_PKG_VERSION")), ("rustc", env!("CLOAKROOM_RUSTC"))],
        )?;
        build.set(1);
        families.process()?;
        Ok(Self {
            requests,
            known_requests,
            request_seconds: families.histogram(
                "cloakroom_request_duration_seconds",
                "Time from a request's head to the end of the exchange.",
                &SECONDS,
            )?,
            backend_seconds: families.histogram(
                "cloakroom_backend_duration_seconds",
                "Time from handing a request to the backend to the head of its answer.",
                &SECONDS,
            )?,
            checks,
            writes,
            cookie_bytes: families.histogram(
                "cloakroom_session_cookie_bytes",
                "Size of each session cookie issued: name, = and value.",
                &COOKIE_BYTES,
            )?,
            key_uses: families.counters(
                "cloakroom_key_uses_total",
                "Tokens signed or sealed, and verified or opened, by key: its id, or its number in the file.",
                &["key", "use"],
            )?,
            spoofed_headers: families.counter(
                "cloakroom_spoofed_headers_total",
                "Request fields removed because they look like the sidecar's own.",
            )?,
            odd_headers: families.counter(
                "cloakroom_odd_headers_removed_total",
                "Request fields removed because their names have more than letters, digits and hyphens.",
            )?,
            cross_site_refused: families.counter(
                "cloakroom_cross_site_refused_total",
                "Requests refused because a browser said that they come from another site.",
            )?,
            streams_ended: families.counter(
                "cloakroom_streams_ended_total",
                "Answers that were still open and ended because their session was over.",
            )?,
            claim_headers_skipped: families.counter(
                "cloakroom_claim_headers_skipped_total",
                "Values for claim headers that no header can carry unchanged.",
            )?,
            recent_writes_evicted: families.counter(
                "cloakroom_recent_writes_evicted_total",
                "Session writes forgotten within 60 seconds; a refresh may undo one of them.",
            )?,
            backend_errors,
            connections: families.gauges(
                "cloakroom_connections_active",
                "Client connections that are open.",
                &[],
            )?,
            connections_refused: families.counter(
                "cloakroom_connections_refused_total",
                "Client connections closed at once, because limits.connections were open.",
            )?,
            log_lines_dropped: families.counter(
                "cloakroom_log_lines_dropped_total",
                "Log lines dropped because the log was not read fast enough.",
            )?,
            tls_handshakes_failed: families.counter(
                "cloakroom_tls_handshakes_failed_total",
                "Client connections that ended before TLS was agreed on.",
            )?,
            backend_healthy: families.labelled_gauges(
                "cloakroom_backend_healthy",
                "1, or 0 while the backend fails the health checks that are configured.",
                "backend",
            )?,
            in_flight: families.gauges(
                "cloakroom_requests_in_flight",
                "Requests being handled.",
                &[],
            )?,
            reload_success: reloads.with_label_values(&["success"]),
            reload_failure: reloads.with_label_values(&["failure"]),
            reload_time: families.gauges(
                "cloakroom_config_last_reload_success_timestamp_seconds",
                "When configuration and keys were last loaded, in seconds since 1970.",
                &[],
            )?,
            store: StoreFamilies::new(&families)?,
            open: AtomicUsize::new(0),
            registry,
        })
    }

    /// Counts a request that has been answered.
    pub fn request(&self, method: &str, status: u16, took: Duration) {
        self.request_seconds.observe(took.as_secs_f64());
        let method = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        match STATUSES.binary_search(&status) {
            Ok(index) => self.known_requests[method * STATUSES.len() + index].inc(),
            Err(_) => {
                self.requests.with_label_values(&[METHODS[method], &status.to_string()]).inc()
            }
        }
    }

    /// Records the response time of the backend.
    pub fn backend_answered(&self, took: Duration) {
        self.backend_seconds.observe(took.as_secs_f64());
    }

    /// Counts a request on a route with sessions.
    pub fn session_checked(&self, outcome: Outcome) {
        if let Some(index) = Outcome::ALL.iter().position(|known| *known == outcome) {
            self.checks[index].inc();
        }
    }

    /// Counts what happened to a session.
    pub fn session_written(&self, action: Action) {
        self.writes[action as usize].inc();
    }

    /// Counts a save or merge of a session that another request has written meanwhile.
    pub fn session_conflict(&self, conflict: Conflict) {
        self.store.conflicts[conflict as usize].inc();
    }

    /// Counts a call to the store with its duration and, if it failed, the reason.
    pub fn store_answered(&self, op: Op, took: Duration, outage: Option<Outage>) {
        self.store.answered(op, took, outage);
    }

    /// Sets whether the store is available.
    pub fn store_is_up(&self, is_up: bool) {
        self.store.up.set(i64::from(is_up));
    }

    /// Sets whether the store may evict sessions, and how many ends of sessions no replica has
    /// acknowledged so far.
    pub fn store_loses(&self, evicts: bool, unreplicated: u64) {
        self.store.evicts.set(i64::from(evicts));
        let new = unreplicated.saturating_sub(self.store.unreplicated.get());
        self.store.unreplicated.inc_by(new);
    }

    /// Sets the number of known revocations, and how long ago they were read.
    pub fn revocations_known(&self, count: usize, age: Duration) {
        self.store.revocations.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.store.revocations_age.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    }

    /// Counts a cookie that was issued.
    #[allow(clippy::cast_precision_loss, reason = "cookies are far below 2^52 bytes")]
    pub fn cookie_issued(&self, bytes: usize) {
        self.cookie_bytes.observe(bytes as f64);
    }

    /// Counts a failure of the backend.
    pub fn backend_failed(&self, kind: BackendError) {
        self.backend_errors[kind as usize].inc();
    }

    /// The gauge of a backend's health: 1 or 0.
    #[must_use]
    pub fn backend_healthy(&self, backend: &str) -> IntGauge {
        self.backend_healthy.with_label_values(&[backend])
    }

    /// Removes the gauge of a backend that is no longer configured.
    pub fn backend_gone(&self, backend: &str) {
        // Fails only if there is no such gauge.
        let _ = self.backend_healthy.remove_label_values(&[backend]);
    }

    /// Counts a reload and, if it succeeded, sets its time.
    pub fn reloaded(&self, success: bool, now: Timestamp) {
        if success {
            self.reload_success.inc();
            self.loaded(now);
        } else {
            self.reload_failure.inc();
        }
    }

    /// Sets the time when configuration and keys were loaded.
    pub fn loaded(&self, now: Timestamp) {
        self.reload_time.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    }

    /// The counters of the keys of a ring.
    #[must_use]
    pub fn key_uses(&self, keys: &KeyRing) -> KeyUses {
        KeyUses::new(keys, |index, what| {
            self.key_uses.with_label_values(&[keys.label(index).as_str(), what])
        })
    }

    /// All metrics in the text format.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let dropped = crate::logging::dropped();
        self.log_lines_dropped.inc_by(dropped.saturating_sub(self.log_lines_dropped.get()));
        let mut text = Vec::new();
        // Writing to a Vec fails only for a family without metrics, which does not exist.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }

    /// Returns the number of open connections.
    pub(crate) fn connection_opened(&self) -> usize {
        self.connections.inc();
        self.open.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn connection_closed(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
        self.connections.dec();
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    pub(crate) fn request_begun(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn request_ended(&self) {
        self.in_flight.dec();
    }
}
