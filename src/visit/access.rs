//! What is written down about a request when it is over: metrics and log lines. Paths without
//! their query; no cookie, token or dict.

use std::net::IpAddr;
use std::time::Duration;

use http::Version;

use super::fields::RequestHead;
use super::reply::{Form, Reply};
use super::{Visit, request_id};
use crate::logging::{self, AccessLine};
use crate::metrics::Action;
use crate::state::Shared;

/// The status that stands for a client that went away before there was an answer, as in nginx.
const CLIENT_CLOSED: u16 = 499;

/// How a request ended.
pub(crate) struct Ended {
    /// The status of the answer; None where there was none.
    pub(crate) status: Option<u16>,
    /// How long the answer's body was, in bytes.
    pub(crate) bytes: u64,
    /// Who connected; None is a unix socket.
    pub(crate) peer: Option<IpAddr>,
}

impl Ended {
    /// Counts and logs a request that is over.
    pub(crate) fn report(&self, shared: &Shared, request: &impl RequestHead, visit: &Visit) {
        let took = visit.begun.elapsed();
        let status = self.status.unwrap_or(CLIENT_CLOSED);
        shared.metrics.request(request.method().as_str(), status, took);
        if let Some(backend) = visit.backend_took {
            shared.metrics.backend_answered(backend);
        }
        if !visit.is_logged {
            return;
        }
        let apps = &visit.state.apps;
        let app = apps.are_several().then(|| apps.get(visit.backend));
        // A request that was refused before its fields were looked at has only its peer.
        let client = visit.forwarding.as_ref().map_or(self.peer, |forwarding| forwarding.client);
        logging::access(&AccessLine {
            method: request.method().as_str(),
            target: request.target(),
            status,
            protocol: protocol(request.version()),
            duration: took,
            backend: visit.backend_took,
            app: app.filter(|_| visit.handed_on.is_some()).map(|app| app.name.as_str()),
            outcome: visit.opened().map(|opened| opened.outcome().label()),
            action: visit.action.map(Action::label),
            bytes: self.bytes,
            client,
            peer: self.peer,
            request_id: visit.id(),
        });
    }
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
pub(crate) fn path(request: &impl RequestHead) -> String {
    String::from_utf8_lossy(crate::routes::path_of(request.target())).into_owned()
}
