//! What is written down about a request when it is over: metrics and log lines. Paths without
//! their query; no cookie, token or dict.

use std::net::IpAddr;
use std::time::Duration;

use http::Version;
use pingora_core::Error;
use pingora_http::RequestHeader;
use pingora_proxy::Session as ProxySession;

use super::context::Context;
use super::failure::{self, Failure};
use crate::logging::{self, AccessLine};
use crate::metrics::Action;
use crate::state::Shared;
use crate::visit::{Form, Reply, request_id};

/// The status that stands for a client that went away before there was an answer, as in nginx.
const CLIENT_CLOSED: u16 = 499;

/// Logs why there is no answer of the backend's to pass on.
pub(super) fn failed(request: &RequestHeader, failure: &Failure, error: &Error, ctx: &Context) {
    let path = path(request);
    let cause = failure::cause(error);
    match failure.backend {
        Some(kind) => log::error!(
            kind = kind.label(), cause = cause.as_str(), attempts = ctx.attempts,
            backend = ctx.state.apps.get(ctx.backend).name.as_str(),
            path = path.as_str(), request_id = ctx.id();
            "the backend failed"
        ),
        // What could not be saved has been told where it was found out.
        None if *error.etype() == failure::BAD_SAVE => {}
        None if failure.reply.is_some() => {
            log::warn!(
                cause = cause.as_str(), path = path.as_str(), request_id = ctx.id();
                "the request failed"
            );
        }
        None => log::debug!(cause = cause.as_str(), path = path.as_str(); "the client went away"),
    }
}

/// Counts and logs a request that is over.
pub(super) fn finished(shared: &Shared, session: &ProxySession, ctx: &Context) {
    let took = ctx.begun.elapsed();
    let request = session.req_header();
    let status = session.response_written().map_or(CLIENT_CLOSED, |head| head.status.as_u16());
    shared.metrics.request(request.method.as_str(), status, took);
    if let Some(backend) = ctx.backend_took {
        shared.metrics.backend_answered(backend);
    }
    if !ctx.is_logged {
        return;
    }
    let app = ctx.state.apps.are_several().then(|| ctx.state.apps.get(ctx.backend));
    let peer = session.client_addr().and_then(|address| address.as_inet());
    let peer = peer.map(|address| address.ip().to_canonical());
    // A request that was refused before its fields were looked at has only its peer.
    let client = ctx.forwarding.as_ref().map_or(peer, |forwarding| forwarding.client);
    logging::access(&AccessLine {
        method: request.method.as_str(),
        target: request.raw_path(),
        status,
        protocol: protocol(request.version),
        duration: took,
        backend: ctx.backend_took,
        app: app.filter(|_| ctx.handed_on.is_some()).map(|app| app.name.as_str()),
        outcome: ctx.opened().map(|opened| opened.outcome().label()),
        action: ctx.action.map(Action::label),
        bytes: session.body_bytes_sent() as u64,
        client,
        peer,
        request_id: ctx.id(),
    });
}

/// A request that was refused before it was one.
pub(crate) struct Refusal<'a> {
    /// What it is told.
    pub(crate) reply: Reply,
    /// As much of its first line as there is.
    pub(crate) method: &'a [u8],
    pub(crate) target: &'a [u8],
    pub(crate) version: Version,
    /// Who connected; None is a unix socket.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) took: Duration,
}

impl Refusal<'_> {
    /// Counts and logs it. Returns the answer.
    pub(crate) fn report(&self, shared: &Shared) -> Vec<u8> {
        let id = request_id::fresh();
        self.note(shared, id.as_str(), self.reply.body(Form::Text, id.as_str()).len());
        self.reply.to_http1(id.as_str())
    }

    /// Counts and logs it where somebody else has answered it, or has not.
    pub(crate) fn report_unanswered(&self, shared: &Shared) {
        self.note(shared, request_id::fresh().as_str(), 0);
    }

    fn note(&self, shared: &Shared, request_id: &str, bytes: usize) {
        let method = String::from_utf8_lossy(self.method);
        let status = self.reply.status;
        shared.metrics.request(&method, status, self.took);
        logging::access(&AccessLine {
            method: &method,
            target: self.target,
            status,
            protocol: protocol(self.version),
            duration: self.took,
            backend: None,
            app: None,
            outcome: None,
            action: None,
            bytes: bytes as u64,
            // Its fields could not be read.
            client: self.peer,
            peer: self.peer,
            request_id,
        });
    }
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// The path as it was sent, without the query.
pub(super) fn path(request: &RequestHeader) -> String {
    String::from_utf8_lossy(crate::routes::path_of(request.raw_path())).into_owned()
}
