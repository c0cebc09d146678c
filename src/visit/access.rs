//! Metrics and log lines of a finished request. Paths have no query; cookies, tokens and dicts are
//! never logged.

use std::net::IpAddr;
use std::time::Duration;

use http::Version;

use super::fields::RequestHead;
use super::reply::{Form, Reply};
use super::{Visit, request_id, trace};
use crate::logging::{self, AccessLine};
use crate::metrics::Action;
use crate::session::VerifiedToken;
use crate::session::subject;
use crate::state::Shared;

/// The status if the client closed the connection before there was an answer, as in nginx.
const CLIENT_CLOSED: u16 = 499;

/// How a request ended.
pub(crate) struct Ended<'a> {
    /// The status of the answer; None if there was none.
    pub(crate) status: Option<u16>,
    /// The length of the answer's body in bytes.
    pub(crate) bytes: u64,
    /// The peer's address; None for a unix socket.
    pub(crate) peer: Option<IpAddr>,
    /// The trace id that the app was sent, if still known.
    pub(crate) trace_id: Option<&'a str>,
}

impl Ended<'_> {
    /// Counts and logs a finished request.
    pub(crate) fn report(
        &self,
        shared: &Shared,
        (method, target, version): (&str, &[u8], Version),
        visit: &Visit,
    ) {
        let took = visit.begun.elapsed();
        let status = self.status.unwrap_or(CLIENT_CLOSED);
        shared.metrics.request(method, status, took);
        if let Some(backend) = visit.backend_took {
            shared.metrics.backend_answered(backend);
        }
        if !visit.is_logged {
            return;
        }
        let apps = &visit.state.apps;
        let app = apps.are_several().then(|| apps.get(visit.backend));
        // If the fields of the request were not read, only the peer is known.
        let client = visit.forwarding.as_ref().map_or(self.peer, |forwarding| forwarding.client);
        let policy = &visit.state.config.session;
        let path = policy.subject.as_ref().filter(|_| visit.state.config.log.user);
        let dict = visit.opened().and_then(|opened| opened.token()).map(VerifiedToken::dict);
        let user = path.zip(dict).and_then(|(path, dict)| subject::of(dict, path));
        logging::access(&AccessLine {
            method,
            target,
            status,
            protocol: protocol(version),
            duration: took,
            backend: visit.backend_took,
            app: app.filter(|_| visit.handed_on.is_some()).map(|app| app.name.as_str()),
            outcome: visit.opened().map(|opened| opened.outcome().label()),
            action: visit.action.map(Action::label),
            bytes: self.bytes,
            client,
            peer: self.peer,
            user: user.as_deref(),
            request_id: visit.id(),
            trace_id: visit.trace.as_ref().map(trace::Trace::id).or(self.trace_id),
        });
    }
}

/// A request that was refused while it was read.
pub(crate) struct Refusal<'a> {
    /// The answer.
    pub(crate) reply: Reply,
    /// The part of its first line that was received.
    pub(crate) method: &'a [u8],
    pub(crate) target: &'a [u8],
    pub(crate) version: Version,
    /// The peer's address; None for a unix socket.
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

    /// The same, as the fields and the body of a text.
    pub(crate) fn report_rendered(&self, shared: &Shared) -> (Vec<(&'static str, String)>, String) {
        let id = request_id::fresh();
        let (fields, body) = self.reply.render(Form::Text, id.as_str());
        self.note(shared, id.as_str(), body.len());
        (fields, body)
    }

    /// Counts and logs it without making an answer.
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
            user: None,
            request_id,
            trace_id: None,
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

/// The path as sent, without the query.
pub(crate) fn path(request: &impl RequestHead) -> String {
    String::from_utf8_lossy(crate::routes::path_of(request.target())).into_owned()
}
